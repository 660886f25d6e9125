"""A task of a real Airflow that is killed in the middle of a pull, and tried again."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from tests.airflow_harness import RunningAirflow, make_home, needs_airflow_3, until
from tests.client.paged_server import Call, Pages, paged_server

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.airflow, needs_airflow_3]

DAG = """
import os
from datetime import datetime, timedelta
from pathlib import Path

from airflow.providers.common.compat.sdk import dag, task
from airflow_provider_finauth.operators.oauth2api import OAuth2ApiRecordsOperator

HOME = Path(os.environ["AIRFLOW_HOME"])

def tell(context):
    (HOME / "pid").write_text(str(os.getpid()))

@dag(schedule="@once", start_date=datetime(2026, 1, 1), catchup=False, is_paused_upon_creation=False)
def resumed():
    pull = OAuth2ApiRecordsOperator(
        task_id="pull",
        oauth2api_conn_id="lists",
        path="/things",
        paging="limit_offset",
        paging_options={"size": 3},
        key="id",
        total="total",
        destination=f"{HOME}/landed/x.jsonl",
        max_records_per_file=6,
        resumable=True,
        retries=1,
        retry_delay=timedelta(0),
        pre_execute=tell,
    )

    @task
    def left(manifest):
        import json
        (HOME / "manifest.part").write_text(json.dumps(manifest))
        (HOME / "manifest.part").rename(HOME / "manifest.json")

    left(pull.output)

resumed()
"""


def test_a_killed_task_goes_on(tmp_path: Path) -> None:
    home = make_home(tmp_path / "airflow")
    home.add_dag("resumed", DAG)
    pages = Pages(12)
    killed: list[int] = []

    def answer(call: Call) -> Any:
        if not killed and pages.number(call) == 7:
            killed.append(int((home.path / "pid").read_text()))
            # It may be asked for early. The note of a file is there when the next file is.
            until((home.path / "landed" / "x-00003.jsonl").exists, "three files are in place")
            os.kill(killed[0], signal.SIGKILL)
        return pages(call)

    with paged_server(answer) as server:
        home.environment["AIRFLOW_CONN_LISTS"] = json.dumps(
            {"conn_type": "oauth2api", "host": server.url, "password": "key", "extra": {"grant": "api_key"}}
        )
        with RunningAirflow(home) as running:
            manifest_file = home.path / "manifest.json"
            running.until(manifest_file.exists, "the pull has landed", patience=180)
        asked = [offset // 3 for offset in server.asked("offset")]
    manifest = json.loads(manifest_file.read_text())
    landed = sorted((home.path / "landed").glob("x-*.jsonl"))

    assert killed
    assert len(landed) == len(manifest["files"]) == 6
    lines = [json.loads(line) for file in landed for line in file.read_text().splitlines()]
    assert lines == pages.records
    assert manifest["records"] == 36
    assert manifest["checks"]["received"] == 36
    # The first files' pages came once; the try after went on behind them.
    assert all(asked.count(page) == 1 for page in range(4))
    assert max(asked.count(page) for page in range(12)) == 2
    with closing(sqlite3.connect(home.path / "airflow.db")) as database:
        assert database.execute("select count(*) from task_state_store").fetchone() == (0,)
