"""Objects in any store that Airflow's ``ObjectStoragePath`` reaches, which appear whole or not at all.

fsspec's ``autocommit=False`` keeps an object invisible until ``commit()``. A ``with`` block is not used: left
by an exception it would commit what was written so far. Errors of a store's own library are not chained to
ours, since they hold requests.
"""

from __future__ import annotations

import errno
import logging
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any, cast
from urllib.parse import urlsplit

from airflow_provider_finauth.exceptions import ConfigurationError, FinauthError, StorageError
from airflow_provider_finauth.runtime import door
from airflow_provider_finauth.runtime.names import check_names

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

# How much is kept back until it is sent: the least that S3 takes as a part of an upload. s3fs would keep
# 50 MB for each object. S3 takes 10,000 parts, so an object may have 50 GB.
PART = 5 * 2**20

# Refusals by S3 of what would have been taken at another time.
_PASSING = frozenset(("ExpiredToken", "NoSuchUpload", "RequestTimeTooSkewed", "TokenRefreshRequired"))
_WRONG_NAME = frozenset(("InvalidBucketName", "KeyTooLongError", "PermanentRedirect"))
_CODE = re.compile(r"[A-Za-z0-9.]{1,60}")

_log = logging.getLogger(__name__)


def check_store_connection(address: str) -> None:
    """Look whether the connection that an address names is there.

    Some of Airflow's providers take the machine's own credentials instead of one that is missing.

    :raises ConfigurationError: the address holds a password; or Airflow's providers do not see the connection
    :raises ConnectionNotFoundError: Airflow does not find the connection
    """
    conn_id, found, _ = urlsplit(address).netloc.rpartition("@")
    if ":" in conn_id:
        raise ConfigurationError(
            "Argument 'destination' holds a login and a password. Put them into an Airflow connection and "
            "name that: s3://connection@bucket/key.",
            field="destination",
        )
    if found:
        door.get_connection(conn_id)
        if not door.supervised() and not _seen_by_providers(conn_id):
            raise ConfigurationError(
                f"Argument 'destination': outside of a task Airflow's providers do not see the connection "
                f"'{conn_id}'. Give it to this command as the environment variable "
                f"AIRFLOW_CONN_{conn_id.upper()}.",
                conn_id=conn_id,
                field="destination",
            )


def _seen_by_providers(conn_id: str) -> bool:
    """Tell whether hooks find a connection: in Airflow 3 a plain process does not read the database."""
    from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

    with door.exclusive():
        try:
            BaseHook.get_connection(conn_id)
        except AirflowNotFoundException:
            return False
    return True


class StoredObject:
    """An object in a store.

    :param address: for example ``s3://connection@bucket/key``
    :param told_as: the address that errors name
    :raises ConfigurationError: Airflow does not know the scheme
    :raises StorageError: the connection could not be used
    """

    def __init__(self, address: str, *, told_as: str | None = None) -> None:
        self._address = address
        self._told_as = told_as or address
        self._folder, _, self._name = address.rpartition("/")
        bucket, _, key = address.partition("://")[2].partition("/")
        if not bucket or not key or key.endswith("/"):
            raise ConfigurationError(
                f"Argument 'destination': '{address}' is not an object.", field="destination"
            )
        self._path = _storage_path(address)
        self._file: Any = None
        self._staged = False

    @property
    def uri(self) -> str:
        return self._address

    @property
    def name(self) -> str:
        return self._name

    def check(self) -> None:
        """Write a little to a neighbour that is never committed, and look whether it can be seen."""
        probe = StoredObject(f"{self._folder}/.{secrets.token_hex(6)}.probe", told_as=self._address)
        try:
            probe.open().write(b".")
            probe.stage()
            visible = probe.exists()
        except ConfigurationError:
            # A store that writes in place has made an object by now.
            with suppress(Exception):
                probe._path.fs.rm_file(probe._path.path)
            raise
        finally:
            probe.discard()
        if visible:
            probe.remove()
            raise self._refused()

    def open(self) -> _Stream:
        """Begin an object that is invisible until it is committed.

        :raises ConfigurationError: the store cannot do that
        """
        with _telling(self._told_as):
            self._file = self._path.open("wb", autocommit=False, block_size=PART)
        self._staged = False
        if not _can_commit(self._file):
            self.discard()
            raise self._refused()
        return _Stream(self._told_as, self._file)

    def stage(self) -> None:
        """Upload what is left."""
        with _telling(self._told_as):
            self._file.close()
        self._staged = True

    def commit(self) -> None:
        """Let the object appear."""
        assert self._staged
        with _telling(self._told_as):
            self._file.commit()
        self._file = None

    def discard(self) -> None:
        """Take back what was uploaded."""
        file, self._file = self._file, None
        if file is None:
            return
        try:
            file.discard()
        except Exception as error:
            # Invisible, but not for nothing: the parts are kept and paid for.
            _log.warning(
                "What was uploaded for '%s' could not be taken back (%s). Let a lifecycle rule of the store "
                "remove incomplete uploads.",
                self._address,
                type(error).__name__,
            )
        finally:
            _abandon(file)

    def read(self) -> IO[bytes]:
        # What another host wrote must not be hidden by a listing that this process has kept.
        self._path.fs.invalidate_cache(self._path.path)
        with _telling(self._told_as, reading=True):
            opened = self._path.open("rb")
        return cast("IO[bytes]", _Stream(self._told_as, opened))

    def exists(self) -> bool:
        self._path.fs.invalidate_cache(self._path.path)
        with _telling(self._told_as):
            try:
                return bool(self._path.fs.exists(self._path.path))
            except PermissionError:
                # So S3 answers for what is not there, if the bucket must not be listed.
                return False

    def remove(self) -> None:
        with _telling(self._told_as), suppress(FileNotFoundError):
            self._path.fs.rm_file(self._path.path)

    def beside(self, name: str) -> StoredObject:
        address = f"{self._folder}/{name}"
        check_names(address.partition("://")[2].partition("/")[2], key=True)
        return StoredObject(address)

    def _refused(self) -> ConfigurationError:
        return ConfigurationError(
            f"Argument 'destination': the store of '{self._told_as}' cannot write an object whole or not at "
            "all. Use another one.",
            field="destination",
        )


