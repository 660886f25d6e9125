"""Fetching ahead: how far, and whether at all."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_finauth.client.pace import Pace
from airflow_provider_finauth.client.paging import ahead
from airflow_provider_finauth.client.paging.ahead import Ahead, Gain
from airflow_provider_finauth.client.paging.answer import Answer
from airflow_provider_finauth.client.paging.base import Pull, Request
from airflow_provider_finauth.client.paging.limit_offset import LimitOffset
from airflow_provider_finauth.client.paging.walk import OneByOne, walk_pages
from airflow_provider_finauth.client.stopping import UNSTOPPABLE, Stop, Stopped
from tests.client.paged_server import PATIENCE
from tests.client.support import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator


def request(number: int) -> Request:
    return Request(path=f"/{number}")


def requests(first: int, end: int) -> Iterator[Request]:
    return map(request, range(first, end))


class Fetching:
    """Answers of some bytes each, that wait until they are let go; notes what was begun."""

    def __init__(self, size: int = 100, *, held: bool = False) -> None:
        self._body = b'"' + b"x" * (size - 2) + b'"'
        self._changed = threading.Condition()
        self._goes = threading.Event()
        if not held:
            self._goes.set()
        self.begun: list[int] = []

    def __call__(self, request: Request, stop: Stop) -> Answer:
        stop.check()
        with self._changed:
            self.begun.append(int(request.path[1:]))
            self._changed.notify_all()
        if stop is not UNSTOPPABLE:
            assert self._goes.wait(PATIENCE)
        return Answer.read(self._body)

    def wait_for(self, count: int) -> list[int]:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.begun) >= count, PATIENCE)
            return sorted(self.begun)

    def let_go(self) -> None:
        self._goes.set()


@pytest.mark.usefixtures("always_early")
class TestHowFar:
    @pytest.mark.parametrize(("most_bytes", "expected"), [(1, 1), (299, 2), (300, 3), (10**6, 8)])
    def test_answers_that_wait_are_bounded_by_their_bytes(self, most_bytes: int, expected: int) -> None:
        fetch = Fetching(size=100, held=True)
        source = Ahead(fetch, max_concurrency=8, most_bytes=most_bytes)
        source.get(request(0))
        source.expect(requests(1, 100))
        assert fetch.wait_for(1 + expected) == list(range(1 + expected))
        # Assigned in the same step, if there were more.
        assert len(source._line) == expected
        fetch.let_go()
        for number in range(1, 50):
            assert len(source._line) <= max(expected, ahead._MOST_FOR_EACH * 8)
            assert source._held <= max(most_bytes, 100)
            source.get(request(number))
            source.expect(requests(number + 1, 100))
        source.close()
        assert len(fetch.begun) == len(set(fetch.begun))

    def test_it_goes_further_the_better_it_foresees(self) -> None:
        source = Ahead(Fetching(), max_concurrency=2)
        source.get(request(0))
        for number in range(1, 40):
            source.expect(requests(number, 100))
            assert len(source._line) <= min(1 + number, 2 * ahead._MOST_FOR_EACH)
            source.get(request(number))
        assert source._reach == 2 * ahead._MOST_FOR_EACH
        source.close()

    def test_what_comes_as_expected_is_not_compared_to_its_end(self) -> None:
        source = Ahead(Fetching(), max_concurrency=4)
        source.get(request(0))
        source.expect(requests(1, 100))
        source.get(request(1))
        anew = requests(2, 100)
        source.expect(anew)
        assert next(anew) == request(4)
        source.close()

    def test_a_wrong_guess_further_on_is_noticed_when_it_is_its_turn(self) -> None:
        fetch = Fetching()
        source = Ahead(fetch, max_concurrency=4)
        source.get(request(0))
        source.expect(requests(1, 5))
        fetch.wait_for(5)
        for number in (1, 2):
            source.get(request(number))
            source.expect(iter([request(number + 1), request(number + 2), request(50)]))
        source.get(request(3))
        source.expect(iter([request(4), request(50)]))
        assert [errand.request for errand in source._line] == [request(4), request(50)]
        source.get(request(4))
        source.expect(iter([request(50)]))
        source.get(request(50))
        assert len(source._line) == 0
        source.close()

    def test_after_a_wrong_guess_only_the_next_is_fetched_until_guesses_are_right(self) -> None:
        fetch = Fetching()
        source = Ahead(fetch, max_concurrency=4)
        source.get(request(0))
        source.expect(requests(1, 100))
        source.get(request(1))
        source.expect(requests(50, 100))
        assert [errand.request for errand in source._line] == [request(50)]
        source.get(request(50))
        source.expect(requests(51, 100))
        assert len(source._line) == 2
        source.close()

    def test_what_is_thrown_away_makes_room(self) -> None:
        fetch = Fetching(size=100)
        source = Ahead(fetch, max_concurrency=4, most_bytes=400)
        source.get(request(0))
        source.expect(requests(1, 100))
        fetch.wait_for(5)
        source.expect(requests(60, 100))
        source.get(request(60))
        source.get(request(70))
        assert source._held == 0
        assert len(source._line) == 0
        source.close()

    def test_an_answer_nobody_expected_is_fetched_at_once(self) -> None:
        fetch = Fetching(held=True)
        source = Ahead(fetch, max_concurrency=2)
        source.get(request(0))
        source.expect(requests(1, 10))
        fetch.wait_for(3)
        source.get(request(99))
        assert fetch.begun[-1] == 99
        fetch.let_go()
        source.close()

    @settings(max_examples=40, deadline=None)
    @given(lengths=st.lists(st.integers(1, 4), min_size=1, max_size=12), told=st.integers(0, 60))
    def test_a_walk_gives_the_same_with_and_without(self, lengths: list[int], told: int) -> None:
        everything = [{"id": number} for number in range(sum(lengths))]
        length_at = {sum(lengths[:n]): length for n, length in enumerate(lengths)}
        # A total that is too small ends a walk with an error, here and there.
        total = max(told, len(everything)) if told % 2 else len(everything)

        def fetch(request: Request, stop: Stop = UNSTOPPABLE) -> Answer:
            assert request.params is not None
            start = request.params["offset"]
            rows = everything[start:][: length_at.get(start, 4)]
            return Answer.of({"data": rows, "total": total})

        pull = Pull(
            request=Request(), paging=LimitOffset(size=4), records_path="data", key="id", total="total"
        )

        def walk(source: Ahead | OneByOne) -> tuple[list[object], str]:
            got = []
            try:
                for page in walk_pages(pull, source):
                    got.append((page.number, page.total, page.records))
            except Exception as error:
                return got, str(error)
            return got, ""

        assert walk(Ahead(fetch, max_concurrency=3)) == walk(OneByOne(fetch))


class TestGain:
    @pytest.fixture(autouse=True)
    def _threshold(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ahead, "_WORTH_IT", 0.001)

    @pytest.fixture
    def times(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
        made = {"process_time": 0.0, "perf_counter": 0.0}
        for name in made:
            monkeypatch.setattr(ahead.time, name, lambda name=name: made[name])
        return made

    def test_one_slow_answer_begins_it(self) -> None:
        gain = Gain()
        gain.note_own(0.05)
        assert gain.pays

    def test_after_quick_ones_several_have_to_be_slow(self) -> None:
        gain = Gain()
        gain.note_own(0.0001)
        for _ in range(ahead._SAMPLE - 1):
            gain.note_own(0.05)
            assert not gain.pays
        gain.note_own(0.05)
        assert gain.pays

    def test_an_idle_processor_lets_it_go_on(self, times: dict[str, float]) -> None:
        gain = Gain()
        gain.note_own(0.05)
        for _ in range(1000):
            times["process_time"] += 0.001
            times["perf_counter"] += 0.005
            gain.note_ahead()
            assert gain.pays

    def test_a_busy_processor_has_it_tried_without(self, times: dict[str, float]) -> None:
        gain = Gain()
        gain.note_own(0.05)
        tried_after = []
        for answer in range(1, 400):
            times["process_time"] += 0.001
            times["perf_counter"] += 0.001
            gain.note_ahead()
            if not gain.pays:
                tried_after.append(answer)
                for _ in range(ahead._SAMPLE):
                    assert not gain.pays
                    gain.note_own(0.05)
        # Ever more seldom, since the answers were slow each time.
        assert tried_after == [16, 16 + 64, 16 + 64 + 256]

    def test_where_threads_turn_out_not_to_pay_it_stays_without(self, times: dict[str, float]) -> None:
        gain = Gain()
        gain.note_own(0.05)
        for _ in range(16):
            times["process_time"] += 0.001
            times["perf_counter"] += 0.001
            gain.note_ahead()
        for _ in range(1000):
            gain.note_own(0.0002)
        assert not gain.pays

    def test_a_source_whose_answers_do_not_wait_starts_no_thread(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(ahead, "_WORTH_IT", float("inf"))
        fetch = Fetching()
        source = Ahead(fetch, max_concurrency=8)
        for number in range(10):
            source.get(request(number))
            source.expect(requests(number + 1, 100))
        assert fetch.begun == list(range(10))
        assert source._threads == 0


class TestStop:
    def test_it_ends_a_wait(self) -> None:
        stop = Stop()
        clock = FakeClock()
        stop.sleep(clock, 5.0)
        stop.set()
        with pytest.raises(Stopped):
            stop.sleep(clock, 5.0)
        with pytest.raises(Stopped):
            stop.check()

    def test_whoever_is_stopped_takes_no_turn_from_others(self) -> None:
        clock = FakeClock()
        pace = Pace(clock, requests_per_second=1, max_concurrency=4)
        stop = Stop()
        with pace.slot():
            pass
        stop.set()
        for _ in range(5):
            with pytest.raises(Stopped), pace.slot(stop):
                pass
        with pace.slot():
            assert clock.now == 1_001.0


@pytest.mark.usefixtures("always_early")
def test_nothing_is_begun_after_an_error() -> None:
    class Failing(Fetching):
        def __call__(self, request: Request, stop: Stop) -> Answer:
            if request.path == "/2":
                raise ValueError("no")
            return super().__call__(request, stop)

    fetch = Failing(held=True)
    source = Ahead(fetch, max_concurrency=3)
    source.get(request(0))
    source.expect(requests(1, 100))
    fetch.wait_for(2)
    with source._lock:
        assert source._arrived.wait_for(lambda: source._line[1].done, PATIENCE)
    fetch.let_go()
    source.get(request(1))
    source.expect(requests(2, 100))
    with pytest.raises(ValueError, match="no"):
        source.get(request(2))
    assert {0, 1} <= set(fetch.begun) <= {0, 1, 3}
    assert not source._due
    source.close()
