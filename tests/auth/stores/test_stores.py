from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_provider_finauth.auth.sealer import Sealer
from airflow_provider_finauth.auth.stores.base import Conflict, Entry, Store
from airflow_provider_finauth.auth.stores.file import FileStore
from airflow_provider_finauth.auth.stores.memory import MemoryStore
from airflow_provider_finauth.auth.stores.redis import RedisAddress, RedisStore
from airflow_provider_finauth.exceptions import LockTimeoutError
from airflow_provider_finauth.secret import Secret

if TYPE_CHECKING:
    from tests.servers import RedisServer

MakeStore = Callable[[], Store]


@pytest.fixture(params=["memory", "file", "redis"])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> MakeStore:
    """Give what opens the same store again, as another process would where it can."""
    if request.param == "file":
        return lambda: FileStore(tmp_path / "store", Sealer("key"))
    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("redis_server")
        address = RedisAddress(server.host, server.port, password=Secret(server.password))
        prefix = f"test-{secrets.token_hex(8)}"
        return lambda: RedisStore(address, Sealer("key"), prefix=prefix)
    memory = MemoryStore()
    return lambda: memory


@pytest.fixture
def store(make_store: MakeStore) -> Store:
    return make_store()


def test_what_was_written_is_read(store: Store, make_store: MakeStore) -> None:
    assert store.read("a") is None
    assert store.write("a", b"one", follows=0) == 1
    assert store.write("a", b"two", follows=1) == 2
    assert make_store().read("a") == Entry(2, b"two")
    assert store.read("b") is None


@pytest.mark.parametrize("follows", [0, 1, 3])
def test_a_write_must_name_what_it_follows(store: Store, follows: int) -> None:
    store.write("a", b"one", follows=0)
    store.write("a", b"two", follows=1)
    with pytest.raises(Conflict):
        store.write("a", b"three", follows=follows)
    assert store.read("a") == Entry(2, b"two")


def test_of_many_writers_one_wins(make_store: MakeStore) -> None:
    barrier = threading.Barrier(16)

    def write(number: int) -> int:
        store = make_store()
        barrier.wait(20)
        try:
            store.write("a", str(number).encode(), follows=0)
        except Conflict:
            return 0
        return 1

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(write, range(16))) == 1


def test_a_deleted_entry_is_gone_and_its_revision_is_not(store: Store) -> None:
    store.write("a", b"one", follows=0)
    store.delete("a")
    store.delete("a")
    assert store.read("a") == Entry(2, b"")
    assert store.list() == []
    with pytest.raises(Conflict):
        store.write("a", b"two", follows=1)
    store.write("a", b"two", follows=2)
    assert store.list() == ["a"]


def test_deleting_what_never_was_leaves_nothing(store: Store) -> None:
    store.delete("a")
    assert store.read("a") is None


def test_keys_are_listed(store: Store, make_store: MakeStore) -> None:
    for key in ("a", "b", "../c", "d/e", "ø" * 300):
        store.write(key, b"x", follows=0)
    assert sorted(make_store().list()) == sorted(["a", "b", "../c", "d/e", "ø" * 300])


def test_a_lock_is_one_holders(make_store: MakeStore) -> None:
    one, other = make_store(), make_store()
    with one.lock("a", 0):
        with pytest.raises(LockTimeoutError, match="Try again"), other.lock("a", 0):
            pass
        with other.lock("b", 0):
            pass
        # Reading and writing need no lock.
        other.write("a", b"x", follows=0)
    with other.lock("a", 0):
        pass


def test_a_lock_is_free_after_an_error(store: Store) -> None:
    with pytest.raises(KeyError), store.lock("a", 0):
        raise KeyError
    with store.lock("a", 0):
        pass


def test_a_waiter_gets_the_lock_when_it_is_free(make_store: MakeStore) -> None:
    waiting = threading.Event()

    def wait() -> bool:
        waiting.set()
        with make_store().lock("a", 30):
            return True

    with ThreadPoolExecutor(1) as pool:
        with make_store().lock("a", 0):
            future = pool.submit(wait)
            assert waiting.wait(20)
        assert future.result(30)


def test_each_says_what_it_is(store: Store) -> None:
    assert store.name in ("memory", "file", "redis")
    assert store.durable is (store.name != "memory")
    assert store.reach
    assert store.now() > 1_700_000_000
