from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from airflow_provider_finauth.auth.broker import Broker
from airflow_provider_finauth.auth.stores.memory import MemoryStore
from airflow_provider_finauth.exceptions import (
    ConfigurationError,
    InvalidClientError,
    LockTimeoutError,
    RateLimitedError,
    StoreUnavailableError,
    TokenEndpointError,
)
from airflow_provider_finauth.secret import Secret
from tests.auth.support import FakeClock, FakeEndpoint, access, client_credentials, make_broker, refuse


class DeadStore(MemoryStore):
    """Fails whatever it is asked, once it is dead."""

    dead = False

    def _fail(self) -> None:
        if self.dead:
            raise StoreUnavailableError("the store was asked")

    def read(self, key: str, *, surely: bool = False) -> Any:
        self._fail()
        return super().read(key, surely=surely)

    def lock(self, key: str, timeout: float) -> Any:
        self._fail()
        return super().lock(key, timeout)

    def now(self) -> float:
        self._fail()
        return super().now()


def test_a_valid_token_is_served_from_memory_without_io(clock: FakeClock, endpoint: FakeEndpoint) -> None:
    store = DeadStore(clock=clock)
    broker = make_broker(store, endpoint, clock)
    credentials = client_credentials()
    first = broker.token(credentials)
    store.dead = True
    clock.advance(3600 - 300 - 1)
    assert broker.token(credentials) is first
    assert endpoint.count == 1


def test_a_valid_token_is_served_while_another_thread_holds_the_locks(
    broker: Broker, store: MemoryStore
) -> None:
    credentials = client_credentials()
    first = broker.token(credentials)
    view = broker._memory.known(credentials)
    assert view is not None
    with view.slot.lock, store.lock(view.slot.key, 0):
        assert broker.token(credentials) is first


def test_another_broker_finds_the_token_in_the_store(
    broker: Broker, store: MemoryStore, endpoint: FakeEndpoint, clock: FakeClock
) -> None:
    first = broker.token(client_credentials())
    other = make_broker(store, endpoint, clock)
    assert access(other.token(client_credentials())) == access(first)
    assert endpoint.count == 1


def test_connections_with_the_same_credentials_share_and_others_do_not(
    broker: Broker, endpoint: FakeEndpoint
) -> None:
    first = broker.token(client_credentials(conn_id="one"))
    assert access(broker.token(client_credentials(conn_id="two"))) == access(first)
    assert access(broker.token(client_credentials(scope="sales"))) != access(first)
    assert access(broker.token(client_credentials(client_secret=Secret("new")))) != access(first)
    assert endpoint.count == 3


@pytest.mark.parametrize(("lifetime", "last_second"), [(3600, 3600 - 60), (100, 75), (900, 840)])
def test_nobody_uses_a_token_in_the_mandatory_window(
    store: MemoryStore, clock: FakeClock, lifetime: float, last_second: float
) -> None:
    endpoint = FakeEndpoint(clock, lifetime=lifetime)
    credentials = client_credentials()
    broker = make_broker(store, endpoint, clock)
    broker.token(credentials)
    endpoint.script = [TokenEndpointError("down"), TokenEndpointError("down")]
    clock.advance(last_second - 1)
    assert access(broker.token(credentials)) == "access-1"
    clock.advance(2)
    with pytest.raises(TokenEndpointError, match="down"):
        broker.token(credentials)
    assert access(broker.token(credentials)) == "access-4"


def test_expiry_counts_from_the_start_of_the_request(store: MemoryStore, clock: FakeClock) -> None:
    endpoint = FakeEndpoint(clock, lifetime=1000)
    endpoint.script = [lambda: clock.advance(50)]
    began = clock.wall()
    tokens = make_broker(store, endpoint, clock).token(client_credentials())
    assert tokens.issued_at == began
    assert tokens.expires_at == began + 1000


def test_a_wall_clock_that_is_set_does_not_age_a_token_in_use(
    broker: Broker, endpoint: FakeEndpoint, clock: FakeClock
) -> None:
    credentials = client_credentials()
    first = broker.token(credentials)
    clock.wall_time += 100_000
    assert broker.token(credentials) is first
    clock.wall_time -= 200_000
    clock.monotonic_time += 3600
    assert broker.token(credentials) is not first


def test_a_wall_clock_that_was_set_back_does_not_lengthen_a_stored_tokens_life(
    broker: Broker, store: MemoryStore, endpoint: FakeEndpoint, clock: FakeClock
) -> None:
    broker.token(client_credentials())
    clock.wall_time -= 100_000
    other, credentials = make_broker(store, endpoint, clock), client_credentials()
    other.token(credentials)
    clock.advance(3600)
    other.token(credentials)
    assert endpoint.count == 2


