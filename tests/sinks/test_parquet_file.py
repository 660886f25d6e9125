from __future__ import annotations

import errno
import io
import json
from decimal import Decimal
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from airflow_provider_finauth.exceptions import ApiError, ConfigurationError
from airflow_provider_finauth.sinks.columns import BATCH_RECORDS
from airflow_provider_finauth.sinks.reading import read
from tests.sinks.places import back, content, format_named, page, text_page, written

# One value of a column for each kind, as the API writes it.
KINDS = {
    "null": "null",
    "truth": "true",
    "whole": "7",
    "large": "12345678901234567890",
    "money": "12.50",
    "tiny": "1e-10",
    "vast": "0.123456789012345678901234567890123456789",
    "text": '"abc"',
    "object": '{"x": 1.0}',
    "list": "[1, 0.10]",
}
NUMBERS = {"whole", "large", "money", "tiny"}


def table(*arrays: str, nested: str = "json", apart: bool = False) -> pa.Table:
    """Write pages of JSON texts; ``apart`` makes a batch of its own of each."""
    texts = [text_page(array) for array in arrays]
    if apart:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("airflow_provider_finauth.sinks.columns.BATCH_RECORDS", 1)
            return pq.read_table(io.BytesIO(content(texts, "parquet", nested=nested)))
    return pq.read_table(io.BytesIO(content(texts, "parquet", nested=nested)))


def column(*values: str, nested: str = "json", apart: bool = False) -> tuple[str, list[Any]]:
    """Give the type and the values of a column of JSON texts."""
    one = table(*(f'[{{"a": {value}}}]' for value in values), nested=nested, apart=apart)
    return str(one.schema.field("a").type), one.column("a").to_pylist()


# Types


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize(
    ("values", "type_", "expected"),
    [
        (["null"], "string", [None]),
        (["null", "true", "false"], "bool", [None, True, False]),
        (["1", "null", "-9223372036854775808"], "int64", [1, None, -(2**63)]),
        (["9223372036854775807"], "int64", [2**63 - 1]),
        (["9223372036854775808", "1"], "decimal128(38, 0)", [Decimal(2**63), Decimal(1)]),
        (["-9223372036854775809"], "decimal128(38, 0)", [Decimal(-(2**63) - 1)]),
        (["9" * 38], "decimal128(38, 0)", [Decimal("9" * 38)]),
        (["1" + "0" * 38, "-1"], "string", ["1" + "0" * 38, "-1"]),
        (["0.1"], "decimal128(1, 1)", [Decimal("0.1")]),
        (["0.1", "10"], "decimal128(3, 1)", [Decimal("0.1"), Decimal("10.0")]),
        (["12.50"], "decimal128(4, 2)", [Decimal("12.50")]),
        (["12.50", "-100.125", "null"], "decimal128(6, 3)", [Decimal("12.500"), Decimal("-100.125"), None]),
        (["1e-10"], "decimal128(10, 10)", [Decimal("1E-10")]),
        (["1E+5"], "decimal128(6, 0)", [Decimal(100000)]),
        (["1.5e3", "0.25"], "decimal128(6, 2)", [Decimal(1500), Decimal("0.25")]),
        (["-0.0", "0e5", "0"], "decimal128(7, 1)", [Decimal(0), Decimal(0), Decimal(0)]),
        (["0." + "1" * 38], "decimal128(38, 38)", [Decimal("0." + "1" * 38)]),
        (["0." + "1" * 39, "1.50", "2"], "string", ["0." + "1" * 39, "1.50", "2"]),
        (["9" * 36 + ".25"], "decimal128(38, 2)", [Decimal("9" * 36 + ".25")]),
        (["9" * 37 + ".25"], "string", ["9" * 37 + ".25"]),
        (["9223372036854775808", "0.5"], "decimal128(20, 1)", [Decimal(2**63), Decimal("0.5")]),
        (["1e400", "1e-400", "1e5"], "string", ["1e400", "1e-400", "1e5"]),
        (["0e37"], "decimal128(38, 0)", [Decimal(0)]),
        (["0E+50", "0.10"], "string", ["0E+50", "0.10"]),
        (['"a"', "null", '""'], "string", ["a", None, ""]),
        (['"1"', "1", "1.50", "true", "null"], "string", ["1", "1", "1.50", "true", None]),
        (["true", "1"], "string", ["true", "1"]),
        (["1", "true", "0.10"], "string", ["1", "true", "0.10"]),
        (['{"b": 1.0}', "[]", "null"], "string", ['{"b": 1.0}', "[]", None]),
        (['{"b": 1.0}', '"text"', "7"], "string", ['{"b": 1.0}', "text", "7"]),
        (['"\\u20ac\\n"', '"\\u0000"'], "string", ["€\n", "\x00"]),
    ],
)
def test_types(values: list[str], type_: str, expected: list[Any], apart: bool) -> None:
    assert column(*values, apart=apart) == (type_, expected)


