from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_finauth.auth.sealer import Sealer
from airflow_provider_finauth.auth.stores.base import Conflict, Entry, Kept, LockLost, UnreadableEntry
from airflow_provider_finauth.auth.stores.redis import RedisAddress, RedisHold, RedisStore
from airflow_provider_finauth.auth.stores.redis_server import faults, troubles
from airflow_provider_finauth.exceptions import (
    ConfigurationError,
    FinauthError,
    LockTimeoutError,
    StoreUnavailableError,
)
from airflow_provider_finauth.secret import Secret
from tests.auth.support import FakeClock
from tests.lossy_proxy import lossy_proxy
from tests.servers import RedisServer, is_stopped, running_redis, wait_until

# Of a store in a process of its own: it holds a lock until it is told to write under it.
HOLD = """
import sys
from airflow_provider_finauth.auth.sealer import Sealer
from airflow_provider_finauth.auth.stores.base import LockLost
from airflow_provider_finauth.auth.stores.redis import RedisAddress, RedisStore
from airflow_provider_finauth.secret import Secret
port, password, prefix, lease = sys.argv[1:]
address = RedisAddress("127.0.0.1", int(port), password=Secret(password))
store = RedisStore(address, Sealer("key"), prefix=prefix, lease=float(lease))
with store.lock("a", 20) as hold:
    print("held", flush=True)
    sys.stdin.readline()
    try:
        store.write("a", b"late", follows=0, under=hold)
        print("written", flush=True)
    except LockLost:
        print("lost", hold.is_ours(), flush=True)
print("left", flush=True)
sys.stdin.readline()
"""


def address_of(server: RedisServer) -> RedisAddress:
    return RedisAddress(server.host, server.port, password=Secret(server.password))


@pytest.fixture
def prefix() -> str:
    """Keep what a test writes to the session's server apart."""
    return f"test-{secrets.token_hex(8)}"


MakeStore = Callable[..., RedisStore]


@pytest.fixture
def make_store(redis_server: RedisServer, prefix: str) -> MakeStore:
    def make(**options: Any) -> RedisStore:
        return RedisStore(address_of(redis_server), Sealer("key"), **{"prefix": prefix, **options})

    return make


@pytest.fixture
def store(make_store: MakeStore) -> RedisStore:
    return make_store()


