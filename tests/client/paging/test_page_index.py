from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_finauth.client.paging.page_index import PageIndex
from airflow_provider_finauth.exceptions import PaginationError
from tests.client.paging.support import Model, Script, ids, pull, records, walk


def index_server(rows: list[Any], *, total: bool = True, cap: int | None = None) -> Model:
    """A server whose pageIndex counts pages."""

    def serve(params: dict[str, Any]) -> Any:
        size = min(params["pageSize"], cap or params["pageSize"])
        page = rows[params["pageIndex"] * size :][:size]
        return {"results": page, "rowCount": len(rows)} if total else {"results": page}

    return Model(serve)


def offset_server(rows: list[Any], *, total: bool = True, cap: int | None = None) -> Model:
    """A server whose pageIndex counts records."""

    def serve(params: dict[str, Any]) -> Any:
        size = min(params["pageSize"], cap or params["pageSize"])
        page = rows[params["pageIndex"] :][:size]
        return {"results": page, "rowCount": len(rows)} if total else page

    return Model(serve)


@given(count=st.integers(0, 40), size=st.integers(1, 12), total=st.booleans(), cap=st.integers(1, 12))
def test_every_record_once_by_index(count: int, size: int, total: bool, cap: int) -> None:
    server = index_server(records(count), total=total, cap=cap)

    assert ids(walk(pull(PageIndex(size=size), total="rowCount"), server)) == list(range(count))


@given(count=st.integers(0, 40), size=st.integers(1, 12), total=st.booleans(), cap=st.integers(1, 12))
def test_every_record_once_by_offset(count: int, size: int, total: bool, cap: int) -> None:
    server = offset_server(records(count), total=total, cap=cap)

    assert ids(walk(pull(PageIndex(size=size, offset=True), total="rowCount"), server)) == list(range(count))


@given(count=st.integers(0, 40), size=st.integers(1, 12), offset=st.booleans())
def test_every_record_once_without_a_key(count: int, size: int, offset: bool) -> None:
    rows = [number // 3 for number in range(count)]
    server = (offset_server if offset else index_server)(rows, total=False)

    pages = walk(pull(PageIndex(size=size, offset=offset), key=None), server)

    assert [record for page in pages for record in page.records] == rows


def test_the_total_saves_the_last_request() -> None:
    server = index_server(records(10))

    walk(pull(PageIndex(size=5), total="rowCount"), server)

    assert [params["pageIndex"] for params in server.asked] == [0, 1]


def test_the_number_of_pages_saves_the_last_request() -> None:
    server = Script({"results": records(2), "pageCount": 1})

    assert ids(walk(pull(PageIndex(size=2, page_count="pageCount")), server)) == [0, 1]


def test_a_total_that_is_too_small_cuts_nothing_short() -> None:
    rows = records(12)
    server = Model(
        lambda params: {"results": rows[params["pageIndex"] * 5 :][:5], "rowCount": 3},
    )

    assert len(ids(walk(pull(PageIndex(size=5), total="rowCount"), server))) == 12


@pytest.mark.parametrize("key", ["id", None])
def test_an_index_taken_for_an_offset_raises_and_names_the_switch(key: str | None) -> None:
    server = offset_server(records(30))

    with pytest.raises(PaginationError, match="second page begins like the first.*'page_numbering'"):
        walk(pull(PageIndex(size=5, switch="the field 'page_numbering'"), total="rowCount", key=key), server)


@pytest.mark.parametrize("key", ["id", None])
def test_a_parameter_that_is_not_heeded_raises_and_names_the_switch(key: str | None) -> None:
    server = Model(lambda params: records(5))

    with pytest.raises(PaginationError, match="Change the paging option 'offset'"):
        walk(pull(PageIndex(size=5), key=key), server)


def test_an_offset_taken_for_an_index_raises_by_the_total() -> None:
    with pytest.raises(
        PaginationError, match=r"promised 30 records and gave 10.*offset where it counts pages"
    ):
        walk(pull(PageIndex(size=5, offset=True), total="rowCount"), index_server(records(30)))


@pytest.mark.parametrize("count", [30, 600])
def test_an_offset_taken_for_an_index_raises_without_a_total(count: int) -> None:
    # With 600 records page index 5 exists too, and only the probe tells.
    with pytest.raises(PaginationError, match="counts pages here, not records"):
        walk(pull(PageIndex(size=5, offset=True)), index_server(records(count), total=False))


def test_a_record_that_comes_in_between_is_no_mistake() -> None:
    rows = records(10)
    before = [{"id": -1}, *rows]
    server = Script(
        {"results": rows[:4]}, {"results": before[4:8]}, {"results": before[8:12]}, {"results": []}
    )

    pages = walk(pull(PageIndex(size=4)), server)

    assert ids(pages) == list(range(10))
    assert sum(page.duplicates for page in pages) == 1


def test_a_record_that_comes_in_between_pages_of_two_is_no_mistake() -> None:
    rows = records(3)

    assert ids(walk(pull(PageIndex(size=2)), Script(rows[:2], rows[1:], []))) == [0, 1, 2]


def test_a_page_that_comes_later_again_is_a_cycle() -> None:
    pages = [records(6)[:2], records(6)[2:4], records(6)[4:], records(6)[2:4]]

    with pytest.raises(PaginationError, match="page 4 is one that had come before"):
        walk(pull(PageIndex(size=2)), Script(*pages))


def test_pages_of_equal_records_without_a_key_are_no_cycle() -> None:
    server = index_server([{"amount": 0}] * 7, total=False)

    pages = walk(pull(PageIndex(size=2), key=None), server)

    assert sum(len(page.records) for page in pages) == 7


def test_a_first_index_of_one() -> None:
    rows = records(5)
    server = Model(lambda params: rows[(params["pageIndex"] - 1) * 2 :][:2])

    assert ids(walk(pull(PageIndex(size=2, first=1)), server)) == list(range(5))
