"""JSON Lines: one record a line, UTF-8, in the vendor's own bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from airflow_provider_finauth.client.paging.rows import Rows
    from airflow_provider_finauth.sinks.packing import Sink

_decoder = msgspec.json.Decoder(float_hook=Decimal)


class JsonLines:
    """Begins files of JSON Lines, which need to know nothing of each other."""

    waits = False

    def file(self, sink: Sink) -> JsonLinesFile:
        """Begin a file."""
        return JsonLinesFile(sink)

    def close(self) -> None:
        """Nothing is kept."""


class JsonLinesFile:
    """Writes one file of JSON Lines.

    :param sink: of the file
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def add(self, rows: Rows) -> None:
        """Write records, all at once."""
        self._sink.write(b"\n".join([*rows.lines, b""]))

    def seal(self) -> None:
        """Nothing is kept back."""

    def finish(self) -> None:
        """Nothing is kept back."""


def read_lines(pieces: Iterable[bytes]) -> Iterator[Any]:
    """Read records back; numbers with a fraction as ``Decimal``.

    :param pieces: the file's bytes
    :raises ValueError: the file is damaged, or holds a number that Python has no room for
    """
    pending = b""
    for piece in pieces:
        whole, _, pending = (pending + piece).rpartition(b"\n")
        yield from _decoded(whole)
    yield from _decoded(pending)


def _decoded(lines: bytes) -> list[Any]:
    try:
        return _decoder.decode_lines(lines)
    except (msgspec.ValidationError, ArithmeticError):
        problem = "holds a number that is out of bounds"
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        problem = "is damaged"
    raise ValueError(f"the file of JSON Lines {problem}")
