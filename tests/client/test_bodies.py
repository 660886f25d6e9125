from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_finauth.client.bodies import NotJson, decode_json, encode_json, is_json


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"1.10", Decimal("1.10")),
        (b"-0.005", Decimal("-0.005")),
        (b"1e2", Decimal("1E+2")),
        (b"12345678901234567890.123456789", Decimal("12345678901234567890.123456789")),
        (b"1738310400000000", 1738310400000000),
        (b"123456789012345678901234567890", 123456789012345678901234567890),
        (b'{"a": [0.1, 7, "0.1", null, true]}', {"a": [Decimal("0.1"), 7, "0.1", None, True]}),
        (b"\xef\xbb\xbf[]", []),
        ('"Ærlig – 한"'.encode(), "Ærlig – 한"),
    ],
)
def test_amounts_stay_as_they_were_written(body: bytes, value: Any) -> None:
    decoded = decode_json(body, "application/json")

    assert decoded == value
    assert str(decoded) == str(value)
    assert type(decoded) is type(value)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (b"<html>", "does not read as JSON"),
        (b'{"a": NaN}', "does not read as JSON"),
        (b"Infinity", "does not read as JSON"),
        (b'{"a": 1', "does not read as JSON"),
        (b"{} {}", "does not read as JSON"),
        (b'"\xff"', "UTF-8"),
        ('"å"'.encode("latin-1"), "UTF-8"),
        (b"[" * 200_000, "too deeply"),
        (b'{"a": 1E99999999999999999999}', "out of bounds"),
    ],
)
def test_what_is_not_json_is_named_without_its_content(body: bytes, problem: str) -> None:
    with pytest.raises(NotJson, match=problem) as caught:
        decode_json(body, "application/json")
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "kind",
    [
        None,
        "",
        "application/json",
        "Application/JSON; charset=utf-8",
        "application/json;odata.metadata=minimal",
        "application/problem+json",
        "text/json",
    ],
)
def test_json_types(kind: str | None) -> None:
    assert is_json(kind)


@pytest.mark.parametrize("kind", ["text/html", "text/plain", "application/xml", "text/html; charset=json"])
def test_other_types(kind: str) -> None:
    assert not is_json(kind)
    with pytest.raises(NotJson, match="labelled"):
        decode_json(b"{}", kind)


def test_a_decimal_goes_out_as_the_number_it_came_as() -> None:
    assert encode_json({"amount": Decimal("1.10"), "text": "1.10"}) == b'{"amount":1.10,"text":"1.10"}'
