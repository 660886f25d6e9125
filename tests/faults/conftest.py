from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.faults import strict_server
from tests.faults.children import Nursery
from tests.faults.places import Place, file_place, redis_place, sql_place, variable_place

if TYPE_CHECKING:
    from tests.faults.strict_server import StrictServer


@pytest.fixture
def server() -> Iterator[StrictServer]:
    """A token endpoint that takes each refresh token once."""
    with strict_server.running(lifetime=3600) as running:
        yield running


@pytest.fixture
def nursery() -> Nursery:
    return Nursery()


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """The store that a test's ``place`` parameter names, on a server of the session's."""
    name = request.param
    if name == "redis":
        return redis_place(request.getfixturevalue("redis_server"), tmp_path)
    if name == "sql":
        made = sql_place(request.getfixturevalue("postgres_server"), tmp_path)
        made.open().init()
        return made
    if name == "variable":
        request.getfixturevalue("metadata_database")
        return variable_place(tmp_path)
    return file_place(tmp_path)
