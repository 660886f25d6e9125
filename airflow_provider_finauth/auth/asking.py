"""Asking a token endpoint on behalf of all who share a connection: counted, and not while it asks to wait."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_finauth.auth.intents import Later
from airflow_provider_finauth.exceptions import FinauthError, RateLimitedError

if TYPE_CHECKING:
    from airflow_provider_finauth.auth.answer import Answer
    from airflow_provider_finauth.auth.cooldown import CoolDowns
    from airflow_provider_finauth.auth.credentials import Credentials
    from airflow_provider_finauth.auth.endpoint import TokenEndpoint
    from airflow_provider_finauth.auth.grants import TokenRequest
    from airflow_provider_finauth.auth.stores.base import Store
    from airflow_provider_finauth.secret import Secret
    from airflow_provider_finauth.transport.clock import Clock

_log = logging.getLogger(__name__)

# Of a server that does not say how long.
_COOL_DOWN = 10.0


@dataclass(frozen=True, kw_only=True)
class Asking:
    """Asks.

    :param endpoint: sends the requests
    :param cooldowns: what servers have asked for; None where nothing is shared
    :param on_secret: told of each token before anything else happens with it
    :param on_event: told of each request
    """

    endpoint: TokenEndpoint
    store: Store
    clock: Clock
    cooldowns: CoolDowns | None
    on_secret: Callable[[Secret], None]
    on_event: Callable[[str, Mapping[str, str | float]], None]

    def not_yet(self, credentials: Credentials) -> Later | None:
        """Tell whether the endpoint has asked to wait."""
        seconds = self.cooldowns.remaining(self._key(credentials)) if self.cooldowns else 0.0
        if seconds <= 0:
            return None
        return Later(
            seconds,
            RateLimitedError(
                f"Connection {credentials.conn_id!r}: the token endpoint at {credentials.token_origin} has "
                f"asked to wait, for another {seconds:.0f} s.",
                retry_after=seconds,
            ),
        )

    def ask(
        self,
        credentials: Credentials,
        request: TokenRequest,
        reason: str,
        ends: float,
        *,
        at_once: Callable[[Answer], None] = lambda answer: None,
    ) -> Answer:
        """Send a token request.

        :param reason: absent, expired, early, forced or kept, for the metrics
        :param ends: a value of the clock's ``monotonic()``
        :param at_once: told of a good answer before anybody else is: it is all that there is of it
        :raises FinauthError: as :meth:`TokenEndpoint.ask`
        """
        began = self.clock.monotonic()
        outcome = "failed"
        try:
            answer = self.endpoint.ask(credentials, request, ends)
            at_once(answer)
            outcome = "ok"
        except RateLimitedError as error:
            if self.cooldowns:
                self.cooldowns.note(self._key(credentials), error.retry_after or _COOL_DOWN)
            raise
        except FinauthError as error:
            outcome = "refused" if error.permanent else "failed"
            raise
        finally:
            labels: dict[str, str | float] = {"api": credentials.api, "reason": reason, "outcome": outcome}
            self.on_event("mint", {**labels, "seconds": self.clock.monotonic() - began})
        self.register(answer)
        return answer

    def register(self, answer: Answer) -> None:
        """Tell of the tokens that came. That this fails is no reason to lose them."""
        for secret in (answer.access_token, answer.refresh_token):
            if secret is not None:
                try:
                    self.on_secret(secret)
                except FinauthError as error:
                    _log.warning("A new token could not be registered with the log's masker. %s", error)

    def _key(self, credentials: Credentials) -> str:
        return f"endpoint-{credentials.fingerprint(self.store.sealer.digest)}"
