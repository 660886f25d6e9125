"""Landax: as soon as incidents have been pulled, they are put into a table.

The connection ``warehouse`` may be of any type that has a hook of common.sql: SQLite, PostgreSQL and so on.
"""

from __future__ import annotations

from datetime import datetime

from airflow.providers.common.compat.sdk import Asset, BaseHook, dag, get_current_context, task

COLUMNS = {
    "Id": "INTEGER PRIMARY KEY",
    "Number": "VARCHAR(20)",
    "Subject": "VARCHAR(200)",
    "Severity": "INTEGER",
    "Cost": "NUMERIC",
    "ChangedDateTime": "VARCHAR(30)",
}


# The events of several pulls may start one run, and runs replace rows: one at a time.
@dag(
    schedule=[Asset("landax_incidents")],
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    tags=["finauth", "landax"],
)
def landax_incidents_to_sql():
    @task
    def load() -> dict[str, int]:
        from airflow_provider_finauth.runtime import read_records

        context = get_current_context()
        # Airflow 2 calls assets data sets.
        word = "asset" if "triggering_asset_events" in context else "dataset"
        started_by = context[f"triggering_{word}_events"]
        manifests = [event.extra for events in started_by.values() for event in events]
        hook = BaseHook.get_hook("warehouse")
        columns = ", ".join(f"{column} {kind}" for column, kind in COLUMNS.items())
        hook.run(f"CREATE TABLE IF NOT EXISTS incidents ({columns})")
        for manifest in manifests:
            # Read and inserted a thousand at a time; a row that was pulled before is replaced.
            hook.insert_rows(
                "incidents",
                ([record.get(column) for column in COLUMNS] for record in read_records(manifest)),
                target_fields=list(COLUMNS),
                replace=True,
                executemany=True,
            )
        return {"records": sum(manifest["records"] for manifest in manifests)}

    load()


landax_incidents_to_sql()
