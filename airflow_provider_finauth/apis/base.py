"""What every API has: a profile, a cheap read, and lists of any path."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from msgspec import Meta

from airflow_provider_finauth.apis.resource import Since, Until, resource
from airflow_provider_finauth.apis.windows import moments
from airflow_provider_finauth.client.paging.base import Pull
from airflow_provider_finauth.client.paging.changes import Changes
from airflow_provider_finauth.client.paging.limit_offset import LimitOffset
from airflow_provider_finauth.client.paging.named import PagingName, pull_of
from airflow_provider_finauth.client.paging.page_index import PageIndex
from airflow_provider_finauth.client.paging.skip_top import SkipTop
from airflow_provider_finauth.exceptions import ConfigurationError

if TYPE_CHECKING:
    from airflow_provider_finauth.client.client import ApiClient
    from airflow_provider_finauth.client.profile import Profile
    from airflow_provider_finauth.settings import Settings


class Api(ABC):
    """What a connection makes of an API: its profile, and its resources as methods.

    :param settings: the connection
    :raises ConfigurationError: names the connection's field that is to be corrected
    """

    # Where GraphQL documents go, for an API that speaks it.
    graphql_path: ClassVar[str | None] = None

    profile: Profile

    @abstractmethod
    def __init__(self, settings: Settings) -> None: ...

    @abstractmethod
    def probe(self, client: ApiClient) -> None:
        """Make one cheap read, for the connection test.

        :raises FinauthError: the API does not take the credentials
        """

    @resource()
    def records(
        self,
        path: Annotated[
            str,
            Meta(description="below the connection's address, or the whole address of one of its origins"),
        ],
        *,
        query: Annotated[Mapping[str, Any] | None, Meta(description="parameters of the query")] = None,
        paging: Annotated[PagingName, Meta(description="how the API divides the list into pages")] = "none",
        paging_options: Annotated[
            Mapping[str, Any] | None,
            Meta(description="what that paging takes; see docs/pulling.md"),
        ] = None,
        since: Annotated[
            Since, Meta(description="the first moment wanted, by the time of change; goes out as since_param")
        ] = None,
        until: Annotated[
            Until,
            Meta(
                description="the first moment no longer wanted; goes out as until_param, and the records' "
                "own changed_field decides"
            ),
        ] = None,
        since_param: Annotated[
            str | None, Meta(description="the parameter by which the API filters by the time of change")
        ] = None,
        until_param: Annotated[str | None, Meta(description="the parameter for that time's end")] = None,
        changed_field: Annotated[
            str | None,
            Meta(
                description="the member that tells when a record changed, with dots, as ISO 8601 or as "
                "seconds, milliseconds or microseconds since 1970: the list can be pulled "
                "incrementally then"
            ),
        ] = None,
        records_path: Annotated[
            str | None, Meta(description="where the list lies in the response, such as result.items")
        ] = None,
        key: Annotated[
            str | None, Meta(description="the member that names a record, for the guards against lost rows")
        ] = None,
        total: Annotated[
            str | None, Meta(description="where the response tells the number of all records")
        ] = None,
        method: Annotated[str, Meta(description="the HTTP method")] = "GET",
        json: Annotated[Any, Meta(description="the body, as JSON")] = None,
        headers: Annotated[Mapping[str, str] | None, Meta(description="further headers")] = None,
        idempotent: Annotated[
            bool | None,
            Meta(description="whether a request other than a GET may be repeated when its response is lost"),
        ] = None,
    ) -> Pull:
        """Pull a list of any path.

        Without ``since_param`` an incremental pull reads all of the list and keeps what is new. How the API
        counts the moment ``until_param`` names is not known, so ``until`` needs ``changed_field``.
        """
        pull = pull_of(
            path,
            query=query,
            paging=paging,
            paging_options=paging_options,
            records_path=records_path,
            key=key,
            total=total,
            method=method,
            json=json,
            headers=headers,
            idempotent=idempotent,
        )
        for argument, value, param in (("since", since, since_param), ("until", until, until_param)):
            if value is not None and not param:
                # Everything would come, as if nothing had been asked for.
                raise ConfigurationError(
                    f"Argument '{argument}' is set, but not '{argument}_param': the name of the API's "
                    "parameter for it.",
                    field=f"{argument}_param",
                )
        if until is not None and not changed_field:
            raise ConfigurationError(
                "Argument 'until' is set, but not 'changed_field': the member that tells when a record "
                "changed. Whether the API counts that moment in is not known, and the records' own time "
                "decides.",
                field="changed_field",
            )
        if paging == "relay" and not (isinstance(json, Mapping) and isinstance(json.get("query"), str)):
            raise ConfigurationError(
                "Argument 'json' must be an object whose member 'query' is the GraphQL document, as "
                "paging='relay' needs it.",
                field="json",
            )
        window = moments(since, until)
        # Whether the API knows anything finer is not known; the records' own time decides.
        wide = window.in_whole_seconds if changed_field else window
        asked = {
            param: text
            for param, text in ((since_param, wide.since_text), (until_param, wide.until_text))
            if param and text
        }
        return replace(
            pull,
            request=pull.request.with_params(asked) if asked else pull.request,
            cut=window.cut_by(changed_field) if changed_field else None,
            changes=_changes(pull, changed_field, since_param, until_param),
            version=pull.version or changed_field,
        )


def _changes(
    pull: Pull, changed_field: str | None, since_param: str | None, until_param: str | None
) -> Changes:
    if changed_field is None:
        return Changes(
            why_not="Name the member that tells when a record changed by 'changed_field', and by "
            "'since_param' the parameter by which the API filters by it, if there is one."
        )
    return Changes(
        fields=(changed_field,),
        filtered=since_param is not None,
        # Without a parameter for it no end can be asked for, either.
        shifts=until_param is None or isinstance(pull.paging, LimitOffset | PageIndex | SkipTop),
    )