def test_the_number_that_python_does_not_hold() -> None:
    text = "1e999999999999999999999"
    assert column(text, "0.5", "12") == ("string", [text, "0.5", "12"])
    nested = [{"b": [text]}, {"b": ["0.5"]}]
    assert column(f'{{"b": [{text}]}}', '{"b": [0.5]}', nested="struct")[1] == nested
    assert column(f'{{"b": {{"c": {text}}}}}', '{"b": 1.50}', nested="struct")[1] == [
        {"b": f'{{"c":{text}}}'},
        {"b": "1.50"},
    ]


@pytest.mark.parametrize("first", KINDS)
@pytest.mark.parametrize("second", KINDS)
def test_a_schema_grows_the_same_whatever_comes_first(first: str, second: str) -> None:
    texts = [KINDS[first], KINDS[second]]
    type_, values = column(*texts, apart=True)
    assert column(*texts) == (type_, values)
    assert column(*reversed(texts), apart=True) == (type_, values[::-1])
    for text, value in zip(texts, values, strict=True):
        read = msgspec.json.decode(text.encode(), strict=False) if text[0] in '"tn' else None
        if text == "null":
            assert value is None
        elif type_ == "string":
            # Nothing is lost: a text is itself, all else its own JSON text.
            assert value == (read if isinstance(read, str) else text)
        elif type_ == "bool":
            assert value is True
        else:
            assert {first, second} <= NUMBERS | {"null"}
            assert Decimal(value) == Decimal(text)


def test_columns_in_the_order_of_their_first_appearance() -> None:
    one = table('[{"b": 1, "a": 2}]', '[{"c": 3, "a": 4}]', '[{"ä \\"x\\\\": null, "": 5}]', apart=True)
    assert one.schema.names == ["b", "a", "c", 'ä "x\\', ""]
    assert one.to_pylist()[1] == {"b": None, "a": 4, "c": 3, 'ä "x\\': None, "": None}


# Nested values


def test_nested_values_are_the_vendors_json() -> None:
    assert column('{"b" : [1.50, {"c": 1e2}]}') == ("string", ['{"b" : [1.50, {"c": 1e2}]}'])


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize(
    ("values", "type_", "expected"),
    [
        (['{"b": 1}', '{"c": "x"}', "null"], "struct<b: int64, c: string>", None),
        (
            ['{"b": 1}', '{"b": 1.50}'],
            "struct<b: decimal128(3, 2)>",
            [{"b": Decimal(1)}, {"b": Decimal("1.50")}],
        ),
        (['{"b": {"c": [true]}}'], "struct<b: struct<c: list<element: bool>>>", [{"b": {"c": [True]}}]),
        (["[]", "[1, null]", "null"], "list<element: int64>", [[], [1, None], None]),
        (["[]"], "list<element: string>", [[]]),
        (["[[1], []]"], "list<element: list<element: int64>>", [[[1], []]]),
        (['[1, "a", 0.50, {"x": 1}]'], "list<element: string>", [["1", "a", "0.50", '{"x":1}']]),
        (['{"b": null}'], "struct<b: string>", [{"b": None}]),
        (["{}"], "string", ["{}"]),
        (['{"b": {}}'], "struct<b: string>", [{"b": "{}"}]),
        (["{}", '{"b": 1}'], "struct<b: int64>", [{"b": None}, {"b": 1}]),
        (['{"b": 1}', '"text"'], "string", ['{"b": 1}', "text"]),
        (['{"b": 1}', "[1]"], "string", ['{"b": 1}', "[1]"]),
        (['{"b": {"c": 1}}', '{"b": "x"}'], "struct<b: string>", [{"b": '{"c":1}'}, {"b": "x"}]),
        (
            ['{"b": 12345678901234567890}'],
            "struct<b: decimal128(38, 0)>",
            [{"b": Decimal(12345678901234567890)}],
        ),
        (['{"b": 0.' + "1" * 39 + "}"], "struct<b: string>", [{"b": "0." + "1" * 39}]),
    ],
)
def test_structs_and_lists(values: list[str], type_: str, expected: list[Any] | None, apart: bool) -> None:
    found, read = column(*values, nested="struct", apart=apart)
    assert found == type_
    if expected is None:
        expected = [{"b": 1, "c": None}, {"b": None, "c": "x"}, None]
    assert read == expected


