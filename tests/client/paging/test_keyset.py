from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from airflow_provider_finauth.client.paging.base import Request
from airflow_provider_finauth.client.paging.keyset import Keyset
from airflow_provider_finauth.exceptions import ConfigurationError, PaginationError
from tests.client.paging.support import Model, Script, pull, walk


def transactions(times: list[int]) -> list[dict[str, Any]]:
    return [{"objectId": f"o{number}", "timestamp": time} for number, time in enumerate(times)]


def bank(rows: list[Any], *, cap: int | None = None) -> Model:
    """OP: rows from a time on, inclusive, or from an object on."""

    def serve(params: dict[str, Any]) -> Any:
        size = min(params["maxFuture"], cap or params["maxFuture"])
        if "objectId" in params:
            start = next(n for n, row in enumerate(rows) if row["objectId"] == params["objectId"])
        else:
            start = next(
                (n for n, row in enumerate(rows) if row["timestamp"] >= params["fromTimestamp"]), len(rows)
            )
        return rows[start : start + size]

    return Model(serve)


def style(size: int, **options: Any) -> Keyset:
    return Keyset(**{"param": "fromTimestamp", "field": "timestamp", "size": size, "start": 0, **options})


def transactions_pull(size: int, **options: Any) -> Any:
    request = Request("GET", "/transactions", params={"maxPast": 0, "maxFuture": size})
    return pull(style(size, **options), request=request, key="objectId")


def names(pages: list[Any]) -> list[str]:
    return [row["objectId"] for page in pages for row in page.records]


@given(times=st.lists(st.integers(0, 30), max_size=40), size=st.integers(2, 8))
def test_every_transaction_once_whatever_shares_a_time(times: list[int], size: int) -> None:
    times.sort()
    # A page must be able to hold all records of one time, and one of the next.
    assume(all(times.count(time) < size for time in times))
    rows = transactions(times)
    pages = walk(transactions_pull(size), bank(rows))

    assert names(pages) == [row["objectId"] for row in rows]
    assert all(page.duplicates == 0 for page in pages)


@given(times=st.lists(st.integers(0, 3), max_size=40), size=st.integers(2, 8))
def test_it_is_whole_or_raises(times: list[int], size: int) -> None:
    rows = transactions(sorted(times))

    try:
        pages = walk(transactions_pull(size), bank(rows))
    except PaginationError:
        assert any(times.count(time) >= size for time in times)
    else:
        assert names(pages) == [row["objectId"] for row in rows]


@given(times=st.lists(st.integers(0, 3), max_size=40), size=st.integers(2, 8))
@example(times=[0] * 5, size=4)
def test_going_on_by_object_is_whole(times: list[int], size: int) -> None:
    rows = transactions(sorted(times))

    pages = walk(transactions_pull(size, object_param="objectId"), bank(rows))

    assert names(pages) == [row["objectId"] for row in rows]


def test_an_object_that_is_not_heeded_raises() -> None:
    page = transactions([5, 5, 5])

    with pytest.raises(PaginationError, match="whole page of 3 records"):
        walk(transactions_pull(3, object_param="objectId"), Script(page, page, page))


def test_a_full_page_of_one_time_raises() -> None:
    with pytest.raises(PaginationError, match="whole page of 3 records has the same 'timestamp', 5"):
        walk(transactions_pull(3), bank(transactions([1, 5, 5, 5, 5, 9])))


def test_a_page_of_one_time_that_is_not_full_does_not() -> None:
    assert len(names(walk(transactions_pull(4), bank(transactions([5, 5, 5]))))) == 3


def test_a_full_page_of_one_time_is_noticed_where_the_server_gives_fewer() -> None:
    with pytest.raises(PaginationError, match="whole page of 3 records"):
        walk(transactions_pull(100), bank(transactions([1, 2, 3, 4, 5, 5, 5, 5, 6]), cap=3))


