"""The operators of connections of type ``talenom``."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_finauth.operators.base import PullOperator, RequestOperator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_finauth.apis.dates import When
    from airflow_provider_finauth.hooks.records import Records
    from airflow_provider_finauth.hooks.talenom import TalenomHook


class _Talenom:
    """Finds the hook."""

    talenom_conn_id: str

    @cached_property
    def hook(self) -> TalenomHook:
        """The hook that does the work."""
        from airflow_provider_finauth.hooks.talenom import TalenomHook

        return TalenomHook(self.talenom_conn_id)


class TalenomAccountingPeriodsOperator(_Talenom, PullOperator):
    """Pulls an organisation's accounting periods; see :meth:`.TalenomHook.accounting_periods`.

    :param organization_number: Talenom's integer customer number, not the business id
    :param include_bookkeeping_periods: with the bookkeeping periods of each
    :param page_size: periods a page
    :param talenom_conn_id: a connection of type ``talenom``
    """

    template_fields: Sequence[str] = (
        "talenom_conn_id",
        "organization_number",
        "include_bookkeeping_periods",
        "page_size",
        *PullOperator.template_fields,
    )

    def __init__(
        self,
        *,
        organization_number: int | str,
        include_bookkeeping_periods: bool | str = False,
        page_size: int | str = 100,
        talenom_conn_id: str = "talenom_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.organization_number = organization_number
        self.include_bookkeeping_periods = include_bookkeeping_periods
        self.page_size = page_size
        self.talenom_conn_id = talenom_conn_id

    def records(self) -> Records:
        return self.hook.accounting_periods(
            self.organization_number,
            include_bookkeeping_periods=self.include_bookkeeping_periods,
            page_size=self.page_size,
            limit=self.limit,
        )


class TalenomVouchersOperator(_Talenom, PullOperator):
    """Pulls an organisation's vouchers; see :meth:`.TalenomHook.vouchers`.

    :param organization_number: Talenom's integer customer number, not the business id
    :param since: first voucher date
    :param until: last voucher date
    :param states: of Draft, Accepted, Locked, Deleted; none means all
    :param categories: voucher categories; none means all
    :param include_postings: with the postings of each
    :param page_size: vouchers a page
    :param talenom_conn_id: a connection of type ``talenom``
    """

    template_fields: Sequence[str] = (
        "talenom_conn_id",
        "organization_number",
        "since",
        "until",
        "states",
        "categories",
        "include_postings",
        "page_size",
        *PullOperator.template_fields,
    )

    def __init__(
        self,
        *,
        organization_number: int | str,
        since: When | None = None,
        until: When | None = None,
        states: Sequence[str] = (),
        categories: Sequence[str] = (),
        include_postings: bool | str = False,
        page_size: int | str = 1000,
        talenom_conn_id: str = "talenom_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.organization_number = organization_number
        self.since = since
        self.until = until
        self.states = states
        self.categories = categories
        self.include_postings = include_postings
        self.page_size = page_size
        self.talenom_conn_id = talenom_conn_id

    def records(self) -> Records:
        return self.hook.vouchers(
            self.organization_number,
            since=self.since,
            until=self.until,
            states=self.states,
            categories=self.categories,
            include_postings=self.include_postings,
            page_size=self.page_size,
            limit=self.limit,
        )


class TalenomGeneralLedgerEventsOperator(_Talenom, PullOperator):
    """Pulls an organisation's ledger events; see :meth:`.TalenomHook.general_ledger_events`.

    :param organization_number: Talenom's integer customer number, not the business id
    :param since: first voucher date
    :param until: last voucher date
    :param account_numbers: none means all
    :param category: a voucher category
    :param page_size: events a page
    :param talenom_conn_id: a connection of type ``talenom``
    """

    template_fields: Sequence[str] = (
        "talenom_conn_id",
        "organization_number",
        "since",
        "until",
        "account_numbers",
        "category",
        "page_size",
        *PullOperator.template_fields,
    )

    def __init__(
        self,
        *,
        organization_number: int | str,
        since: When | None = None,
        until: When | None = None,
        account_numbers: Sequence[str | int] = (),
        category: str | None = None,
        page_size: int | str = 1000,
        talenom_conn_id: str = "talenom_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.organization_number = organization_number
        self.since = since
        self.until = until
        self.account_numbers = account_numbers
        self.category = category
        self.page_size = page_size
        self.talenom_conn_id = talenom_conn_id

    def records(self) -> Records:
        return self.hook.general_ledger_events(
            self.organization_number,
            since=self.since,
            until=self.until,
            account_numbers=self.account_numbers,
            category=self.category,
            page_size=self.page_size,
            limit=self.limit,
        )


class TalenomSalesInvoicesOperator(_Talenom, PullOperator):
    """Pulls an organisation's sales invoices; see :meth:`.TalenomHook.sales_invoices`.

    :param organization_number: Talenom's integer customer number, not the business id
    :param since: first day
    :param until: last day
    :param date_type: which date they speak of, in Talenom's words
    :param status: an invoice status, in Talenom's words
    :param page_size: invoices a page
    :param talenom_conn_id: a connection of type ``talenom``
    """

    template_fields: Sequence[str] = (
        "talenom_conn_id",
        "organization_number",
        "since",
        "until",
        "date_type",
        "status",
        "page_size",
        *PullOperator.template_fields,
    )

    def __init__(
        self,
        *,
        organization_number: int | str,
        since: When | None = None,
        until: When | None = None,
        date_type: str | None = None,
        status: str | None = None,
        page_size: int | str = 100,
        talenom_conn_id: str = "talenom_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.organization_number = organization_number
        self.since = since
        self.until = until
        self.date_type = date_type
        self.status = status
        self.page_size = page_size
        self.talenom_conn_id = talenom_conn_id

    def records(self) -> Records:
        return self.hook.sales_invoices(
            self.organization_number,
            since=self.since,
            until=self.until,
            date_type=self.date_type,
            status=self.status,
            page_size=self.page_size,
            limit=self.limit,
        )


class TalenomRequestOperator(_Talenom, RequestOperator):
    """Makes one request to Talenom, of any path; see :class:`.RequestOperator`.

    :param talenom_conn_id: a connection of type ``talenom``
    """

    template_fields: Sequence[str] = ("talenom_conn_id", *RequestOperator.template_fields)

    def __init__(self, *, talenom_conn_id: str = "talenom_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.talenom_conn_id = talenom_conn_id
