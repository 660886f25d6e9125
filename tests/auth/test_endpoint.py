from __future__ import annotations

import email.utils
import logging
import socket
import ssl
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from airflow_provider_finauth.auth.answer import PassingError
from airflow_provider_finauth.auth.endpoint import NeverSentError, TokenEndpoint
from airflow_provider_finauth.auth.grants import first_request, refresh_request
from airflow_provider_finauth.exceptions import (
    FinauthError,
    InvalidClientError,
    RateLimitedError,
    TokenEndpointError,
)
from airflow_provider_finauth.secret import Secret
from airflow_provider_finauth.transport.session import TransportSettings
from tests.auth import token_server
from tests.auth.support import FakeClock, authorised_credentials, client_credentials, password_credentials
from tests.auth.token_server import TokenServer, answer

if TYPE_CHECKING:
    from airflow_provider_finauth.auth.credentials import Credentials

PASSING = [answer(status) for status in (500, 502, 503, 504, 408)]
PASSING += [
    answer(400, {"error": "server_error"}),
    token_server.reset,
    token_server.half,
    token_server.silence,
]
LASTING = [
    answer(400, {"error": "invalid_client"}),
    *map(answer, (401, 403, 404, 302)),
    answer(200, b"<html>"),
]
GOOD = answer(200, {"access_token": "good", "expires_in": 900})
QUICK = TransportSettings(connect_timeout=5, read_timeout=0.2)


@pytest.fixture
def server() -> Iterator[TokenServer]:
    with token_server.running() as running:
        yield running


@pytest.fixture
def alone(server: TokenServer) -> Credentials:
    return client_credentials(token_endpoint=server.url, transport=QUICK)


@pytest.fixture
def authorised(server: TokenServer) -> Credentials:
    return authorised_credentials(token_endpoint=server.url, transport=QUICK)


def ask(credentials: Credentials, clock: FakeClock, *, seconds: float = 60) -> Any:
    seed = credentials.refresh_token
    request = first_request(credentials) if seed is None else refresh_request(credentials, seed)
    return TokenEndpoint(clock=clock).ask(credentials, request, clock.monotonic() + seconds)


def test_a_token_is_asked_for(server: TokenServer, alone: Credentials, clock: FakeClock) -> None:
    began = clock.monotonic()
    got = ask(alone, clock)
    assert got.access_token == Secret("access-1")
    assert got.lifetime == 3600
    assert got.asked_at == began
    [request] = server.requests
    assert request.path == "/token"
    assert request.body == "grant_type=client_credentials&client_id=the-client" + (
        "&client_secret=the-client-secret&scope=ledger"
    )
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert "Authorization" not in request.headers


def test_parameters_of_the_query_go_there(server: TokenServer, clock: FakeClock) -> None:
    from airflow_provider_finauth.auth.credentials import RequestStyle

    style = RequestStyle(body="json", grant_type_in="query")
    ask(password_credentials(token_endpoint=server.url, style=style), clock)
    [request] = server.requests
    assert request.path == "/token?grant_type=password"
    assert request.headers["Content-Type"] == "application/json"


def test_each_request_has_a_connection_of_its_own(
    server: TokenServer, alone: Credentials, clock: FakeClock
) -> None:
    for _ in range(3):
        ask(alone, clock)
    assert server.connections == 3


@pytest.mark.parametrize("failure", [*PASSING, answer(429)])
def test_a_grant_that_starts_over_alone_is_asked_for_again(
    server: TokenServer, alone: Credentials, clock: FakeClock, failure: Any
) -> None:
    server.script = [failure, failure, GOOD]
    assert ask(alone, clock).access_token == Secret("good")
    assert len(server.requests) == 3


@pytest.mark.parametrize("failure", [*PASSING, answer(200, b"<html>"), answer(302)])
def test_a_refresh_of_an_authorised_grant_is_never_sent_twice(
    server: TokenServer, authorised: Credentials, clock: FakeClock, failure: Any
) -> None:
    server.script = [failure]
    with pytest.raises(TokenEndpointError) as caught:
        ask(authorised, clock)
    assert not isinstance(caught.value, NeverSentError)
    assert not caught.value.permanent
    assert len(server.requests) == 1
    assert clock.slept == []


def test_a_refresh_that_was_turned_away_unread_is_repeated(
    server: TokenServer, authorised: Credentials, clock: FakeClock
) -> None:
    server.script = [answer(429, Retry_After="3"), GOOD]
    assert ask(authorised, clock).access_token == Secret("good")
    assert 3 <= clock.slept[0] < 4


def test_landaxs_refresh_is_repeated_since_it_can_log_in(server: TokenServer, clock: FakeClock) -> None:
    credentials = password_credentials(token_endpoint=server.url)
    server.script = [answer(503), GOOD]
    request = refresh_request(credentials, Secret("r"))
    TokenEndpoint(clock=clock).ask(credentials, request, clock.monotonic() + 60)
    assert len(server.requests) == 2


@pytest.mark.parametrize("failure", LASTING)
def test_what_will_not_pass_is_not_repeated(
    server: TokenServer, alone: Credentials, clock: FakeClock, failure: Any
) -> None:
    server.script = [failure]
    with pytest.raises((InvalidClientError, TokenEndpointError)):
        ask(alone, clock)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(
    server: TokenServer, alone: Credentials, clock: FakeClock, status: int
) -> None:
    with token_server.running() as other:
        server.script = [answer(status, Location=other.url)]
        with pytest.raises(TokenEndpointError, match="redirect"):
            ask(alone, clock)
        server.script = [answer(status, Location=server.url)]
        with pytest.raises(TokenEndpointError, match="redirect"):
            ask(alone, clock)
        assert other.requests == []
    assert len(server.requests) == 2


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_honoured(
    server: TokenServer, alone: Credentials, clock: FakeClock, status: int
) -> None:
    # By the server's own clock, which it tells.
    date = email.utils.formatdate(time.time() + 20, usegmt=True)
    server.script = [answer(status, Retry_After="10"), answer(status, Retry_After=date), GOOD]
    ask(alone, clock)
    first, second = clock.slept
    assert 10 <= first < 11
    assert 20 - 2 <= second <= 21


