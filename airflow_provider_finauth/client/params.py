"""Query parameters as the APIs want them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

Params = Mapping[str, Any] | Iterable[tuple[str, Any]]


def encode_params(params: Params | None) -> list[tuple[str, str]]:
    """Give the pairs of a query: ``true`` and ``false`` in lower case, None left out, lists repeated."""
    pairs = params.items() if isinstance(params, Mapping) else params or ()
    encoded: list[tuple[str, str]] = []
    for name, value in pairs:
        several = value if isinstance(value, list | tuple | set | frozenset) else (value,)
        encoded.extend((name, _text(item)) for item in several if item is not None)
    return encoded


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    # A datetime is a date too.
    return value.isoformat() if isinstance(value, date) else str(value)
