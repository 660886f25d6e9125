"""The default token store: Airflow's Variables, in the metadata database, shared by all workers.

Nothing has to be set up for it. What it cannot do is compare and set: its lock is a lock file, which binds
the processes that share ``[finauth] lock_dir``. For grants that start over alone more is not needed: each of
their entries is one Variable. How the others are kept is told in
:mod:`~airflow_provider_finauth.runtime.variable_grants`.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from airflow_provider_finauth.auth.forks import renew_after_fork
from airflow_provider_finauth.auth.sealer import Sealer, Undecryptable, random_key
from airflow_provider_finauth.auth.stores.base import Conflict, Entry, Hold, UnreadableEntry
from airflow_provider_finauth.auth.stores.flock import file_lock
from airflow_provider_finauth.exceptions import StoreUnavailableError
from airflow_provider_finauth.runtime import door
from airflow_provider_finauth.runtime.variable_grants import GRANT_PREFIX, Content, Grants, newest
from airflow_provider_finauth.runtime.variable_parts import (
    PREFIX,
    Part,
    key_hash,
    probe,
    put,
    variable_name,
)
from airflow_provider_finauth.transport.clock import SYSTEM_CLOCK, Clock

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from airflow_provider_finauth.secret import Secret

# Its name holds a word that Airflow redacts: the value is hidden in the UI and masked in logs.
KEY_VARIABLE = "finauth_token_key"

_KEY_DESCRIPTION = "Encrypts the tokens in the Variables finauth_lineage_…: without it they are lost."

# Longer than it takes another host, which saw no key either, to write its own.
_KEY_SETTLES = 2.0
# A write is two calls to Airflow, each with time-outs of its own.
_WRITE_TIMEOUT = 60.0


class VariableStore:
    """Keeps each entry in a Variable of its own, an authorised grant's in several, encrypted by us.

    :param locks: the folder of lock files
    :param store_key: encrypts what is kept; without it the random key in ``finauth_token_key`` does
    :param clock: the time
    :param settles: seconds that the intent of a refresh has to stand before it counts; longer than Airflow
        takes to read a Variable and write it
    """

    name = "variable"
    durable = True
    reach = "processes that share [finauth] lock_dir"
    binds_all = False

    def __init__(
        self,
        locks: Path,
        store_key: Secret | None = None,
        *,
        clock: Clock = SYSTEM_CLOCK,
        settles: float = 3.0,
    ) -> None:
        self._locks = locks
        self._store_key = store_key
        self._clock = clock
        self._grants = Grants(lambda: self.sealer, clock, settles)
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

    def init(self) -> None:
        _ = self.sealer

    def place(self) -> str:
        return "Airflow's Variables"

    def problems(self) -> list[str]:
        return []

    def read(self, key: str, *, surely: bool = False) -> Entry | None:
        if _is_grant(key):
            return self._grants.read(key, surely=surely)
        part = _load(key)
        if part is None and surely:
            probe()
            part = _load(key)
        if part is None:
            return None
        if not part.sealed:
            return Entry(part.revision, b"")
        try:
            return Entry(part.revision, self.sealer.open(part.sealed))
        except Undecryptable:
            raise UnreadableEntry(
                f"The Variable '{variable_name(key)}' was encrypted with another key, or is damaged. Bring "
                f"back the former [finauth] store_key or Variable '{KEY_VARIABLE}', or delete "
                f"'{variable_name(key)}'.",
                revision=part.revision,
            ) from None

    def write(self, key: str, payload: bytes, *, follows: int, under: Hold | None = None) -> int:
        """Keep a payload. One step among processes that share the lock folder; elsewhere two.

        :raises Conflict: another revision stands there, or another process's intent
        """
        if _is_grant(key):
            content = Content.of(payload)
            del payload  # no traceback from here on shows it
            with self._writing(key):
                claim = self._grants.write(key, content, follows=follows)
            if claim is not None:
                self._grants.settle(claim)
            return follows + 1
        sealed = self.sealer.seal(payload)
        del payload
        with self._writing(key):
            part = _load_or_damaged(key)
            revision = part.revision if part else 0
            if revision != follows:
                raise Conflict(f"the entry is at revision {revision}, not {follows}")
            put(variable_name(key), Part(key, follows + 1, sealed))
        return follows + 1

    def list(self) -> list[str]:
        kept: dict[str, list[Part]] = {}
        for name in door.variable_keys(PREFIX) or ():
            text = door.variable_get(name)
            with suppress(ValueError):
                part = Part.from_text(text or "")
                kept.setdefault(part.key, []).append(part)
        return [key for key, parts in kept.items() if (counts := newest(parts)) is not None and counts.sealed]

    def delete(self, key: str) -> None:
        with self._writing(key):
            if _is_grant(key):
                self._grants.delete(key)
                return
            # The Variable stays, with its revision: a new entry must not look like one that was read before.
            part = _load_or_damaged(key)
            if part is not None and part.sealed:
                put(variable_name(key), Part(key, part.revision + 1, ""))

    def lock(self, key: str, timeout: float) -> AbstractContextManager[Hold]:
        return file_lock(self._locks / f"{key_hash(key)}.lock", timeout, clock=self._clock)

    def now(self) -> float:
        return self._clock.wall()

    def after_fork(self) -> None:
        """Make the lock that a forked child must not share."""
        self._guard = threading.Lock()

    def _writing(self, key: str) -> AbstractContextManager[Hold]:
        return file_lock(self._locks / f"{key_hash(key)}.write", _WRITE_TIMEOUT, clock=self._clock)

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


def _is_grant(key: str) -> bool:
    return key.startswith(GRANT_PREFIX)


def _load(key: str) -> Part | None:
    text = door.variable_get(variable_name(key))
    if not text:
        return None
    try:
        return Part.from_text(text)
    except ValueError:
        raise UnreadableEntry(
            f"The Variable '{variable_name(key)}' is damaged. Delete it; the token is then asked for anew."
        ) from None


def _load_or_damaged(key: str) -> Part | None:
    try:
        return _load(key)
    except UnreadableEntry:
        return Part(key, 0, "damaged")