@pytest.mark.parametrize(
    "value",
    ["soon", "-5", "1e9", "", "nan", "Mon, 99 Foo 2020", "Tue, 01 Jan 2030 99999999999:00:00 GMT"],
)
def test_an_unreadable_retry_after_counts_as_none(
    server: TokenServer, alone: Credentials, clock: FakeClock, value: str
) -> None:
    server.script = [answer(503, Retry_After=value), GOOD]
    ask(alone, clock)
    assert clock.slept[0] <= 0.5


def test_a_longer_wait_than_the_deadline_is_left_to_the_caller(
    server: TokenServer, alone: Credentials, clock: FakeClock
) -> None:
    server.script = [answer(429, Retry_After="3600")]
    with pytest.raises(RateLimitedError) as caught:
        ask(alone, clock)
    assert caught.value.retry_after == 3600
    assert clock.slept == []


def test_waits_are_jittered_and_end(server: TokenServer, alone: Credentials, clock: FakeClock) -> None:
    server.script = [answer(503)] * 10
    with pytest.raises(PassingError, match="503"):
        ask(alone, clock)
    assert len(server.requests) == 4
    assert len(set(clock.slept)) == 3
    assert all(wait <= longest for wait, longest in zip(clock.slept, (0.5, 1, 2), strict=True))


def test_no_attempt_begins_after_the_deadline(
    server: TokenServer, alone: Credentials, clock: FakeClock
) -> None:
    with pytest.raises(NeverSentError, match="time for it was over"):
        ask(alone, clock, seconds=0)
    assert server.requests == []


def test_an_answer_that_drips_ends_with_the_deadline(server: TokenServer, clock: FakeClock) -> None:
    patient = authorised_credentials(token_endpoint=server.url, transport=TransportSettings(read_timeout=60))
    server.script = [token_server.drip]
    with pytest.raises(PassingError, match="in time"):
        ask(patient, clock, seconds=0.2)
    assert len(server.requests) == 1


def test_an_endless_answer_is_bounded(server: TokenServer, alone: Credentials, clock: FakeClock) -> None:
    server.script = [answer(200, b" " * (2 * 1024 * 1024))] * 4
    with pytest.raises(PassingError, match="more than"):
        ask(alone, clock)


def test_a_connection_refused_was_never_sent(clock: FakeClock) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    credentials = authorised_credentials(token_endpoint=f"http://127.0.0.1:{port}/token")
    with pytest.raises(
        NeverSentError,
        match=r"the connection was refused\. Check the connection's field 'oauth_endpoint', and",
    ):
        ask(credentials, clock)
    assert len(clock.slept) == 3


def test_an_unknown_name_was_never_sent(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*args: Any, **kwargs: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(NeverSentError, match=r"id\.example\.com did not reach the server: its name"):
        ask(authorised_credentials(), clock)
    assert len(clock.slept) == 3


def test_an_untrusted_server_gets_nothing(clock: FakeClock, tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with token_server.running(context) as server:
        credentials = authorised_credentials(token_endpoint=server.url)
        with pytest.raises(NeverSentError, match="TLS"):
            ask(credentials, clock)
        assert server.requests == []
        trusted = tmp_path / "ca.pem"
        authority.cert_pem.write_to_path(str(trusted))
        settings = TransportSettings(ca_file=str(trusted))
        assert ask(authorised_credentials(token_endpoint=server.url, transport=settings), clock)


@pytest.mark.parametrize(
    "failure", [answer(401, {"error": "invalid_client"}), answer(503), token_server.reset, answer(200, b"{}")]
)
def test_no_log_text_or_traceback_holds_a_secret(
    server: TokenServer, clock: FakeClock, failure: Any, caplog: pytest.LogCaptureFixture
) -> None:
    credentials = authorised_credentials(token_endpoint=server.url)
    server.script = [failure]
    with caplog.at_level(logging.DEBUG), pytest.raises(FinauthError) as caught:
        ask(credentials, clock)
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    text = "".join(shown.format()) + caplog.text
    assert "tests/auth/test_endpoint.py" in text
    assert "the-client-secret" not in text
    assert "seed-1" not in text
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


def test_a_process_that_was_stopped_while_it_connected_sends_nothing(
    server: TokenServer, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = socket.socket.connect

    def stop_meanwhile(self: socket.socket, address: Any) -> None:
        connect(self, address)
        clock.advance(61)

    monkeypatch.setattr(socket.socket, "connect", stop_meanwhile)
    credentials = authorised_credentials(token_endpoint=server.url)
    with pytest.raises(NeverSentError, match="time for it was over"):
        ask(credentials, clock, seconds=60)
    # Headers are all that a server can have seen.
    monkeypatch.undo()
    ask(credentials, clock)
    assert len([received for received in server.requests if received.body]) == 1


def test_a_request_that_has_left_counts_as_sent(
    server: TokenServer, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = socket.socket.sendall

    def stop_afterwards(self: socket.socket, data: Any, *flags: int) -> None:
        send(self, data, *flags)
        if b"refresh_token" in bytes(data):
            clock.advance(61)

    monkeypatch.setattr(socket.socket, "sendall", stop_afterwards)
    answered = ask(authorised_credentials(token_endpoint=server.url), clock, seconds=60)
    assert answered.access_token is not None
    assert len(server.requests) == 1
