"""What the store ``sql`` says to PostgreSQL."""

from __future__ import annotations

# Whoever switched it off for this database or user did not think of tokens.
_DURABLY = """
    SELECT pg_catalog.set_config('synchronous_commit', CASE level WHEN 'off' THEN 'on' ELSE level END, true)
    FROM pg_catalog.current_setting('synchronous_commit') AS level
"""

_OURS = """
    locktype = 'advisory' AND granted AND objsubid = 1
    AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
    AND (classid::bigint << 32) + objid::bigint = %(lock)s
"""
_SERVER_START = "extract(epoch FROM pg_catalog.pg_postmaster_start_time())::text"
# A process id, or a transaction's, may come again: after a restart of a server in a container even soon.
_HELD = """
    SELECT {server_start} = %(server_start)s AND EXISTS (
        SELECT FROM pg_catalog.pg_locks
        WHERE {ours} AND pid = %(pid)s AND virtualtransaction = %(transaction)s
    )
"""

_CREATE = """
    CREATE TABLE {table} (
        key text COLLATE "C" PRIMARY KEY,
        revision bigint NOT NULL,
        sealed text NOT NULL,
        updated timestamptz NOT NULL
    )
"""
_CLAIM = """
    INSERT INTO {table} (key, revision, sealed, updated)
    VALUES (%(key)s, 1, %(sealed)s, clock_timestamp()) ON CONFLICT DO NOTHING
"""
_READ = "SELECT revision, sealed FROM {table} WHERE key = %(key)s"
_LIST = "SELECT key FROM {table} WHERE sealed <> '' AND key <> %(but)s ORDER BY key"
_DELETE = """
    WITH durably AS MATERIALIZED ({durably})
    UPDATE {table} SET revision = revision + 1, sealed = '', updated = clock_timestamp()
    WHERE key = %(key)s AND sealed <> '' AND EXISTS (SELECT FROM durably)
"""

# How the write is committed is settled, and the lock looked at, before a row changes.
_WRITE = """
    WITH facts AS MATERIALIZED (SELECT ({held}) AS held, ({durably}) AS durably),
    written AS ({change} RETURNING key)
    SELECT held, EXISTS (SELECT FROM written) FROM facts
"""
_INSERT = """
    INSERT INTO {table} (key, revision, sealed, updated)
    SELECT %(key)s::text, 1, %(sealed)s::text, clock_timestamp()
    FROM facts WHERE held AND durably IS NOT NULL
    ON CONFLICT DO NOTHING
"""
_UPDATE = """
    UPDATE {table} SET revision = revision + 1, sealed = %(sealed)s, updated = clock_timestamp()
    WHERE key = %(key)s AND revision = %(follows)s
    AND (SELECT held AND durably IS NOT NULL FROM facts)
"""

_FAULTS = """
    SELECT pg_catalog.pg_is_in_recovery(),
        pg_catalog.current_setting('transaction_read_only') = 'on',
        pg_catalog.current_setting('synchronous_commit') = 'off',
        pg_catalog.current_setting('fsync') = 'off',
        EXISTS (
            SELECT FROM pg_catalog.pg_class
            WHERE oid = pg_catalog.to_regclass(%(table)s) AND relpersistence <> 'p'
        )
"""

NOW = b"SELECT extract(epoch FROM clock_timestamp())::float8"
STANDS = b"SELECT pg_catalog.to_regclass(%(table)s) IS NOT NULL"
FAULTS = _FAULTS.encode()

WAIT_FOR_LOCK = b"SELECT pg_catalog.pg_advisory_xact_lock(%(lock)s)"


def _filled(statement: str, **parts: str) -> str:
    return statement.format(server_start=_SERVER_START, ours=_OURS, durably=_DURABLY, **parts)


OUR_LOCK = _filled(
    "SELECT pid, virtualtransaction, {server_start} FROM pg_catalog.pg_locks "
    "WHERE {ours} AND pid = pg_catalog.pg_backend_pid()"
).encode()
HELD = f"SELECT ({_filled(_HELD)})".encode()


def try_lock(number: int) -> str:
    """Try to get a lock. A standby lends out locks too; but they are its own."""
    return f"SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.pg_try_advisory_xact_lock({number:d})"


class Statements:
    """The statements about one table.

    :param table: its name, quoted, with its schema where that is given
    """

    def __init__(self, table: str) -> None:
        self.create = _filled(_CREATE, table=table).encode()
        self.claim = _filled(_CLAIM, table=table).encode()
        self.read = _filled(_READ, table=table).encode()
        self.list = _filled(_LIST, table=table).encode()
        self.delete = _filled(_DELETE, table=table).encode()
        self._table = table

    def write(self, *, anew: bool, locked: bool) -> bytes:
        """Give the statement that compares and writes.

        :param anew: nothing was found; otherwise the revision is compared
        :param locked: write only while a lock is held
        """
        change = _filled(_INSERT if anew else _UPDATE, table=self._table)
        held = _filled(_HELD) if locked else "SELECT true"
        return _filled(_WRITE, change=change, held=held).encode()
