from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_provider_finauth.auth import endpoint
from tests.model.driver import World, stepped_session
from tests.model.rules import Server


@pytest.fixture
def make_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., World]:
    """Make worlds whose token requests go to their own server."""
    monkeypatch.setattr(endpoint, "_session", stepped_session)
    made: list[World] = []

    def make(server: Server | None = None, *, lease: bool = False) -> World:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(World(folder, server or Server(), lease=lease))
        return made[-1]

    return make
