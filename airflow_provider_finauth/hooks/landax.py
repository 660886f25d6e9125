"""The hook of connections of type ``landax``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_finauth.apis.landax import Landax
from airflow_provider_finauth.apis.reading import several
from airflow_provider_finauth.hooks.base import FinauthHook
from airflow_provider_finauth.runtime.errors import airflow_errors

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_finauth.apis.dates import When
    from airflow_provider_finauth.client.paging.base import Pull
    from airflow_provider_finauth.hooks.records import Records


class LandaxHook(FinauthHook[Landax]):
    """Talks to a Landax tenant.

    :param landax_conn_id: a connection of type ``landax``
    """

    conn_name_attr = "landax_conn_id"
    default_conn_name = "landax_default"
    conn_type = "landax"
    hook_name = "Landax"
    api_class = Landax

    def __init__(self, landax_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(landax_conn_id, **kwargs)

    def entities(
        self,
        entity_set: str,
        *,
        select: Iterable[str] | str = (),
        filter: str | None = None,
        expand: Iterable[str] | str = (),
        orderby: Iterable[str] | str = (),
        since: When | None = None,
        until: When | None = None,
        page_size: int | str = 1000,
        limit: int | str | None = None,
    ) -> Records:
        """Pull an entity set, for example ``Incidents``; see :meth:`.apis.landax.Landax.entities`.

        :param limit: stop after so many
        """
        select, expand, orderby = several(select), several(expand), several(orderby)

        def describe(since: When | None, until: When | None) -> Pull:
            return self.api.entities(
                entity_set,
                select=select,
                filter=filter,
                expand=expand,
                orderby=orderby,
                since=since,
                until=until,
                page_size=page_size,
            )

        return self._records(describe, since=since, until=until, limit=limit)

    def entity(self, entity_set: str, id: int | str) -> dict[str, Any]:
        """Read one entity.

        :param entity_set: for example ``Incidents``
        :param id: its ``Id``
        :raises ApiError: 404, there is none
        """
        with airflow_errors():
            body = self.client.get_json(self.api.entity_path(entity_set, id))
            entity: dict[str, Any] = self.api.read_entity(body)
            return entity
