"""One connection to PostgreSQL that never waits for ever, and what its failures mean.

The only module that imports the driver, so that a process without it learns which extra to install.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg

if TYPE_CHECKING:
    from collections.abc import Generator

    from airflow_provider_finauth.auth.stores.sql_server import SqlAddress

Answer = TypeVar("Answer")

DriverError = psycopg.Error

# A peer that has vanished, with its host or its network, is noticed within half a minute, at either end.
_KEEPALIVE = {"idle": 10, "interval": 5, "count": 3}
_UNACKNOWLEDGED_MS = 30_000
_LASTING = {
    "idle_in_transaction_session_timeout": "0",
    **{f"tcp_keepalives_{name}": str(value) for name, value in _KEEPALIVE.items()},
    "tcp_user_timeout": f"{_UNACKNOWLEDGED_MS}ms",
}

_FULL = ("53300", "too many c", "connection slots", "no more connections allowed")

_NOT_THERE = "is not there. Check host and port of the store's connection, and whether the server runs."
_ADMIN = "Ask the database's administrator."

# The condition's code where the server gave one; before the login's end the driver only gives a text.
# The texts themselves are never shown: some carry a statement's values.
_FAILURES: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("28P01", "28000", "password authentication failed", "no password supplied", "SASL authentication"),
        "refuses the login. Check the user name and the password of the store's connection.",
    ),
    (
        ("no pg_hba.conf entry",),
        "lets in nobody who comes with this user, database, address and 'sslmode'. Check them in the "
        f"store's connection. {_ADMIN}",
    ),
    (
        ("certificate verify failed", "does not match host name", "root certificate file"),
        "shows a TLS certificate that is not trusted, or that is another host's. Name the file of its "
        "authority ('sslrootcert'), and the host as the certificate does, in the store's connection.",
    ),
    (
        ("server does not support SSL",),
        "does not speak TLS. Check the port, or the 'sslmode' of the store's connection.",
    ),
    (
        ("private key file", "certificate file", "SSL error", "ssl"),
        "does not come to terms with us about TLS. Check 'sslmode', 'sslcert' and 'sslkey' of the store's "
        "connection; the key's file must be its owner's alone.",
    ),
    (
        ("3D000", '" does not exist'),
        "has no database '{address.database}', or no user '{address.user}'. Check the fields 'schema' and "
        "'login' of the store's connection.",
    ),
    (
        _FULL,
        "has no connection left. Try again; if it goes on, raise its 'max_connections', or put a PgBouncer "
        "before it.",
    ),
    (("57P03", "is starting up", "is shutting down", "not yet accepting"), "is starting up. Try again."),
    (
        ("transaction blocks not allowed",),
        "stands behind a PgBouncer in statement mode. Set its 'pool_mode' to 'transaction'.",
    ),
    (
        ("57P01", "57P02", "25P03", "08P01", "closed the connection", "connection is closed", "lost"),
        "ended the connection. Try again; if it goes on, look at its log.",
    ),
    (
        ("25006",),
        "takes no writes: it is a standby, or 'default_transaction_read_only' is on. Name the primary in "
        "the store's connection, or switch that off for its user.",
    ),
    (
        ("42501",),
        "does not allow its user what the store needs: SELECT, INSERT and UPDATE on its table, and for "
        "'finauth store init' CREATE on its schema.",
    ),
    (("42P01",), "has no table for tokens. Run: finauth store init"),
    (("3F000",), "has no such schema. Make it, or name another in the store's connection."),
    (
        ("42703", "42804", "42809"),
        "has a table of the same name that is not ours. Name another in the store's connection.",
    ),
    (("53100", "53200", "58030"), "has no disk or memory left and does not keep anything. Look at its log."),
    (("Connection refused", "could not translate", "resolve host"), _NOT_THERE),
    (
        ("invalid response to", "expected authentication request"),
        "does not answer as PostgreSQL does. Check the port of the store's connection.",
    ),
)


class NoAnswer(psycopg.OperationalError):
    """The server has the question and does not answer."""


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """A connection in autocommit, each of whose questions is answered in time or fails.

    Neither TCP nor the server can tell a peer that is stopped from one that thinks: its kernel goes on
    confirming what it gets. So the wait itself has an end.
    """

    patience: float

    def wait(self, gen: Generator[Any, Any, Answer], *args: Any, **kwargs: Any) -> Answer:
        return super().wait(_in_time(gen, time.monotonic() + self.patience), *args, **kwargs)

    def server(self, address: SqlAddress) -> str:
        """Say what the server is, and how the connection to it is protected."""
        version = (self.info.parameter_status("server_version") or "?").partition(" ")[0]
        tls = "without TLS"
        if self.pgconn.ssl_in_use:
            # Only these look whose certificate it is.
            checked = address.sslmode in ("verify-ca", "verify-full")
            tls = "by TLS" if checked else "by TLS, whose certificate is not checked"
        return f"PostgreSQL {version} at {address.host}:{address.port}, {tls}"

    def begin_lasting(self, question: str) -> tuple[Any, ...]:
        """Begin a transaction that stays open as long as our end of the connection lives.

        :param question: the first one in it; a single row is given
        """
        settings = dict(_LASTING)
        if self.info.server_version >= 170000:
            settings["transaction_timeout"] = "0"
        # They end with the transaction, and do not reach those who get the same session from a PgBouncer.
        local = (f"SET LOCAL {name} = '{value}'" for name, value in settings.items())
        # All in one message: whoever waits for a lock asks often.
        cursor = self.execute("; ".join(["BEGIN ISOLATION LEVEL READ COMMITTED", *local, question]).encode())
        while cursor.nextset():
            pass
        row = cursor.fetchone()
        assert row is not None
        return row

    def release(self, patience: float) -> None:
        """End a transaction and the connection. Never fails: what is not released ends with the connection.

        :param patience: seconds to wait for the server
        """
        self.patience = patience
        try:
            # Told, and not only cut: a PgBouncer would have to throw its connection to the server away, and
            # whoever asks next would find the lock still taken.
            with suppress(psycopg.Error):
                self.execute("ROLLBACK")
        finally:
            self.close()

    def abandon(self) -> None:
        """Let go of it in a forked child: it goes on in the parent, to which the server's session belongs."""
        # One that is broken already has nothing to share.
        with suppress(psycopg.Error, OSError):
            nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
            try:
                # In its place: the child must neither say goodbye in the parent's name nor keep the socket
                # open when the parent has died.
                os.dup2(nothing, self.fileno(), inheritable=False)
            finally:
                os.close(nothing)
        self.close()


