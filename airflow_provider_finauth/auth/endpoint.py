"""Asking a token endpoint.

Every request gets a connection of its own: a pooled one may be closed by the server at the very moment it
is used, and whether the request arrived cannot be known then. Redirects are never followed. Time-outs and a
total deadline always hold.
"""

from __future__ import annotations

import io
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import requests

from airflow_provider_finauth.auth.answer import Answer, PassingError, read_answer
from airflow_provider_finauth.exceptions import ConfigurationError, FinauthError, RateLimitedError
from airflow_provider_finauth.transport.clock import SYSTEM_CLOCK, Clock
from airflow_provider_finauth.transport.failures import Judgement, Remedies, judge
from airflow_provider_finauth.transport.reading import TransportFault, read_bounded
from airflow_provider_finauth.transport.retry import Again, Tries
from airflow_provider_finauth.transport.retry_after import named_wait
from airflow_provider_finauth.transport.session import OriginSession
from airflow_provider_finauth.transport.tls import CertificateError

if TYPE_CHECKING:
    from airflow_provider_finauth.auth.credentials import Credentials
    from airflow_provider_finauth.auth.grants import TokenRequest

_MAX_ANSWER_BYTES = 1024 * 1024
_MAX_ATTEMPTS = 4
# Others wait behind the lock meanwhile.
_FIRST_PAUSE = 0.5


class NeverSentError(PassingError):
    """No byte of the token request can have reached the server, so it may be repeated whatever it spends."""


class _TooLate(Exception):
    """The deadline passed before the request's body was sent."""


class _TimelyBody(io.BytesIO):
    """A request body that is not sent after a deadline.

    A process may be stopped at any moment, while it connects above all. When it goes on, somebody else may be
    at it, so the last look at the clock is taken when the first byte is about to leave. Headers alone make no
    request.

    :param ends: a value of the clock's ``monotonic()``
    """

    def __init__(self, body: bytes, ends: float, clock: Clock) -> None:
        super().__init__(body)
        self._ends = ends
        self._clock = clock

    def read(self, size: int | None = -1, /) -> bytes:
        # Once something has left, it was sent, however late it is by then.
        if self.tell() == 0 and self._clock.monotonic() >= self._ends:
            raise _TooLate
        return super().read(size)


class TokenEndpoint:
    """Sends token requests and reads their answers.

    A grant that starts over alone is asked for again after a 5xx, a time-out or a broken connection. What
    spends a refresh token of an authorised grant, or a code, is sent again only where it certainly was not
    sent, or was turned away unread (429): a server that rotates takes a replay for theft. What another try
    cannot mend, such as a certificate that is not trusted, is not repeated.

    :param clock: the time
    """

    def __init__(self, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock

    def ask(self, credentials: Credentials, request: TokenRequest, deadline: float) -> Answer:
        """Send the request until there is an answer that is no passing failure.

        :param deadline: a value of the clock's ``monotonic()`` after which no attempt begins or goes on
        :raises InvalidClientError: the server refuses for good
        :raises RateLimitedError: it goes on asking to wait
        :raises TokenEndpointError: it goes on failing
        """
        careful = request.refreshes and not credentials.starts_over_alone

        def attempt() -> Answer:
            began = self._clock.monotonic()
            answer = self._exchange(credentials, request, deadline - began)
            if not isinstance(answer, FinauthError):
                return replace(answer, asked_at=began)
            if isinstance(answer, RateLimitedError):
                raise Again(answer, retry_after=answer.retry_after, limited=True)
            may_repeat = isinstance(answer, NeverSentError) or not careful
            if isinstance(answer, PassingError) and answer.transient and may_repeat:
                raise Again(answer, retry_after=answer.retry_after)
            raise answer

        tries = Tries(
            self._clock,
            deadline - self._clock.monotonic(),
            _MAX_ATTEMPTS,
            counts_named_waits=True,
            first_pause=_FIRST_PAUSE,
        )
        return tries.run(attempt)

    def _exchange(
        self, credentials: Credentials, request: TokenRequest, seconds: float
    ) -> Answer | FinauthError:
        where = f"Connection {credentials.conn_id!r}: the token endpoint at {credentials.token_origin}"
        too_late = NeverSentError(f"{where} was not asked, the time for it was over.", transient=False)
        if seconds <= 0:
            return too_late
        body_ends = self._clock.monotonic() + seconds
        settings = credentials.transport
        timeouts = (min(settings.connect_timeout, seconds), min(settings.read_timeout, seconds))
        ends = time.monotonic() + seconds
        judgement: Judgement | None = None
        with _session(credentials) as session:
            try:
                response = session.request(
                    request.method,
                    request.url,
                    params=dict(request.params),
                    data=_TimelyBody(request.body, body_ends, self._clock),
                    headers=dict(request.headers),
                    timeout=timeouts,
                    stream=True,
                )
                body = read_bounded(response, _MAX_ANSWER_BYTES, deadline=ends)
            except _TooLate:
                return too_late
            except (requests.RequestException, TransportFault) as error:
                judgement = judge(error)
        if judgement is not None:
            # Not raised from the library's error, which holds the request and thereby the secrets.
            return _failure(credentials, judgement)
        return read_answer(
            credentials,
            response.status_code,
            response.headers.get("Content-Type"),
            body,
            retry_after=named_wait(response.headers, now=self._clock.wall()),
            secrets=request.secrets,
        )


class _TokenSession(OriginSession):
    """A session that does not even look where a redirect leads to."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        return None


def _session(credentials: Credentials) -> OriginSession:
    try:
        return _TokenSession(credentials.transport, {credentials.token_origin}, pool_size=1)
    except CertificateError as error:
        raise ConfigurationError(
            f"Connection {credentials.conn_id!r}: its TLS settings cannot be used, the {error.part} {error}.",
            conn_id=credentials.conn_id,
        ) from None


def _failure(credentials: Credentials, judgement: Judgement) -> PassingError:
    kind = NeverSentError if judgement.never_sent else PassingError
    subject = f"Connection {credentials.conn_id!r}: the request to the token endpoint at"
    told = judgement.told(Remedies(address=f"field {credentials.field_name('token_endpoint')!r}"))
    return kind(f"{subject} {credentials.token_origin} {told}", transient=judgement.transient)
