"""Credentials: what a connection says about obtaining tokens, read once and checked.

Two keys are made of them, never one. The *lineage key* says where a token set is kept. For an authorised
grant it is the connection's id and token endpoint, however that is spelt, since one application serves many
customers and its client id tells nothing. For a grant that starts over alone it is a keyed hash of every
field that reaches the token endpoint: connections with the same credentials share a token, and a changed
field finds none.
The *fingerprint* is that same hash and serves refusals: any changed field lifts them.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal
from urllib.parse import urlsplit

from airflow_provider_finauth.exceptions import ConfigurationError
from airflow_provider_finauth.secret import Secret
from airflow_provider_finauth.transport.origins import Origin, origin_of, require_secure
from airflow_provider_finauth.transport.redaction import Redactor
from airflow_provider_finauth.transport.session import TransportSettings

Grant = Literal["client_credentials", "password", "authorization_code"]

_CODE = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


@dataclass(frozen=True, kw_only=True)
class RequestStyle:
    """How a token endpoint wants to be asked.

    :param body: form, as RFC 6749 has it, or JSON
    :param grant_type_in: where ``grant_type`` goes
    :param client_auth: client id and secret in the body, or as HTTP Basic, form-encoded first as
        RFC 6749 section 2.3.1 asks
    :param refresh_scope: whether a refresh repeats the scope
    :param headers: further headers
    """

    body: Literal["form", "json"] = "form"
    grant_type_in: Literal["body", "query"] = "body"
    client_auth: Literal["body", "basic"] = "body"
    refresh_scope: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Refusal:
    """A token endpoint's own reason.

    :param code: an OAuth error code, if the answer has one
    :param description: the server's sentence
    """

    code: str | None
    description: str | None = None


def standard_refusal(status: int, body: Mapping[str, Any]) -> Refusal | None:
    """Read the error shape of RFC 6749 section 5.2."""
    error, description = body.get("error"), body.get("error_description")
    description = description if isinstance(description, str) and description.strip() else None
    if isinstance(error, str) and error.strip():
        if _CODE.fullmatch(error.strip()):
            return Refusal(error.strip(), description)
        return Refusal(None, description or error)
    return Refusal(None, description) if description else None


def secret_hash(secret: Secret) -> str:
    """Hash a refresh token to recognise it by.

    Not keyed: a new encryption key must not make a spent refresh token look unspent, and a refresh token
    is too random to be guessed from its hash.
    """
    return hashlib.sha256(b"finauth refresh token\0" + secret.reveal().encode()).hexdigest()


# Compared by identity: the broker keeps what it knows about credentials by the object.
@dataclass(frozen=True, kw_only=True, eq=False)
class Credentials:
    """Everything a token request needs.

    :param conn_id: the connection
    :param api: the API's name, for metrics
    :param grant: how a token is asked for; ``authorization_code`` lives by its refresh token
    :param token_endpoint: where
    :param client_id: of the application
    :param client_secret: None for a public client
    :param scope: sent only where set
    :param username: for ``password``
    :param password: for ``password``
    :param refresh_token: the seed of an authorised grant, if the connection brings one
    :param style: how the endpoint wants to be asked
    :param parameters: further members of each token request, such as ``audience``
    :param default_lifetime: seconds, for answers that do not say
    :param rotates: whether the server replaces refresh tokens
    :param refresh_leeway: seconds in which the server takes a refresh token that it has replaced once more
    :param uses_refresh_token: whether a grant that starts over alone prefers its refresh token
    :param transport: time-outs and TLS
    :param read_refusal: reads the vendor's error shape; None from it means that it found nothing
    :param reauthorize: the sentence that tells a person what mends a lost authorisation
    :param field_names: what the connection calls the fields, for error texts
    :raises ConfigurationError: the token endpoint is not an address that credentials may be sent to, or the
        password grant has no user name or password
    """

    conn_id: str
    api: str
    grant: Grant
    token_endpoint: str
    client_id: str
    client_secret: Secret | None = None
    scope: str | None = None
    username: str | None = None
    password: Secret | None = None
    refresh_token: Secret | None = None
    style: RequestStyle = field(default_factory=RequestStyle)
    parameters: Mapping[str, str] = field(default_factory=dict)
    default_lifetime: float = 3600
    rotates: bool = True
    refresh_leeway: float = 0.0
    uses_refresh_token: bool = False
    transport: TransportSettings = field(default_factory=TransportSettings)
    read_refusal: Callable[[int, Mapping[str, Any]], Refusal | None] = standard_refusal
    reauthorize: str = "A person has to authorise the connection again."
    field_names: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        try:
            require_secure(self.token_endpoint)
        except ValueError as error:
            name = self.field_name("token_endpoint")
            raise ConfigurationError(
                f"Connection {self.conn_id!r}: the field {name!r} cannot be used: {error}.",
                conn_id=self.conn_id,
                field=name,
            ) from None
        if self.grant == "password":
            for part in ("username", "password"):
                if not getattr(self, part):
                    name = self.field_name(part)
                    raise ConfigurationError(
                        f"Connection {self.conn_id!r}: the field {name!r} is needed for the grant password.",
                        conn_id=self.conn_id,
                        field=name,
                    )

    @property
    def starts_over_alone(self) -> bool:
        """Whether a lost token costs one more request and no person."""
        return self.grant != "authorization_code"

    @cached_property
    def token_origin(self) -> Origin:
        """The token endpoint's origin."""
        return origin_of(self.token_endpoint)

    @cached_property
    def redactor(self) -> Redactor:
        """Takes these credentials out of a server's own words."""
        # Some vendors want the client id kept secret too.
        secrets = (self.client_secret, self.password, self.refresh_token, Secret(self.client_id))
        return Redactor(secret for secret in secrets if secret)

    def field_name(self, part: str) -> str:
        """Say what the connection calls a part of the credentials."""
        return self.field_names.get(part) or _FIELD_NAMES.get(part, part)

    def fingerprint(self, digest: Callable[[bytes], str]) -> str:
        """Hash every field that reaches the token endpoint.

        :param digest: the store's keyed hash
        """
        certificate = self.transport.client_certificate
        parts = [
            self.grant,
            self.token_endpoint,
            self.client_id,
            _reveal(self.client_secret),
            self.scope,
            self.username,
            _reveal(self.password),
            _reveal(self.refresh_token),
            [self.style.body, self.style.grant_type_in, self.style.client_auth, self.style.refresh_scope],
            sorted(self.style.headers.items()),
            sorted(self.parameters.items()),
            certificate.fingerprint if certificate else None,
        ]
        return digest(json.dumps(parts).encode())

    def lineage_key(self, digest: Callable[[bytes], str]) -> str:
        """Say where the token set is kept.

        The key of an authorised grant does not hang on the encryption key, so that replacing that key
        cannot lose a consent.

        :param digest: the store's keyed hash
        """
        if self.starts_over_alone:
            return f"token-{self.fingerprint(digest)}"
        name = json.dumps([self.conn_id, self._place()]).encode()
        return f"grant-{hashlib.sha256(name).hexdigest()}"

    def _place(self) -> str:
        """Give the token endpoint in one spelling, whatever its case, port, empty query or fragment."""
        parts = urlsplit(self.token_endpoint)
        query = f"?{parts.query}" if parts.query else ""
        return f"{self.token_origin}{parts.path or '/'}{query}"

    def __repr__(self) -> str:
        return (
            f"Credentials(conn_id={self.conn_id!r}, grant={self.grant!r}, token_origin={self.token_origin})"
        )


@dataclass(frozen=True)
class FixedCredentials:
    """Credentials without a mint: a personal key, or Basic.

    :param conn_id: the connection
    :param header: the Authorization header's value; empty where other headers authenticate
    """

    conn_id: str
    header: Secret


_FIELD_NAMES = {
    "token_endpoint": "oauth_endpoint",
    "client_id": "login",
    "client_secret": "password",
    "password": "user_password",
}


def _reveal(secret: Secret | None) -> str | None:
    return None if secret is None else secret.reveal()
