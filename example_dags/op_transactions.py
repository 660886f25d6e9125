"""OP Corporate Banking: each day the day before's transactions of all accounts, as JSON Lines by day.

Files go to the Airflow Variable ``finauth_output``: a folder, or an address such as ``s3://bucket/finauth``.
"""

from __future__ import annotations

from datetime import datetime

from airflow.providers.common.compat.sdk import dag

from airflow_provider_finauth.operators.opcorporate import OPAccountsOperator, OPTransactionsOperator

# A run started by hand may have no data interval; every run of Airflow 3 has a ``run_after``.
TODAY = "{{ data_interval_end | default(dag_run.run_after, true) | ds }}"
YESTERDAY = "{{ macros.ds_add(data_interval_end | default(dag_run.run_after, true) | ds, -1) }}"
OUTPUT = "{{ var.value.get('finauth_output', '/tmp/finauth') }}/op_transactions/"


@dag(schedule="@daily", start_date=datetime(2026, 1, 1), catchup=False, tags=["finauth", "opcorporate"])
def op_transactions():
    accounts = OPAccountsOperator(task_id="accounts")
    OPTransactionsOperator.partial(
        task_id="transactions",
        since=YESTERDAY,
        until=TODAY,
        output=OUTPUT + YESTERDAY + "/{{ ti.map_index }}.jsonl",
    ).expand(surrogate_id=accounts.output.map(lambda account: account["surrogateId"]))


op_transactions()
