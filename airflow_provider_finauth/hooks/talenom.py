"""The hook of connections of type ``talenom``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_finauth.apis.talenom import Talenom
from airflow_provider_finauth.hooks.base import FinauthHook
from airflow_provider_finauth.runtime.errors import airflow_errors

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_finauth.apis.dates import When
    from airflow_provider_finauth.hooks.records import Records


class TalenomHook(FinauthHook[Talenom]):
    """Talks to Talenom's organisation, ledger and sales APIs.

    :param talenom_conn_id: a connection of type ``talenom``
    """

    conn_name_attr = "talenom_conn_id"
    default_conn_name = "talenom_default"
    conn_type = "talenom"
    hook_name = "Talenom"
    api_class = Talenom

    def __init__(self, talenom_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(talenom_conn_id, **kwargs)

    def accounting_periods(
        self,
        organization_number: int | str,
        *,
        include_bookkeeping_periods: bool | str = False,
        page_size: int | str = 100,
        limit: int | str | None = None,
    ) -> Records:
        """Pull an organisation's accounting periods; see :meth:`.apis.talenom.Talenom.accounting_periods`.

        :param limit: stop after so many
        """
        with airflow_errors():
            pull = self.api.accounting_periods(
                organization_number,
                include_bookkeeping_periods=include_bookkeeping_periods,
                page_size=page_size,
            )
        return self._records(pull, limit=limit)

    def vouchers(
        self,
        organization_number: int | str,
        *,
        since: When | None = None,
        until: When | None = None,
        states: Iterable[str] = (),
        categories: Iterable[str] = (),
        include_postings: bool | str = False,
        page_size: int | str = 1000,
        limit: int | str | None = None,
    ) -> Records:
        """Pull an organisation's vouchers by voucher date; see :meth:`.apis.talenom.Talenom.vouchers`.

        :param limit: stop after so many
        """
        with airflow_errors():
            pull = self.api.vouchers(
                organization_number,
                since=since,
                until=until,
                states=states,
                categories=categories,
                include_postings=include_postings,
                page_size=page_size,
            )
        return self._records(pull, limit=limit, since=since, until=until)

    def general_ledger_events(
        self,
        organization_number: int | str,
        *,
        since: When | None = None,
        until: When | None = None,
        account_numbers: Iterable[str | int] = (),
        category: str | None = None,
        page_size: int | str = 1000,
        limit: int | str | None = None,
    ) -> Records:
        """Pull an organisation's ledger events; see :meth:`.apis.talenom.Talenom.general_ledger_events`.

        :param limit: stop after so many
        """
        with airflow_errors():
            pull = self.api.general_ledger_events(
                organization_number,
                since=since,
                until=until,
                account_numbers=account_numbers,
                category=category,
                page_size=page_size,
            )
        return self._records(pull, limit=limit, since=since, until=until)

    def account_balances(
        self,
        organization_number: int | str,
        *,
        date: When,
        account_numbers: Iterable[str | int],
        limit: int | str | None = None,
    ) -> Records:
        """Pull balances on a day; see :meth:`.apis.talenom.Talenom.account_balances`.

        :param limit: stop after so many
        """
        with airflow_errors():
            pull = self.api.account_balances(organization_number, date=date, account_numbers=account_numbers)
        return self._records(pull, limit=limit)

    def sales_invoices(
        self,
        organization_number: int | str,
        *,
        since: When | None = None,
        until: When | None = None,
        date_type: str | None = None,
        status: str | None = None,
        page_size: int | str = 100,
        limit: int | str | None = None,
    ) -> Records:
        """Pull an organisation's sales invoices; see :meth:`.apis.talenom.Talenom.sales_invoices`.

        :param limit: stop after so many
        """
        with airflow_errors():
            pull = self.api.sales_invoices(
                organization_number,
                since=since,
                until=until,
                date_type=date_type,
                status=status,
                page_size=page_size,
            )
        return self._records(pull, limit=limit, since=since, until=until)
