"""Tokens that an API of the sandbox has given out, and what each is good for."""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(eq=False)
class Grant:
    """One authorisation. All tokens that come from it end with it."""

    subject: str
    scope: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    revoked: bool = False


@dataclass(eq=False)
class Token:
    """An access token, refresh token or code."""

    value: str
    grant: Grant
    ends: float | None = None
    used_at: float | None = None
    revoked: bool = False
    partner: Token | None = None

    @property
    def expired(self) -> bool:
        """Whether its time is over."""
        return self.ends is not None and time.monotonic() >= self.ends

    @property
    def good(self) -> bool:
        """Whether it would be accepted now."""
        return not (self.revoked or self.grant.revoked or self.expired)


class Office:
    """Gives out the tokens of one API and knows them again.

    :param make: makes a token's text
    """

    def __init__(self, make: Callable[[], str] = lambda: secrets.token_urlsafe(32)) -> None:
        self._make = make
        self.access: dict[str, Token] = {}
        self.refresh: dict[str, Token] = {}
        self.codes: dict[str, Token] = {}

    def new_access(self, grant: Grant, lifetime: float) -> Token:
        """Give out an access token."""
        token = Token(self._make(), grant, time.monotonic() + lifetime)
        self.access[token.value] = token
        return token

    def new_refresh(self, grant: Grant, lifetime: float | None = None) -> Token:
        """Give out a refresh token, without end by default."""
        ends = None if lifetime is None else time.monotonic() + lifetime
        token = Token(secrets.token_urlsafe(32), grant, ends)
        self.refresh[token.value] = token
        return token

    def new_code(self, grant: Grant, lifetime: float) -> Token:
        """Give out an authorisation code."""
        token = Token(secrets.token_urlsafe(24), grant, time.monotonic() + lifetime)
        self.codes[token.value] = token
        return token

    def bearer(self, authorization: str | None) -> Token | None:
        """The good access token that a header carries."""
        scheme, _, value = (authorization or "").partition(" ")
        token = self.access.get(value) if scheme.lower() == "bearer" else None
        return token if token is not None and token.good else None

    def expire_all(self) -> None:
        """End all access tokens; refresh tokens live on."""
        for token in self.access.values():
            token.revoked = True

    def clear(self) -> None:
        """Forget everything."""
        self.access.clear()
        self.refresh.clear()
        self.codes.clear()


def read_basic(authorization: str | None) -> tuple[str, str] | None:
    """User and password of a Basic header, taken as UTF-8."""
    scheme, _, value = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (user, password) if colon else None


def basic_matches(authorization: str | None, client_id: str, client_secret: str) -> bool:
    """Whether a client authenticates by Basic, form-encoded as RFC 6749 (2.3.1) says or as it is."""
    pair = read_basic(authorization)
    expected = (client_id, client_secret)
    return pair is not None and (pair == expected or tuple(map(unquote_plus, pair)) == expected)


def s256(verifier: str) -> str:
    """The PKCE challenge of a verifier (RFC 7636, 4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
