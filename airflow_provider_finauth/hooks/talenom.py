"""The hook of connections of type ``talenom``."""

from __future__ import annotations

from datetime import UTC, datetime
from datetime import date as Date
from typing import TYPE_CHECKING, Any

from airflow_provider_finauth.apis.dates import day
from airflow_provider_finauth.apis.reading import several
from airflow_provider_finauth.apis.talenom import Talenom
from airflow_provider_finauth.apis.talenom_periods import seen_locked, spans_to_read
from airflow_provider_finauth.hooks.base import FinauthHook

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_provider_finauth.apis.dates import When
    from airflow_provider_finauth.client.paging.base import Pull
    from airflow_provider_finauth.hooks.records import Records
    from airflow_provider_finauth.runtime.incremental_state import Window


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

        def describe(since: When | None, until: When | None) -> Pull:
            return self.api.accounting_periods(
                organization_number,
                include_bookkeeping_periods=include_bookkeeping_periods,
                page_size=page_size,
            )

        return self._records(describe, limit=limit)

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

        An incremental pull reads those of all accounting periods again that were not locked before its time,
        and keeps what has changed since. ``since`` is the first voucher date then too.

        :param limit: stop after so many
        """
        states, categories = several(states), several(categories)

        def describe(since: When | None, until: When | None) -> Pull:
            return self.api.vouchers(
                organization_number,
                since=since,
                until=until,
                states=states,
                categories=categories,
                include_postings=include_postings,
                page_size=page_size,
            )

        def reread(window: Window, notes: dict[str, Any]) -> Iterator[Pull]:
            periods = self.client.records(self.api.accounting_periods(organization_number))
            # Now, not the window's end: a run that is cleared later has a window of long ago.
            notes["locked"] = seen_locked(periods, notes.get("locked"), datetime.now(UTC))
            floor = Date.fromisoformat(day("since", since)) if since else None
            for first, last in spans_to_read(notes["locked"], window.since, floor):
                yield describe(first, last)

        return self._records(describe, since=since, until=until, limit=limit, reread=reread)

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

        def describe(since: When | None, until: When | None) -> Pull:
            return self.api.general_ledger_events(
                organization_number,
                since=since,
                until=until,
                account_numbers=account_numbers,
                category=category,
                page_size=page_size,
            )

        return self._records(describe, since=since, until=until, limit=limit)

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
        return self._records(
            lambda since, until: self.api.account_balances(
                organization_number, date=date, account_numbers=account_numbers
            ),
            limit=limit,
        )

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

        def describe(since: When | None, until: When | None) -> Pull:
            return self.api.sales_invoices(
                organization_number,
                since=since,
                until=until,
                date_type=date_type,
                status=status,
                page_size=page_size,
            )

        return self._records(describe, since=since, until=until, limit=limit)
