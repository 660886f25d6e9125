"""Luca's OAuth 2.1: discovery, PKCE, and refresh tokens that serve once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from airflow_provider_finauth.sandbox import credentials
from airflow_provider_finauth.sandbox.answer import Answer, Refusal
from airflow_provider_finauth.sandbox.call import Call, check_members
from airflow_provider_finauth.sandbox.consent import is_loopback, redirect
from airflow_provider_finauth.sandbox.tokens import Grant, Token, basic_matches, s256

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_finauth.sandbox.control import Control
    from airflow_provider_finauth.sandbox.luca_consent import LucaConsent

CLIENT = (credentials.LUCA21_CLIENT, credentials.LUCA21_SECRET)
SCOPES = ("accounting.read", "accounting.write")
RESOURCE_METADATA = "/.well-known/oauth-protected-resource"
PREFIX = "/luca"


class OAuth21Flow:
    """The second OAuth."""

    def __init__(self, consent: LucaConsent, control: Control) -> None:
        self._consent = consent
        self._control = control
        self._office = consent.office
        self._settings = consent.settings

    def endpoints(self) -> Iterator[tuple[str, str, str, Callable[[Call], Answer]]]:
        """As :meth:`Api.endpoints`."""
        yield "other", "GET", "/.well-known/oauth-authorization-server", self.server_metadata
        yield "other", "GET", RESOURCE_METADATA, self.resource_metadata
        yield "other", "GET", "/oauth/authorize", self.authorize
        yield "token", "POST", "/oauth/token", self.token
        yield "other", "POST", "/oauth/revoke", self.revoke
        yield "other", "POST", "/oauth/introspect", self.introspect

    def authorize(self, call: Call) -> Answer:
        """The consent page of OAuth 2.1: PKCE and ``state`` are needed, ``iss`` comes back."""
        asked = dict(call.query)
        target = asked.get("redirect_uri", "")
        if asked.get("client_id") != CLIENT[0] or not is_loopback(target):
            # RFC 6749, 4.1.2.1: without a trusted client and address nobody is sent back.
            raise Refusal(400, "client_id or redirect_uri is not known", content_type="text/plain")
        state, issuer = asked.get("state"), f"{call.origin}{PREFIX}"

        def back(error: str) -> Answer:
            return redirect(target, error=error, state=state, iss=issuer)

        scope = asked.get("scope") or SCOPES[0]
        challenge = asked.get("code_challenge")
        if not challenge or asked.get("code_challenge_method") != "S256" or not state:
            return back("invalid_request")
        if asked.get("response_type") != "code":
            return back("unsupported_response_type")
        if not set(scope.split()) <= set(SCOPES):
            return back("invalid_scope")
        narrowed = self._settings["grant_scope"] or scope
        number = asked.get("organisation_number")
        grant = self._consent.grant(
            narrowed, number, redirect_uri=target, challenge=challenge, flow="oauth21"
        )
        if self._settings["deny"] or not grant.details["companies"]:
            return back("access_denied")
        code = self._office.new_code(grant, self._settings["code_lifetime"])
        return redirect(target, code=code.value, state=state, iss=issuer)

    def server_metadata(self, call: Call) -> Answer:
        """RFC 8414."""
        issuer = f"{call.origin}{PREFIX}"
        return Answer(
            body={
                "issuer": issuer,
                "authorization_endpoint": f"{issuer}/oauth/authorize",
                "token_endpoint": f"{issuer}/oauth/token",
                "revocation_endpoint": f"{issuer}/oauth/revoke",
                "introspection_endpoint": f"{issuer}/oauth/introspect",
                "scopes_supported": list(SCOPES),
                "response_types_supported": ["code"],
                "grant_types_supported": ["authorization_code", "refresh_token"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
                "code_challenge_methods_supported": ["S256"],
                "authorization_response_iss_parameter_supported": True,
            }
        )

    def resource_metadata(self, call: Call) -> Answer:
        """RFC 9728."""
        issuer = f"{call.origin}{PREFIX}"
        return Answer(body={"resource": issuer, "authorization_servers": [issuer]})

    def _client(self, call: Call, members: dict[str, str], status: int = 401) -> None:
        authorization = call.headers.get("authorization")
        given = (members.get("client_id"), members.get("client_secret"))
        if given == CLIENT and authorization is None:
            return
        if basic_matches(authorization, *CLIENT) and given in ((None, None), (CLIENT[0], None)):
            return
        body = {"error": "invalid_client", "error_description": "Client authentication failed"}
        raise Refusal(status, body, headers={"WWW-Authenticate": 'Basic realm="luca"'})

    def token(self, call: Call) -> Answer:
        """Exchange or refresh; the client authenticates on each call."""
        try:
            if call.query:
                raise ValueError("no query is expected")
            members = call.form()
            self._client(call, members)
            kind = members.get("grant_type")
            known = {
                "authorization_code": ("code", "redirect_uri", "code_verifier"),
                "refresh_token": ("refresh_token",),
            }
            if kind not in known:
                raise Refusal(400, {"error": "unsupported_grant_type"})
            check_members(members, ("grant_type", *known[kind]), ("client_id", "client_secret", "scope"))
        except ValueError as error:
            raise Refusal(400, {"error": "invalid_request", "error_description": str(error)}) from None
        if kind == "refresh_token":
            grant = self._spend(members["refresh_token"])
            wished = members.get("scope")
            if wished is not None and not set(wished.split()) <= set(grant.scope.split()):
                raise Refusal(400, {"error": "invalid_scope"})
        else:
            grant = self._redeem(members)
        lifetime = self._settings["expires_in"]
        access = self._office.new_access(grant, lifetime)
        refresh = self._office.new_refresh(grant)
        refresh.partner = access
        return Answer(
            body={
                "access_token": access.value,
                "token_type": "Bearer",
                "expires_in": lifetime,
                "refresh_token": refresh.value,
                "scope": grant.scope,
            },
            headers={"Cache-Control": "no-store"},
        )

    @staticmethod
    def _invalid_grant(sentence: str) -> Refusal:
        return Refusal(400, {"error": "invalid_grant", "error_description": sentence})

    def _redeem(self, members: dict[str, str]) -> Grant:
        code = self._office.codes.pop(members["code"], None)
        if code is None or not code.good or code.grant.details["flow"] != "oauth21":
            raise self._invalid_grant("The code is not valid")
        details = code.grant.details
        if details["redirect_uri"] != members["redirect_uri"]:
            raise self._invalid_grant("The redirect_uri is not that of the code")
        if details["challenge"] != s256(members["code_verifier"]):
            raise self._invalid_grant("The code_verifier does not fit")
        return code.grant

    def _spend(self, value: str) -> Grant:
        """Use a refresh token up. Who comes with a used one loses the whole authorisation."""
        token: Token | None = self._office.refresh.get(value)
        if token is None or token.grant.details["flow"] != "oauth21":
            raise self._invalid_grant("The refresh token is not known")
        now = time.monotonic()
        if token.used_at is not None and now - token.used_at > self._settings["refresh_leeway"]:
            self._control.stats["luca"].replays += 1
            token.grant.revoked = True
        if not token.good:
            raise self._invalid_grant("The refresh token was used before, or revoked")
        token.used_at = token.used_at or now
        if token.partner is not None and self._settings["refresh_ends_access"]:
            token.partner.revoked = True
        return token.grant

    def _named_token(self, call: Call, status: int) -> Token | None:
        try:
            members = call.form()
        except ValueError as error:
            raise Refusal(400, {"error": "invalid_request", "error_description": str(error)}) from None
        self._client(call, members, status)
        value = members.get("token", "")
        return self._office.refresh.get(value) or self._office.access.get(value)

    def revoke(self, call: Call) -> Answer:
        """RFC 7009. Without the secret it is 403, and the token lives on."""
        token = self._named_token(call, 403)
        if token is not None:
            token.revoked = True
            if token.value in self._office.refresh:
                token.grant.revoked = True
        return Answer(body={})

    def introspect(self, call: Call) -> Answer:
        """RFC 7662."""
        token = self._named_token(call, 401)
        if token is None or not token.good or token.used_at is not None:
            return Answer(body={"active": False})
        return Answer(body={"active": True, "scope": token.grant.scope, "client_id": CLIENT[0]})
