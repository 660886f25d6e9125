from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from tests.cli.processes import PATIENCE, command, on_terminal

if TYPE_CHECKING:
    from airflow_provider_finauth.sandbox import RunningSandbox
    from tests.cli.terminal import Terminal

QUESTION = "[y/N]:"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def environment(sandbox: RunningSandbox, tmp_path: Path) -> dict[str, str]:
    store = {
        "AIRFLOW__FINAUTH__TOKEN_STORE": f"file://{tmp_path}/tokens",
        "AIRFLOW__FINAUTH__STORE_KEY": "a key of these tests",
        "PYTHONPATH": str(ROOT),
    }
    return {**os.environ, **sandbox.environment, **store}


def tokens_in(text: str) -> list[str]:
    """Find the access tokens that the sandbox gives out: long words with a line to themselves."""
    return [line for line in text.splitlines() if re.fullmatch(r"[\w.~+/=-]{20,}", line.strip())]


def test_shows_the_token_after_a_question(sandbox: RunningSandbox, environment: dict[str, str]) -> None:
    with on_terminal("token", "talenom_default", environment=environment) as terminal:
        terminal.until(QUESTION)
        assert sandbox.stats("talenom")["token_requests"] == 0
        terminal.type("y\n")
        assert terminal.end() == 0
        shown = terminal.shown

    assert "Authorization: Bearer" in shown
    assert "Ocp-Apim-Subscription-Key" in shown
    assert "'subscription_api_key'" in shown
    connection = sandbox.connections["talenom_default"]
    assert connection["extra"]["subscription_api_key"] not in shown
    assert connection["password"] not in shown
    (token,) = tokens_in(shown)
    assert shown.rstrip().endswith(token)
    assert sandbox.stats("talenom")["token_requests"] == 1

    # It is the one that tasks use, and it works.
    program = """
import sys
from airflow_provider_finauth.hooks.talenom import TalenomHook
hook = TalenomHook()
assert list(hook.accounting_periods(14222))
print(hook.get_token().access_token.reveal() == sys.argv[1])
"""
    done = subprocess.run(
        [sys.executable, "-c", program, token.strip()],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.stdout.splitlines()[-1:] == ["True"], done.stdout + done.stderr
    assert sandbox.stats("talenom")["token_requests"] == 1


@pytest.mark.parametrize("answer", ["n\n", "\n"])
def test_the_answer_is_no_unless_it_is_yes(
    sandbox: RunningSandbox, environment: dict[str, str], answer: str
) -> None:
    with on_terminal("token", "talenom_default", environment=environment) as terminal:
        terminal.until(QUESTION)
        terminal.type(answer)
        assert terminal.end() == 1
        assert "Nothing was shown" in terminal.shown
        assert tokens_in(terminal.shown) == []
    assert sandbox.stats("talenom")["token_requests"] == 0


def test_not_to_a_pipe(sandbox: RunningSandbox, environment: dict[str, str]) -> None:
    read, write = os.pipe()
    try:
        with on_terminal("token", "talenom_default", environment=environment, stdout=write) as terminal:
            os.close(write)
            assert terminal.end() == 2
            assert "on a terminal only" in terminal.shown
        assert os.read(read, 1000) == b""
    finally:
        os.close(read)
    assert sandbox.stats("talenom")["token_requests"] == 0


def test_not_when_the_answer_comes_from_a_pipe(sandbox: RunningSandbox, environment: dict[str, str]) -> None:
    read, write = os.pipe()
    os.write(write, b"y\n")
    os.close(write)
    try:
        with on_terminal("token", "talenom_default", environment=environment, stdin=read) as terminal:
            assert terminal.end() == 2
            assert "on a terminal only" in terminal.shown
    finally:
        os.close(read)
    assert sandbox.stats("talenom")["token_requests"] == 0


def test_not_with_neither(environment: dict[str, str]) -> None:
    done = subprocess.run(
        command("token", "talenom_default"),
        env=environment,
        input="y\n",
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "on a terminal only" in done.stderr


def test_not_in_what_a_task_starts(sandbox: RunningSandbox, environment: dict[str, str]) -> None:
    environment["AIRFLOW_CTX_DAG_ID"] = "a_dag"
    with on_terminal("token", "talenom_default", environment=environment) as terminal:
        assert terminal.end() == 2
        assert "inside an Airflow task" in terminal.shown
        assert QUESTION not in terminal.shown
    assert sandbox.stats("talenom")["token_requests"] == 0


def test_not_beside_a_task_s_supervisor(finauth: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    task_runner = ModuleType("task_runner")
    task_runner.SUPERVISOR_COMMS = object()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "airflow.sdk.execution_time.task_runner", task_runner)

    ended = finauth("token", "talenom_default")

    assert (ended.code, ended.out) == (2, "")
    assert "inside an Airflow task" in ended.err


def test_a_fixed_key_has_no_token(sandbox: RunningSandbox, environment: dict[str, str]) -> None:
    with on_terminal("token", "luca_default", environment=environment) as terminal:
        assert terminal.end() == 1
        assert "fixed key" in terminal.shown
        assert QUESTION not in terminal.shown
        assert sandbox.connections["luca_default"]["password"] not in terminal.shown


def test_what_nobody_has_authorised_says_how(environment: dict[str, str]) -> None:
    with on_terminal("token", "luca_oauth21", environment=environment) as terminal:
        terminal.until(QUESTION)
        terminal.type("y\n")
        assert terminal.end() == 1
        assert "finauth authorize luca_oauth21" in terminal.shown
        assert "Traceback" not in terminal.shown


def test_names_the_headers_of_any_connection(sandbox: RunningSandbox, environment: dict[str, str]) -> None:
    connection = json.loads(environment["AIRFLOW_CONN_OAUTH2API_DEFAULT"])
    connection["extra"]["secret_headers"] = {"X-Tenant": "tenant-key-93"}
    environment["AIRFLOW_CONN_OAUTH2API_DEFAULT"] = json.dumps(connection)
    with on_terminal("token", "oauth2api_default", environment=environment) as terminal:
        terminal.until(QUESTION)
        terminal.type("yes\n")
        assert terminal.end() == 0
        assert "X-Tenant: the value of the connection's field 'secret_headers'" in terminal.shown
        assert "tenant-key-93" not in terminal.shown
        assert len(tokens_in(terminal.shown)) == 1
