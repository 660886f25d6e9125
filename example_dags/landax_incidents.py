"""Landax: the incidents that have changed since the last run, and an event for the DAGs that wait for them.

Files go to the Airflow Variable ``finauth_output``: a folder, or an address such as ``s3://bucket/finauth``.
"""

from __future__ import annotations

from datetime import datetime

from airflow.providers.common.compat.sdk import Asset, dag

from airflow_provider_finauth.operators.landax import LandaxEntitiesOperator

INCIDENTS = Asset("landax_incidents")


@dag(schedule="@hourly", start_date=datetime(2026, 1, 1), catchup=False, tags=["finauth", "landax"])
def landax_incidents():
    LandaxEntitiesOperator(
        task_id="incidents",
        entity_set="Incidents",
        # How far it has come is kept in a Variable; the first run pulls everything.
        incremental="landax_incidents",
        # The slash lets the task complete it: {dag_id}/{task_id}/{run_id}/{map_index}.jsonl
        destination="{{ var.value.get('finauth_output', '/tmp/finauth') }}/",
        # Its event carries the manifest: landax_incidents_to_sql is scheduled on it.
        outlets=[INCIDENTS],
    )


landax_incidents()
