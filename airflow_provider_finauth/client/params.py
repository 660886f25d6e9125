"""Query parameters as the APIs want them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from airflow_provider_finauth.exceptions import ConfigurationError

Params = Mapping[str, Any] | Iterable[tuple[str, Any]]


def encode_params(params: Params | None) -> list[tuple[str, str]]:
    """Give the pairs of a query: ``true`` and ``false`` in lower case, None left out, lists repeated.

    :raises ConfigurationError: these are no pairs
    """
    try:
        pairs = [(name, value) for name, value in _pairs(params)]
    except (TypeError, ValueError):
        pairs = None
    if pairs is None or isinstance(params, str | bytes):
        raise ConfigurationError(
            "Argument 'query' must be names with their values, such as {\"page\": 1}, "
            f"not of type {type(params).__name__}.",
            field="query",
        )
    encoded: list[tuple[str, str]] = []
    for name, value in pairs:
        several = value if isinstance(value, list | tuple | set | frozenset) else (value,)
        encoded.extend((name, _text(item)) for item in several if item is not None)
    return encoded


def _pairs(params: Params | None) -> Iterable[tuple[str, Any]]:
    return params.items() if isinstance(params, Mapping) else params or ()


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    # A datetime is a date too.
    return value.isoformat() if isinstance(value, date) else str(value)
