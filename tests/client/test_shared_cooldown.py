"""Many workers, one 429, on a real server: what the server has recorded decides."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_finauth.auth.cooldown import CoolDowns
from airflow_provider_finauth.auth.sealer import Sealer
from airflow_provider_finauth.auth.stores.file import FileStore
from airflow_provider_finauth.client.client import ApiClient
from airflow_provider_finauth.exceptions import RateLimitedError
from tests.client.support import FakeAuthorizer, fixed, profile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WORKERS = 32

# Processes that share nothing but the folder of lock files: each has a store of its own.
TASK = """
import os, sys
from pathlib import Path
from tests.client.test_shared_cooldown import cooldowns_of, client_of

url, folder, stores, go, count = sys.argv[1:]
pids = []
for number in range(int(count)):
    pid = os.fork()
    if pid == 0:
        os.read(int(go), 1)
        client = client_of(url, cooldowns_of(Path(folder), Path(stores) / str(number)))
        client.get_json("/x")
        os._exit(0)
    pids.append(pid)
sys.exit(sum(os.waitpid(pid, 0)[1] != 0 for pid in pids))
"""


class LimitedServer(ThreadingHTTPServer):
    """Answers its first request with a 429, and records when each came by the monotonic clock."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, retry_after: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.retry_after = retry_after
        self.came: list[float] = []
        self.limited_at: float | None = None
        self.guard = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def came_in_window(self) -> int:
        """Count the requests after the 429 and before its end."""
        assert self.limited_at is not None
        return sum(0 < moment - self.limited_at < self.retry_after for moment in self.came)


class _Handler(BaseHTTPRequestHandler):
    server: LimitedServer

    def do_GET(self) -> None:
        server = self.server
        with server.guard:
            moment = time.monotonic()
            is_first = not server.came
            server.came.append(moment)
            if is_first:
                server.limited_at = moment
        self.send_response(429 if is_first else 200)
        if is_first:
            self.send_header("Retry-After", str(server.retry_after))
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def limited_server(retry_after: int) -> Iterator[LimitedServer]:
    server = LimitedServer(retry_after)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def cooldowns_of(folder: Path, store: Path) -> CoolDowns:
    """Make those of one process of a host."""
    return CoolDowns(FileStore(store, Sealer("key")), folder)


def client_of(url: str, cooldowns: CoolDowns, key: str = "fixed-key-0001", **changes: Any) -> ApiClient:
    given: dict[str, Any] = {"base_url": url, "credentials": fixed(key), "max_concurrency": WORKERS}
    return ApiClient(profile(**{**given, **changes}), FakeAuthorizer(), cooldowns=cooldowns)


def wait_until(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < ends, "it did not come about"
        time.sleep(0.005)


@contextmanager
def one_is_told_to_wait(server: LimitedServer, cooldowns: CoolDowns) -> Iterator[str]:
    """Have one worker meet the 429; it succeeds in the end. Gives the cool-down's name."""
    client, answers = client_of(server.url, cooldowns), []
    worker = threading.Thread(target=lambda: answers.append(client.get_json("/x")))
    worker.start()
    key = client.session.cooling._named()
    assert key is not None
    wait_until(lambda: cooldowns.remaining(key) > 0)
    yield key
    worker.join()
    assert answers == [{}]


def test_processes_of_a_host(tmp_path: Path) -> None:
    folder = tmp_path / "locks"
    folder.mkdir()
    reader, writer = os.pipe()
    with limited_server(3) as server:
        command = [sys.executable, "-c", TASK, server.url, folder, tmp_path, str(reader), str(WORKERS - 1)]
        root = Path(__file__).parents[2]
        with subprocess.Popen(list(map(str, command)), pass_fds=[reader], cwd=root) as tasks:
            with one_is_told_to_wait(server, cooldowns_of(folder, tmp_path / "first")) as key:
                # This process knows of it before the file is there.
                onlooker = cooldowns_of(folder, tmp_path / "onlooker")
                wait_until(lambda: onlooker.remaining(key) > 0)
                os.write(writer, b"x" * (WORKERS - 1))
                os.close(writer)
                os.close(reader)
            assert tasks.wait(60) == 0

    assert server.came_in_window() == 0
    assert len(server.came) == WORKERS + 1


def test_threads_of_two_hosts(tmp_path: Path) -> None:
    """They share the store, and no folder."""
    hosts = [tmp_path / "a", tmp_path / "b"]
    for folder in hosts:
        folder.mkdir()
    answers = []
    with limited_server(2) as server:

        def work(folder: Path) -> None:
            client = client_of(server.url, cooldowns_of(folder, tmp_path / "store"))
            answers.append(client.get_json("/x"))

        with one_is_told_to_wait(server, cooldowns_of(hosts[0], tmp_path / "store")):
            # The entry is written after the file.
            wait_until(lambda: bool(FileStore(tmp_path / "store", Sealer("key")).list()))
            threads = [threading.Thread(target=work, args=(hosts[n % 2],)) for n in range(WORKERS - 1)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    assert answers == [{}] * (WORKERS - 1)
    assert server.came_in_window() == 0
    assert len(server.came) == WORKERS + 1


def test_threads_of_one_client(tmp_path: Path) -> None:
    answers = []
    with limited_server(1) as server:
        cooldowns = cooldowns_of(tmp_path, tmp_path / "store")
        client = client_of(server.url, cooldowns, max_concurrency=4)
        with one_is_told_to_wait(server, cooldowns):
            threads = [
                threading.Thread(target=lambda: answers.append(client.get_json("/x")))
                for _ in range(WORKERS - 1)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    assert answers == [{}] * (WORKERS - 1)
    assert server.came_in_window() == 0
    assert len(server.came) == WORKERS + 1


def test_a_mended_connection_and_a_short_deadline(tmp_path: Path) -> None:
    with limited_server(60) as server:
        cooldowns = cooldowns_of(tmp_path, tmp_path / "store")
        for _ in range(2):
            # The first is told to wait; the second is not sent.
            with pytest.raises(RateLimitedError) as caught:
                client_of(server.url, cooldowns, retry_deadline=5.0).get_json("/x")
        assert len(server.came) == 1
        assert caught.value.retry_after is not None
        assert 5 < caught.value.retry_after <= 60

        assert client_of(server.url, cooldowns, key="renewed-key-0002").get_json("/x") == {}
        assert server.came_in_window() == 1
