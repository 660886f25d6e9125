"""Landax: the incidents that have changed since the last successful run.

Files go to the Airflow Variable ``finauth_output``: a folder, or an address such as ``s3://bucket/finauth``.
"""

from __future__ import annotations

from datetime import datetime

from airflow.providers.common.compat.sdk import dag

from airflow_provider_finauth.operators.landax import LandaxEntitiesOperator


@dag(schedule="@hourly", start_date=datetime(2026, 1, 1), catchup=False, tags=["finauth", "landax"])
def landax_incidents():
    LandaxEntitiesOperator(
        task_id="incidents",
        entity_set="Incidents",
        # When that run began, not when it ended: what changed meanwhile is pulled again rather than lost.
        since="{{ prev_start_date_success or '2026-01-01' }}",
        # The slash lets the task complete it: {dag_id}/{task_id}/{run_id}/{map_index}.jsonl
        output="{{ var.value.get('finauth_output', '/tmp/finauth') }}/",
    )


landax_incidents()
