"""Authorised grants in the Variable store: slots, intents, claims, and what is damaged or was never there."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_finauth.auth.entry import Record
from airflow_provider_finauth.auth.sealer import Sealer
from airflow_provider_finauth.auth.stores.base import Conflict, Entry, UnreadableEntry
from airflow_provider_finauth.exceptions import StoreUnavailableError
from airflow_provider_finauth.runtime.variable_parts import PROBE_VARIABLE, variable_name
from airflow_provider_finauth.runtime.variable_store import VariableStore
from airflow_provider_finauth.secret import Secret
from tests.runtime.variables import FakeVariables, StoppedClock, intent, record, unanswered

KEY = "grant-0123abcd"
BASE = variable_name(KEY)


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> FakeVariables:
    made = FakeVariables()
    made.install(monkeypatch)
    return made


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
def store(variables: FakeVariables, clock: StoppedClock, tmp_path: Path) -> VariableStore:
    return VariableStore(tmp_path, Secret("the-store-key"), clock=clock)


def other_host(
    tmp_path: Path, clock: StoppedClock | None = None, key: str = "the-store-key"
) -> VariableStore:
    """Make a store with a lock folder of its own."""
    folder = tmp_path / "another host"
    folder.mkdir(exist_ok=True)
    return VariableStore(folder, Secret(key), clock=clock or StoppedClock())


def write(store: VariableStore, *records: Record) -> int:
    """Write records, each after the one before, and give the last revision."""
    entry = store.read(KEY)
    revision = entry.revision if entry else 0
    for each in records:
        revision = store.write(KEY, each.to_json(), follows=revision)
    return revision


def read(store: VariableStore) -> Record:
    entry = store.read(KEY, surely=True)
    assert entry is not None
    return Record.from_json(entry.payload)


def write_version_one(variables: FakeVariables, kept: Record, revision: int = 1) -> None:
    """Write an entry as the package's first version did."""
    members = json.loads(kept.to_json())
    for name in ("rotates", "intent", "unanswered"):
        del members[name]
    sealed = Sealer("the-store-key").seal(json.dumps(members).encode())
    variables.values[BASE] = json.dumps({"key": KEY, "revision": revision, "sealed": sealed})


class TestRecords:
    @pytest.mark.parametrize(
        "kept",
        [
            record(),
            record(generation=0),
            record(rotates=True, spent=frozenset({"a", "b"}), rest_until=5.0),
            record(intent=intent()),
            record(unanswered=unanswered(2)),
            record(intent=intent(), unanswered=unanswered()),
            record(others={"of a later version": {"nested": [1, 2.5, None]}}),
        ],
    )
    def test_come_back_as_they_were(self, store: VariableStore, kept: Record) -> None:
        assert store.write(KEY, kept.to_json(), follows=0) == 1
        assert store.read(KEY) == Entry(1, kept.to_json())
        assert read(store) == kept

    def test_what_is_no_record_too(self, store: VariableStore) -> None:
        for revision, payload in enumerate([b"one", b"two", b"[]", b'{"tokens": 1}'], start=1):
            assert store.write(KEY, payload, follows=revision - 1) == revision
            assert store.read(KEY) == Entry(revision, payload)

    @pytest.mark.parametrize("follows", [0, 1, 3])
    def test_a_write_that_follows_another_revision(self, store: VariableStore, follows: int) -> None:
        write(store, record(), record(intent=intent()))
        with pytest.raises(Conflict):
            store.write(KEY, record(generation=2).to_json(), follows=follows)
        assert read(store) == record(intent=intent())

    def test_each_write_counts(self, store: VariableStore) -> None:
        for revision in range(1, 5):
            assert write(store, record()) == revision

    def test_nothing_in_clear(self, store: VariableStore, variables: FakeVariables) -> None:
        write(store, record(intent=intent(owner="the-owner")))
        for value in variables.values.values():
            assert "consent-1" not in value
            assert "the-owner" not in value

    def test_names_are_listed_once(self, store: VariableStore) -> None:
        write(store, record(), record(generation=2, intent=intent()), record("consent-2"))
        store.write("token-1", b"x", follows=0)
        assert sorted(store.list()) == [KEY, "token-1"]


