"""Where files are read and written: on this machine, or in an object store that Airflow reaches.

What goes wrong is told by errors of this package.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO, Protocol
from urllib.parse import unquote, urlsplit

from airflow_provider_finauth.exceptions import ConfigurationError
from airflow_provider_finauth.runtime.local_files import LocalFile
from airflow_provider_finauth.runtime.names import check_names
from airflow_provider_finauth.runtime.objects import StoredObject, check_store_connection
from airflow_provider_finauth.sinks.writing import Target


class File(Target, Protocol):
    """A target that can be read, too, and has neighbours."""

    @property
    def uri(self) -> str:
        """The complete address, as a manifest names it."""
        ...

    @property
    def name(self) -> str:
        """The file's name, without its folder."""
        ...

    def check(self) -> None:
        """Write a little where the file will be, and take it back.

        :raises ConfigurationError: nothing can be written there, or not whole or not at all
        :raises StorageError: nothing could be written there this time
        """
        ...

    def read(self) -> IO[bytes]:
        """Open for reading; the file can be sought.

        :raises FileNotFoundError: there is no such file
        """
        ...

    def exists(self) -> bool:
        """Tell whether the file is there."""
        ...

    def remove(self) -> None:
        """Remove the file, if it is there."""
        ...

    def beside(self, name: str) -> File:
        """Give another file in the same folder, or in a folder of it: ``name`` may have a slash.

        :raises ConfigurationError: the name is too long
        """
        ...


def file_at(address: str) -> File:
    """Give the file at an address: a path, a ``file://`` address or that of an object store.

    :raises ConfigurationError: the address is no file's, or Airflow does not know its scheme
    :raises ConnectionNotFoundError: it names a connection that Airflow does not find
    """
    try:
        parts = urlsplit(address)
    except ValueError:
        raise ConfigurationError(
            f"Argument 'destination': '{address}' is neither a path nor an address.", field="destination"
        ) from None
    if "://" in address and parts.scheme != "file":
        check_names(address.partition("://")[2].partition("/")[2], key=True)
        check_store_connection(address)
        return StoredObject(address)
    if parts.scheme == "file" and parts.netloc not in ("", "localhost"):
        raise ConfigurationError(
            f"Argument 'destination': '{address}' names a host; write file:///path with three slashes.",
            field="destination",
        )
    # Not the URL's path: a '?' or '#' in a file's name belongs to the name.
    name = address.partition("://")[2].removeprefix(parts.netloc)
    path = unquote(name) if parts.scheme == "file" else address
    if not path or path.endswith("/"):
        raise ConfigurationError(f"Argument 'destination': '{address}' is not a file.", field="destination")
    check_names(path)
    return LocalFile(_expanded(path).absolute())


def _expanded(path: str) -> Path:
    """Expand ``~/``, which a shell does not do behind ``--destination=``."""
    if not path.startswith("~/"):
        return Path(path)
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise ConfigurationError(
            f"Argument 'destination': '{path}' begins in a home folder, and there is none. Name the whole "
            "path.",
            field="destination",
        ) from None


def put(file: File, content: bytes) -> None:
    """Write a small file, whole or not at all."""
    try:
        file.open().write(content)
        file.stage()
        file.commit()
    except BaseException:
        file.discard()
        raise
