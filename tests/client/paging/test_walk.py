"""What a walk tells its source, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_finauth.client.paging.answer import Answer
from airflow_provider_finauth.client.paging.limit_offset import LimitOffset, OffsetWalk
from airflow_provider_finauth.client.paging.tally import Tally
from airflow_provider_finauth.client.paging.walk import walk_pages
from airflow_provider_finauth.exceptions import ApiError, PaginationError
from tests.client.paging.support import ids, pull, records

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_finauth.client.paging.base import Pull, Request, Turn, Walk


class Noted:
    """A source that notes what it is told."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.heard: list[str] = []

    def get(self, request: Request) -> Answer:
        self.heard.append(f"get {(request.params or {})['offset']}")
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return Answer.of(answer)

    def expect(self, requests: Iterator[Request]) -> None:
        self.heard.append(f"expect {[(request.params or {})['offset'] for request in requests]}")

    def close(self) -> None:
        self.heard.append("close")


class Farsighted(LimitOffset):
    """Thinks that there are three further pages after the next one."""

    def begin(self, pull: Pull) -> Walk:
        class Far(OffsetWalk):
            def foresee(self, turn: Turn) -> Iterator[Request]:
                return (self.request_at(self.offset + self.size * step) for step in (1, 2, 3))

        walk = Far(pull, offset_param="offset", size_param="limit", size=self.size)
        walk.size = self.size  # type: ignore[attr-defined]
        return walk


STYLE = LimitOffset(size=2)


def test_what_comes_next_is_told_before_a_page_is_given_away() -> None:
    source = Noted(records(4)[:2], records(4)[2:], [])
    pages = walk_pages(pull(STYLE), source)
    next(pages)

    assert source.heard == ["get 0", "expect [2]"]
    assert ids(list(pages)) == [2, 3]
    assert source.heard == ["get 0", "expect [2]", "get 2", "expect [4]", "get 4", "close"]


def test_what_is_foreseen_is_told_with_it() -> None:
    source = Noted(records(2), [])
    list(walk_pages(pull(Farsighted(size=2)), source))

    assert source.heard[1] == "expect [2, 4, 6, 8]"


@pytest.mark.parametrize(("limit", "expected"), [(3, "expect [2]"), (4, "expect [2]"), (5, "expect [2, 4]")])
def test_no_more_is_foreseen_than_a_limit_needs(limit: int, expected: str) -> None:
    source = Noted(records(2), [])
    list(walk_pages(pull(Farsighted(size=2)), source, limit=limit))

    assert source.heard[1] == expected


def test_after_the_last_page_nothing_is_expected() -> None:
    source = Noted(records(2))
    list(walk_pages(pull(STYLE), source, limit=2))

    assert source.heard == ["get 0", "close"]


@pytest.mark.parametrize("fault", [ApiError("down"), None])
def test_the_source_is_closed_on_an_error(fault: Exception | None) -> None:
    source = Noted(records(2), fault or records(2))

    with pytest.raises(ApiError if fault else PaginationError):
        list(walk_pages(pull(STYLE), source))
    assert source.heard[-1] == "close"


def test_the_source_is_closed_when_the_reader_stops() -> None:
    source = Noted(records(2))
    pages = walk_pages(pull(STYLE), source)
    next(pages)
    pages.close()  # type: ignore[attr-defined]

    assert source.heard[-1] == "close"


def test_the_servers_time_is_that_of_the_first_answer() -> None:
    first, second = "Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 09:00:00 GMT"
    answers = [Answer.read(b'[{"id": 1}]', date=first), Answer.read(b"[]", date=second)]
    tally, without = Tally(), Tally()
    list(walk_pages(pull(STYLE), lambda request: answers.pop(0), tally=tally))
    answers = [Answer.read(b'[{"id": 1}]'), Answer.read(b"[]", date=second)]
    list(walk_pages(pull(STYLE), lambda request: answers.pop(0), tally=without))

    assert tally.server_time is not None
    assert tally.server_time.isoformat() == "1994-11-06T08:49:37+00:00"
    assert without.server_time is None


def test_a_page_tells_its_whole_answer() -> None:
    [page] = walk_pages(pull(STYLE), lambda request: {"value": records(1), "more": 1.5}, limit=1)

    assert page.body == {"value": [{"id": 0, "name": "record 0"}], "more": page.body["more"]}
    assert str(page.body["more"]) == "1.5"


def test_without_a_key_no_record_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_provider_finauth.client.paging import rows

    def opened(*_: Any) -> Any:
        raise AssertionError("a record was looked into")

    monkeypatch.setattr(rows, "decode_text", opened)
    monkeypatch.setattr(rows, "decode_any", opened)
    found = b""
    bodies = [b'[{"a":1},{"a":2}]', b'[{"a":3}]', b"[]"]
    for page in walk_pages(pull(STYLE, key=None), lambda request: Answer.read(bodies.pop(0))):
        found += b"\n".join([*page.rows.lines, b""])

    assert found == b'{"a":1}\n{"a":2}\n{"a":3}\n'
