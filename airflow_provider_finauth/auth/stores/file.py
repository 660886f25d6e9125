"""The store of one machine: a folder of encrypted files."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_finauth.auth.sealer import Sealer, Undecryptable
from airflow_provider_finauth.auth.stores.base import Conflict, Entry, Hold, UnreadableEntry
from airflow_provider_finauth.auth.stores.flock import file_lock
from airflow_provider_finauth.exceptions import StoreUnavailableError
from airflow_provider_finauth.transport.clock import SYSTEM_CLOCK, Clock

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

# A write takes milliseconds; whoever waits longer waits for a stopped process.
_WRITE_TIMEOUT = 30.0


class FileStore:
    """Keeps each entry in a file of its own, replaced as a whole.

    A reader sees the old entry or the new one, never half of one; a write that has returned outlives a power
    cut. The folder is open to its owner only, and so are the files, which are encrypted besides. File names
    are hashes.

    :param folder: made if it is missing
    :param sealer: encrypts what is kept
    :param clock: the time
    """

    name = "file"
    durable = True
    reach = "processes of one machine that share the folder"
    binds_all = True

    def __init__(
        self, folder: str | os.PathLike[str], sealer: Sealer, *, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self.folder = Path(folder)
        self.sealer = sealer
        self._clock = clock
        self._checked = False

    def init(self) -> None:
        self._prepare()

    def place(self) -> str:
        return f"the folder {self.folder}"

    def problems(self) -> list[str]:
        return []

    def read(self, key: str, *, surely: bool = False) -> Entry | None:
        path = self._path(key)
        file = _load(path)
        if file is None:
            return None
        if not file["sealed"]:
            return Entry(file["revision"], b"")
        try:
            return Entry(file["revision"], self.sealer.open(file["sealed"]))
        except Undecryptable:
            raise UnreadableEntry(
                f"The token store's file {path} was encrypted with another key, or is damaged. "
                "Bring back the former [finauth] store_key, or delete the entry.",
                revision=file["revision"],
            ) from None

    def write(self, key: str, payload: bytes, *, follows: int, under: Hold | None = None) -> int:
        sealed = self.sealer.seal(payload)
        del payload  # no traceback from here on shows it
        with self._writing(key):
            revision = self._revision(key)
            if revision != follows:
                raise Conflict(f"the entry is at revision {revision}, not {follows}")
            self._replace(key, follows + 1, sealed)
        return follows + 1

    def list(self) -> list[str]:
        self._prepare()
        keys = []
        for path in self.folder.glob("*.json"):
            with suppress(UnreadableEntry):
                file = _load(path)
                if file is not None and file["sealed"]:
                    keys.append(file["key"])
        return keys

    def delete(self, key: str) -> None:
        with self._writing(key):
            # The file stays, with its revision only: a new entry must not look like one that was read before.
            if self._stands(key):
                self._replace(key, self._revision(key) + 1, "")

    def lock(self, key: str, timeout: float) -> AbstractContextManager[Hold]:
        return file_lock(self._path(key).with_suffix(".lock"), timeout, clock=self._clock)

    def now(self) -> float:
        return self._clock.wall()

    def _path(self, key: str) -> Path:
        self._prepare()
        return self.folder / f"{hashlib.sha256(key.encode()).hexdigest()}.json"

    def _writing(self, key: str) -> AbstractContextManager[Hold]:
        return file_lock(self._path(key).with_suffix(".write"), _WRITE_TIMEOUT, clock=self._clock)

    def _stands(self, key: str) -> bool:
        try:
            file = _load(self._path(key))
        except UnreadableEntry:
            return True
        return file is not None and bool(file["sealed"])

    def _revision(self, key: str) -> int:
        try:
            file = _load(self._path(key))
        except UnreadableEntry as error:
            return error.revision
        return file["revision"] if file else 0

    def _replace(self, key: str, revision: int, sealed: str) -> None:
        path = self._path(key)
        temporary = path.with_suffix(".tmp")
        content = json.dumps({"key": key, "revision": revision, "sealed": sealed}).encode()
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
            with open(os.open(temporary, flags, 0o600), "wb") as file:  # noqa: PTH123 - of a descriptor
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise StoreUnavailableError(
                f"The token store's folder {self.folder} cannot be written: {error.strerror}."
            ) from None

    def _prepare(self) -> None:
        if self._checked:
            return
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            mode = self.folder.stat().st_mode
        except OSError as error:
            raise StoreUnavailableError(
                f"The token store's folder {self.folder} cannot be made or read: {error.strerror}."
            ) from None
        if stat.S_IMODE(mode) & 0o077:
            raise StoreUnavailableError(
                f"The token store's folder {self.folder} is open to other users. "
                f"Give the store a folder of its own, or run: chmod 700 {self.folder}"
            )
        self._checked = True


def _load(path: Path) -> dict[str, Any] | None:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreUnavailableError(
            f"The token store's file {path} cannot be read: {error.strerror}. Check its owner and mode."
        ) from None
    try:
        file = json.loads(content)
        return {"key": str(file["key"]), "revision": int(file["revision"]), "sealed": str(file["sealed"])}
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        raise UnreadableEntry(f"The token store's file {path} is damaged.") from None
