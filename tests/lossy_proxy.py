"""A TCP proxy that loses answers, or delivers requests late."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

_NOTHING = b"\0no such bytes"


class LossyProxy:
    """Stands between a client and a server on this machine, and does harm where it is told to.

    :param upstream: the server's port
    """

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._guard = threading.Lock()
        self._lose = (_NOTHING, 0)
        self._delay = _NOTHING
        self._go_on = threading.Event()
        self.delayed = threading.Event()
        self.delivered = threading.Event()
        self.lost = 0

    def lose_answers(self, needle: bytes, times: int) -> None:
        """Deliver the next requests that contain ``needle``, and end their connections without an answer."""
        with self._guard:
            self._lose = (needle, times)

    def delay_requests(self, needle: bytes) -> None:
        """Keep requests that contain ``needle`` until :meth:`deliver`, whether or not the client waits."""
        self._delay = needle

    def deliver(self) -> None:
        """Hand on what was delayed, and delay nothing more."""
        self._delay = _NOTHING
        self._go_on.set()

    def close(self) -> None:
        """Take no more connections."""
        self.deliver()
        # Closing alone does not wake the thread that waits for one.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def serve(self) -> None:
        """Take connections until :meth:`close`."""
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            link = _Link(client, socket.create_connection(("127.0.0.1", self._upstream)))
            for work in (self._requests, self._answers):
                threading.Thread(target=work, args=(link,), daemon=True).start()

    def _requests(self, link: _Link) -> None:
        with suppress(OSError):
            while request := link.client.recv(1 << 16):
                with self._guard:
                    needle, times = self._lose
                    if times > 0 and needle in request:
                        self._lose = (needle, times - 1)
                        self.lost += 1
                        link.swallow = True
                if self._delay in request:
                    self.delayed.set()
                    self._go_on.wait(60)
                    link.late = True
                    link.server.sendall(request)
                    self.delivered.wait(60)
                else:
                    link.server.sendall(request)
        link.end()

    def _answers(self, link: _Link) -> None:
        with suppress(OSError):
            while answer := link.server.recv(1 << 16):
                if link.late:
                    # The server has done it, whether or not anybody still waits for the answer.
                    self.delivered.set()
                if link.swallow:
                    break
                link.client.sendall(answer)
        link.end()


@dataclass
class _Link:
    client: socket.socket
    server: socket.socket
    swallow: bool = False
    late: bool = False

    def end(self) -> None:
        for side in (self.client, self.server):
            with suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
            side.close()


@contextmanager
def lossy_proxy(upstream: int) -> Iterator[LossyProxy]:
    """Run a proxy for the length of the block.

    :param upstream: the server's port
    """
    proxy = LossyProxy(upstream)
    thread = threading.Thread(target=proxy.serve, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.close()
        thread.join(20)
