"""The store of a fleet that has a PostgreSQL: entries with revisions, and locks that end with their holder.

A lock is an advisory lock of a transaction that stays open on a connection of its own. No clock ends it: it
is free when the holder gives it back, when its process ends, or when its host has vanished for half a minute.
A holder that is stopped keeps it. A server that is restarted, or an administrator who ends the session, takes
it away; so each write under it looks, in the same statement, whether that very session still has it.

Waiting for a lock keeps no connection: each attempt opens one and closes it again. Two hundred waiting tasks
neither use up the server's connections nor, behind a PgBouncer, those that the lock's holder needs for its
writes.
"""

from __future__ import annotations

import hashlib
import os
import random
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_finauth.auth.sealer import Sealer, Undecryptable
from airflow_provider_finauth.auth.stores import sql_statements as statements
from airflow_provider_finauth.auth.stores.base import Conflict, Entry, Hold, LockLost, UnreadableEntry
from airflow_provider_finauth.auth.stores.sql_server import SqlAddress, SqlServer
from airflow_provider_finauth.auth.stores.sql_statements import Statements
from airflow_provider_finauth.exceptions import ConfigurationError, LockTimeoutError, StoreUnavailableError
from airflow_provider_finauth.transport.clock import SYSTEM_CLOCK, Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from airflow_provider_finauth.auth.stores.sql_connection import Connection

__all__ = ["SqlAddress", "SqlHold", "SqlStore"]

# Pauses between attempts at a lock grow: quick where two tasks meet, and not too many where two hundred do.
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0
# An attempt that takes long meets a server, or a host, that has enough to do: then whoever waits spends no
# more than a twentieth of the time on attempts.
_PAUSE_PER_ATTEMPT = 20
# The row of the store key's fingerprint; no key of the broker's begins like this.
_FINGERPRINT = "#store-key"


@dataclass(frozen=True)
class _Lock:
    """A lock as the server names it.

    :param lock: its number
    :param pid: of the session that has it
    :param transaction: the server's name for the transaction that has it
    :param server_start: when that server was started
    :param process: ours; a forked child does not have the lock
    """

    lock: int
    pid: int
    transaction: str
    server_start: str
    process: int

    def parameters(self) -> dict[str, Any]:
        return {
            "lock": self.lock,
            "pid": self.pid if os.getpid() == self.process else 0,
            "transaction": self.transaction,
            "server_start": self.server_start,
        }


class SqlHold:
    """A lock that we got. A forked child does not have it.

    :param server: to ask
    :param lock: the lock as the server names it
    """

    def __init__(self, server: SqlServer, lock: _Lock) -> None:
        self.lock = lock
        self._server = server

    def is_ours(self) -> bool:
        def question(connection: Connection) -> bool:
            return bool(_first(connection, statements.HELD, self.lock.parameters())[0])

        return self._server.ask(question, reading=True)


