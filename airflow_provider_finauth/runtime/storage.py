"""Files that appear whole or not at all: on this machine and in object stores.

Locally a file is written under a temporary name beside its target, synced and moved over it. In an object
store fsspec's ``autocommit=False`` keeps an object invisible until ``commit()``. A ``with`` block is not
used there: left by an exception it would commit what was written so far.
"""

from __future__ import annotations

import errno
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote, urlsplit

from airflow_provider_finauth.exceptions import ConfigurationError, FinauthError
from airflow_provider_finauth.runtime import door
from airflow_provider_finauth.sinks.jsonl import Target

if TYPE_CHECKING:
    from collections.abc import Callable

_PROVIDERS = {
    "s3": "apache-airflow-providers-amazon[s3fs]",
    "s3a": "apache-airflow-providers-amazon[s3fs]",
    "gs": "apache-airflow-providers-google",
    "gcs": "apache-airflow-providers-google",
    "abfs": "apache-airflow-providers-microsoft-azure",
    "abfss": "apache-airflow-providers-microsoft-azure",
    "adl": "apache-airflow-providers-microsoft-azure",
    "sftp": "apache-airflow-providers-sftp[sshfs]",
    "hdfs": "apache-airflow-providers-apache-hdfs",
}


class File(Target, Protocol):
    """A target that can be read, too, and has neighbours."""

    @property
    def uri(self) -> str:
        """The complete address, as a manifest names it."""
        ...

    def read(self) -> IO[bytes]:
        """Open for reading.

        :raises FileNotFoundError: there is no such file
        """
        ...

    def neighbour(self, rename: Callable[[str], str]) -> File:
        """Give the file in the same folder whose name ``rename`` makes of this one's."""
        ...


def file_at(address: str) -> File:
    """Give the file at an address: a path, a ``file://`` address or that of an object store.

    :raises ConfigurationError: the address is no file's, or Airflow does not know its scheme
    """
    parts = urlsplit(address)
    if "://" not in address or parts.scheme == "file":
        if parts.scheme == "file" and parts.netloc not in ("", "localhost"):
            raise ConfigurationError(
                f"Argument 'output': '{address}' names a host; write file:///path with three slashes.",
                field="output",
            )
        # Not the URL's path: a '?' or '#' in a file's name belongs to the name.
        name = address.partition("://")[2].removeprefix(parts.netloc)
        path = unquote(name) if parts.scheme == "file" else address
        if not path or path.endswith("/"):
            raise ConfigurationError(f"Argument 'output': '{address}' is not a file.", field="output")
        return LocalFile(Path(path).absolute())
    return StoredObject(address)


# What another try does not mend, unlike a full disk.
_WRONG_PLACE = (FileExistsError, FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)


class LocalFile:
    """A file on this machine.

    :param path: its absolute path
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._temporary: Path | None = None
        self._file: IO[bytes] | None = None

    @property
    def uri(self) -> str:
        return self._path.as_uri()

    def open(self) -> IO[bytes]:
        """Begin a temporary file in the same folder, which is made if it is missing.

        :raises ConfigurationError: no file can be made there
        """
        # Not by tempfile, which makes files that their owner alone may read: the result's mode follows umask.
        temporary = self._path.with_name(f".{self._path.name}.{secrets.token_hex(6)}.part")
        try:
            if self._path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = temporary.open("xb")
        except (
            FileExistsError,
            FileNotFoundError,
            IsADirectoryError,
            NotADirectoryError,
            PermissionError,
        ) as error:
            raise ConfigurationError(
                f"Argument 'output' names '{self._path}', where no file can be made: {error.strerror}.",
                field="output",
            ) from None
        self._temporary = temporary
        return self._file

    def commit(self) -> None:
        """Sync the file, move it over the target, and sync the folder."""
        assert self._file is not None
        assert self._temporary is not None
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._temporary.replace(self._path)
        self._temporary = None
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def discard(self) -> None:
        """Remove the temporary file."""
        if self._file is not None:
            # Closing writes what is buffered, which fails on the full disk that brought us here.
            with suppress(OSError):
                self._file.close()
        if self._temporary is not None:
            self._temporary.unlink(missing_ok=True)
            self._temporary = None

    def read(self) -> IO[bytes]:
        return self._path.open("rb")

    def neighbour(self, rename: Callable[[str], str]) -> LocalFile:
        return LocalFile(self._path.with_name(rename(self._path.name)))


class StoredObject:
    """An object in any store that Airflow's ``ObjectStoragePath`` reaches.

    :param address: for example ``s3://connection@bucket/key``
    :raises ConfigurationError: Airflow does not know the scheme, or the connection cannot be used
    """

    def __init__(self, address: str) -> None:
        self._address = address
        folder, _, name = address.rpartition("/")
        if not name or not folder.rpartition("://")[2]:
            raise ConfigurationError(f"Argument 'output': '{address}' is not an object.", field="output")
        self._folder, self._name = folder, name
        self._path = _storage_path(address)
        self._file: Any = None

    @property
    def uri(self) -> str:
        return self._address

    def open(self) -> IO[bytes]:
        """Begin an object that is invisible until it is committed."""
        self._file = self._path.open("wb", autocommit=False)
        if not (hasattr(self._file, "commit") and hasattr(self._file, "discard")):
            raise ConfigurationError(
                f"Argument 'output': the store of '{self._address}' cannot write an object whole or not at "
                "all. Use another one.",
                field="output",
            )
        opened: IO[bytes] = self._file
        return opened

    def commit(self) -> None:
        """Upload what is left and let the object appear."""
        self._file.close()
        self._file.commit()
        self._file = None

    def discard(self) -> None:
        """Take back what was uploaded."""
        if self._file is None:
            return
        file, self._file = self._file, None
        # In fsspec's order: closing without a commit uploads the rest, which stays invisible.
        with suppress(Exception):
            file.close()
        file.discard()

    def read(self) -> IO[bytes]:
        # What another host wrote must not be hidden by a listing that this process has kept.
        self._path.fs.invalidate_cache(self._path.path)
        opened: IO[bytes] = self._path.open("rb")
        return opened

    def neighbour(self, rename: Callable[[str], str]) -> StoredObject:
        return StoredObject(f"{self._folder}/{rename(self._name)}")


def _storage_path(address: str) -> Any:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    scheme = urlsplit(address).scheme
    try:
        # Making the file system looks up a connection, by calls of Airflow's own.
        with door.exclusive():
            path = ObjectStoragePath(address)
            path.fs  # noqa: B018
    except FinauthError:
        raise
    except (ValueError, ImportError) as error:
        package = _PROVIDERS.get(scheme)
        advice = (
            f"install the package '{package}'" if package else "install the Airflow provider of that storage"
        )
        raise ConfigurationError(
            f"Argument 'output': Airflow cannot write to '{scheme}://' here; {advice} "
            f"({type(error).__name__}: {error}).",
            field="output",
        ) from None
    return path
