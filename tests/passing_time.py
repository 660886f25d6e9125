"""Time that passes at once: whoever waits on the system's clock does not wait, and the clock goes on."""

from __future__ import annotations

import threading
import time

import pytest

from airflow_provider_finauth.transport.clock import SYSTEM_CLOCK


class PassingTime:
    """The system's clock, ahead by what was waited for."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self.waits: list[float] = []

    def wall(self) -> float:
        return time.time() + self.ahead

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.ahead += seconds

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self.sleep(seconds)
        return event.is_set()

    def go_on(self, seconds: float) -> None:
        """Let time pass without anybody waiting."""
        self.ahead += seconds


@pytest.fixture
def passing_time(monkeypatch: pytest.MonkeyPatch) -> PassingTime:
    """No test waits; what would have been waited is in ``waits``."""
    made = PassingTime()
    for name in ("wall", "monotonic", "sleep", "wait"):
        monkeypatch.setattr(SYSTEM_CLOCK, name, getattr(made, name))
    return made
