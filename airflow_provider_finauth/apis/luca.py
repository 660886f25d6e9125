"""Luca Regnskap (Norway): accounting by GraphQL.

Facts from Luca's help page "API: Authenticate with OAuth2" unless another source is named. There are three
ways in: a personal API key, bound to one company; the OAuth of that page (``oauth2``), whose token endpoint
answers 200 even when it refuses and whose refresh token stays; and OAuth 2.1 (``oauth21``, Luca's current
sample client) with PKCE and refresh tokens that rotate: a replayed one revokes the whole authorisation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_finauth.apis import reading
from airflow_provider_finauth.auth.authorize import AuthorizationFlow
from airflow_provider_finauth.auth.credentials import (
    Credentials,
    FixedCredentials,
    Refusal,
    RequestStyle,
    standard_refusal,
)
from airflow_provider_finauth.client.paging.base import Pull, Request
from airflow_provider_finauth.client.paging.changes import Changes
from airflow_provider_finauth.client.paging.relay import Relay
from airflow_provider_finauth.client.profile import Profile
from airflow_provider_finauth.exceptions import ConfigurationError
from airflow_provider_finauth.secret import Secret
from airflow_provider_finauth.transport.origins import origin_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_finauth.client.client import ApiClient
    from airflow_provider_finauth.settings import Settings

GRAPHQL_PATH = "/api/v1/graphql"
COMPANIES = """
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


class Luca:
    """What a connection of type ``luca`` makes of Luca's API.

    :param settings: the connection
    :raises ConfigurationError: names the connection's field that is to be mended
    """

    def __init__(self, settings: Settings) -> None:
        self._base = reading.address(settings, "host")
        self._method = settings.text("auth_method")
        self._settings = settings
        self.company_ids = settings.strings("company_ids")
        self.profile = Profile(
            api="luca",
            conn_id=settings.conn_id,
            base_url=self._base,
            credentials=self._credentials(),
            headers={"Accept": "application/json"},
            origins=frozenset({origin_of(self._base)}),
            **reading.conversation(settings),
        )

    @property
    def spans_companies(self) -> bool:
        """Whether a query has to name its company: an OAuth token covers several, a personal key one."""
        return self._method != "api_key"

    def probe(self, client: ApiClient) -> None:
        """Read as little as there is: the id of one company."""
        client.graphql(_PROBE, path=GRAPHQL_PATH)

    def companies(self) -> Pull:
        """Pull the companies that the consent, or the key, covers."""
        return self.nodes(COMPANIES, "companies")

    def nodes(
        self,
        query: str,
        connection_path: str,
        variables: Mapping[str, Any] | None = None,
        *,
        company_id: str | None = None,
        page_size: int | str = _PAGE_SIZE,
        verify: bool | str = False,
    ) -> Pull:
        """Pull the nodes of a Relay connection.

        :param query: a document that declares ``$first: Int`` and ``$after: String``, hands them to the
            connection and asks for its ``pageInfo { hasNextPage endCursor }``; and that declares
            ``$companyId`` if a company is named
        :param connection_path: where the connection lies in ``data``, for example ``saleInvoices``
        :param variables: further variables
        :param company_id: goes out as the variable ``companyId``
        :param page_size: nodes a page, at most 100
        :param verify: walk the ids a second time: Luca's cursors are positions, so a row that comes in
            during the walk shifts the pages behind it
        :raises ConfigurationError: an argument is not of its kind
        """
        for name in ("first", "after", *(["companyId"] if company_id else [])):
            if f"${name}" not in query:
                raise ConfigurationError(
                    f"Argument 'query' must declare the variable ${name} and hand it on: the pull sets it.",
                    field="query",
                )
        size = reading.integer("page_size", page_size, minimum=1)
        if size > _PAGE_SIZE:
            # Whether Luca clamps or refuses more is not documented; clamped, rows would be lost.
            raise ConfigurationError(f"Argument 'page_size' must be at most {_PAGE_SIZE}.", field="page_size")
        own = dict(variables or {}) | ({"companyId": company_id} if company_id else {})
        return Pull(
            request=Request("POST", GRAPHQL_PATH, json={"query": query, "variables": own}),
            paging=Relay(connection_path=connection_path, first=size, verify=reading.flag("verify", verify)),
            key="id",
            resource=connection_path,
            changes=_CHANGES,
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
            authorize_endpoint=reading.address(
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
            token_endpoint=reading.address(settings, "oauth_endpoint", self._base + _TOKEN_PATHS[method]),
            client_id=settings.text("login"),
            client_secret=secret,
            scope=settings.optional("scope") or _SCOPES[method],
            refresh_token=settings.optional_secret("refresh_token"),
            rotates=_ROTATES[method],
            refresh_leeway=_REFRESH_LEEWAY,
            style=RequestStyle(headers={"Accept": "application/json"}),
            default_lifetime=settings.integer("default_lifetime"),
            transport=reading.transport(settings),
            read_refusal=_read_refusal,
            reauthorize=(
                f"Run `finauth authorize {settings.conn_id}`: a person with access to the company has to "
                "give consent on Luca's page."
            ),
        )


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
