from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_finauth.client.paging import guards
from airflow_provider_finauth.client.paging.base import Request, Walk
from airflow_provider_finauth.client.paging.limit_offset import LimitOffset
from airflow_provider_finauth.client.paging.next_link import NextLink
from airflow_provider_finauth.client.paging.rows import Rows, dig
from airflow_provider_finauth.client.paging.single import Single
from airflow_provider_finauth.client.paging.walk import walk_pages
from airflow_provider_finauth.exceptions import PaginationError
from tests.client.paging.support import Model, Script, ids, pull, records, walk


class TestPromisedTotal:
    def test_fewer_records_than_promised_raise(self) -> None:
        with pytest.raises(PaginationError, match="pull of 'things'.*promised 4 records and gave 3"):
            walk(pull(Single(), total="count"), Script({"results": records(3), "count": 4}))

    def test_exactly_as_many_do_not(self) -> None:
        assert len(walk(pull(Single(), total="count"), Script({"results": records(3), "count": 3}))) == 1

    def test_growth_is_followed(self) -> None:
        rows = records(6)
        server = Script(
            {"results": rows[:2], "count": 3},
            {"results": rows[2:4], "count": 6},
            {"results": rows[4:], "count": 6},
        )

        assert ids(walk(pull(LimitOffset(size=2), total="count"), server)) == list(range(6))

    def test_growth_in_front_of_the_walk_does_not_raise(self) -> None:
        rows = records(4)
        # A record came in at the beginning: the second page begins one earlier, and nobody gives the new one.
        server = Script(
            {"results": rows[:2], "count": 4}, {"results": rows[1:], "count": 5}, {"results": [], "count": 5}
        )

        assert ids(walk(pull(LimitOffset(size=3), total="count"), server)) == list(range(4))

    def test_the_smallest_total_seen_is_what_must_come(self) -> None:
        rows = records(6)
        # A record went, so that the second page begins one further on.
        server = Script(
            {"results": rows[:2], "count": 6}, {"results": rows[3:5], "count": 5}, {"results": [], "count": 5}
        )
        with pytest.raises(PaginationError, match="promised 5 records and gave 4"):
            walk(pull(LimitOffset(size=2), total="count"), server)

    def test_a_total_that_shrinks_to_what_came_does_not_raise(self) -> None:
        rows = records(6)
        server = Script(
            {"results": rows[:3], "count": 6}, {"results": rows[4:], "count": 5}, {"results": [], "count": 5}
        )

        assert len(ids(walk(pull(LimitOffset(size=3), total="count"), server))) == 5

    def test_records_that_came_twice_count_once(self) -> None:
        rows = records(4)
        server = Script(
            {"results": rows[:2], "count": 4}, {"results": rows[1:3], "count": 4}, {"results": [], "count": 4}
        )

        with pytest.raises(PaginationError, match="promised 4 records and gave 3"):
            walk(pull(LimitOffset(size=2), total="count"), server)

    def test_a_limit_lifts_the_promise(self) -> None:
        pages = walk(pull(Single(), total="count"), Script({"results": records(3), "count": 99}), limit=2)

        assert ids(pages) == [0, 1]

    @pytest.mark.parametrize("total", [None, -1, True, "many", 2.5, "3"])
    def test_what_is_no_total_promises_nothing(self, total: Any) -> None:
        assert ids(walk(pull(Single(), total="count"), Script({"results": records(3), "count": total})))

    def test_a_page_tells_the_total(self) -> None:
        [page] = walk(pull(Single(), total="a.count"), Script({"results": records(3), "a": {"count": "3"}}))

        assert page.total == 3


