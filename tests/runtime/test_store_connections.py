"""From an Airflow connection to a token store on a server."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_finauth.auth.stores.redis import RedisAddress, RedisStore
from airflow_provider_finauth.auth.stores.sql import SqlAddress, SqlStore
from airflow_provider_finauth.exceptions import ConfigurationError, ConnectionNotFoundError
from airflow_provider_finauth.runtime import brokers, door, store_connections
from airflow_provider_finauth.runtime.brokers import broker
from airflow_provider_finauth.secret import Secret
from tests.postgres_server import running_postgres
from tests.servers import running_redis

PASSWORD = "store-password-71"
REDIS: dict[str, Any] = {"conn_type": "redis", "host": "redis.example.com"}
POSTGRES: dict[str, Any] = {
    "conn_type": "postgres",
    "host": "db.example.com",
    "login": "finauth",
    "schema": "airflow",
}


@pytest.fixture(autouse=True)
def masked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is registered with Airflow's masker."""
    values: list[str] = []
    monkeypatch.setattr(door, "_register", values.extend)
    monkeypatch.setattr(door, "_registered", set())
    return values


def store(monkeypatch: pytest.MonkeyPatch, name: str, connection: Any, **extra: Any) -> Any:
    """Make the store that a connection describes."""
    if not isinstance(connection, str):
        connection = json.dumps({**connection, "extra": {**connection.get("extra", {}), **extra}})
    monkeypatch.setenv("AIRFLOW_CONN_FINAUTH_TOKENS", connection)
    for option, value in {"token_store": name, "token_store_conn_id": "finauth_tokens"}.items():
        monkeypatch.setenv(f"AIRFLOW__FINAUTH__{option.upper()}", value)
    monkeypatch.setenv("AIRFLOW__FINAUTH__STORE_KEY", "the-store-key-of-these-tests")
    # A process reads the connection once.
    monkeypatch.setattr(brokers, "_brokers", {})
    return broker().store


def redis_address(monkeypatch: pytest.MonkeyPatch, connection: Any = REDIS, **extra: Any) -> RedisAddress:
    made = store(monkeypatch, "redis", connection, **extra)
    assert isinstance(made, RedisStore)
    return made._client.address


def sql_address(monkeypatch: pytest.MonkeyPatch, connection: Any = POSTGRES, **extra: Any) -> SqlAddress:
    made = store(monkeypatch, "sql", connection, **extra)
    assert isinstance(made, SqlStore)
    return made._server.address


