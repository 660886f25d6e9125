"""Luca Regnskap: a personal key, the OAuth of its help page, and its OAuth 2.1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_finauth.sandbox import credentials
from airflow_provider_finauth.sandbox.answer import Answer, Refusal
from airflow_provider_finauth.sandbox.api import Api
from airflow_provider_finauth.sandbox.luca_consent import LucaConsent, label
from airflow_provider_finauth.sandbox.luca_data import GROWING
from airflow_provider_finauth.sandbox.luca_graphql import Visitor, answer
from airflow_provider_finauth.sandbox.luca_legacy import LegacyFlow
from airflow_provider_finauth.sandbox.luca_oauth21 import RESOURCE_METADATA, OAuth21Flow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_finauth.sandbox.call import Call


class Luca(Api):
    """Luca.

    Settings: ``deny`` lets the person refuse; ``consent_companies`` are the positions (0, 1, 2) of the
    companies ticked, all if empty; ``grant_scope`` narrows what is granted; ``code_lifetime``;
    ``refresh_leeway`` is the time in seconds for which a spent refresh token is forgiven;
    ``refresh_ends_access`` whether a refresh ends the old access token (both OAuth 2.1); ``over_max`` is
    whether ``first`` above 100 is ``clamp`` or ``refuse``.
    """

    name = "luca"
    prefix = "/luca"
    defaults: ClassVar[dict[str, Any]] = {
        "expires_in": 3600,
        "deny": False,
        "consent_companies": [],
        "grant_scope": "",
        "code_lifetime": 600,
        "refresh_leeway": 0,
        "refresh_ends_access": True,
        "over_max": "clamp",
    }
    growing = GROWING
    largest = ("saleInvoices/0",)

    def __init__(self, control: Any) -> None:
        super().__init__(control)
        consent = LucaConsent(self.office, self.settings)
        self._legacy = LegacyFlow(consent)
        self._oauth21 = OAuth21Flow(consent, control)

    def endpoints(self) -> Iterator[tuple[str, str, str, Callable[[Call], Answer]]]:
        yield from self._legacy.endpoints()
        yield from self._oauth21.endpoints()
        yield "api", "POST", "/api/v1/graphql", self.graphql

    def _visitor(self, call: Call) -> Visitor:
        refuse = self.settings["over_max"] == "refuse"
        authorization = call.headers.get("authorization")
        if authorization == f"Bearer {credentials.LUCA_API_KEY}":
            return Visitor([0], 0, True, refuse)
        token = self.office.bearer(authorization)
        if token is None:
            metadata = f"{call.origin}{self.prefix}{RESOURCE_METADATA}"
            raise Refusal(
                401,
                {"errors": [{"message": "Sign in first", "extensions": {"code": "UNAUTHENTICATED"}}]},
                headers={"WWW-Authenticate": f'Bearer resource_metadata="{metadata}"'},
                content_type=label(call),
            )
        scopes = token.grant.scope.split()
        may_write = "accounting.write" in scopes or "accounting" in scopes
        return Visitor(token.grant.details["companies"], None, may_write, refuse)

    def graphql(self, call: Call) -> Answer:
        """A document; the answer is labelled HTML unless JSON is asked for."""
        visitor = self._visitor(call)
        fault = call.fault
        if fault is not None and fault.kind == "graphql_error":
            extensions: dict[str, Any] = {"code": fault.code or "INTERNAL_SERVER_ERROR"}
            if fault.retryAfter is not None:
                extensions["retryAfter"] = fault.retryAfter
            body: dict[str, Any] = {"errors": [{"message": "Told to fail", "extensions": extensions}]}
            return Answer(fault.status or 200, body, content_type=label(call))
        if fault is not None and fault.kind == "insert_row":
            visitor.arriving = fault.rows
        try:
            members = call.json_object()
            if not isinstance(members.get("query"), str):
                raise ValueError("query must be text")
            if not isinstance(members.get("variables") or {}, dict):
                raise ValueError("variables must be an object")
        except ValueError as error:
            refusal = {"errors": [{"message": str(error), "extensions": {"code": "BAD_REQUEST"}}]}
            raise Refusal(400, refusal, content_type=label(call)) from None
        body = answer(visitor, members["query"], members.get("variables"), members.get("operationName"))
        return Answer(body=body, content_type=label(call), rows=visitor.served, keys=list(visitor.served))