# All of it

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.text(max_size=5)
    | st.decimals(allow_nan=False, allow_infinity=False)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=6,
)
RECORDS = st.lists(
    st.dictionaries(st.sampled_from("abc") | st.text(max_size=2), VALUES, max_size=3), max_size=5
)


def same(value: Any, read: Any) -> bool:
    """Whether a value came back: as itself, as an equal number, or as its text."""
    if isinstance(read, str) and not isinstance(value, str):
        return bool(msgspec.json.Decoder(float_hook=Decimal).decode(read.encode()) == value)
    if isinstance(value, dict):
        return all(same(value.get(name), read[name]) for name in {*value, *read})
    if isinstance(value, list):
        return len(value) == len(read) and all(map(same, value, read))
    return bool(value == read)


@settings(max_examples=60)
@given(st.lists(RECORDS, max_size=3), st.sampled_from(["json", "struct"]))
def test_records_come_back(pages: list[list[Any]], nested: str) -> None:
    records = [record for one in pages for record in one]
    assume(any(records) or not records)
    file = content([page(*one) for one in pages], "parquet", nested=nested)
    found = back(file, "parquet")
    assert len(found) == len(records)
    assert all(set(record) <= set(read) for record, read in zip(records, found, strict=True))
    assert all(map(same, records, found))
    assert content([page(*one) for one in pages], "parquet", nested=nested) == file


def test_money_is_never_a_float() -> None:
    amounts = [f"{whole}.{cents:02}" for whole in (0, 1, 99, 10**12) for cents in range(100)]
    array = ",".join(f'{{"sum": {amount}, "lines": {{"sum": {amount}}}}}' for amount in amounts)
    one = table(f"[{array}]", nested="struct")
    assert str(one.schema.field("sum").type) == "decimal128(15, 2)"
    assert [str(value) for value in one.column("sum").to_pylist()] == amounts
    assert [str(value["sum"]) for value in one.column("lines").to_pylist()] == amounts


def test_nothing_is_a_lawful_file() -> None:
    for pages in ([], [page()]):
        one = pq.read_table(io.BytesIO(content(pages, "parquet")))
        assert (one.num_columns, one.num_rows) == (0, 0)


def test_records_that_are_all_empty_do_not_vanish() -> None:
    with pytest.raises(ConfigurationError, match="empty objects.*'jsonl'"):
        content([page({}, {})], "parquet")
    assert back(content([page({}, {"a": 1}, {})], "parquet"), "parquet") == [
        {"a": None},
        {"a": 1},
        {"a": None},
    ]


def test_a_file_of_a_set_may_have_empty_records_only() -> None:
    place, _ = written([page({}, {}), page({"a": 1})], "parquet", max_records_per_file=2)
    assert [back(file, "parquet") for file in place.appeared.values()] == [[{"a": None}] * 2, [{"a": 1}]]


