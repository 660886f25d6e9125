"""What each guard counts, and that a pull goes on as if whole only where that was asked for."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from airflow_provider_finauth.client.paging.base import Pull, Request
from airflow_provider_finauth.client.paging.cursor import Cursor
from airflow_provider_finauth.client.paging.keyset import Keyset
from airflow_provider_finauth.client.paging.limit_offset import LimitOffset
from airflow_provider_finauth.client.paging.next_link import NextLink
from airflow_provider_finauth.client.paging.page_index import PageIndex
from airflow_provider_finauth.client.paging.relay import Relay
from airflow_provider_finauth.client.paging.single import Single
from airflow_provider_finauth.client.paging.skip_top import SkipTop
from airflow_provider_finauth.client.paging.tally import Tally
from airflow_provider_finauth.client.paging.walk import walk_pages
from airflow_provider_finauth.exceptions import ConfigurationError, PaginationError
from tests.client.paging.support import Model, Script, ids, lenient, pull, records, walk

GRAPHQL = Request("POST", "/graphql", json={"query": "…"})


def circle(length: int, *, links: bool = False) -> Callable[[Request], Any]:
    """A server whose pages lead round for ever; every record is another one."""
    count = 0

    def serve(request: Request) -> Any:
        nonlocal count
        here = int(request.path) if request.link else (request.params or {}).get("cursor", 0)
        count += 1
        onward = here % length + 1
        return {"data": [{"id": count}], **({"nextLink": str(onward)} if links else {"cursor": onward})}

    return serve


def rounds(length: int) -> Callable[[Request], Any]:
    """A server that begins again after some pages, whatever the offset."""
    count = 0

    def serve(request: Request) -> Any:
        nonlocal count
        count += 1
        start = (count - 1) % length * 2
        return records(100)[start : start + 2]

    return serve


def relay_circle(length: int) -> Callable[[Request], Any]:
    count = 0

    def serve(request: Request) -> Any:
        nonlocal count
        count += 1
        info = {"hasNextPage": True, "endCursor": f"c{(count - 1) % length}"}
        return {"things": {"nodes": [{"id": count}], "pageInfo": info}}

    return serve


def bank(times: list[int], size: int) -> Model:
    rows = [{"id": f"o{number}", "time": time} for number, time in enumerate(times)]
    return Model(lambda params: [row for row in rows if row["time"] >= params["from"]][:size])


def landax(count: int, cap: int = 1000) -> Script:
    """Exactly what fits, then one look beyond it."""
    return Script({"value": records(count)[:cap]}, {"value": []})


KEYSET = pull(Keyset(param="from", field="time", size=3, start=0))
RELAY = pull(Relay(connection_path="things"), request=GRAPHQL)
LANDAX = pull(SkipTop(size=1000, cap=1000))
INDEX = pull(PageIndex(size=2), total="rowCount")


class Case(NamedTuple):
    pull: Pull
    serve: Callable[[], Callable[[Request], Any]]
    check: str
    amount: int
    delivered: int


BROKEN = {
    **{
        f"cursors that circle after {length}": Case(
            pull(Cursor()), lambda n=length: circle(n), "cycles", 1, length + 1
        )
        for length in (1, 2, 7)
    },
    **{
        f"links that circle after {length}": Case(
            pull(NextLink()),
            lambda n=length: circle(n, links=True),
            "cycles",
            1,
            length + 1,
        )
        for length in (1, 2, 7)
    },
    **{
        f"connections that circle after {length}": Case(
            RELAY, lambda n=length: relay_circle(n), "cycles", 1, length + 1
        )
        for length in (1, 2, 7)
    },
    **{
        f"offsets that begin again after {length}": Case(
            pull(LimitOffset(size=2)),
            lambda n=length: rounds(n),
            "mistaken_index" if length == 1 else "cycles",
            1,
            2 * length,
        )
        for length in (1, 2, 7)
    },
    "an index that counts records": Case(
        pull(PageIndex(size=3), total="rowCount"),
        lambda: Model(lambda p: {"results": records(9)[p["pageIndex"] :][:3], "rowCount": 9}),
        "mistaken_index",
        1,
        3,
    ),
    "an offset that counts pages": Case(
        pull(PageIndex(size=2, offset=True)),
        lambda: Model(lambda p: records(9)[p["pageIndex"] * 2 :][:2]),
        "mistaken_index",
        1,
        2,
    ),
    "a total that is not reached": Case(
        INDEX,
        lambda: Model(lambda p: {"results": records(5)[p["pageIndex"] * 2 :][:2], "rowCount": 9}),
        "missing",
        4,
        5,
    ),
    "a page full of one time": Case(KEYSET, lambda: bank([1, 5, 5, 5, 5, 9], 3), "stuck", 1, 4),
    "a skip that is not heeded": Case(
        LANDAX, lambda: Model(lambda p: {"value": records(1000)}), "mistaken_index", 1, 1000
    ),
}

LAWFUL = {
    "cursors": Case(
        pull(Cursor()), lambda: Script({"data": records(2), "cursor": "a"}, {"data": []}), "", 0, 2
    ),
    "a cursor given twice, without data": Case(
        pull(Cursor()),
        lambda: Script({"data": records(2), "cursor": "a"}, {"data": [], "cursor": "a"}),
        "",
        0,
        2,
    ),
    "an index": Case(
        INDEX,
        lambda: Model(lambda p: {"results": records(9)[p["pageIndex"] * 2 :][:2], "rowCount": 9}),
        "",
        0,
        9,
    ),
    "a total that grows": Case(
        INDEX,
        lambda: Script(
            {"results": records(4)[:2], "rowCount": 3},
            {"results": records(4)[2:], "rowCount": 4},
        ),
        "",
        0,
        4,
    ),
    "a total that shrinks to what is there": Case(
        INDEX,
        lambda: Script(
            {"results": records(4)[:2], "rowCount": 4},
            {"results": records(4)[3:], "rowCount": 3},
        ),
        "",
        0,
        3,
    ),
    "a total that is too small": Case(
        INDEX,
        lambda: Model(lambda p: {"results": records(9)[p["pageIndex"] * 2 :][:2], "rowCount": 3}),
        "",
        0,
        9,
    ),
    "a quiet day": Case(KEYSET, lambda: bank([], 3), "", 0, 0),
    "a day with one transaction": Case(KEYSET, lambda: bank([7], 3), "", 0, 1),
    "equal times across the edge of a page": Case(KEYSET, lambda: bank([1, 4, 4, 6, 6, 8], 3), "", 0, 6),
    "exactly the cap": Case(LANDAX, lambda: landax(1000), "", 0, 1000),
    "positions that shift": Case(
        RELAY,
        lambda: Script(
            {"things": {"nodes": records(4)[:2], "pageInfo": {"hasNextPage": True, "endCursor": "a"}}},
            {"things": {"nodes": records(4)[1:], "pageInfo": {"hasNextPage": False, "endCursor": "b"}}},
        ),
        "",
        0,
        4,
    ),
}
GUARDS = ("cycles", "mistaken_index", "missing", "stuck")


@pytest.mark.parametrize("name", BROKEN)
def test_what_breaks_a_rule_raises_and_is_counted(name: str) -> None:
    case, tally = BROKEN[name], Tally()

    with pytest.raises(PaginationError):
        walk(case.pull, case.serve(), tally=tally)
    assert {check: tally.to_dict()[check] for check in GUARDS} == dict.fromkeys(GUARDS, 0) | {
        case.check: case.amount
    }


@pytest.mark.parametrize("name", BROKEN)
def test_warned_of_it_ends_as_if_whole(name: str, caplog: pytest.LogCaptureFixture) -> None:
    case = BROKEN[name]
    with caplog.at_level(logging.WARNING):
        pages, tally = lenient(case.pull, case.serve())

    assert sum(len(page.rows) for page in pages) == tally.records == case.delivered
    assert tally.to_dict()[case.check] == case.amount
    assert "was stopped" in caplog.text
    assert "as if it were whole" in caplog.text


@pytest.mark.parametrize("name", LAWFUL)
def test_what_is_lawful_raises_nothing_and_breaks_nothing(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    case, tally = LAWFUL[name], Tally()
    pages = walk(case.pull, case.serve(), tally=tally)

    assert sum(len(page.rows) for page in pages) == tally.records == tally.received == case.delivered
    assert {check: tally.to_dict()[check] for check in GUARDS} == dict.fromkeys(GUARDS, 0)
    assert not caplog.records


@pytest.mark.parametrize(
    ("described", "answer"),
    [
        (pull(Single(), records_path="a"), {"b": []}),
        (RELAY, {"things": {"nodes": []}}),
        (pull(NextLink()), {"value": records(1), "nextLink": 7}),
        (KEYSET, [{"id": 1}]),
    ],
)
def test_a_pull_that_is_described_wrongly_raises_all_the_same(described: Pull, answer: Any) -> None:
    with pytest.raises(PaginationError):
        lenient(described, Script(answer))


def test_a_null_cursor_while_there_is_more_raises_all_the_same() -> None:
    info = {"hasNextPage": True, "endCursor": None}

    with pytest.raises(PaginationError, match="no endCursor"):
        lenient(RELAY, Script({"things": {"nodes": records(1), "pageInfo": info}}))


def test_on_mismatch_is_one_of_two() -> None:
    with pytest.raises(ConfigurationError, match="'on_mismatch' must be raise or warn"):
        walk_pages(pull(Single()), Script(), on_mismatch="ignore")  # type: ignore[arg-type]


class TestCounts:
    def test_duplicates(self) -> None:
        tally = Tally()
        walk(pull(LimitOffset(size=3)), Script(records(5)[:3], records(5)[2:], []), tally=tally)

        assert tally.to_dict() == {
            "pages": 3,
            "received": 5,
            "duplicates": 1,
            "overlapping": 0,
            "older": 0,
            "probes": 0,
            "cycles": 0,
            "mistaken_index": 0,
            "missing": 0,
            "stuck": 0,
        }

    def test_an_overlap_by_design_is_no_duplicate(self) -> None:
        tally = Tally()
        pages = walk(KEYSET, bank([1, 2, 3, 4, 5], 3), tally=tally)

        # The third record begins the second page, the last one is the whole third page.
        assert (tally.overlapping, tally.duplicates, tally.received) == (2, 0, 5)
        assert all(page.duplicates == 0 for page in pages)

    def test_probes(self) -> None:
        by_cap, by_offset = Tally(), Tally()
        walk(LANDAX, landax(1000), tally=by_cap)
        walk(
            pull(PageIndex(size=2, offset=True)),
            Model(lambda p: records(5)[p["pageIndex"] :][:2]),
            tally=by_offset,
        )

        assert (by_cap.probes, by_offset.probes) == (1, 1)

    def test_the_total_is_told_where_there_is_one(self) -> None:
        tally = Tally()
        walk(INDEX, LAWFUL["a total that grows"].serve(), tally=tally)

        assert tally.to_dict()["total"] == tally.total == 4

    def test_several_pulls_add_up(self) -> None:
        tally = Tally()
        for _ in range(2):
            walk(INDEX, LAWFUL["an index"].serve(), tally=tally)

        assert (tally.total, tally.records, tally.received, tally.pages) == (18, 18, 18, 10)

    def test_a_limit_counts_what_is_delivered(self) -> None:
        tally = Tally()
        walk(INDEX, LAWFUL["an index"].serve(), tally=tally, limit=3)

        assert (tally.records, tally.pages, tally.missing) == (3, 2, 0)


def states(*pairs: tuple[str, Any]) -> list[dict[str, Any]]:
    return [{"id": name, "version": version} for name, version in pairs]


class TestVersions:
    PULL = pull(LimitOffset(size=2), version="version")

    def test_an_equal_version_is_dropped_whatever_else_differs(self) -> None:
        tally = Tally()
        again = [{"id": "c", "version": 1}, {"id": "a", "version": 1, "seen": True}]
        pages = walk(self.PULL, Script(states(("a", 1), ("b", 1)), again, []), tally=tally)

        assert ids(pages) == ["a", "b", "c"]
        assert (tally.duplicates, tally.older, tally.received) == (1, 0, 3)

    def test_a_newer_one_is_delivered(self) -> None:
        tally = Tally()
        script = Script(
            states(("a", 1), ("b", 1)), states(("c", 1), ("a", 2)), states(("d", 1), ("a", 2)), []
        )
        pages = walk(self.PULL, script, tally=tally)

        assert [(row["id"], row["version"]) for page in pages for row in page.records] == [
            ("a", 1),
            ("b", 1),
            ("c", 1),
            ("a", 2),
            ("d", 1),
        ]
        assert (tally.duplicates, tally.older, tally.received) == (1, 0, 4)

    def test_an_older_one_is_dropped_and_counted(self) -> None:
        tally = Tally()
        script = Script(
            states(("a", 5), ("b", 1)), states(("c", 1), ("a", 4)), states(("d", 1), ("a", 5)), []
        )
        pages = walk(self.PULL, script, tally=tally)

        assert ids(pages) == ["a", "b", "c", "d"]
        assert (tally.duplicates, tally.older) == (1, 1)

    def test_within_one_page(self) -> None:
        tally = Tally()
        rows = states(("a", 1), ("a", 2), ("a", 1), ("a", 2), ("b", 1))
        [page] = walk(pull(Single(), version="version"), Script(rows), tally=tally)

        assert page.records == states(("a", 1), ("a", 2), ("b", 1))
        assert (tally.duplicates, tally.older) == (1, 1)

    def test_versions_may_be_texts_or_missing(self) -> None:
        rows = states(("a", "2025-01-01"), ("a", "2025-01-02"), ("a", "2025-01-01"), ("b", None), ("b", None))
        [page] = walk(pull(Single(), version="version"), Script(rows))

        assert page.records == states(("a", "2025-01-01"), ("a", "2025-01-02"), ("b", None))

    def test_moments_are_compared_as_moments(self) -> None:
        # As texts the second would be older than the first, and the third newer than the second.
        states_ = states(
            ("a", "2026-01-31T09:00:00Z"), ("a", "2026-01-31T09:00:00.123Z"), ("a", "2026-01-31T09:00:00.12Z")
        )
        [page] = walk(pull(Single(), version="version"), Script(states_))
        assert [row["version"] for row in page.records] == [
            "2026-01-31T09:00:00Z",
            "2026-01-31T09:00:00.123Z",
        ]

    def test_without_versions_a_changed_record_is_delivered(self) -> None:
        rows = [{"id": "a", "name": "old"}, {"id": "a", "name": "new"}, {"id": "a", "name": "new"}]
        [page] = walk(pull(Single(), version="version"), Script(rows))
        assert [row["name"] for row in page.records] == ["old", "new"]

    def test_versions_that_cannot_be_compared_are_delivered(self) -> None:
        [page] = walk(pull(Single(), version="version"), Script(states(("a", 1), ("a", "x"))))

        assert len(page.records) == 2

    def test_a_walk_by_time_goes_on_by_newer_states(self) -> None:
        rows = [
            {"id": "a", "time": 1},
            {"id": "b", "time": 2},
            {"id": "a", "time": 3},
            {"id": "b", "time": 4},
        ]
        server = Model(lambda params: [row for row in rows if row["time"] >= params["from"]][:2])
        described = pull(Keyset(param="from", field="time", size=2, start=0), version="time")

        assert [row["time"] for page in walk(described, server) for row in page.records] == [1, 2, 3, 4]
