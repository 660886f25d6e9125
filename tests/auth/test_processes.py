"""Many processes that start cold on one file store, against a real token endpoint on loopback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_finauth.auth.broker import Broker
from airflow_provider_finauth.auth.sealer import Sealer
from airflow_provider_finauth.auth.stores.file import FileStore
from airflow_provider_finauth.secret import Secret
from tests.auth import token_server
from tests.auth.support import authorised_credentials, client_credentials
from tests.auth.token_server import TokenServer, answer

TASK = """
import os, sys
from airflow_provider_finauth.auth.broker import Broker
from airflow_provider_finauth.auth.credentials import Credentials
from airflow_provider_finauth.auth.sealer import Sealer
from airflow_provider_finauth.auth.stores.file import FileStore
from airflow_provider_finauth.exceptions import FinauthError
from airflow_provider_finauth.secret import Secret

folder, url, grant, ready, go, count = sys.argv[1:]
broker = Broker(FileStore(folder, Sealer("key")))

def credentials():
    return Credentials(
        conn_id="c", api="test", grant=grant, token_endpoint=url, client_id="id",
        client_secret=Secret("the-secret"),
        refresh_token=Secret("seed") if grant == "authorization_code" else None,
    )

def task():
    try:
        return broker.token(credentials()).access_token.reveal()
    except FinauthError as error:
        return type(error).__name__

# The interpreter is slow to start; all begin when the last is ready.
pids = []
for _ in range(int(count) - 1):
    pid = os.fork()
    if pid == 0:
        pids.clear()
        break
    pids.append(pid)
os.write(int(ready), b"x")
os.read(int(go), 1)
os.write(1, (task() + "\\n").encode())
for pid in pids:
    os.waitpid(pid, 0)
