from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_finauth.runtime import brokers
from airflow_provider_finauth.sandbox import RunningSandbox, running_sandbox
from tests.airflow_harness import free_port
from tests.cli.terminal import Terminal

FLAVOURS = ("luca_oauth", "luca_oauth21", "generic")


@pytest.fixture(scope="module")
def started() -> Iterator[RunningSandbox]:
    with running_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(started: RunningSandbox) -> RunningSandbox:
    started.reset()
    return started


@pytest.fixture
def finauth(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Terminal:
    """The command, with a token store of its own."""
    monkeypatch.setenv("AIRFLOW__FINAUTH__TOKEN_STORE", f"file://{tmp_path}/tokens")
    monkeypatch.setenv("AIRFLOW__FINAUTH__STORE_KEY", "a key of these tests")
    monkeypatch.setattr(brokers, "_brokers", {})
    return Terminal(monkeypatch)


def authorisable(sandbox: RunningSandbox, flavour: str, **extra: Any) -> dict[str, Any]:
    """Give a connection of one of the flavours, with a redirect to a free port.

    :param extra: added to its extra; None takes a member away
    """
    source = "oauth2api_default" if flavour == "generic" else flavour
    made = {**sandbox.connections[source]}
    extra = {"redirect_uri": f"http://127.0.0.1:{free_port()}/callback", **extra}
    if flavour == "generic":
        extra = {"grant": "authorization_code", "scope": "items.read", **extra}
    both = {**made["extra"], **extra}
    made["extra"] = {name: value for name, value in both.items() if value is not None}
    return made


@pytest.fixture
def connect(sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Put a connection of a flavour into the environment, and give its id."""

    def connect(flavour: str, **extra: Any) -> str:
        made = authorisable(sandbox, flavour, **extra)
        monkeypatch.setenv("AIRFLOW_CONN_TO_AUTHORISE", json.dumps(made))
        return "to_authorise"

    return connect
