"""The hook of connections of type ``talenom``."""

from __future__ import annotations

from typing import Any

from airflow_provider_finauth.apis.talenom import Talenom
from airflow_provider_finauth.hooks.base import FinauthHook
from airflow_provider_finauth.hooks.listing import listing


class TalenomHook(FinauthHook[Talenom]):
    """Talks to Talenom's organisation, ledger and sales APIs.

    :param talenom_conn_id: a connection of type ``talenom``
    """

    conn_type = "talenom"

    accounting_periods = listing(Talenom.accounting_periods)
    vouchers = listing(Talenom.vouchers)
    general_ledger_events = listing(Talenom.general_ledger_events)
    account_balances = listing(Talenom.account_balances)
    sales_invoices = listing(Talenom.sales_invoices)

    def __init__(self, talenom_conn_id: str = "talenom_default", **kwargs: Any) -> None:
        super().__init__(talenom_conn_id, **kwargs)
