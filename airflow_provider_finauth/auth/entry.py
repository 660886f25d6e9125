"""What the broker keeps in a store under a lineage key: a token set and the lineage's history, as JSON.

Members that this version does not know are kept as they are, so that versions of the package can share a
store while an upgrade is rolled out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from airflow_provider_finauth.auth.credentials import secret_hash
from airflow_provider_finauth.auth.tokens import TokenSet

_MEMBERS = frozenset(
    {"conn_id", "api", "token_origin", "fingerprint", "tokens", "spent", "minted_at", "rest_until"}
)


@dataclass(frozen=True, kw_only=True)
class Record:
    """The standing token set of a lineage.

    :param conn_id: the connection that minted it last, for lists and messages
    :param api: the API's name
    :param token_origin: the origin of the token endpoint
    :param fingerprint: of the credentials that minted it last
    :param tokens: the token set
    :param spent: hashes of the seed refresh tokens that began this lineage or an earlier one, or that a
        consent has overruled; none of them is ever sent as a seed again
    :param minted_at: when the last token was minted, by the store's clock
    :param rest_until: nobody renews early before, by the store's clock
    :param others: members that this version does not know
    """

    conn_id: str
    api: str
    token_origin: str
    fingerprint: str
    tokens: TokenSet
    spent: frozenset[str] = frozenset()
    minted_at: float
    rest_until: float = 0.0
    others: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def place(self) -> tuple[str, int]:
        """The lineage and generation: what a write that follows is compared with."""
        return self.tokens.lineage, self.tokens.generation

    def knows_seed(self, seed: str | None) -> bool:
        """Tell whether a connection's seed refresh token belongs to this record's past.

        :param seed: its hash, None where the connection has no seed
        """
        if seed is None or seed in self.spent:
            return True
        current = self.tokens.refresh_token
        return current is not None and secret_hash(current) == seed

    def to_json(self) -> bytes:
        """Write the payload, secrets too: a store encrypts it."""
        members = {
            **self.others,
            "conn_id": self.conn_id,
            "api": self.api,
            "token_origin": self.token_origin,
            "fingerprint": self.fingerprint,
            "tokens": self.tokens.as_dict(),
            "spent": sorted(self.spent),
            "minted_at": self.minted_at,
            "rest_until": self.rest_until,
        }
        return json.dumps(members).encode()

    @classmethod
    def from_json(cls, payload: bytes) -> Self:
        """Read what :meth:`to_json` wrote.

        :raises ValueError: it is damaged
        """
        try:
            members = json.loads(payload)
            return cls(
                conn_id=members["conn_id"],
                api=members["api"],
                token_origin=members["token_origin"],
                fingerprint=members["fingerprint"],
                tokens=TokenSet.from_dict(members["tokens"]),
                spent=frozenset(members["spent"]),
                minted_at=float(members["minted_at"]),
                rest_until=float(members["rest_until"]),
                others={name: value for name, value in members.items() if name not in _MEMBERS},
            )
        except (KeyError, TypeError, AttributeError, ValueError):
            raise ValueError("the entry is not a token record") from None
