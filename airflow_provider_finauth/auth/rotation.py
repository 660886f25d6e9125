"""Refreshing an authorised grant, whose refresh token may be good for one use only.

A lost answer to a refresh can cost a person's consent, and so can a second use of a refresh token. So what is
about to be sent is written down first; a good answer is written before it is used; and what got no answer is
told apart from what was refused.
"""

from __future__ import annotations

import logging
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from airflow_provider_finauth.auth.credentials import secret_hash
from airflow_provider_finauth.auth.endpoint import NeverSentError
from airflow_provider_finauth.auth.grants import refresh_request
from airflow_provider_finauth.auth.intents import (
    Later,
    Watch,
    after_no_answer,
    leeway_left,
    new_intent,
    resting,
    settled,
    under_way,
    wait_to_repeat,
)
from airflow_provider_finauth.auth.keeping import Minted
from airflow_provider_finauth.auth.lineages import Found
from airflow_provider_finauth.auth.records import unspent_seed
from airflow_provider_finauth.auth.stores.base import Conflict
from airflow_provider_finauth.exceptions import (
    ConfigurationError,
    FinauthError,
    InvalidClientError,
    RateLimitedError,
    ReauthorizationRequiredError,
    TokenEndpointError,
)

if TYPE_CHECKING:
    from airflow_provider_finauth.auth.answer import Answer
    from airflow_provider_finauth.auth.asking import Asking
    from airflow_provider_finauth.auth.credentials import Credentials
    from airflow_provider_finauth.auth.entry import Intent, Record, Unanswered
    from airflow_provider_finauth.auth.held import Slot
    from airflow_provider_finauth.auth.keeping import Keeping
    from airflow_provider_finauth.auth.lineages import Lineages
    from airflow_provider_finauth.auth.records import Records
    from airflow_provider_finauth.auth.refusals import Refusals
    from airflow_provider_finauth.auth.seeds import Seeds
    from airflow_provider_finauth.auth.stores.base import Hold, Store
    from airflow_provider_finauth.secret import Secret
    from airflow_provider_finauth.transport.clock import Clock

_log = logging.getLogger(__name__)

# Before what somebody has just written is looked at again.
_A_MOMENT = 0.1
_MAX_WRITES = 5


