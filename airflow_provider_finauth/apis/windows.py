"""The half-open time ``[since, until)`` of a pull, as each API can be asked for it.

``since`` is the first moment wanted and ``until`` the first no longer wanted, whatever the vendor means by
its own parameters: two pulls whose windows adjoin bring each record once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from airflow_provider_finauth import values
from airflow_provider_finauth.client.paging.changes import Cut
from airflow_provider_finauth.exceptions import ConfigurationError
from airflow_provider_finauth.values import When

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Days:
    """A window of whole days, for an API that knows nothing finer.

    :param first: the first day, like ``2026-01-31``; None from the beginning
    :param last: the last day, which is wanted too; None to the end
    """

    first: str | None
    last: str | None


@dataclass(frozen=True)
class Moments:
    """A window between two moments in UTC.

    :param since: the first moment; None from the beginning
    :param until: the first moment no longer wanted; None to the end
    """

    since: datetime | None
    until: datetime | None

    @property
    def since_text(self) -> str | None:
        """``since`` as ``2026-01-31T09:00:00Z``."""
        return None if self.since is None else values.timestamp(self.since)

    @property
    def until_text(self) -> str | None:
        """``until`` as ``2026-01-31T09:00:00Z``."""
        return None if self.until is None else values.timestamp(self.until)

    @property
    def in_whole_seconds(self) -> Moments:
        """The smallest window of whole seconds that covers it, for an API that may know nothing finer."""
        since = None if self.since is None else self.since.replace(microsecond=0)
        until = self.until
        if until is not None and until.microsecond:
            until = until.replace(microsecond=0) + timedelta(seconds=1)
        return Moments(since, until)

    def cut_by(self, field: str) -> Cut | None:
        """Hold the records to the window by a time of their own, where the API's filter takes in more.

        :param field: the member that holds it
        """
        if self.since is None and self.until is None:
            return None
        return Cut(field=field, since=self.since, until=self.until)


def days(since: When | None, until: When | None, *, zone: str | None = None) -> Days:
    """Read a window of whole days.

    :param zone: the IANA name of the time zone in which the API has its days
    :raises ConfigurationError: one of the two is no midnight, or the window is empty
    """
    first = values.optional("since", values.day, since, zone)
    end = values.optional("until", values.day, until, zone)
    if first is not None and end is not None:
        _require_order(first, end)
    if end == date.min:
        raise ConfigurationError("Argument 'until': no day lies before the year 1.", field="until")
    last = None if end is None else end - _DAY
    return Days(None if first is None else first.isoformat(), None if last is None else last.isoformat())


def moments(since: When | None, until: When | None) -> Moments:
    """Read a window between two moments.

    :raises ConfigurationError: one of the two is no moment, or the window is empty
    """
    first = values.optional("since", values.moment, since)
    end = values.optional("until", values.moment, until)
    if first is not None and end is not None:
        _require_order(first, end)
    return Moments(first, end)


def _require_order(since: date, until: date) -> None:
    """Refuse an empty window: no records would look like no data.

    :raises ConfigurationError: it is empty
    """
    if since > until:
        raise ConfigurationError(f"Argument 'since' ({since}) lies after 'until' ({until}).", field="since")
    if since == until:
        raise ConfigurationError(
            f"Arguments 'since' and 'until' are both {since}, and 'until' is the first moment no longer "
            "wanted: the window is empty. If they come from a DAG run's data interval, give the DAG a "
            "timetable that has one, such as CronDataIntervalTimetable.",
            field="until",
        )
