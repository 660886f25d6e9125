"""One table of failures, met by token requests and API requests over real sockets, and judged alike."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import requests
import trustme

from airflow_provider_finauth.auth.answer import PassingError
from airflow_provider_finauth.auth.endpoint import NeverSentError, TokenEndpoint
from airflow_provider_finauth.auth.grants import first_request, refresh_request
from airflow_provider_finauth.exceptions import ApiError, RateLimitedError, TokenEndpointError
from airflow_provider_finauth.secret import Secret
from airflow_provider_finauth.transport.failures import judge
from airflow_provider_finauth.transport.session import TransportSettings
from airflow_provider_finauth.transport.tls import ClientCertificate, client_certificate
from tests.auth.support import authorised_credentials, client_credentials
from tests.client.support import FakeClock, answer_bytes, make_client
from tests.transport import failing

if TYPE_CHECKING:
    from airflow_provider_finauth.auth.credentials import Credentials

AUTHORITY = trustme.CA()
STRANGER = trustme.CA()
LONG_AGO = datetime.now(UTC) - timedelta(days=900)
YESTERDAY = datetime.now(UTC) - timedelta(days=1)
TOMORROW = datetime.now(UTC) + timedelta(days=1)

TRIES = 4
ADDRESS = "the address"
IN_QUERY = "secret-of-the-query"
PATIENT = TransportSettings(connect_timeout=30.0, read_timeout=30.0)
HASTY_TO_CONNECT = replace(PATIENT, connect_timeout=0.05)
HASTY_TO_READ = replace(PATIENT, read_timeout=0.05)


@dataclass(frozen=True)
class Place:
    """Where the requests go, and through which proxy."""

    url: str
    proxy: str | None = None
    transport: TransportSettings = PATIENT


@dataclass(frozen=True)
class Case:
    """A failure, and what both kinds of requests are to make of it.

    :param at: arranges it
    :param what: happened to the request
    :param hint: what to look at; the address's field is another one for each kind
    :param never_sent: no byte of the request can have left; else it may have been processed
    :param transient: another try may help
    """

    name: str
    at: Callable[[], Any]
    what: str
    hint: str = ""
    never_sent: bool = False
    transient: bool = True
    names_unknown: bool = field(default=False)


@contextmanager
def http(behave: failing.Behaviour, transport: TransportSettings = PATIENT) -> Iterator[Place]:
    with failing.listening(behave) as port:
        yield Place(f"http://127.0.0.1:{port}", transport=transport)


@contextmanager
def nobody() -> Iterator[Place]:
    yield Place(f"http://127.0.0.1:{failing.closed_port()}")


@contextmanager
def nowhere() -> Iterator[Place]:
    yield Place("https://nowhere.example")


@contextmanager
def crowd() -> Iterator[Place]:
    with failing.full() as port:
        yield Place(f"http://127.0.0.1:{port}", transport=HASTY_TO_CONNECT)


def issued(
    *names: str, by: trustme.CA = AUTHORITY, since: datetime | None = None, until: datetime | None = None
) -> trustme.LeafCert:
    return by.issue_cert(*names, not_before=since, not_after=until)


def server_context(certificate: trustme.LeafCert, *, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    """Make a server's context; with a version it speaks only that, and asks for a client certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    if version is not None:
        context.minimum_version = context.maximum_version = version
        context.verify_mode = ssl.CERT_REQUIRED
        AUTHORITY.configure_trust(context)
    return context


def shown(certificate: trustme.LeafCert) -> ClientCertificate:
    pem, key = certificate.cert_chain_pems[0].bytes(), certificate.private_key_pem.bytes()
    return client_certificate(pem.decode(), Secret(key.decode()), None)


@contextmanager
def trusting(certificate: ClientCertificate | None = None) -> Iterator[TransportSettings]:
    with AUTHORITY.cert_pem.tempfile() as path:
        yield replace(PATIENT, ca_file=path, client_certificate=certificate)


