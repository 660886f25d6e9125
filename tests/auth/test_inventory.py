"""What a store is said to keep, and what forgetting leaves: by the broker's own entries."""

from __future__ import annotations

import dataclasses
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_finauth.auth.credentials import secret_hash
from airflow_provider_finauth.auth.entry import Intent, Record, Unanswered
from airflow_provider_finauth.auth.forgetting import Forgotten, forget, lift_refusals
from airflow_provider_finauth.auth.inventory import take_inventory
from airflow_provider_finauth.auth.stores.base import Conflict, UnreadableEntry
from airflow_provider_finauth.auth.stores.memory import MemoryStore
from airflow_provider_finauth.exceptions import (
    FinauthError,
    InvalidClientError,
    ReauthorizationRequiredError,
    StoreUnavailableError,
)
from airflow_provider_finauth.secret import Secret
from tests.auth.support import (
    FakeClock,
    FakeEndpoint,
    authorised_credentials,
    client_credentials,
    make_broker,
    refuse,
)

WAIT = 1.0


class Setting:
    """A store, a server, and a broker as each process has one."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore(clock=self.clock)
        self.endpoint = FakeEndpoint(self.clock, refresh_tokens=True)

    def broker(self) -> Any:
        return make_broker(self.store, self.endpoint, self.clock)

    def change(self, key: str, **changes: Any) -> None:
        entry = self.store.read(key)
        assert entry is not None
        record = dataclasses.replace(Record.from_json(entry.payload), **changes)
        self.store.write(key, record.to_json(), follows=entry.revision)


@pytest.fixture
def setting() -> Setting:
    return Setting()


def key_of(setting: Setting, credentials: Any) -> str:
    key: str = credentials.lineage_key(setting.store.sealer.digest)
    return key


def test_nothing(setting: Setting) -> None:
    inventory = take_inventory(setting.store)
    assert (inventory.lineages, inventory.refusals) == ((), ())
    assert inventory.now == setting.clock.wall()


def test_lineages_by_connection_without_a_value(setting: Setting) -> None:
    setting.broker().token(client_credentials())
    setting.clock.advance(100)
    setting.broker().token(authorised_credentials())
    setting.clock.advance(600)

    inventory = take_inventory(setting.store)

    luca, talenom = inventory.lineages
    assert (luca.conn_id, luca.api, luca.authorised, luca.renewable) == ("luca_default", "luca", True, True)
    assert (talenom.conn_id, talenom.api, talenom.authorised) == ("talenom_default", "talenom", False)
    assert (luca.generation, talenom.generation) == (1, 1)
    assert luca.expires_at == pytest.approx(inventory.now + 3600 - 600)
    assert talenom.minted_at == pytest.approx(inventory.now - 700)
    assert luca.intent is None
    assert luca.unanswered is None
    for value in ("access-", "refresh-", "seed-1", "the-client-secret"):
        assert value not in repr(inventory)


def test_a_refresh_under_way_and_one_without_an_answer(setting: Setting) -> None:
    credentials = authorised_credentials()
    setting.broker().token(credentials)
    intent = Intent(owner="host", attempt="1", sent="hash", begun=1.0, deadline=2.0)
    unanswered = Unanswered(sent="hash", count=2, since=1.0, retry_at=3.0)
    setting.change(key_of(setting, credentials), intent=intent, unanswered=unanswered)
    (found,) = take_inventory(setting.store).lineages
    assert (found.intent, found.unanswered) == (intent, unanswered)


def test_refusals_stand_with_their_lineage(setting: Setting) -> None:
    credentials = authorised_credentials()
    setting.broker().token(credentials)
    setting.clock.advance(3600)
    setting.endpoint.script = [refuse(credentials, "invalid_grant")]
    with pytest.raises(ReauthorizationRequiredError):
        setting.broker().token(credentials)

    inventory = take_inventory(setting.store)

    (lineage,) = inventory.lineages
    (refusal,) = lineage.refusals
    assert inventory.refusals == ()
    assert refusal.until == pytest.approx(inventory.now + 60)
    assert refusal.stands(inventory.now)
    assert not refusal.stands(inventory.now + 60)
    assert "luca_default" in refusal.message


def test_a_refusal_without_a_token(setting: Setting) -> None:
    credentials = client_credentials()
    setting.endpoint.script = [refuse(credentials, "invalid_client", 401)]
    with pytest.raises(InvalidClientError):
        setting.broker().token(credentials)
    inventory = take_inventory(setting.store)
    assert inventory.lineages == ()
    (refusal,) = inventory.refusals
    assert (refusal.code, refusal.count) == ("invalid_client", 1)


def test_what_cannot_be_read_is_listed_as_such(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    setting.store.write("grant-1", b"{", follows=0)
    setting.store.write("token-1", b'{"tokens": 3}', follows=0)
    setting.store.write("token-2", b"x", follows=0)
    setting.store.write("refused-client-1", b"[]", follows=0)
    setting.store.write("refused-client-2", b'{"count": "many"}', follows=0)
    setting.store.write("seed-1", b"{}", follows=0)
    setting.store.write("cooldown-1", b"1.0", follows=0)
    read = setting.store.read

    def sealed_otherwise(key: str, **options: bool) -> Any:
        if key in ("token-2", "refused-client-2"):
            raise UnreadableEntry("Encrypted with another key.")
        return read(key, **options)

    monkeypatch.setattr(setting.store, "read", sealed_otherwise)
    inventory = take_inventory(setting.store)
    assert inventory.refusals == ()
    assert {(lineage.key, lineage.authorised, lineage.problem) for lineage in inventory.lineages} == {
        ("grant-1", True, "The entry is not a token record."),
        ("token-1", False, "The entry is not a token record."),
        ("token-2", False, "Encrypted with another key."),
    }


class TestForgetting:
    def test_a_token_is_asked_for_anew(self, setting: Setting) -> None:
        credentials = client_credentials()
        setting.broker().token(credentials)
        setting.broker().token(client_credentials(conn_id="other", client_id="another-client"))
        done = forget(setting.store, "talenom_default", credentials, timeout=WAIT)
        assert done == Forgotten(tokens=1)
        assert [lineage.conn_id for lineage in take_inventory(setting.store).lineages] == ["other"]
        setting.broker().token(credentials)
        assert setting.endpoint.count == 3

    def test_nothing_there(self, setting: Setting) -> None:
        assert forget(setting.store, "x", client_credentials(), timeout=WAIT) == Forgotten()

    def test_a_connection_that_is_gone(self, setting: Setting) -> None:
        setting.broker().token(authorised_credentials())
        done = forget(setting.store, "luca_default", None, timeout=WAIT)
        assert done == Forgotten(authorisations=1)
        assert take_inventory(setting.store).lineages == ()

    def test_a_token_that_another_connection_asked_for(self, setting: Setting) -> None:
        """Connections with the same credentials share it."""
        setting.broker().token(client_credentials(conn_id="other"))
        done = forget(setting.store, "talenom_default", client_credentials(), timeout=WAIT)
        assert done.tokens == 1

    def test_of_an_authorisation_no_refresh_token_is_sent_again(self, setting: Setting) -> None:
        credentials = authorised_credentials("seed-1")
        setting.broker().token(credentials)
        asked = setting.endpoint.count
        forget(setting.store, "luca_default", credentials, timeout=WAIT)
        for seed in ("seed-1", f"refresh-{asked}", None):
            with pytest.raises(ReauthorizationRequiredError):
                setting.broker().token(authorised_credentials(seed))
        assert setting.endpoint.count == asked
        # A new one is a new beginning.
        assert setting.broker().token(authorised_credentials("seed-2")).generation == 1

    def test_what_may_have_been_sent_counts_as_spent(self, setting: Setting) -> None:
        credentials = authorised_credentials()
        key = key_of(setting, credentials)
        setting.broker().token(credentials)
        hashes = [secret_hash(Secret(f"seed-{number}")) for number in (7, 8)]
        setting.change(
            key,
            intent=Intent(owner="h", attempt="1", sent=hashes[0], begun=1.0, deadline=2.0),
            unanswered=Unanswered(sent=hashes[1], count=1, since=1.0, retry_at=3.0),
        )
        forget(setting.store, "luca_default", credentials, timeout=WAIT)
        entry = setting.store.read(key)
        assert entry is not None
        record = Record.from_json(entry.payload)
        assert record.spent >= set(hashes)
        assert (record.intent, record.unanswered) == (None, None)

    def test_an_answer_that_comes_late_does_not_bring_it_back(self, setting: Setting) -> None:
        credentials = authorised_credentials()
        broker = setting.broker()
        broker.token(credentials)
        setting.clock.advance(3600)
        key = key_of(setting, credentials)

        def forgotten_meanwhile() -> None:
            # As by a person, while the process that holds the lock is stopped and its lease has ended.
            setting.store._locks.pop(key)
            forget(setting.store, "luca_default", credentials, timeout=WAIT)

        setting.endpoint.script = [forgotten_meanwhile]
        with suppress(FinauthError):
            broker.token(credentials)
        assert take_inventory(setting.store).lineages == ()
        with pytest.raises(ReauthorizationRequiredError):
            setting.broker().token(credentials)

    def test_another_process_does_not_write_back_what_it_knows(self, setting: Setting) -> None:
        credentials = authorised_credentials()
        broker = setting.broker()
        broker.token(credentials)
        forget(setting.store, "luca_default", credentials, timeout=WAIT)
        setting.clock.advance(3600)
        with pytest.raises(ReauthorizationRequiredError):
            broker.token(credentials)
        assert take_inventory(setting.store).lineages == ()

    def test_what_was_left_beside_the_lock_files_does_not_bring_it_back(
        self, setting: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        credentials = authorised_credentials()
        setting.broker().token(credentials)
        setting.clock.advance(3600)

        def make() -> Any:
            return make_broker(
                setting.store,
                setting.endpoint,
                setting.clock,
                rescue_folder=tmp_path,
                repeat=lambda attempt: None,
            )

        write = setting.store.write

        def full() -> None:
            def refuse_it(*arguments: Any, **options: Any) -> int:
                raise StoreUnavailableError("full")

            monkeypatch.setattr(setting.store, "write", refuse_it)

        setting.endpoint.script = [full]
        assert make().token(credentials).generation == 2
        assert list(tmp_path.glob("*.rescue"))
        monkeypatch.setattr(setting.store, "write", write)

        forget(setting.store, "luca_default", credentials, timeout=WAIT)

        asked = setting.endpoint.count
        with pytest.raises(ReauthorizationRequiredError):
            make().token(credentials)
        assert setting.endpoint.count == asked
        assert take_inventory(setting.store).lineages == ()

    def test_an_authorisation_that_cannot_be_read(self, setting: Setting) -> None:
        credentials = authorised_credentials()
        setting.store.write(key_of(setting, credentials), b"{", follows=0)
        done = forget(setting.store, "luca_default", credentials, timeout=WAIT)
        assert done == Forgotten(authorisations=1)
        assert take_inventory(setting.store).lineages == ()
        # Whether the seed was spent is not known any more.
        with pytest.raises(ReauthorizationRequiredError):
            setting.broker().token(credentials)
        assert setting.endpoint.count == 0

    def test_a_write_in_between_is_followed(self, setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
        credentials = authorised_credentials()
        setting.broker().token(credentials)
        key, write, lost = key_of(setting, credentials), setting.store.write, []

        def once_in_between(name: str, payload: bytes, **options: Any) -> int:
            if name == key and not lost:
                lost.append(name)
                raise Conflict("another one wrote")
            return write(name, payload, **options)

        monkeypatch.setattr(setting.store, "write", once_in_between)
        assert forget(setting.store, "luca_default", credentials, timeout=WAIT).authorisations == 1
        assert take_inventory(setting.store).lineages == ()

    def test_waits_for_a_task_that_is_renewing(self, setting: Setting) -> None:
        credentials = client_credentials()
        setting.broker().token(credentials)
        with setting.store.lock(key_of(setting, credentials), 0), pytest.raises(FinauthError, match="lock"):
            forget(setting.store, "talenom_default", credentials, timeout=0)
        assert len(take_inventory(setting.store).lineages) == 1

    def test_with_its_refusals(self, setting: Setting) -> None:
        credentials = authorised_credentials()
        setting.broker().token(credentials)
        setting.clock.advance(3600)
        setting.endpoint.script = [refuse(credentials, "invalid_grant")]
        with pytest.raises(ReauthorizationRequiredError):
            setting.broker().token(credentials)
        done = forget(setting.store, "luca_default", None, timeout=WAIT)
        assert done == Forgotten(authorisations=1, refusals=1)
        assert take_inventory(setting.store).refusals == ()


class TestLiftingRefusals:
    def test_the_server_is_asked_again(self, setting: Setting) -> None:
        credentials = client_credentials()
        setting.endpoint.script = [refuse(credentials, "invalid_client", 401)]
        with pytest.raises(InvalidClientError):
            setting.broker().token(credentials)
        assert lift_refusals(setting.store, "talenom_default", credentials) == 1
        assert setting.broker().token(credentials).generation == 1

    def test_of_a_seed(self, setting: Setting) -> None:
        credentials = authorised_credentials()
        setting.endpoint.script = [refuse(credentials, "invalid_grant")]
        with pytest.raises(ReauthorizationRequiredError):
            setting.broker().token(credentials)
        assert lift_refusals(setting.store, "luca_default", credentials) == 1

    def test_tokens_and_other_connections_are_left_alone(self, setting: Setting) -> None:
        mine, others = client_credentials(), client_credentials(conn_id="other", client_id="b")
        setting.broker().token(mine)
        setting.endpoint.script = [refuse(others, "invalid_client", 401)]
        with pytest.raises(InvalidClientError):
            setting.broker().token(others)
        assert lift_refusals(setting.store, "talenom_default", mine) == 0
        inventory = take_inventory(setting.store)
        assert (len(inventory.lineages), len(inventory.refusals)) == (1, 1)
