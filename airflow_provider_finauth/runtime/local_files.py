"""Files on this machine that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO
from urllib.parse import quote

from airflow_provider_finauth.exceptions import ConfigurationError, StorageError
from airflow_provider_finauth.runtime.names import check_names

# What RFC 3986 lets stand in a path. DuckDB and Airflow's ObjectStoragePath take a ``file://`` address as
# it is written: with a run's id or a partition encoded they would not find the file.
_PATH = "/!$&'()*+,;=:@~"

# What another try does not mend, unlike a full disk.
_WRONG_PLACE = frozenset(
    (
        errno.EACCES,
        errno.EEXIST,
        errno.EISDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EPERM,
        errno.EROFS,
    )
)

# A temporary file that nobody has written to for a day is left over from a task that was killed. Younger
# ones stay: their writer may be on another host, or wait for its other files.
_LEFT_OVER = 86_400.0
_LONGEST_PART = 200


class LocalFile:
    """A file on this machine.

    It is written under a temporary name, synced and moved over its target.

    :param path: its absolute path
    :param base: the file after which temporary ones are named, and beside which they lie
    """

    def __init__(self, path: Path, *, base: Path | None = None) -> None:
        self._path = path
        self._base = base or path
        self._temporary: Path | None = None
        self._file: IO[bytes] | None = None

    @property
    def uri(self) -> str:
        return f"file://{quote(os.fsencode(self._path), safe=_PATH)}"

    @property
    def name(self) -> str:
        return self._path.name

    def check(self) -> None:
        """Begin a temporary file and remove it, with those that killed tasks have left."""
        self.open()
        self.discard()
        self._sweep()

    def open(self) -> _Writer:
        """Begin a temporary file in the same folder, which is made if it is missing.

        :raises ConfigurationError: no file can be made there
        :raises StorageError: no file could be made there this time
        """
        # Not by tempfile, which makes files that their owner alone may read: the result's mode follows umask.
        temporary = self._base.with_name(f"{self._part_prefix}{secrets.token_hex(6)}.part")
        with self._telling():
            if self._path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            self._base.parent.mkdir(parents=True, exist_ok=True)
            self._file = temporary.open("xb")
        self._temporary = temporary
        return _Writer(self, self._file)

    def stage(self) -> None:
        """Sync the temporary file and close it."""
        assert self._file is not None
        with self._telling():
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()

    def commit(self) -> None:
        """Move the temporary file over the target, and sync the folder."""
        assert self._temporary is not None
        assert self._file is not None
        assert self._file.closed, "not staged"
        folder = self._path.parent
        with self._telling():
            folder.mkdir(exist_ok=True)
            self._temporary.replace(self._path)
            self._temporary = None
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                # The file is in place; some network file systems sync no folder.
                with suppress(OSError):
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def discard(self) -> None:
        """Remove the temporary file."""
        if self._file is not None:
            # Closing writes what is buffered, which fails on the full disk that brought us here.
            with suppress(OSError):
                self._file.close()
        if self._temporary is not None:
            with suppress(OSError):
                self._temporary.unlink(missing_ok=True)
            self._temporary = None

    def read(self) -> IO[bytes]:
        return self._path.open("rb")

    def exists(self) -> bool:
        return self._path.exists()

    def remove(self) -> None:
        with self._telling():
            self._path.unlink(missing_ok=True)
        if self._path.parent != self._base.parent:
            # The folder of a partition, which other files may keep.
            with suppress(OSError):
                self._path.parent.rmdir()

    def beside(self, name: str) -> LocalFile:
        check_names(name)
        return LocalFile(self._base.parent / name, base=self._base)

    @property
    def _part_prefix(self) -> str:
        short = self._base.name.encode()[:_LONGEST_PART].decode(errors="ignore")
        return f".{short}."

    def _sweep(self) -> None:
        """Remove what killed tasks have left of this target."""
        left = re.compile(re.escape(self._part_prefix) + r"[0-9a-f]{12}\.part")
        oldest = time.time() - _LEFT_OVER
        with suppress(OSError):
            for entry in os.scandir(self._base.parent):
                if left.fullmatch(entry.name) and entry.stat(follow_symlinks=False).st_mtime < oldest:
                    Path(entry.path).unlink(missing_ok=True)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror or type(error).__name__
            if error.errno in _WRONG_PLACE:
                raise ConfigurationError(
                    f"Argument 'destination' names '{self._path}', where no file can be made: {reason}.",
                    field="destination",
                ) from None
            raise StorageError(
                f"'{self._path}' could not be written: {reason}. What was there before stays; mend the disk "
                "and try again."
            ) from None


class _Writer:
    """Writes to the temporary file."""

    def __init__(self, target: LocalFile, file: IO[bytes]) -> None:
        self._target = target
        self._file = file

    def write(self, data: bytes, /) -> int:
        with self._target._telling():
            return self._file.write(data)
