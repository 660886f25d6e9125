"""Talenom: the vouchers of an organisation and their postings, merged by dlt into a DuckDB database.

It lies in the folder that the Airflow Variable ``finauth_output`` names, which has to be on this machine.
Needs ``pip install 'dlt[duckdb]'``.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow.providers.common.compat.sdk import dag, task

ORGANIZATION = 14224


# One run at a time: a DuckDB database has one writer.
@dag(
    schedule="@daily",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    tags=["finauth", "talenom"],
)
def talenom_vouchers_to_duckdb():
    @task
    def vouchers(folder: str) -> dict[str, Any]:
        import dlt

        from airflow_provider_finauth.hooks.talenom import TalenomHook

        changed = dlt.resource(
            (page.records for page in TalenomHook().vouchers(ORGANIZATION, include_postings=True).pages()),
            name="vouchers",
            primary_key="id",
            write_disposition="merge",
        )
        # Talenom filters by voucher date alone, so all are read. dlt keeps what has changed since its last
        # run, and in the day before that, for what came in late.
        changed.apply_hints(incremental=dlt.sources.incremental("updatedDateUtc", lag=86_400))
        pipeline = dlt.pipeline(
            "talenom",
            destination=dlt.destinations.duckdb(f"{folder}/ledger.duckdb"),
            dataset_name="talenom",
            # How far it has come lies in the database, too; what is here may be lost.
            pipelines_dir=f"{folder}/dlt",
        )
        pipeline.run(changed)
        return {"records": pipeline.last_trace.last_normalize_info.row_counts.get("vouchers", 0)}

    vouchers("{{ var.value.get('finauth_output', '/tmp/finauth') }}/talenom_vouchers_to_duckdb")


talenom_vouchers_to_duckdb()
