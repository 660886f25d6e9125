"""Dates as arguments: a date, a datetime, or the text of one as a template gives it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from airflow_provider_finauth.exceptions import ConfigurationError

When = str | date | datetime

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(argument: str, value: When) -> datetime:
    """Give a point in time in UTC; a date counts from its midnight, a time without a zone as UTC.

    :raises ConfigurationError: names the argument
    """
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            raise ConfigurationError(
                f"Argument '{argument}' must be a date like 2026-01-31 or 2026-01-31T09:00:00Z, "
                f"not {value!r}.",
                field=argument,
            ) from None
    if not isinstance(value, datetime):
        if not isinstance(value, date):
            raise ConfigurationError(f"Argument '{argument}' must be a date, not {value!r}.", field=argument)
        value = datetime(value.year, value.month, value.day)
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        raise ConfigurationError(
            f"Argument '{argument}' must be a date between the years 1 and 9999 in UTC, not {value}.",
            field=argument,
        ) from None


def day(argument: str, value: When) -> str:
    """Give a day as ``2026-01-31``: the day that the value itself names, whatever its zone.

    :raises ConfigurationError: names the argument
    """
    if isinstance(value, date):
        return value.isoformat()[:10]
    moment(argument, value)
    return datetime.fromisoformat(value.strip()).date().isoformat()


def timestamp(argument: str, value: When) -> str:
    """Give a point in time as ``2026-01-31T09:00:00Z``, with microseconds only where there are any.

    :raises ConfigurationError: names the argument
    """
    return moment(argument, value).isoformat().replace("+00:00", "Z")


def microseconds(argument: str, value: When) -> int:
    """Give a point in time as microseconds since the epoch, exactly.

    :raises ConfigurationError: names the argument
    """
    return (moment(argument, value) - _EPOCH) // timedelta(microseconds=1)


def require_order(since: When, until: When) -> None:
    """Refuse a window that ends before it begins: no records would look like no data.

    :raises ConfigurationError: it does
    """
    if moment("since", since) > moment("until", until):
        raise ConfigurationError(f"Argument 'since' ({since}) lies after 'until' ({until}).", field="since")
