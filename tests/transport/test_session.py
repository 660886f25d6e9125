from __future__ import annotations

import gzip
import os
import random
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from pytest_httpserver import HTTPServer
from requests.adapters import HTTPAdapter
from werkzeug import Request, Response

from airflow_provider_finauth.exceptions import ConfigurationError, CrossOriginError
from airflow_provider_finauth.transport.origins import origin_of
from airflow_provider_finauth.transport.reading import (
    DeadlineExceeded,
    ResponseTooLarge,
    TruncatedResponse,
    read_bounded,
)
from airflow_provider_finauth.transport.session import OriginSession, TransportSettings


@pytest.fixture
def other() -> Iterator[HTTPServer]:
    with HTTPServer(host="localhost") as server:
        yield server


@pytest.fixture
def session(httpserver: HTTPServer) -> Iterator[OriginSession]:
    with OriginSession(TransportSettings(), [origin_of(httpserver.url_for("/"))]) as session:
        yield session


def test_redirect_within_the_origin_is_followed(httpserver: HTTPServer, session: OriginSession) -> None:
    httpserver.expect_request("/a").respond_with_response(Response(status=302, headers={"Location": "/b"}))
    httpserver.expect_request("/b").respond_with_data("here")
    assert session.get(httpserver.url_for("/a"), headers={"X-Key": "k"}).text == "here"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_to_another_origin_sends_nothing(
    httpserver: HTTPServer, other: HTTPServer, session: OriginSession, status: int
) -> None:
    other.expect_request("/b").respond_with_data("stolen")
    httpserver.expect_request("/a").respond_with_response(
        Response(status=status, headers={"Location": other.url_for("/b")})
    )
    with pytest.raises(CrossOriginError, match="was not sent"):
        session.get(httpserver.url_for("/a"), headers={"X-Key": "k"})
    assert other.log == []


def test_scheme_relative_redirect_is_another_origin(httpserver: HTTPServer, session: OriginSession) -> None:
    httpserver.expect_request("/a").respond_with_response(
        Response(status=302, headers={"Location": "//example.com/b"})
    )
    with pytest.raises(CrossOriginError):
        session.get(httpserver.url_for("/a"))


def test_a_post_follows_no_redirect(httpserver: HTTPServer, session: OriginSession) -> None:
    httpserver.expect_request("/a").respond_with_response(Response(status=302, headers={"Location": "/b"}))
    assert session.post(httpserver.url_for("/a"), data="x").status_code == 302
    assert [request.path for request, _ in httpserver.log] == ["/a"]


def test_unknown_origin_is_refused(session: OriginSession) -> None:
    with pytest.raises(CrossOriginError, match="set it as the connection's host"):
        session.get("https://api.example.com/x")
    with pytest.raises(CrossOriginError, match="plain http"):
        session.get("http://api.example.com/x")


