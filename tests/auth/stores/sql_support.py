"""What the tests of the store ``sql`` share."""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow_provider_finauth.auth.sealer import Sealer
from airflow_provider_finauth.auth.stores.sql import SqlAddress, SqlHold, SqlStore
from airflow_provider_finauth.secret import Secret
from tests.servers import is_stopped, wait_until

if TYPE_CHECKING:
    from airflow_provider_finauth.auth.stores.base import Hold
    from tests.postgres_server import PostgresServer

MakeStore = Callable[..., SqlStore]


def address_of(server: PostgresServer, **fields: Any) -> SqlAddress:
    """Give the server's address, with a table of the test's own unless one is named."""
    given = {
        "host": server.host,
        "port": server.port,
        "database": server.database,
        "user": server.user,
        "password": Secret(server.password),
        "table": f"test_{secrets.token_hex(8)}",
        **fields,
    }
    return SqlAddress(**given)


def made_store(server: PostgresServer, **fields: Any) -> SqlStore:
    """Give a store that is ready to use."""
    store = SqlStore(address_of(server, **fields), Sealer("key"))
    store.init()
    return store


def sessions(server: PostgresServer) -> int:
    """Count the connections of stores."""
    [[count]] = server.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'finauth'")
    return int(count)


def end_session(server: PostgresServer, hold: Hold) -> None:
    """End the session that has a lock, as an administrator does."""
    assert isinstance(hold, SqlHold)
    server.execute("SELECT pg_terminate_backend(%s, 20000)", hold.lock.pid)


class Child:
    """A forked process: says what ``work`` gave, or that it held a lock, and waits to be told to go on.

    :param work: gets ``pause``, which reports and waits; what it returns is reported last
    """

    def __init__(self, work: Callable[[Callable[[str], None]], object]) -> None:
        self._answers, answers = os.pipe()
        orders, self._orders = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                # Otherwise the child would hold open what it waits on.
                os.close(self._orders)

                def pause(report: str) -> None:
                    os.write(answers, f"{report}\n".encode())
                    os.read(orders, 1)

                os.write(answers, f"{work(pause)}\n".encode())
                status = 0
            finally:
                os._exit(status)
        os.close(answers)
        os.close(orders)

    def says(self) -> str:
        """Wait for its next report; empty where it has ended without one."""
        report = b""
        while not report.endswith(b"\n"):
            piece = os.read(self._answers, 1)
            if not piece:
                break
            report += piece
        return report.decode().strip()

    def go_on(self) -> None:
        os.write(self._orders, b"x")

    def stop(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)
        wait_until(lambda: is_stopped(self.pid), what="the child's stop")

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End it at once, unless it has ended."""
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        for descriptor in (self._answers, self._orders):
            with suppress(OSError):
                os.close(descriptor)