class _Stream:
    """A file of a store, open for reading or writing, whose errors are those of this package."""

    def __init__(self, address: str, file: Any) -> None:
        self._address = address
        self._file = file

    def write(self, data: bytes, /) -> int:
        with _telling(self._address):
            return int(self._file.write(data))

    def read(self, size: int = -1, /) -> bytes:
        with _telling(self._address, reading=True):
            return bytes(self._file.read(size))

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def close(self) -> None:
        self._file.close()

    @property
    def closed(self) -> bool:
        return bool(self._file.closed)

    def readable(self) -> bool:
        return bool(self._file.readable())

    def writable(self) -> bool:
        return bool(self._file.writable())

    def seekable(self) -> bool:
        return bool(self._file.seekable())


def _can_commit(file: Any) -> bool:
    from fsspec.spec import AbstractBufferedFile

    inner = _inner(file)
    commit = getattr(type(inner), "commit", None) or getattr(inner, "commit", None)
    # fsspec's own does nothing, and closing such a file writes it for good.
    return commit not in (None, AbstractBufferedFile.commit) and hasattr(inner, "discard")


def _abandon(file: Any) -> None:
    """Close a file of which nothing is wanted any more."""
    from fsspec.spec import AbstractBufferedFile

    inner = _inner(file)
    if isinstance(inner, AbstractBufferedFile):
        # Closing would upload the rest, now or when it is collected.
        inner.closed = True
    else:
        with suppress(Exception):
            inner.close()


def _inner(file: Any) -> Any:
    # Airflow's wrapper gives attributes, but does not take any.
    return getattr(file, "_obj", file)


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
            f"Argument 'destination': Airflow cannot write to '{scheme}://' here; {advice} "
            f"({type(error).__name__}: {error}).",
            field="destination",
        ) from None
    except Exception as error:
        raise StorageError(
            f"The store of '{address}' could not be reached through its connection "
            f"({type(error).__name__}). Check the connection with 'airflow connections test', or try again."
        ) from None
    return path


@contextmanager
def _telling(address: str, *, reading: bool = False) -> Iterator[None]:
    try:
        yield
    except FinauthError:
        raise
    except Exception as error:
        if reading and isinstance(error, FileNotFoundError):
            raise FileNotFoundError(errno.ENOENT, "There is no such object", address) from None
        raise _told(address, error) from None


def _told(address: str, error: Exception) -> FinauthError:
    """Make an error of ours of a store's. Its text is not taken over: the server's words are in it."""
    code = _code_of(error)
    conn_id = urlsplit(address).netloc.rpartition("@")[0] or None
    named = code or type(error).__name__
    advice = None
    if code in _PASSING:
        pass
    elif isinstance(error, FileNotFoundError):
        advice = "there is no such bucket or folder. Make it, or name another one"
    elif isinstance(error, PermissionError):
        who = f"connection '{conn_id}'" if conn_id else "the machine's own credentials"
        advice = f"the store refuses. Check key, secret and rights of {who}"
    elif code in _WRONG_NAME or getattr(error, "errno", None) == errno.ENAMETOOLONG:
        advice = "the store does not take this name, or not at this address. Correct it"
    if advice is None:
        return StorageError(
            f"The store of '{address}' does not answer as it should ({named}). Nothing new has appeared "
            "there; try again."
        )
    return ConfigurationError(
        f"Argument 'destination': '{address}' cannot be used, {advice} ({named}).",
        conn_id=conn_id,
        field="destination",
    )


def _code_of(error: Exception) -> str | None:
    """Give the code by which S3 tells an error."""
    for each in (error, error.__cause__):
        response = getattr(each, "response", None)
        told = response.get("Error") if isinstance(response, dict) else None
        code = told.get("Code") if isinstance(told, dict) else None
        if isinstance(code, str) and _CODE.fullmatch(code):
            return code
    return None
