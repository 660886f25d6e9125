"""Going on from a bookmark gives what an unbroken walk would have given."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_finauth.client.paging.base import Page, Pull, Request
from airflow_provider_finauth.client.paging.cursor import Cursor
from airflow_provider_finauth.client.paging.keyset import Keyset
from airflow_provider_finauth.client.paging.limit_offset import LimitOffset
from airflow_provider_finauth.client.paging.next_link import NextLink
from airflow_provider_finauth.client.paging.page_index import PageIndex
from airflow_provider_finauth.client.paging.relay import Relay
from airflow_provider_finauth.client.paging.single import Single
from airflow_provider_finauth.client.paging.skip_top import SkipTop
from airflow_provider_finauth.exceptions import ConfigurationError, PaginationError
from tests.client.paging.support import Script, ids, pull, records, walk

Serve = Callable[[Request], Any]


def offset(name: str, size: int) -> Callable[[list[Any]], Serve]:
    def server(rows: list[Any]) -> Serve:
        return lambda request: {
            "value": rows[(request.params or {})[name] :][:size],
            "count": len(rows),
        }

    return server


def index(rows: list[Any]) -> Serve:
    return lambda request: {"value": rows[(request.params or {})["pageIndex"] * 3 :][:3], "count": len(rows)}


def cursor(rows: list[Any]) -> Serve:
    def serve(request: Request) -> Any:
        start = int((request.params or {}).get("cursor", "0"))
        return {"data": rows[start : start + 3], "cursor": str(start + 3) if start + 3 < len(rows) else None}

    return serve


def relay(rows: list[Any]) -> Serve:
    def serve(request: Request) -> Any:
        after = request.json["variables"].get("after")
        start = int(base64.b64decode(after)) if after else 0
        end = min(start + 3, len(rows))
        info = {"hasNextPage": end < len(rows), "endCursor": base64.b64encode(b"%d" % end).decode()}
        return {"things": {"nodes": rows[start:end], "pageInfo": info}}

    return serve


def bank(rows: list[Any]) -> Serve:
    # Two of each time: each page begins with what the one before ended with.
    return lambda request: [row for row in rows if row["id"] // 2 >= (request.params or {})["from"]][:3]


def timed(rows: list[Any]) -> Serve:
    return bank([{**row, "time": row["id"] // 2} for row in rows])


GRAPHQL = Request("POST", "/graphql", json={"query": "…"})
CASES: dict[str, tuple[Pull, Callable[[list[Any]], Serve]]] = {
    "index": (pull(PageIndex(size=3)), index),
    "index with total": (pull(PageIndex(size=3), total="count"), index),
    "offset by index": (pull(PageIndex(size=3, offset=True)), offset("pageIndex", 3)),
    "offset": (pull(LimitOffset(size=3)), offset("offset", 3)),
    "offset with total": (pull(LimitOffset(size=3), total="count"), offset("offset", 3)),
    "skip": (pull(SkipTop(size=3)), offset("$skip", 3)),
    "cursor": (pull(Cursor()), cursor),
    "relay": (pull(Relay(connection_path="things", first=3), request=GRAPHQL), relay),
    "keyset": (pull(Keyset(param="from", field="time", size=3, start=0)), timed),
    "keyset with versions": (
        pull(Keyset(param="from", field="time", size=3, start=0), version="time"),
        timed,
    ),
}


def marked(described: Pull, serve: Serve, **options: Any) -> list[Page]:
    return walk(described, serve, bookmarks=True, **options)


@pytest.mark.parametrize("case", CASES)
@given(count=st.integers(1, 20))
def test_a_walk_goes_on_from_each_of_its_pages(case: str, count: int) -> None:
    described, server = CASES[case]
    rows = records(count)
    whole = marked(described, server(rows))
    resumable = 0

    for number, page in enumerate(whole, 1):
        if page.bookmark is None:
            continue
        resumable += 1
        # Kept between two tasks, as text.
        bookmark = json.loads(json.dumps(page.bookmark))
        rest = marked(described, server(rows), resume=bookmark)
        assert ids(whole[:number]) + ids(rest) == list(range(count))
        assert all(page.number > number for page in rest)
    assert resumable >= len(whole) - 2


def test_pages_have_none_where_nobody_asks() -> None:
    described, server = CASES["offset"]

    assert all(page.bookmark is None for page in walk(described, server(records(9))))


@pytest.mark.parametrize(
    ("style", "answer"),
    [
        (NextLink(), {"value": records(1), "nextLink": "/more"}),
        (SkipTop(size=1), {"value": records(1), "nextLink": "/more"}),
        (Relay(connection_path="things", verify=True), None),
        (Single(), {"value": records(1)}),
    ],
)
def test_where_a_style_cannot_tell_there_is_none(style: Any, answer: Any) -> None:
    if answer is None:
        info = {"hasNextPage": True, "endCursor": "a"}
        answer = {"things": {"nodes": records(1), "pageInfo": info}}
        last = {"things": {"nodes": [], "pageInfo": {"hasNextPage": False}}}
        pages = marked(pull(style, request=GRAPHQL), Script(answer, last, last))
    else:
        pages = marked(pull(style), Script(answer, {"value": []}))

    assert [page.bookmark for page in pages] == [None]


def test_a_probe_is_not_left_out() -> None:
    described, server = CASES["offset by index"]

    assert [page.bookmark is None for page in marked(described, server(records(8)))] == [True, False, False]


@pytest.mark.parametrize(("count", "bounded"), [(500, True), (501, False)])
def test_a_bookmark_is_bounded(count: int, bounded: bool) -> None:
    times = [0, *[1] * count, 2, 2]
    rows = [{"id": number, "time": time} for number, time in enumerate(times)]

    def serve(request: Request) -> Any:
        return [row for row in rows if row["time"] >= (request.params or {})["from"]][: count + 1]

    first, second, *_ = marked(pull(Keyset(param="from", field="time", size=count + 1, start=0)), serve)
    assert (first.bookmark is not None) is bounded
    assert second.bookmark is not None
    assert len(second.bookmark["place"]["edge"]) == 1


def test_a_promised_total_is_held_to_over_the_break() -> None:
    described, server = CASES["offset with total"]
    [first, *_] = marked(described, server(records(9)))

    with pytest.raises(PaginationError, match="promised 9 records and gave 3"):
        marked(described, Script({"value": []}), resume=first.bookmark)


@pytest.mark.parametrize(
    ("case", "bookmark"),
    [("offset", {}), ("keyset", {"place": {"offset": 3}, "received": 3, "pages": 1, "smallest": None})],
)
def test_a_bookmark_of_another_kind_is_refused(case: str, bookmark: Any) -> None:
    with pytest.raises(ConfigurationError, match="cannot be resumed"):
        walk(CASES[case][0], Script(), resume=bookmark)


def test_a_style_without_bookmarks_cannot_be_resumed() -> None:
    bookmark = {"place": {}, "received": 3, "pages": 1, "smallest": None}

    with pytest.raises(ConfigurationError, match="no place to go on from"):
        walk(pull(NextLink()), Script(), resume=bookmark)