def test_netrc_is_never_read(
    httpserver: HTTPServer, session: OriginSession, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine localhost login u password p\nmachine 127.0.0.1 login u password p\n")
    monkeypatch.setenv("NETRC", str(netrc))
    httpserver.expect_request("/a").respond_with_handler(
        lambda request: Response(request.headers.get("Authorization", "none"))
    )
    url = httpserver.url_for("/a")
    assert session.get(url, headers={"Authorization": "Bearer t"}).text == "Bearer t"
    assert session.get(url).text == "none"


def test_proxies_of_the_environment_are_honoured(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", httpserver.url_for("/"))
    monkeypatch.setenv("no_proxy", "")
    seen: list[str] = []

    def proxy(request: Request) -> Response:
        seen.append(request.environ["REQUEST_URI"])
        return Response("through the proxy")

    httpserver.expect_request("/x").respond_with_handler(proxy)
    with OriginSession(TransportSettings(), [origin_of("http://localhost:1")]) as session:
        assert session.get("http://localhost:1/x").text == "through the proxy"
    monkeypatch.setenv("no_proxy", "localhost")
    with (
        OriginSession(TransportSettings(), [origin_of("http://localhost:1")]) as session,
        pytest.raises(requests.ConnectionError),
    ):
        session.get("http://localhost:1/x")
    assert len(seen) == 1


def test_time_outs_are_always_set(httpserver: HTTPServer) -> None:
    held = threading.Event()

    def slow(request: Request) -> Response:
        held.wait(20)
        return Response("late")

    httpserver.expect_request("/slow").respond_with_handler(slow)
    settings = TransportSettings(read_timeout=0.2)
    with (
        OriginSession(settings, [origin_of(httpserver.url_for("/"))]) as session,
        pytest.raises(requests.ReadTimeout),
    ):
        session.get(httpserver.url_for("/slow"))
    held.set()


def test_body_is_bounded_after_decompression(httpserver: HTTPServer, session: OriginSession) -> None:
    packed = gzip.compress(b"0" * 1_000_000)
    httpserver.expect_request("/big").respond_with_data(packed, headers={"Content-Encoding": "gzip"})
    response = session.get(httpserver.url_for("/big"), stream=True)
    with pytest.raises(ResponseTooLarge):
        read_bounded(response, 10_000)
    response = session.get(httpserver.url_for("/big"), stream=True)
    assert len(read_bounded(response, 1_000_000)) == 1_000_000
    assert response.content == b"0" * 1_000_000


def serve_once(answer: bytes, *, hold: threading.Event | None = None) -> str:
    """Answer one connection with raw bytes, then close it (or keep it open until ``hold``)."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        connection, _ = listener.accept()
        connection.recv(65536)
        connection.sendall(answer)
        if hold is not None:
            hold.wait(20)
        connection.close()
        listener.close()

    threading.Thread(target=run, daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}/"


def test_truncated_body() -> None:
    url = serve_once(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")
    with OriginSession(TransportSettings(), [origin_of(url)]) as session:
        response = session.get(url, stream=True)
        with pytest.raises(TruncatedResponse):
            read_bounded(response, 1000)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_drips_meets_its_deadline(packed: bool, chunked: bool) -> None:
    # Nothing that packs well: it drips for longer than what has arrived is still taken.
    content = random.Random(1).randbytes(400)
    body = gzip.compress(content) if packed else content
    head = b"HTTP/1.1 200 OK\r\n" + (b"Content-Encoding: gzip\r\n" if packed else b"")
    head += (
        b"Transfer-Encoding: chunked\r\n\r\n" if chunked else f"Content-Length: {len(body)}\r\n\r\n".encode()
    )
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def drip() -> None:
        connection, _ = listener.accept()
        connection.recv(65536)
        connection.sendall(head)
        for byte in body:
            piece = bytes([byte])
            connection.sendall(b"1\r\n" + piece + b"\r\n" if chunked else piece)
            if stop.wait(0.05):
                break
        connection.close()

    threading.Thread(target=drip, daemon=True).start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    with OriginSession(TransportSettings(), [origin_of(url)]) as session:
        response = session.get(url, stream=True)
        with pytest.raises(DeadlineExceeded):
            read_bounded(response, 1000, deadline=time.monotonic() + 0.2)
    stop.set()
    listener.close()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_whole_body_is_read_and_half_of_it_is_not(packed: bool, chunked: bool) -> None:
    content = bytes(range(256)) * 400
    body = gzip.compress(content) if packed else content
    head = b"HTTP/1.1 200 OK\r\n" + (b"Content-Encoding: gzip\r\n" if packed else b"")

    def answer(sent: bytes) -> bytes:
        if not chunked:
            return head + f"Content-Length: {len(body)}\r\n\r\n".encode() + sent
        end = b"0\r\n\r\n" if sent == body else b""
        return (
            head
            + b"Transfer-Encoding: chunked\r\n\r\n"
            + f"{len(sent):x}\r\n".encode()
            + sent
            + b"\r\n"
            + end
        )

    for sent in (body, body[: len(body) // 2]):
        url = serve_once(answer(sent))
        with OriginSession(TransportSettings(), [origin_of(url)]) as session:
            response = session.get(url, stream=True)
            if sent == body:
                assert read_bounded(response, len(content)) == content
            else:
                with pytest.raises(TruncatedResponse):
                    read_bounded(response, len(content))


def test_deadline_of_a_body() -> None:
    hold = threading.Event()
    url = serve_once(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this", hold=hold)
    with OriginSession(TransportSettings(read_timeout=0.2), [origin_of(url)]) as session:
        response = session.get(url, stream=True)
        with pytest.raises(DeadlineExceeded):
            read_bounded(response, 1000)
    hold.set()


def test_what_has_arrived_is_read_past_the_deadline() -> None:
    """A process that was stopped finds an answer that may have cost a refresh token."""
    url = serve_once(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody")
    with OriginSession(TransportSettings(), [origin_of(url)]) as session:
        response = session.get(url, stream=True)
        assert read_bounded(response, 1000, deadline=time.monotonic() - 600) == b"body"


def test_a_fork_takes_connections_of_its_own() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    connections: list[int] = []

    def converse(connection: socket.socket, number: int) -> None:
        with connection:
            while connection.recv(65536):
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % number)

    def accept() -> None:
        while len(connections) < 2:
            connection, _ = listener.accept()
            connections.append(1)
            threading.Thread(target=converse, args=(connection, len(connections)), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    with OriginSession(TransportSettings(), [origin_of(url)]) as session:
        assert session.get(url).text == "1"
        child = os.fork()
        if child == 0:  # pragma: no cover
            signal.alarm(20)
            answers = [session.get(url).text for _ in range(2)]
            os._exit(0 if answers == ["2", "2"] else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert session.get(url).text == "1"
    listener.close()


def test_the_adapter_is_that_of_the_origin_however_it_is_written() -> None:
    settings = TransportSettings(verify=False)
    with OriginSession(settings, [origin_of("https://api.example.com")]) as session:
        ours = session.get_adapter("https://api.example.com/x")
        assert ours is not OriginSession(settings, []).adapters["https://"]
        for url in (
            "https://api.example.com:443/x",
            "https://api.example.com./x",
            "HTTPS://API.example.com/x",
            "https://api.example.com",
            "https://api.example.com?q=1",
        ):
            assert session.get_adapter(url) is ours
        assert ours is session.adapters["https://api.example.com/"]


@pytest.mark.parametrize("length", [10, 1_000_000_000])
def test_the_body_of_a_redirect_is_bounded(length: int) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        connection.recv(65536)
        head = f"HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: {length}\r\n\r\n"
        connection.sendall(head.encode() + b"x" * min(length, 200_000))
        if length > 10:
            # The rest never comes: who waits for it does not get to the redirect's target.
            connection, _ = listener.accept()
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhere")
        stop.wait(20)

    threading.Thread(target=serve, daemon=True).start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    with OriginSession(TransportSettings(read_timeout=5), [origin_of(url)]) as session:
        answer = session.get(url, stream=True)
        assert answer.text == "here"
        assert len(answer.history[0].content) == (10 if length == 10 else 0)
    stop.set()
    listener.close()


def test_a_redirect_that_is_not_followed_keeps_its_body_unread() -> None:
    url = serve_once(b"HTTP/1.1 303 See Other\r\nLocation: /b\r\nContent-Length: 4\r\n\r\nbody")
    with OriginSession(TransportSettings(), [origin_of(url)]) as session:
        response = session.post(url, stream=True)
        with pytest.raises(ResponseTooLarge):
            read_bounded(response, 3)


@pytest.mark.parametrize("location", [b"http://[::1", b"/\xff", b"http://127.0.0.1:x/"])
def test_a_redirect_to_no_address(location: bytes) -> None:
    url = serve_once(b"HTTP/1.1 302 Found\r\nLocation: " + location + b"\r\nContent-Length: 0\r\n\r\n")
    with OriginSession(TransportSettings(), [origin_of(url)]) as session:
        with pytest.raises(CrossOriginError) as caught:
            session.get(url)
        assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "value", ["geheim\n", "geheim\x00", "geheim\x7f", "geheim–", " geheim", "geheim\x85", 7]
)
def test_a_header_value_that_cannot_be_sent_is_not_shown(session: OriginSession, value: str) -> None:
    url = f"{min(session.origins)}/"
    with pytest.raises(ConfigurationError, match="header 'X-Key' cannot be sent") as caught:
        session.get(url, headers={"X-Key": value})
    assert caught.value.field == "X-Key"
    prepared = requests.Request("GET", url).prepare()
    prepared.headers["X-Key"] = value
    with pytest.raises(ConfigurationError) as sent:
        session.send(prepared)
    for error in (caught.value, sent.value):
        assert "geheim" not in str(error)
        assert error.__context__ is None


@pytest.mark.parametrize("name", ["", "X Key", "X-Kéy", "X:Y", "X\n"])
def test_a_header_name_that_cannot_be_sent(session: OriginSession, name: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be sent"):
        session.get(f"{min(session.origins)}/", headers={name: "x"})


def test_headers_that_can_be_sent(httpserver: HTTPServer, session: OriginSession) -> None:
    httpserver.expect_request("/a").respond_with_handler(
        lambda request: Response(request.headers["X-Key"] + str("X-None" in request.headers))
    )
    headers = {"X-Key": "Ærlig\tja", "X-Bytes": b"abc", "X-Empty": "", "X-None": None}
    assert session.get(httpserver.url_for("/a"), headers=headers).text == "Ærlig\tjaFalse"


@pytest.mark.parametrize("method", ["GET /", "", "GÉT", "A\r\nB", "A\x00"])
def test_a_method_that_is_none(session: OriginSession, method: str) -> None:
    with pytest.raises(ConfigurationError, match="'method'") as caught:
        session.request(method, f"{min(session.origins)}/")
    assert caught.value.field == "method"


@pytest.mark.parametrize("proxies", [None, {}, {"https": "http://proxy.example:1"}])
@pytest.mark.parametrize("of_the_session", [{}, {"https": "http://proxy.example:2"}])
@pytest.mark.parametrize("stream", [None, False, True])
@pytest.mark.parametrize("verify", [None, False, True, "/ca.pem"])
@pytest.mark.parametrize("cert", [None, "/cert.pem"])
def test_settings_are_merged_as_requests_does(
    proxies: Any, of_the_session: Any, stream: Any, verify: Any, cert: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    url = "https://api.example.com/x"
    with OriginSession(TransportSettings(), [origin_of(url)]) as session:
        session.proxies, session.verify, session.cert = of_the_session, "/ours.pem", "/own.pem"
        merged = requests.Session.merge_environment_settings(session, url, proxies, stream, verify, cert)
        merged["proxies"] = dict(merged["proxies"] or {})
        ours = session.merge_environment_settings(url, proxies, stream, verify, cert)
        ours["proxies"] = dict(ours["proxies"] or {})
        assert ours == merged


def test_connections_are_told_apart_by_what_they_trust(tmp_path: Path) -> None:
    url = "https://api.example.com/"
    with OriginSession(TransportSettings(), [origin_of(url), origin_of("https://id.example.com")]) as session:

        def pool(page: int, verify: bool | str, cert: Any = None, proxy: str = "", to: str = url) -> object:
            prepared = requests.Request("GET", f"{to}{page}").prepare()
            adapter = session.get_adapter(prepared.url or "")
            assert isinstance(adapter, HTTPAdapter)
            proxies = {"https": proxy} if proxy else {}
            return adapter.get_connection_with_tls_context(prepared, verify, proxies, cert)

        ways: list[Any] = [
            (True,),
            (False,),
            (str(tmp_path),),
            ("/ca.pem",),
            (True, "/cert.pem"),
            (True, ("/cert.pem", "/key.pem")),
            (True, None, "http://proxy.example:1"),
            (True, None, "http://proxy.example:2"),
            (True, None, "", "https://id.example.com/"),
        ]
        pools = [pool(1, *way) for way in ways]
        assert len({id(each) for each in pools}) == len(ways)
        assert [pool(2, *way) for way in ways] == pools


def test_a_closed_session_connects_again(httpserver: HTTPServer, session: OriginSession) -> None:
    httpserver.expect_request("/a").respond_with_data("here")
    for _ in range(2):
        assert session.get(httpserver.url_for("/a")).text == "here"
        session.close()
