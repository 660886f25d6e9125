"""How fast, and how many at once, one process asks an API."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow_provider_finauth.client.stopping import UNSTOPPABLE, Stop

if TYPE_CHECKING:
    from airflow_provider_finauth.transport.clock import Clock


_shared: dict[tuple[Hashable, ...], Pace] = {}
# All of this process, those that only a session holds among them.
_all: weakref.WeakSet[Pace] = weakref.WeakSet()


def shared_pace(
    connection: Hashable, clock: Clock, *, requests_per_second: float | None, max_concurrency: int
) -> Pace:
    """Give the pace that all clients of a connection keep to in this process.

    :param connection: names it; a connection whose limits were changed has another pace
    """
    key = (connection, clock, requests_per_second, max_concurrency)
    made = Pace(clock, requests_per_second=requests_per_second, max_concurrency=max_concurrency)
    return _shared.setdefault(key, made)


class Pace:
    """Spaces requests evenly and bounds those under way, over all threads that share it.

    A thread that holds a slot takes no second one: a redirect belongs to the request that met it, and with
    ``max_concurrency=1`` would otherwise wait for itself.

    :param clock: what tells the time and waits
    :param requests_per_second: None for no limit
    :param max_concurrency: requests under way at once
    """

    def __init__(self, clock: Clock, *, requests_per_second: float | None, max_concurrency: int) -> None:
        self._clock = clock
        self._interval = 1 / requests_per_second if requests_per_second else 0.0
        self._most = max(1, max_concurrency)
        self.renew()
        self._free_at = float("-inf")
        self._mine = threading.local()
        _all.add(self)

    def renew(self) -> None:
        """Free all slots: what another thread held at the moment of a fork is never given back."""
        self._slots = threading.BoundedSemaphore(self._most)
        self._lock = threading.Lock()

    @contextmanager
    def slot(self, stop: Stop = UNSTOPPABLE) -> Iterator[None]:
        """Hold one of the slots, once it is this request's turn.

        :raises Stopped: it was stopped before
        """
        if getattr(self._mine, "held", False):
            yield
            return
        with self._slots:
            self._mine.held = True
            try:
                self.take_turn(stop)
                yield
            finally:
                self._mine.held = False

    def take_turn(self, stop: Stop = UNSTOPPABLE) -> None:
        """Wait until the next request may leave; whoever let its turn pass by takes another.

        :param stop: ends the wait, and leaves the turn to others
        :raises Stopped: it was stopped before
        """
        if not self._interval:
            return
        # Held while waiting, so that nobody has a turn who may still be stopped.
        with self._lock:
            stop.check()
            now = self._clock.monotonic()
            turn = max(now, self._free_at)
            if turn > now:
                stop.sleep(self._clock, turn - now)
            self._free_at = turn + self._interval


def _renew_all() -> None:
    for pace in _all:
        pace.renew()


os.register_at_fork(after_in_child=_renew_all)
