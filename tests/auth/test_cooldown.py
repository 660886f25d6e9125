from __future__ import annotations

import logging
import math
import os
import re
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_finauth.auth.cooldown import LONGEST, CoolDowns
from airflow_provider_finauth.auth.credentials import FixedCredentials
from airflow_provider_finauth.auth.sealer import Sealer
from airflow_provider_finauth.auth.stores.file import FileStore
from airflow_provider_finauth.auth.stores.flock import file_lock
from airflow_provider_finauth.auth.stores.memory import MemoryStore
from airflow_provider_finauth.exceptions import StoreUnavailableError
from airflow_provider_finauth.secret import Secret
from airflow_provider_finauth.transport.origins import origin_of
from airflow_provider_finauth.transport.session import TransportSettings
from tests.auth.support import FakeClock, client_credentials

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_finauth.auth.stores.base import Entry, Hold

KEY = "api-0123"
OTHER = "api-4567"


class WatchedStore(MemoryStore):
    """Counts reads and writes, fails when told to, and lets others in before a write."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock=clock)
        self.reads = 0
        self.writes = 0
        self.down = False
        self.before_write: list[Callable[[], None]] = []

    def read(self, key: str, *, surely: bool = False) -> Entry | None:
        self.reads += 1
        self._require_up()
        return super().read(key)

    def write(self, key: str, payload: bytes, *, follows: int, under: Hold | None = None) -> int:
        self.writes += 1
        self._require_up()
        if self.before_write:
            self.before_write.pop()()
        return super().write(key, payload, follows=follows)

    def _require_up(self) -> None:
        if self.down:
            raise StoreUnavailableError("The store is down.")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(clock: FakeClock) -> WatchedStore:
    return WatchedStore(clock)


@pytest.fixture
def cooldowns(store: WatchedStore, tmp_path: Path, clock: FakeClock) -> CoolDowns:
    return CoolDowns(store, tmp_path, clock)


def alone(clock: FakeClock, folder: Path | None = None) -> CoolDowns:
    """Make those of a process whose store nobody else sees."""
    return CoolDowns(MemoryStore(clock=clock), folder, clock)


def files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name != "cooldown.lock"]


class TestOneProcess:
    def test_nothing_noted(self, cooldowns: CoolDowns, tmp_path: Path) -> None:
        assert cooldowns.remaining(KEY) == 0
        assert list(tmp_path.iterdir()) == []

    def test_it_runs_down(self, clock: FakeClock) -> None:
        cooldowns = alone(clock)
        cooldowns.note(KEY, 3)

        assert cooldowns.remaining(KEY) == 3
        clock.advance(2)
        assert cooldowns.remaining(KEY) == 1
        clock.advance(1)
        assert cooldowns.remaining(KEY) == 0

    def test_it_is_the_keys_own(self, cooldowns: CoolDowns) -> None:
        cooldowns.note(KEY, 3)

        assert cooldowns.remaining(OTHER) == 0

    def test_it_is_lengthened_and_never_shortened(self, cooldowns: CoolDowns) -> None:
        cooldowns.note(KEY, 10)
        cooldowns.note(KEY, 3)
        assert cooldowns.remaining(KEY) == 10

        cooldowns.note(KEY, 20)
        assert cooldowns.remaining(KEY) == 20

    @pytest.mark.parametrize("seconds", [86_401, 1e12, math.inf])
    def test_a_day_is_the_longest(
        self, seconds: float, cooldowns: CoolDowns, store: WatchedStore, tmp_path: Path, clock: FakeClock
    ) -> None:
        cooldowns.note(KEY, seconds)

        assert cooldowns.remaining(KEY) == pytest.approx(LONGEST)
        assert alone(clock, tmp_path).remaining(KEY) == pytest.approx(LONGEST)
        assert CoolDowns(store, None, clock).remaining(KEY) == pytest.approx(LONGEST)

    @pytest.mark.parametrize("seconds", [0, -1, math.nan, -math.inf])
    def test_what_is_no_wait(self, seconds: float, cooldowns: CoolDowns, tmp_path: Path) -> None:
        cooldowns.note(KEY, seconds)

        assert cooldowns.remaining(KEY) == 0
        assert list(tmp_path.iterdir()) == []

    def test_the_wall_clock_is_not_asked_again(self, cooldowns: CoolDowns, clock: FakeClock) -> None:
        cooldowns.note(KEY, 60)
        clock.wall_time += 3600

        assert cooldowns.remaining(KEY) == 60


class TestOneHost:
    def test_another_process_keeps_to_it_at_once(self, tmp_path: Path, clock: FakeClock) -> None:
        first, second = alone(clock, tmp_path), alone(clock, tmp_path)
        assert second.remaining(KEY) == 0

        for seconds in range(3, 100):
            first.note(KEY, seconds)
            assert second.remaining(KEY) == pytest.approx(seconds)

    def test_the_longest_of_several_stands(self, tmp_path: Path, clock: FakeClock) -> None:
        for seconds in (3, 30, 10):
            alone(clock, tmp_path).note(KEY, seconds)

        assert alone(clock, tmp_path).remaining(KEY) == pytest.approx(30)

    def test_one_that_lapsed_is_followed_by_another(self, tmp_path: Path, clock: FakeClock) -> None:
        cooldowns = alone(clock, tmp_path)
        cooldowns.note(KEY, 100)
        clock.advance(101)
        assert alone(clock, tmp_path).remaining(KEY) == 0

        cooldowns.note(KEY, 2)
        assert alone(clock, tmp_path).remaining(KEY) == pytest.approx(2)
        assert len(files(tmp_path)) == 1

    def test_the_file_tells_an_end_and_nothing_else(self, tmp_path: Path, clock: FakeClock) -> None:
        alone(clock, tmp_path).note("api-my_conn", 60)

        (path,) = files(tmp_path)
        assert re.fullmatch(r"cooldown-[0-9a-f]{64}", path.name)
        assert float(path.read_text()) == clock.wall() + 60
        assert path.stat().st_mode & 0o777 == 0o600
        # So it differs from that of the next one, however soon that is written.
        assert path.stat().st_mtime == pytest.approx(clock.wall() + 60, abs=1e-3)

    def test_it_is_read_only_when_it_changed(
        self, tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        opened: list[str] = []
        real = os.open

        def noted(path: Any, *args: Any, **kwargs: Any) -> int:
            opened.append(str(path))
            return real(path, *args, **kwargs)

        alone(clock, tmp_path).note(KEY, 60)
        reader = alone(clock, tmp_path)
        monkeypatch.setattr(os, "open", noted)
        for _ in range(10):
            assert reader.remaining(KEY) == pytest.approx(60)

        assert opened == [str(files(tmp_path)[0])]

    @pytest.mark.parametrize(
        "content", [b"", b"soon", b"nan", b"inf", b"-1", b"1e400", b"\xff\x00", b"9" * 5000, b"{}"]
    )
    def test_a_damaged_file_counts_as_none(self, content: bytes, tmp_path: Path, clock: FakeClock) -> None:
        alone(clock, tmp_path).note(KEY, 60)
        files(tmp_path)[0].write_bytes(content)
        assert alone(clock, tmp_path).remaining(KEY) == 0

        alone(clock, tmp_path).note(KEY, 5)
        assert alone(clock, tmp_path).remaining(KEY) == pytest.approx(5)

    @pytest.mark.parametrize(
        "place",
        [
            lambda path: path.mkdir(),
            lambda path: os.mkfifo(path),
            lambda path: path.symlink_to("elsewhere"),
        ],
    )
    def test_what_is_no_file_counts_as_none(
        self, place: Callable[[Path], None], tmp_path: Path, clock: FakeClock
    ) -> None:
        noting = alone(clock, tmp_path)
        noting.note(KEY, 60)
        (path,) = files(tmp_path)
        path.rename(tmp_path / "elsewhere")
        place(path)

        assert alone(clock, tmp_path).remaining(KEY) == 0
        noting.note(KEY, 90)
        assert noting.remaining(KEY) == 90

    def test_a_clock_that_was_set_back(self, tmp_path: Path, clock: FakeClock) -> None:
        alone(clock, tmp_path).note(KEY, 60)
        clock.wall_time -= 2 * LONGEST
        assert alone(clock, tmp_path).remaining(KEY) == 0

        alone(clock, tmp_path).note(KEY, 5)
        assert alone(clock, tmp_path).remaining(KEY) == pytest.approx(5)

    def test_a_writer_that_was_stopped_holds_up_nobody_for_long(
        self, tmp_path: Path, clock: FakeClock
    ) -> None:
        cooldowns = alone(clock, tmp_path)
        with file_lock(tmp_path / "cooldown.lock", 0):
            cooldowns.note(KEY, 60)

        assert 5 <= sum(clock.slept) < 6
        assert cooldowns.remaining(KEY) == pytest.approx(60 - sum(clock.slept))
        assert files(tmp_path) == []

    def test_a_folder_that_cannot_be_written(self, store: WatchedStore, clock: FakeClock) -> None:
        missing = Path("/proc/nothing/here")
        cooldowns = CoolDowns(store, missing, clock)
        cooldowns.note(KEY, 60)

        assert cooldowns.remaining(KEY) == 60
        assert CoolDowns(store, missing, clock).remaining(KEY) == pytest.approx(60)


class TestSeveralHosts:
    def test_a_host_learns_of_it_on_first_use(
        self, cooldowns: CoolDowns, store: WatchedStore, clock: FakeClock, tmp_path: Path
    ) -> None:
        cooldowns.note(KEY, 60)

        assert CoolDowns(store, tmp_path / "other", clock).remaining(KEY) == pytest.approx(60)

    def test_threads_that_start_cold_wait_for_the_first_look(
        self, cooldowns: CoolDowns, store: WatchedStore, clock: FakeClock
    ) -> None:
        cooldowns.note(KEY, 60)
        cold = CoolDowns(store, None, clock)
        began, goes_on = threading.Event(), threading.Event()
        found: list[float] = []

        def read(key: str, *, surely: bool = False) -> Entry | None:
            began.set()
            assert goes_on.wait(30)
            return MemoryStore.read(store, key)

        store.read = read  # type: ignore[method-assign]
        threads = [
            threading.Thread(target=lambda: found.append(cold.remaining(KEY)), daemon=True) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        assert began.wait(30)
        threads[1].join(0.05)
        assert found == []
        goes_on.set()
        for thread in threads:
            thread.join()
        assert found == [pytest.approx(60)] * 4

    def test_the_store_is_looked_at_every_five_seconds(
        self, cooldowns: CoolDowns, store: WatchedStore, clock: FakeClock
    ) -> None:
        other = CoolDowns(store, None, clock)
        for _ in range(100):
            assert other.remaining(KEY) == 0
        assert store.reads == 1

        cooldowns.note(KEY, 60)
        before = store.reads
        clock.advance(4.9)
        assert other.remaining(KEY) == 0
        assert store.reads == before
        clock.advance(0.1)
        assert other.remaining(KEY) == pytest.approx(55)
        assert store.reads == before + 1

    def test_the_stores_clock_counts(self, clock: FakeClock) -> None:
        store_clock, behind = FakeClock(), FakeClock()
        behind.wall_time -= 600
        clock.wall_time += 600
        shared = MemoryStore(clock=store_clock)
        CoolDowns(shared, None, clock).note(KEY, 60)
        store_clock.advance(20)

        assert CoolDowns(shared, None, behind).remaining(KEY) == pytest.approx(40)

    def test_a_store_clock_that_was_set_back(self, store: WatchedStore, clock: FakeClock) -> None:
        CoolDowns(store, None, clock).note(KEY, 60)
        clock.wall_time -= 2 * LONGEST
        assert CoolDowns(store, None, clock).remaining(KEY) == 0

        CoolDowns(store, None, clock).note(KEY, 5)
        assert CoolDowns(store, None, clock).remaining(KEY) == pytest.approx(5)

    def test_nobody_elsewhere_hears_of_a_short_one(self, cooldowns: CoolDowns, store: WatchedStore) -> None:
        cooldowns.note(KEY, 0.9)

        assert cooldowns.remaining(KEY) == pytest.approx(0.9)
        assert store.writes == 0

    @pytest.mark.parametrize("theirs", [3, 30])
    def test_of_several_at_once_the_longest_stands(
        self, theirs: float, cooldowns: CoolDowns, store: WatchedStore, clock: FakeClock
    ) -> None:
        other = CoolDowns(store, None, clock)
        store.before_write = [lambda: other.note(KEY, theirs)]
        cooldowns.note(KEY, 10)

        assert CoolDowns(store, None, clock).remaining(KEY) == pytest.approx(max(theirs, 10))

    def test_an_entry_that_cannot_be_read_counts_as_none(self, tmp_path: Path, clock: FakeClock) -> None:
        old = FileStore(tmp_path / "store", Sealer("old"), clock=clock)
        new = FileStore(tmp_path / "store", Sealer("new"), clock=clock)
        CoolDowns(old, None, clock).note(KEY, 60)
        assert CoolDowns(new, None, clock).remaining(KEY) == 0

        CoolDowns(new, None, clock).note(KEY, 5)
        assert CoolDowns(new, None, clock).remaining(KEY) == pytest.approx(5)

    def test_a_forgotten_entry_counts_as_none(self, store: WatchedStore, clock: FakeClock) -> None:
        CoolDowns(store, None, clock).note(KEY, 60)
        store.delete(store.list()[0])
        assert CoolDowns(store, None, clock).remaining(KEY) == 0

        CoolDowns(store, None, clock).note(KEY, 5)
        assert CoolDowns(store, None, clock).remaining(KEY) == pytest.approx(5)

    def test_the_entry_tells_an_end_and_nothing_else(
        self, cooldowns: CoolDowns, store: WatchedStore, clock: FakeClock
    ) -> None:
        cooldowns.note("api-my_conn", 60)

        (name,) = store.list()
        entry = store.read(name)
        assert re.fullmatch(r"cooldown-[0-9a-f]{64}", name)
        assert entry is not None
        assert float(entry.payload) == clock.wall() + 60


class TestStoreDown:
    def test_no_request_fails_for_it(
        self, cooldowns: CoolDowns, store: WatchedStore, clock: FakeClock, tmp_path: Path
    ) -> None:
        store.down = True
        assert cooldowns.remaining(KEY) == 0
        cooldowns.note(KEY, 60)

        assert cooldowns.remaining(KEY) == 60
        assert alone(clock, tmp_path).remaining(KEY) == pytest.approx(60)

    def test_it_is_left_alone_for_a_minute(
        self, cooldowns: CoolDowns, store: WatchedStore, clock: FakeClock
    ) -> None:
        store.down = True
        cooldowns.remaining(KEY)
        asked = store.reads
        for key in (KEY, OTHER):
            for _ in range(59):
                cooldowns.note(key, 2)
                cooldowns.remaining(key)
                clock.advance(0.5)
        assert (store.reads, store.writes) == (asked, 0)

        store.down = False
        clock.advance(5)
        cooldowns.note(KEY, 60)
        assert CoolDowns(store, None, clock).remaining(KEY) == pytest.approx(60)

    def test_it_is_said_once(
        self, cooldowns: CoolDowns, store: WatchedStore, clock: FakeClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        store.down = True
        with caplog.at_level(logging.INFO):
            for _ in range(5):
                cooldowns.remaining(KEY)
                clock.advance(61)

        assert [record.getMessage() for record in caplog.records] == [
            "What servers ask to wait is not shared with other hosts for now. The store is down."
        ]


class TestSeveralWriters:
    @settings(max_examples=60)
    @given(
        st.lists(
            st.tuples(
                st.integers(0, 3),
                st.one_of(st.floats(1, 200), st.floats(0, 2 * LONGEST)),
                st.one_of(st.just(0.0), st.floats(0, 300)),
            ),
            max_size=12,
        )
    )
    def test_never_shortened_and_never_forgotten_before_its_end(
        self, tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, float, float]]
    ) -> None:
        clock = FakeClock()
        shared = MemoryStore(clock=clock)
        folders = [tmp_path_factory.mktemp("host") for _ in range(2)]
        # Two processes on each of two hosts.
        writers = [CoolDowns(shared, folders[number // 2], clock) for number in range(4)]
        # When each host, and anybody, may ask again.
        ends = [0.0, 0.0, 0.0]

        def left(place: int) -> float:
            return max(0.0, ends[place] - clock.monotonic())

        for writer, seconds, passes in steps:
            writers[writer].note(KEY, seconds)
            end = clock.monotonic() + min(seconds, LONGEST)
            ends[writer // 2] = max(ends[writer // 2], end)
            if seconds >= 1:
                ends[2] = max(ends[2], end)
            for number, each in enumerate(writers):
                remaining = each.remaining(KEY)
                assert remaining >= left(number // 2) - 0.01
                assert remaining <= max(map(left, range(3))) + 0.01
            clock.advance(passes)
            for host, folder in enumerate(folders):
                cold = CoolDowns(shared, folder, clock).remaining(KEY)
                assert cold == pytest.approx(max(left(host), left(2)), abs=0.01)

    def test_many_at_the_same_moment(self, tmp_path: Path) -> None:
        """Each thread stands for a process of its own, on one of two hosts."""
        folders = [tmp_path / "a", tmp_path / "b"]
        for folder in folders:
            folder.mkdir()

        def store() -> FileStore:
            return FileStore(tmp_path / "store", Sealer("key"))

        start = threading.Barrier(24)

        def note(number: int) -> None:
            cooldowns = CoolDowns(store(), folders[number % 2])
            start.wait()
            cooldowns.note(KEY, 1000.0 + number)

        threads = [threading.Thread(target=note, args=(number,)) for number in range(24)]
        began = time.time()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.time() - began

        assert 1022 - took <= alone_now(folders[0]) <= 1022
        assert 1023 - took <= alone_now(folders[1]) <= 1023
        assert 1023 - took <= CoolDowns(store()).remaining(KEY) <= 1023

    def test_a_forked_child_does_not_wait_for_its_parents_threads(self, cooldowns: CoolDowns) -> None:
        cooldowns.note(KEY, 60)
        with cooldowns._of(KEY).looking, cooldowns._guard:
            pid = os.fork()
            if pid == 0:
                os._exit(0 if cooldowns.remaining(KEY) == 60 else 1)
            assert wait_for(pid) == 0


def alone_now(folder: Path) -> float:
    return CoolDowns(MemoryStore(), folder).remaining(KEY)


def wait_for(pid: int) -> int | None:
    """Give a child's exit code, None if it had to be ended."""
    for _ in range(1000):
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    return None


