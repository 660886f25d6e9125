"""The check of a store passes where it holds, and tells each thing that does not."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_finauth.auth.sealer import Sealer
from airflow_provider_finauth.auth.stores.base import Entry, Kept
from airflow_provider_finauth.auth.stores.checking import check_store
from airflow_provider_finauth.auth.stores.file import FileStore
from airflow_provider_finauth.auth.stores.memory import MemoryStore
from airflow_provider_finauth.auth.stores.redis import RedisAddress, RedisStore
from airflow_provider_finauth.auth.stores.sql import SqlAddress, SqlStore
from airflow_provider_finauth.exceptions import StoreUnavailableError
from airflow_provider_finauth.secret import Secret
from airflow_provider_finauth.transport.clock import Clock
from tests.postgres_server import running_postgres

if TYPE_CHECKING:
    from tests.servers import RedisServer

ALL = ["server", "connections", "read back", "compare and set", "lock", "lost lock", "removal", "clock"]


def outcomes(make: Any, **options: Any) -> dict[str, bool | None]:
    found = list(check_store(make, **options))
    assert all(check.told for check in found)
    return {check.name: check.passed for check in found}


class Sound(MemoryStore):
    """A store in memory that claims to last."""

    def problems(self) -> list[str]:
        return []


def test_a_sound_store_passes_and_is_left_empty(tmp_path: Path) -> None:
    def make() -> FileStore:
        return FileStore(tmp_path / "tokens", Sealer("key"))

    for _ in range(2):
        assert outcomes(make) == dict.fromkeys(ALL, True) | {"lost lock": None}
        assert make().list() == []


def test_redis(redis_server: RedisServer) -> None:
    address = RedisAddress("127.0.0.1", redis_server.port, password=Secret(redis_server.password))

    def make() -> RedisStore:
        return RedisStore(address, Sealer("key"), prefix="checked")

    assert outcomes(make) == dict.fromkeys(ALL, True)
    assert make().list() == []


def test_sql() -> None:
    with running_postgres({"fsync": "on"}) as server:
        address = SqlAddress(server.host, server.port, server.database, server.user, Secret(server.password))

        def make() -> SqlStore:
            return SqlStore(address, Sealer("key"))

        assert outcomes(make) == {"server": False}, "there is no table yet"
        make().init()
        assert outcomes(make) == dict.fromkeys(ALL, True)
        assert make().list() == []


def test_what_forgets_is_told() -> None:
    store = MemoryStore()
    found = outcomes(lambda: store)
    assert found == {"server": False}


def test_two_that_do_not_share() -> None:
    found = outcomes(Sound)
    assert found["read back"] is False
    assert found["lock"] is False


def test_a_server_that_does_not_answer() -> None:
    class Gone(Sound):
        def problems(self) -> list[str]:
            raise StoreUnavailableError("Nobody is there.")

    assert [(check.name, check.passed, check.told) for check in check_store(Gone)] == [
        ("server", False, "Nobody is there.")
    ]


def test_one_that_is_gone_after_a_while() -> None:
    class Going(Sound):
        def lock(self, key: str, timeout: float) -> Any:
            raise StoreUnavailableError("Gone.")

    store = Going()
    found = outcomes(lambda: store)
    assert found["connections"] is True
    assert found["lock"] is False


class _NoComparison(Sound):
    def write(self, key: str, payload: bytes, **options: Any) -> int:
        entry = self._entries.get(key)
        revision = entry.revision + 1 if entry else 1
        self._entries[key] = Entry(revision, payload)
        return revision


class _NoLock(Sound):
    def lock(self, key: str, timeout: float) -> Any:
        return nullcontext(Kept())


class _Taken:
    """A hold that was lost, and nobody looks."""

    def is_ours(self) -> bool:
        return True


class _LostLock(Sound):
    @contextmanager
    def lock(self, key: str, timeout: float) -> Any:
        with super().lock(key, timeout):
            yield _Taken()


class _NeverHeld(Sound):
    @contextmanager
    def lock(self, key: str, timeout: float) -> Any:
        hold = _Taken()
        hold.is_ours = lambda: False  # type: ignore[method-assign]
        with super().lock(key, timeout):
            yield hold


class _Keeps(Sound):
    def delete(self, key: str) -> None:
        pass


class _BeginsAnew(Sound):
    def delete(self, key: str) -> None:
        self._entries.pop(key, None)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (_NoComparison, "compare and set"),
        (_NoLock, "lock"),
        (_NeverHeld, "lock"),
        (_LostLock, "lost lock"),
        (_Keeps, "removal"),
        (_BeginsAnew, "removal"),
    ],
)
def test_each_fault_is_found(kind: type[Sound], name: str) -> None:
    store = kind()
    assert outcomes(lambda: store)[name] is False


@pytest.mark.parametrize(("apart", "told"), [(0.2, "agree"), (600, "600 s ahead"), (-600, "600 s behind")])
def test_clocks_are_compared(apart: float, told: str) -> None:
    class Apart(Clock):
        def wall(self) -> float:
            return super().wall() + apart

    store = Sound(clock=Apart())
    (check,) = [check for check in check_store(lambda: store) if check.name == "clock"]
    assert check.passed
    assert told in check.told
