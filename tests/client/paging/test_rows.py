"""Records as texts: what comes out is what went in, whatever the form it was written in."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_finauth.client.bodies import decode_json
from airflow_provider_finauth.client.paging.rows import Rows, dig
from airflow_provider_finauth.exceptions import ApiError

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals(allow_nan=False, allow_infinity=False, places=3)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
SPACES = st.text(st.sampled_from(" \t\r\n"), max_size=3)


@st.composite
def written(draw: st.DrawFn, values: Any = VALUES) -> str:
    """A JSON text with blanks of any kind between its tokens."""

    def write(value: Any) -> str:
        blank = draw(SPACES)
        if isinstance(value, list):
            return f"[{blank}{f'{blank},'.join(map(write, value))}{blank}]"
        if isinstance(value, dict):
            members = (f"{json.dumps(name)}{blank}:{blank}{write(each)}" for name, each in value.items())
            return "{" + blank + f",{blank}".join(members) + blank + "}"
        if isinstance(value, Decimal):
            return str(value)
        return json.dumps(value, ensure_ascii=draw(st.booleans()))

    return write(draw(values))


@given(written(st.lists(VALUES, max_size=5)))
def test_lines_decode_to_what_the_whole_decodes_to(text: str) -> None:
    body = text.encode()
    rows = Rows.read(body)
    lines = [bytes(line) for line in rows.lines]
    whole = decode_json(body, None)

    assert all(b"\n" not in line and b"\r" not in line for line in lines)
    assert [decode_json(line, None) for line in lines] == whole
    assert rows.records == whole
    assert len(rows) == len(whole)


@given(st.lists(st.dictionaries(st.sampled_from(["a", "b", "a.b"]), VALUES, max_size=3) | VALUES, max_size=5))
def test_a_column_is_what_digging_in_each_record_gives(records: list[Any]) -> None:
    rows = Rows.of(records)

    for member in ("a", "a.b", "b", "a.b.c"):
        assert rows.column(member) == [dig(record, member) for record in rows.records]


@given(st.lists(st.integers(0, 99), max_size=8), st.sets(st.integers(0, 7)))
def test_what_is_left_keeps_its_columns(numbers: list[int], dropped: set[int]) -> None:
    dropped = {position for position in dropped if position < len(numbers)}
    rows = Rows.of({"id": number} for number in numbers)
    rows.look_at(["id"])
    left = rows.without(dropped)
    expected = [number for position, number in enumerate(numbers) if position not in dropped]

    assert left.column("id") == expected
    assert [record["id"] for record in left] == expected


def test_several_columns_are_read_at_once() -> None:
    rows = Rows.of([{"id": 1, "at": {"time": 5}}, {"id": 2}, {"id": 3, "at.time": 7}])
    rows.look_at(["id", "at.time", "none"])

    assert (rows.column("id"), rows.column("at.time"), rows.column("none")) == (
        [1, 2, 3],
        [5, None, 7],
        [None] * 3,
    )


def test_what_each_record_holds() -> None:
    rows = Rows.of([{"node": {"id": 1}}, {"node": None}, {"node": [2]}]).within("node")

    assert rows is not None
    assert rows.records == [{"id": 1}, None, [2]]
    assert Rows.of([{"node": 1}, {}]).within("node") is None
    assert Rows.of([{"node": 1}, "text"]).within("node") is None


def test_the_vendors_text_is_passed_through() -> None:
    text = b'{"a" : 1.10, "b": "\\u00e5", "c": 12345678901234567890123}'

    assert [bytes(line) for line in Rows.read(b"[" + text + b"]").lines] == [text]


@pytest.mark.parametrize("number", ["1e999999999999999999999", "-1E99999999999999999999", "1" * 5000])
def test_a_number_without_bounds_passes_through_and_cannot_be_decoded(number: str) -> None:
    rows = Rows.read(f'[{{"id": 1, "n": {number}}}]'.encode())

    assert rows.column("id") == [1]
    assert number.encode() in bytes(rows.lines[0])
    for look in (lambda: rows.records, lambda: rows.column("n")):
        with pytest.raises(
            ApiError, match=r"record .* cannot be decoded.*out of bounds.*JSON Lines"
        ) as caught:
            look()
        assert number not in str(caught.value)