def in_a_child(work: Callable[[], object]) -> int:
    """Start ``work`` in a forked child, which ends with status 0 if it is done without an error."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        work()
        status = 0
    finally:
        os._exit(status)


def ended_well(children: list[int]) -> bool:
    return [os.waitpid(child, 0)[1] for child in children] == [0] * len(children)


# Entries


def test_of_eight_processes_none_loses_a_write(store: RedisStore) -> None:
    store.write("a", b"0", follows=0)

    def count() -> None:
        done = 0
        while done < 20:
            entry = store.read("a")
            assert entry is not None
            try:
                store.write("a", str(int(entry.payload) + 1).encode(), follows=entry.revision)
            except Conflict:
                continue
            done += 1

    assert ended_well([in_a_child(count) for _ in range(8)])
    assert store.read("a") == Entry(161, b"160")


def test_what_stands_in_redis_tells_nothing(
    store: RedisStore, redis_server: RedisServer, prefix: str
) -> None:
    store.write("a", b"secret-token", follows=0)
    with redis_server.client() as client:
        found = client.hgetall(f"{prefix}:entry:a")
        assert client.ttl(f"{prefix}:entry:a") == -1
    assert found.keys() == {"revision", "sealed"}
    assert "secret-token" not in str(found)


def test_a_prefix_stands_for_itself(make_store: MakeStore, prefix: str) -> None:
    make_store(prefix=f"{prefix}-x").write("a", b"x", follows=0)
    starred = make_store(prefix=f"{prefix}-[x]*?\\")
    starred.write("b", b"x", follows=0)
    assert starred.list() == ["b"]


def test_more_keys_than_one_page_are_listed(store: RedisStore) -> None:
    names = [f"key-{number:04}" for number in range(1200)]
    for name in names:
        store._run("redis.call('HSET', KEYS[1], 'sealed', 'x')", [store._entry(name)])
    store.delete(names.pop())
    assert store.list() == names


def test_the_time_is_the_servers(store: RedisStore, redis_server: RedisServer) -> None:
    store = RedisStore(address_of(redis_server), Sealer("key"), prefix=store._prefix, clock=FakeClock())
    with redis_server.client() as client:
        before = client.time()
        told = store.now()
        after = client.time()
    assert before[0] + before[1] / 1e6 <= told <= after[0] + after[1] / 1e6


@pytest.mark.parametrize(
    ("content", "revision"),
    [
        ({"revision": "3"}, 3),
        ({"revision": "3", "sealed": "nonsense"}, 3),
        ({"revision": "3", "sealed": b"\xff\xfe"}, 3),
        ({"sealed": ""}, 0),
        ({"revision": "", "sealed": "x"}, 0),
        ({"revision": "inf", "sealed": "x"}, 0),
        ({"revision": "-3", "sealed": ""}, 0),
        ({"revision": "1" * 30, "sealed": ""}, 0),
        ({"other": "x"}, 0),
        ("a text", 0),
    ],
)
def test_what_is_damaged_or_foreign_is_not_read_as_nothing(
    store: RedisStore,
    redis_server: RedisServer,
    prefix: str,
    content: dict[str, Any] | str,
    revision: int,
) -> None:
    store.init()
    name = f"{prefix}:entry:a"
    with redis_server.client() as client:
        client.set(name, content) if isinstance(content, str) else client.hset(name, mapping=content)
    if content == {"other": "x"}:
        # A hash without anything of ours in it.
        assert store.read("a") is None
    else:
        with pytest.raises(UnreadableEntry, match=f"{prefix}:entry:a") as caught:
            store.read("a")
        assert caught.value.revision == revision
    if not isinstance(content, dict) or content.get("sealed"):
        assert store.list() == ["a"]
    with pytest.raises(Conflict):
        store.write("a", b"y", follows=revision + 1)
    assert store.write("a", b"y", follows=revision) == revision + 1
    assert store.read("a") == Entry(revision + 1, b"y")


def test_what_is_foreign_can_be_deleted(store: RedisStore, redis_server: RedisServer, prefix: str) -> None:
    store.init()
    with redis_server.client() as client:
        client.set(f"{prefix}:entry:a", "a text")
    store.delete("a")
    assert store.read("a") == Entry(1, b"")
    assert store.list() == []


# Leases


def test_of_eight_processes_one_has_the_lock(
    store: RedisStore, redis_server: RedisServer, prefix: str
) -> None:
    def take() -> None:
        with redis_server.client() as client:
            for _ in range(4):
                with store.lock("a", 30):
                    assert client.incr(f"{prefix}:busy") == 1
                    client.decr(f"{prefix}:busy")

    assert ended_well([in_a_child(take) for _ in range(8)])


def test_whoever_waits_too_long_is_told(make_store: MakeStore) -> None:
    clock = FakeClock()
    waiting = make_store(clock=clock)
    with (
        make_store().lock("a", 0),
        pytest.raises(LockTimeoutError, match="for more than 7 s"),
        waiting.lock("a", 7),
    ):
        pass
    assert sum(clock.slept) >= 7


def test_a_lease_is_extended_while_it_is_held(
    make_store: MakeStore, redis_server: RedisServer, prefix: str
) -> None:
    store = make_store(lease=1.0)
    with store.lock("a", 0) as hold, redis_server.client() as client:
        ends = store.now() + 2.0
        owner = client.get(f"{prefix}:lock:a")
        while store.now() < ends:
            assert client.get(f"{prefix}:lock:a") == owner
            assert 0 < client.pttl(f"{prefix}:lock:a") <= 1000
        assert hold.is_ours()
        assert store.write("a", b"x", follows=0, under=hold) == 1
    assert not hold.is_ours()
    with redis_server.client() as client:
        assert client.get(f"{prefix}:lock:a") is None


def extenders() -> int:
    return sum(thread.name == "finauth-lease" for thread in threading.enumerate())


def test_nobody_extends_a_lease_that_was_left(make_store: MakeStore) -> None:
    wait_until(lambda: extenders() == 0, what="the end of former tests' threads")
    with make_store(lease=0.3).lock("a", 0):
        assert extenders() == 1
    wait_until(lambda: extenders() == 0, what="the thread's end")


def test_a_lost_lease_is_not_extended(make_store: MakeStore, redis_server: RedisServer, prefix: str) -> None:
    store = make_store(lease=0.3)
    with store.lock("a", 0) as hold, redis_server.client() as client:
        client.set(f"{prefix}:lock:a", "another's")
        wait_until(lambda: extenders() == 0, what="the thread's end")
        assert not hold.is_ours()
        with pytest.raises(LockLost):
            store.write("a", b"x", follows=0, under=hold)
        assert client.ttl(f"{prefix}:lock:a") == -1
    with redis_server.client() as client:
        assert client.get(f"{prefix}:lock:a") == "another's"
    assert store.read("a") is None


def test_a_stopped_holder_loses_its_lease_and_overwrites_nothing(
    make_store: MakeStore, redis_server: RedisServer, prefix: str
) -> None:
    arguments = [str(redis_server.port), redis_server.password, prefix, "1.0"]
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        try:
            assert holder.stdout.readline() == "held\n"
            store = make_store()
            with pytest.raises(LockTimeoutError), store.lock("a", 0):
                pass
            holder.send_signal(signal.SIGSTOP)
            wait_until(lambda: is_stopped(holder.pid))
            with store.lock("a", 20) as hold:
                holder.send_signal(signal.SIGCONT)
                holder.stdin.write("go on\n")
                holder.stdin.flush()
                # Nothing was written between its reading and its writing: only the lease tells it.
                assert holder.stdout.readline() == "lost False\n"
                assert holder.stdout.readline() == "left\n"
                assert hold.is_ours()
                assert store.write("a", b"x", follows=0, under=hold) == 1
        finally:
            holder.kill()
    assert store.read("a") == Entry(1, b"x")


def test_a_killed_holders_lease_ends(make_store: MakeStore, redis_server: RedisServer, prefix: str) -> None:
    arguments = [str(redis_server.port), redis_server.password, prefix, "1.0"]
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        holder.kill()
        holder.wait(30)
    with make_store().lock("a", 20) as hold:
        assert hold.is_ours()


def test_a_forked_child_has_neither_lease_nor_connection(
    make_store: MakeStore, redis_server: RedisServer, prefix: str
) -> None:
    store = make_store()
    parents = store._client.ask(lambda redis: redis.client_id())
    child = -1
    with redis_server.client() as client:
        with store.lock("a", 0) as hold:
            owner = client.get(f"{prefix}:lock:a")
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    assert isinstance(hold, RedisHold)
                    assert not hold.is_ours()
                    assert store._client.ask(lambda redis: redis.client_id()) != parents
                    with pytest.raises(LockLost):
                        store.write("a", b"x", follows=0, under=hold)
                    with pytest.raises(LockTimeoutError), store.lock("a", 0):
                        pass
                    status = 0
                except BaseException:
                    os._exit(1)
            else:
                assert os.waitpid(child, 0)[1] == 0
                assert client.get(f"{prefix}:lock:a") == owner
                assert hold.is_ours()
        if child == 0:
            # It has left the block, and the parent sees that its lease was not given back.
            os._exit(status)
        assert client.get(f"{prefix}:lock:a") is None
    assert store._client.ask(lambda redis: redis.client_id()) == parents


def test_a_lock_of_another_store_is_a_mistake(store: RedisStore) -> None:
    with pytest.raises(TypeError):
        store.write("a", b"x", follows=0, under=Kept())
    assert store.read("a") is None


# Servers that end, wait or refuse


def test_a_server_may_be_restarted_in_the_middle() -> None:
    with running_redis({"appendfsync": "always"}) as server:
        store = RedisStore(address_of(server), Sealer("key"))
        with store.lock("a", 0) as hold:
            assert store.write("a", b"one", follows=0, under=hold) == 1
            for end in (server.stop, server.kill):
                end()
                with pytest.raises(StoreUnavailableError, match="cannot be reached"):
                    store.read("a")
                server.start()
            # What it kept are the entry and the lease.
            assert store.read("a") == Entry(1, b"one")
            assert hold.is_ours()
            server.restart()
            assert store.write("a", b"two", follows=1, under=hold) == 2
            server.kill()
        # Left without an error.
        server.start()
        assert store.read("a") == Entry(2, b"two")


def test_a_server_that_does_not_answer_is_not_waited_for() -> None:
    with running_redis() as server:
        store = RedisStore(replace(address_of(server), read_timeout=0.3), Sealer("key"))
        store.write("a", b"one", follows=0)
        with store.lock("a", 0) as hold:
            server.pause()
            uses: list[Callable[[], object]] = [
                lambda: store.read("a"),
                lambda: store.write("a", b"two", follows=1),
                lambda: store.lock("b", 60).__enter__(),
                hold.is_ours,
                RedisStore(replace(address_of(server), read_timeout=0.3), Sealer("key")).problems,
            ]
            for use in uses:
                with pytest.raises(StoreUnavailableError, match="did not answer within 0.3 s"):
                    use()
        server.resume()
        # A write that was given up may land all the same, and only once.
        entry = store.read("a")
        assert entry in (Entry(1, b"one"), Entry(2, b"two"))


def test_a_server_without_memory_refuses_writes_and_answers_the_rest() -> None:
    with running_redis() as server:
        store = RedisStore(address_of(server), Sealer("key"), lease=1.0)
        store.write("a", b"one", follows=0)
        with store.lock("a", 0) as hold:
            server.config_set("maxmemory", "1")
            with pytest.raises(StoreUnavailableError, match="maxmemory"):
                store.write("a", b"two", follows=1, under=hold)
            with pytest.raises(StoreUnavailableError, match="maxmemory"), store.lock("b", 0):
                pass
            ends = store.now() + 1.2
            wait_until(lambda: store.now() > ends)
            assert hold.is_ours()
            assert store.read("a") == Entry(1, b"one")
        # Released, and so free as soon as there is memory.
        server.config_set("maxmemory", "0")
        with store.lock("a", 0):
            assert store.write("a", b"two", follows=1) == 2


def test_a_server_that_cannot_write_to_its_disk_keeps_nothing() -> None:
    with running_redis() as server:
        store = RedisStore(address_of(server), Sealer("key"))
        store.write("a", b"one", follows=0)
        # Its snapshot fails, as on a full disk.
        (server.folder / "dump.rdb").mkdir()
        server.config_set("save", "3600 1")
        with server.client() as client:
            client.bgsave()
            wait_until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err")
        with pytest.raises(StoreUnavailableError, match="cannot write to its disk"):
            store.write("a", b"two", follows=1)
        assert store.read("a") == Entry(1, b"one")


def test_a_server_that_lacks_its_replicas_refuses_writes() -> None:
    with running_redis({"min-replicas-to-write": "1"}) as server:
        store = RedisStore(address_of(server), Sealer("key"))
        with pytest.raises(StoreUnavailableError, match="min-replicas-to-write"):
            store.write("a", b"one", follows=0)


def test_a_replica_is_refused() -> None:
    with running_redis() as primary, running_redis() as server:
        store = RedisStore(address_of(server), Sealer("key"))
        store.write("a", b"one", follows=0)
        with server.client() as client:
            server.config_set("masterauth", primary.password)
            client.replicaof(primary.host, primary.port)
        with pytest.raises(StoreUnavailableError, match="is a replica"):
            store.write("a", b"two", follows=1)
        other = RedisStore(address_of(server), Sealer("key"))
        with pytest.raises(StoreUnavailableError, match="is a replica"):
            other.read("a")
        [problem] = other.problems()
        assert "is a replica" in problem
        # After a failover it is the primary.
        with server.client() as client:
            client.replicaof("NO", "ONE")
        assert other.problems() == []


@pytest.mark.parametrize(
    ("setting", "value", "told"),
    [
        ("appendonly", "no", "appendonly yes"),
        ("appendfsync", "no", "appendfsync everysec"),
        ("maxmemory-policy", "allkeys-lru", "maxmemory-policy noeviction"),
    ],
)
def test_a_server_that_does_not_keep_what_it_is_told_is_refused(setting: str, value: str, told: str) -> None:
    with running_redis({setting: value}) as server:
        store = RedisStore(address_of(server), Sealer("key"))
        uses: list[Callable[[], object]] = [
            store.init,
            lambda: store.read("a"),
            lambda: store.write("a", b"x", follows=0),
            lambda: store.lock("a", 0).__enter__(),
            store.list,
            store.now,
        ]
        for use in uses:
            with pytest.raises(ConfigurationError, match=told):
                use()
        [problem] = store.problems()
        assert told in problem
        assert f"{server.host}:{server.port}" in problem
        with server.client() as client:
            assert client.dbsize() == 0


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"redis_mode": "cluster"}, "is part of a Redis Cluster"),
        ({"aof_enabled": None}, "appendonly yes"),
        ({"aof_enabled": 0}, "appendonly yes"),
        ({"maxmemory_policy": None}, "not told"),
    ],
)
def test_what_a_server_does_not_tell_is_not_believed(facts: dict[str, Any], told: str) -> None:
    fit: dict[str, Any] = {"redis_mode": "standalone", "aof_enabled": 1, "maxmemory_policy": "noeviction"}
    assert faults(fit, "Redis") == []
    [fault] = faults(fit | facts, "Redis")
    assert told in fault


def test_what_passes_is_told_as_well() -> None:
    assert troubles({"role": "master", "aof_last_write_status": "ok"}, "Redis") == []
    [trouble] = troubles({"role": "master", "aof_last_write_status": "err"}, "Redis")
    assert "server's log" in trouble


def test_every_fault_is_told_at_once_and_a_mended_server_is_taken() -> None:
    with running_redis({"appendonly": "no", "maxmemory-policy": "volatile-ttl"}) as server:
        store = RedisStore(address_of(server), Sealer("key"))
        assert len(store.problems()) == 2
        with pytest.raises(ConfigurationError, match=r"appendonly yes.*noeviction"):
            store.init()
        server.config_set("appendonly", "yes")
        server.config_set("maxmemory-policy", "noeviction")
        assert store.problems() == []
        assert store.write("a", b"x", follows=0) == 1


def test_a_server_is_looked_at_again_after_a_while() -> None:
    with running_redis() as server:
        clock = FakeClock()
        store = RedisStore(address_of(server), Sealer("key"), clock=clock)
        store.write("a", b"x", follows=0)
        server.config_set("maxmemory-policy", "allkeys-lru")
        clock.advance(301)
        with pytest.raises(ConfigurationError, match="noeviction"):
            store.read("a")


def test_a_user_needs_only_what_the_store_does(redis_server: RedisServer, prefix: str) -> None:
    commands = [
        "+eval",
        "+get",
        "+set",
        "+del",
        "+type",
        "+hget",
        "+hmget",
        "+hset",
        "+hstrlen",
        "+pexpire",
        "+scan",
        "+time",
        "+info",
    ]
    with redis_server.client() as client:
        client.execute_command("ACL", "SETUSER", prefix, "on", ">pass", f"~{prefix}:*", *commands)
        try:
            address = replace(address_of(redis_server), username=prefix, password=Secret("pass"))
            store = RedisStore(address, Sealer("key"), prefix=prefix, lease=0.3)
            with store.lock("a", 0) as hold:
                ends = store.now() + 1.2
                assert store.write("a", b"x", follows=0, under=hold) == 1
                wait_until(lambda: store.now() > ends)
                assert hold.is_ours()
            assert store.list() == ["a"]
            store.delete("a")
            assert store.problems() == []
            elsewhere = RedisStore(address, Sealer("key"), prefix="elsewhere")
            with pytest.raises(StoreUnavailableError, match="does not allow its user"):
                elsewhere.read("a")
            client.execute_command("ACL", "SETUSER", prefix, "-info")
            with pytest.raises(StoreUnavailableError, match="does not allow its user"):
                RedisStore(address, Sealer("key"), prefix=prefix).read("a")
        finally:
            client.execute_command("ACL", "DELUSER", prefix)


# Answers that are lost, late or strange


def test_a_write_whose_answer_was_lost_is_done_once(
    redis_server: RedisServer, make_store: MakeStore, prefix: str
) -> None:
    with lossy_proxy(redis_server.port) as proxy:
        address = replace(address_of(redis_server), port=proxy.port)
        store = RedisStore(address, Sealer("key"), prefix=prefix)
        store.init()
        proxy.lose_answers(b"EVAL", 1)
        assert store.write("a", b"one", follows=0) == 1
        with store.lock("a", 0) as hold:
            proxy.lose_answers(b"EVAL", 1)
            assert store.write("a", b"two", follows=1, under=hold) == 2
        proxy.lose_answers(b"EVAL", 1)
        store.delete("a")
        assert proxy.lost == 3
        assert make_store().read("a") == Entry(3, b"")


def test_a_write_whose_answers_were_all_lost_may_stand(
    redis_server: RedisServer, make_store: MakeStore, prefix: str
) -> None:
    with lossy_proxy(redis_server.port) as proxy:
        address = replace(address_of(redis_server), port=proxy.port)
        store = RedisStore(address, Sealer("key"), prefix=prefix)
        store.init()
        proxy.lose_answers(b"EVAL", 2)
        with pytest.raises(StoreUnavailableError):
            store.write("a", b"one", follows=0)
        assert make_store().read("a") == Entry(1, b"one")
        # A new write of the same is another one: somebody else's could look like it.
        with pytest.raises(Conflict):
            store.write("a", b"one", follows=0)


def test_a_lease_whose_answer_was_lost_is_ours(
    redis_server: RedisServer, make_store: MakeStore, prefix: str
) -> None:
    with lossy_proxy(redis_server.port) as proxy:
        address = replace(address_of(redis_server), port=proxy.port)
        store = RedisStore(address, Sealer("key"), prefix=prefix)
        store.init()
        proxy.lose_answers(b"EVAL", 1)
        with store.lock("a", 0) as hold:
            assert proxy.lost == 1
            assert hold.is_ours()
            with pytest.raises(LockTimeoutError), make_store().lock("a", 0):
                pass


def test_an_extension_whose_answer_was_lost_is_not_the_last(redis_server: RedisServer, prefix: str) -> None:
    with lossy_proxy(redis_server.port) as proxy:
        address = replace(address_of(redis_server), port=proxy.port)
        store = RedisStore(address, Sealer("key"), prefix=prefix, lease=1.0)
        proxy.lose_answers(b"PEXPIRE", 1)
        with store.lock("a", 0) as hold:
            wait_until(lambda: proxy.lost == 1)
            ends = store.now() + 1.2
            wait_until(lambda: store.now() > ends)
            assert hold.is_ours()


def test_a_write_that_comes_late_overwrites_nothing(
    redis_server: RedisServer, make_store: MakeStore, prefix: str
) -> None:
    with lossy_proxy(redis_server.port) as proxy:
        address = replace(address_of(redis_server), port=proxy.port, read_timeout=0.3)
        store = RedisStore(address, Sealer("key"), prefix=prefix)
        make_store().write("a", b"one", follows=0)
        assert store.read("a") == Entry(1, b"one")
        proxy.delay_requests(b"EVAL")
        with pytest.raises(StoreUnavailableError, match="did not answer"):
            store.write("a", b"late", follows=1)
        make_store().write("a", b"two", follows=1)
        proxy.deliver()
        assert proxy.delivered.wait(20)
        assert make_store().read("a") == Entry(2, b"two")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"-LOADING Redis is loading the dataset in memory", "has just been started"),
        (b"-MASTERDOWN Link with MASTER is down", "is a replica"),
        (b"-CLUSTERDOWN The cluster is down", "Redis Cluster"),
        (b"-MOVED 3999 127.0.0.1:6381", "Redis Cluster"),
        (b"-READONLY You can't write against a read only replica.", "is a replica"),
        # As older servers tell of a script's failure.
        (
            b"-ERR Error running script (call to f_1): @user_script:8: @user_script: 8: -OOM command not "
            b"allowed when used memory > 'maxmemory'.",
            "maxmemory",
        ),
        (b"-ERR unknown command 'INFO', with args beginning with: 'the-secret'", "does not know"),
        (b"HTTP/1.1 400 Bad Request the-secret", "does not know"),
        (b"", "cannot be reached"),
    ],
)
def test_a_strange_answer_is_an_error_that_says_what_to_do(answer: bytes, told: str) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    ends: list[socket.socket] = [listener]

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                ends.append(connection)
                with connection:
                    while answer and connection.recv(1 << 16):
                        connection.sendall(answer + b"\r\n")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        store = RedisStore(RedisAddress("127.0.0.1", listener.getsockname()[1]), Sealer("key"))
        with pytest.raises(StoreUnavailableError, match=told) as caught:
            store.read("a")
        assert "the-secret" not in str(caught.value)
        assert caught.value.__context__ is None
    finally:
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        thread.join(20)


# Keys and logins


def test_another_store_key_is_refused(make_store: MakeStore, redis_server: RedisServer, prefix: str) -> None:
    make_store().write("a", b"x", follows=0)
    other = RedisStore(address_of(redis_server), Sealer("another"), prefix=prefix)
    for use in (other.init, lambda: other.read("a"), lambda: other.write("a", b"y", follows=1)):
        with pytest.raises(ConfigurationError, match="another .finauth. store_key") as caught:
            use()
        assert caught.value.field == "store_key"
    [problem] = other.problems()
    assert "store_key" in problem
    assert make_store().read("a") == Entry(1, b"x")


def test_of_two_first_users_one_leaves_its_key(redis_server: RedisServer, prefix: str) -> None:
    with lossy_proxy(redis_server.port) as proxy, ThreadPoolExecutor(1) as pool:
        slow = RedisStore(replace(address_of(redis_server), port=proxy.port), Sealer("slow"), prefix=prefix)
        proxy.delay_requests(b"\r\nSET\r\n")
        try:
            future = pool.submit(slow.init)
            assert proxy.delayed.wait(20)
            # It has found no key, and now another leaves its own.
            RedisStore(address_of(redis_server), Sealer("quick"), prefix=prefix).init()
        finally:
            proxy.deliver()
        with pytest.raises(ConfigurationError, match="store_key"):
            future.result(20)
        RedisStore(address_of(redis_server), Sealer("quick"), prefix=prefix).init()


@pytest.mark.parametrize(
    ("username", "password"),
    [(None, "no-such-password"), (None, ""), ("nobody", "no-such-password")],
)
def test_a_refused_login_is_told_without_the_password(
    redis_server: RedisServer, username: str | None, password: str
) -> None:
    address = replace(address_of(redis_server), username=username, password=Secret(password))
    store = RedisStore(address, Sealer("key"))
    with pytest.raises(StoreUnavailableError, match="user name and the password") as caught:
        store.read("a")
    assert caught.value.__context__ is None
    shown = traceback.TracebackException.from_exception(caught.value.with_traceback(None))
    assert "no-such-password" not in f"{''.join(shown.format())} {address!r} {vars(store._client)!r}"


def test_an_unreachable_server_is_told() -> None:
    store = RedisStore(RedisAddress("127.0.0.1", 1), Sealer("key"))
    for use in (store.init, store.problems, store.now, lambda: store.lock("a", 5).__enter__()):
        with pytest.raises(StoreUnavailableError, match="127.0.0.1:1 cannot be reached"):
            use()
    with pytest.raises(StoreUnavailableError, match="cannot be reached"):
        RedisStore(RedisAddress("no..name", 1), Sealer("key")).init()


def test_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ConfigurationError, match=r"airflow-provider-finauth\[redis\]"):
        RedisStore(RedisAddress("127.0.0.1"), Sealer("key")).init()


def test_the_module_imports_without_the_driver_and_without_airflow() -> None:
    script = (
        "import sys, airflow_provider_finauth.auth.stores.redis;"
        "print([name for name in ('redis', 'airflow') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


# TLS


def test_tls_is_spoken_with_and_without_a_client_certificate(tmp_path: Path) -> None:
    with running_redis({"bind": "127.0.0.1 127.0.0.2"}, tls=True, client_certificates=True) as server:
        bare = replace(address_of(server), tls=True, ca_file=str(server.ca_file))
        address = replace(bare, cert_file=str(server.client_cert_file), key_file=str(server.client_key_file))
        store = RedisStore(address, Sealer("key"))
        store.write("a", b"x", follows=0)
        assert ended_well([in_a_child(lambda: store.write("a", b"y", follows=1))])
        assert store.read("a") == Entry(2, b"y")
        with server.client() as client:
            client.config_set("tls-auth-clients", "no")
        assert RedisStore(bare, Sealer("key")).read("a") == Entry(2, b"y")
        assert RedisStore(replace(bare, ca_file=None, verify=False), Sealer("key")).list() == ["a"]
        other = RedisStore(replace(bare, host="127.0.0.2", verify=False), Sealer("key"))
        assert other.list() == ["a"]
        for refused, told in [
            (replace(bare, ca_file=None), "not trusted"),
            (replace(bare, host="127.0.0.2"), "another host's"),
            (replace(bare, tls=False), "whether it wants TLS"),
        ]:
            with pytest.raises(StoreUnavailableError, match=told):
                RedisStore(refused, Sealer("key")).read("a")
        for path in (tmp_path / "missing.pem", tmp_path):
            with pytest.raises(ConfigurationError, match=str(path)):
                RedisStore(replace(bare, ca_file=str(path)), Sealer("key")).read("a")
        with server.client() as client:
            client.config_set("tls-auth-clients", "yes")
        with pytest.raises(StoreUnavailableError, match="TLS"):
            RedisStore(bare, Sealer("key")).read("a")


def test_tls_to_a_server_without_it_is_told(redis_server: RedisServer) -> None:
    address = replace(address_of(redis_server), tls=True, read_timeout=0.3, connect_timeout=0.3)
    with pytest.raises(StoreUnavailableError, match="whether it speaks TLS"):
        RedisStore(address, Sealer("key")).read("a")


# Secrets


def test_no_error_shows_a_payload(store: RedisStore) -> None:
    store.init()
    store.write("a", b"one", follows=0)

    def fail() -> FinauthError:
        try:
            store.write("a", b"the-" + b"secret-token", follows=0)
        except Conflict as error:
            return error
        raise AssertionError("written")

    shown = traceback.TracebackException.from_exception(fail(), capture_locals=True)
    assert "the-secret-token" not in "".join(shown.format())
