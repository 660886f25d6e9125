from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from airflow_provider_finauth.exceptions import InvalidClientError, TokenEndpointError
from airflow_provider_finauth.secret import Secret
from tests.auth.support import (
    FakeClock,
    FakeEndpoint,
    access,
    authorised_credentials,
    client_credentials,
    form,
    make_broker,
    refuse,
)

if TYPE_CHECKING:
    from airflow_provider_finauth.auth.broker import Broker
    from airflow_provider_finauth.auth.stores.memory import MemoryStore

ONE = Secret("access-1")


def test_a_refused_token_is_replaced_by_a_mint(
    broker: Broker, endpoint: FakeEndpoint, clock: FakeClock
) -> None:
    credentials = client_credentials()
    broker.token(credentials)
    clock.advance(61)
    assert access(broker.replace(credentials, ONE)) == "access-2"
    assert access(broker.token(credentials)) == "access-2"
    assert endpoint.count == 2


def test_no_mint_within_a_minute_of_the_last(
    broker: Broker, store: MemoryStore, endpoint: FakeEndpoint, clock: FakeClock
) -> None:
    credentials = client_credentials()
    broker.token(credentials)
    for _ in range(59):
        clock.advance(1)
        assert broker.replace(credentials, ONE) is None
        # Another process's mint counts as well.
        assert make_broker(store, endpoint, clock).replace(client_credentials(), ONE) is None
        # What cannot be replaced is not dropped: a drop would make the next caller mint.
        assert access(broker.token(credentials)) == "access-1"
    assert endpoint.count == 1
    clock.advance(1)
    assert access(broker.replace(credentials, ONE)) == "access-2"


def test_a_clock_that_was_set_back_forbids_no_mint(
    broker: Broker, endpoint: FakeEndpoint, clock: FakeClock
) -> None:
    credentials = client_credentials()
    broker.token(credentials)
    clock.wall_time -= 10_000
    assert access(broker.replace(credentials, ONE)) == "access-2"


def test_a_newer_token_in_memory_stays(broker: Broker, endpoint: FakeEndpoint, clock: FakeClock) -> None:
    credentials = client_credentials()
    broker.token(credentials)
    clock.advance(61)
    broker.replace(credentials, ONE)
    clock.advance(61)
    assert access(broker.replace(credentials, ONE)) == "access-2"
    assert endpoint.count == 2


def test_a_newer_token_in_the_store_is_adopted(
    broker: Broker, store: MemoryStore, endpoint: FakeEndpoint, clock: FakeClock
) -> None:
    other, theirs = make_broker(store, endpoint, clock), client_credentials()
    broker.token(client_credentials())
    other.token(theirs)
    clock.advance(61)
    other.replace(theirs, ONE)
    credentials = client_credentials()
    assert access(broker.replace(credentials, ONE)) == "access-2"
    assert access(broker.token(credentials)) == "access-2"
    assert endpoint.count == 2


def test_many_threads_with_one_refused_token_cause_one_mint(
    broker: Broker, endpoint: FakeEndpoint, clock: FakeClock
) -> None:
    credentials = client_credentials()
    broker.token(credentials)
    clock.advance(61)
    barrier = threading.Barrier(32)

    def task(_: int) -> str | None:
        barrier.wait(20)
        return access(broker.replace(credentials, ONE))

    with ThreadPoolExecutor(32) as pool:
        assert set(pool.map(task, range(32))) == {"access-2"}
    assert endpoint.count == 2


def test_a_refused_token_that_cannot_be_replaced_is_dropped(
    broker: Broker, store: MemoryStore, endpoint: FakeEndpoint, clock: FakeClock
) -> None:
    credentials = client_credentials()
    broker.token(credentials)
    clock.advance(61)
    endpoint.script = [TokenEndpointError("down"), TokenEndpointError("down")]
    with pytest.raises(TokenEndpointError):
        broker.replace(credentials, ONE)
    # Neither this process nor another serves it any more.
    with pytest.raises(TokenEndpointError):
        make_broker(store, endpoint, clock).token(client_credentials())
    assert access(broker.token(credentials)) == "access-4"


def test_a_refused_client_is_told_instead_of_the_dead_token(
    broker: Broker, endpoint: FakeEndpoint, clock: FakeClock
) -> None:
    credentials = client_credentials()
    broker.token(credentials)
    clock.advance(61)
    endpoint.script = [refuse(credentials, "invalid_client", 401)]
    with pytest.raises(InvalidClientError):
        broker.replace(credentials, ONE)
    with pytest.raises(InvalidClientError):
        broker.token(credentials)
    assert endpoint.count == 2


def test_dropping_the_access_token_leaves_the_refresh_token(store: MemoryStore, clock: FakeClock) -> None:
    endpoint = FakeEndpoint(clock, refresh_tokens=True)
    broker = make_broker(store, endpoint, clock)
    credentials = authorised_credentials()
    broker.token(credentials)
    clock.advance(61)
    endpoint.down = TokenEndpointError("down")
    with pytest.raises(TokenEndpointError):
        broker.replace(credentials, ONE)
    kept = broker.stored(credentials)
    assert kept is not None
    assert kept.access_token is None
    assert kept.refresh_token == Secret("refresh-1")
    endpoint.down = None
    number = endpoint.count + 1
    assert access(make_broker(store, endpoint, clock).token(authorised_credentials())) == f"access-{number}"
    assert form(endpoint.requests[-1])["refresh_token"] == "refresh-1"
