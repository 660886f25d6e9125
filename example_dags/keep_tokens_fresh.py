"""Keep-alive: every quarter of an hour, renew the tokens that would lapse within half an hour.

On several machines that share nothing but Airflow's database, this one task does all renewing: at least 15
minutes of each token are left whenever it begins, and other tasks renew only in a token's last five. Let it
run in one place, by a queue or a pool of one slot.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import dag

from airflow_provider_finauth.operators.keep_alive import RefreshTokensOperator


@dag(
    schedule=timedelta(minutes=15),
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    tags=["finauth"],
)
def keep_tokens_fresh():
    RefreshTokensOperator(
        task_id="refresh",
        # One with a fixed key, as `luca_default` may be, is passed over.
        conn_ids=["luca_default", "landax_default"],
        valid_for=timedelta(minutes=30),
        retries=3,
        retry_delay=timedelta(minutes=1),
    )


keep_tokens_fresh()
