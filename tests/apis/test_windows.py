"""The half-open time of a pull, as an API can be asked for it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_finauth.apis.windows import days, moments
from airflow_provider_finauth.client.paging.rows import Rows
from airflow_provider_finauth.exceptions import ConfigurationError

MOMENTS = st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.just(UTC))
DATES = st.dates(min_value=date(1970, 1, 2), max_value=date(2200, 1, 1))


def test_days() -> None:
    """The last day that is wanted lies before the first moment that is not."""
    window = days("2026-01-31", date(2026, 3, 1))
    assert (window.first, window.last) == ("2026-01-31", "2026-02-28")
    assert (days(None, None).first, days("", "").last) == (None, None)


def test_a_midnight_of_the_apis_own_zone_is_a_day() -> None:
    for time in ("", "T00:00:00+03:00", "T00:00:00Z"):
        assert days(f"2026-07-01{time}", None, zone="Europe/Helsinki").first == "2026-07-01"
    assert days("2026-06-30T21:00:00+00:00", None, zone="Europe/Helsinki").first == "2026-07-01"
    with pytest.raises(ConfigurationError, match="'since' must be a midnight"):
        days("2026-06-30T21:00:00+00:00", None)


@pytest.mark.parametrize("value", ["yesterday", "31.01.2026", "2026-13-01", 20260131, 3.5, 0, False, []])
@pytest.mark.parametrize("read", [days, moments])
def test_what_is_no_date_is_named(read: Any, value: Any) -> None:
    for argument in ("since", "until"):
        with pytest.raises(ConfigurationError, match=f"'{argument}' must be a date") as caught:
            read(**{"since": None, "until": None, argument: value})
        assert caught.value.field == argument


def test_moments() -> None:
    window = moments("2026-01-31", "2026-01-31T09:00:00.5+01:00")
    assert (window.since_text, window.until_text) == ("2026-01-31T00:00:00Z", "2026-01-31T08:00:00.500000Z")
    zone = timezone(timedelta(hours=2))
    assert moments(datetime(2026, 1, 31, 9), None).since == datetime(2026, 1, 31, 9, tzinfo=UTC)
    assert moments(None, datetime(2026, 1, 31, 9, tzinfo=zone)).until == datetime(2026, 1, 31, 7, tzinfo=UTC)


def test_a_moment_beyond_all_years() -> None:
    with pytest.raises(ConfigurationError, match="between the years"):
        moments("0001-01-01T00:00:00+10:00", None)
    with pytest.raises(ConfigurationError, match="no day lies before"):
        days(None, date.min)


@pytest.mark.parametrize("read", [days, moments])
def test_a_window_has_an_order_and_a_length(read: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"'since'.* lies after 'until'") as caught:
        read("2026-02-01", date(2026, 1, 1))
    assert caught.value.field == "since"
    with pytest.raises(ConfigurationError, match="the window is empty"):
        read("2026-02-01", datetime(2026, 2, 1, tzinfo=UTC))


@given(st.sets(DATES, min_size=3, max_size=3))
def test_each_day_lies_in_one_of_two_windows_that_adjoin(found: set[date]) -> None:
    first, edge, last = sorted(found)
    one, two = days(first, edge), days(edge, last)
    assert one.last is not None
    assert two.first is not None
    assert date.fromisoformat(one.last) + timedelta(days=1) == date.fromisoformat(two.first)


@given(st.lists(MOMENTS, max_size=8), st.sets(MOMENTS, min_size=3, max_size=3))
def test_each_record_lies_in_one_of_windows_that_adjoin(times: list[datetime], found: set[datetime]) -> None:
    rows = Rows.of({"id": at, "at": time.isoformat()} for at, time in enumerate(times))
    kept: list[int] = []
    for since, until in pairwise([None, *sorted(found), None]):
        cut = moments(since, until).cut_by("at")
        assert cut is not None
        kept += [record["id"] for record in rows.without(cut.sort(rows)[0]).records]
    assert sorted(kept) == list(range(len(times)))


def test_a_record_without_a_time_is_kept() -> None:
    cut = moments("2026-01-01", "2026-02-01").cut_by("at")
    assert cut is not None
    assert cut.sort(Rows.of([{"at": None}, {}, {"at": "2025-12-31"}, {"at": "soon"}])) == ({2}, 3)
    assert moments(None, None).cut_by("at") is None
