"""What the client needs to know of a connection and its API."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from airflow_provider_finauth.auth.credentials import FixedCredentials
from airflow_provider_finauth.transport.origins import Origin, origin_of
from airflow_provider_finauth.transport.session import TransportSettings

if TYPE_CHECKING:
    from airflow_provider_finauth.auth.credentials import Credentials
    from airflow_provider_finauth.exceptions import FinauthError
    from airflow_provider_finauth.secret import Secret

GraphqlAction = Literal["authenticate", "wait", "retry", "forbidden"]

# Servers built on graphql-ruby and Apollo use these words; whatever is not listed fails at once.
GRAPHQL_CODES: Mapping[str, GraphqlAction] = {
    "UNAUTHENTICATED": "authenticate",
    "RATE_LIMITED": "wait",
    "TIMEOUT": "retry",
    "INTERNAL_SERVER_ERROR": "retry",
    "FORBIDDEN": "forbidden",
}


@dataclass(frozen=True, kw_only=True)
class Failure:
    """An answer that is an error, as far as it may be shown.

    :param status: the HTTP status
    :param headers: the answer's headers
    :param body: the decoded JSON, or None
    :param text: the server's own sentence, redacted and short; may be empty
    :param code: the server's own code
    :param method: of the request
    :param path: of the request, without its query
    :param request_id: the server's name for the request, or ours
    """

    status: int
    headers: Mapping[str, str]
    body: Any = field(repr=False)
    text: str
    code: str | None
    method: str
    path: str
    request_id: str | None


def unchanged(method: str, path: str, headers: MutableMapping[str, str]) -> None:
    """Leave a request as it is."""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Everything particular to one connection, made by ``apis/<api>.py``.

    :param api: the API's name
    :param conn_id: the connection
    :param base_url: what paths are appended to, without a slash at its end
    :param credentials: how a token is obtained, or the fixed key
    :param headers: sent with each request; the caller's own win, and None removes one
    :param secret_headers: sent with each request to a known origin; these win
    :param origins: those that may see credentials, besides the base URL's and the token endpoint's
    :param transport: time-outs and TLS
    :param secrets: what must not appear in an error's text
    :param max_response_bytes: the largest answer accepted
    :param requests_per_second: the pace of this process; None for no limit
    :param max_concurrency: requests under way at once
    :param retry_deadline: seconds in which a request has to succeed, waiting included
    :param max_attempts: how often a request is sent, not counting the times the server named a wait
    :param judge: the vendor's reading of an error answer; None from it means the common reading
    :param prepare: the vendor's last word before a request leaves: (method, path below the base URL,
        headers); may change the headers, whose names ignore case, or raise
    :param request_id_header: a header that takes a fresh UUID with each request
    :param graphql_codes: what an error's ``extensions.code`` asks for
    """

    api: str
    conn_id: str
    base_url: str
    credentials: Credentials | FixedCredentials
    headers: Mapping[str, str] = field(default_factory=dict)
    secret_headers: Mapping[str, Secret] = field(default_factory=dict)
    origins: frozenset[Origin] = frozenset()
    transport: TransportSettings = field(default_factory=TransportSettings)
    secrets: tuple[Secret, ...] = ()
    max_response_bytes: int = 64 * 1024 * 1024
    requests_per_second: float | None = None
    max_concurrency: int = 4
    retry_deadline: float = 300.0
    max_attempts: int = 5
    judge: Callable[[Failure], FinauthError | None] | None = None
    prepare: Callable[[str, str, MutableMapping[str, str]], None] = unchanged
    request_id_header: str | None = None
    graphql_codes: Mapping[str, GraphqlAction] = field(default_factory=lambda: GRAPHQL_CODES)

    @cached_property
    def known_origins(self) -> frozenset[Origin]:
        """All origins that may see the credentials."""
        known = self.origins | {self.base_origin}
        if isinstance(self.credentials, FixedCredentials):
            return known
        return known | {self.credentials.token_origin}

    @cached_property
    def base_origin(self) -> Origin:
        """The base URL's origin."""
        return origin_of(self.base_url)

    @property
    def has_fixed_key(self) -> bool:
        """Whether a person has to renew what authenticates, since no token can be asked for."""
        return isinstance(self.credentials, FixedCredentials)

    def path_of(self, url: str) -> str:
        """Give a URL's path below the base URL (the whole URL, if it is elsewhere), without its query."""
        parts = urlsplit(url)
        base = urlsplit(self.base_url).path
        if origin_of(url) == self.base_origin and parts.path.startswith(f"{base}/"):
            return parts.path[len(base) :]
        return f"{parts.scheme}://{parts.netloc}{parts.path}"
