"""One PostgreSQL server: how it is reached and asked, and which connections are kept.

A connection lives for one question. While a lock is held its own serves for reading, and another one is kept
for writing, so that what a token request brought can be written on a server that has no connection left; a
task that runs for hours with its token keeps none.
"""

from __future__ import annotations

import importlib
import os
import random
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_finauth.auth.forks import renew_after_fork
from airflow_provider_finauth.exceptions import ConfigurationError, StoreUnavailableError
from airflow_provider_finauth.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_finauth.auth.stores.sql_connection import Connection
    from airflow_provider_finauth.transport.clock import Clock

Answer = TypeVar("Answer")

# A server whose connections are all taken turns us away at once. It is asked again after pauses that grow.
_FULL_PAUSE = 0.2
_LONGEST_FULL_PAUSE = 3.0
# A lock that the server does not take back at once is free as soon as the connection has ended.
_RELEASE_PATIENCE = 2.0

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")

_forks = 0


def _count_fork() -> None:
    global _forks
    _forks += 1


os.register_at_fork(before=_count_fork)


@dataclass(frozen=True)
class SqlAddress:
    """Where a PostgreSQL server is, how it lets us in, and which table is ours.

    :param host: name or address
    :param port: its port, or a PgBouncer's
    :param database: its name
    :param user: who logs in
    :param password: empty where the server asks for none
    :param sslmode: as libpq has it; ``verify-full`` is the one that knows whom it talks to
    :param sslrootcert: PEM file of the authorities to trust, or ``system``
    :param sslcert: PEM file of a client certificate
    :param sslkey: PEM file of its private key
    :param connect_timeout: seconds for a connection, 2 at least
    :param answer_timeout: seconds for an answer
    :param schema: where the table is; without it the user's ``search_path`` decides
    :param table: its name
    :param conn_id: the Airflow connection that all this is from, for messages
    """

    host: str
    port: int = 5432
    database: str = "airflow"
    user: str = "airflow"
    password: Secret = field(default=Secret(""), repr=False)
    sslmode: str = "prefer"
    sslrootcert: str | None = None
    sslcert: str | None = None
    sslkey: str | None = None
    connect_timeout: int = 10
    answer_timeout: float = 10.0
    schema: str | None = None
    table: str = "finauth_entries"
    conn_id: str | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        for name, value in (("table_schema", self.schema), ("table", self.table)):
            if value is not None and not _NAME.fullmatch(value):
                raise ConfigurationError(
                    f"The token store's {name} must be a plain name: a letter, then letters, digits and "
                    "underscores, 63 characters at most.",
                    field=name,
                )


