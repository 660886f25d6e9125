from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_finauth.sandbox.odata import ODataError, parse_filter, parse_names, parse_order

ROW: dict[str, Any] = {
    "Id": 7,
    "Name": "O'Hara",
    "Cost": Decimal("12.50"),
    "Open": True,
    "When": "2026-03-01T10:00:00Z",
    "Gone": None,
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Id eq 7", True),
        ("Id ne 7", False),
        ("Id ge 7 and Id le 7 and Id lt 8 and Id gt 6", True),
        ("Id eq 1 or Id eq 7 and Open eq true", True),
        ("(Id eq 1 or Id eq 7) and Open eq false", False),
        ("not Open eq true", False),
        ("Name eq 'O''Hara'", True),
        ("startswith(Name,'O') and endswith(Name, 'ra') and contains(Name,'''')", True),
        ("Cost gt 12.49", True),
        ("When ge 2026-03-01T11:00:00+01:00", True),
        ("When lt 2026-03-01", False),
        ("Gone eq null", True),
        ("Gone ne null", False),
        ("Gone ge 3", False),
        ("Gone ne 3", True),
    ],
)
def test_filters(text: str, expected: bool) -> None:
    assert parse_filter(text, ROW)(ROW) is expected


@pytest.mark.parametrize(
    "text", ["", "Id", "Id eq", "Id eq 7 and", "Id eq 7)", "eq 7", "Id eq $", "contains(Name, 3)", "Who eq 1"]
)
def test_what_is_not_a_filter(text: str) -> None:
    with pytest.raises(ODataError):
        parse_filter(text, ROW)


@pytest.mark.parametrize("text", ["Id eq '7'", "Name eq 7", "Open eq 1", "Id eq 2026-01-01"])
def test_kinds_are_not_mixed(text: str) -> None:
    test = parse_filter(text, ROW)
    with pytest.raises(ODataError):
        test(ROW)


@given(st.text())
def test_any_text_can_be_quoted(text: str) -> None:
    quoted = text.replace("'", "''")
    assert parse_filter(f"Name eq '{quoted}'", ROW)({**ROW, "Name": text})


@given(st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)))
def test_times_compare_as_times(one: datetime, other: datetime) -> None:
    row = {**ROW, "When": one.isoformat()}
    assert parse_filter(f"When lt {other.isoformat()}", ROW)(row) is (one < other)


def test_order_and_names() -> None:
    assert parse_order("Id desc, Name", ROW) == [("Id", True), ("Name", False)]
    assert parse_names("Id, Name", ROW, "property") == ["Id", "Name"]
    for text in ("Who", "Id down", ""):
        with pytest.raises(ODataError):
            parse_order(text, ROW)
