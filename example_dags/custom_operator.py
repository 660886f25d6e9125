"""An operator of your own that reuses a hook: the hook brings the token, the paging and the retries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator, dag

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class TalenomBalancesOperator(BaseOperator):
    """Reads the balances of accounts on a day.

    :param organization_number: Talenom's integer customer number
    :param account_numbers: the accounts
    :param date: the day
    :param talenom_conn_id: a connection of type ``talenom``
    """

    template_fields: Sequence[str] = ("organization_number", "account_numbers", "date", "talenom_conn_id")

    def __init__(
        self,
        *,
        organization_number: int,
        account_numbers: list[str],
        date: str,
        talenom_conn_id: str = "talenom_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.organization_number = organization_number
        self.account_numbers = account_numbers
        self.date = date
        self.talenom_conn_id = talenom_conn_id

    def execute(self, context: Context) -> Any:
        # Here and not above, so that whoever parses the DAG file does not pay for it.
        from airflow_provider_finauth.hooks.talenom import TalenomHook

        balances = TalenomHook(self.talenom_conn_id).account_balances(
            self.organization_number, date=self.date, account_numbers=self.account_numbers
        )
        return balances.land()


@dag(schedule="@daily", start_date=datetime(2026, 1, 1), catchup=False, tags=["finauth", "talenom"])
def custom_operator():
    TalenomBalancesOperator(
        task_id="balances",
        organization_number=14222,
        account_numbers=["1701", "1910", "2871"],
        # A run started by hand may have no data interval; every run of Airflow 3 has a ``run_after``.
        date="{{ data_interval_end | default(dag_run.run_after, true) | ds }}",
    )


custom_operator()
