"""Luca Regnskap (Norway): accounting by GraphQL.

Facts from Luca's help page "API: Authenticate with OAuth2" unless another source is named. There are three
ways in: a personal API key, bound to one company; the OAuth of that page (``oauth2``), whose token endpoint
answers 200 even when it refuses and whose refresh token stays; and OAuth 2.1 (``oauth21``, Luca's current
sample client) with PKCE and refresh tokens that rotate: a replayed one revokes the whole authorisation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta

from airflow_provider_finauth.apis import profiles
from airflow_provider_finauth.apis.base import Api
from airflow_provider_finauth.apis.resource import RecordField, resource
from airflow_provider_finauth.auth.authorize import AuthorizationFlow
from airflow_provider_finauth.auth.credentials import (
    Credentials,
    FixedCredentials,
    Refusal,
    RequestStyle,
    standard_refusal,
)
from airflow_provider_finauth.client.bodies import encode_json
from airflow_provider_finauth.client.paging.base import Pull, Read, Request
from airflow_provider_finauth.client.paging.changes import Changes
from airflow_provider_finauth.client.paging.relay import Relay
from airflow_provider_finauth.client.paging.rows import Rows
from airflow_provider_finauth.client.profile import Profile
from airflow_provider_finauth.exceptions import ConfigurationError
from airflow_provider_finauth.secret import Secret
from airflow_provider_finauth.transport.origins import origin_of

if TYPE_CHECKING:
    from airflow_provider_finauth.client.client import ApiClient
    from airflow_provider_finauth.settings import Settings

_GRAPHQL_PATH = "/api/v1/graphql"
_COMPANIES = """
query Companies($first: Int, $after: String) {
  companies(first: $first, after: $after) {
    nodes { id name organisationNumber }
    pageInfo { hasNextPage endCursor }
  }
}
"""
_PROBE = "{ companies(first: 1) { nodes { id } } }"

# The most nodes of a page (Luca's help page on paging).
_PAGE_SIZE = 100

_CHANGES = Changes(
    why_not="Luca's API has no filter by time of change. Pull the whole list and merge it by id: it is "
    "walked to its end, and 'verify' finds what shifted meanwhile."
)

_TOKEN_PATHS = {"oauth2": "/api/v2/oauth2/token", "oauth21": "/oauth/token"}
_AUTHORIZE_PATHS = {"oauth2": "/api/v1/oauth2/authorize", "oauth21": "/oauth/authorize"}
# The older server gives the same refresh token back with each renewal. The newer one gives another, and
# revokes the whole authorisation when it sees one twice (README of Luca's sample client); of a time in which
# it would not, none of Luca's pages speaks.
_ROTATES = {"oauth2": False, "oauth21": True}
_REFRESH_LEEWAY = 0.0
_SCOPES = {"oauth2": "accounting", "oauth21": "accounting.read"}
# The sample client looks for the reason under each of these.
_REFUSAL_MEMBERS = ("error_descriptions", "errors_descriptions", "errors", "error_description", "error")


class Luca(Api):
    """What a connection of type ``luca`` makes of Luca's API.

    :param settings: the connection
    :raises ConfigurationError: names the connection's field that is to be corrected
    """

    graphql_path = _GRAPHQL_PATH

    def __init__(self, settings: Settings) -> None:
        self._base = profiles.address(settings, "host")
        self._method = settings.text("auth_method")
        self._settings = settings
        self._company_ids = settings.strings("company_ids")
        self.profile = Profile(
            api="luca",
            conn_id=settings.conn_id,
            base_url=self._base,
            credentials=self._credentials(),
            headers={"Accept": "application/json"},
            origins=frozenset({origin_of(self._base)}),
            **profiles.conversation(settings),
        )

    def probe(self, client: ApiClient) -> None:
        """Read as little as there is: the id of one company."""
        client.graphql(_PROBE, path=_GRAPHQL_PATH)

    @resource(
        key="id",
        changes=_CHANGES,
        fields=(
            RecordField("id", "string"),
            RecordField("name", "string"),
            RecordField("organisationNumber", "integer"),
        ),
    )
    def companies(self) -> Pull:
        """Pull the companies that the consent, or the key, covers."""
        return self._connection(_COMPANIES, "companies", {}, _PAGE_SIZE)

    @resource(key="id", changes=_CHANGES)
    def nodes(
        self,
        query: Annotated[
            str,
            Meta(
                description="a GraphQL document that declares $first: Int and $after: String, hands them "
                "to the connection and asks for its pageInfo { hasNextPage endCursor }; and "
                "that declares $companyId where a company is named",
                extra={"renderer": "graphql", "extension": ".graphql"},
            ),
        ],
        connection_path: Annotated[
            str, Meta(description="where the connection lies in data, for example saleInvoices")
        ],
        variables: Annotated[
            Mapping[str, Any] | None, Meta(description="further variables", extra={"renderer": "json"})
        ] = None,
        *,
        company_ids: Annotated[
            Iterable[str | int] | str | None,
            Meta(
                description="ids or organisation numbers; without them the connection's field, and if that "
                "is empty all companies that the consent covers. A personal API key needs "
                "none, it is bound to one"
            ),
        ] = None,
        page_size: Annotated[int, Meta(ge=1, le=_PAGE_SIZE, description="nodes a page")] = _PAGE_SIZE,
        verify: Annotated[
            bool,
            Meta(
                description="walk the ids a second time: Luca's cursors are positions, so a row that comes "
                "in during the walk shifts the pages behind it"
            ),
        ] = False,
    ) -> Pull:
        """Walk a Relay connection, for one or several companies.

        A node of a walk over several companies gets the member ``companyId``, unless the query asks for one.
        """
        chosen = list(dict.fromkeys(map(str, company_ids or ())))
        for name in ("first", "after", *(["companyId"] if chosen else [])):
            if not _declares(query, name):
                raise ConfigurationError(
                    f"Argument 'query' must declare the variable ${name} and hand it on: the pull sets it.",
                    field="query",
                )
        own = dict(variables or {})
        pull = self._connection(query, connection_path, own, page_size, verify=verify)
        companies = chosen or list(self._company_ids)
        if not companies and self._method == "api_key":
            return pull

        def of_company(company: str) -> Pull:
            if not _declares(query, "companyId"):
                raise ConfigurationError(
                    "Argument 'query' must declare the variable $companyId and hand it on: the pull sets it.",
                    field="query",
                )
            named = self._connection(
                query, connection_path, {**own, "companyId": company}, page_size, verify=verify
            )
            return replace(
                named, key="id", changes=_CHANGES, relabel=partial(nodes_of_company, company=company)
            )

        def parts(read: Read) -> Iterator[Pull]:
            # An OAuth token covers several companies, a personal key one.
            for company in dict.fromkeys(companies) or [str(each["id"]) for each in read(self.companies())]:
                yield of_company(company)

        return replace(pull, parts=parts)

    def _connection(
        self, query: str, path: str, variables: dict[str, Any], page_size: int, *, verify: bool = False
    ) -> Pull:
        return Pull(
            request=Request("POST", _GRAPHQL_PATH, json={"query": query, "variables": variables}),
            paging=Relay(connection_path=path, first=page_size, verify=verify),
            resource=path,
        )

    def authorization_flow(self, redirect_uri: str) -> AuthorizationFlow:
        """Begin what a person has to consent to.

        :param redirect_uri: as registered with the application
        :raises ConfigurationError: the connection uses a personal API key
        """
        credentials = self.profile.credentials
        if isinstance(credentials, FixedCredentials):
            raise self._settings.error("auth_method", "is api_key, which needs no authorisation")
        modern = self._method == "oauth21"
        parameters = {
            "organisation_number": self._settings.optional("organisation_number"),
            "locale": self._settings.optional("locale"),
        }
        return AuthorizationFlow(
            authorize_endpoint=profiles.address(
                self._settings, "authorize_endpoint", self._base + _AUTHORIZE_PATHS[self._method]
            ),
            credentials=credentials,
            redirect_uri=redirect_uri,
            # The older server accepts no state (Luca's sample client), and its exchange has no redirect_uri.
            pkce=modern,
            state=modern,
            send_redirect_uri=modern,
            parameters={name: value for name, value in parameters.items() if value},
            metadata_url=f"{self._base}/.well-known/oauth-authorization-server" if modern else None,
        )

    def _credentials(self) -> Credentials | FixedCredentials:
        settings, method = self._settings, self._method
        secret = settings.secret("password")
        if method == "api_key":
            return FixedCredentials(settings.conn_id, Secret(f"Bearer {secret.reveal()}"))
        return Credentials(
            conn_id=settings.conn_id,
            api="luca",
            grant="authorization_code",
            token_endpoint=profiles.address(settings, "oauth_endpoint", self._base + _TOKEN_PATHS[method]),
            client_id=settings.text("login"),
            client_secret=secret,
            scope=settings.optional("scope") or _SCOPES[method],
            refresh_token=settings.optional_secret("refresh_token"),
            rotates=_ROTATES[method],
            refresh_leeway=_REFRESH_LEEWAY,
            style=RequestStyle(headers={"Accept": "application/json"}),
            default_lifetime=settings.integer("default_lifetime"),
            transport=profiles.transport(settings),
            read_refusal=_read_refusal,
            reauthorize=(
                f"Run `finauth authorize {settings.conn_id}`: a person with access to the company has to "
                "give consent on Luca's page."
            ),
        )


def _declares(query: str, variable: str) -> bool:
    return re.search(rf"\${variable}\b", query) is not None


def nodes_of_company(rows: Rows, company: str) -> Rows:
    """Add to each node whose it is, unless it says so itself; nothing else of its text is touched."""
    return Rows([_with_company(bytes(text), company) for text in rows.texts])


def _with_company(node: bytes, company: str) -> bytes:
    if b'"companyId"' in node:
        return encode_json({"companyId": company, **Rows([node]).records[0]})
    members = node.removeprefix(b"{").lstrip()
    if members == node:
        # A null, in the place of a node that could not be read.
        return node
    comma = b"" if members.startswith(b"}") else b","
    return b'{"companyId":' + encode_json(company) + comma + members


def _read_refusal(status: int, body: Mapping[str, Any]) -> Refusal | None:
    """Read the older server's refusals, which come with 200 and no code that RFC 6749 knows."""
    standard = standard_refusal(status, body)
    if standard is not None and (standard.code or status >= 400):
        return standard
    if "access_token" in body:
        return None
    for member in _REFUSAL_MEMBERS:
        reason = body.get(member)
        if reason:
            words = reason if isinstance(reason, str) else "; ".join(map(str, reason))
            return Refusal(code="invalid_grant", description=words)
    return None
