"""The hook of connections of type ``tradevest``."""

from __future__ import annotations

from typing import Any

from airflow_provider_finauth.apis.tradevest import Tradevest
from airflow_provider_finauth.hooks.base import FinauthHook
from airflow_provider_finauth.hooks.listing import listing


class TradevestHook(FinauthHook[Tradevest]):
    """Talks to Tradevest's Partner API.

    A request of any path names another requestor, or none, by its own header ``Requestor-ID``.

    :param tradevest_conn_id: a connection of type ``tradevest``
    """

    conn_type = "tradevest"

    transactions = listing(Tradevest.transactions)
    changelog = listing(Tradevest.changelog)
    entities = listing(Tradevest.entities)
    customer_products = listing(Tradevest.customer_products)
    orders = listing(Tradevest.orders)

    def __init__(self, tradevest_conn_id: str = "tradevest_default", **kwargs: Any) -> None:
        super().__init__(tradevest_conn_id, **kwargs)
