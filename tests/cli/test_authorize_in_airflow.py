"""``finauth authorize`` in an Airflow of its own, and what other processes find there afterwards."""

from __future__ import annotations

import contextlib
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.airflow_harness import AirflowHome, make_home
from tests.cli.conftest import authorisable
from tests.cli.processes import PATIENCE, command
from tests.cli.terminal import Ended, approve, shown_url

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_finauth.sandbox import RunningSandbox

pytestmark = pytest.mark.airflow

FLAVOURS = ("luca_oauth", "luca_oauth21")
USES = """
import sys
from airflow_provider_finauth.hooks.luca import LucaHook
for conn_id in sys.argv[1:]:
    print("companies", conn_id, len(list(LucaHook(conn_id).companies())))
    print("test", conn_id, LucaHook(conn_id).test_connection()[0])
"""


def authorise(home: AirflowHome, conn_id: str) -> Ended:
    """Run the command in a home, with a browser beside it."""
    out = ""
    with subprocess.Popen(
        command("authorize", conn_id),
        env=home.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            for line in process.stdout:
                out += line
                if "--paste" in line:
                    approve(shown_url(out))
            errors = process.stderr.read()
            return Ended(process.wait(PATIENCE), out, errors)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()


@pytest.fixture(params=["variable", "file"])
def home(request: pytest.FixtureRequest, tmp_path: Path, sandbox: RunningSandbox) -> AirflowHome:
    """A home with the connections in its metadata database, and tokens in one of the stores."""
    folder = tmp_path / "airflow"
    store = "variable" if request.param == "variable" else f"file://{tmp_path}/tokens"
    home = make_home(folder, {"AIRFLOW__FINAUTH__TOKEN_STORE": store})
    home.add_connections({flavour: authorisable(sandbox, flavour) for flavour in FLAVOURS})
    return home


def test_tasks_go_on_without_a_person(home: AirflowHome, sandbox: RunningSandbox) -> None:
    # Over before another process has started, so that each has to refresh.
    sandbox.settings("luca", expires_in=1)
    for flavour in FLAVOURS:
        ended = authorise(home, flavour)
        assert (ended.code, ended.err) == (0, "")
        assert "is authorised" in ended.out
        # Airflow's own log would come between.
        assert ended.out.startswith("Open this address")
    exchanges = sandbox.log("luca", "token")
    assert ["code" in entry["body_members"] for entry in exchanges] == [True, True]
    sandbox.settings("luca", expires_in=3600)

    for _ in range(2):
        done = home.python(USES, *FLAVOURS)
        for flavour in FLAVOURS:
            assert f"companies {flavour} 3" in done.stdout
            assert f"test {flavour} True" in done.stdout

    refreshes = sandbox.log("luca", "token")[2:]
    # One for each connection: the second process found what the first had kept.
    assert ["refresh_token" in entry["body_members"] for entry in refreshes] == [True, True]
    assert sandbox.stats("luca")["replays"] == 0


def test_errors_are_one_message(airflow_home: AirflowHome) -> None:
    done = airflow_home.run(*command("authorize", "nobody_made_it"), check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: Airflow does not find the connection 'nobody_made_it'")
    assert len(done.stderr.splitlines()) == 1


def test_without_a_database(airflow_home: AirflowHome) -> None:
    (airflow_home.path / "airflow.db").write_bytes(b"")
    done = airflow_home.run(*command("authorize", "luca_default"), check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: Airflow could not be asked for the connection 'luca_default'")
    assert len(done.stderr.splitlines()) == 1
