"""The bytes of a file on their way out and in: counted, packed, unpacked in pieces."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from airflow_provider_finauth.sinks.formats import Compression

# Window bits beyond 15 ask zlib for a gzip header, which it writes without a time or a file's name:
# the same answers give the same bytes.
_GZIP = 16 + zlib.MAX_WBITS
# About half the time of zlib's default for a tenth more bytes.
_GZIP_LEVEL = 3
_CHUNK = 1 << 20
# zstandard unpacks all that it is handed at once; a kilobyte makes at most 32 MB (a block is 128 kB of at
# least 4 packed bytes).
_ZSTD_BITE = 1 << 10


class Writer(Protocol):
    """Takes bytes."""

    def write(self, data: bytes, /) -> Any: ...


class Reader(Protocol):
    """Gives bytes; none at the end."""

    def read(self, size: int, /) -> bytes: ...


class Packing(Protocol):
    """Packs a stream of bytes."""

    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


class Sink:
    """Packs what is written to it and counts what comes out.

    :param begin: gives what takes the packed bytes; asked at the first of them
    :param compression: None for none
    """

    def __init__(self, begin: Callable[[], Writer], compression: Compression | None = None) -> None:
        self._begin = begin
        self._writer: Writer | None = None
        self._compression = compression
        self._packing: Packing | None = None
        self.size = 0

    def begin(self) -> Writer:
        """Begin now, if that has not been done."""
        if self._writer is None:
            self._writer = self._begin()
        return self._writer

    def write(self, data: bytes) -> None:
        """Write some bytes, at once unless they are being packed."""
        self._out(data if self._compression is None else self._packed().compress(data))

    def finish(self) -> None:
        """Write what packing has kept back; a file without a byte is a file, too."""
        self.begin()
        if self._compression is not None:
            self._out(self._packed().flush())
            self._packing = None

    def _packed(self) -> Packing:
        # Only while it is used: it takes a quarter of a megabyte, and thousands of files may wait.
        self._packing = self._packing or _packing(self._compression)
        return self._packing

    def _out(self, data: bytes) -> None:
        if data:
            self.begin().write(data)
            self.size += len(data)


def _packing(compression: Compression | None) -> Packing:
    if compression == "gzip":
        return zlib.compressobj(_GZIP_LEVEL, wbits=_GZIP)
    from zstandard import ZstdCompressor

    # As gzip has a checksum, too: damage is told when the file is read.
    return ZstdCompressor(write_checksum=True).compressobj()


def unpacked(reader: Reader, compression: Compression | None) -> Iterator[bytes]:
    """Read a file in pieces of bounded size.

    :param reader: the file
    :param compression: what it is packed with
    :raises ValueError: the file is damaged or ends too early
    """
    if compression == "gzip":
        return _from_gzip(reader)
    if compression == "zstd":
        return _from_zstd(reader)
    return iter(lambda: reader.read(_CHUNK), b"")


def _from_gzip(reader: Reader) -> Iterator[bytes]:
    unpacker = zlib.decompressobj(wbits=_GZIP)
    try:
        while packed := reader.read(_CHUNK):
            # Bounded, so that a small file that unpacks to a large one does not fill the memory.
            while packed:
                if unpacker.eof:
                    # Files that were put one behind the other are one file, too.
                    unpacker = zlib.decompressobj(wbits=_GZIP)
                yield unpacker.decompress(packed, _CHUNK)
                packed = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
        yield unpacker.flush()
    except zlib.error:
        raise ValueError("the gzip file is damaged") from None
    if not unpacker.eof:
        raise ValueError("the gzip file ends too early")


def _from_zstd(reader: Reader) -> Iterator[bytes]:
    from zstandard import ZstdDecompressor, ZstdError

    # Not its stream reader, which takes a file that was cut off for a whole one.
    unpacker = ZstdDecompressor().decompressobj()
    try:
        while packed := reader.read(_CHUNK):
            pieces: list[bytes] = []
            size = 0
            for start in range(0, len(packed), _ZSTD_BITE):
                bite = packed[start : start + _ZSTD_BITE]
                while bite:
                    if unpacker.eof:
                        unpacker = ZstdDecompressor().decompressobj()
                    pieces.append(unpacker.decompress(bite))
                    size += len(pieces[-1])
                    bite = unpacker.unused_data
                if size >= _CHUNK:
                    yield b"".join(pieces)
                    pieces, size = [], 0
            yield b"".join(pieces)
    except ZstdError:
        raise ValueError("the zstd file is damaged") from None
    if not unpacker.eof:
        raise ValueError("the zstd file ends too early")
