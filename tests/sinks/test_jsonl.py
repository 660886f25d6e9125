from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sinks.places import back, content, page, text_page, written

SUFFIXES = ["jsonl", "jsonl.gz", "jsonl.zst"]
RECORDS = st.lists(
    st.dictionaries(
        st.text(),
        st.none()
        | st.booleans()
        | st.integers()
        | st.text()
        | st.decimals(allow_nan=False, allow_infinity=False, places=4),
        max_size=4,
    ),
    max_size=5,
)


@given(st.lists(RECORDS, max_size=4), st.sampled_from(SUFFIXES))
def test_records_come_back(pages: list[list[Any]], suffix: str) -> None:
    file = content([page(*records) for records in pages], suffix)
    assert back(file, suffix) == [record for records in pages for record in records]


@given(RECORDS)
def test_one_record_a_line_whatever_it_holds(records: list[Any]) -> None:
    file = content([page(*records)], "jsonl")
    lines = file.split(b"\n")
    assert lines.pop() == b""
    assert len(lines) == len(records)
    assert b"\r" not in file
    file.decode("utf-8")


def test_line_breaks_inside_texts_are_escaped() -> None:
    file = content([page({"text": "a\nb\r\nc", "name": "Pöytäkirja €"})], "jsonl")
    assert file == '{"text":"a\\nb\\r\\nc","name":"Pöytäkirja €"}\n'.encode()


def test_the_vendors_own_bytes_pass_through() -> None:
    array = '[{"sum": 1.50e2,"n" :[ 1 ]},{"\\u00e4": "x\\n\\/"}, 1, null]'
    assert content([text_page(array)], "jsonl") == (
        b'{"sum": 1.50e2,"n" :[ 1 ]}\n{"\\u00e4": "x\\n\\/"}\n1\nnull\n'
    )


def test_line_breaks_between_tokens_are_removed() -> None:
    array = '[\r\n  {\n    "sum": 1.50e2,\r\n    "n": [\n      "a\\nb"\n    ]\n  }\n]'
    assert content([text_page(array)], "jsonl") == b'{"sum":1.50e2,"n":["a\\nb"]}\n'


def test_numbers_are_written_digit_by_digit() -> None:
    texts = ["12345678901234567.8900", "0.10", "-1E+5", "100000000000000000000000000000.01"]
    file = content([page({"sum": Decimal(text), "count": 10**30}) for text in texts], "jsonl")
    assert file.decode().splitlines() == [f'{{"sum":{text},"count":{10**30}}}' for text in texts]
    records = back(file, "jsonl")
    assert [str(record["sum"]) for record in records] == texts
    assert all(type(record["count"]) is int for record in records)


def test_one_write_a_page() -> None:
    pages = [page(*({"id": number} for number in range(500)), number=turn) for turn in range(3)]
    place, _ = written(pages, "jsonl")
    assert [write.count(b"\n") for write in place.targets[""].writes] == [500] * 3


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_nothing_is_a_lawful_file(suffix: str) -> None:
    assert back(content([], suffix), suffix) == []


def test_a_large_file_is_read_in_pieces() -> None:
    records = [{"id": number, "text": "x" * 1000} for number in range(5000)]
    for suffix in SUFFIXES:
        assert back(content([page(*records)], suffix), suffix) == records


def test_last_line_without_a_break_counts() -> None:
    assert back(b'{"id":1}\n\n{"id":2}', "jsonl") == [{"id": 1}, {"id": 2}]


@pytest.mark.parametrize("damaged", [b'{"id":1}\n{"id":', b'{"id":"\xff"}\n', b"[" * 100_000])
def test_a_damaged_line_is_told(damaged: bytes) -> None:
    with pytest.raises(ValueError, match="the file of JSON Lines is damaged"):
        back(damaged, "jsonl")


@pytest.mark.parametrize("number", ["9" * 5000, "1e99999999999999999999"])
def test_a_number_without_bounds_lands_and_is_told_when_it_is_read(number: str) -> None:
    file = content([text_page(f"[{number}]")], "jsonl")
    assert file == f"{number}\n".encode()
    with pytest.raises(ValueError, match="a number that is out of bounds"):
        back(file, "jsonl")
