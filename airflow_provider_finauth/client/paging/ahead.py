"""Fetching answers before they are asked for, as long as that gains time.

What a walk expects to ask for is fetched by a few threads and handed out in order. The walk stays the judge:
what was expected wrongly is thrown away. What bounds it: the connection's requests under way at once, its
pace, the bytes that lie waiting, and how well the walk has foreseen so far.
"""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import TYPE_CHECKING

from airflow_provider_finauth.auth.forks import renew_after_fork
from airflow_provider_finauth.client.stopping import UNSTOPPABLE, Stop, Stopped

if TYPE_CHECKING:
    from airflow_provider_finauth.client.paging.answer import Answer
    from airflow_provider_finauth.client.paging.base import Request

MOST_BYTES = 16 * 2**20
# Answers on the way or waiting, for each request that may be under way.
_MOST_FOR_EACH = 3
# Seconds of waiting in a fetch from which on handing it to another thread gains more than it costs.
_WORTH_IT = 0.001
# The threads' gain is judged after so many answers, each time after so many times more.
_TRIAL, _SELDOMER = 4, 4
# How many fetches without threads tell what they would gain.
_SAMPLE = 4
# The share of the time that the processor works, from which on it may be the limit, not the network.
_BUSY = 0.5

_open: weakref.WeakSet[Ahead] = weakref.WeakSet()


@dataclass(eq=False, slots=True)
class _Errand:
    """One expected request.

    :param request: what is expected
    :param stop: set once nobody wants its answer
    """

    request: Request
    stop: Stop = field(default_factory=Stop)
    answer: Answer | None = None
    error: BaseException | None = None
    begun: bool = False
    done: bool = False


class Gain:
    """Judges whether threads gain anything.

    A fetch that hardly waits is done sooner by the thread that needs its answer: two that compete for the
    interpreter hinder each other. The first fetch may have made a connection and a token, so threads that
    were begun on its word are judged again if the processor turns out to be busy, by a few fetches without
    them; and later again, ever more seldom.
    """

    def __init__(self) -> None:
        self.pays = False
        self._waits: deque[float] = deque(maxlen=_SAMPLE)
        self._needed = 1
        self._trial = _TRIAL
        self._answers = 0
        self._began = (0.0, 0.0)

    def note_own(self, waited: float) -> None:
        """Note how long a fetch of the caller's thread waited for others than the processor."""
        if self.pays:
            return
        self._waits.append(waited)
        if len(self._waits) >= self._needed and min(self._waits) >= _WORTH_IT:
            self.pays = True
            self._trial *= _SELDOMER
            self._begin()
        self._needed = _SAMPLE

    def note_ahead(self) -> None:
        """Note an answer that a thread has fetched."""
        self._answers += 1
        if not self.pays or self._answers < self._trial:
            return
        processor, wall = self._began
        self._begin()
        if self._began[0] - processor > _BUSY * (self._began[1] - wall):
            self.pays = False
            self._waits.clear()

    def _begin(self) -> None:
        self._answers = 0
        self._began = (time.process_time(), time.perf_counter())