class SqlStore:
    """Keeps each entry in a row of its own, encrypted by us.

    At its first use it looks whether the table is there and was begun with the same key.

    :param address: the server
    :param sealer: encrypts what is kept, with the ``[finauth] store_key`` that all workers have
    :param clock: of this process, for waiting
    """

    name = "sql"
    durable = True
    reach = "all who share the PostgreSQL database"
    binds_all = True

    def __init__(self, address: SqlAddress, sealer: Sealer, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self.sealer = sealer
        self._clock = clock
        self._server = SqlServer(address, clock)
        self._table = ".".join(f'"{name}"' for name in (address.schema, address.table) if name)
        self._statements = Statements(self._table)
        self._checked = False

    def init(self) -> None:
        self._server.ask(self._make)
        self._server.ask(self._check)

    def place(self) -> str:
        return self._server.ask(lambda connection: connection.server(self._server.address), reading=True)

    def problems(self) -> list[str]:
        found = [*self._server.ask(self._faults)]
        try:
            self._server.ask(self._check)
        except ConfigurationError as error:
            found.append(str(error))
        return found

    def read(self, key: str, *, surely: bool = False) -> Entry | None:
        found = self._ask(lambda connection: self._standing(connection, key), reading=True)
        if found is None:
            return None
        revision, sealed = found
        if not sealed:
            return Entry(revision, b"")
        try:
            return Entry(revision, self.sealer.open(sealed))
        except Undecryptable:
            raise UnreadableEntry(
                f"The entry '{key}' in {self._where} was encrypted with another key, or is damaged. "
                "Bring back the former [finauth] store_key, or delete the entry.",
                revision=revision,
            ) from None

    def write(self, key: str, payload: bytes, *, follows: int, under: Hold | None = None) -> int:
        sealed = self.sealer.seal(payload)
        del payload  # no traceback from here on shows it
        if not isinstance(under, SqlHold | None):
            raise TypeError("the lock under which an entry is written must be this store's")
        statement = self._statements.write(anew=follows == 0, locked=under is not None)
        parameters = {"key": key, "sealed": sealed, "follows": follows}
        if under is not None:
            parameters |= under.lock.parameters()

        def question(connection: Connection) -> tuple[bool, bool, int]:
            held, written = _first(connection, statement, parameters)
            if written:
                return True, True, follows + 1
            revision, found = self._standing(connection, key) or (0, "")
            # A sealed text is never made twice: if it stands there, this very write came through and its
            # answer was lost.
            return held, (revision, found) == (follows + 1, sealed), revision

        held, kept, revision = self._ask(question)
        if kept:
            return follows + 1
        if not held:
            raise LockLost("the lock was lost before the entry was written")
        raise Conflict(f"the entry is at revision {revision}, not {follows}")

    def list(self) -> list[str]:
        def question(connection: Connection) -> Any:
            return connection.execute(self._statements.list, {"but": _FINGERPRINT}).fetchall()

        return [row[0] for row in self._ask(question, reading=True)]

    def delete(self, key: str) -> None:
        # The revision stays: a new entry must not look like one that was read before.
        self._ask(lambda connection: connection.execute(self._statements.delete, {"key": key}))

    @contextmanager
    def lock(self, key: str, timeout: float) -> Iterator[Hold]:
        connection, hold = self._acquired(key, timeout)
        try:
            with self._server.keeping():
                yield hold
        finally:
            self._server.release(connection)

    def now(self) -> float:
        return float(self._ask(lambda connection: _first(connection, statements.NOW)[0], reading=True))

    @property
    def _where(self) -> str:
        return self._server.where

    @property
    def _standby(self) -> str:
        return f"{self._where} is a standby, which takes no writes: name the primary."

    def _ask(self, question: Callable[[Connection], Any], *, reading: bool = False) -> Any:
        def checked(connection: Connection) -> Any:
            if not self._checked:
                self._check(connection)
            return question(connection)

        return self._server.ask(checked, reading=reading)

    def _standing(self, connection: Connection, key: str) -> tuple[int, str] | None:
        row = connection.execute(self._statements.read, {"key": key}).fetchone()
        return (row[0], row[1]) if row is not None else None

    def _acquired(self, key: str, timeout: float) -> tuple[Connection, SqlHold]:
        number = _lock_number(key)
        began = self._clock.monotonic()
        ends = began + timeout
        pause = _FIRST_PAUSE
        while True:
            got = self._server.hold(lambda connection: self._try_lock(connection, number), ends - began)
            if got is not None:
                connection, lock = got
                return connection, SqlHold(self._server, lock)
            now = self._clock.monotonic()
            if now >= ends:
                raise LockTimeoutError(
                    f"Another task held a token's lock for more than {timeout:.0f} s. Try again; if it goes "
                    "on, a process is stopped in the middle of a token request."
                )
            longest = min(max(pause, (now - began) * _PAUSE_PER_ATTEMPT), _LONGEST_PAUSE)
            pause *= 2
            jittered = longest * random.uniform(0.5, 1)  # noqa: S311 - protects nothing
            self._clock.sleep(min(jittered, ends - now))
            began = self._clock.monotonic()

    def _try_lock(self, connection: Connection, number: int) -> _Lock | None:
        standby, got = connection.begin_lasting(statements.try_lock(number))
        if standby:
            # Its locks are its own: whoever asks the primary does not see them.
            raise StoreUnavailableError(self._standby)
        if not got:
            return None
        pid, transaction, server_start = _first(connection, statements.OUR_LOCK, {"lock": number})
        return _Lock(number, pid, transaction, server_start, os.getpid())

    def _make(self, connection: Connection) -> None:
        with connection.transaction():
            # Two who make the same table at once would trip over each other.
            connection.execute(statements.WAIT_FOR_LOCK, {"lock": _lock_number("#init")})
            # Looked for first: "if not exists" asks for the right to make one even where there is one.
            if not self._stands(connection):
                connection.execute(self._statements.create)
            claim = {"key": _FINGERPRINT, "sealed": self._fingerprint()}
            connection.execute(self._statements.claim, claim)

    def _stands(self, connection: Connection) -> bool:
        return bool(_first(connection, statements.STANDS, {"table": self._table})[0])

    def _check(self, connection: Connection) -> None:
        """Refuse a database that was not made ready, or was with another key.

        Once it was found good, what is amiss with it later is taken for passing: see the failures.

        :raises ConfigurationError: it is not to be used as it stands
        """
        found = self._standing(connection, _FINGERPRINT) if self._stands(connection) else None
        if found is None:
            raise ConfigurationError(
                f"The database of {self._where} has no table {self._table} for tokens. "
                "Run once: finauth store init",
                field="token_store",
            )
        if found[1] != self._fingerprint():
            raise ConfigurationError(
                f"The tokens in {self._where} were encrypted with another [finauth] store_key. Give all "
                "workers the same one. To begin anew with this one, which forgets every token kept there, "
                f"drop the table {self._table} and run: finauth store init",
                field="store_key",
            )
        self._checked = True

    def _fingerprint(self) -> str:
        return self.sealer.digest(b"finauth store key")

    def _faults(self, connection: Connection) -> Sequence[str]:
        standby, read_only, hasty, unsynced, unlogged = _first(
            connection, statements.FAULTS, {"table": self._table}
        )
        found = []
        if standby:
            found.append(self._standby)
        elif read_only:
            found.append(
                f"{self._where} takes no writes from this user: set 'default_transaction_read_only' to off."
            )
        if hasty:
            found.append(
                f"{self._where} confirms writes before they are on its disk: set 'synchronous_commit' to on, "
                "at least for this user (ALTER ROLE … SET synchronous_commit = on)."
            )
        if unsynced:
            found.append(f"{self._where} leaves it to chance when it writes to its disk: set 'fsync' to on.")
        if unlogged:
            found.append(
                f"{self._where} empties the table {self._table} after a crash: ALTER TABLE … SET LOGGED."
            )
        return found


def _first(connection: Connection, statement: bytes, parameters: dict[str, Any] | None = None) -> Any:
    """Give the first row of a statement's answer."""
    row = connection.execute(statement, parameters).fetchone()
    assert row is not None
    return row


def _lock_number(key: str) -> int:
    """Give the advisory lock that stands for a key: the same for all, whatever their table is called."""
    return int.from_bytes(hashlib.sha256(f"finauth lock {key}".encode()).digest()[:8], signed=True)
