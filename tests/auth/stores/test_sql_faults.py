"""The store on PostgreSQL servers that are restarted, stopped, full, set otherwise, or behind something."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme

from airflow_provider_finauth.auth.sealer import Sealer
from airflow_provider_finauth.auth.stores.base import Conflict, Entry, LockLost
from airflow_provider_finauth.auth.stores.sql import SqlHold, SqlStore
from airflow_provider_finauth.exceptions import FinauthError, LockTimeoutError, StoreUnavailableError
from airflow_provider_finauth.secret import Secret
from airflow_provider_finauth.transport.clock import Clock
from tests.auth.stores.sql_support import Child, address_of, end_session, made_store, sessions
from tests.lossy_proxy import lossy_proxy
from tests.postgres_server import running_postgres
from tests.servers import wait_until

if TYPE_CHECKING:
    from tests.postgres_server import PostgresServer


# A server that goes away


def test_a_server_may_be_restarted_in_the_middle() -> None:
    with running_postgres() as server:
        store = made_store(server)
        with store.lock("a", 0) as hold:
            assert store.write("a", b"one", follows=0, under=hold) == 1
            server.restart()
            # The connection that was kept is gone, and another one is opened.
            assert store.read("a") == Entry(1, b"one")
            with pytest.raises(LockLost):
                store.write("a", b"late", follows=1, under=hold)
            with store.lock("a", 0):
                pass
            server.stop()
            for use in (hold.is_ours, store.now, lambda: store.write("a", b"x", follows=1)):
                with pytest.raises(StoreUnavailableError, match="Check host and port"):
                    use()
        server.start()
        assert store.write("a", b"two", follows=1) == 2


def test_a_server_that_does_not_answer_is_not_waited_for() -> None:
    with running_postgres() as server:
        store = made_store(server, connect_timeout=2, answer_timeout=0.5)
        other = SqlStore(store._server.address, Sealer("key"))
        began = time.monotonic()
        with store.lock("a", 0) as hold:
            store.read("a")
            server.pause()
            # On the connection that stands, and on one that has to be opened.
            for use in (lambda: store.read("a"), lambda: store.write("a", b"x", follows=0, under=hold)):
                with pytest.raises(StoreUnavailableError, match="does not answer"):
                    use()
            with pytest.raises(StoreUnavailableError, match="does not answer"):
                other.lock("a", 0).__enter__()
        # Without a limit of ours it would wait for as long as the server is stopped.
        assert time.monotonic() - began < 60
        server.resume()
        # What was given up has ended the lock.
        with store.lock("a", 30) as hold:
            assert hold.is_ours()
            assert store.read("a") is None


def test_who_finds_no_connection_left_waits_for_one() -> None:
    settings = {"max_connections": "6", "superuser_reserved_connections": "1"}
    with running_postgres(settings) as server, ExitStack() as others:
        made = made_store(server)

        class Waiting(Clock):
            def __init__(self, turns: int) -> None:
                self.turns = turns
                self.waited = 0.0

            def monotonic(self) -> float:
                return self.waited

            def sleep(self, seconds: float) -> None:
                self.waited += seconds
                self.turns -= 1
                if self.turns == 0:
                    others.close()
                    wait_until(lambda: sessions(server) == 0)

        def fill() -> None:
            for number in range(5):
                others.enter_context(made.lock(f"other-{number}", 20))

        clock = Waiting(turns=3)
        store = SqlStore(made._server.address, Sealer("key"), clock=clock)
        fill()
        assert store.read("a") is None
        assert clock.turns == 0
        fill()
        clock.turns = 3
        with store.lock("a", 60) as hold:
            assert clock.turns == 0
            assert hold.is_ours()
        fill()
        clock.turns = 1_000_000
        with pytest.raises(StoreUnavailableError, match="max_connections"):
            store.read("a")
        clock.turns = 1_000_000
        with pytest.raises(StoreUnavailableError, match="max_connections"):
            store.lock("a", 0).__enter__()
        assert clock.turns == 1_000_000


# Answers that are lost, questions that come late


def test_a_write_whose_answer_was_lost_is_done_once(postgres_server: PostgresServer) -> None:
    made = made_store(postgres_server)
    with lossy_proxy(postgres_server.port) as proxy:
        store = SqlStore(replace(made._server.address, port=proxy.port), Sealer("key"))
        proxy.lose_answers(b"INSERT", 1)
        assert store.write("a", b"one", follows=0) == 1
        with store.lock("a", 0) as hold:
            proxy.lose_answers(b"UPDATE", 1)
            assert store.write("a", b"two", follows=1, under=hold) == 2
        proxy.lose_answers(b"UPDATE", 1)
        store.delete("a")
        assert proxy.lost == 3
    assert made.read("a") == Entry(3, b"")


def test_a_write_whose_answers_were_all_lost_may_stand(postgres_server: PostgresServer) -> None:
    made = made_store(postgres_server)
    with lossy_proxy(postgres_server.port) as proxy:
        store = SqlStore(replace(made._server.address, port=proxy.port), Sealer("key"))
        proxy.lose_answers(b"INSERT", 2)
        with pytest.raises(StoreUnavailableError, match="ended the connection"):
            store.write("a", b"one", follows=0)
        assert proxy.lost == 2
        assert made.read("a") == Entry(1, b"one")
        # A new write of the same is another one: somebody else's could look like it.
        with pytest.raises(Conflict):
            store.write("a", b"one", follows=0)


def test_a_write_that_comes_late_overwrites_nothing(postgres_server: PostgresServer) -> None:
    made = made_store(postgres_server, answer_timeout=1.0)
    with lossy_proxy(postgres_server.port) as proxy:
        store = SqlStore(replace(made._server.address, port=proxy.port), Sealer("key"))
        proxy.delay_requests(b"INSERT")
        with pytest.raises(StoreUnavailableError, match="does not answer"):
            store.write("a", b"late", follows=0)
        assert made.write("a", b"one", follows=0) == 1
        proxy.deliver()
        assert proxy.delivered.wait(30)
    assert made.read("a") == Entry(1, b"one")


def test_a_late_write_under_a_lost_lock_writes_nothing(postgres_server: PostgresServer) -> None:
    made = made_store(postgres_server, answer_timeout=1.0)
    with lossy_proxy(postgres_server.port) as proxy:
        store = SqlStore(replace(made._server.address, port=proxy.port), Sealer("key"))
        with store.lock("a", 0) as hold:
            proxy.delay_requests(b"INSERT")
            with pytest.raises(StoreUnavailableError):
                store.write("a", b"late", follows=0, under=hold)
        with made.lock("a", 0):
            proxy.deliver()
            assert proxy.delivered.wait(30)
    assert made.read("a") is None


# How a server is set


def test_a_commit_is_on_the_disk_whatever_the_server_is_set_to() -> None:
    # With these a commit is otherwise confirmed and stays in memory for as long as ten seconds.
    hasty = {"synchronous_commit": "off", "wal_writer_delay": "10s", "wal_writer_flush_after": "1GB"}
    with running_postgres({**hasty, "default_transaction_isolation": "serializable"}) as server:
        store = made_store(server)
        assert any("synchronous_commit" in problem for problem in store.problems())

        def is_flushed() -> bool:
            [[flushed]] = server.execute("SELECT pg_current_wal_flush_lsn() >= pg_current_wal_insert_lsn()")
            return bool(flushed)

        store.write("a", b"one", follows=0)
        assert is_flushed()
        with store.lock("a", 0) as hold:
            store.write("a", b"two", follows=1, under=hold)
            assert is_flushed()
        store.delete("a")
        assert is_flushed()
        # That it can be seen: the table is made without it.
        server.execute("CREATE TABLE other (name text)")
        assert not is_flushed()
        _count_together(store)


def _count_together(store: SqlStore) -> None:
    """Have four processes write at once where transactions are serializable."""
    store.write("n", b"0", follows=0)

    def count(pause: Callable[[str], None]) -> int:
        done = 0
        pause("ready")
        with store.lock(f"own-{time.monotonic_ns()}", 20):
            while done < 10:
                entry = store.read("n")
                assert entry is not None
                try:
                    store.write("n", str(int(entry.payload) + 1).encode(), follows=entry.revision)
                except Conflict:
                    continue
                done += 1
        return done

    children = [Child(count) for _ in range(4)]
    try:
        assert [one.says() for one in children] == ["ready"] * 4
        for one in children:
            one.go_on()
        assert [one.says() for one in children] == ["10"] * 4
    finally:
        for one in children:
            one.kill()
    assert store.read("n") == Entry(41, b"40")


def test_what_keeps_a_server_from_keeping_is_told() -> None:
    with running_postgres({"fsync": "off"}) as server:
        store = made_store(server)
        [problem] = store.problems()
        assert "set 'fsync' to on" in problem
        server.execute(f"ALTER TABLE {store._table} SET UNLOGGED")
        assert any("SET LOGGED" in problem for problem in store.problems())
        server.execute("ALTER ROLE finauth SET default_transaction_read_only = on")
        assert any("default_transaction_read_only" in problem for problem in store.problems())
        with pytest.raises(StoreUnavailableError, match="takes no writes"):
            store.write("a", b"x", follows=0)
        with pytest.raises(StoreUnavailableError, match="takes no writes"):
            SqlStore(address_of(server), Sealer("key")).init()
        assert store.read("a") is None
        server.execute("ALTER ROLE finauth RESET default_transaction_read_only")
        assert store.write("a", b"x", follows=0) == 1


def test_a_sound_server_is_sound() -> None:
    with running_postgres({"fsync": "on"}) as server:
        assert made_store(server).problems() == []


def test_a_standby_lends_out_no_locks() -> None:
    with running_postgres() as server:
        store = made_store(server)
        store.write("a", b"x", follows=0)
        server.stop()
        (server.data / "standby.signal").touch()
        server.start()
        with pytest.raises(StoreUnavailableError, match="standby"):
            store.lock("a", 0).__enter__()
        with pytest.raises(StoreUnavailableError, match="takes no writes"):
            store.write("a", b"y", follows=1)
        assert any("standby" in problem for problem in store.problems())
        assert store.read("a") == Entry(1, b"x")


# TLS


def test_tls_knows_whom_it_talks_to(tmp_path: Path) -> None:
    with running_postgres(tls=True) as server:
        trusted = {"sslmode": "verify-full", "sslrootcert": str(server.ca_file)}
        store = made_store(server, **trusted)
        with store.lock("a", 0) as hold:
            assert store.write("a", b"x", follows=0, under=hold) == 1
            rows = server.execute(
                "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) "
                "WHERE application_name = 'finauth'"
            )
            assert rows == [(True,), (True,)]
        stranger = tmp_path / "stranger.pem"
        trustme.CA().cert_pem.write_to_path(str(stranger))
        refused = [
            ({**trusted, "sslrootcert": str(stranger)}, "not trusted"),
            ({**trusted, "sslrootcert": str(tmp_path / "missing.pem")}, "sslrootcert"),
            ({"sslmode": "verify-full"}, "sslrootcert"),
            ({"sslmode": "disable"}, "'sslmode'"),
        ]
        for fields, told in refused:
            with pytest.raises(StoreUnavailableError, match=told):
                SqlStore(address_of(server, **fields), Sealer("key")).read("a")


# Behind a PgBouncer


def test_behind_a_pgbouncer_all_is_the_same() -> None:
    with running_postgres(pgbouncer=True, pooler={"default_pool_size": "4"}) as server:
        store = made_store(server, port=server.pooled_port)
        other = SqlStore(store._server.address, Sealer("key"))
        with store.lock("a", 0) as hold:
            assert isinstance(hold, SqlHold)
            with pytest.raises(LockTimeoutError), other.lock("a", 0):
                pass
            for number in range(5):
                assert store.write("a", str(number).encode(), follows=number, under=hold) == number + 1
                assert other.read("a") == Entry(number + 1, str(number).encode())
            with pytest.raises(Conflict):
                other.write("a", b"x", follows=3)
        # The session goes on, for others, and as they left it.
        [[settings]] = server.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE pid = %s AND state = 'idle'", hold.lock.pid
        )
        assert settings == 1
        with other.lock("a", 0) as theirs:
            assert not hold.is_ours()
            with pytest.raises(LockLost):
                store.write("a", b"late", follows=5, under=hold)
            end_session(server, theirs)
            assert not theirs.is_ours()
            with pytest.raises(LockLost):
                other.write("a", b"late", follows=5, under=theirs)
        with store.lock("a", 0) as hold:
            assert store.write("a", b"last", follows=5, under=hold) == 6


def test_behind_a_pgbouncer_many_who_wait_do_not_keep_the_holder_from_writing() -> None:
    pooler = {"default_pool_size": "3", "max_client_conn": "100"}
    with running_postgres(pgbouncer=True, pooler=pooler) as server:
        store = made_store(server, port=server.pooled_port)
        store.write("n", b"0", follows=0)

        def count(pause: Callable[[str], None]) -> str:
            pause("ready")
            try:
                with store.lock("n", 120) as hold:
                    entry = store.read("n")
                    assert entry is not None
                    number = int(entry.payload) + 1
                    store.write("n", str(number).encode(), follows=entry.revision, under=hold)
            except FinauthError as error:
                return repr(error)
            return "done"

        children = [Child(count) for _ in range(8)]
        try:
            assert [one.says() for one in children] == ["ready"] * 8
            for one in children:
                one.go_on()
            assert [one.says() for one in children] == ["done"] * 8
        finally:
            for one in children:
                one.kill()
        assert store.read("n") == Entry(9, b"8")


def test_a_pgbouncer_that_refuses_is_told() -> None:
    with running_postgres(pgbouncer=True, pooler={"pool_mode": "statement"}) as server:
        store = made_store(server)
        pooled = replace(store._server.address, port=server.pooled_port)
        with pytest.raises(StoreUnavailableError, match="'pool_mode' to 'transaction'"):
            SqlStore(pooled, Sealer("key")).lock("a", 0).__enter__()
        wrong = replace(pooled, password=Secret("wrong-password"))
        with pytest.raises(StoreUnavailableError, match="password of the store's"):
            SqlStore(wrong, Sealer("key")).read("a")
