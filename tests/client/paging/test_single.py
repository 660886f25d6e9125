"""One answer: what it tells of further records is not passed over."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_finauth.client.paging.single import Single
from airflow_provider_finauth.exceptions import PaginationError
from tests.client.paging.support import Script, ids, pull, records, walk


@pytest.mark.parametrize(
    "more",
    [
        {"cursor": "c2"},
        {"next": "/things?page=2"},
        {"@odata.nextLink": "https://api.example.com/things?$skip=2"},
        {"pagination": {"cursor": "c2"}},
        {"next": {"href": "/things?page=2"}},
        {"_links": {"self": {"href": "/things"}, "next": {"href": "/things?page=2"}}},
        {"hasMore": True},
        {"pageInfo": {"hasNextPage": True}},
        {"total": 3},
        {"@odata.count": 3},
    ],
)
def test_an_answer_that_tells_of_more_raises(more: dict[str, Any]) -> None:
    with pytest.raises(PaginationError, match="one page of several.*'paging'"):
        walk(pull(Single()), Script({"data": records(2), **more}))


@pytest.mark.parametrize(
    "whole",
    [
        {},
        {"cursor": None},
        {"cursor": ""},
        {"next": None},
        {"_links": {"self": {"href": "/things"}}},
        {"links": {"next": {"href": None}}},
        {"hasMore": False},
        {"total": 2},
        {"total": True},
        {"pagination": {"limit": 20}},
    ],
)
def test_an_answer_that_is_whole_does_not(whole: dict[str, Any]) -> None:
    assert ids(walk(pull(Single()), Script({"data": records(2), **whole}))) == [0, 1]


def test_a_first_page_may_be_wanted() -> None:
    assert ids(walk(pull(Single()), Script({"data": records(2), "cursor": "c2"}), limit=2)) == [0, 1]
