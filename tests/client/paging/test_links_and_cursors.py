from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_finauth.client.paging.base import Request
from airflow_provider_finauth.client.paging.cursor import Cursor
from airflow_provider_finauth.client.paging.next_link import NextLink
from airflow_provider_finauth.client.paging.skip_top import SkipTop
from airflow_provider_finauth.exceptions import PaginationError
from tests.client.paging.support import Model, Script, ids, pull, records, walk

TRADEVEST = Cursor(cursor_path="pagination.cursor", param="cursor", size_param="limit", size=4)


def cursor_server(rows: list[Any], *, last: Any = None) -> Model:
    def serve(params: dict[str, Any]) -> Any:
        start = int(params.get("cursor", "c0")[1:])
        end = start + params["limit"]
        return {"data": rows[start:end], "pagination": {"cursor": f"c{end}" if end < len(rows) else last}}

    return Model(serve)


@given(count=st.integers(0, 30), size=st.integers(1, 8), last=st.sampled_from([None, "", False]))
def test_every_record_once_by_cursor(count: int, size: int, last: Any) -> None:
    style = Cursor(cursor_path="pagination.cursor", size_param="limit", size=size)

    assert ids(walk(pull(style), cursor_server(records(count), last=last))) == list(range(count))


def test_a_missing_cursor_is_the_end() -> None:
    assert ids(walk(pull(TRADEVEST), Script({"data": records(2)}))) == [0, 1]


@pytest.mark.parametrize("count", [3, 5], ids=["a short page", "a list that is not paged"])
def test_an_object_for_the_cursor_may_be_missing(count: int) -> None:
    assert ids(walk(pull(TRADEVEST), Script({"data": records(count)}))) == list(range(count))


def test_a_full_page_without_the_object_for_its_cursor_raises() -> None:
    with pytest.raises(PaginationError, match="no object 'pagination'.*cursor_path"):
        walk(pull(TRADEVEST), Script({"data": records(4), "further": "x"}))


def test_a_full_page_without_a_cursor_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    style = Cursor(cursor_path="cursor", size_param="limit", size=4)

    assert ids(walk(pull(style), Script({"data": records(4), "further": "x"}))) == [0, 1, 2, 3]
    assert "ends after one full page" in caplog.text


@pytest.mark.parametrize("style", [Cursor(), Cursor(cursor_path="paging.cursor"), NextLink()])
@pytest.mark.parametrize("more", [{"nextCursor": "c2"}, {"links": {"next": "/2"}}, {"hasMore": True}])
def test_a_name_that_is_not_the_apis_does_not_end_in_silence(style: Any, more: dict[str, Any]) -> None:
    with pytest.raises(PaginationError, match="tells of more. Name"):
        walk(pull(style), Script({"data": records(2), **more}))


@pytest.mark.parametrize("last", [{"cursor": None, "nextLink": None}, {"cursor": "", "nextLink": ""}])
def test_a_name_that_is_the_apis_decides(last: dict[str, Any]) -> None:
    for style in (Cursor(), NextLink()):
        answer = {"data": records(2), "links": {"next": "/somewhere"}, **last}
        assert ids(walk(pull(style), Script(answer))) == [0, 1]


@pytest.mark.parametrize("cursor", [{"after": "c2"}, ["c2"]])
def test_an_object_is_no_cursor(cursor: Any) -> None:
    with pytest.raises(PaginationError, match="is no cursor, but something else"):
        walk(pull(Cursor()), Script({"data": records(2), "cursor": cursor}))


def test_a_cursor_that_is_a_number_is_handed_back() -> None:
    server = Script({"data": records(1), "cursor": 0}, {"data": [], "cursor": None})
    walk(pull(Cursor()), server)

    assert server.requests[1].params == {"cursor": 0}


def test_the_same_cursor_without_data_is_the_end() -> None:
    server = Script({"data": records(2), "cursor": "x"}, {"data": [], "cursor": "x"})

    assert ids(walk(pull(Cursor()), server)) == [0, 1]


