"""A proxy on loopback between a store and its server, which can be cut or fall silent."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Proxy:
    """Hands bytes on, both ways, until it is told otherwise.

    :param target: the port that it hands them to
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._flows = threading.Event()
        self._flows.set()
        self._is_cut = False
        self._guard = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def cut(self) -> None:
        """Break all connections, and each new one at once."""
        self._is_cut = True
        self._flows.set()
        self._break_all()

    def fall_silent(self) -> None:
        """Keep all connections, take new ones, and hand nothing on."""
        self._flows.clear()

    def mend(self) -> None:
        """Be a good proxy again. What was silent is broken: its other side has given up."""
        self._break_all()
        self._is_cut = False
        self._flows.set()

    def close(self) -> None:
        self.cut()
        self._listener.close()

    def _break_all(self) -> None:
        with self._guard:
            broken, self._sockets = self._sockets, set()
        for one in broken:
            _close(one)

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._is_cut:
                _close(client)
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                _close(client)
                continue
            with self._guard:
                self._sockets |= {client, server}
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while some := source.recv(65536):
                self._flows.wait()
                sink.sendall(some)
        _close(source)
        _close(sink)
        with self._guard:
            self._sockets -= {source, sink}


def _close(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()


@contextmanager
def before(port: int) -> Iterator[Proxy]:
    """Run a proxy before a server for the length of the block."""
    proxy = Proxy(port)
    try:
        yield proxy
    finally:
        proxy.close()