class TestRedis:
    def test_the_host_is_enough(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert redis_address(monkeypatch) == RedisAddress("redis.example.com")

    def test_all_fields(self, monkeypatch: pytest.MonkeyPatch, masked: list[str]) -> None:
        found = redis_address(
            monkeypatch,
            {**REDIS, "port": 6380, "login": "finauth", "password": PASSWORD},
            db=3,
            ssl=True,
            ssl_cert_reqs="required",
            ssl_ca_certs="/ca.pem",
            ssl_certfile="/client.pem",
            ssl_keyfile="/client.key",
        )
        assert found == RedisAddress(
            "redis.example.com",
            6380,
            3,
            "finauth",
            Secret(PASSWORD),
            tls=True,
            ca_file="/ca.pem",
            cert_file="/client.pem",
            key_file="/client.key",
        )
        assert PASSWORD in masked
        assert PASSWORD not in repr(found)

    def test_as_forms_save_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The form keeps what is empty, and numbers as texts; a field's older name is known too."""
        found = redis_address(
            monkeypatch,
            db="2",
            ssl="true",
            ssl_cert_reqs="none",
            ssl_ca_certs="",
            ssl_cert_file="/client.pem",
            ssl_keyfile=None,
        )
        assert (found.database, found.tls, found.verify) == (2, True, False)
        assert (found.ca_file, found.cert_file, found.key_file) == (None, "/client.pem", None)

    def test_as_an_address(self, monkeypatch: pytest.MonkeyPatch) -> None:
        found = redis_address(monkeypatch, f"redis://:{PASSWORD}@redis.example.com:6380/4")
        assert (found.host, found.port, found.database) == ("redis.example.com", 6380, 4)
        assert found.password == Secret(PASSWORD)
        assert redis_address(monkeypatch, "redis://redis.example.com/4?db=5").database == 5

    @pytest.mark.parametrize(
        ("extra", "field"),
        [
            ({"db": "first"}, "db"),
            ({"db": -1}, "db"),
            ({"ssl": "perhaps"}, "ssl"),
            ({"ssl_cert_reqs": "never"}, "ssl_cert_reqs"),
            ({"ssl_ca_certs": ["/ca.pem"]}, "ssl_ca_certs"),
        ],
    )
    def test_a_field_that_cannot_be_used_is_named(
        self, monkeypatch: pytest.MonkeyPatch, extra: dict[str, Any], field: str
    ) -> None:
        with pytest.raises(ConfigurationError, match=f"'finauth_tokens'.*'{field}'") as caught:
            redis_address(monkeypatch, REDIS, **extra)
        assert (caught.value.conn_id, caught.value.field) == ("finauth_tokens", field)

    def test_no_host(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(ConfigurationError, match="'host' is empty"):
            redis_address(monkeypatch, {"conn_type": "redis"})

    def test_on_a_real_server_with_tls(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with running_redis(tls=True, client_certificates=True) as server:
            made = store(
                monkeypatch,
                "redis",
                {"conn_type": "redis", "host": "127.0.0.1", "port": server.port, "password": server.password},
                ssl=True,
                ssl_ca_certs=str(server.ca_file),
                ssl_certfile=str(server.client_cert_file),
                ssl_keyfile=str(server.client_key_file),
            )
            made.write("token-1", b"x", follows=0)
            assert made.read("token-1").payload == b"x"


class TestSql:
    def test_what_is_needed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert sql_address(monkeypatch) == SqlAddress("db.example.com", 5432, "airflow", "finauth")

    def test_all_fields(self, monkeypatch: pytest.MonkeyPatch, masked: list[str]) -> None:
        found = sql_address(
            monkeypatch,
            {**POSTGRES, "port": 6432, "password": PASSWORD},
            sslmode="verify-full",
            sslrootcert="/ca.pem",
            sslcert="/client.pem",
            sslkey="/client.key",
            table_schema="tokens",
            table="entries",
        )
        assert found == SqlAddress(
            "db.example.com",
            6432,
            "airflow",
            "finauth",
            Secret(PASSWORD),
            "verify-full",
            "/ca.pem",
            "/client.pem",
            "/client.key",
            schema="tokens",
            table="entries",
        )
        assert PASSWORD in masked
        assert PASSWORD not in repr(found)

    def test_as_an_address(self, monkeypatch: pytest.MonkeyPatch) -> None:
        found = sql_address(
            monkeypatch, f"postgresql://user:{PASSWORD}@db.example.com/tokens?sslmode=require"
        )
        assert (found.user, found.database, found.sslmode) == ("user", "tokens", "require")
        assert found.password == Secret(PASSWORD)

    @pytest.mark.parametrize("field", ["host", "schema", "login"])
    def test_what_is_missing_is_named(self, monkeypatch: pytest.MonkeyPatch, field: str) -> None:
        with pytest.raises(ConfigurationError, match=f"'{field}' is empty"):
            sql_address(monkeypatch, {**POSTGRES, field: ""})

    def test_a_mode_that_libpq_does_not_know(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(ConfigurationError, match="'sslmode' must be one of .*verify-full"):
            sql_address(monkeypatch, sslmode="on")

    def test_on_a_real_server_with_tls(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with running_postgres(tls=True) as server:
            made = store(
                monkeypatch,
                "sql",
                {
                    "conn_type": "postgres",
                    "host": server.host,
                    "port": server.port,
                    "login": server.user,
                    "password": server.password,
                    "schema": server.database,
                },
                sslmode="verify-full",
                sslrootcert=str(server.ca_file),
                table="our_tokens",
            )
            made.init()
            made.write("token-1", b"x", follows=0)
            assert made.read("token-1").payload == b"x"
            assert server.execute("SELECT count(*) FROM our_tokens WHERE key = 'token-1'") == [(1,)]


@pytest.mark.parametrize(
    ("name", "connection", "conn_type"), [("redis", REDIS, "redis"), ("sql", POSTGRES, "postgres")]
)
class TestOptions:
    @pytest.mark.parametrize("option", ["token_store_conn_id", "store_key"])
    def test_what_is_missing_is_named(
        self, monkeypatch: pytest.MonkeyPatch, name: str, connection: Any, conn_type: str, option: str
    ) -> None:
        store(monkeypatch, name, connection)
        monkeypatch.delenv(f"AIRFLOW__FINAUTH__{option.upper()}")
        with pytest.raises(ConfigurationError, match=rf"'{name}'.*set \[finauth\] {option}") as caught:
            broker()
        assert caught.value.field == option

    def test_airflow_calls_it_generic_without_the_databases_provider(
        self, monkeypatch: pytest.MonkeyPatch, name: str, connection: Any, conn_type: str
    ) -> None:
        assert store(monkeypatch, name, {**connection, "conn_type": "generic"}).name == name

    def test_members_that_nobody_reads_are_named_once(
        self,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
        name: str,
        connection: Any,
        conn_type: str,
    ) -> None:
        monkeypatch.setattr(store_connections, "_warned", set())
        for _ in range(2):
            store(monkeypatch, name, connection, sslmod="verify-full", ssl_keyfile="", sslmode="prefer")
        (warning,) = caplog.messages
        assert "'finauth_tokens'" in warning
        assert "'sslmod'" in warning
        assert "verify-full" not in warning
        other = "ssl_keyfile" if name == "sql" else "sslmode"
        assert f"'{other}'" in warning

    def test_a_connection_of_another_type(
        self, monkeypatch: pytest.MonkeyPatch, name: str, connection: Any, conn_type: str
    ) -> None:
        with pytest.raises(ConfigurationError, match=f"'http'.*'{name}' wants one of type '{conn_type}'"):
            store(monkeypatch, name, {**connection, "conn_type": "http"})

    @pytest.mark.usefixtures("metadata_database")
    def test_a_connection_that_is_not_there(
        self, monkeypatch: pytest.MonkeyPatch, name: str, connection: Any, conn_type: str
    ) -> None:
        store(monkeypatch, name, connection)
        monkeypatch.setenv("AIRFLOW__FINAUTH__TOKEN_STORE_CONN_ID", "another")
        with pytest.raises(ConnectionNotFoundError, match=r"'another'.*\[finauth\] token_store_conn_id"):
            broker()
