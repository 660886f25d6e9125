"""What the client's tests have in common: a clock, an authorizer and a profile of their own."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_provider_finauth.auth.credentials import Credentials, FixedCredentials
from airflow_provider_finauth.client.client import ApiClient
from airflow_provider_finauth.client.profile import Profile
from airflow_provider_finauth.secret import Secret
from airflow_provider_finauth.transport.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BASE = "https://api.example"
JSON = {"Content-Type": "application/json"}
TOKENS = ["first-token-0001", "second-token-0002", "third-token-0003"]


class FakeClock(Clock):
    """A clock that moves only by sleeping, and notes each sleep."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.slept: list[float] = []

    def wall(self) -> float:
        return 1_700_000_000.0 + self.now

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self.sleep(seconds)
        return event.is_set()


class FakeAuthorizer:
    """Gives tokens of a list; ``replace`` moves on to the next, by value."""

    def __init__(self, tokens: list[str] | None = None) -> None:
        self.tokens = list(TOKENS if tokens is None else tokens)
        self.asked = 0
        self.replaced: list[str] = []

    def authorization(self) -> Secret:
        self.asked += 1
        return Secret(f"Bearer {self.tokens[0]}")

    def replace(self, used: Secret) -> Secret | None:
        token = used.reveal().removeprefix("Bearer ")
        self.replaced.append(token)
        if token == self.tokens[0]:
            if len(self.tokens) == 1:
                return None
            self.tokens.pop(0)
        return Secret(f"Bearer {self.tokens[0]}")


def credentials() -> Credentials:
    return Credentials(
        conn_id="my_conn",
        api="demo",
        grant="client_credentials",
        token_endpoint="https://id.example/token",
        client_id="client",
        client_secret=Secret("the-client-secret"),
    )


def profile(**changes: Any) -> Profile:
    given: dict[str, Any] = {
        "api": "demo",
        "conn_id": "my_conn",
        "base_url": BASE,
        "credentials": credentials(),
        "secrets": (Secret("the-client-secret"),),
    }
    return Profile(**{**given, **changes})


def fixed(key: str = "fixed-key-0001") -> FixedCredentials:
    return FixedCredentials("my_conn", Secret(f"Bearer {key}"))


def make_client(
    *, clock: Clock | None = None, authorizer: FakeAuthorizer | None = None, **changes: Any
) -> ApiClient:
    return ApiClient(profile(**changes), authorizer or FakeAuthorizer(), clock=clock or FakeClock())


@contextmanager
def raw_server(*answers: Callable[[socket.socket, bytes], None] | bytes) -> Iterator[RawServer]:
    """Serve each answer to one request, byte by byte as given; the last one for all further requests."""
    server = RawServer(list(answers))
    try:
        yield server
    finally:
        server.close()


class RawServer:
    """A server that can break the rules of HTTP; reads a request's head and its announced body."""

    def __init__(self, answers: list[Callable[[socket.socket, bytes], None] | bytes]) -> None:
        self._answers = answers
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.requests: list[bytes] = []
        self.connections = 0
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        with connection:
            while (request := _read_request(connection)) is not None:
                self.requests.append(request)
                answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
                if isinstance(answer, bytes):
                    connection.sendall(answer)
                else:
                    answer(connection, request)
                    return


def _read_request(connection: socket.socket) -> bytes | None:
    received = b""
    try:
        while b"\r\n\r\n" not in received:
            piece = connection.recv(65536)
            if not piece:
                return None
            received += piece
        head, _, body = received.partition(b"\r\n\r\n")
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        while len(body) < length:
            body += connection.recv(65536)
    except OSError:
        return None
    return head + b"\r\n\r\n" + body


def answer_bytes(body: bytes = b"{}", status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Content-Type: application/json", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def reset(connection: socket.socket, request: bytes) -> None:
    """End a connection with a reset, as a server that dies does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
