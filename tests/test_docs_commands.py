"""What docs/commands.md shows is what the commands print, times and ports aside."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from airflow_provider_finauth.cli.app import app
from airflow_provider_finauth.exceptions import InvalidClientError
from airflow_provider_finauth.hooks.luca import LucaHook
from airflow_provider_finauth.hooks.oauth2api import OAuth2ApiHook
from airflow_provider_finauth.hooks.talenom import TalenomHook
from airflow_provider_finauth.runtime import brokers
from tests.airflow_harness import ROOT
from tests.hooks.support import SandboxConnections, authorise
from tests.postgres_server import running_postgres
from tests.servers import running_redis

if TYPE_CHECKING:
    from airflow_provider_finauth.sandbox import RunningSandbox

PAGE = ROOT / "docs" / "commands.md"

# Times, lengths of time, loopback's addresses, a server's version, folders, and the hashes that name entries.
_VARIABLE = re.compile(
    r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d( UTC|\+00:00)?"
    r"|\b\d+ (d|h|min|s)\b( \d+ (h|min|s)\b)?"
    r"|(http://)?127\.0\.0\.1:\d+"
    r"|[0-9a-f]{64}"
    r"|PostgreSQL \d+\.\d+"
    r"|file:///\S+/"
)


def sessions() -> list[tuple[str, str]]:
    """Give the page's commands, and what they are shown to print."""
    found = []
    for block in re.findall(r"^```console\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE):
        for session in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = session.partition("\n")
            found.append((command, output))
    return found


def plain(output: str) -> str:
    """Take out of an output what differs each time, and how it is laid out."""
    return " ".join(_VARIABLE.sub("…", output).split())


@pytest.fixture
def surroundings(sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The sandbox's connections, one of them with a wrong secret, a PostgreSQL, and a Redis that forgets."""
    SandboxConnections(sandbox, monkeypatch).change("oauth2api_default", password="wrong")
    # Where commands leave their files.
    monkeypatch.chdir(tmp_path)
    with (
        running_postgres({"fsync": "on"}) as postgres,
        running_redis({"appendonly": "no", "maxmemory-policy": "allkeys-lru"}) as redis,
    ):
        stores = {
            "finauth_store": {
                "conn_type": "postgres",
                "host": postgres.host,
                "port": postgres.port,
                "login": postgres.user,
                "password": postgres.password,
                "schema": postgres.database,
            },
            "finauth_redis": {
                "conn_type": "redis",
                "host": redis.host,
                "port": redis.port,
                "password": redis.password,
            },
        }
        for conn_id, connection in stores.items():
            monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection))
        monkeypatch.setenv("AIRFLOW__FINAUTH__STORE_KEY", "the-key-of-the-page")
        yield


def use(monkeypatch: pytest.MonkeyPatch, store: str, conn_id: str) -> None:
    monkeypatch.setenv("AIRFLOW__FINAUTH__TOKEN_STORE", store)
    monkeypatch.setenv("AIRFLOW__FINAUTH__TOKEN_STORE_CONN_ID", conn_id)


@pytest.mark.usefixtures("surroundings")
def test_the_page_shows_what_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = sessions()
    assert len(shown) >= 8
    use(monkeypatch, "sql", "finauth_store")
    for number, (command, output) in enumerate(shown):
        # Each is a process of its own, which remembers nothing.
        monkeypatch.setattr(brokers, "_brokers", {})
        program, *arguments = shlex.split(command, comments=True)
        assert program == "finauth"
        if arguments == ["tokens"]:
            # As if tasks had run before.
            TalenomHook().get_token()
            authorise(LucaHook("luca_oauth21"))
            with suppress(InvalidClientError):
                OAuth2ApiHook().get_token()
        if "--json" in arguments:
            TalenomHook().get_token()
        if "redis" in command.lower():
            use(monkeypatch, "redis", "finauth_redis")
        # What is typed stands behind the question.
        typed = "".join(f"{answer}\n" for answer in re.findall(r"(?:\]|authorisation): (\S+)$", output, re.M))
        result = CliRunner().invoke(app, arguments, input=typed)
        use(monkeypatch, "sql", "finauth_store")
        assert plain(result.output) == plain(output), f"{number}: {command}"
