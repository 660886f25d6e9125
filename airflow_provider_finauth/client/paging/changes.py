"""How the records of a list tell when they changed, so that a later pull can ask for what is new."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_finauth.client.paging.rows import Rows

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Microseconds, milliseconds or seconds: a number's size tells, for the years from 1973 to 5138.
_UNITS = ((10**14, 1), (10**11, 1000), (0, 1_000_000))
# A number with more is none of them, and would take its time.
_MOST_DIGITS = 18
_DAY_DIGITS = 8


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What a list tells about changes.

    :param fields: the members that hold moments, with dots; a record changed at the latest of them
    :param filtered: ``since`` and ``until`` of the pull go by that moment; otherwise a pull brings the whole
        list, of which what is new is kept
    :param exact: the filter is exactly from ``since`` on and before ``until``, so that nothing has to be kept
        back here
    :param shifts: the pages are told apart by positions, so that no end may be asked for: what changes during
        the pull would leave the list, others would move up, and some of them would be passed over
    :param deleted: the member, and its value, by which a record says that it was deleted
    :param why_not: where there are no fields: why, and what to do instead
    """

    fields: tuple[str, ...] = ()
    filtered: bool = False
    exact: bool = False
    shifts: bool = False
    deleted: tuple[str, str] | None = None
    why_not: str = ""

    def moments(self, rows: Rows) -> list[datetime | None]:
        """Say when each record changed; None where it does not tell."""
        rows.look_at(self.fields)
        columns = [rows.column(field) for field in self.fields]
        return [
            max((found for value in values if (found := moment_of(value)) is not None), default=None)
            for values in zip(*columns, strict=True)
        ]

    def count_deleted(self, rows: Rows) -> int:
        """Say how many of the records were deleted."""
        if self.deleted is None:
            return 0
        member, value = self.deleted
        return rows.column(member).count(value)


@dataclass(frozen=True, kw_only=True)
class Cut:
    """A time that the records are held to by a member of theirs, where the API's filter takes in more.

    :param field: the member, with dots
    :param since: the first moment wanted
    :param until: the first moment no longer wanted
    """

    field: str
    since: datetime | None = None
    until: datetime | None = None

    def sort(self, rows: Rows) -> tuple[set[int], int]:
        """Find the records outside of the window, and count those that tell no time: nobody knows of these.

        :return: the positions of the former, and how many there are of the latter
        """
        moments = [moment_of(value) for value in rows.column(self.field)]
        outside = {at for at, moment in enumerate(moments) if moment is not None and not self._holds(moment)}
        return outside, moments.count(None)

    def _holds(self, moment: datetime) -> bool:
        return (self.since is None or self.since <= moment) and (self.until is None or moment < self.until)


def moment_of(value: Any) -> datetime | None:
    """Read a moment: ISO 8601, without a zone as UTC, or seconds, milliseconds or microseconds since 1970.

    :return: in UTC; None where it is no moment
    """
    try:
        text = value.strip() if isinstance(value, str) else ""
        # Eight digits are a day like 20260131: as seconds they would be of the years before 1973.
        if text and (len(text) == _DAY_DIGITS or not text.isdecimal()):
            # RFC 3339 allows a lower-case z, which Python does not.
            found = datetime.fromisoformat(text.upper())
            return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
        if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
            return None
        number = Decimal(value)
        if not number.is_finite() or number.adjusted() > _MOST_DIGITS:
            return None
        unit = next(unit for above, unit in _UNITS if abs(number) >= above)
        return _EPOCH + timedelta(microseconds=int(number * unit))
    except (ValueError, OverflowError, ArithmeticError):
        return None
