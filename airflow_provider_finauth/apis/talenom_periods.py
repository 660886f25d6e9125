"""Which of Talenom's vouchers have to be read again to find what has changed.

The API filters vouchers by their date, not by their change. A voucher of a locked accounting period does not
change any more, so all are read but those of periods that were locked before the time in question began. A
period that was locked only lately is still read: something may have changed just before.

What Talenom's periods look like is known from its page's example call and public clients only. One without a
usable ``locked``, ``startDate`` and ``endDate`` is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

from airflow_provider_finauth.client.paging.changes import moment_of

_DAY = timedelta(days=1)

Span = tuple[date | None, date | None]


def seen_locked(periods: Iterable[Any], before: Any, now: datetime) -> dict[str, str]:
    """Note when each locked period was first seen to be so.

    :param periods: as Talenom gives them
    :param before: what was noted formerly, if anything; periods that are open again are left out
    :param now: when the periods were asked for
    :return: for example ``{"2025-01-01/2025-12-31": "2026-02-01T06:00:00+00:00"}``
    """
    # It comes from a Variable, which a person may have edited.
    known = before if isinstance(before, Mapping) else {}
    found = {}
    for period in periods:
        if not isinstance(period, Mapping) or period.get("locked") is not True:
            continue
        first, last = _day(period.get("startDate")), _day(period.get("endDate"))
        # A day before the first and one after the last have to exist.
        if first is not None and last is not None and date.min < first <= last < date.max:
            name = f"{first}/{last}"
            noted = known.get(name)
            found[name] = noted if isinstance(noted, str) else now.isoformat()
    return found


def spans_to_read(locked: Mapping[str, str], since: datetime | None, floor: date | None = None) -> list[Span]:
    """Give the days whose vouchers have to be read: all but those locked before a moment.

    :param locked: of :func:`seen_locked`
    :param since: where the time in question begins; None reads everything
    :param floor: the first day that is wanted at all
    :return: the first and last day of each span, None for an open end
    """
    left_out = []
    for name, seen in locked.items():
        moment = moment_of(seen)
        first, last = (_day(text) for text in name.partition("/")[::2])
        if since is not None and moment is not None and moment <= since and first and last:
            left_out.append((first, last))
    spans: list[Span] = []
    begins: date | None = floor
    for first, last in sorted(left_out):
        if begins is None or begins < first:
            spans.append((begins, first - _DAY))
        if begins is None or begins <= last:
            begins = last + _DAY
    return [*spans, (begins, None)]


def _day(value: Any) -> date | None:
    if not isinstance(value, str):
        return None
    try:
        return date.fromisoformat(value[:10])
    except ValueError:
        return None
