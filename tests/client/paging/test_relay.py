from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_finauth.client.paging.base import Request
from airflow_provider_finauth.client.paging.relay import Relay
from airflow_provider_finauth.exceptions import ConfigurationError, PaginationError
from tests.client.paging.support import Script, ids, pull, records, walk

if TYPE_CHECKING:
    from collections.abc import Callable

QUERY = "query ($first: Int, $after: String) { things(first: $first, after: $after) { … } }"
START = Request("POST", "/graphql", json={"query": QUERY, "variables": {"companyId": "7"}})


class Positions:
    """A connection whose cursors are positions, like Luca's; ``change`` alters the rows between requests."""

    def __init__(self, rows: list[Any], change: Callable[[list[Any], int], None] | None = None) -> None:
        self.rows, self.change, self.requests = rows, change, 0

    def __call__(self, request: Request) -> Any:
        variables = request.json["variables"]
        assert request.graphql
        assert variables["companyId"] == "7"
        self.requests += 1
        if self.change is not None:
            self.change(self.rows, self.requests)
        start = int(base64.b64decode(variables["after"])) if "after" in variables else 0
        end = min(start + variables["first"], len(self.rows))
        return connection(self.rows[start:end], base64.b64encode(b"%d" % end).decode(), end < len(self.rows))


def connection(rows: list[Any], cursor: str | None, more: bool) -> dict[str, Any]:
    return {"things": {"nodes": rows, "pageInfo": {"hasNextPage": more, "endCursor": cursor}}}


def things(**options: Any) -> Any:
    return pull(Relay(connection_path="things", **options), request=START)


@given(count=st.integers(0, 40), first=st.integers(1, 12), verify=st.booleans())
def test_every_node_once(count: int, first: int, verify: bool) -> None:
    pages = walk(things(first=first, verify=verify), Positions(records(count)))

    assert ids(pages) == list(range(count))
    assert sum(page.duplicates for page in pages) == 0


@given(first=st.integers(1, 6), moments=st.sets(st.integers(1, 12)))
def test_rows_that_come_in_front_shift_the_others_and_none_comes_twice(first: int, moments: set[int]) -> None:
    def insert(rows: list[Any], request: int) -> None:
        if request in moments:
            rows.insert(0, {"id": -request})

    pages = walk(things(first=first), Positions(records(20), insert))
    found = ids(pages)

    assert len(found) == len(set(found))
    assert set(found) >= set(range(20))


def test_repeated_rows_are_counted() -> None:
    server = Positions(records(6), lambda rows, request: rows.insert(0, {"id": -1}) if request == 2 else None)

    assert [page.duplicates for page in walk(things(first=3), server)] == [0, 1, 0]


def test_verify_delivers_what_a_row_that_went_had_hidden() -> None:
    def remove(rows: list[Any], request: int) -> None:
        if request == 2:
            del rows[0]

    assert ids(walk(things(first=2), Positions(records(6), remove))) == [0, 1, 3, 4, 5]
    pages = walk(things(first=2, verify=True), Positions(records(6), remove))
    assert ids(pages) == [0, 1, 3, 4, 5, 2]
    assert sum(page.duplicates for page in pages) == 0


def test_verify_needs_ids() -> None:
    with pytest.raises(ConfigurationError, match="verify needs the member 'id'"):
        walk(things(verify=True), Script(connection([{"name": "x"}], None, False)))


def test_edges_and_hidden_nodes() -> None:
    edges = [{"cursor": "a", "node": {"id": 1}}, {"cursor": "b", "node": None}, None]
    answer = {"a": {"things": {"edges": edges, "pageInfo": {"hasNextPage": False}}}}

    assert ids(walk(pull(Relay(connection_path="a.things"), request=START), Script(answer))) == [1]


def test_an_empty_page_is_no_end_while_there_is_more() -> None:
    server = Script(connection([], "a", True), connection([{"id": 1}], "b", False))

    assert ids(walk(things(), server)) == [1]


def test_the_same_cursor_with_data_raises() -> None:
    server = Script(connection(records(2), "a", True), connection(records(2), "a", True))

    with pytest.raises(PaginationError, match="cursor that it had given before"):
        walk(things(), server)


def test_the_same_cursor_without_data_is_the_end() -> None:
    server = Script(connection(records(2), "a", True), connection([], "a", True))

    assert ids(walk(things(), server)) == [0, 1]


def test_more_without_a_cursor_raises() -> None:
    with pytest.raises(PaginationError, match="no endCursor"):
        walk(things(), Script(connection(records(1), None, True)))


def test_no_more_without_a_cursor_does_not() -> None:
    assert ids(walk(things(), Script(connection(records(1), None, False)))) == [0]


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (None, "no connection at 'things'"),
        ({"things": None}, "no connection at 'things'"),
        ({"things": {"nodes": []}}, "pageInfo"),
        ({"things": {"nodes": [], "pageInfo": {"endCursor": "a"}}}, "pageInfo"),
        ({"things": {"pageInfo": {"hasNextPage": False}}}, "neither nodes nor edges"),
        (
            {"things": {"edges": [{"cursor": "a"}], "pageInfo": {"hasNextPage": False}}},
            "neither nodes nor edges",
        ),
    ],
)
def test_an_answer_that_cannot_be_walked_raises(answer: Any, text: str) -> None:
    with pytest.raises(PaginationError, match=text):
        walk(things(), Script(answer))


def test_variables_have_the_documents_own_names() -> None:
    server = Script(connection(records(1), "a", True), connection([], "b", False))
    walk(things(first=5, first_variable="n", after_variable="from"), server)

    assert [request.json["variables"] for request in server.requests] == [
        {"companyId": "7", "n": 5},
        {"companyId": "7", "n": 5, "from": "a"},
    ]
    assert START.json["variables"] == {"companyId": "7"}


def test_a_promised_total_is_held_to() -> None:
    answer = connection(records(1), "a", False)
    answer["things"]["totalCount"] = 2

    with pytest.raises(PaginationError, match="promised 2 records and gave 1"):
        walk(pull(Relay(connection_path="things"), request=START, total="things.totalCount"), Script(answer))