@contextmanager
def https(
    behave: failing.Behaviour = failing.hang_up,
    *,
    certificate: trustme.LeafCert | None = None,
    version: ssl.TLSVersion | None = None,
    client: trustme.LeafCert | None = None,
) -> Iterator[Place]:
    context = server_context(certificate or issued("127.0.0.1"), version=version)
    with (
        failing.listening(failing.over_tls(context, behave)) as port,
        trusting(shown(client) if client else None) as transport,
    ):
        yield Place(f"https://127.0.0.1:{port}", transport=transport)


@contextmanager
def no_tls(behave: failing.Behaviour, transport: TransportSettings = PATIENT) -> Iterator[Place]:
    with failing.listening(behave) as port:
        yield Place(f"https://127.0.0.1:{port}", transport=transport)


@contextmanager
def through(
    behave: failing.Behaviour,
    url: str = "https://api.example",
    transport: TransportSettings = PATIENT,
) -> Iterator[Place]:
    with failing.listening(behave) as port:
        yield Place(url, proxy=f"http://127.0.0.1:{port}", transport=transport)


@contextmanager
def through_nothing(proxy: str, url: str = "https://api.example") -> Iterator[Place]:
    yield Place(url, proxy=proxy)


@contextmanager
def through_tunnel(
    behave: failing.Behaviour = failing.hang_up, certificate: trustme.LeafCert | None = None
) -> Iterator[Place]:
    with https(behave, certificate=certificate) as place:
        port = int(place.url.rpartition(":")[2])
        with failing.listening(failing.tunnel_to(port)) as proxy:
            yield replace(place, proxy=f"http://127.0.0.1:{proxy}")


@contextmanager
def through_tls() -> Iterator[Place]:
    context = server_context(issued("127.0.0.1", by=STRANGER))
    with failing.listening(failing.over_tls(context, failing.hang_up)) as port, trusting() as transport:
        yield Place("https://api.example", proxy=f"https://127.0.0.1:{port}", transport=transport)


CUT_SHORT = answer_bytes(b'{"a": [1, 2, 3]}')[:-5]
TOO_LARGE = answer_bytes(b" " * (1024 * 1024 + 1))
REACH = f"Check the connection's {ADDRESS}, and that it can be reached from here."
PROXY = "Check HTTPS_PROXY and NO_PROXY."
RENEW = "Check this machine's clock; if it is right, the certificate's owner has to renew it."
TRUST = "If it is right, name its authority's PEM file in tls_ca_file, or in REQUESTS_CA_BUNDLE."
FIELDS = "Check the connection's certificate fields."
TLS = f"Check the connection's {ADDRESS} and certificate fields, and tls_ca_file."
LOST = "lost its connection before the answer was whole"
SERVER, AT_PROXY, IN_TLS = "did not reach the server", "did not get through the proxy", "failed in TLS"
TLS_1_2, TLS_1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3

