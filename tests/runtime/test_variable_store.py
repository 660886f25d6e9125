"""The Variable store over a real metadata database, and over a door that can fail."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from airflow_provider_finauth.auth.sealer import Sealer
from airflow_provider_finauth.auth.stores.base import Conflict, Entry, UnreadableEntry
from airflow_provider_finauth.exceptions import LockTimeoutError, StoreUnavailableError
from airflow_provider_finauth.runtime import door
from airflow_provider_finauth.runtime.variable_parts import PREFIX, PROBE_VARIABLE, variable_name
from airflow_provider_finauth.runtime.variable_store import KEY_VARIABLE, VariableStore
from airflow_provider_finauth.secret import Secret
from tests.airflow_harness import until
from tests.runtime.variables import StoppedClock, intent, record, unanswered

KEY = "token-0123abcd"
GRANT = "grant-0123abcd"


@pytest.fixture(autouse=True)
def _clean(metadata_database: Path) -> Iterator[None]:
    _delete_all()  # the database is the whole process's
    yield
    _delete_all()


def _delete_all() -> None:
    for name in door.variable_keys("finauth_") or ():
        door.variable_delete(name)


@pytest.fixture
def locks(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def store(locks: Path) -> VariableStore:
    return VariableStore(locks, Secret("the-store-key"), settles=0)


def variable() -> str:
    """Name the only entry's Variable."""
    [name] = door.variable_keys(PREFIX) or ()
    return name


class TestEntries:
    def test_come_and_go(self, store: VariableStore) -> None:
        assert store.read(KEY) is None
        assert store.write(KEY, b"one", follows=0) == 1
        assert store.write(KEY, b"two", follows=1) == 2
        assert store.read(KEY) == Entry(2, b"two")
        assert store.list() == [KEY]
        store.delete(KEY)
        assert store.read(KEY) == Entry(3, b"")
        assert store.list() == []
        store.delete(KEY)
        assert store.write(KEY, b"three", follows=3) == 4

    def test_deleting_nothing(self, store: VariableStore) -> None:
        store.delete(KEY)
        assert store.read(KEY) is None

    @pytest.mark.parametrize("follows", [0, 2, 5])
    def test_a_write_that_follows_another_revision(self, store: VariableStore, follows: int) -> None:
        store.write(KEY, b"one", follows=0)
        with pytest.raises(Conflict):
            store.write(KEY, b"two", follows=follows)
        assert store.read(KEY) == Entry(1, b"one")

    def test_of_many_that_follow_one_revision_one_is_taken(self, store: VariableStore) -> None:
        barrier = threading.Barrier(8)

        def write(number: int) -> bool:
            barrier.wait()
            try:
                store.write(KEY, str(number).encode(), follows=0)
            except Conflict:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(write, range(8))) == 1
        entry = store.read(KEY)
        assert entry is not None
        assert entry.revision == 1

    def test_two_keys_are_two_entries(self, store: VariableStore) -> None:
        store.write("a", b"one", follows=0)
        store.write("b", b"two", follows=0)
        assert sorted(store.list()) == ["a", "b"]
        assert store.read("a") == Entry(1, b"one")

    def test_another_process_with_the_key_reads_it(self, store: VariableStore, tmp_path: Path) -> None:
        store.write(KEY, b"one", follows=0)
        assert VariableStore(tmp_path / "elsewhere", Secret("the-store-key")).read(KEY) == Entry(1, b"one")

    def test_time(self, locks: Path) -> None:
        assert VariableStore(locks, clock=StoppedClock()).now() == 1_800_000_000.0


