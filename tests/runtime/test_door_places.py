"""The door in every place where our code runs, in a real Airflow: what works differs from place to place."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.airflow_harness import AIRFLOW_3, AirflowHome, RunningAirflow, make_home, needs_airflow_3
from tests.runtime.door_probe import CONNECTION, check

pytestmark = pytest.mark.airflow

DAG = """
import json, os
from datetime import datetime
from pathlib import Path
from airflow.providers.common.compat.sdk import dag, task

@dag(schedule={schedule}, start_date=datetime(2026, 1, 1), catchup=False, is_paused_upon_creation=False)
def {name}():
    @task
    def look():
        from tests.runtime.door_probe import probe
        found = probe("{name}")
        print("the task prints a-secret-of-{name}")
        file = Path(os.environ["AIRFLOW_HOME"], "{name}.json")
        file.with_suffix(".tmp").write_text(json.dumps(found))
        file.with_suffix(".tmp").rename(file)
    look()

{name}()
"""

PLUGIN = """
from airflow.plugins_manager import AirflowPlugin
from fastapi import FastAPI

app = FastAPI()

@app.get("/look")
def look():
    from tests.runtime.door_probe import probe
    return probe("api_server")

class Probe(AirflowPlugin):
    name = "probe"
    fastapi_apps = [{"app": app, "url_prefix": "/probe", "name": "probe"}]
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> AirflowHome:
    home = make_home(tmp_path_factory.mktemp("door") / "airflow")
    # In the database: one in an environment variable is found even where nothing else works.
    home.add_connection("probe", **CONNECTION)
    return home


@pytest.fixture(scope="module")
def running(home: AirflowHome) -> Iterator[RunningAirflow]:
    home.add_dag("real_task", DAG.format(name="real_task", schedule="'@once'"))
    home.add_plugin("probe_plugin", PLUGIN)
    with RunningAirflow(home) as airflow:
        yield airflow


def test_plain_process(home: AirflowHome) -> None:
    program = "import json; from tests.runtime.door_probe import probe; print(json.dumps(probe('plain')))"
    found = json.loads(home.python(program).stdout.splitlines()[-1])
    check(found, "plain")
    assert not found["supervised"]


def test_dags_test(home: AirflowHome) -> None:
    home.add_dag("dags_test", DAG.format(name="dags_test", schedule="None"))
    home.test_dag("dags_test")
    found = json.loads((home.path / "dags_test.json").read_text())
    check(found, "dags_test")
    assert found["supervised"] == AIRFLOW_3


def test_real_task(running: RunningAirflow) -> None:
    home = running.home
    file = home.path / "real_task.json"
    running.until(file.exists, "the task has run")
    found = json.loads(file.read_text())
    check(found, "real_task")
    assert found["supervised"] == AIRFLOW_3

    def masked() -> bool:
        logs = [log.read_text() for log in Path(home.path, "logs").rglob("*.log")]
        printed = [line for log in logs for line in log.splitlines() if "the task prints" in line]
        assert not [line for line in printed if "a-secret-of" in line]
        return any("***" in line for line in printed)

    running.until(masked, "the task's log has the line with the secret masked")


@needs_airflow_3
def test_api_server(running: RunningAirflow) -> None:
    with urllib.request.urlopen(f"{running.url}/probe/look", timeout=120) as answer:
        found = json.load(answer)
    check(found, "api_server")
    assert not found["supervised"]


def test_without_database(tmp_path: Path) -> None:
    """Neither way works: that is told apart from an absence."""
    home = make_home(tmp_path / "airflow")
    (home.path / "airflow.db").unlink()
    program = """
import json
from airflow_provider_finauth.exceptions import FinauthError
from airflow_provider_finauth.runtime import door
names = []
for call in (
    lambda: door.get_connection("probe"),
    lambda: door.variable_get("x"),
    lambda: door.variable_set("x", "the-value", description="probe"),
    lambda: door.variable_delete("x"),
    lambda: door.variable_keys("x"),
):
    try:
        call()
    except FinauthError as error:
        assert "the-value" not in repr(error) and error.__cause__ is None
        names.append(type(error).__name__)
print(json.dumps(names))
"""
    assert json.loads(home.python(program).stdout.splitlines()[-1]) == ["StoreUnavailableError"] * 5
