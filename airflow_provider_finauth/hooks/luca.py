"""The hook of connections of type ``luca``."""

from __future__ import annotations

from typing import Any

from airflow_provider_finauth.apis.luca import Luca
from airflow_provider_finauth.hooks.graphql import GraphQLHook
from airflow_provider_finauth.hooks.listing import listing


class LucaHook(GraphQLHook[Luca]):
    """Talks to Luca's GraphQL API.

    :param luca_conn_id: a connection of type ``luca``
    """

    conn_type = "luca"

    companies = listing(Luca.companies)
    nodes = listing(Luca.nodes)

    def __init__(self, luca_conn_id: str = "luca_default", **kwargs: Any) -> None:
        super().__init__(luca_conn_id, **kwargs)