class Ahead:
    """A source of answers that fetches what is expected while the caller is busy with what it has.

    An early request is tried once; where another try may help, it follows when the answer is asked for. Any
    other error is raised then, not before. While there is a failure in the line, nothing further is begun.

    :param fetch: sends a request and gives its answer; looks at the flag before each sending
    :param max_concurrency: requests under way at once
    :param most_bytes: of answers that wait, those under way counted like the largest so far; one is always
        fetched
    :param may_be_early: tells whether a request may be sent before it is sure to be needed
    """

    def __init__(
        self,
        fetch: Callable[[Request, Stop], Answer],
        *,
        max_concurrency: int,
        most_bytes: int = MOST_BYTES,
        may_be_early: Callable[[Request], bool] = lambda request: True,
    ) -> None:
        self._fetch = fetch
        self._most = max(1, max_concurrency)
        self._most_bytes = most_bytes
        self._may_be_early = may_be_early
        self._gain = Gain()
        self._reach = self._most
        self._foreseen: Request | None = None
        self._expected: Iterator[Request] = iter(())
        self._closed = self._is_ill = False
        self._line: deque[_Errand] = deque()
        self._largest = 0
        self._renew()
        renew_after_fork(self)
        _open.add(self)

    def _renew(self) -> None:
        lock = threading.Lock()
        self._lock = lock
        # The caller waits for an answer, the threads for something to do.
        self._arrived = threading.Condition(lock)
        self._work = threading.Condition(lock)
        self._due: deque[_Errand] = deque()
        self._line.clear()
        self._under_way = self._held = self._threads = self._idle = 0

    def after_fork(self) -> None:
        """Begin anew in a forked child, which has none of the threads."""
        self._expected = iter(())
        self._renew()

    def get(self, request: Request) -> Answer:
        """Give the answer to a request, fetched by now or not.

        :raises Exception: what fetching it raised
        """
        with self._lock:
            errand = self._line[0] if self._line and self._line[0].request == request else None
            if errand is None:
                self._forget()
            elif not errand.begun:
                # No thread has come to it yet, so this one is as good.
                self._due.remove(errand)
                self._line.popleft()
                self._under_way -= 1
                errand = None
            else:
                while not errand.done:
                    self._arrived.wait()
                self._line.popleft()
                if errand.answer is not None:
                    self._held -= len(errand.answer.text)
                    self._begin_more()
                # Whether the server is well again is for one request to find out.
                self._is_ill = isinstance(errand.error, Stopped)
        if errand is None or self._is_ill:
            return self._fetch_here(request)
        self._gain.note_ahead()
        if errand.error is not None:
            self.close()
            raise errand.error
        assert errand.answer is not None
        return errand.answer

    def expect(self, requests: Iterator[Request]) -> None:
        """Say what will be asked for next: the first for certain, the others perhaps."""
        coming = iter(requests)
        first, second = next(coming, None), next(coming, None)
        if first is None or not self._may_be_early(first):
            return
        with self._lock:
            if self._foreseen is not None:
                right = first == self._foreseen
                self._reach = min(self._reach + 1, _MOST_FOR_EACH * self._most) if right else 1
            self._foreseen = second
            # Where the next two are as expected, so are the others: to compare them all with each answer
            # takes longer than what it might save.
            if [errand.request for errand in islice(self._line, 2)] != [first, second]:
                self._expect_anew(chain([first] if second is None else [first, second], coming))
            self._begin_more()

    def close(self) -> None:
        """Stop. What is under way is not waited for, and not repeated."""
        # Looked at without the lock: a thread that an ending interpreter halts may hold it for ever.
        if self._closed:
            return
        self._closed = True
        with self._lock:
            self._forget()
            self._work.notify_all()

    def _expect_anew(self, coming: Iterator[Request]) -> None:
        """Keep of the line what is still expected."""
        for position, errand in enumerate(self._line):
            request = next(coming, None)
            if request != errand.request:
                self._forget(position)
                if request is not None:
                    coming = chain([request], coming)
                break
        self._expected = coming

    def _fetch_here(self, request: Request) -> Answer:
        wall, processor = time.perf_counter(), time.thread_time()
        answer = self._fetch(request, UNSTOPPABLE)
        self._is_ill = False
        self._gain.note_own((time.perf_counter() - wall) - (time.thread_time() - processor))
        self._largest = max(self._largest, len(answer.text))
        return answer

    def _begin_more(self) -> None:
        """Hand to the threads what may be fetched by now."""
        while (
            self._gain.pays
            and not self._closed
            and len(self._line) < self._reach
            and self._under_way < self._most
            and self._has_room()
            and not self._is_ill
            and not any(errand.error for errand in self._line)
            and (request := next(self._expected, None)) is not None
        ):
            errand = _Errand(request)
            self._line.append(errand)
            self._due.append(errand)
            self._under_way += 1
            if self._idle >= len(self._due):
                self._work.notify()
            else:
                self._start_thread()

    def _has_room(self) -> bool:
        expected = self._held + (self._under_way + 1) * self._largest
        return expected <= self._most_bytes or not (self._line or self._under_way)

    def _start_thread(self) -> None:
        if self._threads == self._most:
            return
        name = f"finauth-ahead-{self._threads + 1}"
        try:
            threading.Thread(target=self._run, name=name, daemon=True).start()
        except RuntimeError:
            # No further thread is to be had, or the interpreter ends: whoever needs the answer fetches it.
            return
        self._threads += 1

    def _run(self) -> None:
        while (errand := self._next_errand()) is not None:
            answer = error = None
            try:
                answer = self._fetch(errand.request, errand.stop)
            except BaseException as fault:
                error = fault
            with self._lock:
                self._finish(errand, answer, error)
            # Nothing is held while waiting for the next.
            del errand, answer, error

    def _next_errand(self) -> _Errand | None:
        with self._lock:
            while not self._due:
                if self._closed:
                    return None
                self._idle += 1
                self._work.wait()
                self._idle -= 1
            errand = self._due.popleft()
            errand.begun = True
            return errand

    def _finish(self, errand: _Errand, answer: Answer | None, error: BaseException | None) -> None:
        self._under_way -= 1
        if errand in self._line:
            errand.answer, errand.error, errand.done = answer, error, True
            if answer is not None:
                self._held += len(answer.text)
                self._largest = max(self._largest, len(answer.text))
            if error is not None and not isinstance(error, Stopped):
                for later in list(self._line)[self._line.index(errand) + 1 :]:
                    later.stop.set()
            self._arrived.notify()
        self._begin_more()

    def _forget(self, position: int = 0) -> None:
        """Throw away what is expected from a position on."""
        while len(self._line) > position:
            errand = self._line.pop()
            errand.stop.set()
            if not errand.begun:
                self._due.remove(errand)
                self._under_way -= 1
            if errand.answer is not None:
                self._held -= len(errand.answer.text)
        self._expected = iter(())


def _close_all() -> None:
    for source in list(_open):
        source.close()


# Before the interpreter halts the threads, wherever they are.
atexit.register(_close_all)
