"""Many that start cold on one connection cause one token request; the sandbox counts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_finauth.hooks.talenom import TalenomHook
from airflow_provider_finauth.runtime.brokers import broker
from tests.airflow_harness import until

if TYPE_CHECKING:
    from airflow_provider_finauth.sandbox import RunningSandbox
    from tests.hooks.support import SandboxConnections
    from tests.passing_time import PassingTime

MANY = 64
ROOT = Path(__file__).parents[2]
STORE_KEY = "a-key-for-the-token-store"

# The broker and the API as a hook puts them together, without the seconds that importing Airflow takes.
PLAIN = """
import json, sys
from airflow_provider_finauth.apis.talenom import Talenom
from airflow_provider_finauth.auth.authorizer import make_authorizer
from airflow_provider_finauth.auth.broker import Broker
from airflow_provider_finauth.auth.sealer import Sealer
from airflow_provider_finauth.auth.stores.file import FileStore
from airflow_provider_finauth.client.client import ApiClient
from airflow_provider_finauth.settings import parse

connection, folder, key = json.loads(sys.argv[1])
assert "airflow" not in sys.modules

def work():
    api = Talenom(parse(connection.pop("conn_type"), "talenom_default", **connection))
    broker = Broker(FileStore(folder, Sealer(key)))
    client = ApiClient(api.profile, make_authorizer(broker, api.profile.credentials))
    return len(list(client.records(api.accounting_periods(14222))))
"""
HOOK = """
from airflow_provider_finauth.hooks.landax import LandaxHook
from airflow_provider_finauth.hooks.talenom import TalenomHook

# Lets Airflow load what it looks connections up with, once for all.
LandaxHook().get_conn()

def work():
    return len(list(TalenomHook().accounting_periods(14222)))
"""
# Forked as an executor forks its tasks: nothing is known to any of them but the program. They begin
# together, when the gate closes.
TOGETHER = """
import json, os, sys, traceback
wait, gate = os.pipe()
children = []
for _ in range(int(sys.argv[2])):
    child = os.fork()
    if not child:
        found = 0
        try:
            os.close(gate)
            os.read(wait, 1)
            found = work()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(found)
    children.append(child)
os.close(gate)
print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    tokens = tmp_path / "tokens"
    monkeypatch.setenv("AIRFLOW__FINAUTH__TOKEN_STORE", f"file://{tokens}")
    monkeypatch.setenv("AIRFLOW__FINAUTH__STORE_KEY", STORE_KEY)
    return tokens


def start(program: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def together(number: int, program: str, argument: str = "") -> list[int]:
    """Let so many processes begin at once, and give what each has found."""
    process = start(program + TOGETHER, argument, str(number))
    try:
        printed, said = process.communicate(timeout=300)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    assert process.returncode == 0, said
    found: list[int] = json.loads(printed.splitlines()[-1])
    assert all(found), said
    return found


def test_threads(connections: SandboxConnections, sandbox: RunningSandbox, folder: Path) -> None:
    """Each with a hook of its own, as mapped tasks of one process have."""
    barrier = threading.Barrier(MANY)

    def work(_: int) -> int:
        hook = TalenomHook()
        barrier.wait(60)
        return len(list(hook.accounting_periods(14222)))

    with ThreadPoolExecutor(MANY) as pool:
        assert list(pool.map(work, range(MANY))) == [6] * MANY
    stats = sandbox.stats("talenom")
    assert (stats["token_requests"], stats["api_requests"]) == (1, MANY)


def test_threads_at_the_end_of_a_token(
    connections: SandboxConnections, sandbox: RunningSandbox, folder: Path, passing_time: PassingTime
) -> None:
    hook = TalenomHook()
    hook.get_token()
    passing_time.go_on(3600)
    barrier = threading.Barrier(MANY)

    def work(_: int) -> Any:
        barrier.wait(60)
        return hook.get_token().generation

    with ThreadPoolExecutor(MANY) as pool:
        assert set(pool.map(work, range(MANY))) == {2}
    assert sandbox.stats("talenom")["token_requests"] == 2


def test_threads_of_one_session_after_a_401(
    connections: SandboxConnections, sandbox: RunningSandbox, folder: Path, passing_time: PassingTime
) -> None:
    """The API ends the token early, and all meet it at once."""
    connections.change("talenom_default", extra={"max_concurrency": 32})
    hook = TalenomHook()
    hook.get_token()
    passing_time.go_on(90)
    sandbox.faults("talenom", "expire_tokens")
    barrier = threading.Barrier(MANY)

    def work(_: int) -> int:
        barrier.wait(60)
        return hook.get_conn().get(hook.client.url("/organization/v2/accounting-periods/14222")).status_code

    with ThreadPoolExecutor(MANY) as pool:
        assert set(pool.map(work, range(MANY))) == {200}
    assert sandbox.stats("talenom")["token_requests"] == 2


def test_processes(sandbox: RunningSandbox, folder: Path) -> None:
    argument = json.dumps([sandbox.connections["talenom_default"], str(folder), STORE_KEY])
    assert together(MANY, PLAIN, argument) == [6] * MANY
    stats = sandbox.stats("talenom")
    assert (stats["token_requests"], stats["api_requests"]) == (1, MANY)
    # A hook of this process finds what they have left.
    assert len(broker().store.list()) == 1


def test_processes_with_hooks(connections: SandboxConnections, sandbox: RunningSandbox, folder: Path) -> None:
    assert together(6, HOOK) == [6] * 6
    # One that was not forked finds the token, too.
    assert len(list(TalenomHook().accounting_periods(14222))) == 6
    stats = sandbox.stats("talenom")
    assert (stats["token_requests"], stats["api_requests"]) == (1, 7)


def test_a_process_that_dies_while_minting_holds_nobody_up(sandbox: RunningSandbox, folder: Path) -> None:
    """A lock ends with its holder."""
    sandbox.faults("talenom", "hang", where="token")
    argument = json.dumps([sandbox.connections["talenom_default"], str(folder), STORE_KEY])
    first = start(PLAIN + "work()", argument)
    try:
        until(lambda: sandbox.stats("talenom")["token_requests"], "it asks", patience=60)
    finally:
        first.kill()
        first.communicate()
    assert together(3, PLAIN, argument) == [6] * 3
    assert sandbox.stats("talenom")["token_requests"] == 2