def test_all_files_of_a_set_have_the_same_schema() -> None:
    pages = [page({"a": 1, "day": "2026-10-01"}), page({"a": Decimal("0.5"), "b": "x", "day": "2026-10-02"})]
    for options in ({"max_records_per_file": 1}, {"partition_by": "day"}):
        place, _ = written(pages, "parquet", **options)
        first, second = (pq.read_schema(io.BytesIO(file)) for file in place.appeared.values())
        assert first == second
        assert str(first.field("a").type) == "decimal128(2, 1)"
        assert first.names == ["a", "day", "b"]


def test_row_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_finauth.sinks.parquet_file._GROUP_RECORDS", 2 * BATCH_RECORDS)
    count = 5 * BATCH_RECORDS + 1
    records = [{"id": number, "sum": Decimal(number) / 4} for number in range(count)]
    file = content([page(*records)], "parquet")
    meta = pq.read_metadata(io.BytesIO(file))
    sizes = [meta.row_group(number).num_rows for number in range(meta.num_row_groups)]
    assert sizes == [2 * BATCH_RECORDS, 2 * BATCH_RECORDS, BATCH_RECORDS + 1]
    assert back(file, "parquet") == records


def test_row_groups_are_bounded_in_bytes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_finauth.sinks.parquet_file._GROUP_BYTES", 1 << 20)
    monkeypatch.setattr("airflow_provider_finauth.sinks.columns.BATCH_BYTES", 1 << 18)
    pages = [page({"text": str(number) * 1000}, number=number) for number in range(2000, 4000)]
    meta = pq.read_metadata(io.BytesIO(content(pages, "parquet")))
    assert meta.num_row_groups > 4
    assert meta.num_rows == 2000


def test_other_readers_find_nothing_that_changes_by_itself() -> None:
    meta = pq.read_metadata(io.BytesIO(content([page({"a": 1})], "parquet")))
    assert meta.created_by.startswith("parquet-cpp-arrow version")
    assert set(meta.metadata or {}) <= {b"ARROW:schema"}
    assert meta.row_group(0).column(0).compression == "ZSTD"


@pytest.mark.parametrize("nested", ["json", "struct"])
@pytest.mark.parametrize("record", [1, "text", None, [1]])
def test_a_record_that_is_no_object(record: Any, nested: str) -> None:
    with pytest.raises(ConfigurationError, match="not all JSON objects.*'jsonl'"):
        written([page({"a": 1}), page(record, {"a": 1})], "parquet", nested=nested)


@pytest.mark.parametrize("damage", ["no file", "cut off", "other bytes"])
def test_a_damaged_file_is_told(damage: str) -> None:
    whole = content([page(*({"a": number, "b": str(number)} for number in range(500)))], "parquet")
    damaged = {
        "no file": b"PAR1 or not",
        "cut off": whole[:-9],
        "other bytes": whole[:50] + bytes(100) + whole[150:],
    }
    with pytest.raises(ValueError, match="the Parquet file is damaged"):
        back(damaged[damage], "parquet")


def test_a_file_that_cannot_be_read_is_not_called_damaged() -> None:
    class Torn(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(errno.EIO, "the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(read(Torn(content([page({"a": 1})], "parquet")), format_named("parquet")))


def test_deep_nesting_ends_as_json_text() -> None:
    [record] = back(
        content([text_page(f'[{{"a": {"[" * 60}1.50{"]" * 60}}}]')], "parquet", nested="struct"), "parquet"
    )
    inner = record["a"]
    while isinstance(inner, list):
        [inner] = inner
    assert inner.strip("[]") == "1.50"


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_an_integer_without_bounds_is_told(suffix: str) -> None:
    with pytest.raises(ApiError, match="a number that is out of bounds.*JSON Lines"):
        written([text_page(f'[{{"a": {"9" * 5000}}}]')], suffix)


def test_json_columns_are_json() -> None:
    records = [{"a": {"b": [1, Decimal("0.10")]}}, {"a": None}]
    read = back(content([page(*records)], "parquet"), "parquet")
    assert [json.loads(one["a"]) if one["a"] else None for one in read] == [{"b": [1, 0.1]}, None]