def test_the_same_cursor_with_data_raises() -> None:
    rows = records(4)
    server = Script({"data": rows[:2], "cursor": "x"}, {"data": rows[2:], "cursor": "x"})

    with pytest.raises(PaginationError, match="cursor that it had given before"):
        walk(pull(Cursor()), server)


@pytest.mark.parametrize("length", [1, 2, 3, 7])
def test_a_cycle_of_any_length_raises(length: int) -> None:
    def serve(params: dict[str, Any]) -> Any:
        here = params.get("cursor", 0)
        # Records differ each time, so nothing but the cursor gives the circle away.
        server.turn += 1
        return {"data": [{"id": f"{server.turn}"}], "cursor": here % length + 1}

    server: Any = Model(serve)
    server.turn = 0

    with pytest.raises(PaginationError, match="circle"):
        walk(pull(Cursor()), server)
    assert len(server.asked) == length + 1


def test_an_empty_page_with_a_new_cursor_is_no_end() -> None:
    server = Script(
        {"data": records(1), "cursor": "a"},
        {"data": [], "cursor": "b"},
        {"data": [{"id": 9}], "cursor": None},
    )

    assert ids(walk(pull(Cursor()), server)) == [0, 9]


def test_a_short_page_is_not_judged() -> None:
    server = Script({"data": records(1), "pagination": {"cursor": "a"}}, {"data": [{"id": 5}]})

    assert ids(walk(pull(TRADEVEST), server)) == [0, 5]


@pytest.mark.parametrize("key", ["@odata.nextLink", "nextLink"])
def test_links_are_followed_unchanged_under_either_name(key: str) -> None:
    link = "https://api.example/things?%24skiptoken=a%2Bb%20c&x="
    server = Script({"value": records(1), key: link}, {"value": [{"id": 1}], key: None})
    start = Request("GET", "/things", params={"$filter": "x"}, headers={"A": "b"})

    assert ids(walk(pull(NextLink(), request=start), server)) == [0, 1]
    following = server.requests[1]
    assert (following.path, following.link, following.params) == (link, True, None)
    assert following.headers == {"A": "b"}


def test_a_link_may_lie_deeper() -> None:
    server = Script({"data": records(1), "links": {"next": "/2"}}, {"data": [{"id": 1}]})

    assert ids(walk(pull(NextLink(keys=("links.next",))), server)) == [0, 1]


def test_a_circle_of_links_raises() -> None:
    server = Script(
        {"value": [{"id": 1}], "nextLink": "/a"},
        {"value": [{"id": 2}], "nextLink": "/b"},
        {"value": [{"id": 3}], "nextLink": "/a"},
    )

    with pytest.raises(PaginationError, match="link that it had given before"):
        walk(pull(NextLink()), server)


def test_the_same_link_without_data_is_the_end() -> None:
    server = Script({"value": [{"id": 1}], "nextLink": "/a"}, {"value": [], "nextLink": "/a"})

    assert ids(walk(pull(NextLink()), server)) == [1]


@pytest.mark.parametrize("style", [NextLink(), SkipTop(size=2)])
@pytest.mark.parametrize("link", [{"href": "/things?page=2"}, 7, ["/x"], True])
def test_what_is_no_link_in_its_place_raises(style: NextLink | SkipTop, link: Any) -> None:
    with pytest.raises(PaginationError, match="member 'nextLink' is no link"):
        walk(pull(style), Script({"value": records(2), "nextLink": link}, {"value": []}))


@pytest.mark.parametrize("link", [None, "", " ", False])
def test_no_link_is_the_end(link: Any) -> None:
    assert ids(walk(pull(NextLink()), Script({"value": records(2), "nextLink": link}))) == [0, 1]


def test_a_link_within_an_object_is_found_behind_it() -> None:
    style = NextLink(keys=("next", "next.href"))
    server = Script({"value": records(1), "next": {"href": "/more"}}, {"value": []})
    walk(pull(style), server)

    assert server.requests[1].path == "/more"
