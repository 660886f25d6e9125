"""What a request that is sent early looks at: whether anybody waits for its answer."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_finauth.transport.clock import Clock


class Stopped(Exception):
    """A request was not sent, or not once more: nobody waits for its answer, or not yet."""


class Stop:
    """A flag that is looked at before each sending. While nobody waits for an answer, one try has to do."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """Stop: what has not left yet stays here."""
        self._event.set()

    def check(self) -> None:
        """Go on, unless it was stopped.

        :raises Stopped: it was
        """
        if self._event.is_set():
            raise Stopped

    def sleep(self, clock: Clock, seconds: float) -> None:
        """Wait for so many seconds.

        :raises Stopped: it was stopped before they were over
        """
        if clock.wait(self._event, seconds):
            raise Stopped

    def pause(self, clock: Clock, seconds: float) -> None:
        """Wait between two tries.

        :raises Stopped: whoever needs the answer tries again
        """
        raise Stopped


class Unstoppable(Stop):
    """For a request that its caller waits for."""

    def check(self) -> None:
        """Go on."""

    def sleep(self, clock: Clock, seconds: float) -> None:
        """Wait for so many seconds."""
        clock.sleep(seconds)

    def pause(self, clock: Clock, seconds: float) -> None:
        """Wait for so many seconds."""
        clock.sleep(seconds)


UNSTOPPABLE = Unstoppable()
