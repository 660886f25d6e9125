"""Places on loopback that fail in chosen ways: servers, TLS servers and proxies, each over real sockets."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Behaviour = Callable[[socket.socket], None]


@contextmanager
def listening(behave: Behaviour) -> Iterator[int]:
    """Hand each connection to ``behave``, for the length of the block; give the port."""

    def converse(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            behave(connection)

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=converse, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0), backlog=16) as listener:
        threading.Thread(target=serve, daemon=True).start()
        try:
            yield listener.getsockname()[1]
        finally:
            # Closing alone does not wake the thread that waits for a connection.
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)


@contextmanager
def full() -> Iterator[int]:
    """Take connections until the queue of those that nobody accepts is full; further ones get no answer."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        try:
            yield listener.getsockname()[1]
        finally:
            for one in waiting:
                one.close()


def closed_port() -> int:
    """Give a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def read_request(connection: socket.socket) -> bytes:
    """Read a request with its body, if it announces one."""
    received = b""
    while b"\r\n\r\n" not in received:
        if not (piece := connection.recv(65536)):
            return received
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    while len(body) < length:
        if not (piece := connection.recv(65536)):
            break
        body += piece
    return head + b"\r\n\r\n" + body


def hang_up(connection: socket.socket) -> None:
    """Take a request, and close without an answer."""
    read_request(connection)


def reset(connection: socket.socket) -> None:
    """Break the connection as soon as anything has come."""
    connection.recv(65536)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")


def silence(connection: socket.socket) -> None:
    """Take what comes, and say nothing until the other side gives up."""
    while connection.recv(65536):
        pass


def answer(content: bytes) -> Behaviour:
    """Take a request, and answer with these bytes; then close."""

    def behave(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(content)

    return behave


def answer_anything(content: bytes) -> Behaviour:
    """Answer with these bytes as soon as anything has come; then close."""

    def behave(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(content)

    return behave


def over_tls(context: ssl.SSLContext, behave: Behaviour) -> Behaviour:
    """Behave so after a TLS handshake; where that fails, wait until the client has read why."""

    def converse(connection: socket.socket) -> None:
        with connection.dup() as raw:
            try:
                wrapped = context.wrap_socket(connection, server_side=True)
            except ssl.SSLError:
                silence(raw)
                return
            with wrapped:
                behave(wrapped)

    return converse


def tunnel_to(port: int) -> Behaviour:
    """Be a proxy that leads to this port, whatever is asked for."""

    def behave(client: socket.socket) -> None:
        read_request(client)
        with socket.create_connection(("127.0.0.1", port)) as server:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_pump, args=(server, client), daemon=True)
            back.start()
            _pump(client, server)
            back.join(20)

    return behave


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while some := source.recv(65536):
            sink.sendall(some)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
