"""What the broker keeps in a store under a lineage key: a token set and the lineage's history, as JSON.

Members that this version does not know are kept as they are, so that versions of the package can share a
store while an upgrade is rolled out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from airflow_provider_finauth.auth.credentials import secret_hash
from airflow_provider_finauth.auth.tokens import TokenSet


@dataclass(frozen=True, kw_only=True)
class Intent:
    """Says, before it happens, that a refresh token is about to be sent.

    Whoever finds one knows that the refresh token may be spent. It stands until its owner has an answer;
    where it outlives its deadline, its owner is dead, stopped or cut off: the refresh counts as unanswered.

    :param owner: the process: host, boot, process id and start
    :param attempt: names this one of the owner's
    :param sent: hash of the refresh token
    :param begun: by the store's clock
    :param deadline: after it the owner sends nothing and nobody else has to wait; by the store's clock
    """

    owner: str
    attempt: str
    sent: str
    begun: float
    deadline: float


@dataclass(frozen=True, kw_only=True)
class Unanswered:
    """Refreshes that may have reached the server and brought no answer of its own.

    :param sent: hash of the refresh token
    :param count: how many, one after the other
    :param since: when the first began, by the store's clock
    :param retry_at: not repeated before, by the store's clock
    """

    sent: str
    count: int
    since: float
    retry_at: float


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
    :param rotates: whether an answer has brought another refresh token than the one that was sent
    :param intent: of a refresh that is under way, as far as is known
    :param unanswered: refreshes that got no answer
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
    rotates: bool = False
    intent: Intent | None = None
    unanswered: Unanswered | None = None
    others: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def place(self) -> tuple[str, int]:
        """The lineage and generation: what a write that follows is compared with."""
        return self.tokens.lineage, self.tokens.generation

    def is_newer_than(self, other: Record) -> bool:
        """Tell whether this one came after another of the same lineage."""
        return self.tokens.lineage == other.tokens.lineage and (
            self.tokens.generation > other.tokens.generation
        )

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
            "rotates": self.rotates,
            "intent": asdict(self.intent) if self.intent else None,
            "unanswered": asdict(self.unanswered) if self.unanswered else None,
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
                # What follows is younger than the first version's entries.
                rotates=bool(members.get("rotates", False)),
                intent=_intent(members.get("intent")),
                unanswered=_unanswered(members.get("unanswered")),
                others={name: value for name, value in members.items() if name not in _MEMBERS},
            )
        except (KeyError, TypeError, AttributeError, ValueError):
            raise ValueError("the entry is not a token record") from None


# What tells of a refresh under way, and says nothing about the token set.
REFRESH_MEMBERS = ("intent", "unanswered")
# What this version knows.
_MEMBERS = frozenset(known.name for known in fields(Record)) - {"others"}


def _intent(members: Any) -> Intent | None:
    if members is None:
        return None
    return Intent(
        owner=str(members["owner"]),
        attempt=str(members["attempt"]),
        sent=str(members["sent"]),
        begun=float(members["begun"]),
        deadline=float(members["deadline"]),
    )


def _unanswered(members: Any) -> Unanswered | None:
    if members is None:
        return None
    return Unanswered(
        sent=str(members["sent"]),
        count=int(members["count"]),
        since=float(members["since"]),
        retry_at=float(members["retry_at"]),
    )
