"""The broker: the one place that decides whether to use, share or mint a token.

A valid token is served from memory. Near its end one caller renews it while the others go on with it; after
its end, or where there is none, callers wait for one of them. Threads are kept apart by a lock, processes and
hosts by the store's; whoever gets the lock reads the store again before asking, since somebody else has
mostly been there before.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_provider_finauth.auth import windows
from airflow_provider_finauth.auth.endpoint import TokenEndpoint
from airflow_provider_finauth.auth.held import Memory, Slot, View
from airflow_provider_finauth.auth.lineages import Found, Lineages
from airflow_provider_finauth.auth.mint import Mint
from airflow_provider_finauth.auth.refusals import Refusals
from airflow_provider_finauth.auth.seeds import Seeds
from airflow_provider_finauth.auth.stores.base import Conflict, Store
from airflow_provider_finauth.exceptions import (
    ConfigurationError,
    FinauthError,
    LockTimeoutError,
    StoreUnavailableError,
)
from airflow_provider_finauth.transport.clock import SYSTEM_CLOCK, Clock

if TYPE_CHECKING:
    from airflow_provider_finauth.auth.answer import Answer
    from airflow_provider_finauth.auth.credentials import Credentials
    from airflow_provider_finauth.auth.tokens import TokenSet
    from airflow_provider_finauth.secret import Secret

_log = logging.getLogger(__name__)

# How long nobody renews early after an early renewal failed.
_REST_SECONDS = 30.0
# How long a process goes on with the old token before it looks again whether another has renewed it.
_LOOK_AGAIN_SECONDS = 1.0
# No 401 causes a mint this soon after the last one: an API that refuses everything must not become a storm.
_QUIET_SECONDS = 60.0


class Broker:
    """Gives valid tokens. One for each store and process, shared by all; safe for threads and forks.

    :param store: where token sets are shared
    :param endpoint: sends the token requests
    :param clock: the time
    :param lock_timeout: seconds to wait for others who are minting; more than ``deadline``
    :param deadline: seconds that one mint may take in all
    :param on_secret: told of each token that enters the process, before anything else happens with it
    :param on_event: told of each mint, for metrics: a name and labels without secrets
    :raises ConfigurationError: ``lock_timeout`` does not exceed ``deadline``
    """

    def __init__(
        self,
        store: Store,
        *,
        endpoint: TokenEndpoint | None = None,
        clock: Clock = SYSTEM_CLOCK,
        lock_timeout: float = 120.0,
        deadline: float = 60.0,
        on_secret: Callable[[Secret], None] = lambda secret: None,
        on_event: Callable[[str, Mapping[str, str | float]], None] = lambda name, labels: None,
    ) -> None:
        if lock_timeout <= deadline:
            raise ConfigurationError(
                f"lock_timeout must exceed {deadline:.0f} s, the longest that a token request may take.",
                field="lock_timeout",
            )
        self.store = store
        self._clock = clock
        self._lock_timeout = lock_timeout
        self._memory = Memory(store, clock, on_secret)
        self._lineages = Lineages(store)
        self._refusals = Refusals(store)
        self._mint = Mint(
            store=store,
            lineages=self._lineages,
            refusals=self._refusals,
            seeds=Seeds(store),
            endpoint=endpoint or TokenEndpoint(clock=clock),
            clock=clock,
            deadline=deadline,
            on_secret=on_secret,
            on_event=on_event,
        )

    def token(self, credentials: Credentials) -> TokenSet:
        """Give a valid token.

        :raises InvalidClientError: the token endpoint refuses the credentials for good
        :raises ReauthorizationRequiredError: only a person can begin the authorisation again
        :raises RateLimitedError: the token endpoint asks to wait
        :raises TokenEndpointError: no token came; another try may help
        :raises StoreUnavailableError: the store cannot be asked
        :raises LockTimeoutError: others held the lock for too long; another try may help
        :raises ConfigurationError: it would have to wait, in a thread that runs an event loop
        """
        # This path is taken by each request: no I/O, no lock.
        view = self._memory.known(credentials)
        held = view.held() if view is not None else None
        if held is not None and self._clock.monotonic() < held.fresh_until:
            return held.tokens
        return self._find(credentials)

    def replace(self, credentials: Credentials, used: Secret) -> TokenSet | None:
        """Give another token than ``used``, which an API has answered with 401.

        A newer one, from memory or from the store, is adopted. Otherwise one is minted, unless the last mint
        was less than a minute ago.

        :return: None if there is no other token to be had now
        :raises FinauthError: as :meth:`token`
        """
        view = self._view(credentials)
        if tokens := self._memory.usable(view, other_than=used):
            return tokens
        _refuse_event_loop(credentials)
        with view.slot.locked(self._lock_timeout):
            if tokens := self._find_kept(credentials, view, other_than=used):
                return tokens
            with self.store.lock(view.slot.key, self._lock_timeout):
                found = self._look(credentials, view)
                if tokens := self._memory.adopt(view, found.record, other_than=used):
                    return tokens
                if self._is_quiet_time(found):
                    return None
                try:
                    return self._minted(credentials, view, found, "forced")
                except FinauthError:
                    self._drop(view.slot, found, used)
                    raise

    def stored(self, credentials: Credentials) -> TokenSet | None:
        """Give the standing token set, usable or not, without asking for a token.

        :raises StoreUnavailableError: the store cannot be asked
        """
        view = self._view(credentials)
        _refuse_event_loop(credentials)
        record = self._lineages.read(credentials, view.slot.key).record
        if record is None or not record.knows_seed(view.seed):
            return None
        self._memory.register(record)
        return record.tokens

    def usable(self, tokens: TokenSet) -> bool:
        """Tell whether a stored token set's access token may still be used."""
        return self._memory.is_usable(tokens)

    def is_authorised(self, credentials: Credentials) -> bool:
        """Tell whether tokens can be had without a person, as far as is known without asking for one."""
        if credentials.starts_over_alone:
            return True
        tokens = self.stored(credentials)
        if tokens is None:
            return bool(credentials.refresh_token)
        return tokens.refresh_token is not None or self.usable(tokens)

    def begin(self, credentials: Credentials, answer: Answer) -> TokenSet:
        """Begin a new lineage with a person's consent.

        :param answer: what the token endpoint gave for the authorization code
        :raises StoreUnavailableError: the consent could not be kept
        """
        view = self._view(credentials)
        _refuse_event_loop(credentials)
        slot = view.slot
        with slot.locked(self._lock_timeout), self.store.lock(slot.key, self._lock_timeout):
            record = self._mint.begin(credentials, slot, answer)
            self._memory.hold(slot, record)
        return record.tokens

    def lift(self, credentials: Credentials) -> None:
        """Forget that the token endpoint has refused these credentials: a test has shown that they work."""
        _refuse_event_loop(credentials)
        self._refusals.lift_client(credentials)

    def _find(self, credentials: Credentials) -> TokenSet:
        view = self._view(credentials)
        held, now = view.held(), self._clock.monotonic()
        if held is not None and now < held.usable_until:
            if now >= max(held.fresh_until, view.slot.next_early) and not _runs_event_loop():
                self._renew_early(credentials, view)
                held = view.held() or held
            return held.tokens
        _refuse_event_loop(credentials)
        with view.slot.locked(self._lock_timeout):
            if tokens := self._find_kept(credentials, view):
                return tokens
            with self.store.lock(view.slot.key, self._lock_timeout):
                found = self._look(credentials, view)
                if tokens := self._memory.adopt(view, found.record):
                    return tokens
                had_one = found.record is not None and found.record.tokens.access_token is not None
                return self._minted(credentials, view, found, "expired" if had_one else "absent")

    def _find_kept(
        self, credentials: Credentials, view: View, *, other_than: Secret | None = None
    ) -> TokenSet | None:
        """Look into memory and the store without the store's lock: mostly somebody has minted before us."""
        if tokens := self._memory.usable(view, other_than=other_than):
            return tokens
        found = self._lineages.read(credentials, view.slot.key)
        return self._memory.adopt(view, found.record, other_than=other_than)

    def _renew_early(self, credentials: Credentials, view: View) -> None:
        """Renew a token that is still good, if nobody else is at it. No failure here reaches the caller."""
        slot, lock = view.slot, view.slot.lock
        if not lock.acquire(blocking=False):
            return
        try:
            slot.next_early = self._clock.monotonic() + _LOOK_AGAIN_SECONDS
            with self.store.lock(slot.key, 0):
                found = self._look(credentials, view)
                self._memory.adopt(view, found.record)
                held, now = view.held(), self._clock.monotonic()
                if held is None or now < held.fresh_until:
                    return
                rest = found.record.rest_until - self.store.now() if found.record is not None else 0.0
                if 0 < rest <= _REST_SECONDS:
                    slot.next_early = now + rest
                    return
                try:
                    self._minted(credentials, view, found, "early")
                except FinauthError as error:
                    self._complain(credentials, slot, error)
                    self._rest(slot, found)
        except LockTimeoutError:
            return
        except StoreUnavailableError as error:
            self._complain(credentials, slot, error)
        finally:
            lock.release()

    def _complain(self, credentials: Credentials, slot: Slot, error: FinauthError) -> None:
        slot.next_early = self._clock.monotonic() + _REST_SECONDS
        held = slot.held
        if held is not None and slot.complained != held.record.place:
            slot.complained = held.record.place
            _log.warning(
                "Connection %r: its token could not be renewed early; the old one is used until %.0f s "
                "before its end. %s",
                credentials.conn_id,
                windows.mandatory(held.tokens.lifetime),
                error,
            )

    def _rest(self, slot: Slot, found: Found) -> None:
        if found.record is not None:
            resting = replace(found.record, rest_until=self.store.now() + _REST_SECONDS)
            with suppress(Conflict, StoreUnavailableError):
                self.store.write(slot.key, resting.to_json(), follows=found.revision)

    def _look(self, credentials: Credentials, view: View) -> Found:
        """Read the store under its lock, after writing what could not be written before."""
        slot = view.slot
        found = self._lineages.read(credentials, slot.key)
        if slot.unwritten is None:
            return found
        record, place = slot.unwritten
        if found.record is not None and found.place != place:
            # A consent, or another process, has gone on without it.
            slot.unwritten = None
            return found
        self._mint.keep(credentials, slot, found, record)
        return self._lineages.read(credentials, slot.key)

    def _minted(self, credentials: Credentials, view: View, found: Found, reason: str) -> TokenSet:
        minted = self._mint.mint(credentials, view.slot, found, reason)
        tokens = minted.record.tokens
        if minted.adopted:
            self._memory.register(minted.record)
            if not self._memory.is_usable(tokens):
                raise StoreUnavailableError(
                    f"Connection {credentials.conn_id!r}: another task is changing its token. Try again."
                )
        self._memory.hold(view.slot, minted.record)
        return tokens

    def _is_quiet_time(self, found: Found) -> bool:
        since = self.store.now() - found.record.minted_at if found.record is not None else _QUIET_SECONDS
        return 0 <= since < _QUIET_SECONDS

    def _drop(self, slot: Slot, found: Found, used: Secret) -> None:
        """Drop an access token that an API refuses, by value; the refresh token stays."""
        if slot.held is not None and slot.held.tokens.access_token == used:
            slot.held = None
        record = found.record
        if record is not None and record.tokens.access_token == used:
            dropped = replace(record, tokens=replace(record.tokens, access_token=None))
            with suppress(Conflict, StoreUnavailableError):
                self.store.write(slot.key, dropped.to_json(), follows=found.revision)

    def _view(self, credentials: Credentials) -> View:
        view = self._memory.known(credentials)
        if view is None:
            _refuse_event_loop(credentials)
            view = self._memory.view(credentials)
        return view


def _runs_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _refuse_event_loop(credentials: Credentials) -> None:
    if _runs_event_loop():
        raise ConfigurationError(
            f"Connection {credentials.conn_id!r}: getting a token may wait for others and for the network, "
            "which would stop this thread's event loop. Call it in a thread of its own, by "
            "asyncio.to_thread(...) or, in a trigger, sync_to_async(..., thread_sensitive=False) of asgiref.",
            conn_id=credentials.conn_id,
        )
