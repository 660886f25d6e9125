"""Processes that share the Variables and no lock folder, as containers of one machine and hosts do."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from airflow_provider_finauth.auth.broker import Broker
from airflow_provider_finauth.auth.entry import Record
from airflow_provider_finauth.auth.stores.base import Conflict
from airflow_provider_finauth.runtime import door
from airflow_provider_finauth.runtime.variable_store import VariableStore
from airflow_provider_finauth.secret import Secret
from airflow_provider_finauth.transport.clock import SYSTEM_CLOCK, Clock
from tests.airflow_harness import until
from tests.auth import token_server
from tests.auth.support import client_credentials
from tests.runtime.variables import StoppedClock, intent, record

KEY = "grant-0123abcd"

CLAIM = """
import sys
from pathlib import Path
from airflow_provider_finauth.auth.stores.base import Conflict
from airflow_provider_finauth.runtime.variable_store import VariableStore
from airflow_provider_finauth.secret import Secret
from airflow_provider_finauth.transport.clock import Clock
from tests.runtime.variables import intent, record

class Told(Clock):
    def monotonic(self):
        return 0.0

    def sleep(self, seconds):
        print(f"claimed, waits {seconds}", flush=True)
        sys.stdin.readline()

folder, owner, revision = sys.argv[1:]
store = VariableStore(Path(folder), Secret("the-store-key"), clock=Told())
claim = record(intent=intent(owner=owner)).to_json()
try:
    store.write("grant-0123abcd", claim, follows=int(revision))
except Conflict:
    print("conflict", flush=True)
else:
    print("goes on", flush=True)
"""

MINT = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from airflow_provider_finauth.auth.broker import Broker
from airflow_provider_finauth.auth.credentials import Credentials
from airflow_provider_finauth.runtime.variable_store import VariableStore
from airflow_provider_finauth.secret import Secret

folder, url = sys.argv[1:]
broker = Broker(VariableStore(Path(folder), Secret("the-store-key")))
print("ready", flush=True)
sys.stdin.readline()
credentials = Credentials(
    conn_id="c", api="test", grant="client_credentials", token_endpoint=url, client_id="id",
    client_secret=Secret("the-secret"),
)
with ThreadPoolExecutor(8) as pool:
    got = list(pool.map(lambda _: broker.token(credentials).access_token.reveal(), range(8)))
print("tokens", *got, flush=True)
"""


@pytest.fixture(autouse=True)
def _clean(metadata_database: Path) -> Iterator[None]:
    _delete_all()  # the database is the whole process's
    yield
    _delete_all()


def _delete_all() -> None:
    for name in door.variable_keys("finauth_") or ():
        door.variable_delete(name)


def host(folder: Path, *, clock: Clock | None = None) -> VariableStore:
    """Make a store with a lock folder of its own."""
    folder.mkdir(exist_ok=True)
    return VariableStore(folder, Secret("the-store-key"), clock=clock or StoppedClock())


def start(program: str, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    folder.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-c", program, str(folder), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def said(process: subprocess.Popen[str], beginning: str) -> None:
    """Read a process's lines until one begins so."""
    assert process.stdout is not None
    until(lambda: process.stdout.readline().startswith(beginning), f"the other process says {beginning!r}")


def tell(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_locks_do_not_keep_them_apart(tmp_path: Path) -> None:
    """What the store says of itself."""
    a, b = host(tmp_path / "a"), host(tmp_path / "b")
    assert not a.binds_all
    with a.lock(KEY, 0), b.lock(KEY, 0):
        pass


def test_one_sees_the_claim_of_the_other(tmp_path: Path) -> None:
    store = host(tmp_path / "a")
    revision = store.write(KEY, record().to_json(), follows=0)
    other = start(CLAIM, tmp_path / "b", "host-b", str(revision))
    with other:
        said(other, "claimed, waits 3.0")
        with pytest.raises(Conflict):
            store.write(KEY, record(intent=intent(owner="host-a")).to_json(), follows=revision)
        entry = store.read(KEY, surely=True)
        assert entry is not None
        found = Record.from_json(entry.payload).intent
        assert found is not None
        assert found.owner == "host-b"
        tell(other)
        said(other, "goes on")


def test_of_many_that_claim_at_once_one_goes_on(tmp_path: Path) -> None:
    """Each has a lock folder of its own; only the wait keeps them apart."""
    hosts = 6
    revision = host(tmp_path / "0").write(KEY, record().to_json(), follows=0)
    ready = threading.Barrier(hosts)
    settled = threading.Semaphore(0)
    has_claimed = threading.Event()

    class UntilAllHaveWritten(StoppedClock):
        def sleep(self, seconds: float) -> None:
            settled.release()
            assert has_claimed.wait(60)

    def claim(number: int) -> bool:
        clock = UntilAllHaveWritten()
        store = host(tmp_path / str(number), clock=clock)
        payload = record(intent=intent(owner=f"host-{number}")).to_json()
        ready.wait(60)
        try:
            store.write(KEY, payload, follows=revision)
        except Conflict:
            # One that saw another's claim at once, or that did not stand in the end.
            settled.release()
            return False
        return True

    with ThreadPoolExecutor(hosts) as pool:
        claims = [pool.submit(claim, number) for number in range(hosts)]
        for _ in range(hosts):
            assert settled.acquire(timeout=60)
        has_claimed.set()
        assert sum(each.result() for each in claims) == 1


def test_a_grant_that_starts_over_alone_is_minted_once_a_folder_at_most(tmp_path: Path) -> None:
    with token_server.running() as server:
        processes = [start(MINT, tmp_path / name, server.url) for name in ("a", "b")]
        for process in processes:
            said(process, "ready")
        for process in processes:
            tell(process)
        # Airflow prints too.
        lines = [process.communicate(timeout=120)[0].splitlines()[-1].split() for process in processes]
        assert [line[0] for line in lines] == ["tokens"] * 2
        tokens = {token for line in lines for token in line[1:]}
        assert 1 <= len(server.requests) <= 2
        assert {"access-1"} <= tokens <= {"access-1", "access-2"}
        # Whoever comes later uses what stands, wherever it runs.
        credentials = client_credentials(
            conn_id="c",
            api="test",
            token_endpoint=server.url,
            client_id="id",
            client_secret=Secret("the-secret"),
            scope=None,
        )
        found = Broker(host(tmp_path / "c", clock=SYSTEM_CLOCK)).token(credentials).access_token
        assert found is not None
        assert found.reveal() in tokens
        assert 1 <= len(server.requests) <= 2