class TestSlots:
    def test_generations_take_turns(self, store: VariableStore, variables: FakeVariables) -> None:
        write(store, *(record(generation=number) for number in (0, 1, 2, 3)))
        assert variables.written_since(1) == ["10", "11", "10", "11"]
        assert read(store) == record(generation=3)

    def test_a_late_write_of_the_generation_before(
        self, store: VariableStore, variables: FakeVariables
    ) -> None:
        write(store, record())
        late = variables.writes[-1]
        write(store, record(generation=2))
        variables.values.update([late])
        assert read(store) == record(generation=2)

    def test_a_new_lineage_wins_with_a_lower_generation(self, store: VariableStore) -> None:
        write(store, *(record(generation=number) for number in range(1, 6)), record("consent-2"))
        assert read(store) == record("consent-2")

    @pytest.mark.parametrize("generations", [1, 2])
    def test_a_refresh_under_way_does_not_bring_the_old_lineage_back(
        self, store: VariableStore, variables: FakeVariables, generations: int
    ) -> None:
        """It read the same revision, and its write lands when the consent stands already."""
        revision = write(store, *(record(generation=number + 1) for number in range(generations)))
        before = dict(variables.values)
        store.write(KEY, record(generation=generations + 1).to_json(), follows=revision)
        late = variables.writes[-1]
        variables.values = before
        store.write(KEY, record("consent-2").to_json(), follows=revision)
        variables.values.update([late])
        assert read(store) == record("consent-2")
        write(store, record("consent-2", 2))
        assert read(store) == record("consent-2", 2)

    @pytest.mark.parametrize("generation", [0, 1, 2])
    def test_nor_when_both_have_written_the_same_revision(
        self, store: VariableStore, variables: FakeVariables, tmp_path: Path, generation: int
    ) -> None:
        """A claim and a consent that knew nothing of each other; then the answer to the refresh comes."""
        revision = write(store, record("seed-1", generation))
        before = dict(variables.values)
        other_host(tmp_path).write(KEY, record("consent-1").to_json(), follows=revision)
        consent = dict(variables.values)
        variables.values = before
        claimed = store.write(KEY, record("seed-1", generation, intent=intent()).to_json(), follows=revision)
        variables.values = variables.values | consent
        late = [
            record("seed-1", generation + 1),
            record("seed-1", generation, unanswered=unanswered()),
            record("seed-1", generation, rest_until=5.0),
        ]
        for following in late:
            with pytest.raises(Conflict):
                store.write(KEY, following.to_json(), follows=claimed)
        assert read(store) == record("consent-1")

    def test_an_older_generation_conflicts(self, store: VariableStore) -> None:
        revision = write(store, record(), record(generation=2))
        with pytest.raises(Conflict):
            store.write(KEY, record(rest_until=5.0).to_json(), follows=revision)

    def test_another_host_drops_an_access_token_while_a_refresh_is_written(
        self, store: VariableStore, variables: FakeVariables, tmp_path: Path
    ) -> None:
        revision = write(store, record())
        dropped = replace(record(), tokens=replace(record().tokens, access_token=None))
        # It has compared, and its write comes second.
        variables.before_write = [
            lambda: other_host(tmp_path).write(KEY, record(generation=2).to_json(), follows=revision)
        ]
        store.write(KEY, dropped.to_json(), follows=revision)
        assert read(store) == record(generation=2)


class TestReadingBack:
    def test_what_did_not_land(self, store: VariableStore, variables: FakeVariables) -> None:
        write(store, record())
        for following in (record(generation=2), record(intent=intent())):
            before = dict(variables.values)
            variables.after_write = [variables.values.clear]
            with pytest.raises(StoreUnavailableError, match="read back"):
                write(store, following)
            variables.values = before

    def test_an_older_one_landed_over_it(self, store: VariableStore, variables: FakeVariables) -> None:
        write(store, record())
        late = variables.writes[-1]
        write(store, record(generation=2))
        variables.after_write = [lambda: variables.values.update([late])]
        with pytest.raises(StoreUnavailableError) as caught:
            write(store, record(generation=3))
        assert not isinstance(caught.value, UnreadableEntry)
        assert read(store) == record(generation=2)
        write(store, record(generation=3))
        assert read(store) == record(generation=3)

    def test_another_is_newer(self, store: VariableStore, variables: FakeVariables, tmp_path: Path) -> None:
        revision = write(store, record())
        theirs = record(generation=2, conn_id="theirs")
        host = other_host(tmp_path)

        def land_over_it() -> None:
            del variables.values[variables.writes[-1][0]]
            host.write(KEY, theirs.to_json(), follows=revision)

        variables.after_write = [land_over_it]
        with pytest.raises(Conflict):
            store.write(KEY, record(generation=2).to_json(), follows=revision)
        assert read(store) == theirs


