"""A server that gives lists, built before anybody asks: nothing is encoded while it is timed.

``GET /{pages}/{latency}/{connect}/{style}`` gives one page of a list of so many pages. ``latency`` are the
milliseconds that each answer takes, ``connect`` those that the first answer on a connection takes beyond
that, as a handshake would. The style says how the next page is asked for: ``index?page=2``,
``cursor?cursor=2`` or ``links?after=2``, the last being what the answer's link says. ``/small`` gives one
small object, ``/token`` a token.

    python -m benchmarks.speed.server [--pages N] [--records N]

prints its port, and ends with its standard input.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import socket
import sys
from email.utils import formatdate

_REQUEST = re.compile(
    rb"GET /(?P<pages>\d+)/(?P<latency>\d+)/(?P<connect>\d+)/(?P<style>index|cursor|links)"
    rb"(?:\?(?:[^ ]*&)?(?:page|cursor|after)=(?P<number>\d+))?[^ ]* HTTP/1.1\r\n"
)
_SMALL = b'{"id":1,"name":"A company","currency":"EUR","open":true}'
_TOKEN = b'{"access_token":"benchmark-%s","token_type":"Bearer","expires_in":86400}' % (b"x" * 800)
_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
_KINDS = (b"invoice", b"payment", b"payroll", b"transfer")


class Lists:
    """The lists' records, encoded, and the answers around them.

    :param pages: as many as the longest list has
    :param records: on each page
    """

    def __init__(self, pages: int, records: int) -> None:
        self.records = records
        self.address = ""
        # A page differs from another by the digits of its number within those of its records.
        template = b"[%s]" % b",".join(_record(position) for position in range(records))
        self._arrays = [template.replace(b"@@@@", b"%04d" % number) for number in range(pages)]

    def answer(self, pages: int, number: int, path: str) -> list[bytes]:
        """Give one page in parts.

        :param pages: of the list
        :param number: from 1; those beyond the list's end are empty
        :param path: of the list
        """
        array = self._arrays[number - 1] if 1 <= number <= pages else b"[]"
        follows = 1 <= number < pages
        start = f'{{"total":{pages * self.records},"pages":{pages},"page":{number},'
        if follows:
            start += f'"next":"{number + 1}","@odata.nextLink":"{self.address}{path}?after={number + 1}",'
        else:
            start += '"next":null,'
        before, after = f'{start}"value":'.encode(), b"}"
        return [_head(len(before) + len(array) + len(after)), before, array, after]


def _record(position: int) -> bytes:
    number = b"1@@@@%04d" % position
    cents = (position * 7919) % 1_000_000
    return (
        b'{"id":%b,"voucher":"V-%b","date":"2026-%02d-%02d","kind":"%b","amount":%d.%02d,'
        b'"currency":"EUR","account":"%d","open":%b}'
    ) % (
        number,
        number,
        position % 12 + 1,
        position % 28 + 1,
        _KINDS[position % 4],
        cents // 100,
        cents % 100,
        3000 + position % 500,
        b"true" if position % 3 else b"false",
    )


def _head(length: int) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: %b\r\nContent-Length: %d\r\n\r\n" % (
        formatdate(usegmt=True).encode(),
        length,
    )


class Conversation(asyncio.Protocol):
    """One connection."""

    def __init__(self, lists: Lists) -> None:
        self._lists = lists
        self._pending = b""
        self._is_new = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        transport.set_write_buffer_limits(high=1 << 24)

    def data_received(self, data: bytes) -> None:
        self._pending += data
        while (end := self._pending.find(b"\r\n\r\n")) >= 0:
            head = self._pending[: end + 4]
            told = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
            length = len(head) + (int(told[1]) if told else 0)
            if len(self._pending) < length:
                return
            self._pending = self._pending[length:]
            self._answer(head)

    def _answer(self, head: bytes) -> None:
        wanted = _REQUEST.match(head)
        if wanted is None:
            body = {b"/small": _SMALL, b"/token": _TOKEN}.get(head.split(b" ", 2)[1].partition(b"?")[0])
            self._send([_head(len(body)), body] if body else [_NOT_FOUND])
            return
        pages, latency, connect = (int(wanted[name]) for name in ("pages", "latency", "connect"))
        path = f"/{pages}/{latency}/{connect}/{wanted['style'].decode()}"
        answer = self._lists.answer(pages, int(wanted["number"] or 1), path)
        delay = latency + (connect if self._is_new else 0)
        self._is_new = False
        if delay:
            asyncio.get_running_loop().call_later(delay / 1000, self._send, answer)
        else:
            self._send(answer)

    def _send(self, parts: list[bytes]) -> None:
        if not self._transport.is_closing():
            self._transport.write(b"".join(parts))


async def serve(lists: Lists) -> None:
    """Serve until the standard input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Conversation(lists), "127.0.0.1", 0, backlog=1024)
    port = server.sockets[0].getsockname()[1]
    lists.address = f"http://127.0.0.1:{port}"
    print(port, flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


def main() -> None:
    """Build the lists, and serve them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed.server")
    parser.add_argument("--pages", type=int, default=1000)
    parser.add_argument("--records", type=int, default=1000)
    options = parser.parse_args()
    asyncio.run(serve(Lists(options.pages, options.records)))


if __name__ == "__main__":
    main()
