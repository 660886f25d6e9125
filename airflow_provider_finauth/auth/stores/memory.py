"""The store of one process: for connection tests and unit tests."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow_provider_finauth.auth.forks import renew_after_fork
from airflow_provider_finauth.auth.sealer import Sealer, random_key
from airflow_provider_finauth.auth.stores.base import Conflict, Entry, Hold, Kept
from airflow_provider_finauth.exceptions import LockTimeoutError
from airflow_provider_finauth.transport.clock import SYSTEM_CLOCK, Clock

if TYPE_CHECKING:
    from collections.abc import Iterator


class MemoryStore:
    """Keeps entries in this process's memory and forgets them with it.

    :param clock: the time
    """

    name = "memory"
    durable = False
    reach = "this process"
    binds_all = True

    def __init__(self, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self.sealer = Sealer(random_key())
        self._clock = clock
        self._entries: dict[str, Entry] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()
        renew_after_fork(self)

    def init(self) -> None:
        pass

    def place(self) -> str:
        return "this process"

    def problems(self) -> list[str]:
        return ["The store 'memory' forgets everything with its process."]

    def read(self, key: str, *, surely: bool = False) -> Entry | None:
        return self._entries.get(key)

    def write(self, key: str, payload: bytes, *, follows: int, under: Hold | None = None) -> int:
        with self._guard:
            entry = self._entries.get(key)
            revision = entry.revision if entry else 0
            if revision != follows:
                raise Conflict(f"the entry is at revision {revision}, not {follows}")
            self._entries[key] = Entry(follows + 1, payload)
        return follows + 1

    def list(self) -> list[str]:
        with self._guard:
            return [key for key, entry in self._entries.items() if entry.payload]

    def delete(self, key: str) -> None:
        with self._guard:
            entry = self._entries.get(key)
            if entry is not None and entry.payload:
                self._entries[key] = Entry(entry.revision + 1, b"")

    @contextmanager
    def lock(self, key: str, timeout: float) -> Iterator[Hold]:
        with self._guard:
            lock = self._locks.setdefault(key, threading.Lock())
        if not lock.acquire(timeout=max(timeout, 0.0)):
            raise LockTimeoutError(
                f"Another thread held a token's lock for more than {timeout:.0f} s. Try again."
            )
        try:
            yield Kept()
        finally:
            lock.release()

    def now(self) -> float:
        return self._clock.wall()

    def after_fork(self) -> None:
        self._guard = threading.Lock()
        self._locks = {}
