"""One reading of strings as numbers, flags, choices and times.

Connection forms, environment variables, templates and ``airflow.cfg`` all give strings. Whatever is meant for
a number, a flag or a time is read here, so that a word means the same in each of them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Concatenate, ParamSpec, TypeVar
from zoneinfo import ZoneInfo

from airflow_provider_finauth.exceptions import ConfigurationError

When = str | date | datetime

_P = ParamSpec("_P")
_T = TypeVar("_T")

_FLAGS = dict.fromkeys(("true", "t", "yes", "y", "on", "1"), True) | dict.fromkeys(
    ("false", "f", "no", "n", "off", "0"), False
)
# No API has a number of more digits, and Python refuses to read one of several thousand.
_MOST_DIGITS = 18
# Of a value that an error repeats.
_LONGEST_SHOWN = 200
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Unreadable(ValueError):
    """A value is not of the kind that is expected. It is not repeated here, since it may be a secret.

    :param expected: what is expected, to follow "must be", for example "a whole number of at least 1"
    """

    def __init__(self, expected: str) -> None:
        super().__init__(f"The value must be {expected}.")
        self.expected = expected


def argument(
    name: str, read: Callable[Concatenate[Any, _P], _T], value: Any, *args: _P.args, **kwargs: _P.kwargs
) -> _T:
    """Read the value of an argument by one of the functions of this module.

    :param read: the function, which is called with the value and whatever comes after it
    :raises ConfigurationError: names the argument, what is expected and the value, but for one that stands in
        place of a mapping: headers, variables and parameters may hold a secret
    """
    try:
        return read(value, *args, **kwargs)
    except Unreadable as error:
        expected = error.expected
    found = f"a {type(value).__name__}" if read is mapping else _shown(value)
    raise ConfigurationError(f"Argument '{name}' must be {expected}, not {found}.", field=name)


def _shown(value: Any) -> str:
    try:
        return repr(value)[:_LONGEST_SHOWN]
    except (ValueError, RecursionError):
        # A number of thousands of digits, or lists in lists without end.
        return f"a {type(value).__name__}"


def optional(
    name: str, read: Callable[Concatenate[Any, _P], _T], value: Any, *args: _P.args, **kwargs: _P.kwargs
) -> _T | None:
    """Read the value of an argument that None, or an empty string as a template gives one, leaves open.

    :raises ConfigurationError: as for :func:`argument`
    """
    return None if value is None or value == "" else argument(name, read, value, *args, **kwargs)


def integer(value: Any, *, minimum: int | None = None, maximum: int | None = None) -> int:
    """Read a whole number of at most 18 digits; ``"3600.0"`` is one too.

    :raises Unreadable: it is none, or out of range
    """
    try:
        found = _decimal(value)
        if found.adjusted() < _MOST_DIGITS and found == found.to_integral_value():
            whole = int(found)
            if (minimum is None or whole >= minimum) and (maximum is None or whole <= maximum):
                return whole
    except (TypeError, ValueError, ArithmeticError):
        pass
    raise Unreadable("a whole number" + _range(minimum, maximum))


def number(value: Any, *, minimum: float | None = None) -> float:
    """Read a finite number.

    :raises Unreadable: it is none, or too small
    """
    try:
        found = float(_decimal(value))
        if math.isfinite(found) and (minimum is None or found >= minimum):
            return found
    except (TypeError, ValueError, ArithmeticError):
        pass
    raise Unreadable("a number" + _range(minimum, None))


def flag(value: Any) -> bool:
    """Read true or false: a truth value, 1 or 0, or a word for one of them in any case.

    :raises Unreadable: it is neither
    """
    if isinstance(value, int) and value in (0, 1):
        return bool(value)
    found = _FLAGS.get(value.strip().lower()) if isinstance(value, str) else None
    if found is None:
        raise Unreadable("true or false")
    return found


def choice(value: Any, choices: Sequence[str]) -> str:
    """Read one of some words; blanks around it are dropped.

    :raises Unreadable: it is another one
    """
    word = value.strip() if isinstance(value, str) else None
    if word is None or word not in choices:
        raise Unreadable(f"one of {', '.join(choices)}")
    return word


def string(value: Any) -> str:
    """Return a string as it is, unless it is blank.

    :raises Unreadable: it is blank, or no string
    """
    if not isinstance(value, str) or not value.strip():
        raise Unreadable("a string that is not blank")
    return value


def strings(value: Any) -> tuple[str, ...]:
    """Read several strings.

    :param value: an iterable of strings or numbers, a comma-separated string, or a JSON list in a string
    :return: without the blanks around them, and without empty ones; none for None
    :raises Unreadable: it is none of them
    """
    try:
        if value is None:
            return ()
        if isinstance(value, str):
            value = json.loads(value) if value.lstrip().startswith("[") else value.split(",")
        elif not isinstance(value, Iterable) or isinstance(value, Mapping | bytes | bytearray):
            value = [value]
        return tuple(part for item in value if (part := _item(item)))
    except (TypeError, ValueError, RecursionError):
        raise Unreadable("a comma-separated string or a JSON list") from None


def mapping(value: Any) -> dict[str, Any]:
    """Read a mapping, or a JSON object in a string.

    :raises Unreadable: it is neither
    """
    try:
        found = json.loads(value) if isinstance(value, str) else value
        if isinstance(found, Mapping):
            return {str(name): member for name, member in found.items()}
    except (ValueError, RecursionError):
        pass
    raise Unreadable("a JSON object")


def duration(value: Any) -> timedelta:
    """Read a length of time.

    :param value: a timedelta, a number of seconds, or a string such as ``30s``, ``90m``, ``36h`` or ``2d``
    :raises Unreadable: it is none of them, or negative
    """
    try:
        if isinstance(value, timedelta):
            found = value
        elif isinstance(value, str):
            digits = value.strip().lower()
            unit = _UNITS.get(digits[-1:])
            found = timedelta(seconds=number(digits) if unit is None else number(digits[:-1]) * unit)
        else:
            found = timedelta(seconds=number(value))
        if found >= timedelta(0):
            return found
    except (Unreadable, OverflowError):
        pass
    raise Unreadable("a number of seconds, a timedelta or a string like 36h")


def moment(value: When) -> datetime:
    """Read a moment, in UTC; a date counts from its midnight, and a time without a zone is UTC.

    :raises Unreadable: it is none, or before the year 1 or after 9999 in UTC
    """
    found = _datetime(value)
    try:
        found = found.replace(tzinfo=UTC) if found.utcoffset() is None else found.astimezone(UTC)
    except OverflowError:
        raise Unreadable("a date between the years 1 and 9999 in UTC") from None
    # Airflow's moments are pendulum's, whose differences cannot be divided by the standard library's.
    return datetime.combine(found.date(), found.time(), UTC)


def day(value: When, zone: str | None = None) -> date:
    """Read the day whose midnight a value is: by the value's own clock, else by that of a zone.

    Airflow hands the intervals of a timetable over in UTC, so that a midnight in Helsinki is
    ``2026-09-30T21:00:00+00:00``. Where clocks skip midnight, the first moment of the day counts.

    :param zone: the IANA name of the API's own time zone
    :raises Unreadable: it is no midnight
    """
    found = _datetime(value)
    try:
        if _begins_day(found):
            return _date(found)
        if zone is not None:
            local = moment(found).astimezone(ZoneInfo(zone))
            if _begins_day(local):
                return _date(local)
    except (Unreadable, OverflowError):
        pass
    raise Unreadable("a midnight (a date like 2026-01-31), since the API knows only days")


def timestamp(value: datetime) -> str:
    """Write a moment as ``2026-01-31T09:00:00Z``, with microseconds only where there are any."""
    return moment(value).isoformat().replace("+00:00", "Z")


def microseconds(value: datetime) -> int:
    """Count the microseconds from the epoch to a moment, exactly."""
    return (moment(value) - _EPOCH) // timedelta(microseconds=1)


def _decimal(value: Any) -> Decimal:
    """Read a number exactly.

    :raises TypeError: it is no number and no string
    :raises ValueError, ArithmeticError: it does not hold a number
    """
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        raise TypeError
    # A float is taken by its digits: 0.1 is a tenth.
    found = Decimal(str(value) if isinstance(value, float) else value)
    if not found.is_finite():
        raise ValueError
    return found


def _range(minimum: float | None, maximum: float | None) -> str:
    if minimum is not None and maximum is not None:
        return f" from {minimum} to {maximum}"
    if minimum is not None:
        return f" of at least {minimum}"
    return "" if maximum is None else f" of at most {maximum}"


def _item(value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise TypeError
    return str(value)


def _datetime(value: When) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime.combine(value, time.min)
    try:
        return datetime.fromisoformat(value.strip())
    except (AttributeError, TypeError, ValueError):
        raise Unreadable("a date like 2026-01-31 or 2026-01-31T09:00:00Z") from None


def _begins_day(value: datetime) -> bool:
    return moment(value) == moment(datetime.combine(value.date(), time.min, value.tzinfo))


def _date(value: datetime) -> date:
    return date(value.year, value.month, value.day)
