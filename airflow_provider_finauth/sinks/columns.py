"""Records taken apart into columns, each value decoded once and its text kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from itertools import chain
from types import NoneType
from typing import Any

import msgspec

from airflow_provider_finauth.client.bodies import decode_any
from airflow_provider_finauth.client.paging.rows import Rows, decode_rows
from airflow_provider_finauth.exceptions import ConfigurationError

# Enough records at once to be quick, few enough not to be felt in memory.
BATCH_RECORDS = 2000
BATCH_BYTES = 4 << 20


class Digits(str):
    """A number with a fraction or an exponent, as the API wrote it."""

    __slots__ = ()


_RECORDS = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_VALUES = msgspec.json.Decoder(list[Any], float_hook=Digits)
_NULL = msgspec.Raw(b"null")


class Column:
    """One member of some records.

    :param name: the member
    :param raws: its JSON texts; ``null`` where a record lacks it
    """

    def __init__(self, name: str, raws: Sequence[msgspec.Raw]) -> None:
        self.name = name
        self._raws = raws

    @cached_property
    def values(self) -> list[Any]:
        """The decoded values; numbers with a fraction or an exponent as :class:`Digits`.

        :raises ApiError: one of them is what Python has no room for
        """
        return decode_rows(_VALUES, b"[" + b",".join(self._raws) + b"]", decode_any)

    @cached_property
    def types(self) -> set[type]:
        """The types of the values that are not null."""
        return set(map(type, self.values)) - {NoneType}

    def texts(self) -> list[str | None]:
        """Give the values as texts: a text as it is, anything else as the JSON text that the API wrote."""
        if self.types <= {str, Digits}:
            return self.values
        return [
            value if value is None or isinstance(value, str) else bytes(raw).decode()
            for value, raw in zip(self.values, self._raws, strict=True)
        ]


class ColumnReader:
    """Takes records apart and remembers the columns, in the order of their first appearance."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._known: msgspec.json.Decoder[list[Any]] | None = None

    def read(self, rows: Rows) -> list[Column]:
        """Give all columns known by now.

        :raises ConfigurationError: a record is no object
        """
        raws = self._transposed(b"[" + b",".join(rows.lines) + b"]")
        return [Column(name, texts) for name, texts in zip(self.names, raws, strict=True)]

    def _transposed(self, array: bytes) -> list[Sequence[msgspec.Raw]]:
        if self._known is not None:
            # A member that is not known ends this way of reading, which is several times quicker.
            with suppress(msgspec.ValidationError):
                known = decode_rows(self._known, array)
                return list(zip(*map(msgspec.structs.astuple, known), strict=True))
        try:
            records = decode_rows(_RECORDS, array)
        except msgspec.ValidationError:
            raise ConfigurationError(
                "Argument 'format': the records of this pull are not all JSON objects, so they have "
                "no columns. Land them as JSON Lines ('jsonl').",
                field="format",
            ) from None
        self.names = list(dict.fromkeys(chain(self.names, chain.from_iterable(records))))
        self._known = _decoder_of(self.names)
        return [[record.get(name, _NULL) for record in records] for name in self.names]


def _decoder_of(names: list[str]) -> msgspec.json.Decoder[list[Any]] | None:
    fields = [f"f{number}" for number in range(len(names))]
    try:
        row = msgspec.defstruct(
            "Row",
            [(field, msgspec.Raw, _NULL) for field in fields],
            rename=dict(zip(fields, names, strict=True)),
            forbid_unknown_fields=True,
            gc=False,
        )
    except ValueError:
        # A name with a character that JSON escapes.
        return None
    return msgspec.json.Decoder(list[row]) if names else None  # type: ignore[valid-type]


class Batched(ABC):
    """A file that takes its records in batches: small pages are gathered, and large ones cut."""

    def __init__(self) -> None:
        self._lines: list[msgspec.Raw | bytes] = []
        self._size = 0

    def add(self, rows: Rows) -> None:
        """Take records.

        :raises ConfigurationError: one is no object
        """
        for start in range(0, len(rows), BATCH_RECORDS):
            part = rows[start : start + BATCH_RECORDS]
            self._lines += part.lines
            self._size += part.size
            if len(self._lines) >= BATCH_RECORDS or self._size >= BATCH_BYTES:
                self._flush()

    def seal(self) -> None:
        """Keep the rest.

        :raises ConfigurationError: a record is no object
        """
        if self._lines:
            self._flush()

    def _flush(self) -> None:
        rows = Rows(self._lines)
        self._lines, self._size = [], 0
        self._keep(rows)

    @abstractmethod
    def _keep(self, rows: Rows) -> None:
        """Keep a batch of records."""
