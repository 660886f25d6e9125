"""Luca's OAuth as its help page describes it: no ``state``, no PKCE, and a refusal that is 200."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_finauth.sandbox import credentials
from airflow_provider_finauth.sandbox.answer import Answer, Refusal
from airflow_provider_finauth.sandbox.call import Call, check_members
from airflow_provider_finauth.sandbox.consent import is_loopback, redirect
from airflow_provider_finauth.sandbox.luca_consent import label

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_finauth.sandbox.luca_consent import LucaConsent

CLIENT = (credentials.LUCA_CLIENT, credentials.LUCA_SECRET)


class LegacyFlow:
    """The first OAuth."""

    def __init__(self, consent: LucaConsent) -> None:
        self._consent = consent
        self._office = consent.office
        self._settings = consent.settings

    def endpoints(self) -> Iterator[tuple[str, str, str, Callable[[Call], Answer]]]:
        """As :meth:`Api.endpoints`."""
        yield "other", "GET", "/api/v1/oauth2/authorize", self.authorize
        for version in ("v1", "v2"):
            yield "token", "POST", f"/api/{version}/oauth2/token", self.token

    def authorize(self, call: Call) -> Answer:
        """The consent page of the help article; it knows no ``state``."""
        known = ("client_id", "redirect_uri", "response_type", "scope", "organisation_number", "locale")
        asked = dict(call.query)
        unknown = [name for name in asked if name not in known]
        wrong = (
            (bool(unknown), f"unknown parameter {', '.join(unknown)}"),
            (asked.get("client_id") != CLIENT[0], "client_id is not known"),
            (asked.get("response_type") != "code", "response_type must be code"),
            (asked.get("scope") != "accounting", "scope must be accounting"),
            (not is_loopback(asked.get("redirect_uri")), "redirect_uri is not registered"),
            (asked.get("locale", "nb") not in ("nb", "en"), "locale must be nb or en"),
            (not asked.get("organisation_number", "9").isdigit(), "organisation_number must be a number"),
        )
        for is_wrong, sentence in wrong:
            if is_wrong:
                raise Refusal(400, sentence, content_type="text/plain; charset=utf-8")
        target = asked["redirect_uri"]
        grant = self._consent.grant(
            "accounting", asked.get("organisation_number"), redirect_uri=target, flow="legacy"
        )
        if self._settings["deny"] or not grant.details["companies"]:
            return redirect(target, error="access_denied")
        code = self._office.new_code(grant, self._settings["code_lifetime"])
        return redirect(target, code=code.value, scope="accounting")

    def token(self, call: Call) -> Answer:
        """Exchange or refresh; a refusal is 200, too."""
        try:
            if call.query:
                raise ValueError("no query is expected")
            members = call.form()
            kind = members.get("grant_type")
            if kind not in ("authorization_code", "refresh_token"):
                raise ValueError("grant_type is not supported")
            needed = ("code",) if kind == "authorization_code" else ("refresh_token",)
            optional = ("redirect_uri",) if kind == "authorization_code" else ()
            check_members(members, ("grant_type", "client_id", "client_secret", *needed), optional)
            if (members["client_id"], members["client_secret"]) != CLIENT:
                raise ValueError("client is not known")
            if kind == "authorization_code":
                code = self._office.codes.pop(members["code"], None)
                if code is None or not code.good or code.grant.details["flow"] != "legacy":
                    raise ValueError("code is not valid")
                expected = code.grant.details["redirect_uri"]
                if members.get("redirect_uri", expected) != expected:
                    raise ValueError("redirect_uri is not that of the code")
                refresh = self._office.new_refresh(code.grant)
            else:
                known = self._office.refresh.get(members["refresh_token"])
                if known is None or not known.good or known.grant.details["flow"] != "legacy":
                    raise ValueError("refresh_token is not valid")
                refresh = known
        except ValueError as error:
            body: dict[str, Any] = {"status": "error", "error_descriptions": [str(error)]}
        else:
            lifetime = self._settings["expires_in"]
            body = {
                "status": "ok",
                "access_token": self._office.new_access(refresh.grant, lifetime).value,
                # The same one for ever.
                "refresh_token": refresh.value,
                "token_type": "bearer",
                "expires_in": str(lifetime),
            }
        return Answer(body=body, content_type=label(call))
