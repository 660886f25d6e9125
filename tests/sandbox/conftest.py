"""Plain requests to the sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests

from tests.sandbox.asking import Vendors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_finauth.sandbox import RunningSandbox


@pytest.fixture
def http() -> Iterator[requests.Session]:
    """Plain requests, without the environment's proxies and authorities."""
    with requests.Session() as session:
        session.trust_env = False
        yield session


@pytest.fixture
def vendors(sandbox: RunningSandbox, http: requests.Session) -> Vendors:
    """The vendors' documented requests."""
    return Vendors(sandbox, http)