class SqlServer:
    """Asks one PostgreSQL server, through connections of this process's own.

    :param address: where it is
    :param clock: of this process, for waiting
    """

    def __init__(self, address: SqlAddress, clock: Clock) -> None:
        self.address = address
        self.where = f"PostgreSQL at {address.host}:{address.port}"
        if address.conn_id is not None:
            self.where += f" (connection '{address.conn_id}')"
        self._clock = clock
        self._driver: Any = None
        self._guard = threading.Lock()
        self._open: set[Connection] = set()
        self._idle: list[Connection] = []
        # Those that hold a lock, and the threads that got them.
        self._lasting: dict[Connection, int] = {}
        self._keepers = 0
        renew_after_fork(self)

    def ask(self, question: Callable[[Connection], Answer], *, reading: bool = False) -> Answer:
        """Give the answer to ``question``, which gets a connection in autocommit.

        The question may be put twice, so that asking it again must do no harm: the second time finds a server
        that was just restarted, and learns what became of a question whose answer was lost.

        :param reading: it changes nothing, so that a connection that this thread holds a lock with may do
        :raises StoreUnavailableError: no answer, or a refusal
        :raises ConfigurationError: the driver is missing
        """
        again = False
        while True:
            # Where one connection is dead, those that were kept may be as well.
            connection = self._connect(self.address.connect_timeout) if again else self._take(reading)
            good = False
            try:
                answer = question(connection)
                good = True
                return answer
            except self._driver.DriverError as error:
                failure = self._failure(error)
                again = not again and self._driver.may_be_repeated(error, connection)
            finally:
                self._give_back(connection, good)
            # Out of the handler, so that the driver's error, which may carry values, is no part of ours.
            if not again:
                raise failure

    def hold(
        self, question: Callable[[Connection], Answer | None], patience: float
    ) -> tuple[Connection, Answer] | None:
        """Ask on a connection of its own and keep it, for :meth:`release`, if there is an answer.

        :param patience: seconds to wait for a server that has no connection left
        :raises StoreUnavailableError: no answer, or a refusal
        :raises ConfigurationError: the driver is missing
        """
        connection = self._connect(patience)
        answer: Answer | None = None
        try:
            answer = question(connection)
            if answer is None:
                return None
            self._lasting[connection] = threading.get_ident()
            return connection, answer
        except self._driver.DriverError as error:
            failure = self._failure(error)
        finally:
            if answer is None:
                self.release(connection)
        raise failure

    def release(self, connection: Connection) -> None:
        """End a connection and what it holds. Never fails."""
        self._lasting.pop(connection, None)
        # In a forked child it is the parent's.
        if connection in self._open:
            try:
                connection.release(_RELEASE_PATIENCE)
            finally:
                self._open.discard(connection)

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """Keep connections from one question to the next within the block."""
        with self._guard:
            self._keepers += 1
        process = os.getpid()
        try:
            yield
        finally:
            if os.getpid() == process:
                with self._guard:
                    self._keepers -= 1
                    idle = [] if self._keepers else self._idle[:]
                    del self._idle[: len(idle)]
                for connection in idle:
                    self._close(connection)

    def after_fork(self) -> None:
        """Leave the parent's connections to the parent."""
        for connection in list(self._open):
            connection.abandon()
        self._guard = threading.Lock()
        self._open.clear()
        self._lasting.clear()
        self._idle.clear()
        self._keepers = 0

    def _take(self, reading: bool) -> Connection:
        if reading:
            thread = threading.get_ident()
            for connection, holder in list(self._lasting.items()):
                if holder == thread and not connection.closed:
                    return connection
        with self._guard:
            if self._idle:
                return self._idle.pop()
        return self._connect(self.address.connect_timeout)

    def _give_back(self, connection: Connection, good: bool) -> None:
        if connection in self._lasting:
            # After a failure its transaction is over, and the lock with it.
            if not good:
                self.release(connection)
            return
        with self._guard:
            if good and self._keepers and not connection.closed:
                self._idle.append(connection)
                return
        self._close(connection)

    def _close(self, connection: Connection) -> None:
        connection.close()
        self._open.discard(connection)

    def _connect(self, patience: float) -> Connection:
        if self._driver is None:
            self._driver = _load_driver()
        ends = self._clock.monotonic() + patience
        pause = _FULL_PAUSE
        while True:
            forks = _forks
            connection: Connection
            try:
                connection = self._driver.connect(self.address)
            except self._driver.DriverError as error:
                failure = self._failure(error)
                full = self._driver.has_no_connection_left(error)
            else:
                self._open.add(connection)
                if forks == _forks:
                    return connection
                # A child that was forked meanwhile has the socket too, does not know of it, and would keep
                # open what has to end with this process.
                self._close(connection)
                continue
            if not full or self._clock.monotonic() >= ends:
                raise failure
            self._clock.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - protects nothing
            pause = min(pause * 2, _LONGEST_FULL_PAUSE)

    def _failure(self, error: Exception) -> StoreUnavailableError:
        return StoreUnavailableError(f"{self.where} {self._driver.failure(error, self.address)}")


def _load_driver() -> Any:
    try:
        return importlib.import_module("airflow_provider_finauth.auth.stores.sql_connection")
    except ImportError:
        pass
    raise ConfigurationError(
        "The token store 'sql' needs a driver: pip install 'airflow-provider-finauth[sql]'",
        field="token_store",
    )