def test_each_page_begins_with_the_last_ones_time() -> None:
    server = bank(transactions([1, 2, 3, 3, 4]))
    walk(transactions_pull(3), server)

    assert [params["fromTimestamp"] for params in server.asked] == [0, 3, 4]
    assert all(params["maxPast"] == 0 for params in server.asked)


def test_a_time_that_is_not_heeded_raises() -> None:
    rows = transactions([1, 2, 3])

    with pytest.raises(PaginationError, match="does not heed 'fromTimestamp'"):
        walk(transactions_pull(3), Script(rows, rows))


def test_times_out_of_order_lose_nothing() -> None:
    rows = transactions([1, 9, 4, 5, 6, 10])

    def serve(params: dict[str, Any]) -> Any:
        return [row for row in rows if row["timestamp"] >= params["fromTimestamp"]][:3]

    assert sorted(names(walk(transactions_pull(3), Model(serve)))) == [row["objectId"] for row in rows]


def test_until_ends_the_walk() -> None:
    server = bank(transactions([1, 2, 3, 4, 5, 6]))

    assert names(walk(transactions_pull(3, until=3), server)) == ["o0", "o1"]
    assert len(server.asked) == 1


def test_until_at_the_start_gives_nothing() -> None:
    assert walk(transactions_pull(3, until=1), bank(transactions([1, 2]))) == []


def test_without_a_start() -> None:
    server = Script(transactions([7]), transactions([7]))
    walk(transactions_pull(3, start=None), server)

    assert "fromTimestamp" not in server.requests[0].params
    assert server.requests[1].params["fromTimestamp"] == 7


@pytest.mark.parametrize("row", [{"objectId": "a"}, {"objectId": "a", "timestamp": "2025-01-31"}])
def test_a_record_without_a_usable_time_raises(row: dict[str, Any]) -> None:
    with pytest.raises(PaginationError, match="no usable 'timestamp'"):
        walk(transactions_pull(3), Script([row]))


def test_a_record_without_its_key_raises() -> None:
    with pytest.raises(PaginationError, match="no 'objectId'"):
        walk(transactions_pull(3), Script([{"timestamp": 1}]))


def test_a_pull_without_a_key_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="needs 'key'"):
        walk(pull(style(3), key=None), Script())


@given(
    times=st.lists(st.integers(0, 60), max_size=40),
    size=st.integers(3, 8),
    fewer=st.integers(0, 1),
    until=st.none() | st.integers(0, 60),
    mixed=st.randoms(use_true_random=False) | st.none(),
)
def test_the_order_within_a_page_does_not_matter(
    times: list[int], size: int, fewer: int, until: int | None, mixed: Any
) -> None:
    times.sort()
    cap = size - fewer
    # A page must be able to hold all records of one time, and one of the next.
    assume(all(times.count(time) < cap for time in times))
    rows = transactions(times)
    serve = bank(rows, cap=cap)

    def fetch(request: Request) -> Any:
        answer = list(serve(request))
        answer.reverse() if mixed is None else mixed.shuffle(answer)
        return answer

    wanted = {row["objectId"] for row in rows if until is None or row["timestamp"] < until}
    got = names(walk(transactions_pull(size, until=until), fetch))
    assert len(got) == len(set(got))
    assert set(got) == wanted


@pytest.mark.parametrize("count", [5, 12])
def test_a_full_page_that_begins_with_the_newest_is_pointed_out(
    count: int, caplog: pytest.LogCaptureFixture
) -> None:
    newest_first = transactions(list(range(count)))[::-1]

    def serve(params: dict[str, Any]) -> Any:
        return [row for row in newest_first if row["timestamp"] >= params["fromTimestamp"]][:5]

    walk(transactions_pull(5), Model(serve))
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "ask the API for the oldest first" in caplog.text


def test_the_usual_order_is_not_pointed_out(caplog: pytest.LogCaptureFixture) -> None:
    for count in (0, 1, 4, 5, 12):
        walk(transactions_pull(5), bank(transactions(list(range(count)))))
        # All of one time, which fills no page.
        walk(transactions_pull(5), bank(transactions([7] * min(count, 4))))
    assert caplog.text == ""
