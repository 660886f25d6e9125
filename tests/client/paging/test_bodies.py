"""Pulls over HTTP: forms that an answer may come in, and what is done about one that cannot be used."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_finauth.client.paging.base import Pull, Request
from airflow_provider_finauth.client.paging.cursor import Cursor
from airflow_provider_finauth.client.paging.page_index import PageIndex
from airflow_provider_finauth.client.paging.relay import Relay
from airflow_provider_finauth.client.paging.single import Single
from airflow_provider_finauth.client.paging.tally import Tally
from airflow_provider_finauth.exceptions import ApiError
from tests.client.support import BASE, JSON, make_client

if TYPE_CHECKING:
    import requests_mock

ROWS = [{"id": 1, "text": "Ærlig – 한\n", "amount": 1.10}, {"id": 2, "inner": {"list": [1, [2]]}}]
THINGS = Pull(request=Request("GET", "/things"), paging=Single(), key="id")
PAGED = Pull(request=Request("GET", "/things"), paging=PageIndex(size=2), key="id", total="count")
QUERY = "query Things($first: Int, $after: String) { things(first: $first, after: $after) { id } }"
NODES = Pull(
    request=Request("POST", "/graphql", json={"query": QUERY}),
    paging=Relay(connection_path="things"),
    key="id",
)


def serve(mock: requests_mock.Mocker, *bodies: bytes, **headers: str) -> Any:
    return mock.get(f"{BASE}/things", [{"content": body, "headers": {**JSON, **headers}} for body in bodies])


@pytest.mark.parametrize("indent", [None, 2, "\t"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("place", [None, "value"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_pretty_printed_and_marked_pages(
    requests_mock: requests_mock.Mocker, indent: Any, mark: bytes, place: str | None, end: str
) -> None:
    text = json.dumps(ROWS if place is None else {place: ROWS}, indent=indent, ensure_ascii=False)
    serve(requests_mock, mark + text.replace("\n", end).encode())
    [page] = make_client().pages(THINGS)
    lines = [bytes(line) for line in page.rows.lines]

    assert [json.loads(line) for line in lines] == ROWS
    assert all(not {b"\n", b"\r"} & {line[at : at + 1] for at in range(len(line))} for line in lines)
    assert [str(record.get("amount")) for record in page.records] == ["1.1", "None"]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b'[{"id": "\xff"}]', "UTF-8"),
        ('[{"id": "å"}]'.encode("latin-1"), "UTF-8"),
        (b'[{"id": 1}', "does not read as JSON"),
        (b'[{"id": 1},]', "does not read as JSON"),
        (b"", "empty"),
        (b"[" * 100_000, "too deeply"),
    ],
)
def test_a_page_that_cannot_be_used_is_asked_for_again_and_named(
    requests_mock: requests_mock.Mocker, body: bytes, problem: str
) -> None:
    mock = serve(requests_mock, body)

    with pytest.raises(ApiError, match=f"not with JSON: it .*{problem}|not with JSON: it is {problem}"):
        list(make_client(max_attempts=2).pages(THINGS))
    assert mock.call_count == 2


def test_a_page_that_was_cut_short_is_survived(requests_mock: requests_mock.Mocker) -> None:
    serve(requests_mock, b'[{"id": 1}, {"id"', b'[{"id": 1}, {"id": 2}]')

    assert list(make_client().records(THINGS)) == [{"id": 1}, {"id": 2}]


def test_an_amount_without_bounds_passes_by_whoever_does_not_look(
    requests_mock: requests_mock.Mocker,
) -> None:
    body = b'[{"id": 1, "amount": 1e999999999999999999999}]'
    serve(requests_mock, body)
    client = make_client()
    [page] = client.pages(THINGS)

    assert [bytes(line) for line in page.rows.lines] == [body[1:-1]]
    with pytest.raises(ApiError, match="cannot be decoded.*JSON Lines"):
        list(client.records(THINGS))


def test_what_a_pull_was_held_against(requests_mock: requests_mock.Mocker) -> None:
    serve(
        requests_mock,
        b'{"results": [{"id": 1}, {"id": 2}], "count": 9}',
        b'{"results": [], "count": 9}',
        Date="Sun, 06 Nov 1994 08:49:37 GMT",
    )
    tally = Tally()
    pages = list(make_client().pages(PAGED, tally=tally, on_mismatch="warn"))

    assert len(pages) == 1
    assert tally.to_dict() | {"total": 9, "pages": 2, "received": 2, "missing": 7} == tally.to_dict()
    assert tally.server_time == datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)


def connection(nodes: str, *, edges: bool = False, more: str = "") -> bytes:
    lists = f'"edges": [{{"cursor": "a", "node": {nodes}}}]' if edges else f'"nodes": [{nodes}]'
    info = '"pageInfo": {"hasNextPage": false, "endCursor": null}'
    return f'{{{more}"data": {{"things": {{{lists}, {info}}}}}}}'.encode()


@pytest.mark.parametrize("edges", [False, True])
@pytest.mark.parametrize("more", ["", '"errors": null, ', '"errors": [], ', '"extensions": {"cost": 1.5}, '])
def test_nodes_stay_as_they_came(requests_mock: requests_mock.Mocker, edges: bool, more: str) -> None:
    node = '{"id": 1, "amount" : 1e999999999999999999999}'
    body = connection(node, edges=edges, more=more)
    requests_mock.post(f"{BASE}/graphql", content=body, headers=JSON)
    [page] = make_client().pages(NODES)

    assert [bytes(line) for line in page.rows.lines] == [node.encode()]


def test_errors_beside_nodes_decide(requests_mock: requests_mock.Mocker) -> None:
    body = connection('{"id": 1}', more='"errors": [{"message": "no", "extensions": {"code": "X"}}], ')
    requests_mock.post(f"{BASE}/graphql", content=body, headers=JSON)

    with pytest.raises(ApiError, match="answered with errors"):
        list(make_client().pages(NODES))


def test_no_content_ends_a_walk(requests_mock: requests_mock.Mocker) -> None:
    requests_mock.get(
        f"{BASE}/things",
        [{"json": {"data": [{"id": 1}], "cursor": "a"}, "headers": JSON}, {"status_code": 204}],
    )
    cursors = Pull(request=Request("GET", "/things"), paging=Cursor(), key="id")

    assert list(make_client().records(cursors)) == [{"id": 1}]
