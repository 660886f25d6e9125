"""The store on a PostgreSQL server that does what it should."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_finauth.auth.sealer import Sealer
from airflow_provider_finauth.auth.stores import sql_connection
from airflow_provider_finauth.auth.stores.base import Conflict, Entry, Kept, LockLost, Store, UnreadableEntry
from airflow_provider_finauth.auth.stores.memory import MemoryStore
from airflow_provider_finauth.auth.stores.sql import SqlAddress, SqlHold, SqlStore
from airflow_provider_finauth.exceptions import (
    ConfigurationError,
    FinauthError,
    LockTimeoutError,
    StoreUnavailableError,
)
from airflow_provider_finauth.secret import Secret
from tests.auth.stores.sql_support import Child, MakeStore, address_of, end_session, made_store, sessions

# What every store does, on this one.
from tests.auth.stores.test_stores import (  # noqa: F401
    test_a_deleted_entry_is_gone_and_its_revision_is_not,
    test_a_lock_is_free_after_an_error,
    test_a_lock_is_one_holders,
    test_a_waiter_gets_the_lock_when_it_is_free,
    test_a_write_must_name_what_it_follows,
    test_deleting_what_never_was_leaves_nothing,
    test_keys_are_listed,
    test_of_many_writers_one_wins,
    test_what_was_written_is_read,
)
from tests.auth.support import FakeClock
from tests.servers import wait_until

if TYPE_CHECKING:
    from airflow_provider_finauth.auth.stores.sql_connection import Connection
    from tests.postgres_server import PostgresServer


@pytest.fixture
def address(postgres_server: PostgresServer) -> SqlAddress:
    return address_of(postgres_server)


@pytest.fixture
def make_store(address: SqlAddress) -> MakeStore:
    """Give what opens the same store again, as another process would."""
    SqlStore(address, Sealer("key")).init()
    return lambda **options: SqlStore(address, Sealer("key"), **options)


@pytest.fixture
def store(make_store: MakeStore) -> SqlStore:
    return make_store()


@contextmanager
def child(work: Callable[[Callable[[str], None]], object]) -> Iterator[Child]:
    made = Child(work)
    try:
        yield made
    finally:
        made.kill()


# Entries


def test_of_eight_processes_none_loses_a_write(make_store: MakeStore) -> None:
    make_store().write("a", b"0", follows=0)

    def count(pause: Callable[[str], None]) -> int:
        store, done = make_store(), 0
        pause("ready")
        while done < 4:
            entry = store.read("a")
            assert entry is not None
            try:
                store.write("a", str(int(entry.payload) + 1).encode(), follows=entry.revision)
            except Conflict:
                continue
            done += 1
        return done

    with ExitStack() as stack:
        children = [stack.enter_context(child(count)) for _ in range(8)]
        assert [one.says() for one in children] == ["ready"] * 8
        for one in children:
            one.go_on()
        assert [one.says() for one in children] == ["4"] * 8
    assert make_store().read("a") == Entry(33, b"32")


_STEPS = st.lists(
    st.tuples(st.sampled_from(["write", "delete"]), st.sampled_from("ab"), st.integers(-1, 1)), max_size=12
)


@settings(max_examples=15)
@given(steps=_STEPS)
def test_it_keeps_revisions_as_the_simplest_store_does(
    postgres_server: PostgresServer, steps: list[tuple[str, str, int]]
) -> None:
    def outcome(store: Store, step: tuple[str, str, int], number: int) -> object:
        what, key, off = step
        if what == "delete":
            return store.delete(key)
        entry = store.read(key)
        follows = max((entry.revision if entry is not None else 0) + off, 0)
        try:
            return store.write(key, str(number).encode(), follows=follows)
        except Conflict:
            return Conflict

    model, store = MemoryStore(), made_store(postgres_server)
    with store.lock("any", 0):
        for number, step in enumerate(steps):
            assert outcome(store, step, number) == outcome(model, step, number)
            assert [store.read(key) for key in "ab"] == [model.read(key) for key in "ab"]
            assert store.list() == sorted(model.list())
    postgres_server.execute(f"DROP TABLE {store._table}")


def test_what_stands_in_the_table_tells_nothing(
    store: SqlStore, postgres_server: PostgresServer, address: SqlAddress
) -> None:
    store.write("a", b"secret-token", follows=0)
    rows = postgres_server.execute(f"SELECT key, revision, sealed FROM {address.table} ORDER BY key")
    assert [row[:2] for row in rows] == [("#store-key", 1), ("a", 1)]
    assert "secret-token" not in str(rows)
    assert store.list() == ["a"]


@pytest.mark.parametrize("damage", ["nonsense", "ø", None])
def test_what_is_damaged_is_not_read_as_nothing(
    store: SqlStore, postgres_server: PostgresServer, address: SqlAddress, damage: str | None
) -> None:
    store.write("a", b"x", follows=0)
    store.write("a", b"y", follows=1)
    sealed = damage or Sealer("another").seal(b"z")
    postgres_server.execute(f"UPDATE {address.table} SET sealed = %s WHERE key = 'a'", sealed)
    with pytest.raises(UnreadableEntry, match="store_key") as caught:
        store.read("a")
    assert caught.value.revision == 2
    assert store.list() == ["a"]
    store.write("a", b"z", follows=2)
    assert store.read("a") == Entry(3, b"z")


def test_the_time_is_the_servers(store: SqlStore, postgres_server: PostgresServer) -> None:
    def theirs() -> float:
        [[now]] = postgres_server.execute("SELECT extract(epoch FROM clock_timestamp())::float8")
        return float(now)

    assert theirs() <= store.now() <= theirs()


def test_it_says_what_it_is(store: SqlStore) -> None:
    assert (store.name, store.durable, store.binds_all) == ("sql", True, True)
    assert "database" in store.reach


# Locks


def test_a_lock_excludes_processes_and_ends_with_its_holders(make_store: MakeStore) -> None:
    def hold(pause: Callable[[str], None]) -> str:
        store = make_store()
        with store.lock("a", 20) as hold:
            pause("held")
            try:
                store.write("a", b"theirs", follows=0, under=hold)
            except LockLost:
                return "lost"
        return "written"

    store = make_store()
    with child(hold) as holder:
        assert holder.says() == "held"
        with pytest.raises(LockTimeoutError, match="Try again"), store.lock("a", 0):
            pass
        # Stopped, it keeps it, however long that takes.
        holder.stop()
        with pytest.raises(LockTimeoutError), make_store(clock=FakeClock()).lock("a", 20):
            pass
        holder.resume()
        holder.go_on()
        assert holder.says() == "written"
    with child(hold) as holder:
        assert holder.says() == "held"
        holder.kill()
        with store.lock("a", 30) as ours:
            assert ours.is_ours()
    assert store.read("a") == Entry(1, b"theirs")


def test_of_eight_processes_one_has_the_lock(make_store: MakeStore) -> None:
    store = make_store()
    store.write("a", b"0", follows=0)

    def count(pause: Callable[[str], None]) -> str:
        store = make_store()
        with store.lock("a", 60) as hold:
            entry = store.read("a")
            assert entry is not None
            number = int(entry.payload) + 1
            store.write("a", str(number).encode(), follows=entry.revision, under=hold)
        return "done"

    with ExitStack() as stack:
        children = [stack.enter_context(child(count)) for _ in range(8)]
        assert [one.says() for one in children] == ["done"] * 8
    assert store.read("a") == Entry(9, b"8")


def test_who_waits_keeps_no_connection(
    make_store: MakeStore, postgres_server: PostgresServer, address: SqlAddress
) -> None:
    # Other tests' connections may still be ending.
    wait_until(lambda: sessions(postgres_server) == 0)

    class Waiting(FakeClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            wait_until(lambda: sessions(postgres_server) == 1, what="the end of all but the holder's")

    clock = Waiting()
    waiter = make_store(clock=clock)
    with make_store().lock("a", 0), pytest.raises(LockTimeoutError, match="more than 4 s"):
        waiter.lock("a", 4).__enter__()
    assert 4 <= len(clock.slept) < 10
    assert sum(clock.slept) == pytest.approx(4)


def test_a_connection_is_kept_only_under_a_lock(
    make_store: MakeStore, postgres_server: PostgresServer
) -> None:
    store = make_store()
    store.read("a")
    wait_until(lambda: sessions(postgres_server) == 0)
    with store.lock("a", 0) as hold:
        # Looking needs no other one than the lock's.
        assert store.read("a") is None
        assert store.list() == []
        assert hold.is_ours()
        assert store.now() > 0
        assert sessions(postgres_server) == 1
        store.write("a", b"x", follows=0, under=hold)
        assert store.read("a") == Entry(1, b"x")
        assert sessions(postgres_server) == 2
        with store.lock("b", 0):
            store.delete("a")
            assert sessions(postgres_server) == 3
        wait_until(lambda: sessions(postgres_server) == 2)
    wait_until(lambda: sessions(postgres_server) == 0)


def test_a_session_that_was_ended_has_lost_its_lock(
    make_store: MakeStore, postgres_server: PostgresServer
) -> None:
    store, other = make_store(), make_store()
    with store.lock("a", 0) as hold:
        assert store.write("a", b"one", follows=0, under=hold) == 1
        end_session(postgres_server, hold)
        assert not hold.is_ours()
        for follows in (0, 1):
            with pytest.raises(LockLost):
                store.write("a", b"late", follows=follows, under=hold)
        with other.lock("a", 0) as theirs:
            with pytest.raises(LockLost):
                store.write("a", b"late", follows=1, under=hold)
            assert other.write("a", b"two", follows=1, under=theirs) == 2
    with store.lock("a", 0) as hold:
        with pytest.raises(Conflict) as caught:
            store.write("a", b"x", follows=1, under=hold)
        assert not isinstance(caught.value, LockLost)
    assert store.read("a") == Entry(2, b"two")


def test_a_failure_under_a_lock_may_cost_the_lock_and_is_told(
    store: SqlStore, postgres_server: PostgresServer, address: SqlAddress
) -> None:
    store.write("a", b"x", follows=0)
    postgres_server.execute(f"ALTER TABLE {address.table} RENAME TO {address.table}_off")
    with store.lock("a", 0) as hold:
        with pytest.raises(StoreUnavailableError):
            store.read("a")
        postgres_server.execute(f"ALTER TABLE {address.table}_off RENAME TO {address.table}")
        assert store.read("a") == Entry(1, b"x")
        assert not hold.is_ours()
        with pytest.raises(LockLost):
            store.write("a", b"late", follows=1, under=hold)


def test_another_thread_does_not_speak_through_a_locks_connection(store: SqlStore) -> None:
    with store.lock("a", 0), ThreadPoolExecutor(1) as pool:
        used = pool.submit(store._server.ask, lambda connection: connection, reading=True).result(20)
        ours = store._server.ask(lambda connection: connection, reading=True)
        assert used is not ours


def test_a_locks_session_is_ended_by_no_clock_and_notices_a_vanished_host(store: SqlStore) -> None:
    names = ["idle_in_transaction_session_timeout", "tcp_keepalives_idle", "tcp_user_timeout"]

    def settings(connection: Connection) -> list[str]:
        rows = [connection.execute("SELECT current_setting(%s)", [name]).fetchone() for name in names]
        return [str(row[0]) for row in rows if row is not None]

    with store.lock("a", 0):
        assert store._server.ask(settings, reading=True) == ["0", "10", "30000"]


def test_a_lock_that_was_left_is_lost(store: SqlStore) -> None:
    with store.lock("a", 0) as hold:
        assert hold.is_ours()
    assert not hold.is_ours()
    with pytest.raises(LockLost):
        store.write("a", b"x", follows=0, under=hold)
    assert store.read("a") is None


@pytest.mark.parametrize(
    "other", [{"transaction": "9/999999"}, {"server_start": "1.5"}, {"pid": 1}, {"lock": 7}], ids=str
)
def test_another_holder_is_not_mistaken_for_us(store: SqlStore, other: dict[str, Any]) -> None:
    with store.lock("a", 0) as hold:
        assert isinstance(hold, SqlHold)
        looks_alike = SqlHold(store._server, replace(hold.lock, **other))
        assert not looks_alike.is_ours()
        with pytest.raises(LockLost):
            store.write("a", b"x", follows=0, under=looks_alike)


def test_a_lock_of_another_store_is_a_mistake(store: SqlStore) -> None:
    with pytest.raises(TypeError):
        store.write("a", b"x", follows=0, under=Kept())


def test_a_lock_is_the_same_for_all_tables(postgres_server: PostgresServer) -> None:
    one, other = made_store(postgres_server), made_store(postgres_server)
    with one.lock("a", 0), pytest.raises(LockTimeoutError), other.lock("a", 0):
        pass


# Forks


def test_a_forked_child_has_neither_lock_nor_connection(make_store: MakeStore) -> None:
    store = make_store()

    def outcome(pause: Callable[[str], None]) -> str:
        assert not hold.is_ours()
        with pytest.raises(LockLost):
            store.write("a", b"child", follows=1, under=hold)
        with pytest.raises(LockTimeoutError), store.lock("a", 0):
            pass
        assert store.read("a") == Entry(1, b"parent")
        # The block's end, as the child would come to it.
        block.close()
        return "done"

    with ExitStack() as block:
        hold = block.enter_context(store.lock("a", 0))
        store.write("a", b"parent", follows=0, under=hold)
        with child(outcome) as forked:
            assert forked.says() == "done"
            os.waitpid(forked.pid, 0)
        assert hold.is_ours()
        assert store.write("a", b"again", follows=1, under=hold) == 2


def test_a_lock_ends_with_its_process_though_a_child_lives_on(make_store: MakeStore) -> None:
    def hold_and_fork(pause: Callable[[str], None]) -> None:
        with make_store().lock("a", 20):
            grandchild = os.fork()
            pause(str(grandchild) if grandchild else "forked")

    with child(hold_and_fork) as holder:
        pid = max(holder.says(), holder.says(), key=str.isdigit)
        try:
            holder.kill()
            with make_store().lock("a", 30) as hold:
                assert hold.is_ours()
            os.kill(int(pid), 0)
        finally:
            os.kill(int(pid), 9)


def test_a_connection_that_a_fork_may_have_shared_is_not_used(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_finauth.auth.stores import sql_connection

    store.read("a")
    connect = sql_connection.connect
    opened: list[Any] = []

    def connect_and_fork(address: SqlAddress) -> object:
        opened.append(connect(address))
        if len(opened) == 1:
            # As another thread might: the child has the socket and does not know of it.
            with child(lambda pause: "forked") as forked:
                assert forked.says() == "forked"
        return opened[-1]

    monkeypatch.setattr(sql_connection, "connect", connect_and_fork)
    with store.lock("a", 0) as hold:
        assert [one.closed for one in opened] == [True, False]
        assert hold.is_ours()


# The beginning


def test_a_database_without_the_table_says_what_to_run(address: SqlAddress) -> None:
    store = SqlStore(address, Sealer("key"))
    uses: list[Callable[[], object]] = [
        lambda: store.read("a"),
        lambda: store.write("a", b"x", follows=0),
        lambda: store.delete("a"),
        store.list,
        store.now,
    ]
    for use in uses:
        with pytest.raises(ConfigurationError, match="finauth store init"):
            use()
    [problem] = [text for text in store.problems() if "fsync" not in text]
    assert "finauth store init" in problem
    store.init()
    assert store.read("a") is None


def test_a_table_that_is_gone_later_is_an_error_that_may_pass(
    store: SqlStore, postgres_server: PostgresServer, address: SqlAddress
) -> None:
    assert store.read("a") is None
    postgres_server.execute(f"DROP TABLE {address.table}")
    with pytest.raises(StoreUnavailableError, match="finauth store init"):
        store.read("a")
    with pytest.raises(StoreUnavailableError, match="finauth store init"):
        store.write("a", b"x", follows=0)


def test_making_it_twice_or_by_many_at_once_changes_nothing(address: SqlAddress) -> None:
    def make(pause: Callable[[str], None]) -> str:
        store = SqlStore(address, Sealer("key"))
        pause("ready")
        store.init()
        return "made"

    with ExitStack() as stack:
        children = [stack.enter_context(child(make)) for _ in range(8)]
        assert [one.says() for one in children] == ["ready"] * 8
        for one in children:
            one.go_on()
        assert [one.says() for one in children] == ["made"] * 8
    store = SqlStore(address, Sealer("key"))
    store.write("a", b"x", follows=0)
    store.init()
    assert store.read("a") == Entry(1, b"x")


def test_another_store_key_is_refused(make_store: MakeStore, address: SqlAddress) -> None:
    make_store().write("a", b"x", follows=0)
    other = SqlStore(address, Sealer("another"))
    uses: list[Callable[[], object]] = [
        lambda: other.read("a"),
        lambda: other.write("a", b"x", follows=1),
        lambda: other.delete("a"),
        other.init,
    ]
    for use in uses:
        with pytest.raises(ConfigurationError, match="store_key") as caught:
            use()
        assert caught.value.field == "store_key"
    assert any("store_key" in problem for problem in other.problems())
    assert make_store().read("a") == Entry(1, b"x")


def test_a_table_that_is_not_ours_is_left_alone(postgres_server: PostgresServer, address: SqlAddress) -> None:
    postgres_server.execute(f"CREATE TABLE {address.table} (name text)")
    postgres_server.execute(f"GRANT ALL ON {address.table} TO finauth")
    store = SqlStore(address, Sealer("key"))
    for use in (store.init, store.list):
        with pytest.raises(StoreUnavailableError, match="not ours"):
            use()


def test_its_user_needs_no_more_than_the_table(postgres_server: PostgresServer) -> None:
    name = address_of(postgres_server).table
    postgres_server.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{postgres_server.password}'")
    postgres_server.execute(f"CREATE SCHEMA {name}")
    little = SqlStore(address_of(postgres_server, user=name, schema=name), Sealer("key"))
    for use in (little.init, lambda: little.read("a")):
        with pytest.raises(StoreUnavailableError, match="SELECT, INSERT and UPDATE"):
            use()
    owner = SqlStore(replace(little._server.address, user=postgres_server.admin), Sealer("key"))
    owner.init()
    postgres_server.execute(f"GRANT USAGE ON SCHEMA {name} TO {name}")
    postgres_server.execute(f"GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA {name} TO {name}")
    little.init()
    with little.lock("a", 0) as hold:
        assert hold.is_ours()
        assert little.write("a", b"x", follows=0, under=hold) == 1
    little.delete("a")
    assert owner.read("a") == Entry(2, b"")


@pytest.mark.parametrize(
    "names", [{"table": 'x"; DROP'}, {"schema": "a.b"}, {"table": ""}, {"table": "x" * 64}]
)
def test_a_table_has_a_plain_name(names: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="plain name"):
        SqlAddress("h", **names)  # type: ignore[arg-type]


# Failures that are told


def test_a_refused_login_is_told_without_the_password(address: SqlAddress) -> None:
    wrong = [
        (replace(address, password=Secret("wrong-password")), "password of the store's connection"),
        (replace(address, user="nobody", password=Secret("wrong-password")), "password of the store's"),
        (replace(address, database="nowhere"), "no database 'nowhere'"),
        (replace(address, sslmode="require"), "does not speak TLS"),
        (replace(address, port=1, password=Secret("wrong-password")), "Check host and port"),
    ]
    for tried, told in wrong:
        assert "password" not in repr(tried)
        store = SqlStore(tried, Sealer("key"))
        for use in (lambda: store.read("a"), lambda: store.lock("a", 0).__enter__(), store.problems):  # noqa: B023
            with pytest.raises(StoreUnavailableError, match=told) as caught:
                use()
            assert not caught.value.permanent
            assert caught.value.__context__ is None
            shown = "".join(
                traceback.TracebackException.from_exception(caught.value, capture_locals=True).format()
            )
            assert tried.password.reveal() not in shown.replace("password=Secret", "")


@pytest.mark.parametrize(
    "text",
    [
        "received invalid response to SSL negotiation: H",
        "expected authentication request from server, but received H",
    ],
)
def test_a_server_of_another_kind_is_told(text: str) -> None:
    told = sql_connection.failure(psycopg.OperationalError(text), SqlAddress("h"))
    assert told.startswith("does not answer as PostgreSQL does. Check the port")


def test_the_connection_is_named_where_there_is_one(address: SqlAddress) -> None:
    store = SqlStore(replace(address, database="nowhere", conn_id="finauth_store"), Sealer("key"))
    with pytest.raises(StoreUnavailableError, match="connection 'finauth_store'.* no database 'nowhere'"):
        store.read("a")


def test_no_error_shows_a_payload(store: SqlStore) -> None:
    store.write("a", b"x", follows=0)
    with store.lock("a", 0) as hold:
        pass
    failing: list[Callable[[], object]] = [
        lambda: store.write("a", b"the-" + b"payload", follows=7),
        lambda: store.write("a", b"the-" + b"payload", follows=1, under=hold),
    ]
    for fail in failing:
        with pytest.raises(FinauthError) as caught:
            fail()
        told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        assert "the-payload" not in "".join(told.format())


def test_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch, address: SqlAddress) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.delitem(sys.modules, "airflow_provider_finauth.auth.stores.sql_connection", raising=False)
    store = SqlStore(address, Sealer("key"))
    for use in (lambda: store.read("a"), lambda: store.lock("a", 0).__enter__(), store.init):
        with pytest.raises(ConfigurationError, match=r"airflow-provider-finauth\[sql\]"):
            use()


def test_the_module_imports_without_the_driver_and_without_airflow() -> None:
    code = (
        "import sys; sys.modules['psycopg'] = None; sys.modules['airflow'] = None; "
        "import airflow_provider_finauth.auth.stores.sql"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