class TestIntents:
    def test_writing_one_leaves_the_token_sets_alone(
        self, store: VariableStore, variables: FakeVariables
    ) -> None:
        write(store, record(), record(generation=2))
        number = len(variables.writes)
        write(
            store,
            record(generation=2, intent=intent()),
            record(generation=2, unanswered=unanswered()),
            record(generation=2, intent=intent("attempt-2"), unanswered=unanswered(1)),
            record(generation=2),
        )
        assert variables.written_since(number) == ["intent"] * 4
        assert read(store) == record(generation=2)

    def test_a_token_set_alone_leaves_the_intent_alone(
        self, store: VariableStore, variables: FakeVariables
    ) -> None:
        write(store, record(intent=intent()))
        number = len(variables.writes)
        write(store, record(intent=intent(), rest_until=30.0))
        assert variables.written_since(number) == ["11"]
        assert read(store) == record(intent=intent(), rest_until=30.0)

    def test_the_next_generation_ends_it_by_itself(
        self, store: VariableStore, variables: FakeVariables
    ) -> None:
        write(store, record(intent=intent(), unanswered=unanswered(3)))
        number = len(variables.writes)
        write(store, record(generation=2))
        assert variables.written_since(number) == ["10"]
        assert read(store) == record(generation=2)

    def test_a_seed_comes_with_its_intent(self, store: VariableStore, variables: FakeVariables) -> None:
        seed = record("seed-1", 0, intent=intent())
        write(store, seed)
        assert variables.written_since(1) == ["10", "intent"]
        assert read(store) == seed

    def test_one_of_another_lineage_of_the_same_era(
        self, store: VariableStore, variables: FakeVariables, tmp_path: Path
    ) -> None:
        """Two consents at once on two hosts; the slower one's token set stands, the other's intent."""
        write(store, record("consent-a", intent=intent()))
        theirs = variables.values.copy()
        variables.values.clear()
        other_host(tmp_path).write(KEY, record("consent-b").to_json(), follows=0)
        variables.values[f"{BASE}_intent"] = theirs[f"{BASE}_intent"]
        assert read(store) == record("consent-b")

    def test_one_without_a_token_set(self, store: VariableStore, variables: FakeVariables) -> None:
        write(store, record(), record(intent=intent()))
        del variables.values[f"{BASE}_11"]
        assert store.read(KEY) == Entry(2, b"")
        assert store.write(KEY, record("consent-2").to_json(), follows=2) == 3


