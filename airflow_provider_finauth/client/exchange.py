"""One request until its good answer: pace, credentials, replay after a 401, retries, checks."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import requests

from airflow_provider_finauth.client import errors
from airflow_provider_finauth.client.stopping import UNSTOPPABLE, Stop
from airflow_provider_finauth.client.unauthorized import Replay
from airflow_provider_finauth.exceptions import ApiError, FinauthError
from airflow_provider_finauth.secret import Secret
from airflow_provider_finauth.transport.failures import Remedies, is_transient, judge
from airflow_provider_finauth.transport.reading import TransportFault, read_bounded
from airflow_provider_finauth.transport.retry import Again, Tries
from airflow_provider_finauth.transport.retry_after import named_wait

if TYPE_CHECKING:
    from airflow_provider_finauth.auth.authorizer import Authorizer
    from airflow_provider_finauth.client.profile import Failure, Profile
    from airflow_provider_finauth.client.session import AuthenticatedSession
    from airflow_provider_finauth.transport.clock import Clock
    from airflow_provider_finauth.transport.redaction import Redactor

_T = TypeVar("_T")

_REMEDIES = Remedies(
    address="host",
    slow="Raise request_timeout in the connection, or ask for smaller pages.",
    large="Ask for smaller pages, or raise [finauth] max_response_bytes in Airflow's configuration.",
)


class Refused(Exception):
    """The API does not accept the token; the request was not processed.

    :param error: what to raise if there is no other token
    """

    def __init__(self, error: FinauthError) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass
class Exchange(Generic[_T]):
    """One request of a client.

    :param profile: what is particular to the connection
    :param session: sends
    :param authorizer: gives tokens
    :param clock: what tells the time and waits
    :param request: what to send
    :param safe: whether it may be sent again although it may have been processed
    :param accept_status: statuses besides 2xx that are no errors
    :param read: makes the result of a good answer; may raise what this class's other steps raise
    :param stop: looked at before each sending
    """

    profile: Profile
    session: AuthenticatedSession
    authorizer: Authorizer
    clock: Clock
    request: requests.Request
    safe: bool
    accept_status: Collection[int]
    read: Callable[[Exchange[_T], requests.Response], _T]
    stop: Stop = UNSTOPPABLE
    used: Secret = field(default_factory=lambda: Secret(""), init=False, repr=False)
    _prepared: requests.PreparedRequest = field(init=False, repr=False)
    _replay: Replay = field(init=False, repr=False)
    _ends: float = field(default=0.0, init=False)

    def perform(self) -> _T:
        """Send until there is a good answer.

        :raises FinauthError: there will be none
        :raises Stopped: nobody waits for it any more
        """
        self._prepared = self._prepare()
        self._replay = Replay(self.profile, self.authorizer, self._prepared)
        self._ends = self.clock.monotonic() + self.profile.retry_deadline
        tries = Tries(
            self.clock,
            self.profile.retry_deadline,
            self.profile.max_attempts,
            on_pause=self._note_pause,
            sleep=lambda seconds: self.stop.pause(self.clock, seconds),
        )
        return tries.run(self._attempt)

    def failure(self, response: requests.Response, *, about: Any = None) -> Failure:
        """Read an error answer, without the token in use.

        :param about: the part of the body to describe; all of it if not given
        """
        return errors.read_failure(self.profile, response, redact=self.redactor(), about=about)

    def redactor(self) -> Redactor:
        """Give what takes the connection's secrets and the token in use out of a text."""
        return errors.redactor(self.profile, Secret(self.used.reveal().rpartition(" ")[2]))

    def named_wait(self, response: requests.Response) -> float | None:
        """Give the wait that an answer asks for."""
        return named_wait(response.headers, now=self.clock.wall())

    def _note_pause(self, failure: Again, seconds: float) -> None:
        # Where the server named the wait, it was noted when it did.
        if failure.limited and failure.retry_after is None:
            self.session.cooling.note(seconds)

    def _prepare(self) -> requests.PreparedRequest:
        try:
            return self.session.prepare_request(self.request)
        except (requests.exceptions.RequestException, ValueError, UnicodeError):
            problem = "an address or a header of it is not valid"
        # Raised here, so that no other error's text with a header or a query hangs on it.
        raise ApiError(f"Connection {self.profile.conn_id!r}: a request could not be made: {problem}.")

    def _attempt(self) -> _T:
        """Try once, and once more with another token after a 401."""
        authorization: Secret | None = None
        while True:
            response = self._deliver(authorization)
            refused: FinauthError
            try:
                return self._check(response)
            except Refused as error:
                refused = error.error
            authorization = self._replay.authorization(response, self.used)
            if authorization is None:
                raise refused

    def _deliver(self, authorization: Secret | None) -> requests.Response:
        fault: requests.RequestException | TransportFault
        session, url = self.session, self._prepared.url
        settings = session.merge_environment_settings(url, {}, True, None, None)
        with session.pace.slot(self.stop):
            try:
                response, self.used = session.attempt(
                    self._prepared,
                    authorization=authorization,
                    ends=self._ends,
                    stop=self.stop,
                    allow_redirects=True,
                    **settings,
                )
                # The body's clock is the system's: it is measured while bytes come.
                deadline = time.monotonic() + self.profile.retry_deadline
                read_bounded(response, self.profile.max_response_bytes, deadline=deadline)
                return response
            except (requests.RequestException, TransportFault) as error:
                fault = error
        raise self._transport_error(fault)

    def _transport_error(self, fault: requests.RequestException | TransportFault) -> Exception:
        """Make an error of a failed exchange; never of its own text, which names the URL with its query."""
        judgement = judge(fault)
        told = judgement.told(_REMEDIES)
        if not judgement.never_sent and not self.safe:
            told = f"{told} It may have been processed all the same: look before sending it again."
        path = self.profile.path_of(self._prepared.url or "")
        error = ApiError(f"Connection {self.profile.conn_id!r}: {self._prepared.method} {path} {told}")
        is_repeated = judgement.transient and (judgement.never_sent or self.safe)
        return Again(error) if is_repeated else error

    def _check(self, response: requests.Response) -> _T:
        status = response.status_code
        if 200 <= status < 300 or status in self.accept_status:
            return self.read(self, response)
        wait = self.named_wait(response)
        error = errors.error_for(self.profile, self.failure(response), retry_after=wait)
        if status == 401:
            raise Refused(error)
        if not error.permanent and (status == 429 or (self.safe and is_transient(status))):
            raise Again(error, retry_after=wait, limited=status == 429)
        raise error
