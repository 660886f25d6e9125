"""When a record changed, however it says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_finauth.client.paging.changes import Changes, moment_of
from airflow_provider_finauth.client.paging.rows import Rows

MOMENT = datetime(2026, 1, 31, 9, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        "2026-01-31T09:00:00Z",
        "2026-01-31t09:00:00z",  # as RFC 3339 allows
        "2026-01-31T09:00:00",
        " 2026-01-31 10:00:00+01:00",
        "2026-01-31T09:00:00.0000000Z",  # .NET writes seven digits
        1769850000,
        1769850000000,
        1769850000000000,
        "1769850000000000",
        Decimal("1769850000.0"),
    ],
)
def test_moments(value: Any) -> None:
    assert moment_of(value) == MOMENT
    assert moment_of(value).tzinfo is UTC  # type: ignore[union-attr]


def test_dates_and_fractions() -> None:
    assert moment_of("2026-01-31") == datetime(2026, 1, 31, tzinfo=UTC)
    assert moment_of(" 20260131") == datetime(2026, 1, 31, tzinfo=UTC), "not seconds of the year 1970"
    assert moment_of("2026-01-31T09:00:00.123456Z") == MOMENT + timedelta(microseconds=123456)
    assert moment_of(Decimal("1769850000.25")) == MOMENT + timedelta(seconds=0.25)
    assert moment_of("0001-01-01T00:00:00") == datetime(1, 1, 1, tzinfo=UTC)
    assert moment_of(1769850000000001) == MOMENT + timedelta(microseconds=1)


@pytest.mark.parametrize(
    "value",
    [
        None, "", "soon", True, [], {}, 1.5, 10**18, "9" * 5000, Decimal("1e999999999"), Decimal("nan"),
        "0001-01-01T00:00:00+05:00", "2026-13-01",
    ],
)  # fmt: skip
def test_no_moments(value: Any) -> None:
    assert moment_of(value) is None


@given(
    st.datetimes(
        min_value=datetime(1974, 1, 1),
        max_value=datetime(2500, 1, 1),
        timezones=st.builds(timezone, st.timedeltas(timedelta(hours=-14), timedelta(hours=14))),
    )
)
def test_microseconds_are_exact(moment: datetime) -> None:
    counted = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert moment_of(counted) == moment
    assert moment_of(moment.astimezone(UTC).isoformat()) == moment


def test_a_record_changed_at_the_latest_of_its_moments() -> None:
    changes = Changes(fields=("updated", "meta.deleted"), deleted=("state", "Deleted"))
    rows = Rows.of(
        [
            {"updated": "2026-01-02", "meta": {"deleted": "2026-01-03"}, "state": "Deleted"},
            {"updated": "2026-01-02", "meta": {"deleted": None}},
            {"meta": None, "updated": "2026-01-02"},
            {"other": 1},
        ]
    )
    assert [None if found is None else found.day for found in changes.moments(rows)] == [3, 2, 2, None]
    assert changes.count_deleted(rows) == 1
    assert Changes(fields=("updated",)).count_deleted(rows) == 0
    assert changes.moments(Rows([])) == []
