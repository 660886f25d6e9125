"""The time, as something that can be handed in.

Shared data is judged by the wall clock (or a store's own); within a process only the monotonic clock
counts, because the wall clock may be set while a token is in use.
"""

from __future__ import annotations

import threading
import time

# Linux stops the other monotonic clock while a machine is suspended; tokens age all the same.
_MONOTONIC = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Clock:
    """The system's clocks; tests hand in a clock of their own."""

    def wall(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that never run backwards within this process, and go on while the machine sleeps."""
        return time.clock_gettime(_MONOTONIC)

    def sleep(self, seconds: float) -> None:
        """Wait for so many seconds."""
        time.sleep(seconds)

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait for an event, at most so many seconds; tell whether it has come."""
        return event.wait(seconds)


SYSTEM_CLOCK = Clock()
