"""A PostgreSQL server that tests start for themselves, with TLS or a PgBouncer before it where they ask.

The session's ``postgres_server`` is shared: a test that stops, fills or configures a server starts one of its
own with :func:`running_postgres`.
"""

from __future__ import annotations

import atexit
import functools
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import trustme

from tests.servers import free_port, is_stopped, needs, wait_until

if TYPE_CHECKING:
    import psycopg

_STARTS_WITHIN = 60.0
_ATTEMPTS = 5
# Debian keeps the server's programs off the PATH, a folder for each version.
_FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
_PATH = os.pathsep.join([*map(str, reversed(_FOLDERS)), os.environ.get("PATH", os.defpath), "/usr/sbin"])


class PostgresServer:
    """A PostgreSQL server of a test's own.

    ``user`` owns ``database``; ``admin`` is the superuser. Both have the same password.

    :param folder: its data, configuration and certificates; its owner's alone
    :param settings: lines of ``postgresql.conf``; they replace those given here
    :param tls: speak TLS only
    """

    host = "127.0.0.1"
    user = "finauth"
    admin = "admin"
    database = "finauth"
    password = secrets.token_hex(16)

    def __init__(self, folder: Path, *, settings: Mapping[str, str], tls: bool) -> None:
        self.folder = folder
        self.tls = tls
        self.port = 0
        self.pooled_port = 0
        self._settings = {
            "listen_addresses": self.host,
            "unix_socket_directories": "",
            "max_connections": "100",
            "shared_buffers": "16MB",
            "fsync": "off",
            "full_page_writes": "off",
            "log_min_messages": "log",
            **settings,
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._pooler: subprocess.Popen[bytes] | None = None

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
                raise AssertionError(f"postgres does not start: {self.log()[-2000:]}")

    def stop(self) -> None:
        """End it in an orderly way, with its connections."""
        process, self._process = self._process, None
        if process is not None:
            self._signal(process.pid, signal.SIGCONT)
            process.send_signal(signal.SIGINT)
            process.wait(60)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        process, self._process = self._process, None
        if process is not None:
            family = self._family(process.pid)
            self._signal(process.pid, signal.SIGKILL)
            process.wait(60)
            # The next server does not start while one of them has the shared memory.
            wait_until(lambda: all(_is(child, psutil.STATUS_ZOMBIE) for child in family), what="its end")

    def restart(self) -> None:
        """End it in an orderly way and start it on the same port and data."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Let it answer nothing, although its port accepts connections."""
        # The parent first: it would go on making children.
        os.kill(self.pid, signal.SIGSTOP)
        wait_until(lambda: is_stopped(self.pid), what="the server's stop")
        self._signal(self.pid, signal.SIGSTOP)
        # One that has ended stays until its parent, which is stopped, looks after it.
        still = (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE)
        wait_until(lambda: all(_is(child, *still) for child in self._family(self.pid)), what="its stop")

    def resume(self) -> None:
        """Let it go on after :meth:`pause`."""
        self._signal(self.pid, signal.SIGCONT)

    def execute(self, statement: str, *parameters: object) -> list[Any]:
        """Run a statement as the superuser, to look at the server from outside, and give its rows."""
        with self._connect(self.port, self.admin) as client:
            cursor = client.execute(statement, parameters or None)
            return cursor.fetchall() if cursor.description else []

    @property
    def ca_file(self) -> Path:
        """With TLS: the authority of the server's certificate."""
        return self.folder / "ca.pem"

    def log(self) -> str:
        """What the server has printed so far."""
        with suppress(FileNotFoundError):
            return (self.folder / "postgres.log").read_text(errors="replace")
        return ""

    def prepare(self) -> None:
        """Make its data folder, and its certificates if it wants some."""
        shutil.copytree(_template(), self.data, symlinks=True)
        rules = "hostssl" if self.tls else "host"
        (self.data / "pg_hba.conf").write_text(f"{rules} all all 127.0.0.1/32 scram-sha-256\n")
        if self.tls:
            self._issue_certificates()
        _give(self.folder)

    def start_pooler(self, settings: Mapping[str, str]) -> None:
        """Start a PgBouncer in transaction mode before it, at ``pooled_port``."""
        users = self.folder / "users.txt"
        users.write_text("".join(f'"{name}" "{self.password}"\n' for name in (self.user, self.admin)))
        for attempt in range(_ATTEMPTS):
            self.pooled_port = free_port()
            options = {
                "listen_addr": self.host,
                "listen_port": str(self.pooled_port),
                "unix_socket_dir": "",
                "auth_type": "scram-sha-256",
                "auth_file": str(users),
                "pool_mode": "transaction",
                "max_client_conn": "500",
                **settings,
            }
            lines = ["[databases]", f"* = host={self.host} port={self.port}", "[pgbouncer]"]
            configuration = self.folder / "pgbouncer.ini"
            configuration.write_text("\n".join(lines + [f"{k} = {v}" for k, v in options.items()]) + "\n")
            _give(self.folder)
            self._pooler = self._spawn("pgbouncer", str(configuration))
            if self._answers(self._pooler, self.pooled_port):
                return
            self._stop_pooler()
            if attempt + 1 == _ATTEMPTS:
                raise AssertionError(f"pgbouncer does not start: {self.log()[-2000:]}")

    def end(self) -> None:
        """End all that was started."""
        self._stop_pooler()
        self.kill()

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def _stop_pooler(self) -> None:
        pooler, self._pooler = self._pooler, None
        if pooler is not None:
            pooler.kill()
            pooler.wait()

    def _runs(self, port: int) -> bool:
        options = [f"-c{name}={value}" for name, value in self._settings.items()]
        if self.tls:
            for name, file in (("ssl_cert_file", "server.pem"), ("ssl_key_file", "server.key")):
                options.append(f"-c{name}={self.folder / file}")
            options.append("-cssl=on")
        process = self._spawn("postgres", "-D", str(self.data), f"-p{port}", *options)
        # On this port another server may have been faster; but it knows another password.
        if self._answers(process, port):
            self._process = process
            return True
        process.kill()
        process.wait()
        return False

    def _spawn(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / "postgres.log").open("ab") as log:
            return subprocess.Popen(
                [str(_which(program)), *arguments],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **_as_nobody_special(),
            )

    def _answers(self, process: subprocess.Popen[bytes], port: int) -> bool:
        import psycopg

        ends = time.monotonic() + _STARTS_WITHIN
        while process.poll() is None and time.monotonic() < ends:
            with suppress(psycopg.OperationalError):
                self._connect(port, self.user).close()
                return True
            time.sleep(0.02)
        return False

    def _connect(self, port: int, user: str) -> psycopg.Connection:
        import psycopg

        return psycopg.connect(
            host=self.host,
            port=port,
            user=user,
            password=self.password,
            dbname=self.database,
            sslmode="require" if self.tls and port == self.port else "prefer",
            connect_timeout=20,
            autocommit=True,
            prepare_threshold=None,
        )

    @staticmethod
    def _family(pid: int) -> list[psutil.Process]:
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(pid).children(recursive=True)
        return []

    def _signal(self, pid: int, which: signal.Signals) -> None:
        for process in self._family(pid):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(which)
        with suppress(ProcessLookupError):
            os.kill(pid, which)

    def _issue_certificates(self) -> None:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.ca_file))
        server = authority.issue_cert(self.host, "localhost")
        server.cert_chain_pems[0].write_to_path(str(self.folder / "server.pem"))
        server.private_key_pem.write_to_path(str(self.folder / "server.key"))
        (self.folder / "server.key").chmod(0o600)


