"""Parquet: typed columns that hold every value exactly, in row groups.

Which types those are is known when the last record was seen. Until then batches of columns wait in a spool;
then they get their types and are written, some at a time.

This module needs pyarrow and is imported where Parquet is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_provider_finauth.exceptions import ConfigurationError
from airflow_provider_finauth.sinks.columns import Batched, Column, ColumnReader
from airflow_provider_finauth.sinks.shapes import Shape, fit
from airflow_provider_finauth.sinks.spool import Piece, Spool

if TYPE_CHECKING:
    from airflow_provider_finauth.client.paging.rows import Rows
    from airflow_provider_finauth.sinks.packing import Sink

# A group is held as a whole, and once more as it is encoded.
_GROUP_RECORDS = 32_000
_GROUP_BYTES = 16 << 20
_SPOOLED = pa.ipc.IpcWriteOptions(compression="lz4")
_READ_RECORDS = 1000
# Parquet's readers take a hundred, of which a list is two.
_MOST_LEVELS = 32


class _Part(NamedTuple):
    piece: Piece
    records: int


class Parquet:
    """The columns of all Parquet files of a pull, and their types.

    :param struct: objects and lists become structs and lists, not JSON text
    """

    waits = True

    def __init__(self, *, struct: bool) -> None:
        self.reader = ColumnReader()
        self.spool = Spool()
        self._levels = _MOST_LEVELS if struct else 0
        self._shapes: dict[str, Shape] = {}

    def see(self, column: Column) -> None:
        """Look at a column's values."""
        self._shapes.setdefault(column.name, Shape(levels=self._levels)).see(column.values, column.types)

    @property
    def schema(self) -> pa.Schema:
        """What holds all values seen."""
        return pa.schema([(name, shape.arrow_type) for name, shape in self._shapes.items()])

    def file(self, sink: Sink) -> ParquetFile:
        """Begin a file."""
        return ParquetFile(self, sink)

    def close(self) -> None:
        """Let go of what was kept."""
        self.spool.close()


class ParquetFile(Batched):
    """Writes one Parquet file, at its end.

    :param table: which columns there are
    :param sink: of the file
    """

    def __init__(self, table: Parquet, sink: Sink) -> None:
        super().__init__()
        self._table = table
        self._sink = sink
        self._parts: list[_Part] = []

    def _keep(self, rows: Rows) -> None:
        columns = self._table.reader.read(rows)
        for column in columns:
            self._table.see(column)
        names = [str(number) for number in range(len(columns))]
        batch = pa.record_batch([_array(column) for column in columns], names=names)
        packed = pa.BufferOutputStream()
        with pa.ipc.new_stream(packed, batch.schema, options=_SPOOLED) as stream:
            stream.write_batch(batch)
        self._parts.append(_Part(self._table.spool.append(packed.getvalue()), len(rows)))

    def finish(self) -> None:
        """Write the file.

        :raises ConfigurationError: no record has any member
        """
        schema = self._table.schema
        if self._parts and not schema.names:
            raise ConfigurationError(
                "Argument 'format': the records of this pull are empty objects, and Parquet counts no "
                "records without columns. Land them as JSON Lines ('jsonl').",
                field="format",
            )
        out = _Out(self._sink)
        with pq.ParquetWriter(
            pa.PythonFile(out, mode="w"), schema, compression="zstd", write_page_checksum=True
        ) as writer:
            for group in self._groups(schema):
                writer.write_table(group, row_group_size=max(group.num_rows, 1))
        out.flush()

    def _groups(self, schema: pa.Schema) -> Iterator[pa.Table]:
        group: list[pa.RecordBatch] = []
        records = size = 0
        for part in self._parts:
            batch = self._typed(part, schema)
            group.append(batch)
            records += batch.num_rows
            size += batch.nbytes
            if records >= _GROUP_RECORDS or size >= _GROUP_BYTES:
                yield pa.Table.from_batches(group, schema)
                group, records, size = [], 0, 0
        if group:
            yield pa.Table.from_batches(group, schema)

    def _typed(self, part: _Part, schema: pa.Schema) -> pa.RecordBatch:
        [batch] = pa.ipc.open_stream(self._table.spool.read(part.piece))
        missing = [pa.nulls(part.records)] * (len(schema.names) - batch.num_columns)
        arrays = list(map(fit, [*batch.columns, *missing], schema.types))
        return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _array(column: Column) -> pa.Array:
    if not column.types:
        return pa.nulls(len(column.values))
    if column.types == {bool}:
        return pa.array(column.values, pa.bool_())
    if column.types == {int}:
        try:
            return pa.array(column.values, pa.int64())
        except OverflowError:
            pass
    return pa.array(column.texts(), pa.string())


class _Out:
    """A file as pyarrow writes to it: gathers its many small writes."""

    closed = False

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._waiting = bytearray()

    def write(self, data: bytes) -> int:
        self._waiting += data
        if len(self._waiting) >= 1 << 20:
            self.flush()
        return len(data)

    def flush(self) -> None:
        self._sink.write(bytes(self._waiting))
        self._waiting.clear()

    def close(self) -> None:
        pass


def read_parquet(file: Any) -> Iterator[dict[str, Any]]:
    """Read records back, exactly as they were written.

    :param file: opened for reading bytes, seekable
    :raises ValueError: the file is damaged
    """
    try:
        opened = pq.ParquetFile(file, page_checksum_verification=True)
        # Threads would make no record come sooner here, and each has memory of its own.
        for batch in opened.iter_batches(_READ_RECORDS, use_threads=False):
            yield from batch.to_pylist()
    except (pa.ArrowInvalid, OSError) as fault:
        if isinstance(fault, OSError) and fault.errno is not None:
            # Not pyarrow's: the file could not be read.
            raise
    else:
        return
    raise ValueError("the Parquet file is damaged")