def test_one_caller_renews_early_and_the_others_go_on(store: MemoryStore, clock: FakeClock) -> None:
    reached, go_on = threading.Event(), threading.Event()

    class SlowEndpoint(FakeEndpoint):
        def ask(self, *args: Any) -> Any:
            if self.count == 1:
                reached.set()
                assert go_on.wait(20)
            return super().ask(*args)

    endpoint = SlowEndpoint(clock)
    broker = make_broker(store, endpoint, clock)
    credentials = client_credentials()
    broker.token(credentials)
    clock.advance(3600 - 300 + 1)
    with ThreadPoolExecutor(1) as pool:
        renewing = pool.submit(broker.token, credentials)
        assert reached.wait(20)
        assert access(broker.token(credentials)) == "access-1"
        clock.advance(2)
        assert access(broker.token(credentials)) == "access-1"
        # Another process must not wait for the store's lock either.
        other = make_broker(store, endpoint, clock)
        assert access(other.token(client_credentials())) == "access-1"
        clock.advance(2)
        assert access(other.token(client_credentials())) == "access-1"
        go_on.set()
        assert access(renewing.result(20)) == "access-2"
    assert access(broker.token(credentials)) == "access-2"
    assert endpoint.count == 2


def test_a_failed_early_renewal_is_logged_once_and_rests_for_all(
    broker: Broker,
    store: MemoryStore,
    endpoint: FakeEndpoint,
    clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    credentials = client_credentials()
    broker.token(credentials)
    endpoint.script = [TokenEndpointError("down")] * 3
    clock.advance(3600 - 300)
    other, theirs = make_broker(store, endpoint, clock), client_credentials()
    with caplog.at_level(logging.WARNING):
        assert access(broker.token(credentials)) == "access-1"
        for _ in range(29):
            clock.advance(1)
            assert access(broker.token(credentials)) == "access-1"
            assert access(other.token(theirs)) == "access-1"
        assert endpoint.count == 2
        clock.advance(1)
        assert access(broker.token(credentials)) == "access-1"
        assert endpoint.count == 3
    assert len(caplog.records) == 1
    assert "down" in caplog.text
    assert "talenom_default" in caplog.text


def test_a_refusal_in_the_advisory_window_leaves_the_token_in_use(
    broker: Broker, endpoint: FakeEndpoint, clock: FakeClock
) -> None:
    credentials = client_credentials()
    broker.token(credentials)
    endpoint.script = [refuse(credentials, "invalid_client", 401)]
    clock.advance(3600 - 300)
    assert access(broker.token(credentials)) == "access-1"
    # Recorded, but a token still valid is served whatever is recorded, to a new process too.
    other = make_broker(broker.store, endpoint, clock)
    assert access(other.token(client_credentials())) == "access-1"
    assert endpoint.count == 2


def test_sixty_four_threads_ask_once(broker: Broker, endpoint: FakeEndpoint) -> None:
    barrier = threading.Barrier(64)

    def task() -> str | None:
        credentials = client_credentials()
        barrier.wait(20)
        return access(broker.token(credentials))

    with ThreadPoolExecutor(64) as pool:
        answers = [future.result(60) for future in [pool.submit(task) for _ in range(64)]]
    assert set(answers) == {"access-1"}
    assert endpoint.count == 1


def test_brokers_that_share_a_store_ask_once(
    store: MemoryStore, endpoint: FakeEndpoint, clock: FakeClock
) -> None:
    brokers = [make_broker(store, endpoint, clock) for _ in range(16)]
    barrier = threading.Barrier(16)

    def task(broker: Broker) -> str | None:
        barrier.wait(20)
        return access(broker.token(client_credentials()))

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(task, brokers)) == {"access-1"}
    assert endpoint.count == 1


def test_an_event_loop_gets_an_error_instead_of_waiting(
    broker: Broker, endpoint: FakeEndpoint, clock: FakeClock
) -> None:
    credentials = client_credentials()

    async def ask() -> Any:
        return broker.token(credentials)

    with pytest.raises(ConfigurationError, match="thread"):
        asyncio.run(ask())
    assert endpoint.count == 0
    first = broker.token(credentials)
    assert asyncio.run(ask()) is first
    clock.advance(3600 - 300)
    # In the advisory window the old token still serves: the loop need not wait.
    assert asyncio.run(ask()) is first
    clock.advance(300)
    with pytest.raises(ConfigurationError, match="thread"):
        asyncio.run(ask())
    assert endpoint.count == 1


