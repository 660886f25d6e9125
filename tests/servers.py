"""Servers that tests start for themselves, each on a free loopback port in a temporary folder.

The session's ``redis_server`` is shared: a test that stops, fills or configures a server starts one of its
own with :func:`running_redis`.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trustme

if TYPE_CHECKING:
    import redis as driver

_STARTS_WITHIN = 30.0
_ATTEMPTS = 5


def needs(*binaries: str) -> None:
    """Skip the test where a program is missing; fail it where the environment says that all must be there."""
    missing = [binary for binary in binaries if shutil.which(binary) is None]
    if not missing:
        return
    reason = f"not installed: {', '.join(missing)}"
    if os.environ.get("FINAUTH_REQUIRE_SERVICES") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def free_port() -> int:
    """Give a loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_stopped(pid: int) -> bool:
    """Tell whether a process has taken a SIGSTOP, which arrives a little after it was sent."""
    state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state == "T"


def wait_until(
    condition: Callable[[], object], seconds: float = 30.0, *, what: str = "the condition"
) -> None:
    """Look again and again until ``condition()`` is true.

    :param seconds: after so many the test fails
    :param what: named in the failure
    """
    ends = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > ends:
            raise AssertionError(f"{what} did not come true within {seconds:.0f} s")
        time.sleep(0.01)


class RedisServer:
    """A Redis server of a test's own.

    :param folder: its data, configuration and certificates
    :param password: what clients must give
    :param settings: further lines of ``redis.conf``; they replace those given here
    :param tls: speak TLS only
    :param client_certificates: with TLS, let in nobody without a certificate
    """

    host = "127.0.0.1"

    def __init__(
        self,
        folder: Path,
        *,
        password: str,
        settings: Mapping[str, str],
        tls: bool = False,
        client_certificates: bool = False,
    ) -> None:
        self.folder = folder
        self.password = password
        self.tls = tls
        self.port = 0
        self._settings = {
            "bind": self.host,
            "dir": str(folder),
            "appendonly": "yes",
            "save": '""',
            "maxmemory-policy": "noeviction",
            "requirepass": password,
            **settings,
        }
        if tls:
            self._issue_certificates(client_certificates)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, "the server does not run"
        return self._process.pid

    def start(self) -> None:
        """Start it, on its former port and data where it ran before."""
        assert self._process is None, "the server runs"
        attempts = 1 if self.port else _ATTEMPTS
        for attempt in range(attempts):
            port = self.port or free_port()
            if self._runs(port):
                self.port = port
                return
            # Mostly another process was given the same free port.
            if attempt + 1 == attempts:
                raise AssertionError(f"redis-server does not start: {self.log()[-2000:]}")

    def stop(self) -> None:
        """End it in an orderly way."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """End it in an orderly way and start it on the same port and data."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Let it answer nothing, although its port accepts connections."""
        os.kill(self.pid, signal.SIGSTOP)
        wait_until(lambda: is_stopped(self.pid), what="the server's stop")

    def resume(self) -> None:
        """Let it go on after :meth:`pause`."""
        os.kill(self.pid, signal.SIGCONT)

    def config_set(self, name: str, value: str) -> None:
        """Change a setting until the next start."""
        with self.client() as client:
            client.config_set(name, value)

    @contextmanager
    def client(self) -> Iterator[driver.Redis]:
        """Give a client of the driver's own, to look at the server from outside."""
        import redis as driver

        tls: dict[str, Any] = {}
        if self.tls:
            tls = {
                "ssl": True,
                "ssl_ca_certs": str(self.ca_file),
                "ssl_certfile": str(self.client_cert_file),
                "ssl_keyfile": str(self.client_key_file),
            }
        client = driver.Redis(
            host=self.host,
            port=self.port,
            password=self.password,
            socket_timeout=20,
            socket_connect_timeout=20,
            decode_responses=True,
            **tls,
        )
        try:
            yield client
        finally:
            client.close()

    @property
    def ca_file(self) -> Path:
        """With TLS: the authority of the server's certificate."""
        return self.folder / "ca.pem"

    @property
    def client_cert_file(self) -> Path:
        """With TLS: a certificate that a client may show."""
        return self.folder / "client.pem"

    @property
    def client_key_file(self) -> Path:
        """With TLS: the key of :attr:`client_cert_file`."""
        return self.folder / "client.key"

    def log(self) -> str:
        """What the server has printed so far."""
        with suppress(FileNotFoundError):
            return (self.folder / "redis.log").read_text(errors="replace")
        return ""

    def _runs(self, port: int) -> bool:
        listens = {"port": "0", "tls-port": str(port)} if self.tls else {"port": str(port)}
        lines = [f"{name} {value}" for name, value in {**self._settings, **listens}.items()]
        configuration = self.folder / "redis.conf"
        configuration.write_text("\n".join(lines) + "\n")
        with (self.folder / "redis.log").open("ab") as log:
            process = subprocess.Popen(
                ["redis-server", str(configuration)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        ends = time.monotonic() + _STARTS_WITHIN
        while process.poll() is None:
            if self._answers(port, process.pid):
                self._process = process
                return True
            if time.monotonic() > ends:
                process.kill()
                process.wait()
                break
            time.sleep(0.02)
        return False

    def _answers(self, port: int, pid: int) -> bool:
        import redis as driver

        before, self.port = self.port, port
        try:
            with self.client() as client:
                # By its process id: on this port another server may have been faster.
                return bool(client.info("server")["process_id"] == pid)
        except driver.RedisError:
            return False
        finally:
            self.port = before

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        # A stopped process takes no SIGTERM.
        process.send_signal(signal.SIGCONT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _issue_certificates(self, client_certificates: bool) -> None:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.ca_file))
        server = authority.issue_cert(self.host, "localhost")
        server.cert_chain_pems[0].write_to_path(str(self.folder / "server.pem"))
        server.private_key_pem.write_to_path(str(self.folder / "server.key"))
        client = authority.issue_cert("client@example.com")
        client.cert_chain_pems[0].write_to_path(str(self.client_cert_file))
        client.private_key_pem.write_to_path(str(self.client_key_file))
        self._settings |= {
            "tls-cert-file": str(self.folder / "server.pem"),
            "tls-key-file": str(self.folder / "server.key"),
            "tls-ca-cert-file": str(self.ca_file),
            "tls-auth-clients": "yes" if client_certificates else "no",
        }


@contextmanager
def running_redis(
    settings: Mapping[str, str] | None = None,
    *,
    password: str | None = None,
    tls: bool = False,
    client_certificates: bool = False,
) -> Iterator[RedisServer]:
    """Run a Redis server for the length of the block; it keeps every write, unless told otherwise.

    :param settings: lines of ``redis.conf``, for example ``{"appendonly": "no"}``
    :param password: made up where none is given
    :param tls: speak TLS only
    :param client_certificates: with TLS, let in nobody without a certificate
    """
    needs("redis-server")
    folder = Path(tempfile.mkdtemp(prefix="finauth-redis-"))
    server = RedisServer(
        folder,
        password=password or secrets.token_hex(16),
        settings=settings or {},
        tls=tls,
        client_certificates=client_certificates,
    )
    try:
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """The session's Redis server, for tests that do not disturb it."""
    with running_redis() as server:
        yield server