class TestGrants:
    """In a real database; the rest is tested over a door of the tests' own."""

    def test_come_and_go(self, store: VariableStore) -> None:
        first, second = record(intent=intent()), record(generation=2, unanswered=unanswered())
        assert store.write(GRANT, first.to_json(), follows=0) == 1
        assert store.read(GRANT, surely=True) == Entry(1, first.to_json())
        assert store.write(GRANT, second.to_json(), follows=1) == 2
        assert store.read(GRANT) == Entry(2, second.to_json())
        with pytest.raises(Conflict):
            store.write(GRANT, first.to_json(), follows=1)
        assert store.list() == [GRANT]
        store.delete(GRANT)
        assert store.read(GRANT, surely=True) == Entry(3, b"")
        assert store.list() == []

    @pytest.mark.parametrize("key", [GRANT, "seed-0123abcd"])
    def test_an_absence_is_believed_after_a_probe(self, store: VariableStore, key: str) -> None:
        assert store.read(key) is None
        assert door.variable_get(PROBE_VARIABLE) is None
        assert store.read(key, surely=True) is None
        assert door.variable_get(PROBE_VARIABLE)

    def test_names_that_the_masker_lets_alone(self, store: VariableStore) -> None:
        should_hide = _should_hide_value_for_key()
        for generation in (0, 1):
            for lineage in ("a", "b"):
                store.write(f"grant-{lineage}", b"one", follows=generation)
            payload = record(generation=generation, intent=intent()).to_json()
            store.write(GRANT, payload, follows=generation)
        names = door.variable_keys("finauth_") or ()
        assert len([name for name in names if name.startswith(variable_name(GRANT))]) == 3
        assert not [name for name in [*names, PROBE_VARIABLE] if should_hide(name)]

    def test_no_traceback_shows_what_could_not_be_written(
        self, store: VariableStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fails(name: str, value: str, *, description: str) -> None:
            if name != PROBE_VARIABLE:
                raise StoreUnavailableError("Airflow could not be asked")

        monkeypatch.setattr(door, "variable_set", fails)
        for key in (GRANT, KEY):
            with pytest.raises(StoreUnavailableError) as caught:
                store.write(key, record().to_json(), follows=0)
            shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
            frames = [frame for frame in shown.stack if "airflow_provider_finauth" in frame.filename]
            assert frames
            assert "refresh-consent-1" not in str([frame.locals for frame in frames])


class TestWhatAirflowSees:
    def test_nothing_in_clear(self, store: VariableStore) -> None:
        store.write(KEY, b"the-refresh-token", follows=0)
        value = door.variable_get(variable())
        assert value is not None
        assert "the-refresh-token" not in value
        assert Sealer("the-store-key").open(json.loads(value)["sealed"]) == b"the-refresh-token"

    @pytest.mark.parametrize("key", [KEY, "grant-access_token", "refused-secret", "x" * 300])
    def test_names_that_the_masker_lets_alone(self, store: VariableStore, key: str) -> None:
        should_hide = _should_hide_value_for_key()
        store.write(key, b"one", follows=0)
        assert not should_hide(variable())
        assert len(variable()) <= 250
        assert should_hide(KEY_VARIABLE)

    def test_reading_registers_nothing_with_the_masker(self, store: VariableStore) -> None:
        from airflow.providers.common.compat.sdk import redact

        store.write(KEY, b"one", follows=0)
        store.read(KEY)
        value = door.variable_get(variable())
        assert redact(f"a {value} b") == f"a {value} b"

    def test_each_write_keeps_the_description(self, store: VariableStore) -> None:
        from airflow.models import Variable
        from airflow.utils.session import create_session

        store.write(KEY, b"one", follows=0)
        store.write(KEY, b"two", follows=1)
        with create_session() as session:
            row = session.query(Variable).filter(Variable.key == variable()).one()
            assert "Not to be edited" in row.description


class TestUnreadable:
    def test_another_key(self, store: VariableStore, locks: Path) -> None:
        store.write(KEY, b"one", follows=0)
        store.write(KEY, b"two", follows=1)
        other = VariableStore(locks, Secret("another-key"))
        with pytest.raises(UnreadableEntry, match=f"{variable()}.*store_key") as caught:
            other.read(KEY)
        assert caught.value.revision == 2
        assert other.list() == [KEY]
        assert other.write(KEY, b"three", follows=2) == 3
        assert other.read(KEY) == Entry(3, b"three")

    @pytest.mark.parametrize("value", ["no json", "[]", "{}", '{"key": "x", "revision": "y", "sealed": ""}'])
    def test_damage(self, store: VariableStore, value: str) -> None:
        store.write(KEY, b"one", follows=0)
        name = variable()
        door.variable_set(name, value, description="x")
        with pytest.raises(UnreadableEntry, match="damaged") as caught:
            store.read(KEY)
        assert store.write(KEY, b"two", follows=caught.value.revision) == caught.value.revision + 1
        entry = store.read(KEY)
        assert entry is not None
        assert entry.payload == b"two"


class TestUnavailable:
    @pytest.fixture(autouse=True)
    def _fails(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fails(*_: object, **__: object) -> None:
            raise StoreUnavailableError("Airflow could not be asked")

        for name in ("variable_get", "variable_set", "variable_keys"):
            monkeypatch.setattr(door, name, fails)

    def test_is_no_absence(self, store: VariableStore, monkeypatch: pytest.MonkeyPatch) -> None:
        for call in (
            lambda: store.read(KEY),
            lambda: store.write(KEY, b"one", follows=0),
            lambda: store.delete(KEY),
            store.list,
        ):
            with pytest.raises(StoreUnavailableError):
                call()
        monkeypatch.undo()
        assert store.read(KEY) is None

    def test_no_key_is_made_then(self, locks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(StoreUnavailableError):
            _ = VariableStore(locks).sealer
        monkeypatch.undo()
        assert door.variable_get(KEY_VARIABLE) is None


class TestLock:
    def test_excludes_threads_and_other_keys_go_on(self, store: VariableStore) -> None:
        with store.lock(KEY, 1):
            with pytest.raises(LockTimeoutError), store.lock(KEY, 0):
                pass
            with store.lock("token-another", 0):
                pass
        with store.lock(KEY, 0):
            pass

    def test_excludes_processes_that_share_the_folder(self, store: VariableStore, locks: Path) -> None:
        program = f"""
import sys
from pathlib import Path
from airflow_provider_finauth.runtime.variable_store import VariableStore
with VariableStore(Path({str(locks)!r})).lock({KEY!r}, 5):
    print("held", flush=True)
    sys.stdin.read()
"""
        with subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as holder:
            assert holder.stdout is not None
            until(lambda: holder.stdout.readline() == "held\n", "the other process holds the lock")
            with pytest.raises(LockTimeoutError), store.lock(KEY, 0):
                pass
            # It ends with its process, however that ends.
            holder.kill()
        with store.lock(KEY, 5):
            pass

    def test_says_how_far_it_reaches(self, store: VariableStore) -> None:
        assert "lock_dir" in store.reach
        assert store.durable
        assert store.name == "variable"


class TestCommonKey:
    def test_is_made_once_and_read_once(self, locks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = StoppedClock()
        first = VariableStore(locks, clock=clock)
        first.write(KEY, b"one", follows=0)
        assert clock.slept
        key = door.variable_get(KEY_VARIABLE)
        assert key is not None

        reads: list[str] = []
        get = door.variable_get
        monkeypatch.setattr(door, "variable_get", lambda name: reads.append(name) or get(name))
        second = VariableStore(locks, clock=clock)
        for _ in range(3):
            assert second.read(KEY) == Entry(1, b"one")
        assert reads.count(KEY_VARIABLE) == 1
        assert door.variable_get(KEY_VARIABLE) == key

    def test_threads_of_a_cold_process_read_it_once(
        self, locks: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        door.variable_set(KEY_VARIABLE, "a-common-key", description="x")
        reads: list[str] = []
        get = door.variable_get
        monkeypatch.setattr(door, "variable_get", lambda name: reads.append(name) or get(name))
        store = VariableStore(locks)
        with ThreadPoolExecutor(16) as pool:
            digests = set(pool.map(lambda _: store.sealer.digest(b"x"), range(16)))
        assert digests == {Sealer("a-common-key").digest(b"x")}
        assert reads == [KEY_VARIABLE]

    def test_store_key_needs_none(self, store: VariableStore) -> None:
        store.write(KEY, b"one", follows=0)
        assert door.variable_get(KEY_VARIABLE) is None

    def test_two_hosts_that_make_it_at_once_end_with_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each has a lock folder of its own; both saw no key; both write."""
        barrier = threading.Barrier(2)
        put = door.variable_set

        def both_looked(name: str, value: str, *, description: str) -> None:
            barrier.wait(30)
            put(name, value, description=description)

        class BothWrote(StoppedClock):
            def sleep(self, seconds: float) -> None:
                super().sleep(seconds)
                barrier.wait(30)

        monkeypatch.setattr(door, "variable_set", both_looked)
        stores = []
        for name in ("host-a", "host-b"):
            (tmp_path / name).mkdir()
            stores.append(VariableStore(tmp_path / name, clock=BothWrote()))
        with ThreadPoolExecutor(2) as pool:
            digests = list(pool.map(lambda store: store.sealer.digest(b"x"), stores))
        key = door.variable_get(KEY_VARIABLE)
        assert key is not None
        assert digests == [Sealer(key).digest(b"x")] * 2

    def test_processes_of_one_host_that_make_it_at_once_end_with_one(self, locks: Path) -> None:
        program = f"""
from pathlib import Path
from airflow_provider_finauth.runtime.variable_store import VariableStore
print(VariableStore(Path({str(locks)!r})).sealer.digest(b"x"))
"""
        running = [
            subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
            for _ in range(2)
        ]
        digests = {process.communicate()[0].splitlines()[-1] for process in running}
        key = door.variable_get(KEY_VARIABLE)
        assert key is not None
        assert digests == {Sealer(key).digest(b"x")}

    def test_one_that_cannot_be_read_back(self, locks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(door, "variable_set", lambda *_, **__: None)
        with pytest.raises(StoreUnavailableError, match="store_key"):
            _ = VariableStore(locks, clock=StoppedClock()).sealer


def _should_hide_value_for_key() -> object:
    try:
        from airflow.sdk._shared.secrets_masker import should_hide_value_for_key
    except ImportError:
        from airflow.utils.log.secrets_masker import should_hide_value_for_key
    return should_hide_value_for_key
