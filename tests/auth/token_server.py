"""A token endpoint on loopback that counts, keeps connections open, and fails in chosen ways."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Behaviour = Callable[["_Handler"], None]


@dataclass
class Received:
    """One request, as it came."""

    path: str
    headers: dict[str, str]
    body: str


@dataclass
class TokenServer:
    """What a test sees of the server.

    :param script: what to do with the next requests; afterwards each gets a new token
    """

    url: str = ""
    requests: list[Received] = field(default_factory=list, repr=False)
    connections: int = 0
    script: list[Behaviour] = field(default_factory=list)
    guard: threading.Lock = field(default_factory=threading.Lock)
    release: threading.Event = field(default_factory=threading.Event)


def answer(status: int, body: Any = b"", **headers: str) -> Behaviour:
    """Answer with a status, a body and headers (underscores stand for dashes)."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    def behave(handler: _Handler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return behave


def reset(handler: _Handler) -> None:
    """Take the request, then break the connection."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True
    handler.connection.close()


def silence(handler: _Handler) -> None:
    """Take the request and say nothing until the test is over."""
    handler.server.seen.release.wait(60)
    handler.close_connection = True


def half(handler: _Handler) -> None:
    """Promise more than is sent."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"access_token":')
    handler.close_connection = True


def drip(handler: _Handler) -> None:
    """Send a byte now and then, for ever."""
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    while not handler.server.seen.release.wait(0.02):
        handler.wfile.write(b"1\r\n \r\n")
        handler.wfile.flush()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    seen: TokenServer

    def process_request(self, request: Any, client_address: Any) -> None:
        with self.seen.guard:
            self.seen.connections += 1
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that gives up is what some tests want."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        seen = self.server.seen
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        with seen.guard:
            seen.requests.append(Received(self.path, dict(self.headers), body))
            number = len(seen.requests)
            behave = seen.script.pop(0) if seen.script else None
        if behave is None:
            behave = answer(200, {"access_token": f"access-{number}", "expires_in": 3600})
        behave(self)

    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def running(context: ssl.SSLContext | None = None) -> Iterator[TokenServer]:
    """Run a server for the length of the block."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.seen = TokenServer()
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    scheme = "https" if context is not None else "http"
    server.seen.url = f"{scheme}://127.0.0.1:{server.server_port}/token"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.seen
    finally:
        server.seen.release.set()
        server.shutdown()
        thread.join(20)
        server.server_close()
