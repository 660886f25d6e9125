"""Token requests: credentials in, one request out. Nothing here talks to a network."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote_plus, urlencode

from airflow_provider_finauth.secret import Secret

if TYPE_CHECKING:
    from airflow_provider_finauth.auth.credentials import Credentials


@dataclass(frozen=True, kw_only=True)
class TokenRequest:
    """One request to a token endpoint, ready to be sent.

    :param refreshes: whether it spends a refresh token or a code, which a server may honour once only
    :param secrets: what it carries besides the connection's own secrets, should the server repeat it
    """

    method: str = "POST"
    url: str
    params: Mapping[str, str]
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    content_type: str
    refreshes: bool = False
    secrets: tuple[Secret, ...] = ()


def basic_header(user: str, password: Secret, *, charset: str = "utf-8") -> Secret:
    """Make the value of a Basic ``Authorization`` header (RFC 7617)."""
    pair = f"{user}:{password.reveal()}".encode(charset)
    return Secret("Basic " + base64.b64encode(pair).decode("ascii"))


def first_request(credentials: Credentials) -> TokenRequest:
    """Ask for a token with nothing but the credentials: client credentials or password."""
    members: dict[str, str] = {}
    if credentials.grant == "password":
        members["username"] = credentials.username or ""
        members["password"] = credentials.password.reveal() if credentials.password else ""
    return _request(credentials, credentials.grant, members, scope=credentials.scope)


def refresh_request(credentials: Credentials, refresh_token: Secret) -> TokenRequest:
    """Ask for a token with a refresh token.

    The scope is left out unless the connection's style repeats it: RFC 6749 section 6 lets it be left out
    for "the same", and servers that compare it strictly refuse a narrowed one.
    """
    return _request(
        credentials,
        "refresh_token",
        {"refresh_token": refresh_token.reveal()},
        scope=credentials.scope if credentials.style.refresh_scope else None,
        spends=(refresh_token,),
    )


def code_request(
    credentials: Credentials, code: Secret, redirect_uri: str | None, code_verifier: Secret | None
) -> TokenRequest:
    """Exchange an authorization code.

    :param redirect_uri: left out where the vendor's own request does (Luca's page "API: Authenticate with
        OAuth2" sends none)
    :param code_verifier: for PKCE
    """
    members = {"code": code.reveal()}
    spends: tuple[Secret, ...] = (code,)
    if redirect_uri is not None:
        members["redirect_uri"] = redirect_uri
    if code_verifier is not None:
        members["code_verifier"] = code_verifier.reveal()
        spends += (code_verifier,)
    return _request(credentials, "authorization_code", members, spends=spends)


def _request(
    credentials: Credentials,
    grant_type: str,
    members: Mapping[str, str],
    *,
    scope: str | None = None,
    spends: tuple[Secret, ...] = (),
) -> TokenRequest:
    style = credentials.style
    body = dict(credentials.parameters)
    params: dict[str, str] = {}
    headers = {"Accept": "application/json", **style.headers}
    (params if style.grant_type_in == "query" else body)["grant_type"] = grant_type
    secret = credentials.client_secret.reveal() if credentials.client_secret else None
    if style.client_auth == "basic":
        # RFC 6749 section 2.3.1: both are form-encoded first, else a colon or percent sign is ambiguous.
        pair = basic_header(quote_plus(credentials.client_id), Secret(quote_plus(secret or "")))
        headers["Authorization"] = pair.reveal()
    else:
        body["client_id"] = credentials.client_id
        if secret is not None:
            body["client_secret"] = secret
    body |= members
    if scope:
        body["scope"] = scope
    if style.body == "json":
        content, content_type = json.dumps(body).encode(), "application/json"
    else:
        content, content_type = urlencode(body).encode(), "application/x-www-form-urlencoded"
    return TokenRequest(
        url=credentials.token_endpoint,
        params=params,
        headers={**headers, "Content-Type": content_type},
        body=content,
        content_type=content_type,
        refreshes=bool(spends),
        secrets=spends,
    )
