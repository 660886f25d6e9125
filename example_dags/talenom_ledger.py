"""Talenom: the ledger events of several organisations, one file for each accounting period still open.

Files go to the Airflow Variable ``finauth_output``: a folder, or an address such as ``s3://bucket/finauth``.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_finauth.operators.talenom import TalenomAccountingPeriodsOperator

ORGANIZATIONS = [14222, 14223, 14224]
# The slash at the end lets each task complete it: {dag_id}/{task_id}/{run_id}/{map_index}.jsonl
OUTPUT = "{{ var.value.get('finauth_output', '/tmp/finauth') }}/"


@dag(schedule="@daily", start_date=datetime(2026, 1, 1), catchup=False, tags=["finauth", "talenom"])
def talenom_ledger():
    periods = TalenomAccountingPeriodsOperator.partial(task_id="periods").expand(
        organization_number=ORGANIZATIONS
    )

    @task
    def open_periods(periods_by_organization: Any) -> list[dict[str, Any]]:
        """Leave out the locked periods: nothing is booked there any more."""
        return [period for periods in periods_by_organization for period in periods if not period["locked"]]

    @task
    def ledger(period: dict[str, Any], destination: str) -> Any:
        """Pull the ledger events of one period."""
        from airflow_provider_finauth.hooks.talenom import TalenomHook

        # A period's last day belongs to it, and `until` is the first moment that is not wanted.
        until = date.fromisoformat(period["endDate"]) + timedelta(days=1)
        events = TalenomHook().general_ledger_events(
            period["organizationNumber"], since=period["startDate"], until=until
        )
        return events.write_to(destination)

    ledger.partial(destination=OUTPUT).expand(period=open_periods(periods.output))


talenom_ledger()
