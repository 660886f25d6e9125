from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_finauth.auth.stores.memory import MemoryStore
from tests.auth.support import FakeClock, FakeEndpoint, make_broker

if TYPE_CHECKING:
    from airflow_provider_finauth.auth.broker import Broker


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(clock: FakeClock) -> MemoryStore:
    return MemoryStore(clock=clock)


@pytest.fixture
def endpoint(clock: FakeClock) -> FakeEndpoint:
    return FakeEndpoint(clock)


@pytest.fixture
def broker(store: MemoryStore, endpoint: FakeEndpoint, clock: FakeClock) -> Broker:
    return make_broker(store, endpoint, clock)
