"""The one loop of tries, for token requests and API requests alike, and how long to wait between them.

Whoever makes a try decides whether its failure may be repeated, and says so by raising :class:`Again`.
"""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, cast

import tenacity

if TYPE_CHECKING:
    from airflow_provider_finauth.exceptions import FinauthError
    from airflow_provider_finauth.transport.clock import Clock

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

# The deadline does not bound the number of tries that are asked for at once.
_SHORTEST_WAIT = 1.0
_LONGEST_PAUSE = 30.0


class Again(Exception):
    """A try failed in a way that another try may mend.

    :param error: what to raise if there is no other try
    :param retry_after: the wait that the server named
    :param limited: the server asked to wait, whether or not it named how long
    """

    def __init__(
        self, error: FinauthError, *, retry_after: float | None = None, limited: bool = False
    ) -> None:
        super().__init__(str(error))
        self.error = error
        self.retry_after = retry_after
        self.limited = limited


def spread(seconds: float, draw: Callable[[], float]) -> float:
    """Add a little to a wait, so that those who were told the same do not come back together."""
    return seconds + draw() * min(1.0, seconds / 10)


@dataclass
class Tries:
    """The tries of one request.

    :param clock: what tells the time and waits
    :param deadline: seconds for all tries and the waits between them
    :param attempts: the most tries
    :param counts_named_waits: whether those count too after which the server named a wait of a second or more
    :param first_pause: the longest pause after the first try; it doubles with each
    :param draw: gives a number from 0 to 1, for the jitter
    :param on_pause: told of each pause before it begins: the failure, and seconds
    :param sleep: waits between two tries; the clock's own if not given
    """

    clock: Clock
    deadline: float
    attempts: int
    counts_named_waits: bool = False
    first_pause: float = 1.0
    draw: Callable[[], float] = random.random
    on_pause: Callable[[Again, float], None] = lambda failure, seconds: None
    sleep: Callable[[float], None] | None = None
    failed: int = field(default=0, init=False)

    def run(self, attempt: Callable[[], _T]) -> _T:
        """Call until it succeeds, the tries are used up, or the deadline would pass while waiting.

        :raises FinauthError: the last try's
        """
        started = self.clock.monotonic()
        failed: Again | None = None
        try:
            # Nearly every request succeeds at once, and the machinery below costs as much as a small answer.
            return attempt()
        except Again as failure:
            failed = failure

        def next_attempt() -> _T:
            nonlocal failed
            if failed is not None:
                first, failed = failed, None
                raise first
            return attempt()

        def is_over(state: tenacity.RetryCallState) -> bool:
            # tenacity's own predicates go by the system's clock.
            waited_for = self.clock.monotonic() - started + state.upcoming_sleep
            return self.failed >= self.attempts or waited_for > self.deadline

        def note(state: tenacity.RetryCallState) -> None:
            _log.info("%s Trying again in %.1f s.", _failure(state), state.upcoming_sleep)
            self.on_pause(_failure(state), state.upcoming_sleep)

        def give_up(state: tenacity.RetryCallState) -> Any:
            raise _failure(state).error from None

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(Again),
            wait=self._pause,
            stop=is_over,
            sleep=self.sleep or self.clock.sleep,
            before_sleep=note,
            retry_error_callback=give_up,
        )
        return retrying(next_attempt)

    def _pause(self, state: tenacity.RetryCallState) -> float:
        named = _failure(state).retry_after
        if named is None or named < _SHORTEST_WAIT or self.counts_named_waits:
            self.failed += 1
        if named is not None:
            return spread(named, self.draw)
        ceiling = min(_LONGEST_PAUSE, self.first_pause * math.pow(2, min(self.failed - 1, 10)))
        return ceiling * self.draw()


def _failure(state: tenacity.RetryCallState) -> Again:
    """Give the failure that the retry predicate let through; there is no other outcome to wait after."""
    return cast("Again", cast("tenacity.Future", state.outcome).exception())
