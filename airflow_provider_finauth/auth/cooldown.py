"""Cool-downs: what a server asked one caller to wait, kept by all callers.

Whoever is answered with 429 notes it, and until it is over nobody asks that server with those credentials:
the processes of a host learn of it by a small file, those of other hosts through the token store. It is
courtesy, not safety, so nothing that fails here ever fails a request.

The name of a cool-down is a keyed hash of what authenticates the caller. So a mended connection has another
one, and is free at once.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_finauth.auth.credentials import Credentials, FixedCredentials
from airflow_provider_finauth.auth.forks import renew_after_fork
from airflow_provider_finauth.auth.stores.base import Conflict, Store, UnreadableEntry
from airflow_provider_finauth.auth.stores.flock import file_lock
from airflow_provider_finauth.exceptions import FinauthError
from airflow_provider_finauth.transport.clock import SYSTEM_CLOCK, Clock

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from airflow_provider_finauth.secret import Secret
    from airflow_provider_finauth.transport.origins import Origin
    from airflow_provider_finauth.transport.session import TransportSettings

_log = logging.getLogger(__name__)

LONGEST = 24 * 3600.0
# Adding and taking away seconds since the epoch rounds.
_ROUNDING = 0.001
_LOOK_AT_STORE_EVERY = 5.0
# A store that does not answer would cost each look a time-out.
_STORE_RESTS = 60.0
# Nobody on another host would hear of a shorter one in time.
_SHORTEST_IN_STORE = 1.0
# Each conflict means that another writer came through, so these are the writers at one moment.
_STORE_TRIES = 100
# The lock is held for the length of one small write.
_LOCK_TIMEOUT = 5.0
_LONGEST_FILE = 64


@dataclass
class _Known:
    """What this process knows about one key; times are the monotonic clock's.

    :param name: of the file and the store's entry
    :param path: of the file
    :param free_at: when the cool-down is over
    :param seen: the file's state when it was read
    :param look_at: when to look at the store again
    :param looking: held while the store is looked at
    """

    name: str
    path: Path | None
    free_at: float = float("-inf")
    seen: tuple[int, int] | None = None
    look_at: float = float("-inf")
    looking: threading.Lock = field(default_factory=threading.Lock)


class CoolDowns:
    """The cool-downs that a host and all who share a store keep to. Safe for threads and forks.

    :param store: shares them with other hosts
    :param folder: shares them on this host; None for a process by itself
    :param clock: the time
    """

    def __init__(self, store: Store, folder: Path | None = None, clock: Clock = SYSTEM_CLOCK) -> None:
        self._store = store
        self._folder = folder
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._guard = threading.Lock()
        self._store_rests_until = float("-inf")
        self._complained = False
        renew_after_fork(self)

    def api_key(
        self,
        conn_id: str,
        origin: Origin,
        credentials: Credentials | FixedCredentials,
        headers: Mapping[str, Secret],
        transport: TransportSettings,
    ) -> str:
        """Name the cool-down of an API for one connection.

        :param origin: the API's
        :param credentials: what authenticates the connection
        :param headers: those that authenticate it besides
        :param transport: how the API is reached
        :raises StoreUnavailableError: the store cannot give its key to hash with
        """
        digest = self._store.sealer.digest
        certificate = transport.client_certificate
        parts = [
            conn_id,
            str(origin),
            credentials.header.reveal()
            if isinstance(credentials, FixedCredentials)
            else credentials.fingerprint(digest),
            sorted((name, value.reveal()) for name, value in headers.items()),
            certificate.fingerprint if certificate else None,
        ]
        return f"api-{digest(json.dumps(parts).encode())}"

    def remaining(self, key: str) -> float:
        """Say how many seconds nobody is to ask; 0 if one may. Costs one look at a file.

        :param key: names the cool-down, as :meth:`api_key` does; holds no secret
        """
        known = self._of(key)
        self._look_at_host(known)
        if self._clock.monotonic() >= known.look_at:
            self._look_at_store(known)
        return max(0.0, known.free_at - self._clock.monotonic())

    def note(self, key: str, seconds: float) -> None:
        """Begin a cool-down, or lengthen the one that stands; it is never shortened.

        :param key: as for :meth:`remaining`
        :param seconds: from now; at most a day counts
        """
        if not seconds > 0:
            return
        known = self._of(key)
        seconds = min(seconds, LONGEST)
        until = self._clock.wall() + seconds
        free_at = self._clock.monotonic() + seconds
        self._lengthen(known, free_at)
        # A folder or a lock that cannot be had leaves the store, and this process.
        with suppress(OSError, FinauthError):
            self._write_file(known, until)
        if seconds >= _SHORTEST_IN_STORE and not self._store_rests():
            try:
                self._write_entry(known, free_at)
            except FinauthError as error:
                self._rest_store(error)

    def after_fork(self) -> None:
        """Make the locks that a forked child must not share."""
        self._guard = threading.Lock()
        for known in self._known.values():
            known.looking = threading.Lock()

    def _of(self, key: str) -> _Known:
        known = self._known.get(key)
        if known is None:
            name = f"cooldown-{hashlib.sha256(key.encode()).hexdigest()}"
            path = self._folder / name if self._folder is not None else None
            known = self._known.setdefault(key, _Known(name, path))
        return known

    def _lengthen(self, known: _Known, free_at: float) -> None:
        with self._guard:
            known.free_at = max(known.free_at, free_at)

    def _look_at_host(self, known: _Known) -> None:
        if known.path is None:
            return
        try:
            found = os.lstat(known.path)
        except OSError:
            return
        state = (found.st_mtime_ns, found.st_ino)
        if state != known.seen:
            left = _left(_load(known.path), self._clock.wall())
            # Asked last: what passes in between makes the cool-down longer, not shorter.
            self._lengthen(known, self._clock.monotonic() + left)
            # Only now: another thread that finds it seen must find the end as well.
            known.seen = state

    def _look_at_store(self, known: _Known) -> None:
        # At first all wait for the answer; later one looks, and the others go on with what is known.
        if not known.looking.acquire(blocking=known.look_at == float("-inf")):
            return
        try:
            if self._clock.monotonic() < known.look_at:
                return
            if not self._store_rests():
                try:
                    left = self._left_in_store(known)
                    self._lengthen(known, self._clock.monotonic() + left)
                except FinauthError as error:
                    self._rest_store(error)
            known.look_at = self._clock.monotonic() + _LOOK_AT_STORE_EVERY
        finally:
            known.looking.release()

    def _left_in_store(self, known: _Known) -> float:
        try:
            entry = self._store.read(known.name)
        except UnreadableEntry:
            return 0.0
        if entry is None or not entry.payload:
            return 0.0
        return _left(_moment(entry.payload), self._store.now())

    def _write_file(self, known: _Known, until: float) -> None:
        if known.path is None or self._folder is None:
            return
        with file_lock(self._folder / "cooldown.lock", _LOCK_TIMEOUT, clock=self._clock):
            now = self._clock.wall()
            if _left(_load(known.path), now) >= until - now:
                return
            temporary = known.path.with_suffix(".tmp")
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
            with open(os.open(temporary, flags, 0o600), "wb") as file:  # noqa: PTH123 - of a descriptor
                file.write(repr(until).encode())
                file.flush()
                # Another end is another mtime, however quickly the file is replaced again.
                moment = int(until * 1e9)
                os.utime(file.fileno(), ns=(moment, moment))
            temporary.replace(known.path)

    def _write_entry(self, known: _Known, free_at: float) -> None:
        left = free_at - self._clock.monotonic()
        now = self._store.now()
        until = now + left
        for _ in range(_STORE_TRIES):
            revision = 0
            try:
                if entry := self._store.read(known.name):
                    revision = entry.revision
                    if _left(_moment(entry.payload), now) >= until - now:
                        return
            except UnreadableEntry as error:
                revision = error.revision
            with suppress(Conflict):
                self._store.write(known.name, repr(until).encode(), follows=revision)
                return

    def _store_rests(self) -> bool:
        return self._clock.monotonic() < self._store_rests_until

    def _rest_store(self, error: FinauthError) -> None:
        self._store_rests_until = self._clock.monotonic() + _STORE_RESTS
        level = logging.DEBUG if self._complained else logging.WARNING
        self._complained = True
        _log.log(level, "What servers ask to wait is not shared with other hosts for now. %s", error)


def _left(moment: float, now: float) -> float:
    """Give the seconds until a moment; 0 if it is over, or so far ahead that a clock was set back."""
    left = moment - now
    return left if 0 < left <= LONGEST + _ROUNDING else 0.0


def _load(path: Path) -> float:
    """Read a file's moment; a long past one if there is none, or the file is no such file."""
    try:
        # Whatever lies there under our name, opening it does not wait.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            return _moment(os.read(descriptor, _LONGEST_FILE))
        finally:
            os.close(descriptor)
    except OSError:
        return 0.0


def _moment(content: bytes) -> float:
    try:
        moment = float(content)
    except ValueError:
        return 0.0
    return moment if math.isfinite(moment) else 0.0
