"""What must wait until the end of a pull waits on disk, not in memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import NamedTuple

from airflow_provider_finauth.client.paging.rows import Rows

# What partitions may hold in memory, all of them together, before it goes to disk.
_MOST = 8 << 20


class Piece(NamedTuple):
    """Where something lies in a spool."""

    start: int
    size: int


class Spool:
    """A temporary file without a name: it is gone with the process, however that ends.

    It lies where Python puts temporary files (``TMPDIR``).
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115
        self._end = 0

    def append(self, data: bytes) -> Piece:
        """Keep some bytes."""
        self._file.seek(self._end)
        self._file.write(data)
        piece = Piece(self._end, len(data))
        self._end += len(data)
        return piece

    def read(self, piece: Piece) -> bytes:
        """Give them back."""
        self._file.seek(piece.start)
        return self._file.read(piece.size)

    def close(self) -> None:
        """Let go of the disk's space."""
        self._file.close()


class Partitions:
    """Records by partition, in one spool: one open file and bounded memory for any number of partitions."""

    def __init__(self) -> None:
        self._spool = Spool()
        self._waiting: dict[str, list[bytes]] = {}
        self._size = 0
        self._pieces: dict[str, list[Piece]] = {}

    def add(self, partition: str, rows: Rows) -> None:
        """Keep records of one partition."""
        self._waiting.setdefault(partition, []).extend(rows.lines)
        self._size += rows.size
        if self._size >= _MOST:
            self._flush()

    def _flush(self) -> None:
        for partition, lines in self._waiting.items():
            self._pieces.setdefault(partition, []).append(self._spool.append(b"\n".join(lines)))
        self._waiting.clear()
        self._size = 0

    def names(self) -> list[str]:
        """Give the partitions, sorted."""
        self._flush()
        return sorted(self._pieces)

    def read(self, partition: str) -> Iterator[Rows]:
        """Give the records of a partition in the order they came in, some at a time."""
        for piece in self._pieces[partition]:
            yield Rows(self._spool.read(piece).split(b"\n"))

    def close(self) -> None:
        """Let go of the disk's space."""
        self._spool.close()
