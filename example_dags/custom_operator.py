"""An operator of your own that reuses a hook: the hook brings the token, the paging and the retries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator, dag

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class GroupBalancesOperator(BaseOperator):
    """Reads the balances of accounts on a day, of all companies of a group.

    :param organization_numbers: Talenom's integer customer numbers
    :param account_numbers: the accounts
    :param date: the day
    :param talenom_conn_id: a connection of type ``talenom``
    """

    template_fields: Sequence[str] = ("organization_numbers", "account_numbers", "date", "talenom_conn_id")

    def __init__(
        self,
        *,
        organization_numbers: list[int],
        account_numbers: list[str],
        date: str,
        talenom_conn_id: str = "talenom_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.organization_numbers = organization_numbers
        self.account_numbers = account_numbers
        self.date = date
        self.talenom_conn_id = talenom_conn_id

    def execute(self, context: Context) -> Any:
        # Here and not above, so that whoever parses the DAG file does not pay for it.
        from airflow_provider_finauth.hooks.talenom import TalenomHook

        hook = TalenomHook(self.talenom_conn_id)
        return [
            {"organizationNumber": number, **balance}
            for number in self.organization_numbers
            for balance in hook.account_balances(
                number, date=self.date, account_numbers=self.account_numbers
            ).collect()
        ]


@dag(schedule="@daily", start_date=datetime(2026, 1, 1), catchup=False, tags=["finauth", "talenom"])
def custom_operator():
    GroupBalancesOperator(
        task_id="balances",
        organization_numbers=[14222, 14223],
        account_numbers=["1701", "1910", "2871"],
        # A run started by hand may have no data interval; every run of Airflow 3 has a ``run_after``.
        date="{{ data_interval_end | default(dag_run.run_after, true) | ds }}",
    )


custom_operator()
