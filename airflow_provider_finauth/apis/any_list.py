"""Lists that no module here describes: what the caller knows about their times of change."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_provider_finauth.apis.dates import When, timestamp
from airflow_provider_finauth.client.paging.changes import Changes
from airflow_provider_finauth.client.paging.limit_offset import LimitOffset
from airflow_provider_finauth.client.paging.page_index import PageIndex
from airflow_provider_finauth.client.paging.skip_top import SkipTop
from airflow_provider_finauth.exceptions import ConfigurationError

if TYPE_CHECKING:
    from airflow_provider_finauth.client.paging.base import Pull


def with_changes(
    pull: Pull,
    *,
    since: When | None = None,
    until: When | None = None,
    since_param: str | None = None,
    until_param: str | None = None,
    changed_field: str | None = None,
) -> Pull:
    """Let a pull ask for what has changed between two moments.

    :param pull: described without a time
    :param since: goes out as ``since_param``, as ``2026-01-31T09:00:00Z``
    :param until: goes out as ``until_param``
    :param since_param: the parameter by which the API filters by the time of change
    :param until_param: the parameter for that time's end, which may be counted in or not; without it an
        incremental pull sees to its end here
    :param changed_field: the member that tells when a record changed, with dots: ISO 8601, or a number of
        seconds, milliseconds or microseconds since 1970
    :raises ConfigurationError: a moment is none
    """
    asked = {
        param: timestamp(argument, value)
        for argument, value, param in (("since", since, since_param), ("until", until, until_param))
        if value and param
    }
    changes = (
        Changes(
            fields=(changed_field,),
            filtered=since_param is not None,
            shifts=isinstance(pull.paging, LimitOffset | PageIndex | SkipTop),
        )
        if changed_field
        else Changes(
            why_not="Name the member that tells when a record changed by 'changed_field', and by "
            "'since_param' the parameter by which the API filters by it, if there is one."
        )
    )
    return replace(
        pull,
        request=pull.request.with_params(asked) if asked else pull.request,
        changes=changes,
        version=pull.version or changed_field,
    )


def require_params(
    *, since: When | None, until: When | None, since_param: str | None, until_param: str | None
) -> None:
    """Refuse a time that the API would not be told of: everything would come.

    :raises ConfigurationError: names the parameter that is missing
    """
    for argument, value, param in (("since", since, since_param), ("until", until, until_param)):
        if value and not param:
            raise ConfigurationError(
                f"Argument '{argument}' is set, but not '{argument}_param': the name of the API's parameter "
                "for it.",
                field=f"{argument}_param",
            )
