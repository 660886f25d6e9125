from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_finauth.apis.dates import day, microseconds, moment, require_order, timestamp
from airflow_provider_finauth.exceptions import ConfigurationError


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        (" 2026-01-31T09:00:00Z ", datetime(2026, 1, 31, 9, tzinfo=UTC)),
        ("2026-01-31 09:00:00+02:00", datetime(2026, 1, 31, 7, tzinfo=UTC)),
        (date(2026, 1, 31), datetime(2026, 1, 31, tzinfo=UTC)),
        (datetime(2026, 1, 31, 9), datetime(2026, 1, 31, 9, tzinfo=UTC)),
        (datetime(2026, 1, 31, 9, tzinfo=timezone(timedelta(hours=2))), datetime(2026, 1, 31, 7, tzinfo=UTC)),
    ],
)
def test_moment(value: object, expected: datetime) -> None:
    assert moment("since", value) == expected


@pytest.mark.parametrize("value", ["yesterday", "", "31.01.2026", "2026-13-01", 20260131, None, 3.5, "None"])
@pytest.mark.parametrize("function", [moment, day, timestamp, microseconds])
def test_what_is_no_date_is_named(function, value: object) -> None:
    with pytest.raises(ConfigurationError, match="'since' must be a date") as caught:
        function("since", value)
    assert caught.value.field == "since"


def test_a_day_is_the_one_that_the_value_names() -> None:
    late = datetime(2026, 1, 31, 23, 30, tzinfo=timezone(timedelta(hours=-5)))
    assert day("since", late) == "2026-01-31"
    assert day("since", late.isoformat()) == "2026-01-31"
    assert day("since", "2026-01-31") == day("since", date(2026, 1, 31)) == "2026-01-31"


def test_timestamp() -> None:
    assert timestamp("since", "2026-01-31") == "2026-01-31T00:00:00Z"
    assert timestamp("since", "2026-01-31T09:00:00.5+01:00") == "2026-01-31T08:00:00.500000Z"


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2200, 1, 1)))
def test_microseconds_are_exact(value: datetime) -> None:
    assert datetime(1970, 1, 1) + timedelta(microseconds=microseconds("since", value)) == value


def test_a_moment_beyond_all_years() -> None:
    with pytest.raises(ConfigurationError, match="between the years"):
        moment("since", "0001-01-01T00:00:00+10:00")


def test_a_window_has_an_order() -> None:
    require_order("2026-01-01", "2026-01-01")
    require_order("2026-01-01T10:00:00+02:00", "2026-01-01T09:00:00Z")
    with pytest.raises(ConfigurationError, match="'since'.* lies after 'until'") as caught:
        require_order("2026-02-01", date(2026, 1, 1))
    assert caught.value.field == "since"
