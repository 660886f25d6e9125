"""What a person writes by hand: a loop over pages, with a client and a decoder."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any, ClassVar
from urllib.parse import urlsplit

from benchmarks.speed.subjects.base import TOKEN, Order, Style, Subject

_HEADERS = {"Authorization": f"Bearer {TOKEN}"}


def next_params(order: Order, page: dict[str, Any]) -> dict[str, str] | None:
    """Give the next page's parameters."""
    if order.style == "cursor":
        return {"cursor": page["next"]} if page["next"] else None
    return {"page": str(page["page"] + 1)} if page["page"] < page["pages"] else None


class RequestsJson(Subject):
    key = "requests-json"
    title = "requests + json"
    distributions = ("requests",)
    used = "`requests.Session`, `json.loads`, a loop"

    def load(self) -> None:
        import requests  # noqa: F401

    def decode(self, body: bytes) -> Any:
        return json.loads(body)

    def pull(self, order: Order) -> int:
        import requests

        count, params = 0, {}
        with requests.Session() as session:
            session.headers.update(_HEADERS)
            while params is not None:
                response = session.get(order.url, params=params, timeout=60)
                response.raise_for_status()
                page = self.decode(response.content)
                for _ in page["value"]:
                    count += 1
                params = next_params(order, page)
        return count

    def caller(self, address: str) -> Callable[[], Any]:
        import requests

        session = requests.Session()
        session.headers.update(_HEADERS)
        return lambda: session.get(f"{address}/small", timeout=60)


class RequestsMsgspec(RequestsJson):
    key = "requests-msgspec"
    title = "requests + msgspec"
    distributions = ("requests", "msgspec")
    used = "`requests.Session`, `msgspec.json.decode`, a loop"

    def load(self) -> None:
        import msgspec
        import requests  # noqa: F401

        self._decode = msgspec.json.Decoder().decode

    def decode(self, body: bytes) -> Any:
        return self._decode(body)


class Aiohttp(Subject):
    key = "aiohttp"
    title = "aiohttp + msgspec"
    distributions = ("aiohttp", "msgspec")
    used = "`aiohttp.ClientSession`, `msgspec.json.decode`, a loop, one page after the other"

    def load(self) -> None:
        import aiohttp  # noqa: F401
        import msgspec  # noqa: F401

    def pull(self, order: Order) -> int:
        import asyncio

        return asyncio.run(self._pull(order))

    async def _pull(self, order: Order) -> int:
        import aiohttp
        import msgspec

        decode = msgspec.json.Decoder().decode
        count, params = 0, {}
        async with aiohttp.ClientSession(headers=_HEADERS) as session:
            while params is not None:
                async with session.get(order.url, params=params, raise_for_status=True) as response:
                    page = decode(await response.read())
                for _ in page["value"]:
                    count += 1
                params = next_params(order, page)
        return count


class Drain(Subject):
    """A socket that is read and not looked into: what the server can give at most."""

    key = "drain"
    title = "*a bare socket, answers not looked into*"
    distributions = ()
    used = "`socket`: what the server gives at most"
    styles: ClassVar[frozenset[Style]] = frozenset({"index"})

    def load(self) -> None:
        pass

    def pull(self, order: Order) -> int:
        parts = urlsplit(order.address)
        room = memoryview(bytearray(1 << 20))
        with socket.create_connection((parts.hostname, parts.port)) as connection:
            for number in range(1, order.pages + 1):
                request = f"GET /{order.path}?page={number} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n"
                connection.sendall(request.encode())
                received = connection.recv_into(room)
                head, _, body = bytes(room[:received]).partition(b"\r\n\r\n")
                left = int(head.rpartition(b"Content-Length: ")[2]) - len(body)
                while left:
                    left -= connection.recv_into(room, min(left, len(room)))
        return order.pages * order.records
