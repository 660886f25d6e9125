"""Tradevest: what has changed since the last successful run, one file for each changelog.

Files go to the Airflow Variable ``finauth_output``: a folder, or an address such as ``s3://bucket/finauth``.
"""

from __future__ import annotations

from datetime import datetime

from airflow.providers.common.compat.sdk import dag

from airflow_provider_finauth.operators.tradevest import TradevestChangelogOperator


@dag(schedule="@hourly", start_date=datetime(2026, 1, 1), catchup=False, tags=["finauth", "tradevest"])
def tradevest_changelog():
    TradevestChangelogOperator.partial(
        task_id="changes",
        since="{{ prev_start_date_success or '2026-01-01' }}",
        # The slash lets each task complete it: {dag_id}/{task_id}/{run_id}/{map_index}.jsonl.gz
        destination="{{ var.value.get('finauth_output', '/tmp/finauth') }}/",
        format="jsonl.gz",
    ).expand(kind=["entities", "digital", "roles", "products"])


tradevest_changelog()
