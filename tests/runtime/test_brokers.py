from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_finauth.auth.sealer import Sealer
from airflow_provider_finauth.auth.stores.file import FileStore
from airflow_provider_finauth.auth.stores.memory import MemoryStore
from airflow_provider_finauth.exceptions import ConfigurationError
from airflow_provider_finauth.runtime import brokers, door
from airflow_provider_finauth.runtime.brokers import broker, memory_broker
from airflow_provider_finauth.runtime.variable_store import VariableStore
from airflow_provider_finauth.secret import Secret


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brokers, "_brokers", {})


def option(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"AIRFLOW__FINAUTH__{name.upper()}", value)


def test_one_for_all_hooks() -> None:
    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(lambda _: broker(), range(64)))) == 1


def test_another_configuration_is_another_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    first = broker()
    option(monkeypatch, "lock_timeout", "300")
    assert broker() is not first
    monkeypatch.delenv("AIRFLOW__FINAUTH__LOCK_TIMEOUT")
    assert broker() is first


def test_default_is_the_variable_store() -> None:
    assert isinstance(broker().store, VariableStore)


def test_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    option(monkeypatch, "token_store", "memory")
    assert isinstance(broker().store, MemoryStore)


@pytest.mark.parametrize("where", ["store_key", "fernet_key"])
def test_file_takes_the_store_key_or_airflows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, where: str
) -> None:
    option(monkeypatch, "token_store", f"file://{tmp_path}/tokens")
    if where == "store_key":
        option(monkeypatch, "store_key", "the-key-of-these-tests")
        monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "another-key")
    else:
        monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "the-key-of-these-tests")
    store = broker().store
    assert isinstance(store, FileStore)
    assert store.folder == tmp_path / "tokens"
    assert store.sealer.digest(b"x") == Sealer("the-key-of-these-tests").digest(b"x")


def test_file_without_any_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    option(monkeypatch, "token_store", f"file://{tmp_path}/tokens")
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "")
    with pytest.raises(ConfigurationError, match="store_key"):
        broker()


def test_connection_tests_share_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    option(monkeypatch, "token_store", "memory")
    first, second = memory_broker(), memory_broker()
    assert isinstance(first.store, MemoryStore)
    first.store.write("k", b"x", follows=0)
    assert second.store.read("k") is None
    assert broker().store.read("k") is None


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What brokers are made with."""
    made: dict[str, Any] = {}

    def make(store: Any, **arguments: Any) -> object:
        made.update(arguments)
        return object()

    monkeypatch.setattr(brokers, "Broker", make)
    return made


def test_what_is_shared_has_files_beside_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, made: dict[str, Any]
) -> None:
    option(monkeypatch, "lock_dir", f"{tmp_path}/locks")
    broker()
    assert made["rescue_folder"] == tmp_path / "locks"
    assert made["cooldowns"]._folder == tmp_path / "locks"


@pytest.mark.usefixtures("metadata_database")
def test_what_is_shared_with_nobody_has_none(monkeypatch: pytest.MonkeyPatch, made: dict[str, Any]) -> None:
    option(monkeypatch, "token_store", "memory")
    option(monkeypatch, "lock_dir", "/nowhere/to/be/made")
    broker()
    assert made["rescue_folder"] is None
    assert made["cooldowns"]._folder is None
    memory_broker()
    assert made["rescue_folder"] is None
    assert made["cooldowns"] is None


def test_tokens_are_masked(monkeypatch: pytest.MonkeyPatch, made: dict[str, Any]) -> None:
    masked: list[Secret] = []
    monkeypatch.setattr(door, "mask_token", masked.append)
    memory_broker()
    made["on_secret"](Secret("a-token"))
    assert masked == [Secret("a-token")]
    assert made["lock_timeout"] == 120.0


@pytest.mark.parametrize(
    ("event", "labels", "reported"),
    [
        (
            "mint",
            {"api": "luca", "reason": "early", "outcome": "ok", "seconds": 0.25},
            [
                ("finauth.token.mint", {"api": "luca", "reason": "early", "outcome": "ok"}),
                ("finauth.token.mint.duration", 0.25, {"api": "luca", "reason": "early", "outcome": "ok"}),
            ],
        ),
        ("lock_wait", {"api": "luca", "seconds": 0}, [("finauth.token.lock_wait", 0.0, {"api": "luca"})]),
        ("age_at_use", {"api": "op", "seconds": 9.5}, [("finauth.token.age_at_use", 9.5, {"api": "op"})]),
        ("refusal_served", {"api": "luca"}, [("finauth.token.refusal_served", {"api": "luca"})]),
    ],
)
def test_events_are_reported(
    monkeypatch: pytest.MonkeyPatch,
    made: dict[str, Any],
    event: str,
    labels: Mapping[str, str | float],
    reported: list[tuple[Any, ...]],
) -> None:
    """A number would make a time series of each of its values, so it is no tag."""
    seen: list[tuple[Any, ...]] = []
    monkeypatch.setattr(door, "count", lambda *what: seen.append(what))
    monkeypatch.setattr(door, "timing", lambda *what: seen.append(what))
    memory_broker()
    made["on_event"](event, labels)
    assert seen == reported
