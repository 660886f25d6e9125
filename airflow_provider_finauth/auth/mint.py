"""Minting: one token, asked for in the way of its grant, and kept.

Whoever calls holds the lineage's locks and has read the store under them.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_finauth.auth.answer import PassingError
from airflow_provider_finauth.auth.grants import first_request, refresh_request
from airflow_provider_finauth.auth.intents import Later
from airflow_provider_finauth.exceptions import (
    InvalidClientError,
    StoreUnavailableError,
    TokenEndpointError,
)

if TYPE_CHECKING:
    from airflow_provider_finauth.auth.answer import Answer
    from airflow_provider_finauth.auth.asking import Asking
    from airflow_provider_finauth.auth.credentials import Credentials
    from airflow_provider_finauth.auth.entry import Record
    from airflow_provider_finauth.auth.held import Slot
    from airflow_provider_finauth.auth.keeping import Keeping, Minted
    from airflow_provider_finauth.auth.lineages import Found
    from airflow_provider_finauth.auth.records import Records
    from airflow_provider_finauth.auth.refusals import Refusals
    from airflow_provider_finauth.auth.rotation import Rotation
    from airflow_provider_finauth.auth.stores.base import Hold
    from airflow_provider_finauth.secret import Secret
    from airflow_provider_finauth.transport.clock import Clock

_log = logging.getLogger(__name__)

# Refusals that name the client: another grant would be refused for the same reason.
_CLIENT_CODES = frozenset({"invalid_client", "unauthorized_client"})


@dataclass(frozen=True, kw_only=True)
class Mint:
    """Makes tokens.

    :param rotation: refreshes what a person has authorised
    :param deadline: seconds that one mint may take in all
    """

    records: Records
    keeping: Keeping
    refusals: Refusals
    rotation: Rotation
    asking: Asking
    clock: Clock
    deadline: float

    def mint(
        self,
        credentials: Credentials,
        slot: Slot,
        found: Found,
        hold: Hold | None,
        reason: str,
        *,
        usable: bool,
    ) -> Minted | Later:
        """Ask for a token and keep the answer, durably before it is used.

        :param found: what the store says
        :param hold: the lock of the lineage; None where the store could not be asked for one
        :param reason: absent, expired, early, forced or kept, for the metrics
        :param usable: whether the standing access token is accepted
        :raises InvalidClientError: refused for good, now or before
        :raises ReauthorizationRequiredError: only a person can begin again
        :raises RateLimitedError: the token endpoint asks to wait
        :raises TokenEndpointError: no token came
        :raises StoreUnavailableError: an authorised grant's store cannot be asked
        """
        if later := self.asking.not_yet(credentials):
            return later
        was_refused = self.refusals.check_client(credentials, reached=found.reached)
        minted: Minted | Later
        if credentials.starts_over_alone:
            answer, sent = self._start_over(credentials, found, reason)
            record = self.records.started_over(credentials, answer, found.record, slot.key, sent)
            minted = self.keeping.keep(credentials, slot, found, record)
        else:
            if hold is None:
                raise StoreUnavailableError(f"Connection {credentials.conn_id!r}: its token is not locked.")
            minted = self.rotation.refresh(credentials, slot, found, hold, reason, usable=usable)
        if was_refused and not isinstance(minted, Later):
            self._lift(credentials)
        return minted

    def begin(self, credentials: Credentials, slot: Slot, answer: Answer) -> Record:
        """Keep a person's consent as a new lineage.

        :raises StoreUnavailableError: the store does not take it
        """
        self.asking.register(answer)
        record = self.keeping.begin(credentials, slot, answer)
        self._lift(credentials)
        return record

    def _start_over(
        self, credentials: Credentials, found: Found, reason: str
    ) -> tuple[Answer, Secret | None]:
        ends = self.clock.monotonic() + self.deadline
        refresh_token = found.record.tokens.refresh_token if found.record else None
        if credentials.uses_refresh_token and refresh_token is not None:
            try:
                request = refresh_request(credentials, refresh_token)
                return self.asking.ask(credentials, request, reason, ends), refresh_token
            except InvalidClientError as error:
                if error.code in _CLIENT_CODES:
                    self.refusals.record_client(credentials, error)
                    raise
            except TokenEndpointError as error:
                if isinstance(error, PassingError) and error.status is None:
                    raise
            _log.info("Connection %r: its refresh token is refused, it logs in again.", credentials.conn_id)
        try:
            return self.asking.ask(credentials, first_request(credentials), reason, ends), None
        except InvalidClientError as error:
            self.refusals.record_client(credentials, error)
            raise

    def _lift(self, credentials: Credentials) -> None:
        # The token is there: that an old refusal still stands too is no reason to fail.
        with suppress(StoreUnavailableError):
            self.refusals.lift_client(credentials)
