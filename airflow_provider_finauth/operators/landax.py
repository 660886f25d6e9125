"""The operators of connections of type ``landax``."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_finauth.operators.base import PullOperator, RequestOperator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_finauth.apis.dates import When
    from airflow_provider_finauth.hooks.landax import LandaxHook
    from airflow_provider_finauth.hooks.records import Records


class _Landax:
    """Finds the hook."""

    landax_conn_id: str

    @cached_property
    def hook(self) -> LandaxHook:
        """The hook that does the work."""
        from airflow_provider_finauth.hooks.landax import LandaxHook

        return LandaxHook(self.landax_conn_id)


class LandaxEntitiesOperator(_Landax, PullOperator):
    """Pulls an entity set; see :meth:`.LandaxHook.entities`.

    :param entity_set: for example ``Incidents``
    :param select: names of fields; none means all
    :param filter: an expression in Landax's own filter grammar
    :param expand: names of related entities to include
    :param orderby: names of fields
    :param since: only what has changed since then
    :param until: only what had changed before then
    :param page_size: rows a page, at most 1000
    :param landax_conn_id: a connection of type ``landax``
    """

    template_fields: Sequence[str] = (
        "landax_conn_id",
        "entity_set",
        "select",
        "filter",
        "expand",
        "orderby",
        "since",
        "until",
        "page_size",
        *PullOperator.template_fields,
    )

    def __init__(
        self,
        *,
        entity_set: str,
        select: Sequence[str] | str = (),
        filter: str | None = None,
        expand: Sequence[str] | str = (),
        orderby: Sequence[str] | str = (),
        since: When | None = None,
        until: When | None = None,
        page_size: int | str = 1000,
        landax_conn_id: str = "landax_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.entity_set = entity_set
        self.select = select
        self.filter = filter
        self.expand = expand
        self.orderby = orderby
        self.since = since
        self.until = until
        self.page_size = page_size
        self.landax_conn_id = landax_conn_id

    def records(self) -> Records:
        return self.hook.entities(
            self.entity_set,
            select=self.select,
            filter=self.filter,
            expand=self.expand,
            orderby=self.orderby,
            since=self.since,
            until=self.until,
            page_size=self.page_size,
            limit=self.limit,
        )


class LandaxRequestOperator(_Landax, RequestOperator):
    """Makes one request to a Landax tenant, of any path; see :class:`.RequestOperator`.

    :param landax_conn_id: a connection of type ``landax``
    """

    template_fields: Sequence[str] = ("landax_conn_id", *RequestOperator.template_fields)

    def __init__(self, *, landax_conn_id: str = "landax_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.landax_conn_id = landax_conn_id
