"""Rule 10, and what rules 7 and 8 hold while the store is away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_finauth.auth.stores.memory import MemoryStore
from airflow_provider_finauth.exceptions import (
    ConfigurationError,
    InvalidClientError,
    StoreUnavailableError,
)
from tests.auth.support import (
    FakeClock,
    FakeEndpoint,
    access,
    authorised_credentials,
    client_credentials,
    make_broker,
    password_credentials,
    refuse,
)

if TYPE_CHECKING:
    from airflow_provider_finauth.auth.broker import Broker

METHODS = ("read", "write", "lock", "now")


class Store(MemoryStore):
    """Fails in what it is told to fail in."""

    failing: frozenset[str] = frozenset()
    failure: Exception = StoreUnavailableError("The store is away.")

    def __getattribute__(self, name: str) -> Any:
        if name in METHODS and name in super().__getattribute__("failing"):

            def fail(*_: Any, **__: Any) -> Any:
                raise self.failure

            return fail
        return super().__getattribute__(name)


@pytest.fixture
def store(clock: FakeClock) -> Store:
    return Store(clock=clock)


@pytest.fixture
def endpoint(clock: FakeClock) -> FakeEndpoint:
    return FakeEndpoint(clock, refresh_tokens=True)


def away(store: Store, *methods: str) -> None:
    store.failing = frozenset(methods or METHODS)


@pytest.mark.parametrize("methods", [METHODS, *[(method,) for method in METHODS]])
def test_a_grant_that_starts_over_alone_goes_on_without_the_store(
    store: Store,
    endpoint: FakeEndpoint,
    clock: FakeClock,
    methods: tuple[str, ...],
    caplog: pytest.LogCaptureFixture,
) -> None:
    away(store, *methods)
    broker = make_broker(store, endpoint, clock)
    credentials = password_credentials()
    for _ in range(3):
        assert broker.token(credentials).access_token is not None
        clock.advance(1800)
        assert broker.token(credentials).access_token is not None
        clock.advance(1800)
    assert endpoint.count == 3
    said = [record for record in caplog.records if "not shared for now" in record.getMessage()]
    assert len(said) <= 1


def test_that_the_store_is_away_is_said_once_for_each_time(
    broker: Broker, store: Store, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    credentials = client_credentials()
    for _ in range(2):
        away(store)
        for _ in range(3):
            broker.token(credentials)
            clock.advance(3600)
        store.failing = frozenset()
        broker.token(credentials)
        clock.advance(3600)
    assert len([record for record in caplog.records if "not shared" in record.getMessage()]) == 2


@pytest.mark.parametrize("methods", [("read",), ("write",), ("lock",), METHODS])
def test_an_authorised_grant_stops(
    broker: Broker, store: Store, endpoint: FakeEndpoint, clock: FakeClock, methods: tuple[str, ...]
) -> None:
    credentials = authorised_credentials()
    broker.token(credentials)
    clock.advance(3600)
    away(store, *methods)
    with pytest.raises(StoreUnavailableError, match="away"):
        broker.token(credentials)
    assert endpoint.count == 1
    store.failing = frozenset()
    assert access(broker.token(credentials)) == "access-2"


@pytest.mark.parametrize("failure", [StoreUnavailableError("away"), ConfigurationError("set otherwise")])
def test_an_early_renewal_never_fails_the_caller(
    broker: Broker, store: Store, endpoint: FakeEndpoint, clock: FakeClock, failure: Exception
) -> None:
    credentials = authorised_credentials()
    broker.token(credentials)
    clock.advance(3600 - 299)
    away(store)
    store.failure = failure
    assert access(broker.token(credentials)) == "access-1"


def test_a_password_is_tried_twice_with_the_store_away_too(
    broker: Broker, store: Store, endpoint: FakeEndpoint, clock: FakeClock
) -> None:
    away(store)
    credentials = password_credentials()
    endpoint.down = refuse(credentials, "invalid_grant")
    for _ in range(10):
        with pytest.raises(InvalidClientError):
            broker.token(credentials)
        clock.advance(120)
    assert endpoint.count == 2


def test_a_refusal_met_with_the_store_away_is_permanent(
    broker: Broker, store: Store, endpoint: FakeEndpoint, clock: FakeClock
) -> None:
    credentials = client_credentials()
    endpoint.down = refuse(credentials, "invalid_client", 401)
    away(store)
    for _ in range(5):
        with pytest.raises(InvalidClientError):
            broker.token(credentials)
    assert endpoint.count == 1


def test_401s_make_no_storm_with_the_store_away(
    broker: Broker, store: Store, endpoint: FakeEndpoint, clock: FakeClock
) -> None:
    away(store)
    credentials = client_credentials()
    for _ in range(20):
        used = broker.token(credentials).access_token
        assert used is not None
        broker.replace(credentials, used)
        clock.advance(1)
    assert endpoint.count == 1
