from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_finauth.exceptions import ConfigurationError
from airflow_provider_finauth.sinks.columns import BATCH_RECORDS
from tests.sinks.places import back, content, page, text_page, written

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.decimals(allow_nan=False, allow_infinity=False, places=3)
)
NAMES = st.sampled_from(["a", "b", "c", "ä,b", 'q"\\', ""]) | st.text(max_size=3)
RECORDS = st.lists(st.dictionaries(NAMES, SCALARS | st.lists(SCALARS, max_size=2), max_size=4), max_size=5)


def as_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return page(value).rows.lines[0].decode()
    return str(value)


def test_columns_in_the_order_of_their_first_appearance() -> None:
    pages = [page({"b": 1, "a": 2}), page({"c": 3, "a": 4}), page({"a": None})]
    assert content(pages, "csv") == b"b,a,c\n1,2,\n,4,3\n,,\n"


def test_values() -> None:
    array = (
        '[{"null": null, "true": true, "false": false, "whole": 12345678901234567890123, "money": 12.50,'
        ' "small": 1e-10, "object": {"x": [1, 0.10]}, "list": ["a,b"], "text": "Pöytä €", "empty": ""}]'
    )
    assert back(content([text_page(array)], "csv"), "csv") == [
        {
            "null": "",
            "true": "true",
            "false": "false",
            "whole": "12345678901234567890123",
            "money": "12.50",
            "small": "1e-10",
            "object": '{"x": [1, 0.10]}',
            "list": '["a,b"]',
            "text": "Pöytä €",
            "empty": "",
        }
    ]


def test_quotes_where_they_must_be() -> None:
    texts = [
        "plain",
        "a,b",
        'say "yes"',
        "line\nfeed",
        "carriage\rreturn",
        "\r\n",
        " space ",
        "\ufeff",
        "\x00",
    ]
    file = content([page(*({"text": text, "more": 1} for text in texts))], "csv")
    rows = list(csv.reader(io.StringIO(file.decode(), newline=""), strict=True))
    assert rows == [["text", "more"], *([text, "1"] for text in texts)]
    assert not file.startswith(b"\xef\xbb\xbf")
    assert file.startswith(b'text,more\nplain,1\n"a,b",1\n"say ""yes""",1\n"line\nfeed",1\n')


@given(st.lists(RECORDS, max_size=3))
def test_records_come_back_as_texts(pages: list[list[Any]]) -> None:
    records = [record for one in pages for record in one]
    names = list(dict.fromkeys(name for record in records for name in record))
    file = content([page(*one) for one in pages], "csv")
    assert back(file, "csv") == [{name: as_text(record.get(name)) for name in names} for record in records]


def test_columns_that_come_late_are_put_on_to_what_came_before() -> None:
    count = 3 * BATCH_RECORDS
    records = [{"id": number, "text": 'a\n"b",'} for number in range(count)]
    late = {"id": count, "late": "x", "ä": 1}
    file = content([page(*records), page(late)], "csv")
    rows = back(file, "csv")
    assert rows[0] == {"id": "0", "text": 'a\n"b",', "late": "", "ä": ""}
    assert rows[-1] == {"id": str(count), "text": "", "late": "x", "ä": "1"}
    assert [row["id"] for row in rows] == [str(number) for number in range(count + 1)]


def test_columns_after_records_without_any() -> None:
    none = [{}] * BATCH_RECORDS
    assert back(content([page(*none), page({"a": 1})], "csv"), "csv") == [{"a": ""}] * len(none) + [
        {"a": "1"}
    ]
    rows = back(content([page(*none), page({"a": 1, "b": 2})], "csv"), "csv")
    assert rows == [{"a": "", "b": ""}] * len(none) + [{"a": "1", "b": "2"}]


def test_nothing_is_an_empty_file() -> None:
    assert content([], "csv") == b""
    assert content([page()], "csv") == b""
    assert back(b"", "csv") == []


def test_all_files_of_a_set_have_the_same_columns() -> None:
    place, _ = written([page({"a": 1}, {"b": 2}), page({"c": 3})], "csv", max_records_per_file=1)
    assert list(place.appeared.values()) == [b"a,b,c\n1,,\n", b"a,b,c\n,2,\n", b"a,b,c\n,,3\n"]


def test_a_field_longer_than_the_csv_module_likes() -> None:
    record = {"a": "x" * 200_000, "b": json.dumps(["y" * 200_000])}
    assert back(content([page(record)], "csv"), "csv") == [record]


def test_a_record_that_is_no_object() -> None:
    with pytest.raises(ConfigurationError, match="not all JSON objects.*'jsonl'") as caught:
        written([page({"a": 1}, Decimal("1.5"))], "csv")
    assert caught.value.field == "format"


@pytest.mark.parametrize(
    "damaged", [b'a,b\n1,2\n"3', b"a,b\n1\n", b"a,b\n1,2,3\n", b'a\n"b"c\n', b"a\n\xff\n"]
)
def test_a_damaged_file_is_told(damaged: bytes) -> None:
    with pytest.raises(ValueError, match="the CSV file is damaged after line"):
        back(damaged, "csv")
