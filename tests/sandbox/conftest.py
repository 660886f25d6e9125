"""One sandbox for these tests, put back to its beginning before each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests

from airflow_provider_finauth.sandbox import running_sandbox
from tests.sandbox.asking import Vendors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_finauth.sandbox import RunningSandbox


@pytest.fixture(scope="session")
def started() -> Iterator[RunningSandbox]:
    """The process."""
    with running_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(started: RunningSandbox) -> RunningSandbox:
    """The process, as if it had just begun."""
    started.reset()
    return started


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
