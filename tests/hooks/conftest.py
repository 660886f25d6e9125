from __future__ import annotations

import pytest

from airflow_provider_finauth.runtime import brokers


@pytest.fixture(autouse=True)
def tokens_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test begins without a token, and keeps those it gets to itself."""
    monkeypatch.setenv("AIRFLOW__FINAUTH__TOKEN_STORE", "memory")
    monkeypatch.setattr(brokers, "_brokers", {})
