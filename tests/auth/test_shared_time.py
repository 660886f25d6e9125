"""Rule 2: shared data by the store's clock, a process's own by its monotonic one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_finauth.auth.shared_time import SharedTime
from airflow_provider_finauth.auth.stores.memory import MemoryStore
from airflow_provider_finauth.exceptions import StoreUnavailableError
from tests.auth.support import FakeClock, FakeEndpoint, client_credentials, make_broker


class Store(MemoryStore):
    """Has a clock of its own, and may be away."""

    away = False

    def now(self) -> float:
        if self.away:
            raise StoreUnavailableError("The store is away.")
        return super().now()


class Host(FakeClock):
    """A machine whose wall clock is wrong."""

    def __init__(self, ahead: float) -> None:
        super().__init__()
        self.wall_time += ahead


def test_while_the_store_is_away_the_host_counts_on() -> None:
    true, host = FakeClock(), Host(600)
    store = Store(clock=true)
    time = SharedTime(store, host)
    assert time.now() == true.wall()
    store.away = True
    host.advance(100)
    assert time.now() == true.wall() + 100


def test_a_store_that_was_never_there_leaves_the_hosts_time() -> None:
    host = Host(600)
    store = Store()
    store.away = True
    assert SharedTime(store, host).now() == host.wall()


@given(
    lifetime=st.floats(10, 30 * 24 * 3600),
    ahead=st.tuples(st.sampled_from([-600.0, 0.0, 600.0]), st.sampled_from([-600.0, 0.0, 600.0])),
    moments=st.lists(st.floats(0, 0.6), min_size=1, max_size=12),
)
def test_hosts_ten_minutes_apart_never_use_a_token_near_its_end(
    lifetime: float, ahead: tuple[float, float], moments: list[float]
) -> None:
    true, hosts = FakeClock(), [Host(by) for by in ahead]
    store = Store(clock=true)
    endpoints = [FakeEndpoint(host, lifetime=lifetime) for host in hosts]
    brokers = [make_broker(store, endpoint, host) for endpoint, host in zip(endpoints, hosts, strict=True)]
    ends: dict[str, float] = {}
    for number, moment in enumerate(moments):
        for clock in (true, *hosts):
            clock.advance(moment * lifetime)
        which = number % 2
        before = endpoints[which].count
        tokens = brokers[which].token(client_credentials())
        if endpoints[which].count > before:
            ends[tokens.issued_at.hex()] = true.wall() + lifetime
        assert true.wall() < ends[tokens.issued_at.hex()] - min(60.0, lifetime / 4) + 1e-3


def test_hosts_ten_minutes_apart_ask_once() -> None:
    true, ahead, behind = FakeClock(), Host(600), Host(-600)
    store = Store(clock=true)
    endpoint = FakeEndpoint(true, lifetime=300)
    for _ in range(3):
        for host in (ahead, behind):
            make_broker(store, endpoint, host).token(client_credentials())
    assert endpoint.count == 1


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
def test_a_wall_clock_that_is_set_changes_nothing_within_a_process(jump: float) -> None:
    true, host = FakeClock(), Host(0)
    store = Store(clock=true)
    endpoint = FakeEndpoint(host)
    broker, credentials = make_broker(store, endpoint, host), client_credentials()
    broker.token(credentials)
    host.wall_time += jump
    host.monotonic_time += 3600 - 300 - 1
    true.advance(3600 - 300 - 1)
    broker.token(credentials)
    assert endpoint.count == 1
    for clock in (host, true):
        clock.advance(2)
    broker.token(credentials)
    assert endpoint.count == 2
