"""Mapped tasks of a real Airflow that start cold on the default token store.

How many there are says ``FINAUTH_MAPPED_TASKS``; ``make soak`` runs two hundred.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.airflow_harness import RunningAirflow, make_home, needs_airflow_3
from tests.faults import strict_server

pytestmark = [pytest.mark.airflow, needs_airflow_3]

TASKS = int(os.environ.get("FINAUTH_MAPPED_TASKS", "6"))

DAG = """
import os
from datetime import datetime
from pathlib import Path
from airflow.providers.common.compat.sdk import dag, task
from airflow_provider_finauth.exceptions import FinauthError
from airflow_provider_finauth.hooks.oauth2api import OAuth2ApiHook

@dag(
    schedule="@once", start_date=datetime(2026, 1, 1), catchup=False, is_paused_upon_creation=False,
    max_active_tasks=1000,
)
def crowd():
    @task
    def ask(number):
        try:
            got = str(OAuth2ApiHook("fleet").request("GET", "/things").status_code)
        except FinauthError as error:
            got = type(error).__name__
        Path(os.environ["AIRFLOW_HOME"], "got", f"{number}.part").write_text(got)
        Path(os.environ["AIRFLOW_HOME"], "got", f"{number}.part").rename(
            Path(os.environ["AIRFLOW_HOME"], "got", f"{number}.txt")
        )

    ask.expand(number=list(range(%d)))

crowd()
"""


class WideAirflow(RunningAirflow):
    """An Airflow that runs many tasks at once."""

    def _start(self, component: str) -> None:
        self.home.environment["AIRFLOW__CORE__PARALLELISM"] = "8"
        super()._start(component)


def test_mapped_tasks_that_start_cold_ask_once(tmp_path: Path) -> None:
    home = make_home(tmp_path / "airflow")
    got = home.path / "got"
    got.mkdir()
    home.add_dag("crowd", DAG % TASKS)
    with strict_server.running(lifetime=3600) as server:
        home.environment["AIRFLOW_CONN_FLEET"] = json.dumps(
            {
                "conn_type": "oauth2api",
                "host": server.origin,
                "login": "the-client",
                "password": "the-secret",
                "extra": {"grant": "client_credentials", "oauth_endpoint": server.url},
            }
        )
        with WideAirflow(home) as running:
            running.until(
                lambda: len(list(got.glob("*.txt"))) == TASKS, "all tasks have run", patience=60 + 10 * TASKS
            )
        assert {file.read_text() for file in got.glob("*.txt")} == {"200"}
        assert len(server.log()) == 1
        assert server.api_requests() == TASKS