class TestClaims:
    def test_waits_and_looks_again(
        self, store: VariableStore, variables: FakeVariables, clock: StoppedClock
    ) -> None:
        write(store, record())
        assert clock.slept == []
        clock.meanwhile = [variables.reads.clear]
        write(store, record(intent=intent()))
        assert clock.slept == [3.0]
        assert f"{BASE}_intent" in variables.reads
        write(store, record(unanswered=unanswered(1)))
        assert clock.slept == [3.0]

    def test_how_long_may_be_set(self, variables: FakeVariables, clock: StoppedClock, tmp_path: Path) -> None:
        store = VariableStore(tmp_path, Secret("the-store-key"), clock=clock, settles=0.5)
        write(store, record(intent=intent()))
        assert clock.slept == [0.5]

    def test_another_claims_meanwhile(
        self, store: VariableStore, variables: FakeVariables, clock: StoppedClock, tmp_path: Path
    ) -> None:
        """It had looked before ours stood, and wrote after: the later one stands, and it alone goes on."""
        revision = write(store, record())
        before = dict(variables.values)
        theirs = record(intent=intent(owner="host-b"))

        def claim() -> None:
            variables.values = dict(before)
            other_host(tmp_path).write(KEY, theirs.to_json(), follows=revision)

        clock.meanwhile = [claim]
        with pytest.raises(Conflict, match="claimed"):
            store.write(KEY, record(intent=intent(owner="host-a")).to_json(), follows=revision)
        assert read(store) == theirs

    def test_another_claims_between_looking_and_writing(
        self, store: VariableStore, variables: FakeVariables, tmp_path: Path
    ) -> None:
        revision = write(store, record())
        theirs = record(intent=intent(owner="host-b"), rest_until=1.0)
        variables.before_write = [
            lambda: other_host(tmp_path).write(KEY, theirs.to_json(), follows=revision),
        ]
        ours = record(intent=intent(owner="host-a"), rest_until=1.0)
        with pytest.raises(Conflict):
            store.write(KEY, ours.to_json(), follows=revision)
        found = read(store).intent
        assert found is not None
        assert found.owner == "host-b"

    @pytest.mark.parametrize("theirs", [record(generation=2), record("consent-2")])
    def test_another_changes_the_token_set_meanwhile(
        self,
        store: VariableStore,
        variables: FakeVariables,
        clock: StoppedClock,
        tmp_path: Path,
        theirs: Record,
    ) -> None:
        revision = write(store, record())

        def go_on() -> None:
            mine = variables.values[f"{BASE}_intent"]
            write(other_host(tmp_path), theirs)
            assert variables.values[f"{BASE}_intent"] == mine

        clock.meanwhile = [go_on]
        with pytest.raises(Conflict, match="token set"):
            store.write(KEY, record(intent=intent()).to_json(), follows=revision)
        assert read(store) == theirs

    def test_a_dropped_access_token_is_no_obstacle(
        self, store: VariableStore, clock: StoppedClock, tmp_path: Path
    ) -> None:
        dropped = replace(record(intent=intent()), tokens=replace(record().tokens, access_token=None))
        clock.meanwhile = [lambda: write(other_host(tmp_path), dropped)]
        write(store, record(), record(intent=intent()))
        assert read(store) == dropped

    def test_one_that_took_too_long_to_write(
        self, store: VariableStore, variables: FakeVariables, clock: StoppedClock
    ) -> None:
        """Who had claimed in between would have looked by now, and found nothing of ours."""
        write(store, record())

        def be_slow() -> None:
            clock.time += 3.1

        variables.after_write = [be_slow]
        with pytest.raises(StoreUnavailableError, match="so long"):
            write(store, record(intent=intent()))
        variables.after_write = [be_slow]
        write(store, record(unanswered=unanswered(1)))


class TestAbsence:
    def test_is_believed_after_a_probe(self, store: VariableStore, variables: FakeVariables) -> None:
        for key in (KEY, "seed-1"):
            variables.writes.clear()
            assert store.read(key) is None
            assert variables.writes == []
            assert store.read(key, surely=True) is None
            assert [name for name, _ in variables.writes] == [PROBE_VARIABLE]

    def test_is_not_believed_where_nothing_can_be_written(
        self, store: VariableStore, variables: FakeVariables
    ) -> None:
        variables.is_down, variables.lists = True, False
        for key in (KEY, "seed-1"):
            assert store.read(key) is None
            with pytest.raises(StoreUnavailableError):
                store.read(key, surely=True)
        with pytest.raises(StoreUnavailableError):
            store.write(KEY, record().to_json(), follows=0)

    def test_nor_where_a_second_look_finds_something(
        self, store: VariableStore, variables: FakeVariables
    ) -> None:
        variables.lists = False
        store.write("seed-1", b"claim", follows=0)
        write(store, record())
        for name in variables.values:
            variables.hidden[name] = 1
        assert store.read("seed-1", surely=True) == Entry(1, b"claim")
        assert read(store) == record()

    @pytest.mark.parametrize("suffix", ["_10", "_11", "_intent"])
    def test_of_one_part_is_none_of_it_either(
        self, store: VariableStore, variables: FakeVariables, suffix: str
    ) -> None:
        """Where Airflow cannot list: a generation that is overlooked would be a replay."""
        variables.lists = False
        kept = record(generation=2, intent=intent())
        write(store, record(), kept)
        variables.hidden[BASE + suffix] = 1
        assert read(store) == kept
        variables.hidden[BASE + suffix] = 1
        with pytest.raises(Conflict):
            store.write(KEY, record("consent-2").to_json(), follows=1)

    def test_what_stands_is_not_probed_for(self, store: VariableStore, variables: FakeVariables) -> None:
        write(store, record())
        number = len(variables.writes)
        read(store)
        assert variables.writes[number:] == []

    def test_an_entry_that_is_gone_when_it_is_read(
        self, store: VariableStore, variables: FakeVariables
    ) -> None:
        write(store, record())
        variables.hidden = dict.fromkeys(variables.values, 1)
        assert store.read(KEY) is None


