"""A ``requests.Session`` that authenticates itself."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Any, NoReturn

import requests

from airflow_provider_finauth.auth.credentials import FixedCredentials
from airflow_provider_finauth.client.cooling import Cooling
from airflow_provider_finauth.client.pace import shared_pace
from airflow_provider_finauth.client.stopping import UNSTOPPABLE, Stop
from airflow_provider_finauth.client.unauthorized import Replay
from airflow_provider_finauth.exceptions import ConfigurationError
from airflow_provider_finauth.transport.clock import SYSTEM_CLOCK
from airflow_provider_finauth.transport.headers import TOKEN
from airflow_provider_finauth.transport.session import FOLLOWS_REDIRECTS, OriginSession
from airflow_provider_finauth.transport.tls import CertificateError

if TYPE_CHECKING:
    from airflow_provider_finauth.auth.authorizer import Authorizer
    from airflow_provider_finauth.auth.cooldown import CoolDowns
    from airflow_provider_finauth.client.profile import Profile
    from airflow_provider_finauth.secret import Secret
    from airflow_provider_finauth.transport.clock import Clock

# A secret beyond ASCII was copied with something that does not belong to it.
_VALUE = re.compile(r"[\x20-\x7e]*")


class AuthenticatedSession(OriginSession):
    """Adds the connection's credentials to each request, for its known origins only.

    It is what ``hook.get_conn()`` gives: hand it to any library that takes a session. The token is asked
    for with each request, so a session may be kept for as long as one likes. A 401 is answered by one other
    token and one replay, since a request that met a 401 was not processed. The connection's own credentials
    replace an ``Authorization`` header of the caller. While the API has asked to wait, whichever task it
    asked, nothing is sent.

    :param profile: what is particular to the connection
    :param authorizer: gives the ``Authorization`` header
    :param clock: what tells the time and waits
    :param cooldowns: what servers have asked for; None where nothing is shared
    :raises ConfigurationError: a certificate cannot be used
    """

    def __init__(
        self,
        profile: Profile,
        authorizer: Authorizer,
        *,
        clock: Clock = SYSTEM_CLOCK,
        cooldowns: CoolDowns | None = None,
    ) -> None:
        try:
            super().__init__(
                profile.transport, profile.known_origins, pool_size=max(10, profile.max_concurrency)
            )
        except CertificateError as error:
            raise ConfigurationError(
                f"Connection {profile.conn_id!r}: {error.part}: {error}.",
                conn_id=profile.conn_id,
                field=error.part,
            ) from None
        _require_sendable(profile)
        self._profile = profile
        self._authorizer = authorizer
        self.pace = shared_pace(
            (profile.api, profile.conn_id, profile.base_url),
            clock,
            requests_per_second=profile.requests_per_second,
            max_concurrency=profile.max_concurrency,
        )
        self.cooling = Cooling(cooldowns, profile, clock)
        # Luca labels its JSON text/html unless it is asked for.
        self.headers["Accept"] = "application/json"
        self.headers.update(profile.headers)

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        prepared = super().prepare_request(request)
        url = prepared.url or ""
        self.require_known(url)
        self._profile.prepare(prepared.method or "", self._profile.path_of(url), prepared.headers)
        return prepared

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        replay = Replay(self._profile, self._authorizer, request)
        authorization: Secret | None = None
        with self.pace.slot():
            while True:
                response, used = self.attempt(request, authorization=authorization, **kwargs)
                if response.status_code != 401:
                    return response
                authorization = replay.authorization(response, used)
                if authorization is None:
                    return response

    def attempt(
        self,
        request: requests.PreparedRequest,
        *,
        authorization: Secret | None = None,
        ends: float | None = None,
        stop: Stop = UNSTOPPABLE,
        **kwargs: Any,
    ) -> tuple[requests.Response, Secret]:
        """Send once, without replay, as soon as no cool-down forbids it.

        :param authorization: the header to use; asked of the authorizer if not given
        :param ends: a value of the clock's ``monotonic()`` that no wait goes beyond
        :param stop: looked at before anything is sent
        :return: the answer, and the header that was used
        :raises RateLimitedError: a cool-down lasts longer; nothing was sent
        :raises Stopped: nothing was sent
        """
        stop.check()
        self.require_known(request.url or "")
        # Looked at last: getting a token may have taken longer than others needed to be told to wait.
        used = self._authorizer.authorization() if authorization is None else authorization
        while self.cooling.waited(request, ends, stop):
            self.pace.take_turn(stop)
            used = self._authorizer.authorization() if authorization is None else authorization
        # A copy, so that the caller's object never carries a secret, or an outdated one into its next try.
        outgoing = request.copy()
        outgoing.headers.pop("Authorization", None)
        for name, value in self._profile.secret_headers.items():
            outgoing.headers[name] = value.reveal()
        if used:
            outgoing.headers["Authorization"] = used.reveal()
        name_of_id = self._profile.request_id_header
        if name_of_id and name_of_id not in outgoing.headers:
            outgoing.headers[name_of_id] = str(uuid.uuid4())
        if outgoing.method not in FOLLOWS_REDIRECTS:
            kwargs["allow_redirects"] = False
        stop.check()
        fault: requests.RequestException
        try:
            response = super().send(outgoing, **kwargs)
        except requests.RequestException as error:
            fault = error
        else:
            self.cooling.heed(response)
            if response.is_redirect and outgoing.method not in FOLLOWS_REDIRECTS:
                # Not followed; where it leads is judged all the same, as that of a read is.
                self.known_target(response)
            return response, used
        raise _without_frames(fault, request)

    def __repr__(self) -> str:
        return f"<AuthenticatedSession {self._profile.api} {self._profile.conn_id!r}>"

    def __getstate__(self) -> NoReturn:
        raise TypeError(
            "an authenticated session is not pickled: make one from the connection where it is used"
        )


def _without_frames(
    fault: requests.RequestException, request: requests.PreparedRequest
) -> requests.RequestException:
    """Take from an error what would show the credentials where it is reported with local variables.

    The frames of the HTTP libraries hold the headers as they were sent.

    :param request: the caller's own, without credentials
    """
    fault.request = request
    behind: BaseException | None = fault
    while behind is not None:
        behind.__traceback__ = None
        behind = behind.__cause__ or behind.__context__
    return fault


def _require_sendable(profile: Profile) -> None:
    """Refuse headers that cannot be sent: the HTTP library's own errors would show their values.

    :raises ConfigurationError: names the header
    """
    secret = dict(profile.secret_headers)
    if isinstance(profile.credentials, FixedCredentials):
        secret["Authorization"] = profile.credentials.header
    for name, value in secret.items():
        if not TOKEN.fullmatch(name) or not _VALUE.fullmatch(value.reveal()):
            raise ConfigurationError(
                f"Connection {profile.conn_id!r}: its header {name!r} cannot be sent. Its name or its value "
                "holds a line break, or a sign other than visible ASCII and blanks: copy the key again.",
                conn_id=profile.conn_id,
                field=name,
            )
