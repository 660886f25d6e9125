"""How fast, and how many at once, one client asks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_finauth.transport.clock import Clock


class Pace:
    """Spaces requests evenly and bounds those under way; shared by the threads of one client.

    A thread that holds a slot takes no second one: a redirect belongs to the request that met it, and with
    ``max_concurrency=1`` would otherwise wait for itself.

    :param clock: what tells the time and waits
    :param requests_per_second: None for no limit
    :param max_concurrency: requests under way at once
    """

    def __init__(self, clock: Clock, *, requests_per_second: float | None, max_concurrency: int) -> None:
        self._clock = clock
        self._interval = 1 / requests_per_second if requests_per_second else 0.0
        self._slots = threading.BoundedSemaphore(max(1, max_concurrency))
        self._lock = threading.Lock()
        self._free_at = float("-inf")
        self._mine = threading.local()

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Hold one of the slots, once it is this request's turn."""
        if getattr(self._mine, "held", False):
            yield
            return
        with self._slots:
            self._mine.held = True
            try:
                if self._interval:
                    self._take_turn()
                yield
            finally:
                self._mine.held = False

    def _take_turn(self) -> None:
        with self._lock:
            now = self._clock.monotonic()
            turn = max(now, self._free_at)
            self._free_at = turn + self._interval
        if turn > now:
            self._clock.sleep(turn - now)
