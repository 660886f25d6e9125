"""When a request is sent again, and how long to wait before.

A failure is repeated only where that cannot do the work twice: for every request where the failure came
before anything was sent, or the server says that it did nothing (429); for safe ones (GET, HEAD, GraphQL
queries, or what the caller calls idempotent) also after a 5xx, a time-out or a broken answer.
"""

from __future__ import annotations

import logging
import math
import random
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar, cast

import requests
import tenacity
import urllib3

from airflow_provider_finauth.client.stopping import UNSTOPPABLE, Stop
from airflow_provider_finauth.transport.reading import ResponseTooLarge, TransportFault

if TYPE_CHECKING:
    from airflow_provider_finauth.exceptions import FinauthError
    from airflow_provider_finauth.transport.clock import Clock

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# 501 and 505 say that the server cannot do it at all.
_PASSING_STATUSES = frozenset({408, 425, *range(500, 600)} - {501, 505})

LONGEST_WAIT = 24 * 3600.0
# The deadline does not bound the number of tries that are asked for at once.
_SHORTEST_WAIT = 1.0
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")


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


def is_passing(status: int) -> bool:
    """Tell whether a status is one that a safe request is repeated after."""
    return status in _PASSING_STATUSES


def parse_retry_after(value: Any, *, now: float) -> float | None:
    """Read ``Retry-After`` (RFC 9110 section 10.2.3): seconds or a date, or a GraphQL ``retryAfter``.

    :param now: the epoch seconds that a date is compared with, best the server's own
    :return: seconds between 0 and a day; None if the value says nothing
    """
    if value is None or isinstance(value, bool):
        return None
    text = str(value).strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), LONGEST_WAIT)
    moment = parse_date(text)
    if moment is None:
        return None
    return min(max(0.0, moment - now), LONGEST_WAIT)


def named_wait(response: requests.Response, *, now: float) -> float | None:
    """Give the wait that an answer asks for; a date is compared with the server's own clock.

    :param now: the epoch seconds by our clock, for a server that does not tell the time
    """
    sent_at = parse_date(response.headers.get("Date"))
    return parse_retry_after(response.headers.get("Retry-After"), now=now if sent_at is None else sent_at)


def spread(seconds: float, draw: Callable[[], float]) -> float:
    """Add a little to a wait, so that those who were told the same do not come back together."""
    return seconds + draw() * min(1.0, seconds / 10)


def parse_date(value: str | None) -> float | None:
    """Read an HTTP date as epoch seconds; None if it is none."""
    if not value:
        return None
    try:
        moment = parsedate_to_datetime(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError, IndexError):
        return None


def before_sending(error: BaseException) -> bool:
    """Tell whether a transport error came before a byte of the request was sent."""
    if isinstance(error, requests.exceptions.ConnectTimeout | requests.exceptions.ProxyError):
        return True
    if not isinstance(error, requests.exceptions.ConnectionError) or not error.args:
        return False
    reason = getattr(error.args[0], "reason", error.args[0])
    # A name that does not resolve is a NewConnectionError too.
    return isinstance(reason, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError)


def passes_by(error: BaseException) -> bool:
    """Tell whether a transport error may be gone at the next try."""
    if isinstance(error, TransportFault):
        return not isinstance(error, ResponseTooLarge)
    if isinstance(error, requests.exceptions.SSLError):
        return not _is_distrust(error)
    return isinstance(
        error,
        requests.exceptions.ConnectionError
        | requests.exceptions.Timeout
        | requests.exceptions.ChunkedEncodingError
        | requests.exceptions.ContentDecodingError,
    )


def _is_distrust(error: BaseException) -> bool:
    reason = getattr(error.args[0], "reason", error.args[0]) if error.args else None
    causes = (reason, *getattr(reason, "args", ()))
    return any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes)


@dataclass
class Tries:
    """The tries of one request.

    :param clock: what tells the time and waits
    :param deadline: seconds for all tries and the waits between them
    :param attempts: the most tries, not counting those after which the server named a wait of a second or
        more
    :param draw: gives a number from 0 to 1, for the jitter
    :param on_pause: told of each pause before it begins: the failure, and seconds
    :param stop: tells whether there is to be another try
    """

    clock: Clock
    deadline: float
    attempts: int
    draw: Callable[[], float] = random.random
    on_pause: Callable[[Again, float], None] = lambda failure, seconds: None
    stop: Stop = UNSTOPPABLE
    failed: int = field(default=0, init=False)

    def run(self, attempt: Callable[[], _T]) -> _T:
        """Call until it succeeds, the tries are used up, or the deadline would pass while waiting.

        :raises FinauthError: the last try's
        :raises Stopped: there was to be no other try
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
            sleep=lambda seconds: self.stop.pause(self.clock, seconds),
            before_sleep=note,
            retry_error_callback=give_up,
        )
        return retrying(next_attempt)

    def _pause(self, state: tenacity.RetryCallState) -> float:
        named = _failure(state).retry_after
        if named is None or named < _SHORTEST_WAIT:
            self.failed += 1
        if named is not None:
            return spread(named, self.draw)
        ceiling = min(_LONGEST_PAUSE, _FIRST_PAUSE * math.pow(2, min(self.failed, 10)))
        return ceiling * self.draw()


def _failure(state: tenacity.RetryCallState) -> Again:
    """Give the failure that the retry predicate let through; there is no other outcome to wait after."""
    return cast("Again", cast("tenacity.Future", state.outcome).exception())