@dataclass(frozen=True, kw_only=True)
class Rotation:
    """Refreshes authorised grants.

    :param deadline: seconds that one refresh may take, and that others wait for one that shows no end
    """

    store: Store
    lineages: Lineages
    records: Records
    keeping: Keeping
    refusals: Refusals
    seeds: Seeds
    asking: Asking
    clock: Clock
    deadline: float

    def refresh(
        self, credentials: Credentials, slot: Slot, found: Found, hold: Hold, reason: str, *, usable: bool
    ) -> Minted | Later:
        """Refresh, if that is to be done now.

        :param hold: the lock of the lineage
        :param usable: whether the standing access token is accepted
        :raises ReauthorizationRequiredError: only a person can begin again
        :raises InvalidClientError: the client is refused for good
        :raises RateLimitedError: the token endpoint asks to wait
        :raises TokenEndpointError: it was not reached
        :raises StoreUnavailableError: the store cannot be asked; nothing was sent
        """
        seed = unspent_seed(credentials, found.record)
        sent = seed or _standing_refresh_token(credentials, found)
        self.refusals.check_refresh_token(credentials, sent)
        if not credentials.rotates and not (found.record is not None and found.record.rotates):
            return self._refresh_freely(credentials, slot, found, sent, reason)
        standing = found.record or self.records.planted(credentials, sent)
        now, name = self.store.now(), secret_hash(sent)
        record = settled(standing, now=now, never_sent=slot.never_sent, watch=self._watch(slot, standing))
        if isinstance(record, float):
            return Later(record, under_way(credentials))
        pause = wait_to_repeat(
            record, name, now=now, leeway=credentials.refresh_leeway, usable=usable and seed is None
        )
        if pause > 0:
            return Later(pause, resting(credentials))
        # What goes by the server's leeway must leave while it lasts.
        left = leeway_left(record, name, now=now, leeway=credentials.refresh_leeway)
        seconds = min(left, self.deadline) if left > 0 and usable else self.deadline
        is_seed = seed is not None or record.tokens.generation == 0
        with self.seeds.spending(credentials, slot.key, sent) if is_seed else nullcontext():
            return self._spend(credentials, slot, Found(found.revision, record), hold, sent, reason, seconds)

    def _spend(
        self,
        credentials: Credentials,
        slot: Slot,
        found: Found,
        hold: Hold,
        sent: Secret,
        reason: str,
        seconds: float,
    ) -> Minted | Later:
        """Write down that the refresh token is about to be sent, send it, and keep the answer."""
        assert found.record is not None
        # Begun before the store's clock is asked, so that we stop before anybody thinks that we have.
        began = self.clock.monotonic()
        intent = new_intent(secret_hash(sent), now=self.store.now(), seconds=seconds)
        slot.never_sent = intent.attempt
        claimed = replace(found.record, intent=intent)
        try:
            revision = self.store.write(slot.key, claimed.to_json(), follows=found.revision, under=hold)
        except Conflict:
            return Later(_A_MOMENT, under_way(credentials))
        if not self.store.binds_all:
            _log.info(
                "Connection %r: its refresh token is about to be replaced. The token store %r keeps apart "
                "%s; where others use this connection, take the store 'sql'.",
                credentials.conn_id,
                self.store.name,
                self.store.reach,
            )
        found = Found(revision, claimed)
        if claimed.unanswered and not _has(self.lineages.read(credentials, slot.key), intent):
            # Whoever was thought dead has come to its end after all.
            return Later(_A_MOMENT, under_way(credentials))
        slot.never_sent = None
        kept: list[Minted] = []

        def keep(answer: Answer) -> None:
            now = intent.begun + self.clock.monotonic() - began
            record = self.records.refreshed(credentials, answer, claimed, sent, now=now)
            kept.append(self.keeping.keep(credentials, slot, found, record))

        try:
            request = refresh_request(credentials, sent)
            self.asking.ask(credentials, request, reason, began + seconds, at_once=keep)
        except (NeverSentError, RateLimitedError, ConfigurationError):
            slot.never_sent = intent.attempt
            self._amend(credentials, slot, found, intent)
            raise
        except InvalidClientError as error:
            if error.code == "invalid_grant":
                return self._refused(credentials, slot, found, hold, sent, intent, error)
            self.refusals.record_client(credentials, error)
            self._amend(credentials, slot, found, intent)
            raise
        except BaseException as error:
            # Whatever it is, a task's time-out too: the request may have left.
            now = intent.begun + self.clock.monotonic() - began
            unanswered = after_no_answer(claimed, intent, now=now, leeway=credentials.refresh_leeway)
            self._amend(credentials, slot, found, intent, unanswered=unanswered)
            if not isinstance(error, TokenEndpointError):
                raise
            return Later(unanswered.retry_at - now, error)
        return kept[0]

    def _refused(
        self,
        credentials: Credentials,
        slot: Slot,
        found: Found,
        hold: Hold,
        sent: Secret,
        intent: Intent,
        refusal: InvalidClientError,
    ) -> Minted | Later:
        """Judge an ``invalid_grant``: somebody else may have used the refresh token before us."""
        # What another process of this machine could not write is read, too.
        now = self.keeping.catch_up(credentials, slot, self.lineages.read(credentials, slot.key))
        if now.record is not None and now.place != found.place:
            return Minted(now.record, adopted=True)
        if not _has(now, intent) or not hold.is_ours():
            # Whoever looks again waits for the end of what stands there.
            return Later(_A_MOMENT, under_way(credentials))
        failure = ReauthorizationRequiredError(f"{refusal} {credentials.reauthorize}")
        self.refusals.record_refresh_token(credentials, sent, failure)
        self._amend(credentials, slot, found, intent)
        raise failure from None

    def _watch(self, slot: Slot, record: Record) -> Watch:
        """Tell how long this process has seen the standing intent, and whose clock it goes by."""
        intent, now = record.intent, self.clock.monotonic()
        if intent is None:
            slot.watched = None
        elif slot.watched is None or slot.watched[0] != intent.attempt:
            slot.watched = (intent.attempt, now)
        return Watch(now - slot.watched[1] if slot.watched else 0.0, self.store.binds_all)

    def _refresh_freely(
        self, credentials: Credentials, slot: Slot, found: Found, sent: Secret, reason: str
    ) -> Minted:
        """Refresh where the refresh token stays as it is, so that a second use costs nothing."""
        request = replace(refresh_request(credentials, sent), refreshes=False)
        try:
            answer = self.asking.ask(credentials, request, reason, self.clock.monotonic() + self.deadline)
        except InvalidClientError as error:
            if error.code != "invalid_grant":
                self.refusals.record_client(credentials, error)
                raise
            now = self.lineages.read(credentials, slot.key)
            if now.record is not None and now.place != found.place:
                return Minted(now.record, adopted=True)
            failure = ReauthorizationRequiredError(f"{error} {credentials.reauthorize}")
            self.refusals.record_refresh_token(credentials, sent, failure)
        else:
            record = self.records.refreshed(credentials, answer, found.record, sent)
            return self.keeping.keep(credentials, slot, found, record)
        raise failure

    def _amend(
        self,
        credentials: Credentials,
        slot: Slot,
        found: Found,
        intent: Intent,
        *,
        unanswered: Unanswered | None = None,
    ) -> None:
        """Take our intent back, if it still stands. Where that fails, its deadline will tell."""
        with suppress(FinauthError):
            for _ in range(_MAX_WRITES):
                record = found.record
                if record is None or not _has(found, intent):
                    return
                record = replace(record, intent=None, unanswered=unanswered or record.unanswered)
                try:
                    self.store.write(slot.key, record.to_json(), follows=found.revision)
                except Conflict:
                    found = self.lineages.read(credentials, slot.key)
                else:
                    return


def _has(found: Found, intent: Intent) -> bool:
    standing = found.record.intent if found.record is not None else None
    return standing is not None and standing.attempt == intent.attempt


def _standing_refresh_token(credentials: Credentials, found: Found) -> Secret:
    if found.record is not None and found.record.tokens.refresh_token is not None:
        return found.record.tokens.refresh_token
    raise ReauthorizationRequiredError(
        f"Connection {credentials.conn_id!r} is not authorised. {credentials.reauthorize}"
    )
