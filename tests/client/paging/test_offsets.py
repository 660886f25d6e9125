from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_finauth.client.paging.limit_offset import LimitOffset
from airflow_provider_finauth.client.paging.skip_top import SkipTop
from airflow_provider_finauth.exceptions import PaginationError
from tests.client.paging.support import Model, Script, ids, pull, records, walk


@given(count=st.integers(0, 40), size=st.integers(1, 12), cap=st.integers(1, 12))
def test_every_record_once_by_limit_and_offset(count: int, size: int, cap: int) -> None:
    rows = records(count)
    server = Model(lambda params: rows[params["offset"] :][: min(cap, params["limit"])])

    assert ids(walk(pull(LimitOffset(size=size)), server)) == list(range(count))


@pytest.mark.parametrize(("skip", "top"), [("$skip", "$top"), ("skip", "top"), ("from", "count")])
@given(count=st.integers(0, 40), size=st.integers(1, 12), cap=st.integers(1, 12))
def test_every_record_once_by_skip_and_top(skip: str, top: str, count: int, size: int, cap: int) -> None:
    rows = records(count)
    server = Model(lambda params: {"value": rows[params[skip] :][: min(cap, params[top])]})

    assert ids(walk(pull(SkipTop(skip_param=skip, top_param=top, size=size)), server)) == list(range(count))


@pytest.mark.parametrize("key", ["id", None])
def test_an_offset_that_is_not_heeded_raises(key: str | None) -> None:
    with pytest.raises(PaginationError, match="does not heed 'offset'"):
        walk(pull(LimitOffset(size=3), key=key), Script(records(3), records(3)))


class LinkServer:
    """Landax: at most ``cap`` rows an answer, and a link to the rest under some name, or none."""

    def __init__(self, rows: list[Any], *, cap: int, key: str | None, honours_skip: bool = True) -> None:
        self.rows, self.cap, self.key, self.honours_skip = rows, cap, key, honours_skip
        self.asked: list[str] = []

    def __call__(self, request: Any) -> Any:
        if request.link:
            self.asked.append(request.path)
            assert request.params is None
            start = int(request.path.rpartition("=")[2])
        else:
            start = request.params["skip"] if self.honours_skip else 0
            self.asked.append(f"skip {start}")
        answer: dict[str, Any] = {"value": self.rows[start : start + self.cap]}
        if self.key and start + self.cap < len(self.rows):
            answer[self.key] = f"https://company.landax.no/api/v32/Incidents?skip={start + self.cap}"
        return answer


STYLE = SkipTop(skip_param="skip", top_param="top", size=10, cap=10)


@given(count=st.integers(0, 55), key=st.sampled_from(["@odata.nextLink", "nextLink", None]))
def test_every_record_once_by_links_or_without(count: int, key: str | None) -> None:
    assert ids(walk(pull(STYLE), LinkServer(records(count), cap=10, key=key))) == list(range(count))


def test_links_end_without_a_further_request() -> None:
    server = LinkServer(records(25), cap=10, key="nextLink")
    walk(pull(STYLE), server)

    assert len(server.asked) == 3


def test_exactly_the_cap_and_no_link_is_probed_once() -> None:
    server = LinkServer(records(20), cap=10, key="nextLink")

    assert len(ids(walk(pull(STYLE), server))) == 20
    assert server.asked[-1] == "skip 20"
    assert len(server.asked) == 3


def test_a_probe_that_finds_more_goes_on() -> None:
    # A server that caps in silence: the second answer is full, its link is missing, and there is more.
    rows = records(25)
    link = "https://company.landax.no/more"
    server = Script(
        {"value": rows[:10], "nextLink": link}, {"value": rows[10:20]}, {"value": rows[20:]}, {"value": []}
    )

    assert ids(walk(pull(STYLE), server)) == list(range(25))


@pytest.mark.parametrize("key", ["id", None])
def test_a_probe_that_brings_the_first_row_again_raises(key: str | None) -> None:
    server = LinkServer(records(20), cap=10, key=None, honours_skip=False)

    with pytest.raises(PaginationError, match="does not heed 'skip'"):
        walk(pull(STYLE, key=key), server)


def test_a_probe_after_links_that_brings_the_first_row_again_raises() -> None:
    server = LinkServer(records(20), cap=10, key="nextLink", honours_skip=False)

    with pytest.raises(PaginationError, match="is one that had come before.*'skip'"):
        walk(pull(STYLE), server)


def test_a_link_that_came_before_raises() -> None:
    rows = records(8)
    server = Script(
        {"value": rows[:2], "nextLink": "/a"},
        {"value": rows[2:4], "nextLink": "/b"},
        {"value": rows[4:6], "nextLink": "/a"},
    )

    with pytest.raises(PaginationError, match="link that it had given before"):
        walk(pull(STYLE), server)


def test_a_count_in_the_answer_is_held_to() -> None:
    with pytest.raises(PaginationError, match="promised 21 records and gave 20"):
        walk(
            pull(STYLE, total="@odata.count"),
            Script({"value": records(20), "@odata.count": 21}, {"value": [], "@odata.count": 21}),
        )
