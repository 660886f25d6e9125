"""Minting: one token request, and its answer kept.

Whoever calls holds the lineage's locks and has read the store under them.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_finauth.auth.answer import PassingError
from airflow_provider_finauth.auth.credentials import secret_hash
from airflow_provider_finauth.auth.entry import Record
from airflow_provider_finauth.auth.grants import first_request, refresh_request
from airflow_provider_finauth.auth.stores.base import Conflict
from airflow_provider_finauth.auth.tokens import TokenSet
from airflow_provider_finauth.exceptions import (
    FinauthError,
    InvalidClientError,
    ReauthorizationRequiredError,
    StoreUnavailableError,
    TokenEndpointError,
)

if TYPE_CHECKING:
    from airflow_provider_finauth.auth.answer import Answer
    from airflow_provider_finauth.auth.credentials import Credentials
    from airflow_provider_finauth.auth.endpoint import TokenEndpoint
    from airflow_provider_finauth.auth.grants import TokenRequest
    from airflow_provider_finauth.auth.held import Slot
    from airflow_provider_finauth.auth.lineages import Found, Lineages
    from airflow_provider_finauth.auth.refusals import Refusals
    from airflow_provider_finauth.auth.seeds import Seeds
    from airflow_provider_finauth.auth.stores.base import Store
    from airflow_provider_finauth.secret import Secret
    from airflow_provider_finauth.transport.clock import Clock

_log = logging.getLogger(__name__)

# Refusals that name the client: another grant would be refused for the same reason.
_CLIENT_CODES = frozenset({"invalid_client", "unauthorized_client"})


@dataclass(frozen=True)
class Minted:
    """What came of a mint.

    :param record: what stands now
    :param adopted: it is another's, found when ours was to be kept or was refused
    """

    record: Record
    adopted: bool = False


@dataclass(frozen=True, kw_only=True)
class Mint:
    """Makes tokens.

    :param deadline: seconds that one mint may take in all
    :param on_secret: told of each token before anything else happens with it
    :param on_event: told of each mint
    """

    store: Store
    lineages: Lineages
    refusals: Refusals
    seeds: Seeds
    endpoint: TokenEndpoint
    clock: Clock
    deadline: float
    on_secret: Callable[[Secret], None]
    on_event: Callable[[str, Mapping[str, str | float]], None]

    def mint(self, credentials: Credentials, slot: Slot, found: Found, reason: str) -> Minted:
        """Ask for a token and keep the answer, durably before it is used.

        :param found: what the store says
        :param reason: absent, expired, early or forced, for the metrics
        :raises InvalidClientError: refused for good, now or before
        :raises ReauthorizationRequiredError: only a person can begin again
        :raises RateLimitedError: the token endpoint asks to wait
        :raises TokenEndpointError: no token came
        :raises StoreUnavailableError: the token could not be kept
        """
        ends = self.clock.monotonic() + self.deadline
        was_refused = self.refusals.check_client(credentials)
        sent: Secret | None
        if credentials.starts_over_alone:
            answer, sent = self._start_over(credentials, found, reason, ends)
        else:
            seed = _unspent_seed(credentials, found)
            sent = seed or self._standing_refresh_token(credentials, found)
            self.refusals.check_refresh_token(sent)
            # Where nothing rotates, connections may well share a refresh token.
            claimed = seed is not None and credentials.rotates
            spending = self.seeds.spending(credentials, slot.key, sent) if claimed else nullcontext()
            try:
                with spending:
                    answer = self._ask(credentials, refresh_request(credentials, sent), reason, ends)
            except InvalidClientError as error:
                if error.code != "invalid_grant":
                    self.refusals.record_client(credentials, error)
                    raise
                return self._refused(credentials, slot, found, sent, error)
        record = self._next_record(credentials, slot, found, answer, sent)
        minted = self.keep(credentials, slot, found, record)
        if was_refused:
            self._lift(credentials)
        return minted

    def keep(self, credentials: Credentials, slot: Slot, found: Found, record: Record) -> Minted:
        """Write a minted record.

        :raises StoreUnavailableError: an authorised grant's record could not be written; it is kept in the
            slot, to be written before anything else is asked
        """
        try:
            standing = self.lineages.write(credentials, slot.key, found, record)
        except StoreUnavailableError as error:
            if not credentials.starts_over_alone:
                slot.unwritten = (record, found.place)
                raise
            # Nothing is lost but that others will ask for a token of their own.
            _log.warning("Connection %r: its new token is not shared. %s", credentials.conn_id, error)
            standing = record
        slot.unwritten = None
        return Minted(standing, adopted=standing.place != record.place)

    def begin(self, credentials: Credentials, slot: Slot, answer: Answer) -> Record:
        """Keep a person's consent as a new lineage, whatever stands there or is written meanwhile.

        The connection's seed counts as spent from now on, so that it cannot win over the consent.
        """
        self._register(answer)
        ours = {secret_hash(seed) for seed in (credentials.refresh_token, answer.refresh_token) if seed}
        lineage = f"consent-{uuid.uuid4().hex}"
        revision: int | None = None
        while True:
            found = self.lineages.read(credentials, slot.key, overrule=True)
            if found.revision == revision:
                raise StoreUnavailableError(
                    f"Connection {credentials.conn_id!r}: the token store {self.store.name!r} did not take "
                    "the consent. Authorise again."
                )
            revision = found.revision
            record = self._new_record(
                credentials,
                answer,
                found.record,
                refresh_token=answer.refresh_token,
                generation=1,
                lineage=lineage,
                spent=(found.record.spent if found.record else frozenset()) | ours,
            )
            with suppress(Conflict):
                self.store.write(slot.key, record.to_json(), follows=revision)
                break
        slot.unwritten = None
        self._lift(credentials)
        return record

    def _start_over(
        self, credentials: Credentials, found: Found, reason: str, ends: float
    ) -> tuple[Answer, Secret | None]:
        refresh_token = found.record.tokens.refresh_token if found.record else None
        if credentials.uses_refresh_token and refresh_token is not None:
            try:
                request = refresh_request(credentials, refresh_token)
                return self._ask(credentials, request, reason, ends), refresh_token
            except InvalidClientError as error:
                if error.code in _CLIENT_CODES:
                    self.refusals.record_client(credentials, error)
                    raise
            except TokenEndpointError as error:
                if isinstance(error, PassingError) and error.status is None:
                    raise
            _log.info("Connection %r: its refresh token is refused, it logs in again.", credentials.conn_id)
        try:
            return self._ask(credentials, first_request(credentials), reason, ends), None
        except InvalidClientError as error:
            self.refusals.record_client(credentials, error)
            raise

    def _standing_refresh_token(self, credentials: Credentials, found: Found) -> Secret:
        if found.record is not None and found.record.tokens.refresh_token is not None:
            return found.record.tokens.refresh_token
        raise ReauthorizationRequiredError(
            f"Connection {credentials.conn_id!r} is not authorised. {credentials.reauthorize}"
        )

    def _refused(
        self, credentials: Credentials, slot: Slot, found: Found, sent: Secret, refusal: InvalidClientError
    ) -> Minted:
        """Judge an ``invalid_grant``: somebody else may have used the refresh token before us."""
        now = self.lineages.read(credentials, slot.key)
        if now.record is not None and now.place != found.place:
            return Minted(now.record, adopted=True)
        failure = ReauthorizationRequiredError(f"{refusal} {credentials.reauthorize}")
        self.refusals.record_refresh_token(sent, failure)
        raise failure from None

    def _ask(self, credentials: Credentials, request: TokenRequest, reason: str, ends: float) -> Answer:
        began = self.clock.monotonic()
        outcome = "failed"
        try:
            answer = self.endpoint.ask(credentials, request, ends)
            outcome = "ok"
        except FinauthError as error:
            outcome = "refused" if error.permanent else "failed"
            raise
        finally:
            labels: dict[str, str | float] = {"api": credentials.api, "reason": reason, "outcome": outcome}
            self.on_event("mint", {**labels, "seconds": self.clock.monotonic() - began})
        self._register(answer)
        return answer

    def _register(self, answer: Answer) -> None:
        self.on_secret(answer.access_token)
        if answer.refresh_token is not None:
            self.on_secret(answer.refresh_token)

    def _lift(self, credentials: Credentials) -> None:
        # The token is there: that an old refusal still stands too is no reason to fail.
        with suppress(StoreUnavailableError):
            self.refusals.lift_client(credentials)

    def _next_record(
        self, credentials: Credentials, slot: Slot, found: Found, answer: Answer, sent: Secret | None
    ) -> Record:
        old = found.record
        lineage, spent = slot.key, frozenset[str]()
        if not credentials.starts_over_alone:
            if old is not None:
                lineage, spent = old.tokens.lineage, old.spent
            if seed := _unspent_seed(credentials, found):
                lineage, spent = f"seed-{secret_hash(seed)}", spent | {secret_hash(seed)}
        follows = old is not None and old.tokens.lineage == lineage
        return self._new_record(
            credentials,
            answer,
            old,
            # RFC 6749 section 6: no new refresh token means that the old one stays.
            refresh_token=answer.refresh_token or sent,
            generation=old.tokens.generation + 1 if old is not None and follows else 1,
            lineage=lineage,
            spent=spent,
        )

    def _new_record(
        self,
        credentials: Credentials,
        answer: Answer,
        old: Record | None,
        *,
        refresh_token: Secret | None,
        generation: int,
        lineage: str,
        spent: frozenset[str],
    ) -> Record:
        now = self.store.now()
        # The life counts from the beginning of the request: the server may count from any moment after.
        age = self.clock.monotonic() - answer.asked_at if answer.asked_at is not None else 0.0
        scope = answer.scope or credentials.scope
        if answer.scope is None and old is not None and old.tokens.lineage == lineage:
            scope = old.tokens.scope
        return Record(
            conn_id=credentials.conn_id,
            api=credentials.api,
            token_origin=str(credentials.token_origin),
            fingerprint=credentials.fingerprint(self.store.sealer.digest),
            tokens=TokenSet(
                access_token=answer.access_token,
                refresh_token=refresh_token,
                scope=scope,
                token_type=answer.token_type,
                issued_at=now - age,
                expires_at=now - age + answer.lifetime,
                lifetime=answer.lifetime,
                generation=generation,
                lineage=lineage,
            ),
            spent=spent,
            minted_at=now,
            others=old.others if old is not None else {},
        )


def _unspent_seed(credentials: Credentials, found: Found) -> Secret | None:
    """Give the connection's seed if its lineage has never seen it: it goes before what stands."""
    seed = credentials.refresh_token
    if seed and (found.record is None or not found.record.knows_seed(secret_hash(seed))):
        return seed
    return None