CASES = [
    # Connecting.
    Case("nobody listens", nobody, f"{SERVER}: the connection was refused", REACH, never_sent=True),
    Case("no such name", nowhere, f"{SERVER}: its name does not resolve", REACH, True, names_unknown=True),
    Case("no answer to connecting", crowd, f"{SERVER}: no connection came about in time", REACH, True),
    # The TLS handshake.
    Case(
        "unknown authority",
        lambda: https(certificate=issued("127.0.0.1", by=STRANGER)),
        f"{IN_TLS}: the server's certificate is of an authority that is not trusted here",
        TRUST,
        never_sent=True,
        transient=False,
    ),
    Case(
        "expired",
        lambda: https(certificate=issued("127.0.0.1", since=LONG_AGO, until=YESTERDAY)),
        f"{IN_TLS}: the server's certificate has expired",
        RENEW,
        never_sent=True,
        transient=False,
    ),
    Case(
        "not valid yet",
        lambda: https(certificate=issued("127.0.0.1", since=TOMORROW)),
        f"{IN_TLS}: the server's certificate is not valid yet",
        RENEW,
        never_sent=True,
        transient=False,
    ),
    Case(
        "other name",
        lambda: https(certificate=issued("elsewhere.example")),
        f"{IN_TLS}: the server's certificate is for another name",
        f"Check the connection's {ADDRESS}.",
        never_sent=True,
        transient=False,
    ),
    Case(
        "client certificate missing, TLS 1.2",
        lambda: https(version=TLS_1_2),
        f"{IN_TLS}: the server ended the handshake, as it does where it expects a client certificate",
        FIELDS,
        never_sent=True,
        transient=False,
    ),
    Case(
        "client certificate unknown, TLS 1.2",
        lambda: https(version=TLS_1_2, client=issued("us.example", by=STRANGER)),
        f"{IN_TLS}: the server does not know the authority of the client certificate",
        FIELDS,
        never_sent=True,
        transient=False,
    ),
    Case(
        "no TLS",
        lambda: no_tls(failing.answer_anything(answer_bytes(b"", "400 Bad Request"))),
        IN_TLS,
        TLS,
        never_sent=True,
    ),
    Case(
        "reset in the handshake",
        lambda: no_tls(failing.reset),
        f"{SERVER}: the connection was broken off",
        REACH,
        never_sent=True,
    ),
    Case(
        "silence in the handshake",
        lambda: no_tls(failing.silence, HASTY_TO_CONNECT),
        f"{SERVER}: no connection came about in time",
        REACH,
        never_sent=True,
    ),
    # After it: with TLS 1.3 the request is on its way before the server has looked at the certificate.
    Case(
        "client certificate missing, TLS 1.3",
        lambda: https(version=TLS_1_3),
        f"{IN_TLS}: the server expects a client certificate",
        FIELDS,
        transient=False,
    ),
    Case(
        "client certificate unknown, TLS 1.3",
        lambda: https(version=TLS_1_3, client=issued("us.example", by=STRANGER)),
        f"{IN_TLS}: the server does not know the authority of the client certificate",
        FIELDS,
        transient=False,
    ),
    Case(
        "client certificate expired, TLS 1.3",
        lambda: https(version=TLS_1_3, client=issued("us.example", since=LONG_AGO, until=YESTERDAY)),
        f"{IN_TLS}: the server says that the client certificate has expired",
        FIELDS,
        transient=False,
    ),
    Case("TLS, no answer", lambda: https(failing.hang_up), LOST),
    # A proxy.
    Case(
        "no proxy",
        lambda: through_nothing(f"http://127.0.0.1:{failing.closed_port()}"),
        f"{AT_PROXY}: the connection was refused",
        PROXY,
        never_sent=True,
    ),
    Case(
        "no such proxy",
        lambda: through_nothing("http://nowhere.example:3128"),
        f"{AT_PROXY}: its name does not resolve",
        PROXY,
        never_sent=True,
        names_unknown=True,
    ),
    Case(
        "no address of a proxy",
        lambda: through_nothing("http://:3128"),
        f"{AT_PROXY}: its address cannot be used",
        PROXY,
        never_sent=True,
        transient=False,
    ),
    Case(
        "proxy breaks off before the tunnel stands",
        lambda: through(failing.hang_up),
        f"{AT_PROXY}: the connection was broken off",
        PROXY,
        never_sent=True,
    ),
    Case(
        "proxy is silent before the tunnel stands",
        lambda: through(failing.silence, transport=HASTY_TO_CONNECT),
        f"{AT_PROXY}: no connection came about in time",
        PROXY,
        never_sent=True,
    ),
    Case(
        "proxy refuses",
        lambda: through(failing.answer(answer_bytes(b"", "502 Bad Gateway"))),
        f"{AT_PROXY}: it answered 502",
        PROXY,
        never_sent=True,
    ),
    Case(
        "proxy not trusted",
        through_tls,
        f"{AT_PROXY}: the proxy's certificate is of an authority that is not trusted here",
        TRUST,
        never_sent=True,
        transient=False,
    ),
    Case(
        "server behind a proxy not trusted",
        lambda: through_tunnel(certificate=issued("127.0.0.1", by=STRANGER)),
        f"{IN_TLS}: the server's certificate is of an authority that is not trusted here",
        TRUST,
        never_sent=True,
        transient=False,
    ),
    Case("tunnel breaks off", through_tunnel, LOST),
    Case(
        "no proxy for plain HTTP",
        lambda: through_nothing(f"http://127.0.0.1:{failing.closed_port()}", "http://127.0.0.1:1"),
        f"{AT_PROXY}: the connection was refused",
        PROXY,
        never_sent=True,
    ),
    # It had the whole request, and may have handed it on.
    Case("proxy breaks off over plain HTTP", lambda: through(failing.hang_up, "http://127.0.0.1:1"), LOST),
    # The answer.
    Case("no answer", lambda: http(failing.hang_up), LOST),
    Case("reset", lambda: http(failing.reset), LOST),
    Case("half an answer", lambda: http(failing.answer(CUT_SHORT)), LOST),
    Case("silence", lambda: http(failing.silence, HASTY_TO_READ), "was not answered in time"),
    Case(
        "too large",
        lambda: http(failing.answer(TOO_LARGE)),
        "was answered with more than 1048576 bytes",
        transient=False,
    ),
]


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def place(case: Case, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    with case.at() as place:
        if place.proxy:
            monkeypatch.setenv("http_proxy", place.proxy)
            monkeypatch.setenv("https_proxy", place.proxy)
        if case.names_unknown:
            monkeypatch.setattr(socket, "getaddrinfo", unknown)
        yield place


def unknown(*args: Any, **kwargs: Any) -> Any:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def ask(credentials: Credentials) -> tuple[TokenEndpointError, int]:
    """Ask for a token; give the error and the number of tries."""
    clock = FakeClock()
    seed = credentials.refresh_token
    request = first_request(credentials) if seed is None else refresh_request(credentials, seed)
    with pytest.raises(TokenEndpointError) as caught:
        TokenEndpoint(clock=clock).ask(credentials, request, clock.monotonic() + 60)
    return caught.value, len(clock.slept) + 1


def send(place: Place, method: str) -> tuple[ApiError, int]:
    """Send a request to the API; give the error and the number of tries."""
    clock = FakeClock()
    client = make_client(
        clock=clock,
        base_url=place.url,
        transport=place.transport,
        max_attempts=TRIES,
        max_response_bytes=1024 * 1024,
    )
    with pytest.raises(ApiError) as caught:
        client.request(method, "/x", params={"key": IN_QUERY})
    client.close()
    return caught.value, len(clock.slept) + 1


def tries(*, repeated: bool) -> int:
    return TRIES if repeated else 1


def test_a_token_request_of_a_grant_that_starts_over_alone(case: Case, place: Place) -> None:
    endpoint = f"{place.url}/token?key={IN_QUERY}"
    error, tried = ask(client_credentials(token_endpoint=endpoint, transport=place.transport))
    hint = case.hint.replace(ADDRESS, "field 'oauth_endpoint'")
    subject = f"Connection 'talenom_default': the request to the token endpoint at {place.url}"
    assert str(error) == f"{subject} {case.what}. {hint}".rstrip()
    assert isinstance(error, PassingError)
    assert isinstance(error, NeverSentError) == case.never_sent
    assert tried == tries(repeated=case.transient)


def test_a_refresh_of_an_authorised_grant(case: Case, place: Place) -> None:
    endpoint = f"{place.url}/token?key={IN_QUERY}"
    error, tried = ask(authorised_credentials(token_endpoint=endpoint, transport=place.transport))
    assert f" {case.what}." in str(error)
    assert isinstance(error, NeverSentError) == case.never_sent
    assert tried == tries(repeated=case.transient and case.never_sent)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_request_to_the_api(case: Case, place: Place, method: str) -> None:
    error, tried = send(place, method)
    hint = case.hint.replace(ADDRESS, "host")
    assert str(error).startswith(f"Connection 'my_conn': {method} /x {case.what}. {hint}".rstrip())
    assert IN_QUERY not in str(error)
    may_be_done = method == "POST" and not case.never_sent
    assert ("may have been processed" in str(error)) == may_be_done
    assert tried == tries(repeated=case.transient and not may_be_done)


def test_what_the_api_can_do_about_it_is_said() -> None:
    with http(failing.silence, HASTY_TO_READ) as place:
        assert "Raise request_timeout" in str(send(place, "GET")[0])
    with http(failing.answer(TOO_LARGE)) as place:
        assert "raise [finauth] max_response_bytes" in str(send(place, "GET")[0])


@pytest.mark.parametrize("status", [404, 408, 425, 500, 501, 502, 503, 504, 505, 599])
def test_statuses_are_repeated_alike(status: int) -> None:
    with http(failing.answer(answer_bytes(b"{}", f"{status} Status"))) as place:
        credentials = client_credentials(token_endpoint=f"{place.url}/token", transport=place.transport)
        _, by_auth = ask(credentials)
        _, by_client = send(place, "GET")
    assert by_auth == by_client == tries(repeated=status not in (404, 501, 505))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        (["Retry-After: 120"], 120),
        (["Retry-After: 120.5"], 120.5),
        (["Retry-After: 9999999999"], 24 * 3600),
        (["Retry-After: Wed, 21 Oct 2015 07:30:00 GMT", "Date: Wed, 21 Oct 2015 07:28:00 GMT"], 120),
        (["Retry-After: soon"], None),
    ],
)
def test_waits_are_read_alike(headers: list[str], seconds: float | None) -> None:
    with http(failing.answer(answer_bytes(b"{}", "429 Too Many Requests", *headers))) as place:
        credentials = client_credentials(token_endpoint=f"{place.url}/token", transport=place.transport)
        waits = []
        for attempt in (lambda: ask_limited(credentials), lambda: send_limited(place)):
            with pytest.raises(RateLimitedError) as caught:
                attempt()
            waits.append(caught.value.retry_after)
    assert waits == [seconds, seconds]