class TestApiKey:
    def key(self, store: MemoryStore, **changes: Any) -> str:
        given: dict[str, Any] = {
            "conn_id": "my_conn",
            "origin": origin_of("https://api.example"),
            "credentials": FixedCredentials("my_conn", Secret("Bearer the-key")),
            "headers": {"Key": Secret("subscription")},
            "transport": TransportSettings(),
        }
        return CoolDowns(store).api_key(**{**given, **changes})

    def test_it_is_the_same_for_the_same(self) -> None:
        store = MemoryStore()

        assert self.key(store) == self.key(store)
        credentials = {"credentials": client_credentials()}
        assert self.key(store, **credentials) == self.key(store, credentials=client_credentials())

    @pytest.mark.parametrize(
        "changes",
        [
            {"conn_id": "other"},
            {"origin": origin_of("https://other.example")},
            {"credentials": FixedCredentials("my_conn", Secret("Bearer another-key"))},
            {"credentials": client_credentials()},
            {"credentials": client_credentials(client_secret=Secret("another"))},
            {"headers": {"Key": Secret("another")}},
            {"headers": {}},
        ],
    )
    def test_any_change_gives_another(self, changes: dict[str, Any]) -> None:
        store = MemoryStore()

        assert self.key(store) != self.key(store, **changes)

    def test_it_shows_nothing(self) -> None:
        key = self.key(MemoryStore())

        assert re.fullmatch(r"api-[0-9a-f]{64}", key)
        # Keyed: whoever does not have the store's key cannot try secrets against it.
        assert key != self.key(MemoryStore())
