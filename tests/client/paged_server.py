"""A server of lists on a real socket, whose answers a test can hold back."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Longer than any machine needs: whoever waits so long waits in vain.
PATIENCE = 20.0


@dataclass
class Call:
    """One request, as the server got it."""

    method: str
    query: dict[str, str]
    authorization: str | None


@dataclass
class Reply:
    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever asks may be gone before it is answered."""


class PagedServer:
    """Answers by a function; counts what it is asked, and how much at once."""

    def __init__(self, answer: Callable[[Call], Reply | Any]) -> None:
        self.answer = answer
        self._changed = threading.Condition()
        self.calls: list[Call] = []
        self.under_way = self.most_under_way = 0
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def asked(self, param: str) -> list[int]:
        """Give what a parameter was in each request, those without it left out."""
        with self._changed:
            return [int(call.query[param]) for call in self.calls if param in call.query]

    def wait_for(self, condition: Callable[[PagedServer], bool]) -> None:
        """Wait until the server has been asked as a condition says."""
        with self._changed:
            assert self._changed.wait_for(lambda: condition(self), PATIENCE), self.calls

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                self.rfile.read(length)
                query = dict(parse_qsl(urlsplit(self.path).query))
                call = Call(self.command, query, self.headers.get("Authorization"))
                with server._changed:
                    server.calls.append(call)
                    server.under_way += 1
                    server.most_under_way = max(server.most_under_way, server.under_way)
                    server._changed.notify_all()
                given = server.answer(call)
                reply = given if isinstance(given, Reply) else Reply(200, given)
                body = json.dumps(reply.body).encode()
                with server._changed:
                    server.under_way -= 1
                    server._changed.notify_all()
                # Not everybody waits for an answer.
                with suppress(OSError):
                    self.send_response(reply.status)
                    for name, value in reply.headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            do_POST = do_GET

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler


@contextmanager
def paged_server(answer: Callable[[Call], Reply | Any]) -> Iterator[PagedServer]:
    server = PagedServer(answer)
    try:
        yield server
    finally:
        server.close()


class Pages:
    """A list in pages of one size, by ``pageIndex``, ``offset`` or ``cursor``; may hold answers back.

    :param held: the pages that wait to be let go
    """

    def __init__(self, count: int, *, size: int = 3, held: set[int] | None = None) -> None:
        self.count, self.size = count, size
        self.held = {number: threading.Event() for number in held or ()}

    @property
    def records(self) -> list[dict[str, int]]:
        return [{"id": number} for number in range(self.count * self.size)]

    def __call__(self, call: Call) -> Any:
        number = self.number(call)
        if number in self.held:
            assert self.held[number].wait(PATIENCE)
        start = int(call.query["offset"]) if "offset" in call.query else number * self.size
        more = str(number + 1) if number + 1 < self.count else None
        rows = self.records[start : start + self.size]
        return {"data": rows, "total": len(self.records), "cursor": more}

    def number(self, call: Call) -> int:
        query = call.query
        return int(query.get("pageIndex") or query.get("cursor") or int(query.get("offset", 0)) // self.size)

    def let_go(self, *numbers: int) -> None:
        for number in numbers or tuple(self.held):
            self.held[number].set()