@contextmanager
def running_postgres(
    settings: Mapping[str, str] | None = None,
    *,
    tls: bool = False,
    pgbouncer: bool = False,
    pooler: Mapping[str, str] | None = None,
) -> Iterator[PostgresServer]:
    """Run a PostgreSQL server for the length of the block.

    It does not wait for its disk, unless told otherwise.

    :param settings: lines of ``postgresql.conf``, for example ``{"fsync": "on"}``
    :param tls: speak TLS only
    :param pgbouncer: with a PgBouncer in transaction mode at the server's ``pooled_port``
    :param pooler: lines of ``pgbouncer.ini``
    """
    programs = ["postgres", "initdb", *(["pgbouncer"] if pgbouncer else [])]
    needs(*(program for program in programs if _which(program) is None))
    # Not in the session's folder, which is its owner's alone.
    folder = Path(tempfile.mkdtemp(prefix="finauth-postgres-", dir="/tmp"))
    server = PostgresServer(folder, settings=settings or {}, tls=tls)
    try:
        server.prepare()
        server.start()
        if pgbouncer:
            server.start_pooler(pooler or {})
        yield server
    finally:
        server.end()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The session's PostgreSQL server, for tests that do not disturb it."""
    with running_postgres() as server:
        yield server


@functools.cache
def _template() -> Path:
    """Make a data folder with its users and database, once for all servers of this process."""
    folder = Path(tempfile.mkdtemp(prefix="finauth-postgres-", dir="/tmp"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    _give(folder)
    password = PostgresServer.password
    secret = folder / "password"
    secret.write_text(password)
    _give(secret)
    made = folder / "data"
    initdb = [
        "initdb",
        "-D",
        str(made),
        "-U",
        PostgresServer.admin,
        "-A",
        "scram-sha-256",
        f"--pwfile={secret}",
    ]
    _run([*initdb, "-E", "UTF8", "--locale=C", "--no-sync", "--wal-segsize=1"])
    statements = [
        f"CREATE ROLE finauth LOGIN PASSWORD '{password}'",
        "ALTER DATABASE postgres RENAME TO finauth",
        "ALTER DATABASE finauth OWNER TO finauth",
        # Each server's copy is the smaller.
        "ALTER DATABASE template0 IS_TEMPLATE false",
        "DROP DATABASE template0",
    ]
    _run(["postgres", "--single", "-D", str(made), "-F", "template1"], ";\n".join([*statements, ""]))
    return made


def _run(command: list[str], given: str = "") -> None:
    program, *arguments = command
    done = subprocess.run(
        [str(_which(program)), *arguments],
        cwd="/",
        input=given,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        **_as_nobody_special(),
    )
    assert done.returncode == 0, done.stdout


def _is(process: psutil.Process, *states: str) -> bool:
    """Tell whether a process is in one of these states, or is no more."""
    with suppress(psutil.NoSuchProcess):
        return process.status() in states
    return True


def _which(program: str) -> str | None:
    return shutil.which(program, path=_PATH)


def _user() -> pwd.struct_passwd | None:
    """Who runs the servers: they refuse to run as root."""
    return pwd.getpwnam("postgres") if os.geteuid() == 0 else None


def _as_nobody_special() -> dict[str, Any]:
    user = _user()
    return {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _give(top: Path) -> None:
    """Make ``top``, and all in it, the property of who runs the servers."""
    user = _user()
    if user is not None:
        for path in (top, *top.rglob("*")):
            os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
