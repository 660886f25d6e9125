"""CSV: the columns of all records, in the order of their first appearance.

As in RFC 4180, but with a line feed alone at a line's end: fields are quoted where they must be, and the
first line has the names. A null, like a member that a record lacks, is an empty field. UTF-8 without a BOM.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_finauth.sinks.columns import Batched, Column, ColumnReader
from airflow_provider_finauth.sinks.spool import Piece, Spool

if TYPE_CHECKING:
    from airflow_provider_finauth.client.paging.rows import Rows
    from airflow_provider_finauth.sinks.packing import Sink

# In the spool a record ends with a byte that UTF-8 does not have, so that fields can be put on there.
_END = "\udcff"
_END_BYTE = b"\xff"
# The csv module refuses longer fields than this process allows, 128 kB unless told otherwise.
_LONGEST_FIELD = 1 << 30


class _Part(NamedTuple):
    piece: Piece
    width: int


class Csv:
    """The columns of all CSV files of a pull; nobody knows them before the last record has come."""

    waits = True

    def __init__(self) -> None:
        self.reader = ColumnReader()
        self.spool = Spool()

    def file(self, sink: Sink) -> CsvFile:
        """Begin a file."""
        return CsvFile(self, sink)

    def close(self) -> None:
        """Let go of what was kept."""
        self.spool.close()


class CsvFile(Batched):
    """Writes one CSV file, at its end.

    :param table: which columns there are
    :param sink: of the file
    """

    def __init__(self, table: Csv, sink: Sink) -> None:
        super().__init__()
        self._reader = table.reader
        self._spool = table.spool
        self._sink = sink
        self._parts: list[_Part] = []

    def _keep(self, rows: Rows) -> None:
        columns = self._reader.read(rows)
        fields = zip(*map(_fields, columns), strict=True) if columns else ([] for _ in rows.lines)
        text = "".join(line + _END for line in _lines(fields))
        self._parts.append(_Part(self._spool.append(text.encode(errors="surrogateescape")), len(columns)))

    def finish(self) -> None:
        """Write the file; without columns and records it is empty."""
        names = self._reader.names
        if not names and not self._parts:
            return
        self._sink.write("\n".join([*_lines([names]), ""]).encode())
        for piece, width in self._parts:
            # One empty field alone would be an empty line, which is no record to everybody.
            missing = b"," * (len(names) - width) if width else b"," * (len(names) - 1) or b'""'
            end = (missing if names else b"") + b"\n"
            self._sink.write(self._spool.read(piece).replace(_END_BYTE, end))


def _fields(column: Column) -> Sequence[Any]:
    return column.values if column.types <= {int} else column.texts()


class _Taker:
    """Takes what ``csv`` writes: one text a line."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.write = self.lines.append


def _lines(rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    taker = _Taker()
    # With a line feed alone it would leave a field with a carriage return unquoted (before Python 3.13).
    csv.writer(taker, lineterminator="\r\n").writerows(rows)
    return (line[:-2] for line in taker.lines)


def read_csv(pieces: Iterable[bytes]) -> Iterator[dict[str, str]]:
    """Read records back; every value is a text.

    :param pieces: the file's bytes
    :raises ValueError: the file is damaged
    """
    if csv.field_size_limit() < _LONGEST_FIELD:
        csv.field_size_limit(_LONGEST_FIELD)
    rows = csv.reader(_broken_at_feeds(pieces), strict=True)
    try:
        names = next(rows, [])
        for row in rows:
            if len(row) != len(names):
                raise csv.Error
            yield dict(zip(names, row, strict=True))
    except (csv.Error, UnicodeDecodeError):
        raise ValueError(f"the CSV file is damaged after line {rows.line_num}") from None


def _broken_at_feeds(pieces: Iterable[bytes]) -> Iterator[str]:
    pending = b""
    for piece in pieces:
        lines = (pending + piece).split(b"\n")
        pending = lines.pop()
        for line in lines:
            yield line.decode() + "\n"
    if pending:
        yield pending.decode()