class TestVersionOne:
    def test_is_read(self, store: VariableStore, variables: FakeVariables) -> None:
        write_version_one(variables, record(generation=4), 7)
        entry = store.read(KEY, surely=True)
        assert entry is not None
        assert entry.revision == 7
        assert Record.from_json(entry.payload) == record(generation=4)
        assert store.list() == [KEY]

    @pytest.mark.parametrize(
        "next_one",
        [
            record(generation=5),
            record(generation=4, intent=intent()),
            record(generation=4),
            record("consent-2"),
        ],
    )
    def test_is_carried_over_and_never_wins_again(
        self, store: VariableStore, variables: FakeVariables, next_one: Record
    ) -> None:
        write_version_one(variables, record(generation=4), 7)
        assert store.write(KEY, next_one.to_json(), follows=7) == 8
        assert read(store) == next_one
        assert store.list() == [KEY]
        write_version_one(variables, record(generation=9), 99)
        assert read(store) == next_one

    def test_a_process_that_still_runs_it_is_stopped(
        self, store: VariableStore, variables: FakeVariables
    ) -> None:
        """Neither nothing nor a spent refresh token may be found there."""
        write_version_one(variables, record())
        write(store, record(generation=2))
        left = json.loads(variables.values[BASE])
        assert left["sealed"]
        with pytest.raises(ValueError, match="damaged or was encrypted"):
            Sealer("the-store-key").open(left["sealed"])

    def test_a_late_write_of_it_is_no_obstacle(self, store: VariableStore, variables: FakeVariables) -> None:
        write_version_one(variables, record())
        write(store, record(generation=2))
        variables.values[BASE] = "no json"
        assert read(store) == record(generation=2)
        write(store, record(generation=3))
        assert read(store) == record(generation=3)
        assert json.loads(variables.values[BASE])["sealed"] == "moved"

    def test_what_was_carried_over_and_is_gone(self, store: VariableStore, variables: FakeVariables) -> None:
        write_version_one(variables, record())
        write(store, record(generation=2))
        del variables.values[f"{BASE}_10"]
        with pytest.raises(UnreadableEntry):
            store.read(KEY)
        store.delete(KEY)
        entry = store.read(KEY)
        assert entry is not None
        assert entry.payload == b""

    def test_is_deleted(self, store: VariableStore, variables: FakeVariables) -> None:
        write_version_one(variables, record(), 7)
        store.delete(KEY)
        assert store.read(KEY) == Entry(8, b"")
        assert store.list() == []