def connect(address: SqlAddress) -> Connection:
    """Open a connection.

    :raises DriverError: it did not work
    """
    connection = Connection.connect(
        host=address.host,
        port=address.port,
        dbname=address.database,
        user=address.user,
        password=address.password.reveal(),
        sslmode=address.sslmode,
        sslrootcert=address.sslrootcert,
        sslcert=address.sslcert,
        sslkey=address.sslkey,
        connect_timeout=address.connect_timeout,
        gssencmode="disable",
        client_encoding="utf8",
        application_name="finauth",
        keepalives=1,
        keepalives_idle=_KEEPALIVE["idle"],
        keepalives_interval=_KEEPALIVE["interval"],
        keepalives_count=_KEEPALIVE["count"],
        tcp_user_timeout=_UNACKNOWLEDGED_MS,
        autocommit=True,
        # Behind a PgBouncer the next question may go to another session, which does not know them.
        prepare_threshold=None,
    )
    connection.patience = address.answer_timeout
    return connection


def failure(error: psycopg.Error, address: SqlAddress) -> str:
    """Say what a driver's error means, and what to do: the end of a sentence that begins with the server.

    :param error: the driver's
    :param address: whose server it is about
    """
    if isinstance(error, NoAnswer | psycopg.errors.ConnectionTimeout):
        return "does not answer. Try again; if it goes on, look at the server and the network before it."
    # All that a PgBouncer says has this one code.
    told = error.sqlstate or ""
    if told in ("", "08P01"):
        told = f"{told} {error}"
    for signs, meaning in _FAILURES:
        if any(sign in told for sign in signs):
            return meaning.format(address=address)
    code = f"error {error.sqlstate}" if error.sqlstate else type(error).__name__
    return f"cannot be asked ({code}). Try again; if it goes on, look at its log."


def has_no_connection_left(error: psycopg.Error) -> bool:
    """Tell whether a connection could not be opened because others have them all."""
    return any(sign in str(error) for sign in _FULL)


def may_be_repeated(error: psycopg.Error, connection: Connection) -> bool:
    """Tell whether a question is worth asking once more: its connection was lost, or others came between."""
    if isinstance(error, NoAnswer):
        return False
    return connection.closed or (error.sqlstate or "").startswith("40")


def _in_time(gen: Generator[Any, Any, Answer], ends: float) -> Generator[Any, Any, Answer]:
    """Go on with the driver's steps until ``ends``; it comes back now and then even where nothing happens."""
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            wanted = gen.send(ready)
            if time.monotonic() >= ends:
                raise NoAnswer("no answer in time")
    except StopIteration as done:
        answer: Answer = done.value
        return answer
