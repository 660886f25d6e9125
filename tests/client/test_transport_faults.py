"""What only a real connection shows: answers cut short, resets, slowness, kept connections, redirects."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_finauth.client.paging.base import Pull, Request
from airflow_provider_finauth.client.paging.next_link import NextLink
from airflow_provider_finauth.exceptions import ApiError, CrossOriginError
from airflow_provider_finauth.secret import Secret
from airflow_provider_finauth.transport.origins import origin_of
from airflow_provider_finauth.transport.session import TransportSettings
from tests.client.support import FakeClock, answer_bytes, make_client, raw_server, reset

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_finauth.client.client import ApiClient

CUT_SHORT = answer_bytes(b'{"a": [1, 2, 3]}')[:-5]


def cut_short(connection: socket.socket, request: bytes) -> None:
    connection.sendall(CUT_SHORT)


def cut_short_in_chunks(connection: socket.socket, request: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    connection.sendall(head + b"5\r\n[1, 2\r\n")


def half_a_gzip(connection: socket.socket, request: bytes) -> None:
    body = gzip.compress(b"[1, 2, 3]" * 100)[:30]
    connection.sendall(answer_bytes(body, "200 OK", "Content-Encoding: gzip", "Connection: close"))


def silent(connection: socket.socket, request: bytes) -> None:
    # Until the other side gives up.
    connection.recv(1)


def hang_up(connection: socket.socket, request: bytes) -> None:
    """Close without an answer."""


@pytest.fixture
def client() -> Iterator[Callable[..., ApiClient]]:
    made: list[ApiClient] = []

    def make(url: str, **changes: Any) -> ApiClient:
        quick = TransportSettings(connect_timeout=5.0, read_timeout=0.2)
        made.append(make_client(**{"base_url": url, "transport": quick, **changes}))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.mark.parametrize("fault", [cut_short, cut_short_in_chunks, reset, hang_up, silent])
def test_a_safe_request_is_repeated(fault: Any, client: Callable[..., ApiClient]) -> None:
    with raw_server(fault, fault, answer_bytes(b'{"a": 1}')) as server:
        assert client(server.url).get_json("/x") == {"a": 1}

    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (cut_short, "lost its connection before the answer was whole"),
        (cut_short_in_chunks, "lost its connection"),
        (reset, "lost its connection"),
        (hang_up, "lost its connection"),
        (silent, "not answered in time"),
    ],
)
def test_a_post_is_not(fault: Any, text: str, client: Callable[..., ApiClient]) -> None:
    with raw_server(fault, answer_bytes()) as server, pytest.raises(ApiError, match=text) as caught:
        client(server.url).request("POST", "/x", json={"secret": 1}, params={"q": "query"})

    assert len(server.requests) == 1
    assert "look before sending it again" in str(caught.value)
    assert "query" not in str(caught.value)
    assert caught.value.__context__ is None


def test_an_answer_compressed_and_broken_is_an_error(client: Callable[..., ApiClient]) -> None:
    with raw_server(half_a_gzip) as server, pytest.raises(ApiError):
        client(server.url, max_attempts=2).get_json("/x")

    assert len(server.requests) == 2


def test_a_small_answer_that_unpacks_to_a_large_one_is_refused(client: Callable[..., ApiClient]) -> None:
    bomb = gzip.compress(b"0" * 10_000_000)
    with (
        raw_server(answer_bytes(bomb, "200 OK", "Content-Encoding: gzip")) as server,
        pytest.raises(ApiError, match="more than 100000 bytes"),
    ):
        client(server.url, max_response_bytes=100_000).request("GET", "/x")

    assert len(server.requests) == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nobody_listens(method: str, client: Callable[..., ApiClient]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    clock = FakeClock()

    with pytest.raises(ApiError, match="the connection was refused. Check the connection's host"):
        client(f"http://127.0.0.1:{port}", clock=clock, max_attempts=4).request(method, "/x")
    assert len(clock.slept) == 3


def test_a_name_that_does_not_resolve(
    monkeypatch: pytest.MonkeyPatch, client: Callable[..., ApiClient]
) -> None:
    def unknown(*args: Any, **kwargs: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    clock = FakeClock()

    with pytest.raises(ApiError, match="did not reach the server"):
        client("https://nowhere.example", clock=clock, max_attempts=2).request("POST", "/x")
    assert len(clock.slept) == 1


def test_a_certificate_that_is_not_trusted_is_not_tried_again(
    tmp_path: Any, client: Callable[..., ApiClient]
) -> None:
    import trustme

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                try:
                    context.wrap_socket(connection, server_side=True)
                except ssl.SSLError:
                    return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        clock = FakeClock()
        with pytest.raises(ApiError, match="failed in TLS.*tls_ca_file"):
            client(f"https://127.0.0.1:{listener.getsockname()[1]}", clock=clock).request("GET", "/x")
        thread.join(timeout=30)

    assert clock.slept == []


def test_connections_are_kept(client: Callable[..., ApiClient]) -> None:
    with raw_server(answer_bytes(b"[]")) as server:
        made = client(server.url)
        for _ in range(5):
            made.get_json("/x")
        made.request("POST", "/x", json={})

    assert len(server.requests) == 6
    assert server.connections == 1


def test_error_answers_keep_their_connection_too(client: Callable[..., ApiClient]) -> None:
    with raw_server(answer_bytes(b'{"message": "no"}', "404 Not Found")) as server:
        made = client(server.url)
        for _ in range(3):
            with pytest.raises(ApiError, match="answered 404: no"):
                made.get_json("/x")

    assert server.connections == 1


def test_a_redirect_to_another_origin_gets_nothing(client: Callable[..., ApiClient]) -> None:
    with raw_server(answer_bytes(b"[]")) as elsewhere:
        moved = answer_bytes(b"", "302 Found", f"Location: {elsewhere.url}/y")
        with raw_server(moved) as server, pytest.raises(CrossOriginError):
            client(server.url, secret_headers={"Key": Secret("subscription")}).get_json("/x")

    assert elsewhere.requests == []
    assert elsewhere.connections == 0


def test_a_redirect_to_a_known_origin_carries_the_credentials(client: Callable[..., ApiClient]) -> None:
    with raw_server(answer_bytes(b'["there"]')) as elsewhere:
        moved = answer_bytes(b"", "307 Temporary Redirect", f"Location: {elsewhere.url}/y")
        with raw_server(moved) as server:
            known = frozenset({origin_of(elsewhere.url)})
            made = client(server.url, origins=known, secret_headers={"Key": Secret("subscription")})
            assert made.get_json("/x") == ["there"]

    assert b"Key: subscription" in elsewhere.requests[0]
    assert b"Authorization: Bearer " in elsewhere.requests[0]


def test_links_below_a_path_of_the_host(client: Callable[..., ApiClient]) -> None:
    first = answer_bytes(b'{"value": [{"id": 1}], "nextLink": "http://127.0.0.1/landax/things?skip=1"}')
    with raw_server(first, answer_bytes(b'{"value": [{"id": 2}]}')) as server:
        made = client(f"{server.url}/landax")
        pull = Pull(request=Request("GET", "/things"), paging=NextLink(), key="id")
        assert [record["id"] for record in made.records(pull)] == [1, 2]

    assert [request.split(b" ")[1] for request in server.requests] == [
        b"/landax/things",
        b"/landax/things?skip=1",
    ]
