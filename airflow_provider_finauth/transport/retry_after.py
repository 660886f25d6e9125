"""The one reading of ``Retry-After`` (RFC 9110 section 10.2.3)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

LONGEST_WAIT = 24 * 3600.0
_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")


def named_wait(headers: Mapping[str, str], *, now: float) -> float | None:
    """Read the wait that an answer asks for; a date is compared with the server's own clock.

    :param now: the epoch seconds by our clock, for a server that does not tell the time
    :return: seconds between 0 and a day; None if the answer names none
    """
    sent_at = _parse_date(headers.get("Date"))
    return parse_retry_after(headers.get("Retry-After"), now=now if sent_at is None else sent_at)


def parse_retry_after(value: Any, *, now: float) -> float | None:
    """Read a value of ``Retry-After``, seconds or a date, or of a GraphQL error's ``retryAfter``.

    :param now: the epoch seconds that a date is compared with, best the server's own
    :return: seconds between 0 and a day; None if the value says nothing
    """
    if value is None or isinstance(value, bool):
        return None
    text = str(value).strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), LONGEST_WAIT)
    moment = _parse_date(text)
    if moment is None:
        return None
    return min(max(0.0, moment - now), LONGEST_WAIT)


def _parse_date(value: str | None) -> float | None:
    if not value:
        return None
    try:
        moment = parsedate_to_datetime(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
