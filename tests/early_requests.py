"""Whether pulls fetch ahead is left to no chance: never where requests are counted, always in tests of it."""

from __future__ import annotations

import pytest

from airflow_provider_finauth.client.paging import ahead


@pytest.fixture(autouse=True)
def nothing_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a loaded machine some answers take long enough for threads to pay, and then others are asked for."""
    monkeypatch.setattr(ahead, "_WORTH_IT", float("inf"))


@pytest.fixture
def always_early(monkeypatch: pytest.MonkeyPatch, nothing_early: None) -> None:
    """Fetch ahead whatever it gains."""
    monkeypatch.setattr(ahead, "_WORTH_IT", -1.0)
    monkeypatch.setattr(ahead, "_TRIAL", 10**9)
