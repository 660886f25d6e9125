"""Fetching ahead, on real sockets: what is sent when, and what comes of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_finauth.auth.authorizer import BrokerAuthorizer, FixedAuthorizer
from airflow_provider_finauth.auth.stores.memory import MemoryStore
from airflow_provider_finauth.client.client import ApiClient
from airflow_provider_finauth.client.paging import ahead
from airflow_provider_finauth.client.paging.base import Pull, Request
from airflow_provider_finauth.client.paging.cursor import Cursor
from airflow_provider_finauth.client.paging.limit_offset import LimitOffset
from airflow_provider_finauth.client.paging.page_index import PageIndex
from airflow_provider_finauth.client.paging.skip_top import SkipTop
from airflow_provider_finauth.exceptions import ApiError
from airflow_provider_finauth.transport.clock import SYSTEM_CLOCK, Clock
from tests.auth.support import FakeEndpoint, client_credentials, make_broker
from tests.client.paged_server import PATIENCE, Call, Pages, Reply, paged_server
from tests.client.support import fixed, profile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_finauth.client.paging.base import Page, PagingStyle

STYLES = {
    "index": PageIndex(size=3),
    "offset": LimitOffset(size=3),
    "skip": SkipTop(skip_param="offset", top_param="limit", size=3),
    "position": PageIndex(index_param="offset", size=3, offset=True),
    "cursor": Cursor(),
}


pytestmark = pytest.mark.usefixtures("always_early")


def pull(style: PagingStyle, **changes: Any) -> Pull:
    members: dict[str, Any] = {
        "request": Request(path="/things"),
        "paging": style,
        "records_path": "data",
        "key": "id",
        "total": "total",
    }
    return Pull(**{**members, **changes})


def client(url: str, *, max_concurrency: int = 4, clock: Clock = SYSTEM_CLOCK, **changes: Any) -> ApiClient:
    key = fixed()
    described = profile(base_url=url, credentials=key, max_concurrency=max_concurrency, **changes)
    return ApiClient(described, FixedAuthorizer(key), clock=clock)


def records(pages: Iterator[Page]) -> list[Any]:
    return [record for page in pages for record in page.records]


def collect(pages: Iterator[Page], into: list[Page]) -> None:
    for page in pages:
        into.append(page)


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("finauth-ahead")]


def wait_until(condition: Any) -> None:
    ends = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < ends, "it did not come about"
        time.sleep(0.001)


class InBackground:
    """A pull whose reader is a thread of its own."""

    def __init__(self, pages: Iterator[Page]) -> None:
        self.records: list[Any] = []
        self.error: Exception | None = None
        self._pages = pages
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            for page in self._pages:
                self.records.extend(page.records)
        except Exception as error:
            self.error = error

    @property
    def is_reading(self) -> bool:
        return self._thread.is_alive()

    def end(self) -> list[Any]:
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        if self.error is not None:
            raise self.error
        return self.records


class HeldClock(Clock):
    """Stands still; who waits for it is counted."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._now = 1_000.0
        self._ends: list[float] = []

    @property
    def waiting(self) -> int:
        return sum(end > self._now for end in self._ends)

    def wall(self) -> float:
        return 1_700_000_000.0 + self._now

    def monotonic(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self.wait(threading.Event(), seconds)

    def wait(self, event: threading.Event, seconds: float) -> bool:
        with self._changed:
            end = self._now + seconds
            self._ends.append(end)
            assert self._changed.wait_for(lambda: self._now >= end, PATIENCE)
        return event.is_set()

    def pass_until(self, condition: Callable[[], Any]) -> None:
        """Let time pass, as long as somebody waits for it."""

        def is_over() -> Any:
            if self.waiting:
                self.advance(40.0)
            return condition()

        wait_until(is_over)

    def advance(self, seconds: float) -> None:
        with self._changed:
            self._now += seconds
            self._changed.notify_all()


class TestOrder:
    @pytest.mark.parametrize("style", STYLES)
    @pytest.mark.parametrize("most", [1, 4])
    def test_pages_are_delivered_once_and_in_order(self, style: str, most: int) -> None:
        pages = Pages(10)
        with paged_server(pages) as server:
            got = list(client(server.url, max_concurrency=most).pages(pull(STYLES[style])))

        assert [record for page in got for record in page.records] == pages.records
        assert [page.number for page in got] == list(range(1, 11))
        assert len(server.calls) == 10

    def test_whatever_the_order_of_the_answers(self) -> None:
        pages = Pages(5, held={1, 2, 3, 4})
        with paged_server(pages) as server:
            reader = InBackground(client(server.url).pages(pull(STYLES["index"])))
            server.wait_for(lambda server: server.under_way == 4)
            for number in (4, 3, 2, 1):
                pages.let_go(number)
                server.wait_for(lambda server, left=number - 1: server.under_way == left)

            assert reader.end() == pages.records

    def test_the_page_after_a_cursor_comes_while_the_reader_has_its_page(self) -> None:
        with paged_server(Pages(3)) as server:
            pages = client(server.url, max_concurrency=1).pages(pull(STYLES["cursor"]))
            next(pages)
            server.wait_for(lambda server: len(server.calls) == 2)
            # Nothing tells what comes after it.
            next(pages)
            server.wait_for(lambda server: len(server.calls) == 3)
            assert len(list(pages)) == 1

    def test_what_may_not_be_repeated_is_not_sent_early(self) -> None:
        request = Request(method="POST", path="/things", json={})
        with paged_server(Pages(4)) as server:
            pages = client(server.url).pages(pull(STYLES["cursor"], request=request))
            next(pages)
            assert threads() == []
            assert len(server.calls) == 1
            assert len(list(pages)) == 3

    def test_without_a_further_thread_the_reader_fetches_itself(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        start = threading.Thread.start

        def refuse(thread: threading.Thread) -> None:
            if thread.name.startswith("finauth-ahead"):
                raise RuntimeError("can't start new thread")
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", refuse)
        pages = Pages(6)
        with paged_server(pages) as server:
            assert records(client(server.url).pages(pull(STYLES["index"]))) == pages.records


class TestBounds:
    @pytest.mark.parametrize("most", [1, 3])
    def test_no_more_at_once_than_the_connection_allows(self, most: int) -> None:
        first = set(range(1, most + 1))
        pages = Pages(20, held=first)
        with paged_server(pages) as server:
            reader = InBackground(client(server.url, max_concurrency=most).pages(pull(STYLES["index"])))
            server.wait_for(lambda server: server.under_way == most)
            pages.let_go()

            assert reader.end() == pages.records
            assert server.most_under_way == most

    @pytest.mark.parametrize("most", [1, 2])
    def test_the_readers_own_requests_go_through(self, most: int) -> None:
        pages = Pages(12)
        with paged_server(pages) as server:
            api = client(server.url, max_concurrency=most)
            for page in api.pages(pull(STYLES["index"])):
                assert api.get_json("/things", params={"pageIndex": 0})["data"][0] == {"id": 0}, page

            assert server.most_under_way <= most

    def test_a_limit_is_not_surpassed(self) -> None:
        with paged_server(Pages(50)) as server:
            assert len(records(client(server.url).pages(pull(STYLES["index"]), limit=7))) == 7

            assert sorted(server.asked("pageIndex")) == [0, 1, 2]

    @pytest.mark.parametrize("style", STYLES)
    def test_nothing_is_asked_for_beyond_the_total(self, style: str) -> None:
        pages = Pages(7)
        with paged_server(pages) as server:
            assert records(client(server.url, max_concurrency=8).pages(pull(STYLES[style]))) == pages.records

            assert max(map(pages.number, server.calls)) == 6

    def test_the_pace_is_kept(self) -> None:
        clock = HeldClock()
        with paged_server(Pages(6)) as server:
            api = client(server.url, clock=clock, requests_per_second=1.0)
            reader = InBackground(api.pages(pull(STYLES["index"])))
            for sent in range(1, 6):
                wait_until(lambda: clock.waiting == 1)
                server.wait_for(lambda server, sent=sent: len(server.calls) == sent)
                clock.advance(1.0)
            assert len(reader.end()) == 18


class TestEnding:
    def test_pages_before_an_error_are_delivered(self) -> None:
        pages = Pages(40, held={1, 2, 4})

        def answer(call: Call) -> Any:
            return Reply(400, {"error": "no"}) if pages.number(call) == 3 else pages(call)

        with paged_server(answer) as server:
            walk = client(server.url).pages(pull(STYLES["index"]))
            got = [next(walk)]
            server.wait_for(lambda server: len(server.calls) == 5 and server.under_way == 3)
            source = next(source for source in ahead._open if source._line)
            wait_until(lambda: source._line[2].done)
            pages.let_go()
            with pytest.raises(ApiError) as caught:
                collect(walk, got)
            assert caught.value.status == 400
            wait_until(lambda: threads() == [])

            assert [page.number for page in got] == [1, 2, 3]
            assert sorted(server.asked("pageIndex")) == [0, 1, 2, 3, 4]

    def test_a_reader_that_stops_is_not_kept_waiting(self) -> None:
        pages = Pages(40, held={1, 2, 3, 4})

        def answer(call: Call) -> Any:
            return Reply(503) if pages(call) and pages.number(call) else pages(call)

        with paged_server(answer) as server:
            walk = client(server.url).pages(pull(STYLES["index"]))
            next(walk)
            server.wait_for(lambda server: server.under_way == 4)
            walk.close()
            pages.let_go()
            wait_until(lambda: threads() == [])

            # Nor is what failed sent again.
            assert len(server.calls) == 5

    def test_a_cool_down_ends_with_the_pull(self) -> None:
        pages = Pages(40)
        with paged_server(pages) as server:
            api = client(server.url)

            def answer(call: Call) -> Any:
                # Noted before this answer comes, so nothing follows it.
                api.session.cooling.note(200.0)
                return pages(call)

            server.answer = answer
            walk = api.pages(pull(STYLES["index"]))
            next(walk)
            walk.close()
            wait_until(lambda: threads() == [])

            assert len(server.calls) == 1

    def test_an_interpreter_that_ends_does_not_wait(self) -> None:
        pages = Pages(40, held={1, 2, 3, 4})
        script = """
import sys
from tests.client import test_ahead as t
t.ahead._WORTH_IT = -1.0
walk = t.client(sys.argv[1]).pages(t.pull(t.STYLES["index"]))
print(len(next(walk).records), flush=True)
sys.stdin.read()
"""
        with paged_server(pages) as server:
            child = subprocess.Popen(
                [sys.executable, "-c", script, server.url],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            try:
                server.wait_for(lambda server: server.under_way == 4)
                out, err = child.communicate(timeout=PATIENCE)
            finally:
                child.kill()
                pages.let_go()
            assert (child.returncode, out, err) == (0, b"3\n", b"")

    def test_a_fork_goes_on_by_itself(self) -> None:
        pages = Pages(8, held={2})
        with paged_server(pages) as server:
            walk = client(server.url).pages(pull(STYLES["index"]))
            next(walk)
            server.wait_for(lambda server: server.under_way >= 1 and 2 in server.asked("pageIndex"))
            reading, writing = os.pipe()
            child = os.fork()
            if child == 0:  # pragma: no cover
                # A child that hangs is ended by its alarm.
                signal.alarm(30)
                os.write(writing, str([record["id"] for record in records(walk)]).encode())
                os._exit(0)
            os.close(writing)
            server.wait_for(lambda server: server.asked("pageIndex").count(2) == 2)
            pages.let_go()
            with os.fdopen(reading, "rb") as pipe:
                assert pipe.read() == str(list(range(3, 24))).encode()
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            assert records(walk) == pages.records[3:]


class TestWrongForesight:
    @pytest.mark.parametrize("style", ["index", "offset", "skip", "position"])
    def test_a_server_may_give_smaller_pages_than_it_is_asked_for(self, style: str) -> None:
        pages = Pages(15, size=2)
        with paged_server(pages) as server:
            assert records(client(server.url).pages(pull(STYLES[style]))) == pages.records
            # Two records came each time though three were asked for, and that was foreseen.
            assert len(server.calls) == 15

    def test_pages_of_any_length_by_offset(self) -> None:
        lengths = [3, 3, 1, 2, 3, 1, 3, 3, 3, 1, 1, 2, 3]
        everything = [{"id": number} for number in range(sum(lengths))]
        starts = {sum(lengths[:n]): length for n, length in enumerate(lengths)}

        def answer(call: Call) -> Any:
            start = int(call.query["offset"])
            # What begins elsewhere was foreseen wrongly.
            return {"data": everything[start:][: starts.get(start, 3)], "total": len(everything)}

        with paged_server(answer) as server:
            assert records(client(server.url).pages(pull(STYLES["offset"]))) == everything

    @pytest.mark.parametrize("totals", [{0: 30, 3: 12}, {0: 12, 3: 30}], ids=["shrinks", "grows"])
    def test_the_total_may_change_on_the_way(self, totals: dict[int, int]) -> None:
        pages = Pages(10)

        def answer(call: Call) -> Any:
            number = pages.number(call)
            total = totals[3] if number >= 3 else totals[0]
            return {"data": pages.records[:total][number * 3 : number * 3 + 3], "total": total}

        with paged_server(answer) as server:
            got = records(client(server.url).pages(pull(STYLES["index"])))

        assert got == pages.records[: totals[3]]

    def test_an_error_beyond_the_end_is_nobodys(self) -> None:
        pages = Pages(4, held={3})

        def answer(call: Call) -> Any:
            number = pages.number(call)
            if number >= 4:
                return Reply(404, {"error": "there is no such page"})
            return {**pages(call), "total": 12 if number == 3 else 30}

        with paged_server(answer) as server:
            reader = InBackground(client(server.url).pages(pull(STYLES["index"])))
            server.wait_for(lambda server: 4 in [pages.number(call) for call in server.calls])
            pages.let_go()
            assert reader.end() == pages.records


class TestOneEventForAll:
    def broker_client(self, url: str, clock: Clock, endpoint: FakeEndpoint) -> ApiClient:
        credentials = client_credentials()
        broker = make_broker(MemoryStore(clock=clock), endpoint, clock)
        described = profile(base_url=url, credentials=credentials, max_concurrency=4)
        return ApiClient(described, BrokerAuthorizer(broker, credentials), clock=clock)

    def test_one_mint_when_a_token_is_refused_in_the_middle(self) -> None:
        clock = HeldClock()
        endpoint = FakeEndpoint(clock)
        pages = Pages(12, held={3, 4, 5, 6})

        def answer(call: Call) -> Any:
            body = pages(call)
            refused = pages.number(call) >= 3 and call.authorization == "Bearer access-1"
            return Reply(401, {"error": "expired"}) if refused else body

        with paged_server(answer) as server:
            reader = InBackground(
                self.broker_client(server.url, clock, endpoint).pages(pull(STYLES["index"]))
            )
            server.wait_for(lambda server: server.under_way == 4)
            # Longer after the last mint than a refusal is taken for a storm.
            clock.advance(100.0)
            pages.let_go()

            assert reader.end() == pages.records
        assert endpoint.count == 2
        assert {number: server.asked("pageIndex").count(number) for number in range(12)} == {
            **dict.fromkeys(range(12), 1),
            **dict.fromkeys(range(3, 7), 2),
        }

    def test_one_mint_when_a_token_ends_in_the_middle(self) -> None:
        clock = HeldClock()
        endpoint = FakeEndpoint(clock)
        pages = Pages(12, held={3, 4, 5, 6})
        with paged_server(pages) as server:
            reader = InBackground(
                self.broker_client(server.url, clock, endpoint).pages(pull(STYLES["index"]))
            )
            server.wait_for(lambda server: server.under_way == 4)
            clock.advance(3_600.0)
            pages.let_go()

            assert reader.end() == pages.records
        assert endpoint.count == 2
        assert [call.authorization for call in server.calls] == ["Bearer access-1"] * 7 + [
            "Bearer access-2"
        ] * 5

    def test_after_a_429_nothing_is_sent_until_its_time_is_over(self) -> None:
        clock = HeldClock()
        pages = Pages(12, held={1, 2, 3, 4})
        limited = threading.Event()

        def answer(call: Call) -> Any:
            body = pages(call)
            if pages.number(call) == 2 and not limited.is_set():
                limited.set()
                return Reply(429, headers={"Retry-After": "30"})
            return body

        with paged_server(answer) as server:
            api = client(server.url, clock=clock)
            reader = InBackground(api.pages(pull(STYLES["index"])))
            server.wait_for(lambda server: server.under_way == 4)
            pages.let_go(2)
            wait_until(lambda: api.session.cooling._free_at > clock.monotonic())
            # The others get their answers; what comes after them is not sent, and the one that was refused
            # waits as well.
            pages.let_go()
            wait_until(lambda: len(reader.records) == 6 and clock.waiting)
            assert len(server.calls) == 5
            clock.pass_until(lambda: not reader.is_reading)

            assert reader.end() == pages.records
        assert sorted(server.asked("pageIndex")) == sorted([*range(12), 2])

    def test_while_the_server_is_ill_one_request_finds_out_when_it_is_well(self) -> None:
        clock = HeldClock()
        pages = Pages(12, held={1, 2, 3, 4})
        answers = iter([503] * 7)

        def answer(call: Call) -> Any:
            body = pages(call)
            status = next(answers, 200) if pages.number(call) else 200
            return Reply(status) if status != 200 else body

        with paged_server(answer) as server:
            reader = InBackground(client(server.url, clock=clock).pages(pull(STYLES["index"])))
            server.wait_for(lambda server: server.under_way == 4)
            pages.let_go()
            # All four fail. The first is tried again, and again; the others once, when it has come.
            clock.pass_until(lambda: not reader.is_reading)
            assert reader.end() == pages.records
        asked = server.asked("pageIndex")
        times = [asked.count(number) for number in range(1, 12)]
        assert times[1:] == [2] * 3 + [1] * 7
        assert times[0] == 5
