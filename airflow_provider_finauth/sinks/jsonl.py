"""JSON Lines: one record a line, UTF-8, plain or gzip."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec

if TYPE_CHECKING:
    from airflow_provider_finauth.client.paging.base import Page
    from airflow_provider_finauth.sinks.formats import Compression

_decoder = msgspec.json.Decoder(float_hook=Decimal)

# Window bits beyond 15 ask zlib for a gzip header, which it writes without a time or a file's name:
# the same answers give the same bytes.
_GZIP = 16 + zlib.MAX_WBITS
_CHUNK = 1 << 20


class Writer(Protocol):
    """Takes bytes."""

    def write(self, data: bytes, /) -> Any: ...


class Reader(Protocol):
    """Gives bytes; none at the end."""

    def read(self, size: int, /) -> bytes: ...


class Target(Protocol):
    """Where a file appears whole or not at all."""

    def open(self) -> Writer:
        """Begin: what is written stays invisible."""
        ...

    def commit(self) -> None:
        """Let the file appear, in place of one that is there."""
        ...

    def discard(self) -> None:
        """Throw away what was written; what was there before stays."""
        ...


class Counts(NamedTuple):
    """What was written."""

    records: int
    bytes: int
    pages: int
    duplicates: int
    total: int | None


def write_jsonl(pages: Iterable[Page], target: Target, *, compression: Compression | None = None) -> Counts:
    """Write a pull's records to a target, one write a page.

    :param pages: the pages, read as they are written
    :param target: committed after the last page; discarded when anything goes wrong, an interrupt included
    :param compression: None or ``gzip``
    """
    records = size = number = duplicates = 0
    total: int | None = None
    pack = _packer(compression)
    writer = target.open()
    try:
        for page in pages:
            packed = pack(b"\n".join([*page.rows.lines, b""]), False)
            if packed:
                writer.write(packed)
            records += len(page.records)
            size += len(packed)
            number += 1
            duplicates += page.duplicates
            total = page.total if page.total is not None else total
        rest = pack(b"", True)
        if rest:
            writer.write(rest)
        size += len(rest)
        target.commit()
    except BaseException:
        target.discard()
        raise
    return Counts(records, size, number, duplicates, total)


def _packer(compression: Compression | None) -> Callable[[bytes, bool], bytes]:
    if compression is None:
        return lambda data, last: data
    packer = zlib.compressobj(wbits=_GZIP)
    return lambda data, last: packer.compress(data) + (packer.flush() if last else b"")


def read_jsonl(reader: Reader, *, compression: Compression | None = None) -> Iterator[Any]:
    """Read records back, one by one; numbers with a fraction as ``Decimal``.

    :param reader: a file opened for reading bytes
    :param compression: None or ``gzip``
    :raises ValueError: the file is damaged
    """
    pending = b""
    for chunk in _chunks(reader, compression):
        lines = (pending + chunk).split(b"\n")
        pending = lines.pop()
        for line in lines:
            if line:
                yield _decoder.decode(line)
    if pending:
        yield _decoder.decode(pending)


def _chunks(reader: Reader, compression: Compression | None) -> Iterator[bytes]:
    if compression is None:
        while chunk := reader.read(_CHUNK):
            yield chunk
        return
    unpacker = zlib.decompressobj(wbits=_GZIP)
    try:
        while packed := reader.read(_CHUNK):
            # Bounded, so that a small file that unpacks to a large one does not fill the memory.
            while packed:
                yield unpacker.decompress(packed, _CHUNK)
                packed = unpacker.unconsumed_tail
        yield unpacker.flush()
    except zlib.error:
        raise ValueError("the gzip file is damaged") from None
    if not unpacker.eof:
        raise ValueError("the gzip file ends too early")
