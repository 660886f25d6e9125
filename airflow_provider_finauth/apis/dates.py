"""Dates as arguments: a date, a datetime, or the string of one as a template gives it."""

from __future__ import annotations

from datetime import date, datetime

from airflow_provider_finauth import values
from airflow_provider_finauth.exceptions import ConfigurationError

When = values.When


def moment(argument: str, value: When) -> datetime:
    """Read an argument as a point in time in UTC; see :func:`.values.moment`.

    :raises ConfigurationError: names the argument
    """
    return values.argument(argument, values.moment, value)


def day(argument: str, value: When) -> str:
    """Read an argument as a day like ``2026-01-31``: the one that the value itself names, whatever its zone.

    :raises ConfigurationError: names the argument
    """
    if isinstance(value, date):
        return value.isoformat()[:10]
    moment(argument, value)
    return datetime.fromisoformat(value.strip()).date().isoformat()


def timestamp(argument: str, value: When) -> str:
    """Write the point in time of an argument as ``2026-01-31T09:00:00Z``; see :func:`.values.timestamp`.

    :raises ConfigurationError: names the argument
    """
    return values.timestamp(moment(argument, value))


def microseconds(argument: str, value: When) -> int:
    """Count the microseconds from the epoch to the point in time of an argument, exactly.

    :raises ConfigurationError: names the argument
    """
    return values.microseconds(moment(argument, value))


def require_order(since: When, until: When) -> None:
    """Refuse a window that ends before it begins: no records would look like no data.

    :raises ConfigurationError: it does
    """
    if moment("since", since) > moment("until", until):
        raise ConfigurationError(f"Argument 'since' ({since}) lies after 'until' ({until}).", field="since")
