"""The default token store: Airflow's Variables, in the metadata database, shared by all workers.

Nothing has to be set up for it. What it cannot do is compare and set: its lock is a lock file, which binds
the processes that share ``[finauth] lock_dir``. For grants that start over alone more is not needed.
"""

from __future__ import annotations

import hashlib
import json
import threading
from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_finauth.auth.forks import renew_after_fork
from airflow_provider_finauth.auth.sealer import Sealer, Undecryptable, random_key
from airflow_provider_finauth.auth.stores.base import Conflict, Entry, UnreadableEntry
from airflow_provider_finauth.auth.stores.flock import file_lock
from airflow_provider_finauth.exceptions import StoreUnavailableError
from airflow_provider_finauth.runtime import door
from airflow_provider_finauth.transport.clock import SYSTEM_CLOCK, Clock

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from airflow_provider_finauth.secret import Secret

# Its name holds a word that Airflow redacts: the value is hidden in the UI and masked in logs.
KEY_VARIABLE = "finauth_token_key"
# No such word here: Airflow's masker would register each whole value at each read, which becomes slow beyond
# measure. The values are encrypted.
PREFIX = "finauth_lineage_"

_KEY_DESCRIPTION = "Encrypts the tokens in the Variables finauth_lineage_…: without it they are lost."
_DESCRIPTION = "A token of airflow-provider-finauth, encrypted. Not to be edited."

# Longer than it takes another host, which saw no key either, to write its own.
_KEY_SETTLES = 2.0
# A write is two calls to Airflow, each with time-outs of its own.
_WRITE_TIMEOUT = 60.0


class _Value(NamedTuple):
    key: str
    revision: int
    sealed: str


class VariableStore:
    """Keeps each entry in a Variable of its own, encrypted by us.

    :param locks: the folder of lock files
    :param store_key: encrypts what is kept; without it the random key in ``finauth_token_key`` does
    :param clock: the time
    """

    name = "variable"
    durable = True
    reach = "processes that share [finauth] lock_dir"

    def __init__(self, locks: Path, store_key: Secret | None = None, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._locks = locks
        self._store_key = store_key
        self._clock = clock
        self._sealer: Sealer | None = None
        self._guard = threading.Lock()
        renew_after_fork(self)

    @property
    def sealer(self) -> Sealer:
        """The encryption; its key is read once in a process."""
        if self._sealer is None:
            with door.hold(self._guard):
                if self._sealer is None:
                    key = self._store_key.reveal() if self._store_key else self._common_key()
                    self._sealer = Sealer(key)
        return self._sealer

    def read(self, key: str) -> Entry | None:
        value = self._load(key)
        if value is None:
            return None
        if not value.sealed:
            return Entry(value.revision, b"")
        try:
            return Entry(value.revision, self.sealer.open(value.sealed))
        except Undecryptable:
            raise UnreadableEntry(
                f"The Variable '{_variable(key)}' was encrypted with another key, or is damaged. Bring back "
                f"the former [finauth] store_key or Variable '{KEY_VARIABLE}', or delete '{_variable(key)}'.",
                revision=value.revision,
            ) from None

    def write(self, key: str, payload: bytes, *, follows: int) -> int:
        """Keep a payload. One step among processes that share the lock folder; elsewhere two.

        :raises Conflict: another revision stands there
        """
        self._replace(key, self.sealer.seal(payload), follows)
        return follows + 1

    def list(self) -> list[str]:
        keys = []
        for name in door.variable_keys(PREFIX) or ():
            text = door.variable_get(name)
            try:
                value = _parse(text) if text else None
            except ValueError:
                continue
            if value is not None and value.sealed:
                keys.append(value.key)
        return keys

    def delete(self, key: str) -> None:
        # The Variable stays, with its revision only: a new entry must not look like one that was read before.
        with self._writing(key):
            value = self._load_or_damaged(key)
            if value is not None and value.sealed:
                self._save(_Value(key, value.revision + 1, ""))

    def lock(self, key: str, timeout: float) -> AbstractContextManager[None]:
        return file_lock(self._locks / f"{_hash(key)}.lock", timeout, clock=self._clock)

    def now(self) -> float:
        return self._clock.wall()

    def after_fork(self) -> None:
        """Make the lock that a forked child must not share."""
        self._guard = threading.Lock()

    def _replace(self, key: str, sealed: str, follows: int) -> None:
        with self._writing(key):
            value = self._load_or_damaged(key)
            revision = value.revision if value else 0
            if revision != follows:
                raise Conflict(f"the entry is at revision {revision}, not {follows}")
            self._save(_Value(key, follows + 1, sealed))

    def _writing(self, key: str) -> AbstractContextManager[None]:
        return file_lock(self._locks / f"{_hash(key)}.write", _WRITE_TIMEOUT, clock=self._clock)

    def _load(self, key: str) -> _Value | None:
        text = door.variable_get(_variable(key))
        if not text:
            return None
        try:
            return _parse(text)
        except ValueError:
            raise UnreadableEntry(
                f"The Variable '{_variable(key)}' is damaged. Delete it; the token is then asked for anew."
            ) from None

    def _load_or_damaged(self, key: str) -> _Value | None:
        try:
            return self._load(key)
        except UnreadableEntry:
            return _Value(key, 0, "damaged")

    def _save(self, value: _Value) -> None:
        door.variable_set(_variable(value.key), json.dumps(value._asdict()), description=_DESCRIPTION)

    def _common_key(self) -> str:
        """Read the key that all share, or make it.

        Two processes that make it at once end with one key: those of one host by the lock file, those of
        two because each waits, reads again, and takes what stands.
        """
        key = door.variable_get(KEY_VARIABLE)
        if key:
            return key
        with file_lock(self._locks / f"{KEY_VARIABLE}.lock", _WRITE_TIMEOUT, clock=self._clock):
            key = door.variable_get(KEY_VARIABLE)
            if not key:
                door.variable_set(KEY_VARIABLE, random_key(), description=_KEY_DESCRIPTION)
                self._clock.sleep(_KEY_SETTLES)
                key = door.variable_get(KEY_VARIABLE)
        if not key:
            raise StoreUnavailableError(
                f"The Variable '{KEY_VARIABLE}' was written and cannot be read back. "
                "Does a secrets backend hide it? Set [finauth] store_key instead."
            )
        return key


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:40]


def _variable(key: str) -> str:
    return f"{PREFIX}{_hash(key)}"


def _parse(text: str) -> _Value:
    """Read a Variable's value.

    :raises ValueError: it is damaged
    """
    try:
        value = json.loads(text)
        return _Value(str(value["key"]), int(value["revision"]), str(value["sealed"]))
    except (KeyError, TypeError) as error:
        raise ValueError("not an entry") from error