def test_an_event_loop_is_refused_a_replacement_too(broker: Broker, clock: FakeClock) -> None:
    credentials = client_credentials()
    used = broker.token(credentials).access_token
    assert used is not None
    clock.advance(100)

    async def replace() -> Any:
        return broker.replace(credentials, used)

    with pytest.raises(ConfigurationError, match="thread"):
        asyncio.run(replace())


def test_waiting_for_the_store_ends_with_a_retryable_error(store: MemoryStore, clock: FakeClock) -> None:
    broker = make_broker(store, FakeEndpoint(clock), clock, lock_timeout=0.01, deadline=0.005)
    credentials = client_credentials()
    key = credentials.lineage_key(store.sealer.digest)
    with store.lock(key, 0), pytest.raises(LockTimeoutError, match="Try again") as caught:
        broker.token(credentials)
    assert not caught.value.permanent
    assert access(broker.token(credentials)) == "access-1"


def test_waiting_for_another_thread_ends_with_a_retryable_error(store: MemoryStore, clock: FakeClock) -> None:
    broker = make_broker(store, FakeEndpoint(clock), clock, lock_timeout=0.01, deadline=0.005)
    credentials = client_credentials()
    slot = broker._memory.view(credentials).slot
    with slot.lock, pytest.raises(LockTimeoutError, match="Try again"):
        broker.token(credentials)
    assert access(broker.token(credentials)) == "access-1"


def test_the_lock_timeout_exceeds_the_deadline(store: MemoryStore) -> None:
    with pytest.raises(ConfigurationError, match="lock_timeout") as caught:
        Broker(store, lock_timeout=60, deadline=60)
    assert caught.value.field == "lock_timeout"


def test_passing_errors_reach_the_caller_and_are_not_remembered(
    broker: Broker, endpoint: FakeEndpoint
) -> None:
    endpoint.script = [TokenEndpointError("down"), RateLimitedError("slow", retry_after=7)]
    with pytest.raises(TokenEndpointError):
        broker.token(client_credentials())
    with pytest.raises(RateLimitedError):
        broker.token(client_credentials())
    assert access(broker.token(client_credentials())) == "access-3"


def test_each_token_is_told_to_the_masker(store: MemoryStore, clock: FakeClock) -> None:
    endpoint = FakeEndpoint(clock, refresh_tokens=True)
    ours: list[str] = []
    theirs: list[str] = []
    make_broker(store, endpoint, clock, on_secret=lambda s: ours.append(s.reveal())).token(
        client_credentials()
    )
    reader = make_broker(store, endpoint, clock, on_secret=lambda s: theirs.append(s.reveal()))
    reader.token(client_credentials())
    assert ours == theirs == ["access-1", "refresh-1"]
    assert endpoint.count == 1


def test_each_mint_is_told_to_the_metrics(
    store: MemoryStore, endpoint: FakeEndpoint, clock: FakeClock
) -> None:
    events: list[tuple[str, Any]] = []
    broker = make_broker(store, endpoint, clock, on_event=lambda name, labels: events.append((name, labels)))
    credentials = client_credentials()
    broker.token(credentials)
    clock.advance(3600 - 300)
    broker.token(credentials)
    clock.advance(4000)
    used = broker.token(credentials).access_token
    assert used is not None
    clock.advance(100)
    endpoint.script = [TokenEndpointError("down"), refuse(credentials, "invalid_client", 401)]
    for _ in range(2):
        with pytest.raises((TokenEndpointError, Exception)):
            broker.replace(credentials, used)
    mints = [labels for name, labels in events if name == "mint"]
    assert [(labels["reason"], labels["outcome"]) for labels in mints] == [
        ("absent", "ok"),
        ("early", "ok"),
        ("expired", "ok"),
        ("forced", "failed"),
        ("forced", "refused"),
    ]
    with pytest.raises(InvalidClientError):
        broker.replace(credentials, used)
    assert {name for name, _ in events} == {"mint", "lock_wait", "age_at_use", "refusal_served"}
    ages = [labels["seconds"] for name, labels in events if name == "age_at_use"]
    assert ages == [0.0, 0.0, 0.0]
    assert {labels["api"] for _, labels in events} == {"talenom"}
    assert all(isinstance(value, str | float) for _, labels in events for value in labels.values())


def test_what_the_broker_shows_holds_no_secret(broker: Broker, store: MemoryStore) -> None:
    credentials = client_credentials()
    tokens = broker.token(credentials)
    found = broker._lineages.read(credentials, credentials.lineage_key(store.sealer.digest))
    slot = broker._memory.view(credentials).slot
    for thing in (credentials, tokens, found, slot, store.read(slot.key)):
        assert "access-1" not in repr(thing)
        assert "the-client-secret" not in repr(thing)
