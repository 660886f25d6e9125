"""The broker: the one place that decides whether to use, share or mint a token.

A valid token is served from memory. Near its end one caller renews it while the others go on with it; after
its end, or where there is none, callers wait for one of them. Threads are kept apart by a lock, processes and
hosts by the store's; whoever gets the lock reads the store again before asking, since somebody else has
mostly been there before.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_provider_finauth.auth import windows
from airflow_provider_finauth.auth.asking import Asking
from airflow_provider_finauth.auth.endpoint import TokenEndpoint
from airflow_provider_finauth.auth.held import Memory, Slot, View
from airflow_provider_finauth.auth.intents import Later
from airflow_provider_finauth.auth.keeping import Keeping
from airflow_provider_finauth.auth.lineages import Found, Lineages
from airflow_provider_finauth.auth.mint import Mint
from airflow_provider_finauth.auth.records import Records
from airflow_provider_finauth.auth.refusals import Refusals
from airflow_provider_finauth.auth.rescue import Rescue, repeat_in_thread
from airflow_provider_finauth.auth.rotation import Rotation
from airflow_provider_finauth.auth.seeds import Seeds
from airflow_provider_finauth.auth.shared_time import SharedTime
from airflow_provider_finauth.auth.stores.base import Conflict, Store
from airflow_provider_finauth.exceptions import (
    ConfigurationError,
    FinauthError,
    LockTimeoutError,
    StoreUnavailableError,
)
from airflow_provider_finauth.transport.clock import SYSTEM_CLOCK, Clock

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_finauth.auth.answer import Answer
    from airflow_provider_finauth.auth.cooldown import CoolDowns
    from airflow_provider_finauth.auth.credentials import Credentials
    from airflow_provider_finauth.auth.stores.base import Hold
    from airflow_provider_finauth.auth.tokens import TokenSet
    from airflow_provider_finauth.secret import Secret

_log = logging.getLogger(__name__)

# How long nobody renews early after an early renewal failed.
_REST_SECONDS = 30.0
# How long a process goes on with the old token before it looks again whether another has renewed it.
_LOOK_AGAIN_SECONDS = 1.0
# How long a consent waits for a refresh that is under way.
_CONSENT_WAITS = 10.0
# No 401 causes a mint this soon after the last one: an API that refuses everything must not become a storm.
_QUIET_SECONDS = 60.0


class Broker:
    """Gives valid tokens. One for each store and process, shared by all; safe for threads and forks.

    :param store: where token sets are shared
    :param endpoint: sends the token requests
    :param clock: the time
    :param lock_timeout: seconds to wait for others who are minting; more than ``deadline``
    :param deadline: seconds that one mint may take in all
    :param rescue_folder: beside the lock files, for tokens that the store does not take
    :param repeat: calls what it is given until it gives True, in the background
    :param cooldowns: what servers have asked for, shared with others
    :param on_secret: told of each token that enters the process, before anything else happens with it
    :param on_event: told what happens, for metrics, by a name and labels without secrets: ``mint`` (api,
        reason, outcome, seconds), ``lock_wait`` (api, seconds), ``age_at_use`` (api, seconds),
        ``refusal_served`` (api)
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
        rescue_folder: Path | None = None,
        repeat: Callable[[Callable[[], bool]], None] = repeat_in_thread,
        cooldowns: CoolDowns | None = None,
        on_secret: Callable[[Secret], None] = lambda secret: None,
        on_event: Callable[[str, Mapping[str, str | float]], None] = lambda name, labels: None,
    ) -> None:
        if lock_timeout <= deadline:
            raise ConfigurationError(
                f"lock_timeout must exceed {deadline:.0f} s, the longest that a token request may take.",
                field="lock_timeout",
            )
        self.store = store
        self.cooldowns = cooldowns
        self._clock = clock
        self._lock_timeout = lock_timeout
        self._on_event = on_event
        self._time = SharedTime(store, clock)
        self._memory = Memory(store, self._time, clock, on_secret, on_event)
        self._lineages = Lineages(store)
        self._refusals = Refusals(store, self._time, on_event)
        records = Records(store, self._time, clock)
        self._keeping = Keeping(store, self._lineages, records, Rescue(rescue_folder, store), repeat)
        asking = Asking(
            endpoint=endpoint or TokenEndpoint(clock=clock),
            store=store,
            clock=clock,
            cooldowns=cooldowns,
            on_secret=on_secret,
            on_event=on_event,
        )
        rotation = Rotation(
            store=store,
            lineages=self._lineages,
            records=records,
            keeping=self._keeping,
            refusals=self._refusals,
            seeds=Seeds(store),
            asking=asking,
            clock=clock,
            deadline=deadline,
        )
        self._mint = Mint(
            records=records,
            keeping=self._keeping,
            refusals=self._refusals,
            rotation=rotation,
            asking=asking,
            clock=clock,
            deadline=deadline,
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

        def attempt(hold: Hold | None) -> TokenSet | Later | None:
            found = self._look(credentials, view, hold)
            if tokens := self._memory.adopt(view, found.record, other_than=used):
                return tokens
            if self._is_quiet_time(view, found):
                return None
            # Dropped before anything else: whoever comes next must not take it up.
            found = self._drop(view.slot, found, used)
            return self._minted(credentials, view, found, hold, "forced")

        return self._wait_for(
            credentials, view, lambda: self._find_kept(credentials, view, other_than=used), attempt
        )

    def renew(self, credentials: Credentials, *, at_least: float) -> TokenSet:
        """Give a token that may be used for so many seconds more, a new one if the standing one may not.

        :param at_least: seconds; infinity for a new token in any case
        :raises FinauthError: as :meth:`token`
        """
        view = self._view(credentials)
        _refuse_event_loop(credentials)

        def attempt(hold: Hold | None) -> TokenSet | Later | None:
            found = self._look(credentials, view, hold)
            tokens = self._memory.adopt(view, found.record)
            if tokens is not None and self._memory.seconds_left(tokens) >= at_least:
                return tokens
            later = self._minted(credentials, view, found, hold, "kept", usable=tokens is not None)
            return tokens if isinstance(later, Later) and tokens is not None else later

        tokens = self._wait_for(credentials, view, lambda: None, attempt)
        assert tokens is not None
        return tokens

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
        with slot.locked(self._lock_timeout), ExitStack() as stack:
            # Somebody who is stopped may hold it for ever, and a consent's write needs none: it compares.
            with suppress(LockTimeoutError):
                stack.enter_context(self.store.lock(slot.key, min(_CONSENT_WAITS, self._lock_timeout)))
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

        def attempt(hold: Hold | None) -> TokenSet | Later | None:
            found = self._look(credentials, view, hold)
            if tokens := self._memory.adopt(view, found.record):
                return tokens
            had_one = found.record is not None and found.record.tokens.access_token is not None
            return self._minted(credentials, view, found, hold, "expired" if had_one else "absent")

        tokens = self._wait_for(credentials, view, lambda: self._find_kept(credentials, view), attempt)
        assert tokens is not None
        return tokens

    def _wait_for(
        self,
        credentials: Credentials,
        view: View,
        find: Callable[[], TokenSet | None],
        attempt: Callable[[Hold | None], TokenSet | Later | None],
    ) -> TokenSet | None:
        """Look, and try under the locks, until there is a token or the time for it is over.

        :param find: looks without the store's lock: mostly somebody has minted before us
        :param attempt: is called under it
        """
        began = self._clock.monotonic()
        with view.slot.locked(self._lock_timeout):
            while True:
                if tokens := find():
                    return tokens
                with self._locked(credentials, view.slot, self._lock_timeout) as hold:
                    waited = self._clock.monotonic() - began
                    got = attempt(hold)
                self._on_event("lock_wait", {"api": credentials.api, "seconds": waited})
                if not isinstance(got, Later):
                    return got
                # Not under the store's lock: others may know better meanwhile.
                if self._clock.monotonic() - began + got.seconds > self._lock_timeout:
                    raise got.error
                self._clock.sleep(got.seconds)

    @contextmanager
    def _locked(self, credentials: Credentials, slot: Slot, timeout: float) -> Iterator[Hold | None]:
        """Hold the store's lock; None where it cannot be had and the grant does without."""
        with ExitStack() as stack:
            hold = None
            try:
                hold = stack.enter_context(self.store.lock(slot.key, timeout))
            except LockTimeoutError:
                raise
            except StoreUnavailableError as error:
                if not credentials.starts_over_alone:
                    raise
                self._lineages.complain(credentials, error)
            yield hold

    def _find_kept(
        self, credentials: Credentials, view: View, *, other_than: Secret | None = None
    ) -> TokenSet | None:
        """Look into memory and the store."""
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
            with self._locked(credentials, slot, 0) as hold:
                found = self._look(credentials, view, hold)
                self._memory.adopt(view, found.record)
                held, now = view.held(), self._clock.monotonic()
                if held is None or now < held.fresh_until:
                    return
                rest = found.record.rest_until - self._time.now() if found.record is not None else 0.0
                if 0 < rest <= _REST_SECONDS:
                    slot.next_early = now + rest
                    return
                try:
                    later = self._minted(credentials, view, found, hold, "early", usable=True)
                except FinauthError as error:
                    self._complain(credentials, slot, error)
                    self._rest(credentials, slot, found)
                else:
                    if isinstance(later, Later):
                        slot.next_early = now + min(max(later.seconds, _LOOK_AGAIN_SECONDS), _REST_SECONDS)
        except LockTimeoutError:
            return
        except FinauthError as error:
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

    def _rest(self, credentials: Credentials, slot: Slot, found: Found) -> None:
        """Let nobody renew early for a while."""
        with suppress(Conflict, StoreUnavailableError):
            # The failed renewal may have written, too.
            now = self._lineages.read(credentials, slot.key)
            if now.record is not None and now.place == found.place:
                resting = replace(now.record, rest_until=self._time.now() + _REST_SECONDS)
                self.store.write(slot.key, resting.to_json(), follows=now.revision)

    def _look(self, credentials: Credentials, view: View, hold: Hold | None) -> Found:
        """Read the store under its lock, after writing back what it does not know."""
        if hold is None:
            return Found(0, None, reached=False)
        found = self._lineages.read(credentials, view.slot.key)
        return self._keeping.catch_up(credentials, view.slot, found)

    def _minted(
        self,
        credentials: Credentials,
        view: View,
        found: Found,
        hold: Hold | None,
        reason: str,
        *,
        usable: bool = False,
    ) -> TokenSet | Later:
        minted = self._mint.mint(credentials, view.slot, found, hold, reason, usable=usable)
        if isinstance(minted, Later) and minted.seconds <= 0:
            # Within the server's leeway, which may be over when somebody looks again.
            found = self._look(credentials, view, hold)
            minted = self._mint.mint(credentials, view.slot, found, hold, reason, usable=usable)
        if isinstance(minted, Later):
            return minted
        tokens = minted.record.tokens
        if minted.adopted:
            self._memory.register(minted.record)
            if not self._memory.is_usable(tokens):
                raise StoreUnavailableError(
                    f"Connection {credentials.conn_id!r}: another task is changing its token. Try again."
                )
        self._memory.hold(view.slot, minted.record)
        return tokens

    def _is_quiet_time(self, view: View, found: Found) -> bool:
        # Where the store cannot be asked, what this process has minted is as good.
        record = found.record or (view.slot.held.record if view.slot.held else None)
        since = self._time.now() - record.minted_at if record is not None else _QUIET_SECONDS
        return 0 <= since < _QUIET_SECONDS

    def _drop(self, slot: Slot, found: Found, used: Secret) -> Found:
        """Drop an access token that an API refuses, by value; the refresh token stays."""
        if slot.held is not None and slot.held.tokens.access_token == used:
            slot.held = None
        record = found.record
        if record is None or record.tokens.access_token != used:
            return found
        dropped = replace(record, tokens=replace(record.tokens, access_token=None))
        try:
            return Found(self.store.write(slot.key, dropped.to_json(), follows=found.revision), dropped)
        except (Conflict, StoreUnavailableError):
            return found

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
