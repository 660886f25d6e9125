"""The hook of connections of type ``landax``."""

from __future__ import annotations

from typing import Any

from airflow_provider_finauth.apis.landax import Landax
from airflow_provider_finauth.hooks.base import FinauthHook
from airflow_provider_finauth.hooks.listing import listing
from airflow_provider_finauth.runtime.errors import airflow_errors


class LandaxHook(FinauthHook[Landax]):
    """Talks to a Landax tenant.

    :param landax_conn_id: a connection of type ``landax``
    """

    conn_type = "landax"

    entities = listing(Landax.entities)

    def __init__(self, landax_conn_id: str = "landax_default", **kwargs: Any) -> None:
        super().__init__(landax_conn_id, **kwargs)

    @airflow_errors()
    def entity(self, entity_set: str, id: int | str) -> dict[str, Any]:
        """Read one entity.

        :param entity_set: for example ``Incidents``
        :param id: its ``Id``
        :raises ApiError: 404, there is none
        """
        entity: dict[str, Any] = self.api.read_entity(
            self.client.get_json(self.api.entity_path(entity_set, id))
        )
        return entity
