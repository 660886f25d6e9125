"""A pull's memory is that of its pages in flight, however many there are.

10,000 records of each way by default; ``make scale`` sets ``FINAUTH_SCALE`` to 100,000.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_finauth.sandbox import running_sandbox
from tests.airflow_environment import environment_of, outer_environment
from tests.airflow_harness import ROOT
from tests.scale.pulls import WAYS

RECORDS = int(os.environ.get("FINAUTH_SCALE", "10000"))
MOST_GROWTH = 30 * 2**20
# A row group lies in memory while it is written.
MOST_GROWTH_OF_PARQUET = 64 * 2**20


def run_pulls(records: int, folder: Path) -> dict[str, Any]:
    """Run all pulls in a process of their own, and give what it tells, by way."""
    home = folder / "airflow"
    (home / "tmp").mkdir(parents=True)
    with running_sandbox(records=records) as sandbox:
        offset = json.loads(sandbox.environment["AIRFLOW_CONN_TALENOM_DEFAULT"])
        offset["extra"]["page_numbering"] = "offset"
        environment = {
            **outer_environment(),
            **environment_of(home),
            **sandbox.environment,
            "AIRFLOW_CONN_TALENOM_OFFSET": json.dumps(offset),
            "AIRFLOW__FINAUTH__TOKEN_STORE": "memory",
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        }
        done = subprocess.run(
            [sys.executable, "-m", "tests.scale.pulls", str(records), str(folder), sandbox.url],
            env=environment,
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {found["way"]: found for found in lines}


@pytest.fixture(scope="module")
def pulls(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run_pulls(RECORDS, tmp_path_factory.mktemp("pulls"))


@pytest.mark.parametrize("way", WAYS)
def test_all_arrive_in_flat_memory(way: str, pulls: dict[str, Any]) -> None:
    found = pulls[way]
    assert (found["few"]["records"], found["all"]["records"]) == (RECORDS // 10, RECORDS)
    most = MOST_GROWTH_OF_PARQUET if WAYS[way][1] == "parquet" else MOST_GROWTH
    # Over what the process held before it.
    assert found["all"]["peak"] < most
