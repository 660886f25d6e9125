"""The operators of connections of type ``tradevest``.

Written by ``make operators`` from ``apis/tradevest.py``, where they are to be changed.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_finauth.operators.base import PullOperator, RequestOperator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_finauth.hooks.tradevest import TradevestHook
    from airflow_provider_finauth.pulls.records import Records
    from airflow_provider_finauth.values import When


class _Tradevest:
    """Finds the hook where the task runs: importing it costs time."""

    tradevest_conn_id: str

    @cached_property
    def hook(self) -> TradevestHook:
        """The hook that does the work."""
        from airflow_provider_finauth.hooks.tradevest import TradevestHook

        return TradevestHook(self.tradevest_conn_id)


class TradevestTransactionsOperator(_Tradevest, PullOperator):
    """Pull the transactions.

    Further arguments are those of :class:`.PullOperator`.

    :param page_size: records a page
    :param requestor_id: the natural person to ask for, instead of the connection's; an empty string sends
        none
    :param tradevest_conn_id: a connection of type ``tradevest``
    """

    template_fields: Sequence[str] = (
        "tradevest_conn_id",
        "page_size",
        "requestor_id",
        *PullOperator.template_fields,
    )

    def __init__(
        self,
        *,
        page_size: int | str = 100,
        requestor_id: str | None = None,
        tradevest_conn_id: str = "tradevest_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.page_size = page_size
        self.requestor_id = requestor_id
        self.tradevest_conn_id = tradevest_conn_id

    def records(self) -> Records:
        # It reads the strings that templates give.
        hook: Any = self.hook
        return hook.transactions(page_size=self.page_size, requestor_id=self.requestor_id)


class TradevestChangelogOperator(_Tradevest, PullOperator):
    """Pull a changelog, oldest change first: the natural incremental feed.

    Further arguments are those of :class:`.PullOperator`.

    :param kind: which of them
    :param since: the first moment wanted, by createdOn
    :param until: the first moment no longer wanted, by createdOn
    :param page_size: records a page
    :param requestor_id: the natural person to ask for, instead of the connection's; an empty string sends
        none
    :param tradevest_conn_id: a connection of type ``tradevest``
    """

    template_fields: Sequence[str] = (
        "tradevest_conn_id",
        "kind",
        "since",
        "until",
        "page_size",
        "requestor_id",
        *PullOperator.template_fields,
    )

    def __init__(
        self,
        *,
        kind: str,
        since: When | None = None,
        until: When | None = None,
        page_size: int | str = 100,
        requestor_id: str | None = None,
        tradevest_conn_id: str = "tradevest_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.kind = kind
        self.since = since
        self.until = until
        self.page_size = page_size
        self.requestor_id = requestor_id
        self.tradevest_conn_id = tradevest_conn_id

    def records(self) -> Records:
        # It reads the strings that templates give.
        hook: Any = self.hook
        return hook.changelog(
            self.kind,
            since=self.since,
            until=self.until,
            page_size=self.page_size,
            requestor_id=self.requestor_id,
        )


class TradevestEntitiesOperator(_Tradevest, PullOperator):
    """Pull natural persons and legal entities.

    Further arguments are those of :class:`.PullOperator`.

    :param search_text: in a name
    :param entity_type: in Tradevest's words
    :param entity_status: in Tradevest's words
    :param role: in Tradevest's words
    :param page_size: records a page
    :param requestor_id: the natural person to ask for, instead of the connection's; an empty string sends
        none
    :param tradevest_conn_id: a connection of type ``tradevest``
    """

    template_fields: Sequence[str] = (
        "tradevest_conn_id",
        "search_text",
        "entity_type",
        "entity_status",
        "role",
        "page_size",
        "requestor_id",
        *PullOperator.template_fields,
    )

    def __init__(
        self,
        *,
        search_text: str | None = None,
        entity_type: str | None = None,
        entity_status: str | None = None,
        role: str | None = None,
        page_size: int | str = 100,
        requestor_id: str | None = None,
        tradevest_conn_id: str = "tradevest_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.search_text = search_text
        self.entity_type = entity_type
        self.entity_status = entity_status
        self.role = role
        self.page_size = page_size
        self.requestor_id = requestor_id
        self.tradevest_conn_id = tradevest_conn_id

    def records(self) -> Records:
        # It reads the strings that templates give.
        hook: Any = self.hook
        return hook.entities(
            search_text=self.search_text,
            entity_type=self.entity_type,
            entity_status=self.entity_status,
            role=self.role,
            page_size=self.page_size,
            requestor_id=self.requestor_id,
        )


class TradevestCustomerProductsOperator(_Tradevest, PullOperator):
    """Pull a customer's products.

    Further arguments are those of :class:`.PullOperator`.

    :param customer_id: the customer
    :param requestor_id: the natural person to ask for, instead of the connection's; an empty string sends
        none
    :param tradevest_conn_id: a connection of type ``tradevest``
    """

    template_fields: Sequence[str] = (
        "tradevest_conn_id",
        "customer_id",
        "requestor_id",
        *PullOperator.template_fields,
    )

    def __init__(
        self,
        *,
        customer_id: str,
        requestor_id: str | None = None,
        tradevest_conn_id: str = "tradevest_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.customer_id = customer_id
        self.requestor_id = requestor_id
        self.tradevest_conn_id = tradevest_conn_id

    def records(self) -> Records:
        # It reads the strings that templates give.
        hook: Any = self.hook
        return hook.customer_products(self.customer_id, requestor_id=self.requestor_id)


class TradevestOrdersOperator(_Tradevest, PullOperator):
    """Pull the digital orders of a customer's product.

    Further arguments are those of :class:`.PullOperator`.

    :param customer_product_id: a product that holds digital assets, as in the customer's products
    :param since: the first moment wanted, by createdOn
    :param until: the first moment no longer wanted, by createdOn
    :param external_id: of one order
    :param page_size: records a page
    :param requestor_id: the natural person to ask for, instead of the connection's; an empty string sends
        none
    :param tradevest_conn_id: a connection of type ``tradevest``
    """

    template_fields: Sequence[str] = (
        "tradevest_conn_id",
        "customer_product_id",
        "since",
        "until",
        "external_id",
        "page_size",
        "requestor_id",
        *PullOperator.template_fields,
    )

    def __init__(
        self,
        *,
        customer_product_id: str,
        since: When | None = None,
        until: When | None = None,
        external_id: str | None = None,
        page_size: int | str = 100,
        requestor_id: str | None = None,
        tradevest_conn_id: str = "tradevest_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.customer_product_id = customer_product_id
        self.since = since
        self.until = until
        self.external_id = external_id
        self.page_size = page_size
        self.requestor_id = requestor_id
        self.tradevest_conn_id = tradevest_conn_id

    def records(self) -> Records:
        # It reads the strings that templates give.
        hook: Any = self.hook
        return hook.orders(
            self.customer_product_id,
            since=self.since,
            until=self.until,
            external_id=self.external_id,
            page_size=self.page_size,
            requestor_id=self.requestor_id,
        )


class TradevestRecordsOperator(_Tradevest, PullOperator):
    """Pull a list of any path.

    Without ``since_param`` an incremental pull reads all of the list and keeps what is new. How the API
    counts the moment ``until_param`` names is not known, so ``until`` needs ``changed_field``.

    Further arguments are those of :class:`.PullOperator`.

    :param path: below the connection's address, or the whole address of one of its origins
    :param query: parameters of the query
    :param paging: how the API divides the list into pages
    :param paging_options: what that paging takes; see docs/pulling.md
    :param since: the first moment wanted, by the time of change; goes out as since_param
    :param until: the first moment no longer wanted; goes out as until_param, and the records' own
        changed_field decides
    :param since_param: the parameter by which the API filters by the time of change
    :param until_param: the parameter for that time's end
    :param changed_field: the member that tells when a record changed, with dots, as ISO 8601 or as seconds,
        milliseconds or microseconds since 1970: the list can be pulled incrementally then
    :param records_path: where the list lies in the response, such as result.items
    :param key: the member that names a record, for the guards against lost rows
    :param total: where the response tells the number of all records
    :param method: the HTTP method
    :param json: the body, as JSON
    :param headers: further headers
    :param idempotent: whether a request other than a GET may be repeated when its response is lost
    :param tradevest_conn_id: a connection of type ``tradevest``
    """

    template_fields: Sequence[str] = (
        "tradevest_conn_id",
        "path",
        "query",
        "paging",
        "paging_options",
        "since",
        "until",
        "since_param",
        "until_param",
        "changed_field",
        "records_path",
        "key",
        "total",
        "method",
        "json",
        "headers",
        "idempotent",
        *PullOperator.template_fields,
    )

    def __init__(
        self,
        *,
        path: str,
        query: dict[str, Any] | None = None,
        paging: str = "none",
        paging_options: dict[str, Any] | None = None,
        since: When | None = None,
        until: When | None = None,
        since_param: str | None = None,
        until_param: str | None = None,
        changed_field: str | None = None,
        records_path: str | None = None,
        key: str | None = None,
        total: str | None = None,
        method: str = "GET",
        json: Any = None,
        headers: dict[str, Any] | None = None,
        idempotent: bool | str | None = None,
        tradevest_conn_id: str = "tradevest_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.path = path
        self.query = query
        self.paging = paging
        self.paging_options = paging_options
        self.since = since
        self.until = until
        self.since_param = since_param
        self.until_param = until_param
        self.changed_field = changed_field
        self.records_path = records_path
        self.key = key
        self.total = total
        self.method = method
        self.json = json
        self.headers = headers
        self.idempotent = idempotent
        self.tradevest_conn_id = tradevest_conn_id

    def records(self) -> Records:
        # It reads the strings that templates give.
        hook: Any = self.hook
        return hook.records(
            self.path,
            query=self.query,
            paging=self.paging,
            paging_options=self.paging_options,
            since=self.since,
            until=self.until,
            since_param=self.since_param,
            until_param=self.until_param,
            changed_field=self.changed_field,
            records_path=self.records_path,
            key=self.key,
            total=self.total,
            method=self.method,
            json=self.json,
            headers=self.headers,
            idempotent=self.idempotent,
        )


class TradevestRequestOperator(_Tradevest, RequestOperator):
    """Make one request of any path to Tradevest.

    Further arguments are those of :class:`.RequestOperator`.

    :param tradevest_conn_id: a connection of type ``tradevest``
    """

    template_fields: Sequence[str] = ("tradevest_conn_id", *RequestOperator.template_fields)

    def __init__(self, *, tradevest_conn_id: str = "tradevest_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tradevest_conn_id = tradevest_conn_id
