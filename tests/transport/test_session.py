from __future__ import annotations

import gzip
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from airflow_provider_finauth.exceptions import CrossOriginError
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
    body = gzip.compress(b"x" * 200) if packed else b"x" * 200
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
    url = serve_once(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody")
    with OriginSession(TransportSettings(), [origin_of(url)]) as session:
        response = session.get(url, stream=True)
        with pytest.raises(DeadlineExceeded):
            read_bounded(response, 1000, deadline=time.monotonic() - 1)
