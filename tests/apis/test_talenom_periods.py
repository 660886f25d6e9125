"""Which of Talenom's vouchers are read again."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_finauth.apis.talenom_periods import seen_locked, spans_to_read

DAY = timedelta(days=1)
LOCKED = {"startDate": "2025-01-01", "endDate": "2025-12-31T00:00:00", "locked": True}


def test_locked_periods_are_noted_once() -> None:
    now = datetime(2026, 2, 1, 6, tzinfo=UTC)
    noted = seen_locked([LOCKED, {**LOCKED, "startDate": "2024-01-01", "endDate": "2024-12-31"}], {}, now)
    assert noted == dict.fromkeys(
        ["2025-01-01/2025-12-31", "2024-01-01/2024-12-31"], "2026-02-01T06:00:00+00:00"
    )
    later = seen_locked([LOCKED], noted, now + DAY)
    assert later == {"2025-01-01/2025-12-31": "2026-02-01T06:00:00+00:00"}
    assert seen_locked([{**LOCKED, "locked": False}], later, now) == {}, "opened again"


@pytest.mark.parametrize(
    "period",
    [
        {**LOCKED, "locked": None},
        {**LOCKED, "locked": "yes"},
        {**LOCKED, "startDate": None},
        {**LOCKED, "endDate": "some day"},
        {**LOCKED, "startDate": "2026-01-01"},
        {"locked": True},
        {**LOCKED, "endDate": "9999-12-31"},
        {**LOCKED, "startDate": "0001-01-01"},
        "a period",
    ],
)
def test_what_is_no_locked_period_is_read(period: Any) -> None:
    assert seen_locked([period], {}, datetime.now(UTC)) == {}


def test_all_days_are_read_but_those_locked_before() -> None:
    seen, since = "2026-02-01T00:00:00Z", datetime(2026, 2, 1, tzinfo=UTC)
    locked = {"2024-01-01/2024-12-31": seen, "2022-01-01/2022-12-31": seen, "2023-01-01/2023-12-31": seen}
    rest = [(None, date(2021, 12, 31)), (date(2025, 1, 1), None)]
    assert spans_to_read(locked, since) == rest
    assert spans_to_read(locked, since - timedelta(seconds=1)) == [(None, None)]
    assert spans_to_read(locked, None) == [(None, None)]
    assert spans_to_read({}, since, date(2026, 1, 1)) == [(date(2026, 1, 1), None)]
    assert spans_to_read(locked, since, date(2023, 6, 1)) == [(date(2025, 1, 1), None)]
    assert spans_to_read({**locked, "2023-06-01/2025-06-30": seen}, since) == [
        (None, date(2021, 12, 31)),
        (date(2025, 7, 1), None),
    ]
    assert spans_to_read({"2023-01-01/2023-12-31": seen}, since, date(2022, 1, 1)) == [
        (date(2022, 1, 1), date(2022, 12, 31)),
        (date(2024, 1, 1), None),
    ]


DAYS = st.dates(date(2020, 1, 1), date(2026, 12, 31))


@given(st.lists(st.tuples(DAYS, st.integers(0, 700), st.booleans()), max_size=8), st.none() | DAYS, DAYS)
def test_a_day_is_read_unless_a_period_leaves_it_out(
    periods: list[tuple[date, int, bool]], floor: date | None, day: date
) -> None:
    since = datetime(2026, 2, 1, tzinfo=UTC)
    spans = [(first, first + timedelta(days=length), lately) for first, length, lately in periods]
    locked = {f"{first}/{last}": (since + DAY * lately).isoformat() for first, last, lately in spans}
    lately_of = {f"{first}/{last}": lately for first, last, lately in spans}
    left_out = any(first <= day <= last and not lately_of[f"{first}/{last}"] for first, last, _ in spans)
    found = spans_to_read(locked, since, floor)
    reading = [(a is None or a <= day) and (b is None or day <= b) for a, b in found]
    assert sum(reading) == (not left_out and (floor is None or floor <= day)), "and no day twice"
    assert all(a is None or b is None or a <= b for a, b in found)


@pytest.mark.parametrize("edited", [None, [], "x", {"2025-01-01/2025-12-31": 5}])
def test_a_note_that_a_person_has_spoilt_leaves_nothing_out(edited: Any) -> None:
    now = datetime(2026, 2, 1, 6, tzinfo=UTC)
    assert spans_to_read(seen_locked([LOCKED], edited, now), now - DAY) == [(None, None)]
