"""What a store did not take: kept beside the lock files until it does.

A rotated refresh token that is in no store is in one process's memory only, and with that process it would be
gone. So it is left encrypted on this machine at once, for the next caller here, while the process goes on
trying to write it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_finauth.auth.entry import Record
from airflow_provider_finauth.auth.sealer import Undecryptable

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_finauth.auth.stores.base import Store

_log = logging.getLogger(__name__)

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0


@dataclass(frozen=True)
class Unwritten:
    """A record that the store did not take.

    :param record: the record
    :param followed: lineage and generation that it follows, None where nothing stood
    """

    record: Record
    followed: tuple[str, int] | None


class Rescue:
    """Keeps unwritten records in files, one for each lineage.

    :param folder: beside the lock files; None keeps nothing
    :param store: whose encryption is used
    """

    def __init__(self, folder: Path | None, store: Store) -> None:
        self._folder = folder
        self._store = store

    def save(self, key: str, unwritten: Unwritten) -> bool:
        """Leave a record for the next caller on this machine, and tell whether that worked."""
        if self._folder is None:
            return False
        path = self._path(key)
        members = {"record": unwritten.record.to_json().decode(), "followed": unwritten.followed}
        sealed = self._store.sealer.seal(json.dumps(members).encode())
        del members  # no traceback from here on shows them
        temporary = path.with_suffix(f".{secrets.token_hex(6)}.tmp")
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
            with open(os.open(temporary, flags, 0o600), "w") as file:  # noqa: PTH123 - of a descriptor
                file.write(sealed)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError as error:
            _log.warning("A token set could not be left in %s: %s.", path.parent, error.strerror)
            with suppress(OSError):
                temporary.unlink()
            return False
        return True

    def load(self, key: str) -> Unwritten | None:
        """Give what an earlier process could not write, None if there is nothing that can be read."""
        if self._folder is None:
            return None
        path = self._path(key)
        try:
            sealed = path.read_text()
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            _log.warning("The token set left in %s cannot be read: %s.", path, type(error).__name__)
            return None
        try:
            members = json.loads(self._store.sealer.open(sealed))
            followed = members["followed"]
            return Unwritten(
                Record.from_json(members["record"].encode()),
                (str(followed[0]), int(followed[1])) if followed is not None else None,
            )
        except (Undecryptable, ValueError, KeyError, TypeError, IndexError, AttributeError):
            # Left as it is: with the former store_key it can be read again.
            _log.warning("The token set left in %s was encrypted with another key, or is damaged.", path)
            return None

    def drop(self, key: str, record: Record) -> None:
        """Forget a record that was left: it is written, or overtaken. Another one stays."""
        left = self.load(key)
        if left is not None and left.record.place == record.place:
            with suppress(OSError):
                self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        assert self._folder is not None
        return self._folder / f"{hashlib.sha256(key.encode()).hexdigest()[:40]}.rescue"


def repeat_in_thread(attempt: Callable[[], bool]) -> None:
    """Call ``attempt`` until it gives True, with pauses, in a thread that ends with the process."""

    def repeat() -> None:
        pause = _FIRST_PAUSE
        while not attempt():
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    threading.Thread(target=repeat, name="finauth-rescue", daemon=True).start()
