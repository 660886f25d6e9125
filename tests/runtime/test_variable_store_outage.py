"""The API server is killed under a running task, and Airflow answers that there is no such Variable."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from tests.airflow_harness import RunningAirflow, make_home, needs_airflow_3, until
from tests.auth import token_server

pytestmark = [pytest.mark.airflow, needs_airflow_3]

DAG = """
import json, os, time
from datetime import datetime
from pathlib import Path
from airflow.providers.common.compat.sdk import dag, task

HOME = Path(os.environ["AIRFLOW_HOME"])

def tell(name, text):
    file = HOME / name
    file.with_suffix(".tmp").write_text(text)
    file.with_suffix(".tmp").rename(file)

@dag(schedule="@once", start_date=datetime(2026, 1, 1), catchup=False, is_paused_upon_creation=False)
def outage():
    @task
    def use(name):
        from airflow_provider_finauth.auth.credentials import Credentials
        from airflow_provider_finauth.exceptions import FinauthError
        from airflow_provider_finauth.runtime import door
        from airflow_provider_finauth.runtime.brokers import broker
        from airflow_provider_finauth.secret import Secret
        from tests.runtime.variables import record

        made = broker()
        credentials = Credentials(
            conn_id=name, api="test", grant="authorization_code", token_endpoint={url!r}, client_id="id",
            refresh_token=Secret("the seed of " + name),
        )
        key = credentials.lineage_key(made.store.sealer.digest)
        if name == "kept":
            # Its access token ended long ago, and its refresh token is none that the connection knows.
            ended = record(generation=4)
            members = json.loads(ended.to_json())
            members["tokens"] |= {{"issued_at": 1.0, "expires_at": 2.0}}
            made.store.write(key, json.dumps(members).encode(), follows=0)
            assert made.store.read(key, surely=True) is not None
        else:
            # An Airflow whose tasks cannot list Variables.
            door._keys = lambda prefix: None
        tell(name + ".ready", "")
        while not (HOME / "killed").exists():
            time.sleep(0.1)
        found = {{"supervised": door.supervised()}}
        try:
            found["read"] = repr(made.store.read(key))
        except FinauthError as error:
            found["read"] = type(error).__name__
        try:
            found["surely"] = repr(made.store.read(key, surely=True))
        except FinauthError as error:
            found["surely"] = type(error).__name__
        try:
            made.token(credentials)
        except Exception as error:
            found["token"] = type(error).__name__
            tell(name + ".json", json.dumps(found))
            raise

    use.expand(name=["kept", "seed"])

outage()
"""


def test_nothing_found_is_not_believed(tmp_path: Path) -> None:
    options = {
        "AIRFLOW__FINAUTH__STORE_KEY": "the-store-key-of-these-tests",
        # Airflow gives up sooner, and lets the task live longer, than by default.
        "AIRFLOW__WORKERS__EXECUTION_API_RETRIES": "1",
        "AIRFLOW__WORKERS__MAX_FAILED_HEARTBEATS": "1000",
    }
    home = make_home(tmp_path / "airflow", options)
    with token_server.running() as server:
        home.add_dag("outage", DAG.format(url=server.url))
        with RunningAirflow(home) as airflow:
            for name in ("kept", "seed"):
                airflow.until((home.path / f"{name}.ready").exists, f"the task {name!r} runs")
            api_server = airflow._processes[airflow.components.index("api-server")]
            os.killpg(api_server.pid, signal.SIGKILL)
            until(lambda: not airflow._answers(), "the API server is gone")
            (home.path / "killed").touch()
            found = {}
            for name in ("kept", "seed"):
                file = home.path / f"{name}.json"
                until(file.exists, f"the task {name!r} has failed", patience=120)
                found[name] = json.loads(file.read_text())
        assert server.requests == []
    failed = {"supervised": True, "surely": "StoreUnavailableError", "token": "StoreUnavailableError"}
    assert found["kept"] == {**failed, "read": "StoreUnavailableError"}
    # That is what Airflow says, and what must not be believed.
    assert found["seed"] == {**failed, "read": "None"}
