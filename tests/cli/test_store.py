"""``finauth store init`` and ``check``, on real servers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from airflow_provider_finauth.cli.app import app
from airflow_provider_finauth.runtime import brokers
from tests.postgres_server import running_postgres
from tests.servers import running_redis

if TYPE_CHECKING:
    from tests.servers import RedisServer

KEY = "the-store-key-of-these-tests"


class Admin:
    """Somebody who sets Airflow's options and runs the command."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def sets(self, store: str, connection: dict[str, Any] | None = None) -> None:
        self._monkeypatch.setattr(brokers, "_brokers", {})
        self._monkeypatch.setenv("AIRFLOW__FINAUTH__TOKEN_STORE", store)
        self._monkeypatch.setenv("AIRFLOW__FINAUTH__STORE_KEY", KEY)
        if connection is not None:
            self._monkeypatch.setenv("AIRFLOW__FINAUTH__TOKEN_STORE_CONN_ID", "finauth_tokens")
            self._monkeypatch.setenv("AIRFLOW_CONN_FINAUTH_TOKENS", json.dumps(connection))

    def runs(self, command: str) -> Any:
        return CliRunner().invoke(app, command.split())


@pytest.fixture
def admin(monkeypatch: pytest.MonkeyPatch) -> Admin:
    return Admin(monkeypatch)


def marks(output: str) -> dict[str, str]:
    """Give each check's mark by its first word."""
    lines = [line.split(maxsplit=2) for line in output.splitlines() if line.startswith("  ")]
    return {name: mark for mark, name, *_ in lines}


def redis_connection(server: RedisServer, **changes: Any) -> dict[str, Any]:
    made = {"conn_type": "redis", "host": server.host, "port": server.port, "password": server.password}
    return {**made, **changes}


ALL_WELL = dict.fromkeys(
    ("server", "connections", "read", "compare", "lock", "lost", "removal", "clock"), "ok"
)


def test_sql(admin: Admin) -> None:
    with running_postgres({"fsync": "on"}) as server:
        connection = {
            "conn_type": "postgres",
            "host": server.host,
            "port": server.port,
            "login": server.user,
            "password": server.password,
            "schema": server.database,
        }
        admin.sets("sql", connection)

        before = admin.runs("store check")
        assert before.exit_code == 1
        assert "finauth store init" in before.stdout

        for _ in range(2):
            made = admin.runs("store init")
            assert made.exit_code == 0, made.output
            assert "The token store 'sql' of the connection 'finauth_tokens' is ready" in made.stdout

        checked = admin.runs("store check")
        assert checked.exit_code == 0, checked.output
        # "lock" names two lines, of which the last counts here.
        assert marks(checked.stdout) == ALL_WELL
        assert f"at {server.host}:{server.port}, without TLS" in checked.stdout
        for secret in (server.password, KEY):
            assert secret not in before.output + made.output + checked.output

        admin.sets("sql", {**connection, "password": "wrong-password-81"})
        refused = admin.runs("store check")
        assert refused.exit_code == 1
        assert "password" in refused.stdout
        assert "wrong-password-81" not in refused.output

        server.stop()
        gone = admin.runs("store init")
        assert gone.exit_code == 1
        assert gone.stderr.startswith("Error: PostgreSQL at")
        assert "Traceback" not in gone.output


def test_redis(admin: Admin) -> None:
    # A server of its own: a shared one may have been begun with another key.
    with running_redis() as redis_server:
        admin.sets("redis", redis_connection(redis_server))
        made, checked = admin.runs("store init"), admin.runs("store check")
        assert made.exit_code == 0, made.output
        assert checked.exit_code == 0, checked.output
        assert marks(checked.stdout) == ALL_WELL
        assert redis_server.password not in made.output + checked.output


def test_a_redis_that_does_not_keep_what_it_is_told(admin: Admin) -> None:
    settings = {"appendonly": "no", "maxmemory-policy": "allkeys-lru"}
    with running_redis(settings) as server:
        admin.sets("redis", redis_connection(server))
        made, checked = admin.runs("store init"), admin.runs("store check")
    assert (made.exit_code, checked.exit_code) == (1, 1)
    for told in (made.stderr, checked.stdout):
        assert "appendonly yes" in told
        assert "noeviction" in told
    assert marks(checked.stdout) == {"server": "FAILED"}
    assert "Failed: 2." in checked.stderr


def test_file(admin: Admin, tmp_path: Path) -> None:
    admin.sets(f"file://{tmp_path}/tokens")
    assert admin.runs("store init").exit_code == 0
    checked = admin.runs("store check")
    assert checked.exit_code == 0
    # Nothing takes a lock file away from its holder.
    assert marks(checked.stdout) == ALL_WELL | {"lost": "-"}
    assert checked.stderr == ""
    assert f"the folder {tmp_path}/tokens" in checked.stdout


@pytest.mark.usefixtures("metadata_database")
def test_variable_says_whom_its_lock_binds(admin: Admin) -> None:
    admin.sets("variable")
    checked = admin.runs("store check")
    assert checked.exit_code == 0, checked.output
    assert marks(checked.stdout)["compare"] == "-"
    assert "lock_dir" in checked.stderr
    assert "'sql'" in checked.stderr


def test_memory_keeps_nothing(admin: Admin) -> None:
    admin.sets("memory")
    checked = admin.runs("store check")
    assert checked.exit_code == 1
    assert marks(checked.stdout) == {"server": "FAILED"}


@pytest.mark.parametrize("command", ["store init", "store check"])
def test_what_is_not_set_is_named(admin: Admin, command: str) -> None:
    admin.sets("sql")
    result = admin.runs(command)
    assert result.exit_code == 1
    assert "[finauth] token_store_conn_id" in result.stderr