"""


def run_cold(
    folder: Path, url: str, *, grant: str = "client_credentials", starts: int, forks: int
) -> list[str]:
    """Have ``starts * forks`` processes ask for a token at the same moment, and give what they got."""
    ready_reader, ready = os.pipe()
    go, go_writer = os.pipe()
    command = [sys.executable, "-c", TASK, str(folder), url, grant, str(ready), str(go), str(forks)]
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, pass_fds=(ready, go), text=True)
        for _ in range(starts)
    ]
    for descriptor in (ready, go):
        os.close(descriptor)
    waiting = starts * forks
    while waiting:
        came = len(os.read(ready_reader, waiting))
        assert came, "a process died before it was ready"
        waiting -= came
    os.write(go_writer, b"x" * starts * forks)
    outputs = [process.communicate(timeout=120)[0] for process in processes]
    for descriptor in (ready_reader, go_writer):
        os.close(descriptor)
    assert all(process.returncode == 0 for process in processes)
    return "".join(outputs).split()


def test_sixty_four_cold_processes_ask_once(tmp_path: Path) -> None:
    with token_server.running() as server:
        got = run_cold(tmp_path / "store", server.url, starts=4, forks=16)
        assert got == ["access-1"] * 64
        assert len(server.requests) == 1


def test_cold_processes_spend_a_seed_once(tmp_path: Path) -> None:
    with token_server.running() as server:
        server.script = [answer(200, {"access_token": "first", "refresh_token": "next", "expires_in": 900})]
        got = run_cold(tmp_path / "store", server.url, grant="authorization_code", starts=2, forks=8)
        assert got == ["first"] * 16
        assert len(server.requests) == 1


def test_processes_with_a_wrong_secret_ask_twice_at_most(tmp_path: Path) -> None:
    with token_server.running() as server:
        server.script = [answer(401, {"error": "invalid_client"})] * 64
        got = run_cold(tmp_path / "store", server.url, starts=2, forks=16)
        assert got == ["InvalidClientError"] * 32
        assert 1 <= len(server.requests) <= 2


def test_sixty_four_threads_of_one_process_ask_once(tmp_path: Path) -> None:
    with token_server.running() as server:
        broker = Broker(FileStore(tmp_path / "store", Sealer("key")))
        barrier = threading.Barrier(64)

        def task(_: int) -> Any:
            credentials = client_credentials(token_endpoint=server.url)
            barrier.wait(30)
            return broker.token(credentials).access_token

        with ThreadPoolExecutor(64) as pool:
            assert set(pool.map(task, range(64))) == {Secret("access-1")}
        assert len(server.requests) == 1


@pytest.fixture
def stuck(tmp_path: Path) -> Any:
    """A process that is in the middle of a token request, with the lock in its hand."""
    with token_server.running() as server:
        server.script = [token_server.silence]
        ready_reader, ready = os.pipe()
        go, go_writer = os.pipe()
        command = [sys.executable, "-c", TASK, str(tmp_path / "store"), server.url]
        command += ["client_credentials", str(ready), str(go), "1"]
        with subprocess.Popen(command, pass_fds=(ready, go), stdout=subprocess.DEVNULL) as process:
            os.read(ready_reader, 1)
            os.write(go_writer, b"x")
            yield server, process
            process.kill()
        for descriptor in (ready_reader, ready, go, go_writer):
            os.close(descriptor)


def test_the_lock_of_a_killed_holder_is_free(tmp_path: Path, stuck: tuple[TokenServer, Any]) -> None:
    server, process = stuck
    _wait_for(lambda: len(server.requests) == 1)
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    credentials = client_credentials(
        conn_id="c",
        api="test",
        token_endpoint=server.url,
        client_id="id",
        client_secret=Secret("the-secret"),
        scope=None,
    )
    assert Broker(FileStore(tmp_path / "store", Sealer("key"))).token(credentials).access_token == Secret(
        "access-2"
    )


def test_a_forked_child_finds_free_locks_and_the_token(tmp_path: Path) -> None:
    with token_server.running() as server:
        broker = Broker(FileStore(tmp_path / "store", Sealer("key")))
        known = client_credentials(token_endpoint=server.url)
        broker.token(known)
        unknown = client_credentials(token_endpoint=server.url, scope="other")
        slot = broker._memory.view(unknown).slot
        jitter = broker._memory._jitter
        # What another thread of the parent held at the fork nobody would release in the child.
        with slot.lock, broker._memory._guard:
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    served = broker.token(known).access_token == Secret("access-1")
                    minted = broker.token(unknown).access_token == Secret("access-2")
                    fresh = broker.token(client_credentials(token_endpoint=server.url)).access_token
                    if served and minted and fresh and broker._memory._jitter != jitter:
                        status = 0
                finally:
                    os._exit(status)
            assert os.waitpid(child, 0)[1] == 0
        assert len(server.requests) == 2


def test_a_forked_child_reads_a_memory_store_that_was_locked() -> None:
    from airflow_provider_finauth.auth.stores.memory import MemoryStore

    store = MemoryStore()
    store.write("a", b"x", follows=0)
    with store._guard, store._locks.setdefault("a", threading.Lock()):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                with store.lock("a", 0):
                    store.write("a", b"y", follows=1)
                status = 0
            finally:
                os._exit(status)
    assert os.waitpid(child, 0)[1] == 0


def test_an_authorised_grant_survives_its_process(tmp_path: Path) -> None:
    with token_server.running() as server:
        server.script = [answer(200, {"access_token": "first", "refresh_token": "next", "expires_in": 1})]
        run_cold(tmp_path / "store", server.url, grant="authorization_code", starts=1, forks=1)
        broker = Broker(FileStore(tmp_path / "store", Sealer("key")))
        credentials = authorised_credentials("seed", conn_id="c", token_endpoint=server.url)
        kept = broker.stored(credentials)
        assert kept is not None
        assert kept.refresh_token == Secret("next")


def _wait_for(condition: Any) -> None:
    waiting = threading.Event()
    for _ in range(3000):
        if condition():
            return
        waiting.wait(0.01)
    raise AssertionError("it did not come about")
