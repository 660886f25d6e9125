"""Landax (Norway): quality, health, safety and environment.

Facts from Landax's page on authentication ("Landax API bruker OAuth-standarden") unless another source is
named: a password login with a JSON body and ``grant_type`` in the query, outside ``/api``; then a refresh
token. Basic has to be opened by Landax.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

from msgspec import Meta

from airflow_provider_finauth import values
from airflow_provider_finauth.apis import profiles
from airflow_provider_finauth.apis.base import Api
from airflow_provider_finauth.apis.resource import Since, Until, resource
from airflow_provider_finauth.apis.windows import Moments, moments
from airflow_provider_finauth.auth.credentials import Credentials, FixedCredentials, RequestStyle
from airflow_provider_finauth.auth.grants import basic_header
from airflow_provider_finauth.client.paging.base import Pull, Request
from airflow_provider_finauth.client.paging.changes import Changes
from airflow_provider_finauth.client.paging.skip_top import SkipTop
from airflow_provider_finauth.client.profile import Profile
from airflow_provider_finauth.exceptions import ConfigurationError
from airflow_provider_finauth.transport.origins import origin_of

if TYPE_CHECKING:
    from airflow_provider_finauth.client.client import ApiClient
    from airflow_provider_finauth.settings import Settings

# The most rows the server gives in one answer, whatever is asked for (seen in public clients).
_CAP = 1000
# Versions from here on were seen with query options without the dollar sign; earlier ones with it.
_PLAIN_NAMES_SINCE = 28
_ENTITY_SET = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*")
_CHANGED = "ChangedDateTime"
Names = Iterable[str] | str


class Landax(Api):
    """What a connection of type ``landax`` makes of Landax's API.

    :param settings: the connection
    :raises ConfigurationError: names the connection's field that is to be corrected
    """

    def __init__(self, settings: Settings) -> None:
        base = profiles.address(settings, "host")
        version = settings.text("api_version").lower().removeprefix("v")
        if not version.isdecimal():
            # "latest" too: it is the last locked version, and not meant for integrations (Landax's API page).
            raise settings.error("api_version", "must be a number, for example 32")
        protocol = settings.text("protocol")
        self._data = f"/{protocol}/v{version}"
        self._names = settings.text("query_names")
        if self._names == "auto":
            plain = protocol == "api" and int(version) >= _PLAIN_NAMES_SINCE
            self._names = "plain" if plain else "dollar"
        self.profile = Profile(
            api="landax",
            conn_id=settings.conn_id,
            base_url=base,
            credentials=_credentials(settings, base),
            # Advised for the OData protocol, unknown to the other (Landax's page on OData).
            headers={"DataServiceVersion": "4.0"} if protocol == "odata" else {},
            origins=frozenset({origin_of(base)}),
            **profiles.conversation(settings),
        )

    def probe(self, client: ApiClient) -> None:
        """Read as little as there is: one row of an entity set that tenants have."""
        client.get_json(f"{self._data}/Departments", params={self._option("top"): 1})

    @resource(
        key="Id",
        version=_CHANGED,
        window=_CHANGED,
        changes=Changes(fields=(_CHANGED,), filtered=True, shifts=True),
    )
    def entities(
        self,
        entity_set: Annotated[str, Meta(description="for example Incidents")],
        *,
        select: Annotated[Names, Meta(description="names of fields; none means all")] = (),
        filter: Annotated[
            str | None, Meta(description="an expression in Landax's own filter grammar")
        ] = None,
        expand: Annotated[Names, Meta(description="names of related entities to include")] = (),
        orderby: Annotated[
            Names, Meta(description="names of fields, each with desc behind it if wanted")
        ] = (),
        since: Since = None,
        until: Until = None,
        page_size: Annotated[int, Meta(ge=1, le=_CAP, description="rows a page")] = _CAP,
    ) -> Pull:
        """Pull an entity set."""
        window = moments(since, until)
        conditions = [f"({filter})" if window != Moments(None, None) else filter] if filter else []
        if window.since_text:
            conditions.append(f"{_CHANGED} ge {window.since_text}")
        if window.until_text:
            conditions.append(f"{_CHANGED} lt {window.until_text}")
        params: dict[str, Any] = {
            self._option("select"): ",".join(select) or None,
            self._option("filter"): " and ".join(conditions) or None,
            self._option("expand"): ",".join(expand) or None,
            self._option("orderby"): ",".join(orderby) or None,
        }
        return Pull(
            request=Request("GET", f"{self._data}/{_entity_set(entity_set)}", params=params),
            paging=SkipTop(
                skip_param="from" if self._names == "from_count" else self._option("skip"),
                top_param="count" if self._names == "from_count" else self._option("top"),
                size=page_size,
                cap=_CAP,
                # Whatever the version: a client that looks for one of them stops after a page, in silence.
                next_link_keys=("@odata.nextLink", "nextLink"),
            ),
            records_path="value",
            total="@odata.count",
            resource=entity_set,
            changes=_not_told(select),
        )

    def entity_path(self, entity_set: str, id: int | str) -> str:
        """Return the path of one entity.

        :raises ConfigurationError: an argument is not of its kind
        """
        name = quote(values.argument("id", values.string, str(id)), safe="'")
        return f"{self._data}/{_entity_set(entity_set)}({name})"

    @staticmethod
    def read_entity(body: Any) -> Any:
        """Take the row out of an answer: some versions wrap it in ``value``, others do not."""
        if isinstance(body, Mapping) and isinstance(wrapped := body.get("value"), Mapping | list):
            return (wrapped[0] if wrapped else None) if isinstance(wrapped, list) else wrapped
        return body

    def _option(self, name: str) -> str:
        return f"${name}" if self._names == "dollar" else name


def _credentials(settings: Settings, base: str) -> Credentials | FixedCredentials:
    user, password = settings.text("login"), settings.secret("password")
    if settings.text("auth_method") == "basic":
        # UTF-8, so that a name like "Øyvind" logs in.
        return FixedCredentials(settings.conn_id, basic_header(user, password))
    return Credentials(
        conn_id=settings.conn_id,
        api="landax",
        grant="password",
        token_endpoint=f"{base}/authenticate/token",
        client_id=settings.text("client_id"),
        client_secret=settings.secret("client_secret"),
        username=user,
        password=password,
        uses_refresh_token=True,
        rotates=False,
        style=RequestStyle(body="json", grant_type_in="query"),
        default_lifetime=settings.integer("default_lifetime"),
        transport=profiles.transport(settings),
        field_names={
            "token_endpoint": "host",
            "client_id": "client_id",
            "client_secret": "client_secret",
            "username": "login",
            "password": "password",
        },
    )


def _entity_set(name: str) -> str:
    if not isinstance(name, str) or not _ENTITY_SET.fullmatch(name):
        raise ConfigurationError(
            f"Argument 'entity_set' must be a name like Incidents, not {name!r}.", field="entity_set"
        )
    return name


def _not_told(select: Iterable[str]) -> Changes | None:
    """Explain why the chosen fields do not tell what is new; None where they do."""
    chosen = list(select)
    if chosen and _CHANGED not in chosen:
        return Changes(why_not=f"Argument 'select' leaves out {_CHANGED}, which tells what is new: add it.")
    return None
