"""Rule 4e: a token set that the store does not take is used, kept, and written as soon as may be."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import pytest

from airflow_provider_finauth.auth.answer import Answer
from airflow_provider_finauth.auth.entry import Record
from airflow_provider_finauth.auth.rescue import repeat_in_thread
from airflow_provider_finauth.auth.sealer import Sealer
from airflow_provider_finauth.auth.stores.memory import MemoryStore
from airflow_provider_finauth.exceptions import (
    ConfigurationError,
    ReauthorizationRequiredError,
    StoreUnavailableError,
)
from airflow_provider_finauth.secret import Secret
from tests.auth.support import (
    FakeClock,
    FakeEndpoint,
    access,
    authorised_credentials,
    form,
    make_broker,
    refuse,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_finauth.auth.broker import Broker
    from airflow_provider_finauth.auth.stores.base import Hold


class Store(MemoryStore):
    """Takes no write to a lineage while it is full."""

    full = False
    failure: BaseException = StoreUnavailableError("The store is full.")

    def write(self, key: str, payload: bytes, *, follows: int, under: Hold | None = None) -> int:
        if self.full and key.startswith("grant-"):
            raise self.failure
        return super().write(key, payload, follows=follows, under=under)

    def lose(self) -> None:
        """Forget everything, revisions too."""
        self._entries.clear()


class Host:
    """Processes of one machine, one broker each, whose background work is done when told so."""

    def __init__(self, folder: Path, store: Store, endpoint: FakeEndpoint, clock: FakeClock) -> None:
        self.folder = folder
        self.background: list[Callable[[], bool]] = []
        self._parts = (store, endpoint, clock)

    def process(self) -> Broker:
        return make_broker(*self._parts, rescue_folder=self.folder, repeat=self.background.append)

    def work(self) -> None:
        """Do what is to be repeated, once."""
        self.background = [attempt for attempt in self.background if not attempt()]

    @property
    def files(self) -> list[Path]:
        return sorted(self.folder.iterdir())


@pytest.fixture
def store(clock: FakeClock) -> Store:
    return Store(clock=clock)


@pytest.fixture
def endpoint(clock: FakeClock) -> FakeEndpoint:
    return FakeEndpoint(clock, refresh_tokens=True)


@pytest.fixture
def host(tmp_path: Path, store: Store, endpoint: FakeEndpoint, clock: FakeClock) -> Host:
    return Host(tmp_path, store, endpoint, clock)


@pytest.fixture
def stranded(host: Host, store: Store, endpoint: FakeEndpoint, clock: FakeClock) -> Broker:
    """A process that holds refresh-2, which the store did not take."""
    broker = host.process()
    broker.token(authorised_credentials())
    clock.advance(3600)

    def fill() -> None:
        store.full = True

    endpoint.script = [fill]
    assert access(broker.token(authorised_credentials())) == "access-2"
    return broker


def standing(store: Store) -> Record:
    (key,) = [key for key in store.list() if key.startswith("grant-")]
    entry = store.read(key)
    assert entry is not None
    return Record.from_json(entry.payload)


def sent(endpoint: FakeEndpoint) -> list[str]:
    return [form(request)["refresh_token"] for request in endpoint.requests]


def test_what_the_store_does_not_take_is_used_and_left_encrypted(
    host: Host, stranded: Broker, store: Store, endpoint: FakeEndpoint
) -> None:
    assert access(stranded.token(authorised_credentials())) == "access-2"
    assert endpoint.count == 2
    (file,) = host.files
    assert file.suffix == ".rescue"
    assert file.stat().st_mode & 0o777 == 0o600
    content = file.read_bytes()
    assert b"refresh-2" not in content
    assert b"refresh-2" in store.sealer.open(content.decode())
    assert standing(store).tokens.refresh_token == Secret("refresh-1")


def test_the_write_is_repeated_until_the_store_takes_it(host: Host, stranded: Broker, store: Store) -> None:
    host.work()
    assert host.background
    store.full = False
    host.work()
    assert not host.background
    assert host.files == []
    assert standing(store).tokens.refresh_token == Secret("refresh-2")
    assert standing(store).intent is None


def test_the_next_caller_of_the_machine_reads_it_first(
    host: Host, stranded: Broker, store: Store, endpoint: FakeEndpoint
) -> None:
    del stranded  # its process is gone
    host.background.clear()
    store.full = False
    assert access(host.process().token(authorised_credentials())) == "access-2"
    assert standing(store).tokens.refresh_token == Secret("refresh-2")
    assert host.files == []
    assert endpoint.count == 2


def test_the_next_caller_uses_it_even_while_the_store_takes_nothing(
    host: Host, stranded: Broker, store: Store, endpoint: FakeEndpoint, clock: FakeClock
) -> None:
    host.background.clear()
    assert access(host.process().token(authorised_credentials())) == "access-2"
    assert endpoint.count == 2
    # Nothing is refreshed that could not be written down first.
    clock.advance(3600)
    with pytest.raises(StoreUnavailableError, match="full"):
        host.process().token(authorised_credentials())
    assert endpoint.count == 2
    store.full = False
    host.process().token(authorised_credentials())
    assert sent(endpoint) == ["seed-1", "refresh-1", "refresh-2"]
    host.work()
    assert standing(store).tokens.refresh_token == Secret("refresh-3")
    assert host.files == []


def test_another_machine_waits_for_the_intent_and_goes_on(
    host: Host, stranded: Broker, store: Store, endpoint: FakeEndpoint, clock: FakeClock, tmp_path: Path
) -> None:
    store.full = False
    elsewhere = make_broker(store, endpoint, clock, rescue_folder=tmp_path / "none")
    assert access(elsewhere.token(authorised_credentials())) == "access-3"
    assert clock.slept == [60.0]
    # What it got wins over what could not be written.
    host.work()
    assert access(stranded.token(authorised_credentials())) == "access-2"  # still good
    assert standing(store).tokens.refresh_token == Secret("refresh-3")
    assert host.files == []


class TaskTimeout(BaseException):
    """What a signal handler may raise anywhere."""


@pytest.mark.parametrize("failure", [TaskTimeout(), ConfigurationError("another store_key")])
def test_whatever_stops_the_write_loses_nothing(
    host: Host,
    store: Store,
    endpoint: FakeEndpoint,
    clock: FakeClock,
    failure: BaseException,
    caplog: pytest.LogCaptureFixture,
) -> None:
    broker = host.process()
    broker.token(authorised_credentials())
    clock.advance(3600)

    def fill() -> None:
        store.full, store.failure = True, failure

    endpoint.script = [fill]
    if isinstance(failure, TaskTimeout):
        with pytest.raises(TaskTimeout):
            broker.token(authorised_credentials())
    else:
        assert access(broker.token(authorised_credentials())) == "access-2"
    assert len(host.files) == 1
    host.background.clear()
    store.full = False
    assert access(host.process().token(authorised_credentials())) == "access-2"
    assert endpoint.count == 2
    assert "refresh-2" not in caplog.text


def test_nothing_is_asked_of_the_store_between_an_answer_and_its_write(
    host: Host, store: Store, endpoint: FakeEndpoint, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = host.process()
    broker.token(authorised_credentials())
    clock.advance(3600)
    asked: list[str] = []

    def watch() -> None:
        for name in ("read", "now", "write"):
            method = getattr(store, name)
            monkeypatch.setattr(
                store, name, lambda *a, _name=name, _of=method, **k: asked.append(_name) or _of(*a, **k)
            )

    endpoint.script = [watch]
    broker.token(authorised_credentials())
    assert asked[0] == "write"


def test_a_store_that_went_back_further_gets_what_was_left(
    host: Host, store: Store, endpoint: FakeEndpoint, clock: FakeClock
) -> None:
    broker = host.process()
    broker.token(authorised_credentials())
    backup = store._entries.copy()
    clock.advance(3600)
    broker.token(authorised_credentials())
    clock.advance(3600)

    def fill() -> None:
        store.full = True

    endpoint.script = [fill]
    broker.token(authorised_credentials())
    del broker
    host.background.clear()
    store._entries, store.full = backup, False
    assert access(host.process().token(authorised_credentials())) == "access-3"
    assert sent(endpoint) == ["seed-1", "refresh-1", "refresh-2"]


def test_whoever_is_refused_looks_for_what_was_left(
    host: Host, stranded: Broker, store: Store, endpoint: FakeEndpoint, clock: FakeClock
) -> None:
    """The other has lost its lock and its write, and leaves its answer while we ask."""
    host.background.clear()
    (file,) = host.files
    left = file.read_bytes()
    file.unlink()

    def they_leave_it() -> None:
        file.write_bytes(left)
        raise refuse(authorised_credentials(), "invalid_grant")

    store.full = False
    clock.advance(60)
    endpoint.script = [they_leave_it]
    assert access(host.process().token(authorised_credentials())) == "access-2"
    assert not [key for key in store.list() if key.startswith("refused-")]


def test_a_consent_wins_over_what_was_left(
    host: Host, stranded: Broker, store: Store, endpoint: FakeEndpoint, clock: FakeClock
) -> None:
    store.full = False
    consent = Answer(access_token=Secret("consent"), refresh_token=Secret("consented"), lifetime=3600)
    make_broker(store, endpoint, clock).begin(authorised_credentials(), consent)
    host.work()
    assert host.files == []
    assert access(host.process().token(authorised_credentials())) == "consent"
    clock.advance(3600)
    assert access(stranded.token(authorised_credentials())) == "access-3"
    assert sent(endpoint)[-1] == "consented"


def test_a_newer_file_is_not_dropped_with_an_older_one(
    host: Host, stranded: Broker, store: Store, endpoint: FakeEndpoint, clock: FakeClock
) -> None:
    older = host.background
    host.background = []
    store.full = False
    second = host.process()
    second.token(authorised_credentials())
    clock.advance(3600)

    def fill() -> None:
        store.full = True

    endpoint.script = [fill]
    assert access(second.token(authorised_credentials())) == "access-3"
    newer, host.background = host.background, older
    host.work()
    (file,) = host.files
    assert b"refresh-3" in store.sealer.open(file.read_text())
    store.full, host.background = False, newer
    host.work()
    assert standing(store).tokens.refresh_token == Secret("refresh-3")


def test_a_process_writes_back_what_the_store_has_lost(
    host: Host, store: Store, endpoint: FakeEndpoint, clock: FakeClock
) -> None:
    broker = host.process()
    broker.token(authorised_credentials())
    before = store._entries.copy()
    clock.advance(3600)
    broker.token(authorised_credentials())
    clock.advance(3600)
    store._entries = before  # restored from a backup
    broker.token(authorised_credentials())
    assert sent(endpoint) == ["seed-1", "refresh-1", "refresh-2"]
    clock.advance(3600)
    store.lose()
    broker.token(authorised_credentials())
    assert sent(endpoint)[-1] == "refresh-3"


def test_what_was_forgotten_is_not_written_back(host: Host, store: Store, clock: FakeClock) -> None:
    broker = host.process()
    broker.token(authorised_credentials())
    clock.advance(3600)
    for key in store.list():
        store.delete(key)
    credentials = authorised_credentials(seed=None)
    with pytest.raises(ReauthorizationRequiredError):
        broker.token(credentials)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"damaged", None])
def test_a_file_that_cannot_be_read_is_left_alone_and_told_of(
    host: Host,
    stranded: Broker,
    store: Store,
    content: bytes | None,
    caplog: pytest.LogCaptureFixture,
    clock: FakeClock,
) -> None:
    host.background.clear()
    (file,) = host.files
    content = content if content is not None else Sealer("another-key").seal(b"{}").encode()
    file.write_bytes(content)
    store.full = False
    clock.advance(100)
    host.process().token(authorised_credentials())
    assert file.read_bytes() == content
    assert str(file) in caplog.text


def test_where_nothing_can_be_left_the_log_says_so(
    store: Store, endpoint: FakeEndpoint, clock: FakeClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    host = Host(tmp_path / "missing", store, endpoint, clock)
    broker = host.process()
    broker.token(authorised_credentials())
    clock.advance(3600)

    def fill() -> None:
        store.full = True

    endpoint.script = [fill]
    with caplog.at_level(logging.WARNING):
        assert access(broker.token(authorised_credentials())) == "access-2"
    assert "kept in this process alone" in caplog.text
    assert "refresh-2" not in caplog.text
    store.full = False
    host.work()
    assert standing(store).tokens.refresh_token == Secret("refresh-2")


def test_the_background_repeats_until_it_is_done() -> None:
    done, tries = Event(), iter([False, True])

    def attempt() -> bool:
        got = next(tries)
        if got:
            done.set()
        return got

    repeat_in_thread(attempt)
    assert done.wait(30)


def test_a_forked_child_leaves_the_rescue_to_the_file(host: Host, stranded: Broker, store: Store) -> None:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            store.full = False
            tokens = stranded.token(authorised_credentials())
            os.write(writer, (access(tokens) or "").encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(pid, 0)
    assert os.read(reader, 100) == b"access-2"
    os.close(reader)