class TestRepeats:
    def test_an_unchanged_record_of_the_page_before_is_dropped_and_counted(self) -> None:
        rows = records(5)
        pages = walk(pull(LimitOffset(size=3)), Script(rows[:3], rows[2:], []))

        assert ids(pages) == [0, 1, 2, 3, 4]
        assert [page.duplicates for page in pages] == [0, 1]

    def test_a_changed_record_is_delivered_and_counted(self) -> None:
        newer = {"id": 1, "name": "changed meanwhile"}
        pages = walk(pull(LimitOffset(size=2)), Script(records(2), [{"id": 2}, newer], []))

        assert [record for page in pages for record in page.records][-1] == newer
        assert pages[1].duplicates == 1

    def test_a_record_of_long_ago_is_delivered_and_counted(self) -> None:
        rows = records(4)
        pages = walk(pull(LimitOffset(size=2)), Script(rows[:2], rows[2:], [{"id": 9}, rows[0]], []))

        assert ids(pages) == [0, 1, 2, 3, 9, 0]
        assert pages[2].duplicates == 1

    def test_a_record_twice_in_a_page_is_dropped(self) -> None:
        [page] = walk(pull(Single()), Script([{"id": 1}, {"id": 1}]))

        assert (page.records, page.duplicates) == ([{"id": 1}], 1)

    def test_records_without_the_key_are_left_alone(self) -> None:
        rows = [{"a": 1}, {"a": 1}, {"id": None}, {"id": None}, "text"]

        [page] = walk(pull(Single()), Script(rows))

        assert (page.records, page.duplicates) == (rows, 0)

    def test_keys_may_be_lists_or_lie_deeper(self) -> None:
        rows = [{"key": {"id": [1]}}, {"key": {"id": [1]}}]

        [page] = walk(pull(Single(), key="key.id"), Script(rows))

        assert page.duplicates == 1

    @pytest.mark.parametrize(("exact", "found"), [(True, 1), (False, 0)])
    def test_the_window(self, monkeypatch: pytest.MonkeyPatch, exact: bool, found: int) -> None:
        monkeypatch.setattr(guards, "WINDOW", 4)
        pages = [records(12)[start : start + 2] for start in range(0, 12, 2)]

        walked = walk(pull(LimitOffset(size=2), exact=exact), Script(*pages, [{"id": 99}, {"id": 1}], []))

        assert sum(page.duplicates for page in walked) == found

    def test_at_least_ten_thousand_keys_are_remembered(self) -> None:
        repeats = guards.Repeats(Walk(pull(Single())))
        repeats.sift(Rows.of([{"id": "here"}]))
        for start in range(0, 9_999, 99):
            repeats.sift(Rows.of({"id": number} for number in range(start, min(start + 99, 9_999))))

        assert repeats.sift(Rows.of([{"id": "here"}])).repeated == 1

    @given(st.lists(st.lists(st.integers(0, 9), max_size=6), max_size=8))
    def test_every_key_that_came_before_is_counted(self, pages: list[list[int]]) -> None:
        repeats = guards.Repeats(Walk(pull(Single())))
        seen: set[int] = set()
        for page in pages:
            expected = len(page) - len(set(page) - seen)
            assert repeats.sift(Rows.of({"id": key} for key in page)).repeated == expected
            seen |= set(page)


