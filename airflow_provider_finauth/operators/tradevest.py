"""The operators of connections of type ``tradevest``."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_finauth.operators.base import PullOperator, RequestOperator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_finauth.apis.dates import When
    from airflow_provider_finauth.hooks.records import Records
    from airflow_provider_finauth.hooks.tradevest import TradevestHook


class _Tradevest:
    """Finds the hook."""

    tradevest_conn_id: str

    @cached_property
    def hook(self) -> TradevestHook:
        """The hook that does the work."""
        from airflow_provider_finauth.hooks.tradevest import TradevestHook

        return TradevestHook(self.tradevest_conn_id)


class TradevestTransactionsOperator(_Tradevest, PullOperator):
    """Pulls the transactions; see :meth:`.TradevestHook.transactions`.

    :param page_size: transactions a page
    :param requestor_id: instead of the connection's; an empty text sends none
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
        return self.hook.transactions(
            page_size=self.page_size,
            requestor_id=self.requestor_id,
            limit=self.limit,
        )


class TradevestChangelogOperator(_Tradevest, PullOperator):
    """Pulls a changelog, oldest change first; see :meth:`.TradevestHook.changelog`.

    :param kind: entities, digital, roles or products
    :param since: the first moment
    :param until: the last moment
    :param page_size: changes a page
    :param requestor_id: instead of the connection's; an empty text sends none
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
        return self.hook.changelog(
            self.kind,
            since=self.since,
            until=self.until,
            page_size=self.page_size,
            requestor_id=self.requestor_id,
            limit=self.limit,
        )


class TradevestRequestOperator(_Tradevest, RequestOperator):
    """Makes one request to Tradevest's Partner API, of any path; see :class:`.RequestOperator`.

    :param requestor_id: instead of the connection's; an empty text sends none
    :param tradevest_conn_id: a connection of type ``tradevest``
    """

    template_fields: Sequence[str] = ("tradevest_conn_id", "requestor_id", *RequestOperator.template_fields)

    def __init__(
        self, *, requestor_id: str | None = None, tradevest_conn_id: str = "tradevest_default", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.requestor_id = requestor_id
        self.tradevest_conn_id = tradevest_conn_id

    def arguments(self) -> dict[str, Any]:
        return {**super().arguments(), "requestor_id": self.requestor_id}
