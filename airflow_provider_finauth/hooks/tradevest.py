"""The hook of connections of type ``tradevest``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_finauth.apis.tradevest import REQUESTOR_ID, Tradevest
from airflow_provider_finauth.hooks.base import FinauthHook

if TYPE_CHECKING:
    import requests

    from airflow_provider_finauth.apis.dates import When
    from airflow_provider_finauth.client.paging.base import Pull
    from airflow_provider_finauth.hooks.records import Records


class TradevestHook(FinauthHook[Tradevest]):
    """Talks to Tradevest's Partner API.

    :param tradevest_conn_id: a connection of type ``tradevest``
    """

    conn_name_attr = "tradevest_conn_id"
    default_conn_name = "tradevest_default"
    conn_type = "tradevest"
    hook_name = "Tradevest"
    api_class = Tradevest

    def __init__(self, tradevest_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(tradevest_conn_id, **kwargs)

    def request(
        self, method: str, path: str, *, requestor_id: str | None = None, **kwargs: Any
    ) -> requests.Response:
        """Make one request; see :meth:`.FinauthHook.request`.

        :param requestor_id: instead of the connection's; an empty text sends none
        :raises ConfigurationError: a command that needs a Requestor-ID has none
        """
        return super().request(method, path, **_with_requestor(requestor_id, kwargs))

    def records(self, path: str, *, requestor_id: str | None = None, **kwargs: Any) -> Records:
        """Pull a list; see :meth:`.FinauthHook.records`.

        :param requestor_id: instead of the connection's; an empty text sends none
        """
        return super().records(path, **_with_requestor(requestor_id, kwargs))

    def transactions(
        self, *, page_size: int | str = 100, requestor_id: str | None = None, limit: int | str | None = None
    ) -> Records:
        """Pull the transactions.

        :param page_size: transactions a page
        :param requestor_id: instead of the connection's; an empty text sends none
        :param limit: stop after so many
        """
        return self._records(
            lambda since, until: _requested_by(self.api.transactions(page_size=page_size), requestor_id),
            limit=limit,
        )

    def changelog(
        self,
        kind: str,
        *,
        since: When | None = None,
        until: When | None = None,
        page_size: int | str = 100,
        requestor_id: str | None = None,
        limit: int | str | None = None,
    ) -> Records:
        """Pull a changelog, oldest change first; see :meth:`.apis.tradevest.Tradevest.changelog`.

        :param requestor_id: instead of the connection's; an empty text sends none
        :param limit: stop after so many
        """

        def describe(since: When | None, until: When | None) -> Pull:
            pull = self.api.changelog(kind, since=since, until=until, page_size=page_size)
            return _requested_by(pull, requestor_id)

        return self._records(describe, since=since, until=until, limit=limit)

    def entities(
        self,
        *,
        search_text: str | None = None,
        entity_type: str | None = None,
        entity_status: str | None = None,
        role: str | None = None,
        page_size: int | str = 100,
        requestor_id: str | None = None,
        limit: int | str | None = None,
    ) -> Records:
        """Pull natural persons and legal entities; see :meth:`.apis.tradevest.Tradevest.entities`.

        :param requestor_id: instead of the connection's; an empty text sends none
        :param limit: stop after so many
        """

        def describe(since: When | None, until: When | None) -> Pull:
            pull = self.api.entities(
                search_text=search_text,
                entity_type=entity_type,
                entity_status=entity_status,
                role=role,
                page_size=page_size,
            )
            return _requested_by(pull, requestor_id)

        return self._records(describe, limit=limit)

    def customer_products(
        self, customer_id: str, *, requestor_id: str | None = None, limit: int | str | None = None
    ) -> Records:
        """Pull a customer's products.

        :param requestor_id: instead of the connection's; an empty text sends none
        :param limit: stop after so many
        """
        return self._records(
            lambda since, until: _requested_by(self.api.customer_products(customer_id), requestor_id),
            limit=limit,
        )

    def orders(
        self,
        customer_product_id: str,
        *,
        since: When | None = None,
        until: When | None = None,
        external_id: str | None = None,
        page_size: int | str = 100,
        requestor_id: str | None = None,
        limit: int | str | None = None,
    ) -> Records:
        """Pull the orders of a customer's product; see :meth:`.apis.tradevest.Tradevest.orders`.

        :param requestor_id: instead of the connection's; an empty text sends none
        :param limit: stop after so many
        """

        def describe(since: When | None, until: When | None) -> Pull:
            pull = self.api.orders(
                customer_product_id, since=since, until=until, external_id=external_id, page_size=page_size
            )
            return _requested_by(pull, requestor_id)

        return self._records(describe, since=since, until=until, limit=limit)


def _requested_by(pull: Pull, requestor_id: str | None) -> Pull:
    if requestor_id is None:
        return pull
    headers = {**(pull.request.headers or {}), REQUESTOR_ID: requestor_id}
    return replace(pull, request=replace(pull.request, headers=headers))


def _with_requestor(requestor_id: str | None, kwargs: dict[str, Any]) -> dict[str, Any]:
    if requestor_id is None:
        return kwargs
    return {**kwargs, "headers": {**(kwargs.get("headers") or {}), REQUESTOR_ID: requestor_id}}
