"""Token sets: what a token endpoint gave, and when it ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from airflow_provider_finauth.secret import Secret


@dataclass(frozen=True, kw_only=True)
class TokenSet:
    """An access token, its end, and the refresh token where there is one.

    :param access_token: None where it was dropped and only the refresh token is left
    :param issued_at: when it was asked for, by the store's clock
    :param expires_at: by the store's clock
    :param lifetime: in seconds
    :param generation: its number in its lineage
    :param lineage: names the chain of token sets that began with one authorisation
    """

    access_token: Secret | None
    refresh_token: Secret | None = None
    scope: str | None = None
    token_type: str | None = None
    issued_at: float
    expires_at: float
    lifetime: float
    generation: int
    lineage: str

    def as_dict(self) -> dict[str, Any]:
        """Give the plain members, secrets too, for a payload that is to be encrypted."""
        return {
            "access_token": self.access_token and self.access_token.reveal(),
            "refresh_token": self.refresh_token and self.refresh_token.reveal(),
            "scope": self.scope,
            "token_type": self.token_type,
            "issued_at": self.issued_at,
            "expires_at": self.expires_at,
            "lifetime": self.lifetime,
            "generation": self.generation,
            "lineage": self.lineage,
        }

    @classmethod
    def from_dict(cls, members: dict[str, Any]) -> Self:
        """Read what :meth:`as_dict` gave.

        :raises KeyError: a member is missing
        :raises TypeError: a member is of another kind
        :raises ValueError: a number is none
        """
        return cls(
            access_token=_secret(members["access_token"]),
            refresh_token=_secret(members["refresh_token"]),
            scope=members["scope"],
            token_type=members["token_type"],
            issued_at=float(members["issued_at"]),
            expires_at=float(members["expires_at"]),
            lifetime=float(members["lifetime"]),
            generation=int(members["generation"]),
            lineage=str(members["lineage"]),
        )

    def __repr__(self) -> str:
        return f"TokenSet(generation={self.generation}, expires_at={self.expires_at:.0f})"


def _secret(value: Any) -> Secret | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError("a token must be a string")
    return Secret(value)
