from __future__ import annotations

import os
import signal
import threading

import pytest

from airflow_provider_finauth.client.pace import Pace, shared_pace
from tests.client.support import FakeClock


def test_requests_are_spaced_evenly() -> None:
    clock = FakeClock()
    pace = Pace(clock, requests_per_second=4, max_concurrency=1)
    starts = []
    for _ in range(5):
        with pace.slot():
            starts.append(clock.now)

    assert starts == [1000.0, 1000.25, 1000.5, 1000.75, 1001.0]


def test_time_that_passed_anyway_is_not_waited_for() -> None:
    clock = FakeClock()
    pace = Pace(clock, requests_per_second=0.5, max_concurrency=1)
    with pace.slot():
        pass
    clock.now += 10
    with pace.slot():
        pass

    assert clock.slept == []


def test_without_a_limit_nothing_waits() -> None:
    clock = FakeClock()
    pace = Pace(clock, requests_per_second=None, max_concurrency=2)
    for _ in range(100):
        with pace.slot():
            pass

    assert clock.slept == []


@pytest.mark.parametrize("most", [1, 3])
def test_no_more_than_so_many_at_once(most: int) -> None:
    pace = Pace(FakeClock(), requests_per_second=None, max_concurrency=most)
    lock = threading.Lock()
    full, go_on = threading.Barrier(most + 1), threading.Event()
    under_way = highest = 0

    def work(first: bool) -> None:
        nonlocal under_way, highest
        with pace.slot():
            with lock:
                under_way += 1
                highest = max(highest, under_way)
            if first:
                full.wait(timeout=30)
            go_on.wait(timeout=30)
            with lock:
                under_way -= 1

    first = [threading.Thread(target=work, args=(True,)) for _ in range(most)]
    for thread in first:
        thread.start()
    full.wait(timeout=30)
    later = [threading.Thread(target=work, args=(False,)) for _ in range(4)]
    for thread in later:
        thread.start()
    go_on.set()
    for thread in (*first, *later):
        thread.join(timeout=30)

    assert highest == most


def test_a_thread_does_not_wait_for_itself() -> None:
    pace = Pace(FakeClock(), requests_per_second=1, max_concurrency=1)
    with pace.slot(), pace.slot():
        pass
    with pace.slot():
        pass


def test_a_slot_is_given_back_after_an_error() -> None:
    pace = Pace(FakeClock(), requests_per_second=None, max_concurrency=1)
    with pytest.raises(RuntimeError), pace.slot():
        raise RuntimeError
    with pace.slot():
        pass


def test_a_fork_frees_what_other_threads_hold() -> None:
    pace = Pace(FakeClock(), requests_per_second=1, max_concurrency=1)
    held, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        with pace.slot(), pace._lock:
            held.set()
            go_on.wait(timeout=30)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(timeout=30)
    child = os.fork()
    if child == 0:  # pragma: no cover
        # A child that hangs is ended by its alarm.
        signal.alarm(20)
        with pace.slot():
            os._exit(0)
    go_on.set()
    thread.join(timeout=30)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_hooks_of_one_connection_share_a_pace() -> None:
    clock = FakeClock()
    limits = {"requests_per_second": 2.0, "max_concurrency": 4}

    assert shared_pace("a", clock, **limits) is shared_pace("a", clock, **limits)
    assert shared_pace("a", clock, **limits) is not shared_pace("b", clock, **limits)
    assert shared_pace("a", clock, **limits) is not shared_pace(
        "a", clock, **{**limits, "max_concurrency": 5}
    )
