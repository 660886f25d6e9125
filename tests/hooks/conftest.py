from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_finauth.runtime import brokers, door
from tests.hooks.support import SandboxConnections

if TYPE_CHECKING:
    from airflow_provider_finauth.sandbox import RunningSandbox


@pytest.fixture(autouse=True)
def tokens_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test begins without a token, and keeps those it gets to itself."""
    monkeypatch.setenv("AIRFLOW__FINAUTH__TOKEN_STORE", "memory")
    monkeypatch.setattr(brokers, "_brokers", {})


@pytest.fixture(autouse=True)
def masked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What would be registered with Airflow's masker, whose cost grows with all that a process has known."""
    values: list[str] = []
    monkeypatch.setattr(door, "_register", values.extend)
    monkeypatch.setattr(door, "_registered", set())
    return values


@pytest.fixture
def connections(sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> SandboxConnections:
    """The sandbox's connections, in Airflow's environment."""
    return SandboxConnections(sandbox, monkeypatch)
