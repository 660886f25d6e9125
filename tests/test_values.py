"""One reading of strings as numbers, flags, choices and times."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_finauth import values
from airflow_provider_finauth.exceptions import ConfigurationError
from airflow_provider_finauth.values import Unreadable

HUGE = pytest.param(10**5000, id="huge")  # too long for Python to write it
DEEP = "[" * 100_000


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (7, 7),
        (" 7 ", 7),
        ("007", 7),
        ("-7", -7),
        ("4.0", 4),
        (4.0, 4),
        (Decimal("4.00"), 4),
        ("1e3", 1000),
        ("2_000_000", 2_000_000),
        ("999999999999999999", 10**18 - 1),
    ],
)
def test_whole_numbers(value: object, expected: int) -> None:
    found = values.integer(value)
    assert (type(found), found) == (int, expected)


@pytest.mark.parametrize(
    "value",
    [
        True,
        None,
        "",
        "x",
        "1.5",
        1.5,
        "nan",
        "inf",
        math.inf,
        10**18,
        "1000000000000000000",
        HUGE,
        pytest.param("9" * 5000, id="long"),
        "1e999999999",
        "1.0000000000000000000000000000001",
        b"7",
        [7],
    ],
)
def test_what_is_no_whole_number_is_refused(value: object) -> None:
    with pytest.raises(Unreadable) as caught:
        values.integer(value)
    assert caught.value.expected == "a whole number"


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"minimum": 1}, "a whole number of at least 1"),
        ({"maximum": -1}, "a whole number of at most -1"),
        ({"minimum": 1, "maximum": 9}, "a whole number from 1 to 9"),
    ],
)
def test_a_whole_number_out_of_range_is_told_the_range(limits: dict[str, int], expected: str) -> None:
    with pytest.raises(Unreadable) as caught:
        values.integer("0", **limits)
    assert caught.value.expected == expected
    for limit in limits.values():
        assert values.integer(str(limit), **limits) == limit


@given(st.integers(min_value=1 - 10**18, max_value=10**18 - 1))
def test_every_whole_number_of_18_digits_is_read_exactly(value: int) -> None:
    assert values.integer(str(value)) == values.integer(f"{value}.0") == value


@pytest.mark.parametrize(
    ("value", "expected"), [(1, 1.0), (" 1.5 ", 1.5), ("-1e-3", -0.001), (Decimal("0.1"), 0.1), (2.5, 2.5)]
)
def test_numbers(value: object, expected: float) -> None:
    found = values.number(value)
    assert (type(found), found) == (float, expected)


@pytest.mark.parametrize(
    "value", [True, None, "", "soon", "nan", "sNaN", "inf", "1e400", math.nan, math.inf, HUGE, b"1"]
)
def test_what_is_no_finite_number_is_refused(value: object) -> None:
    with pytest.raises(Unreadable) as caught:
        values.number(value)
    assert caught.value.expected == "a number"


def test_a_number_may_have_a_minimum() -> None:
    assert values.number("0.5", minimum=0.5) == 0.5
    with pytest.raises(Unreadable) as caught:
        values.number("0.4", minimum=0.5)
    assert caught.value.expected == "a number of at least 0.5"


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_number_is_read_exactly(value: float) -> None:
    assert values.number(value) == values.number(repr(value)) == value


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([True, 1, "true", "T", "Yes", "y", " ON ", "1"], True),
        ([False, 0, "false", "F", "No", "n", " OFF ", "0"], False),
    ],
)
def test_flags(words: list[object], expected: bool) -> None:
    assert [values.flag(word) for word in words] == [expected] * len(words)


@pytest.mark.parametrize("value", [None, "", "perhaps", "none", 2, HUGE, 1.0, [], "truefalse"])
def test_what_is_no_flag_is_refused(value: object) -> None:
    with pytest.raises(Unreadable) as caught:
        values.flag(value)
    assert caught.value.expected == "true or false"


def test_choices() -> None:
    assert values.choice(" b ", ("a", "b")) == "b"
    for value in ("B", "", "c", None, 1, ["a"]):
        with pytest.raises(Unreadable) as caught:
            values.choice(value, ("a", "b"))
        assert caught.value.expected == "one of a, b"


def test_a_string_stays_as_it_is() -> None:
    assert values.string(" a ") == " a "
    for value in ("", "  ", None, 1, b"a"):
        with pytest.raises(Unreadable, match="a string"):
            values.string(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ()),
        ("", ()),
        (" a, b ,,c", ("a", "b", "c")),
        ("912345678", ("912345678",)),
        (912345678, ("912345678",)),
        (' ["a,b", 2, ""]', ("a,b", "2")),
        ([" a ", 2, Decimal("1.50")], ("a", "2", "1.50")),
        (iter(("a", "b")), ("a", "b")),
        ([], ()),
    ],
)
def test_several_strings(value: object, expected: tuple[str, ...]) -> None:
    assert values.strings(value) == expected


@pytest.mark.parametrize(
    "value",
    ["[1, 2", "[true]", "[null]", '[["a"]]', [None], [True], [["a"]], {"a": 1}, True, b"a", DEEP, HUGE],
)
def test_what_is_no_list_of_strings_is_refused(value: object) -> None:
    with pytest.raises(Unreadable) as caught:
        values.strings(value)
    assert caught.value.expected == "a comma-separated string or a JSON list"


@given(st.lists(st.text(min_size=1).filter(lambda item: item == item.strip())))
def test_a_list_and_its_json_are_read_alike(items: list[str]) -> None:
    assert values.strings(items) == values.strings(json.dumps(items)) == tuple(items)


def test_mappings() -> None:
    assert values.mapping('{"A": 1}') == values.mapping({"A": 1}) == {"A": 1}
    for value in ("Accept: x", "[1]", "", None, ["x"], 1, '{"a":' + DEEP):
        with pytest.raises(Unreadable) as caught:
            values.mapping(value)
        assert caught.value.expected == "a JSON object"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (timedelta(hours=1), timedelta(hours=1)),
        (90, timedelta(seconds=90)),
        ("90", timedelta(seconds=90)),
        (1.5, timedelta(seconds=1.5)),
        ("30s", timedelta(seconds=30)),
        ("90 m", timedelta(minutes=90)),
        (" 36H ", timedelta(hours=36)),
        ("1.5d", timedelta(hours=36)),
        ("1w", timedelta(weeks=1)),
        (0, timedelta(0)),
    ],
)
def test_durations(value: object, expected: timedelta) -> None:
    assert values.duration(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        "",
        "h",
        "soon",
        "36x",
        "-1",
        -1,
        "-1h",
        timedelta(-1),
        "nan",
        "inf",
        "1e300",
        1e300,
        "1h30m",
    ],
)
def test_what_is_no_duration_is_refused(value: object) -> None:
    with pytest.raises(Unreadable) as caught:
        values.duration(value)
    assert caught.value.expected == "a number of seconds, a timedelta or a string like 36h"


EAST = timezone(timedelta(hours=2))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        (" 2026-01-31T09:00:00Z ", datetime(2026, 1, 31, 9, tzinfo=UTC)),
        ("2026-01-31 09:00:00+02:00", datetime(2026, 1, 31, 7, tzinfo=UTC)),
        (date(2026, 1, 31), datetime(2026, 1, 31, tzinfo=UTC)),
        (datetime(2026, 1, 31, 9), datetime(2026, 1, 31, 9, tzinfo=UTC)),
        (datetime(2026, 1, 31, 9, tzinfo=EAST), datetime(2026, 1, 31, 7, tzinfo=UTC)),
    ],
)
def test_moments(value: values.When, expected: datetime) -> None:
    found = values.moment(value)
    assert (found, found.tzinfo) == (expected, UTC)


@pytest.mark.parametrize(
    "value", ["yesterday", "", "31.01.2026", "2026-13-01", 20260131, None, 3.5, "None", b"2026-01-31"]
)
def test_what_is_no_moment_is_refused(value: Any) -> None:
    with pytest.raises(Unreadable) as caught:
        values.moment(value)
    assert caught.value.expected == "a date like 2026-01-31 or 2026-01-31T09:00:00Z"


@pytest.mark.parametrize("value", ["0001-01-01T00:00:00+10:00", datetime.max.replace(tzinfo=timezone.min)])
def test_a_moment_beyond_all_years_is_refused(value: values.When) -> None:
    with pytest.raises(Unreadable, match="between the years 1 and 9999"):
        values.moment(value)


@pytest.mark.parametrize(
    "value",
    [
        "2026-10-01",
        " 2026-10-01 ",
        date(2026, 10, 1),
        datetime(2026, 10, 1),
        "2026-10-01T00:00:00",
        "2026-10-01T00:00:00+00:00",
        "2026-10-01T00:00:00-05:00",
        datetime(2026, 10, 1, tzinfo=ZoneInfo("Europe/Helsinki")),
    ],
)
@pytest.mark.parametrize("zone", [None, "Europe/Helsinki"])
def test_a_day_is_a_midnight_by_its_own_clock(value: values.When, zone: str | None) -> None:
    found = values.day(value, zone)
    assert (type(found), found) == (date, date(2026, 10, 1))


def test_a_day_is_a_midnight_in_the_apis_zone() -> None:
    assert values.day("2026-09-30T21:00:00+00:00", "Europe/Helsinki") == date(2026, 10, 1)
    assert values.day(datetime(2026, 12, 31, 22, tzinfo=UTC), "Europe/Helsinki") == date(2027, 1, 1)
    # In Santiago clocks go from 23:59 to 01:00 that night.
    assert values.day("2026-09-06T04:00:00Z", "America/Santiago") == date(2026, 9, 6)


@pytest.mark.parametrize(
    ("value", "zone"),
    [
        ("2026-09-30T21:00:00+00:00", None),
        ("2026-09-30T21:00:00+00:00", "Europe/Oslo"),
        ("2026-10-01T00:00:00.000001", "Europe/Helsinki"),
        (datetime(2026, 10, 1, 12), None),
        (datetime.max.replace(tzinfo=UTC), "Europe/Helsinki"),
    ],
)
def test_what_is_no_midnight_is_no_day(value: Any, zone: str | None) -> None:
    with pytest.raises(Unreadable) as caught:
        values.day(value, zone)
    assert caught.value.expected == "a midnight (a date like 2026-01-31), since the API knows only days"


@pytest.mark.parametrize("value", ["yesterday", None, 20261001])
def test_what_is_no_date_is_no_day(value: Any) -> None:
    with pytest.raises(Unreadable, match="a date like 2026-01-31 or 2026-01-31T09:00:00Z"):
        values.day(value)


@given(st.dates(), st.sampled_from(["Europe/Helsinki", "America/Santiago", "Asia/Beirut", "UTC"]))
def test_every_midnight_handed_over_in_utc_is_its_day(value: date, zone: str) -> None:
    midnight = datetime(value.year, value.month, value.day, tzinfo=ZoneInfo(zone))
    try:
        utc = midnight.astimezone(UTC)
    except OverflowError:
        return
    expected = {value} | ({utc.date()} if utc.time() == datetime.min.time() else set())
    assert values.day(utc, zone) in expected


def test_timestamps_have_microseconds_only_where_there_are_any() -> None:
    assert values.timestamp(datetime(2026, 1, 31)) == "2026-01-31T00:00:00Z"
    assert values.timestamp(datetime(2026, 1, 31, 9, 0, 0, 500_000, EAST)) == "2026-01-31T07:00:00.500000Z"


@given(st.datetimes(), st.sampled_from([None, UTC]))
def test_microseconds_are_exact(value: datetime, zone: timezone | None) -> None:
    assert (
        datetime(1970, 1, 1) + timedelta(microseconds=values.microseconds(value.replace(tzinfo=zone)))
        == value
    )


@given(st.datetimes(timezones=st.timezones() | st.none()))
def test_a_timestamp_is_read_as_the_moment_that_was_written(value: datetime) -> None:
    try:
        expected = values.moment(value)
    except Unreadable:
        return
    assert values.moment(values.timestamp(value)) == expected


def test_moments_of_airflow_are_read_like_the_standard_librarys() -> None:
    pendulum = pytest.importorskip("pendulum")
    value = pendulum.datetime(2026, 10, 1, tz="Europe/Helsinki")
    assert type(values.moment(value)) is datetime
    assert values.timestamp(value) == "2026-09-30T21:00:00Z"
    assert values.microseconds(value) == 1_790_802_000_000_000
    assert values.day(value) == values.day(value.in_timezone("UTC"), "Europe/Helsinki") == date(2026, 10, 1)
    assert values.moment(pendulum.date(2026, 10, 1)) == datetime(2026, 10, 1, tzinfo=UTC)
    assert values.duration(pendulum.duration(hours=36)) == timedelta(hours=36)


def test_an_argument_is_named() -> None:
    assert values.argument("page_size", values.integer, "5", minimum=1) == 5
    assert values.argument("zone_day", values.day, "2026-09-30T22:00:00Z", "Europe/Oslo") == date(2026, 10, 1)
    with pytest.raises(ConfigurationError) as caught:
        values.argument("page_size", values.integer, "x", minimum=1)
    assert str(caught.value) == "Argument 'page_size' must be a whole number of at least 1, not 'x'."
    assert caught.value.field == "page_size"


@given(
    st.sampled_from(
        [
            values.integer,
            values.number,
            values.flag,
            values.string,
            values.strings,
            values.mapping,
            values.duration,
            values.moment,
            values.day,
        ]
    ),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.decimals(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ),
)
def test_nothing_but_unreadable_is_raised(read: Any, value: Any) -> None:
    with suppress(Unreadable):
        read(value)
