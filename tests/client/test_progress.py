from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_finauth.client.paging.base import Page
from airflow_provider_finauth.client.paging.rows import Rows
from airflow_provider_finauth.client.progress import Progress, log_progress, watched
from tests.client.support import FakeClock


@dataclass
class Counted:
    """What a pull counts, as far as it is told."""

    pages: int = 0
    records: int = 0
    total: int | None = None


class Pulled:
    """Pages that take their time.

    :param seconds: that each page takes
    :param size: records of each
    :param total: what the API says
    :param earlier: records that came before
    """

    def __init__(
        self, seconds: Iterable[float], *, size: int = 10, total: int | None = None, earlier: int = 0
    ) -> None:
        self.clock = FakeClock()
        self.tally = Counted(records=earlier, total=total)
        self.told: list[Progress] = []
        self.closed = False
        self._seconds = seconds
        self._size = size

    def __iter__(self) -> Iterator[Page]:
        try:
            for number, seconds in enumerate(self._seconds, 1):
                self.clock.now += seconds
                self.tally.pages += 1
                self.tally.records += self._size
                yield Page(Rows([b"{}"] * self._size), number)
        finally:
            self.closed = True

    def watched(self, **options: Any) -> Iterator[Page]:
        return watched(iter(self), self.tally, tell=self.told.append, clock=self.clock, **options)


@given(st.lists(st.floats(0, 100), max_size=30), st.floats(0, 50))
def test_pages_pass_unchanged(seconds: list[float], every: float) -> None:
    pulled = Pulled(seconds)
    given = list(pulled.watched(every=every))
    assert [page.number for page in given] == list(range(1, len(seconds) + 1))
    assert pulled.closed


def test_a_short_pull_is_not_spoken_of() -> None:
    pulled = Pulled([1.0] * 29)
    assert len(list(pulled.watched())) == 29
    assert pulled.told == []


def test_a_long_one_is_every_thirty_seconds() -> None:
    pulled = Pulled([10.0] * 10, total=1000)
    list(pulled.watched())
    assert [progress.seconds for progress in pulled.told] == [30.0, 60.0, 90.0]
    assert pulled.told[0] == Progress(pages=3, records=30, total=1000, seconds=30.0, rate=1.0, left=970.0)
    assert pulled.told[-1].left == 910.0


def test_the_page_that_is_waited_for_is_told_when_it_comes() -> None:
    pulled = Pulled([0.0, 400.0, 0.0])
    list(pulled.watched())
    assert [(progress.seconds, progress.pages) for progress in pulled.told] == [(400.0, 2)]


def test_it_is_told_before_the_page_is_passed_on() -> None:
    pulled = Pulled([31.0])
    next(pulled.watched())
    assert len(pulled.told) == 1


def test_each_page_by_choice() -> None:
    pulled = Pulled([0.0, 0.0, 0.0])
    list(pulled.watched(every=0.0))
    assert [progress.records for progress in pulled.told] == [10, 20, 30]
    # No time has passed, so nobody knows.
    assert {(progress.rate, progress.left) for progress in pulled.told} == {(0.0, None)}


def test_what_came_before_does_not_count_as_speed() -> None:
    pulled = Pulled([100.0], size=50, earlier=900, total=1000)
    list(pulled.watched())
    assert pulled.told == [Progress(pages=1, records=950, total=1000, seconds=100.0, rate=0.5, left=100.0)]


@pytest.mark.parametrize(
    ("total", "limit", "shown", "left"),
    [
        (None, None, None, None),
        (400, None, 400, 30.0),
        # It is surpassed, so it is not to be trusted.
        (99, None, None, None),
        (400, 200, 200, 10.0),
        # The last page may hold more than is wanted.
        (400, 60, 60, 0.0),
        (None, 200, None, None),
    ],
)
def test_the_time_left(total: int | None, limit: int | None, shown: int | None, left: float | None) -> None:
    pulled = Pulled([10.0], size=100, total=total)
    list(pulled.watched(every=0.0, limit=limit))
    assert [(progress.total, progress.left) for progress in pulled.told] == [(shown, left)]


def test_closing_closes_the_one_inside() -> None:
    pulled = Pulled([0.0, 0.0])
    pages = pulled.watched()
    next(pages)
    assert not pulled.closed
    pages.close()  # type: ignore[attr-defined]
    assert pulled.closed


def test_an_error_goes_through() -> None:
    pulled = Pulled(1 / number for number in (1, 0))
    pages = pulled.watched()
    next(pages)
    with pytest.raises(ZeroDivisionError):
        next(pages)
    assert pulled.closed


@pytest.mark.parametrize(
    ("progress", "text"),
    [
        (
            Progress(pages=3, records=3000, total=9000, seconds=30.0, rate=100.0, left=7260.4),
            "Pulling items: 3 pages, 3000 of 9000 records, 100 a second, about 2:01:00 left",
        ),
        (
            Progress(pages=3, records=3000, total=None, seconds=30.0, rate=99.6, left=None),
            "Pulling items: 3 pages, 3000 records, 100 a second",
        ),
    ],
)
def test_the_line_in_the_log(progress: Progress, text: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "a.log"):
        log_progress(logging.getLogger("a.log"), "items")(progress)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [("INFO", text)]
