"""A person's consent: the authorization-code flow (RFC 6749 section 4.1), without its user interface.

Whoever has the person in front of them, a command or a page, shows the address of :meth:`start`, receives
where the vendor sends the person back to, and hands that to :meth:`finish`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from airflow_provider_finauth.auth.grants import code_request
from airflow_provider_finauth.auth.metadata import fetch_metadata
from airflow_provider_finauth.exceptions import (
    ConfigurationError,
    InvalidClientError,
    ReauthorizationRequiredError,
)
from airflow_provider_finauth.secret import Secret
from airflow_provider_finauth.transport.clock import SYSTEM_CLOCK, Clock
from airflow_provider_finauth.transport.origins import require_secure

if TYPE_CHECKING:
    from airflow_provider_finauth.auth.answer import Answer
    from airflow_provider_finauth.auth.credentials import Credentials
    from airflow_provider_finauth.auth.endpoint import TokenEndpoint

_EXCHANGE_SECONDS = 60.0


@dataclass(frozen=True)
class Started:
    """A flow that waits for the person.

    :param url: the vendor's page to open
    :param state: what must come back, if the flow has it
    :param code_verifier: proves that whoever exchanges the code is who asked for it (PKCE)
    """

    url: str
    state: Secret | None
    code_verifier: Secret | None


@dataclass(frozen=True)
class Consent:
    """What a person has granted.

    :param answer: the token endpoint's, to be handed to the broker's ``begin``
    :param warning: a sentence for the person if less was granted than was asked for
    """

    answer: Answer
    warning: str | None = None


@dataclass(frozen=True, kw_only=True)
class AuthorizationFlow:
    """How a vendor wants to be asked for a person's consent.

    :param authorize_endpoint: the page where the person gives it
    :param credentials: whose grant is ``authorization_code``
    :param redirect_uri: where the person is sent back to, as registered with the application
    :param pkce: whether to prove who asked (RFC 7636, S256)
    :param state: whether to send a ``state``; Luca's older server accepts none
    :param send_redirect_uri: whether the exchange repeats the redirect URI; the one on Luca's page "API:
        Authenticate with OAuth2" does not
    :param parameters: further parameters of the page's address, such as ``locale``
    :param metadata_url: where the server describes itself (RFC 8414), if it does
    :param issuer: the server's name for itself, compared with the ``iss`` that comes back (RFC 9207)
    :raises ConfigurationError: the page's address cannot be used
    """

    authorize_endpoint: str
    credentials: Credentials
    redirect_uri: str
    pkce: bool = True
    state: bool = True
    send_redirect_uri: bool = True
    parameters: Mapping[str, str] = field(default_factory=dict)
    metadata_url: str | None = None
    issuer: str | None = None

    def __post_init__(self) -> None:
        try:
            require_secure(self.authorize_endpoint)
        except ValueError as error:
            conn_id = self.credentials.conn_id
            raise ConfigurationError(
                f"Connection {conn_id!r}: the field 'authorize_endpoint' cannot be used: {error}.",
                conn_id=conn_id,
                field="authorize_endpoint",
            ) from None

    def discover(self) -> AuthorizationFlow:
        """Ask the server for its page and its name, and give the flow that goes by them.

        :raises ConfigurationError: it names another token endpoint than the connection has
        :raises TokenEndpointError: it could not be asked, or describes another server
        """
        if self.metadata_url is None:
            return self
        metadata = fetch_metadata(self.metadata_url, self.credentials)
        if metadata is None:
            return self
        if metadata.token_endpoint != self.credentials.token_endpoint:
            conn_id, name = self.credentials.conn_id, self.credentials.field_name("token_endpoint")
            raise ConfigurationError(
                f"Connection {conn_id!r}: the server names another token endpoint than the connection has. "
                f"Set the field {name!r} to {metadata.token_endpoint}",
                conn_id=conn_id,
                field=name,
            )
        return replace(self, authorize_endpoint=metadata.authorization_endpoint, issuer=metadata.issuer)

    def start(self) -> Started:
        """Begin: make the address of the vendor's page."""
        members = {
            "client_id": self.credentials.client_id,
            "response_type": "code",
            "redirect_uri": self.redirect_uri,
        }
        if self.credentials.scope:
            members["scope"] = self.credentials.scope
        members |= self.parameters
        state = verifier = None
        if self.state:
            state = Secret(secrets.token_urlsafe(32))
            members["state"] = state.reveal()
        if self.pkce:
            verifier = Secret(secrets.token_urlsafe(64))
            challenge = hashlib.sha256(verifier.reveal().encode()).digest()
            members["code_challenge"] = base64.urlsafe_b64encode(challenge).decode().rstrip("=")
            members["code_challenge_method"] = "S256"
        parts = urlsplit(self.authorize_endpoint)
        query = "&".join(filter(None, (parts.query, urlencode(members))))
        return Started(urlunsplit(parts._replace(query=query)), state, verifier)

    def finish(
        self, started: Started, redirected: str, endpoint: TokenEndpoint, *, clock: Clock = SYSTEM_CLOCK
    ) -> Consent:
        """Exchange what came back for tokens.

        :param redirected: the address that the person was sent back to, or its query, or, where the flow has
            no state, the code alone
        :param endpoint: sends the exchange
        :raises ReauthorizationRequiredError: no consent, or one that does not belong to this flow
        :raises FinauthError: as :meth:`TokenEndpoint.ask`
        """
        members = _members(redirected)
        self._check(started, members)
        code = members.get("code")
        if not code:
            raise self._failure("the address holds no code; paste the whole address of the last page")
        request = code_request(
            self.credentials,
            Secret(code),
            self.redirect_uri if self.send_redirect_uri else None,
            started.code_verifier,
        )
        members.pop("code")
        del code, redirected  # no traceback from here on shows it
        try:
            answer = endpoint.ask(self.credentials, request, clock.monotonic() + _EXCHANGE_SECONDS)
        except InvalidClientError as error:
            if error.code != "invalid_grant":
                raise
            failure = self._failure("the code is refused; it ends after some minutes and works once only")
        else:
            return self._consent(answer, members.get("scope"))
        raise failure

    def _check(self, started: Started, members: Mapping[str, str]) -> None:
        if started.state is not None:
            came = members.get("state", "")
            if not hmac.compare_digest(came.encode(), started.state.reveal().encode()):
                raise self._failure(
                    "the answer does not belong to this authorisation (its state is missing or another's). "
                    "Use the newest page, and paste the whole address that it leads to"
                )
        if self.issuer is not None and members.get("iss", self.issuer) != self.issuer:
            raise self._failure("the answer comes from another server than the one that was asked")
        error = members.get("error")
        if error:
            sentence = self.credentials.redactor.sentence(members.get("error_description") or error)
            if error == "access_denied":
                raise self._failure(f"consent was not given ({sentence})")
            raise self._failure(f"the authorize page refused ({sentence})")

    def _consent(self, answer: Answer, scope: str | None) -> Consent:
        # Luca's older server tells the scope with the code, not with the tokens.
        answer = replace(answer, scope=answer.scope or scope)
        wished = set((self.credentials.scope or "").split())
        granted = set((answer.scope or "").split())
        missing = wished - granted
        if not granted or not missing:
            return Consent(answer)
        return Consent(
            answer,
            f"Less was granted than asked for: {' '.join(sorted(missing))} is missing, "
            f"granted is {' '.join(sorted(granted))}.",
        )

    def _failure(self, reason: str) -> ReauthorizationRequiredError:
        return ReauthorizationRequiredError(
            f"Connection {self.credentials.conn_id!r} was not authorised: {reason}. Begin again."
        )


def _members(redirected: str) -> dict[str, str]:
    text = redirected.strip()
    if "://" in text:
        text = urlsplit(text).query
    elif "=" not in text:
        return {"code": text}
    return dict(parse_qsl(text.removeprefix("?")))
