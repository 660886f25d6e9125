"""The stores that faults are tried on, as something that a forked child can open for itself."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_finauth.auth.sealer import Sealer
from airflow_provider_finauth.auth.stores.file import FileStore
from airflow_provider_finauth.secret import Secret

if TYPE_CHECKING:
    from airflow_provider_finauth.auth.stores.base import Store
    from tests.postgres_server import PostgresServer
    from tests.servers import RedisServer

NAMES = ("file", "redis", "sql", "variable")
KEY = "a key of the tests"
# Of claims on Variables: longer than an SQLite database is busy with others.
_SETTLES = 0.3


@dataclass(frozen=True)
class Place:
    """Where a store is.

    :param name: of the store
    :param folder: of this host's lock files and rescue files
    :param open: makes the store, in the process that is to use it
    :param deadline: what a mint needs on this store at most, on a busy machine
    """

    name: str
    folder: Path
    open: Callable[[], Store]
    deadline: float = 0.5


def file_place(folder: Path) -> Place:
    """A folder."""
    return Place("file", folder, lambda: FileStore(folder / "store", Sealer(KEY)))


def redis_place(
    server: RedisServer,
    folder: Path,
    *,
    lease: float = 0.8,
    port: int | None = None,
    patience: float = 5.0,
) -> Place:
    """A Redis server.

    :param lease: short, so that a dead holder does not keep others waiting
    :param port: of a proxy before it
    :param patience: seconds for an answer
    """
    from airflow_provider_finauth.auth.stores.redis import RedisAddress, RedisStore

    address = RedisAddress(
        host=server.host,
        port=port or server.port,
        password=Secret(server.password),
        connect_timeout=patience,
        read_timeout=patience,
    )
    return Place("redis", folder, lambda: RedisStore(address, Sealer(KEY), lease=lease))


def sql_place(
    server: PostgresServer, folder: Path, *, port: int | None = None, patience: float = 5.0
) -> Place:
    """A PostgreSQL server.

    :param port: of a proxy before it
    :param patience: seconds for an answer
    """
    from airflow_provider_finauth.auth.stores.sql import SqlAddress, SqlStore

    address = SqlAddress(
        host=server.host,
        port=port or server.port,
        database=server.database,
        user=server.user,
        password=Secret(server.password),
        sslmode="disable",
        connect_timeout=max(2, round(patience)),
        answer_timeout=patience,
    )
    return Place("sql", folder, lambda: SqlStore(address, Sealer(KEY)))


def variable_place(folder: Path) -> Place:
    """The metadata database of the Airflow that the environment names."""
    from airflow import settings

    from airflow_provider_finauth.runtime import door
    from airflow_provider_finauth.runtime.variable_store import VariableStore

    # The first question takes seconds, which each child would take again.
    assert door.variable_get("finauth_nothing") is None

    def opened() -> Store:
        # A forked child must not go on with its parent's connections.
        settings.engine.dispose(close=False)
        return VariableStore(folder, Secret(KEY), settles=_SETTLES)

    return Place("variable", folder, opened, deadline=_SETTLES + 1.0)


@contextmanager
def place(name: str) -> Iterator[Place]:
    """Make a place for the length of the block, with a server of its own where the store has one.

    ``variable`` needs an ``AIRFLOW_HOME`` with a database.
    """
    folder = Path(tempfile.mkdtemp(prefix="finauth-faults-"))
    try:
        if name == "redis":
            from tests.servers import running_redis

            with running_redis() as redis:
                yield redis_place(redis, folder)
        elif name == "sql":
            from tests.postgres_server import running_postgres

            with running_postgres() as postgres:
                made = sql_place(postgres, folder)
                made.open().init()
                yield made
        elif name == "variable":
            yield variable_place(folder)
        else:
            yield file_place(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def make_airflow_home(folder: Path) -> None:
    """Give this process an Airflow of its own, before anything imports Airflow."""
    from tests.airflow_harness import make_home

    os.environ.update(make_home(folder).environment)
