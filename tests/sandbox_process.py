"""One sandbox for a test process, put back to its beginning before each test that asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_finauth.sandbox import running_sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_finauth.sandbox import RunningSandbox


@pytest.fixture(scope="session")
def sandbox_process() -> Iterator[RunningSandbox]:
    """The process."""
    with running_sandbox() as started:
        yield started


@pytest.fixture
def sandbox(sandbox_process: RunningSandbox) -> RunningSandbox:
    """The process, as if it had just begun."""
    sandbox_process.reset()
    return sandbox_process
