from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_finauth.exceptions import ResultTooLargeError
from airflow_provider_finauth.sinks.xcom import collect

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def test_fractions_become_texts_and_stay_exact() -> None:
    record = {"sum": Decimal("12345678901234567.89"), "lines": [{"vat": Decimal("0.10")}], "count": 3}
    assert collect([record], max_records=1, max_bytes=1000) == [
        {"sum": "12345678901234567.89", "lines": [{"vat": "0.10"}], "count": 3}
    ]


@given(st.lists(JSON, max_size=5))
def test_what_json_knows_passes_unchanged(records: list[Any]) -> None:
    assert collect(records, max_records=5, max_bytes=1 << 20) == records


@given(st.lists(JSON, min_size=1, max_size=5))
def test_bytes_are_those_of_the_json(records: list[Any]) -> None:
    size = len(msgspec.json.encode(records))
    # One byte of leeway: the comma after the last record is counted too.
    assert collect(records, max_records=5, max_bytes=size + 1) == records
    with pytest.raises(ResultTooLargeError):
        collect(records, max_records=5, max_bytes=size)


def test_limits_are_inclusive_and_say_what_to_do() -> None:
    assert len(collect(range(3), max_records=3, max_bytes=100)) == 3
    with pytest.raises(ResultTooLargeError, match="2 records.*Set 'destination'.*max_xcom_records"):
        collect(range(3), max_records=2, max_bytes=100)
    with pytest.raises(ResultTooLargeError, match="5 bytes.*Set 'destination'.*max_xcom_bytes"):
        collect(range(3), max_records=3, max_bytes=5)


def test_reading_stops_at_the_limit() -> None:
    read = []

    def records() -> Iterator[int]:
        for number in range(1000):
            read.append(number)
            yield number

    with pytest.raises(ResultTooLargeError):
        collect(records(), max_records=10, max_bytes=10_000)
    assert len(read) == 11
