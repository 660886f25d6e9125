"""OP Corporate Banking: what has been booked on all accounts since the last run, as Parquet by booking date.

Files go to the Airflow Variable ``finauth_output``: a folder, or an address such as ``s3://bucket/finauth``.
"""

from __future__ import annotations

from datetime import datetime

from airflow.providers.common.compat.sdk import dag

from airflow_provider_finauth.operators.opcorporate import (
    OPCorporateAccountsOperator,
    OPCorporateTransactionsOperator,
)


@dag(schedule="@daily", start_date=datetime(2026, 1, 1), catchup=False, tags=["finauth", "opcorporate"])
def op_transactions():
    accounts = OPCorporateAccountsOperator(task_id="accounts")
    OPCorporateTransactionsOperator.partial(
        task_id="transactions",
        # Each account has a Variable of its own, which says how far its transactions have been pulled.
        incremental="op_transactions",
        # Without this the first run would pull all that there ever was.
        since="2026-10-01",
        # The slash lets each task complete it: {dag_id}/{task_id}/{run_id}/{partition}/{map_index}.parquet
        destination="{{ var.value.get('finauth_output', '/tmp/finauth') }}/",
        format="parquet",
        partition_by="bookingDate",
    ).expand(surrogate_id=accounts.output.map(lambda account: account["surrogateId"]))


op_transactions()
