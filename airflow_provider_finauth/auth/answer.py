"""The strict reading of a token endpoint's answer.

An answer is a token only with a 2xx status *and* a non-empty string ``access_token``: Luca's older server
answers 200 when it refuses, proxies answer 200 with HTML, and ``Authorization: Bearer None`` has been seen
to come of less care. No token is ever decoded to find its end: OP's are encrypted.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_finauth.auth.credentials import Refusal, standard_refusal
from airflow_provider_finauth.exceptions import (
    FinauthError,
    InvalidClientError,
    RateLimitedError,
    TokenEndpointError,
)
from airflow_provider_finauth.secret import Secret
from airflow_provider_finauth.transport.failures import is_transient
from airflow_provider_finauth.transport.redaction import Redactor

if TYPE_CHECKING:
    from airflow_provider_finauth.auth.credentials import Credentials

SHORTEST_LIFETIME = 1.0
LONGEST_LIFETIME = 30 * 24 * 3600.0

# RFC 6749 appendix A.12; anything else would not fit into a header.
_TOKEN = re.compile(r"[\x21-\x7e]+")
# RFC 6749 appendix A.17.
_REFRESH_TOKEN = re.compile(r"[\x20-\x7e]+")
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9.+-]+/[A-Za-z0-9.+-]+")
# Codes that mean "later", whatever the status.
_PASSING_CODES = frozenset({"server_error", "temporarily_unavailable", "slow_down", "rate_limit_exceeded"})
_REFUSING_CODES = frozenset(
    {
        "invalid_client",
        "unauthorized_client",
        "invalid_scope",
        "invalid_grant",
        "invalid_request",
        "unsupported_grant_type",
    }
)
_REFUSING_STATUSES = frozenset({400, 401, 403})


class PassingError(TokenEndpointError):
    """No readable answer, or one that says "later".

    :param retry_after: seconds that the server asks to wait
    :param transient: whether the failure may be gone in a moment; false where it needs somebody to act
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        retry_after: float | None = None,
        transient: bool = True,
    ) -> None:
        super().__init__(message, status=status, code=code)
        self.retry_after = retry_after
        self.transient = transient


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A token endpoint's good answer.

    :param lifetime: of the access token, in seconds from the request
    :param scope: as granted, if the answer says
    :param asked_at: when the request began, by this process's monotonic clock
    """

    access_token: Secret
    lifetime: float
    refresh_token: Secret | None = None
    scope: str | None = None
    token_type: str | None = None
    asked_at: float | None = None


def parse_lifetime(value: Any, default: float) -> float:
    """Read ``expires_in`` in any form that servers send it.

    Numbers and numeric strings count, within 1 second and 30 days; anything else (missing, null, zero,
    negative, not a number) gives the default. Zero does not mean "never" here, nor "at once".
    """
    seconds: float | None = None
    if isinstance(value, str):
        try:
            seconds = float(value.strip())
        except ValueError:
            seconds = None
    elif isinstance(value, float):
        seconds = value
    elif isinstance(value, int) and not isinstance(value, bool):
        # Clamped before it is converted: an integer may be too long for a float.
        seconds = float(min(max(value, 0), int(LONGEST_LIFETIME)))
    if seconds is None or not math.isfinite(seconds) or seconds <= 0:
        seconds = default
    return min(max(seconds, SHORTEST_LIFETIME), LONGEST_LIFETIME)


def read_answer(
    credentials: Credentials,
    status: int,
    content_type: str | None,
    body: bytes,
    *,
    retry_after: float | None = None,
    secrets: Iterable[Secret] = (),
) -> Answer | FinauthError:
    """Read one answer of a token endpoint: the token, or the error to raise.

    The error is returned, so that no traceback shows a frame that holds the body:
    :class:`~airflow_provider_finauth.exceptions.InvalidClientError` for a refusal for good (``code`` is the
    OAuth error code, None if none was readable),
    :class:`~airflow_provider_finauth.exceptions.RateLimitedError` for status 429, :class:`PassingError` for
    a status or a code that may be gone in a moment, and
    :class:`~airflow_provider_finauth.exceptions.TokenEndpointError` for anything else that is no token.

    :param retry_after: seconds that the answer asks to wait
    :param secrets: what the request carried besides the connection's own secrets
    """
    members = _members(body)
    if 200 <= status < 300 and members is not None:
        answer = _token(credentials, members)
        if answer is not None:
            return answer
    return _failure(credentials, status, content_type, body, members, retry_after, Redactor(secrets))


def _members(body: bytes) -> dict[str, Any] | None:
    try:
        # The content type is not asked for: servers answer JSON as text/html, and HTML as JSON.
        members = json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None
    return members if isinstance(members, dict) else None


def _token(credentials: Credentials, members: Mapping[str, Any]) -> Answer | None:
    access_token = members.get("access_token")
    if not isinstance(access_token, str) or not _TOKEN.fullmatch(access_token):
        return None
    token_type = members.get("token_type")
    if not isinstance(token_type, str) or not token_type:
        token_type = None
    elif "bearer" not in token_type.lower():
        # "BearerToken" is seen in the field and meant well; a MAC or DPoP token is of no use as a bearer.
        return None
    refresh_token, scope = members.get("refresh_token"), members.get("scope")
    if not isinstance(refresh_token, str) or not _REFRESH_TOKEN.fullmatch(refresh_token):
        refresh_token = None
    if isinstance(scope, list):
        scope = " ".join(part for part in scope if isinstance(part, str))
    return Answer(
        access_token=Secret(access_token),
        lifetime=parse_lifetime(members.get("expires_in"), credentials.default_lifetime),
        refresh_token=Secret(refresh_token) if refresh_token else None,
        scope=scope if isinstance(scope, str) and scope else None,
        token_type=token_type,
    )


def _failure(
    credentials: Credentials,
    status: int,
    content_type: str | None,
    body: bytes,
    members: Mapping[str, Any] | None,
    retry_after: float | None,
    redact: Redactor,
) -> FinauthError:
    refusal = _refusal(credentials, status, members)
    code = refusal.code
    where = f"Connection {credentials.conn_id!r}: the token endpoint at {credentials.token_origin}"
    answered = f"{where} answered HTTP {status}"
    if status == 429:
        return RateLimitedError(f"{answered}, too many requests.", retry_after=retry_after)
    reason = f": {code}" if code else ""
    if refusal.description:
        # JSON may hold halves of characters, which no log can write.
        printable = refusal.description.encode("utf-8", "replace").decode()
        sentence = credentials.redactor.sentence(redact(printable))
        reason += f" ({sentence})" if code else f": {sentence}"
    if code in _PASSING_CODES or is_transient(status):
        return PassingError(f"{answered}{reason}.", status=status, code=code, retry_after=retry_after)
    if code in _REFUSING_CODES or status in _REFUSING_STATUSES:
        advice = _advice(credentials, code)
        return InvalidClientError(
            f"{where} refuses, HTTP {status}{reason}.{advice}", status=status, code=code
        )
    if 300 <= status < 400:
        name = credentials.field_name("token_endpoint")
        return TokenEndpointError(
            f"{answered}, a redirect, which a token request does not follow. "
            f"Set the field {name!r} to the address it leads to.",
            status=status,
        )
    if not reason:
        media_type = _MEDIA_TYPE.match(content_type or "")
        kind = media_type.group() if media_type else "no content type"
        reason = f" without a bearer token ({kind}, {len(body)} bytes)"
    return TokenEndpointError(f"{answered}{reason}.", status=status, code=code)


def _refusal(credentials: Credentials, status: int, members: Mapping[str, Any] | None) -> Refusal:
    if members is None:
        return Refusal(None)
    return credentials.read_refusal(status, members) or standard_refusal(status, members) or Refusal(None)


def _advice(credentials: Credentials, code: str | None) -> str:
    """Name the connection's fields that may be wrong."""
    parts: tuple[str, ...]
    if code == "invalid_grant" and not credentials.starts_over_alone:
        return ""
    if code == "invalid_grant":
        parts = ("username", "password")
    elif code == "invalid_scope":
        parts = ("scope",)
    elif code in ("invalid_request", "unsupported_grant_type"):
        parts = ("token_endpoint", "scope")
    elif code is None and credentials.grant == "password":
        parts = ("client_id", "client_secret", "username", "password")
    else:
        parts = ("client_id", "client_secret")
    names = ", ".join(dict.fromkeys(repr(credentials.field_name(part)) for part in parts))
    return f" Mend the connection's {names}."
