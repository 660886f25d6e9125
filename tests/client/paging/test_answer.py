"""Opening answers: the same found, whether in one pass or level by level."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_finauth.client.bodies import NotJson, encode_json
from airflow_provider_finauth.client.paging.answer import Answer, Opening
from airflow_provider_finauth.client.paging.rows import dig
from airflow_provider_finauth.exceptions import ApiError

PATHS = ("a", "b", "a.b", "a.b.c", "b.a", "c")
LEAVES = st.none() | st.integers(0, 3) | st.just("text") | st.lists(st.integers(0, 3), max_size=2)
BODIES = st.recursive(
    LEAVES,
    lambda inner: st.dictionaries(st.sampled_from(["a", "b", "c", "a.b", "b.c"]), inner, max_size=4),
    max_leaves=10,
)
ABSENT = object()


@given(
    body=BODIES,
    lists=st.lists(st.sampled_from(PATHS), min_size=1, max_size=2),
    members=st.lists(st.sampled_from(PATHS)),
    path=st.sampled_from(PATHS),
)
def test_an_opening_finds_what_a_full_decode_finds(
    body: Any, lists: list[str], members: list[str], path: str
) -> None:
    text = encode_json(body)

    for answer in (Answer.read(text, Opening(lists, members)), Answer.read(text)):
        found = dig(body, path, ABSENT)
        records = found if isinstance(found, list) else [] if found is None else None
        assert answer.dig(path, ABSENT) == found
        assert answer.value == body
        rows = answer.rows(path)
        assert (None if rows is None else rows.records) == records
        assert answer.has(path) is (found is not None and found is not ABSENT)
        assert answer.has_object(path) is isinstance(found, dict)


def test_a_member_below_is_an_answer_of_its_own() -> None:
    body = {"data": {"things": {"nodes": [1]}}, "errors": None}
    for how in (None, Opening(("data.things.nodes",), ("data", "errors"))):
        answer = Answer.read(encode_json(body), how).below("data")

        assert answer.value == body["data"]
        assert answer.dig("things.nodes") == [1]
        assert answer.dig("things") == {"nodes": [1]}
        assert answer.dig("other", "none") == "none"


def test_records_are_not_decoded() -> None:
    answer = Answer.read(
        b'{"value": [{"n": 1e99999999999999999999}], "count": 1}', Opening(("value",), ("count",))
    )
    rows = answer.rows("value")

    assert answer.dig("count") == 1
    assert rows is not None
    assert len(rows) == 1
    with pytest.raises(ApiError, match="out of bounds"):
        answer.dig("value")
    with pytest.raises(ApiError, match="out of bounds"):
        _ = answer.value


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b" ",
        b"{",
        b'{"value": [1,]}',
        b"[1] 2",
        b"<html>",
        b'{"value": [NaN]}',
        b'["a\nb"]',
        b"[" * 100_000,
    ],
)
@pytest.mark.parametrize("how", [None, Opening(("value",), ())])
def test_what_is_no_json_is_found_without_decoding(text: bytes, how: Opening | None) -> None:
    with pytest.raises(NotJson):
        Answer.read(text, how)


@pytest.mark.parametrize(
    ("date", "moment"),
    [
        ("Sun, 06 Nov 1994 08:49:37 GMT", datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)),
        ("Sun, 06 Nov 1994 10:49:37 +0200", datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)),
        ("Sun, 06 Nov 1994 08:49:37 -0000", datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)),
        ("yesterday", None),
        ("Fri, 31 Dec 9999 23:59:59 -1200", None),
        ("", None),
        (None, None),
    ],
)
def test_the_servers_time(date: str | None, moment: datetime | None) -> None:
    assert Answer.read(b"[]", date=date).server_time == moment


def test_a_list_of_texts_knows_nothing_of_the_others() -> None:
    answer = Answer.read(b"[1, 2]", Opening(("value",), ()))

    assert isinstance(answer.parts[0], msgspec.Raw)
    assert answer.dig("value", "none") == "none"
    assert answer.rows().records == [1, 2]  # type: ignore[union-attr]