class TestUnreadable:
    def test_another_key(self, store: VariableStore, tmp_path: Path) -> None:
        revision = write(store, record(), record(generation=2))
        other = other_host(tmp_path, key="another-key")
        with pytest.raises(UnreadableEntry, match="store_key") as caught:
            other.read(KEY)
        assert caught.value.revision == revision
        assert other.list() == [KEY]
        assert read(store) == record(generation=2)

    def test_an_older_slot_does_not_matter(self, store: VariableStore, variables: FakeVariables) -> None:
        write(store, record(), record(generation=2))
        spoil(variables, f"{BASE}_11")
        assert read(store) == record(generation=2)
        write(store, record(generation=3))
        assert read(store) == record(generation=3)

    def test_an_older_intent_does_not_matter(self, store: VariableStore, variables: FakeVariables) -> None:
        write(store, record(intent=intent()), record(generation=2))
        spoil(variables, f"{BASE}_intent")
        assert read(store) == record(generation=2)

    @pytest.mark.parametrize("suffix", ["_11", "_intent"])
    def test_a_part_that_counts(self, store: VariableStore, variables: FakeVariables, suffix: str) -> None:
        revision = write(store, record(intent=intent()))
        spoil(variables, BASE + suffix)
        with pytest.raises(UnreadableEntry) as caught:
            store.read(KEY)
        assert caught.value.revision == revision

    @pytest.mark.parametrize(
        "value", ["", "no json", "[]", "{}", '{"key": "x", "revision": "y", "sealed": ""}']
    )
    @pytest.mark.parametrize("suffix", ["_10", "_11", "_intent"])
    def test_damage_is_told_and_a_consent_mends_it(
        self, store: VariableStore, variables: FakeVariables, suffix: str, value: str
    ) -> None:
        """How old it is cannot be seen any more, so nothing says that the other one is newer."""
        write(store, record(), record(generation=2, intent=intent()))
        variables.values[BASE + suffix] = value
        before = dict(variables.values)
        with pytest.raises(UnreadableEntry, match=f"{BASE}{suffix}.*damaged") as caught:
            store.read(KEY, surely=True)
        assert variables.values == before
        consent = record("consent-2")
        store.write(KEY, consent.to_json(), follows=caught.value.revision)
        assert read(store) == consent
        write(store, record("consent-2", 2, intent=intent()))
        assert read(store) == record("consent-2", 2, intent=intent())

    def test_all_is_damaged(self, store: VariableStore, variables: FakeVariables) -> None:
        write(store, record(), record(generation=2))
        for name in variables.values:
            variables.values[name] = "no json"
        with pytest.raises(UnreadableEntry) as caught:
            store.read(KEY)
        store.write(KEY, record("consent-2").to_json(), follows=caught.value.revision)
        assert read(store) == record("consent-2")

    def test_version_one(self, store: VariableStore, variables: FakeVariables) -> None:
        variables.values[BASE] = "no json"
        with pytest.raises(UnreadableEntry):
            store.read(KEY)
        write_version_one(variables, record(), 3)
        spoil(variables, BASE)
        with pytest.raises(UnreadableEntry) as caught:
            store.read(KEY)
        assert caught.value.revision == 3
        store.write(KEY, record("consent-2").to_json(), follows=3)
        assert read(store) == record("consent-2")


class TestDeleting:
    def test_keeps_the_revision_and_nothing_else(
        self, store: VariableStore, variables: FakeVariables
    ) -> None:
        revision = write(store, record(), record(generation=2), record("consent-2", intent=intent()))
        store.delete(KEY)
        assert store.read(KEY, surely=True) == Entry(revision + 1, b"")
        assert store.list() == []
        left = [json.loads(value) for name, value in variables.values.items() if name.startswith(BASE)]
        assert [part["sealed"] for part in left] == [""] * 4
        store.delete(KEY)
        assert store.read(KEY) == Entry(revision + 1, b"")
        assert write(store, record("consent-3")) == revision + 2
        assert read(store) == record("consent-3")
        assert store.list() == [KEY]

    def test_nothing(self, store: VariableStore, variables: FakeVariables) -> None:
        store.delete(KEY)
        assert store.read(KEY) is None

    def test_what_is_damaged(self, store: VariableStore, variables: FakeVariables) -> None:
        write(store, record(), record(generation=2))
        variables.values[f"{BASE}_11"] = "no json"
        store.delete(KEY)
        entry = store.read(KEY)
        assert entry is not None
        assert entry.payload == b""

    def test_a_late_write_brings_nothing_back(self, store: VariableStore, variables: FakeVariables) -> None:
        write(store, record(), record(generation=2))
        late = variables.writes[-1]
        store.delete(KEY)
        variables.values.update([late])
        entry = store.read(KEY)
        assert entry is not None
        assert entry.payload == b""
        write(store, record("seed-1", 0, intent=intent()))
        assert read(store) == record("seed-1", 0, intent=intent())


def spoil(variables: FakeVariables, name: str) -> None:
    """Leave in clear what orders a part, and spoil what it keeps."""
    value: dict[str, Any] = json.loads(variables.values[name])
    variables.values[name] = json.dumps({**value, "sealed": value["sealed"][:-8]})