def ask_limited(credentials: Credentials) -> None:
    clock = FakeClock()
    TokenEndpoint(clock=clock).ask(credentials, first_request(credentials), clock.monotonic() + 60)


def send_limited(place: Place) -> None:
    client = make_client(base_url=place.url, transport=place.transport, retry_deadline=60.0)
    client.request("GET", "/x")


def test_an_error_that_is_being_handled_says_nothing_of_the_next() -> None:
    """A request that was lost is not taken for unsent because another one was before it."""
    session = make_client(base_url=f"http://127.0.0.1:{failing.closed_port()}").session
    origin = next(iter(session.origins))
    with pytest.raises(requests.ConnectionError) as first:
        session.get(f"{origin}/x")
    assert judge(first.value).never_sent
    with http(failing.hang_up) as place:
        other = make_client(base_url=place.url)
        try:
            raise first.value
        except requests.ConnectionError:
            with pytest.raises(requests.ConnectionError) as second:
                other.session.post(f"{place.url}/x")
    assert not judge(second.value).never_sent


@pytest.mark.parametrize(
    "error",
    [
        requests.exceptions.ProxyError("x"),
        requests.exceptions.SSLError("x"),
        requests.exceptions.ReadTimeout("x"),
        requests.exceptions.ConnectionError("x"),
    ],
)
def test_what_does_not_tell_may_have_been_processed(error: requests.RequestException) -> None:
    assert not judge(error).never_sent


def test_the_error_of_a_session_stays_the_librarys() -> None:
    with https(certificate=issued("127.0.0.1", by=STRANGER)) as place:
        session = make_client(base_url=place.url, transport=place.transport).session
        with pytest.raises(requests.exceptions.SSLError):
            session.get(f"{place.url}/x")