class TestCeiling:
    def test_a_walk_without_end_raises(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(guards, "MOST_PAGES", 5)
        server = Model(lambda params: [{"id": params["offset"]}])

        with pytest.raises(PaginationError, match="has not ended after 5 pages"):
            walk(pull(LimitOffset(size=1)), server)
        assert len(server.asked) == 5

    def test_one_of_just_so_many_pages_does_not(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(guards, "MOST_PAGES", 5)
        rows = records(4)

        assert len(walk(pull(LimitOffset(size=1)), Model(lambda params: rows[params["offset"] :][:1]))) == 4

    def test_the_ceiling(self) -> None:
        assert guards.MOST_PAGES == 100_000


class TestLimit:
    @given(limit=st.integers(0, 30), size=st.integers(1, 7))
    def test_no_more_is_asked_for_than_needed(self, limit: int, size: int) -> None:
        rows = records(20)
        server = Model(lambda params: rows[params["offset"] :][: params["limit"]])

        assert ids(walk(pull(LimitOffset(size=size)), server, limit=limit)) == list(range(min(limit, 20)))
        if limit <= 20:
            assert len(server.asked) == -(-limit // size)

    def test_what_lies_beyond_the_limit_is_not_judged(self) -> None:
        link = {"value": records(3), "nextLink": "/things?page=2"}

        assert ids(walk(pull(NextLink()), Script(link), limit=3)) == [0, 1, 2]


class TestLaziness:
    def test_a_page_is_asked_for_only_when_it_is_wanted(self) -> None:
        server = Model(lambda params: records(50)[params["offset"] :][:10])
        pages = walk_pages(pull(LimitOffset(size=10)), server)

        assert server.asked == []
        next(pages)
        assert len(server.asked) == 1
        pages.close()
        assert len(server.asked) == 1

    def test_a_page_that_breaks_a_rule_is_not_delivered(self) -> None:
        pages = walk_pages(pull(LimitOffset(size=2)), Script(records(2), records(2)))
        next(pages)

        with pytest.raises(PaginationError):
            next(pages)


class TestFindingTheRecords:
    @pytest.mark.parametrize(
        ("answer", "path"),
        [
            ([{"id": 1}], None),
            ({"results": [{"id": 1}]}, None),
            ({"value": [{"id": 1}]}, None),
            ({"data": [{"id": 1}]}, None),
            ({"meta": [], "items": [{"id": 1}]}, None),
            ({"a": {"b": [{"id": 1}]}}, "a.b"),
            ({"a.b": [{"id": 1}]}, "a.b"),
        ],
    )
    def test_places(self, answer: Any, path: str | None) -> None:
        assert ids(walk(pull(Single(), records_path=path), Script(answer))) == [1]

    @pytest.mark.parametrize(
        ("answer", "path"), [(None, None), ([], None), ({"results": None}, None), ({"a": None}, "a")]
    )
    def test_nothing_is_an_empty_list(self, answer: Any, path: str | None) -> None:
        assert walk(pull(Single(), records_path=path), Script(answer)) == []

    @pytest.mark.parametrize(
        ("answer", "path"), [({}, None), ({"x": []}, None), ("text", None), ({"a": 1}, "a"), ({"b": []}, "a")]
    )
    def test_no_list_where_one_should_be_raises(self, answer: Any, path: str | None) -> None:
        with pytest.raises(PaginationError, match="there is no list of records.*records_path"):
            walk(pull(Single(), records_path=path), Script(answer))

    def test_dig_prefers_a_member_of_that_very_name(self) -> None:
        assert dig({"@odata.count": 3, "@odata": {"count": 4}}, "@odata.count") == 3
        assert dig({"x": {"@odata.count": 3}}, "x.@odata.count") == 3
        assert dig({"x": 1}, "x.y", "no") == "no"


def test_a_request_keeps_its_parameters_beside_those_of_paging() -> None:
    server = Script([])
    walk(pull(LimitOffset(size=7), request=Request("GET", "/x", params={"a": 1, "limit": 2})), server)

    assert server.requests[0].params == {"a": 1, "offset": 0, "limit": 7}


@pytest.mark.parametrize("total", [3, "3", Decimal("3.0"), Decimal("3E0")])
def test_a_total_may_be_written_in_several_ways(total: Any) -> None:
    with pytest.raises(PaginationError, match="promised 3 records and gave 2"):
        walk(pull(Single(), total="count"), Script({"value": records(2), "count": total}))


@pytest.mark.parametrize("total", [Decimal("2.5"), Decimal("1E999999999"), Decimal("-3.0"), "three", True])
def test_what_is_no_total(total: Any) -> None:
    assert len(ids(walk(pull(Single(), total="count"), Script({"value": records(2), "count": total})))) == 2
