"""What a process remembers of lineages, so that a valid token costs no I/O and no lock."""

from __future__ import annotations

import threading
import weakref
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_finauth.auth import windows
from airflow_provider_finauth.auth.credentials import secret_hash
from airflow_provider_finauth.auth.forks import renew_after_fork
from airflow_provider_finauth.exceptions import LockTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from airflow_provider_finauth.auth.credentials import Credentials
    from airflow_provider_finauth.auth.entry import Record
    from airflow_provider_finauth.auth.rescue import Unwritten
    from airflow_provider_finauth.auth.shared_time import SharedTime
    from airflow_provider_finauth.auth.stores.base import Store
    from airflow_provider_finauth.auth.tokens import TokenSet
    from airflow_provider_finauth.secret import Secret
    from airflow_provider_finauth.transport.clock import Clock


@dataclass(frozen=True, slots=True)
class Held:
    """A token set in use, with its windows by the monotonic clock.

    :param record: where it comes from
    :param fresh_until: from then on one caller renews it
    :param usable_until: from then on nobody uses it
    """

    record: Record
    fresh_until: float
    usable_until: float

    @property
    def tokens(self) -> TokenSet:
        """The token set."""
        return self.record.tokens


@dataclass(slots=True, eq=False)
class Slot:
    """A lineage key's place in this process. Written under its lock, read without.

    :param key: the lineage key
    :param lock: lets one thread at a time look for a token
    :param held: the token set in use
    :param next_early: no early renewal is tried before, by the monotonic clock
    :param complained: the token set whose failed early renewal was logged
    :param unwritten: a minted record that the store did not take
    :param never_sent: the attempt of an intent of ours that no request has followed
    :param watched: the attempt of the standing intent, and when it was first seen here
    """

    key: str
    lock: threading.Lock
    held: Held | None = None
    next_early: float = 0.0
    complained: tuple[str, int] | None = None
    unwritten: Unwritten | None = None
    never_sent: str | None = None
    watched: tuple[str, float] | None = None

    @contextmanager
    def locked(self, timeout: float) -> Iterator[None]:
        """Hold the slot's lock.

        :raises LockTimeoutError: another thread held it all the time
        """
        lock = self.lock  # a fork within the block gives the child another
        if not lock.acquire(timeout=timeout):
            raise LockTimeoutError(
                f"Another thread has been asking for a token for more than {timeout:.0f} s. Try again."
            )
        try:
            yield
        finally:
            lock.release()


@dataclass(frozen=True, slots=True)
class View:
    """A lineage key's place as one connection's credentials see it.

    :param slot: the place
    :param seed: hash of the connection's seed refresh token, if it has one
    """

    slot: Slot
    seed: str | None

    def held(self) -> Held | None:
        """Give what is in use, unless the connection's seed says that another lineage has begun."""
        held = self.slot.held
        if held is None or self.seed is None or held.record.knows_seed(self.seed):
            return held
        return None


class Memory:
    """The token sets that this process holds.

    :param store: whose encryption makes the lineage keys
    :param time: ends them
    :param clock: this process's
    :param on_secret: told of each token that comes from the store
    :param on_event: told of each token that is taken into use
    """

    def __init__(
        self,
        store: Store,
        time: SharedTime,
        clock: Clock,
        on_secret: Callable[[Secret], None],
        on_event: Callable[[str, Mapping[str, str | float]], None],
    ) -> None:
        self._store = store
        self._time = time
        self._clock = clock
        self._on_secret = on_secret
        self._on_event = on_event
        self._guard = threading.Lock()
        self._slots: dict[str, Slot] = {}
        self._views: weakref.WeakKeyDictionary[Credentials, View] = weakref.WeakKeyDictionary()
        self._jitter = windows.draw_jitter()
        renew_after_fork(self)

    def known(self, credentials: Credentials) -> View | None:
        """Give the credentials' place, if they were seen before. Never waits."""
        return self._views.get(credentials)

    def view(self, credentials: Credentials) -> View:
        """Give the credentials' place. May ask the store for its key."""
        view = self._views.get(credentials)
        if view is not None:
            return view
        key = credentials.lineage_key(self._store.sealer.digest)
        seed = None
        if credentials.refresh_token and not credentials.starts_over_alone:
            seed = secret_hash(credentials.refresh_token)
        with self._guard:
            slot = self._slots.setdefault(key, Slot(key, threading.Lock()))
            return self._views.setdefault(credentials, View(slot, seed))

    def usable(self, view: View, *, other_than: Secret | None = None) -> TokenSet | None:
        """Give the token set in use, unless it is too old or has the access token ``other_than``."""
        held = view.held()
        if held is None or self._clock.monotonic() >= held.usable_until:
            return None
        return None if held.tokens.access_token == other_than else held.tokens

    def adopt(
        self, view: View, record: Record | None, *, other_than: Secret | None = None
    ) -> TokenSet | None:
        """Take a stored record into use, unless it is too old, of another lineage, or ``other_than``."""
        if record is None or not record.knows_seed(view.seed) or not self.is_usable(record.tokens):
            return None
        if record.tokens.access_token == other_than:
            return None
        held = view.slot.held
        if held is not None and held.tokens == record.tokens:
            # Its windows stand since it was taken into use; the shared clock may have been set since.
            return self.usable(view)
        if held is not None and held.record.is_newer_than(record):
            # The store has lost what we know; whoever has its lock writes it back.
            return self.usable(view, other_than=other_than)
        self.register(record)
        self.hold(view.slot, record)
        return record.tokens

    def hold(self, slot: Slot, record: Record) -> None:
        """Take a record into use, whatever its age."""
        tokens = record.tokens
        remaining = self._remaining(tokens)
        ends = self._clock.monotonic() + remaining
        self._on_event("age_at_use", {"api": record.api, "seconds": tokens.lifetime - remaining})
        slot.held = Held(
            record=record,
            fresh_until=ends - windows.advisory(tokens.lifetime, self._jitter),
            usable_until=ends - windows.mandatory(tokens.lifetime),
        )

    def register(self, record: Record) -> None:
        """Tell of a record's tokens, before anything can log them."""
        for secret in (record.tokens.access_token, record.tokens.refresh_token):
            if secret is not None:
                self._on_secret(secret)

    def is_usable(self, tokens: TokenSet) -> bool:
        """Tell whether a stored token set's access token may still be used."""
        return self.seconds_left(tokens) > 0

    def seconds_left(self, tokens: TokenSet) -> float:
        """Tell how long a token set's access token may still be used."""
        if tokens.access_token is None:
            return 0.0
        return max(0.0, self._remaining(tokens) - windows.mandatory(tokens.lifetime))

    def _remaining(self, tokens: TokenSet) -> float:
        # A clock that was set back must not lengthen a token's life.
        return min(tokens.expires_at - self._time.now(), tokens.lifetime)

    def after_fork(self) -> None:
        """Give a forked child locks of its own, and a jitter of its own."""
        self._guard = threading.Lock()
        self._jitter = windows.draw_jitter()
        for slot in self._slots.values():
            slot.lock = threading.Lock()
            # What another thread of the parent has just written it may be about to send.
            slot.never_sent = None
