"""The operators of connections of type ``talenom``.

Written by ``make operators`` from ``apis/talenom.py``, where they are to be changed.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_finauth.operators.base import PullOperator, RequestOperator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_finauth.hooks.talenom import TalenomHook
    from airflow_provider_finauth.pulls.records import Records
    from airflow_provider_finauth.values import When


class _Talenom:
    """Finds the hook where the task runs: importing it costs time."""

    talenom_conn_id: str

    @cached_property
    def hook(self) -> TalenomHook:
        """The hook that does the work."""
        from airflow_provider_finauth.hooks.talenom import TalenomHook

        return TalenomHook(self.talenom_conn_id)


class TalenomAccountingPeriodsOperator(_Talenom, PullOperator):
    """Pull an organisation's accounting periods.

    Further arguments are those of :class:`.PullOperator`.

    :param organization_number: Talenom's integer customer number, not the business id
    :param include_bookkeeping_periods: with the bookkeeping periods of each
    :param page_size: records a page
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
        # It reads the strings that templates give.
        hook: Any = self.hook
        return hook.accounting_periods(
            self.organization_number,
            include_bookkeeping_periods=self.include_bookkeeping_periods,
            page_size=self.page_size,
        )


class TalenomVouchersOperator(_Talenom, PullOperator):
    """Pull an organisation's vouchers.

    An incremental pull reads those of all accounting periods again that were not locked before its time, and
    keeps what has changed since. ``since`` is the first voucher date then too.

    Further arguments are those of :class:`.PullOperator`.

    :param organization_number: Talenom's integer customer number, not the business id
    :param since: the first moment wanted, by voucherDate; a midnight
    :param until: the first moment no longer wanted, by voucherDate; a midnight
    :param states: their states; none means all
    :param categories: voucher categories; none means all
    :param include_postings: with the postings of each
    :param page_size: records a page
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
        states: Sequence[str | int] | str = (),
        categories: Sequence[str | int] | str = (),
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
        # It reads the strings that templates give.
        hook: Any = self.hook
        return hook.vouchers(
            self.organization_number,
            since=self.since,
            until=self.until,
            states=self.states,
            categories=self.categories,
            include_postings=self.include_postings,
            page_size=self.page_size,
        )


class TalenomGeneralLedgerEventsOperator(_Talenom, PullOperator):
    """Pull an organisation's general ledger events.

    Further arguments are those of :class:`.PullOperator`.

    :param organization_number: Talenom's integer customer number, not the business id
    :param since: the first moment wanted, by voucherDate; a midnight
    :param until: the first moment no longer wanted, by voucherDate; a midnight
    :param account_numbers: none means all
    :param category: a voucher category
    :param page_size: records a page
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
        account_numbers: Sequence[str | int] | str = (),
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
        # It reads the strings that templates give.
        hook: Any = self.hook
        return hook.general_ledger_events(
            self.organization_number,
            since=self.since,
            until=self.until,
            account_numbers=self.account_numbers,
            category=self.category,
            page_size=self.page_size,
        )


class TalenomAccountBalancesOperator(_Talenom, PullOperator):
    """Pull the balances of accounts on a day.

    Further arguments are those of :class:`.PullOperator`.

    :param organization_number: Talenom's integer customer number, not the business id
    :param date: the day of the balances
    :param account_numbers: the accounts; Talenom requires one
    :param talenom_conn_id: a connection of type ``talenom``
    """

    template_fields: Sequence[str] = (
        "talenom_conn_id",
        "organization_number",
        "date",
        "account_numbers",
        *PullOperator.template_fields,
    )

    def __init__(
        self,
        *,
        organization_number: int | str,
        date: When,
        account_numbers: Sequence[str | int] | str,
        talenom_conn_id: str = "talenom_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.organization_number = organization_number
        self.date = date
        self.account_numbers = account_numbers
        self.talenom_conn_id = talenom_conn_id

    def records(self) -> Records:
        # It reads the strings that templates give.
        hook: Any = self.hook
        return hook.account_balances(
            self.organization_number, date=self.date, account_numbers=self.account_numbers
        )


class TalenomSalesInvoicesOperator(_Talenom, PullOperator):
    """Pull an organisation's sales invoices.

    Further arguments are those of :class:`.PullOperator`.

    :param organization_number: Talenom's integer customer number, not the business id
    :param since: the first moment wanted, by the date that date_type names; a midnight
    :param until: the first moment no longer wanted, by the date that date_type names; a midnight
    :param date_type: which date since and until speak of, in Talenom's words
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
        # It reads the strings that templates give.
        hook: Any = self.hook
        return hook.sales_invoices(
            self.organization_number,
            since=self.since,
            until=self.until,
            date_type=self.date_type,
            status=self.status,
            page_size=self.page_size,
        )


class TalenomRecordsOperator(_Talenom, PullOperator):
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
    :param talenom_conn_id: a connection of type ``talenom``
    """

    template_fields: Sequence[str] = (
        "talenom_conn_id",
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
        talenom_conn_id: str = "talenom_default",
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
        self.talenom_conn_id = talenom_conn_id

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


class TalenomRequestOperator(_Talenom, RequestOperator):
    """Make one request of any path to Talenom.

    Further arguments are those of :class:`.RequestOperator`.

    :param talenom_conn_id: a connection of type ``talenom``
    """

    template_fields: Sequence[str] = ("talenom_conn_id", *RequestOperator.template_fields)

    def __init__(self, *, talenom_conn_id: str = "talenom_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.talenom_conn_id = talenom_conn_id
