from __future__ import annotations

import dataclasses
import os
import tempfile
from pathlib import Path

import pytest

from airflow_provider_finauth.configuration import CONFIG_OPTIONS
from airflow_provider_finauth.exceptions import ConfigurationError
from airflow_provider_finauth.runtime.config import Config, lock_folder, read_config
from airflow_provider_finauth.secret import Secret


def option(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"AIRFLOW__FINAUTH__{name.upper()}", value)


def test_defaults() -> None:
    assert read_config() == Config(
        token_store="variable",
        token_folder=None,
        token_store_conn_id=None,
        store_key=None,
        max_xcom_records=10_000,
        max_xcom_bytes=2_000_000,
        max_response_bytes=64 * 1024 * 1024,
        lock_dir=None,
        lock_timeout=120.0,
    )


def test_every_option_is_declared_and_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "token_store": "file:///var/lib/finauth%20tokens",
        "token_store_conn_id": "finauth_tokens",
        "store_key": "the-key-of-these-tests",
        "max_xcom_records": "1",
        "max_xcom_bytes": " 2 ",
        "max_response_bytes": "3",
        "lock_dir": "/var/lock/finauth",
        "lock_timeout": "90.5",
    }.items():
        option(monkeypatch, name, value)
    assert read_config() == Config(
        token_store="file",
        token_folder=Path("/var/lib/finauth tokens"),
        token_store_conn_id="finauth_tokens",
        store_key=Secret("the-key-of-these-tests"),
        max_xcom_records=1,
        max_xcom_bytes=2,
        max_response_bytes=3,
        lock_dir=Path("/var/lock/finauth"),
        lock_timeout=90.5,
    )
    assert "the-key-of-these-tests" not in repr(read_config())
    read = {field.name for field in dataclasses.fields(Config)} - {"token_folder"}
    assert read == set(CONFIG_OPTIONS)


def test_the_key_is_declared_sensitive() -> None:
    assert [name for name, item in CONFIG_OPTIONS.items() if item.get("sensitive")] == ["store_key"]


def test_declarations_have_what_airflow_asks_for() -> None:
    for item in CONFIG_OPTIONS.values():
        assert {"description", "version_added", "type", "example", "default"} <= set(item)
        assert item["type"] in {"string", "boolean", "integer", "float"}
        assert isinstance(item["default"], str)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_xcom_records", "many"),
        ("max_xcom_records", "0"),
        ("max_xcom_bytes", "2 MB"),
        ("max_response_bytes", "-1"),
        ("lock_timeout", "soon"),
        ("lock_timeout", "0"),
        ("lock_timeout", "60"),
        ("lock_timeout", "inf"),
        ("lock_timeout", "nan"),
        ("token_store", "redis://host/0"),
        ("token_store", "postgresql://host/db"),
        ("token_store", "file://host/path"),
        ("token_store", "file:///"),
        ("token_store", "vault"),
        ("store_key", "fifteen letters"),
    ],
)
def test_what_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    option(monkeypatch, name, value)
    with pytest.raises(ConfigurationError, match=rf"\[finauth\] {name}") as caught:
        read_config()
    assert caught.value.field == name
    assert "fifteen" not in str(caught.value)


@pytest.mark.parametrize(
    ("scheme", "store"),
    [("redis", "redis"), ("rediss", "redis"), ("postgresql", "sql"), ("postgresql+psycopg2", "sql")],
)
def test_the_address_of_a_store_belongs_into_a_connection(
    monkeypatch: pytest.MonkeyPatch, scheme: str, store: str
) -> None:
    option(monkeypatch, "token_store", f"{scheme}://user:hunter22@host/0")
    with pytest.raises(ConfigurationError, match=f"'{store}'.*token_store_conn_id") as caught:
        read_config()
    # It may hold a password.
    assert "hunter22" not in str(caught.value)


@pytest.mark.parametrize("store", ["redis", "sql"])
def test_stores_on_a_server(monkeypatch: pytest.MonkeyPatch, store: str) -> None:
    option(monkeypatch, "token_store", store)
    assert (read_config().token_store, read_config().token_folder) == (store, None)


class TestLockFolder:
    @pytest.fixture
    def shared(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        return tmp_path

    def test_default_is_this_users_alone(self, shared: Path) -> None:
        folder = lock_folder(read_config())
        assert folder == shared / f"finauth-{os.getuid()}"
        assert folder.stat().st_mode & 0o777 == 0o700
        assert lock_folder(read_config()) == folder

    def test_one_that_others_may_enter_is_refused(self, shared: Path) -> None:
        (shared / f"finauth-{os.getuid()}").mkdir(mode=0o755)
        (shared / f"finauth-{os.getuid()}").chmod(0o755)
        with pytest.raises(ConfigurationError, match="lock_dir.*alone"):
            lock_folder(read_config())

    def test_one_that_belongs_to_another_is_refused(
        self, shared: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (shared / "finauth-4711").mkdir(mode=0o700)
        monkeypatch.setattr(os, "getuid", lambda: 4711)
        with pytest.raises(ConfigurationError, match="lock_dir.*alone"):
            lock_folder(read_config())

    def test_a_link_is_refused(self, shared: Path) -> None:
        (shared / "elsewhere").mkdir(mode=0o700)
        (shared / f"finauth-{os.getuid()}").symlink_to(shared / "elsewhere")
        with pytest.raises(ConfigurationError, match="lock_dir"):
            lock_folder(read_config())

    def test_a_file_is_refused(self, shared: Path) -> None:
        (shared / f"finauth-{os.getuid()}").touch()
        with pytest.raises(ConfigurationError, match="lock_dir"):
            lock_folder(read_config())

    def test_a_configured_one_is_made(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        option(monkeypatch, "lock_dir", str(tmp_path / "a" / "b"))
        assert lock_folder(read_config()) == tmp_path / "a" / "b"
        assert (tmp_path / "a" / "b").is_dir()

    def test_a_configured_one_that_cannot_be_made_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "file").touch()
        option(monkeypatch, "lock_dir", str(tmp_path / "file" / "b"))
        with pytest.raises(ConfigurationError, match="lock_dir.*cannot be made"):
            lock_folder(read_config())
