"""Hosts of a test: network namespaces that share nothing but the servers they are given.

Each has a loopback interface of its own, on which the test's servers are found under their usual ports. Where
the kernel allows no namespaces, a host is a set of processes with folders of its own, and nothing more.
"""

from __future__ import annotations

import ctypes
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_CLONE_NEWNET = 0x40000000


@dataclass(frozen=True)
class Host:
    """A host.

    :param folder: its own disk
    :param namespace: the file that names its network; None where it has no network of its own
    """

    folder: Path
    namespace: Path | None

    def enter(self) -> None:
        """Move the calling process there. It must have one thread only."""
        if self.namespace is not None:
            with self.namespace.open() as file:
                _call("setns", file.fileno(), _CLONE_NEWNET)


@contextmanager
def host(folder: Path, *ports: int) -> Iterator[Host]:
    """Run a host for the length of the block.

    :param ports: of this machine's loopback interface, to be reached under the same numbers there
    """
    folder.mkdir()
    command = [sys.executable, "-m", "tests.faults.hosts", *map(str, ports)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            namespace = process.stdout.readline().strip()
            yield Host(folder, Path(namespace) if namespace else None)
        finally:
            process.send_signal(signal.SIGKILL)


def _call(name: str, *arguments: int) -> None:
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _listen(ports: list[int], found: list[str], listeners: list[socket.socket]) -> None:
    """Listen in a network of this thread's own: a socket stays where it was made."""
    _call("unshare", _CLONE_NEWNET)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for port in ports:
        listeners.append(socket.create_server(("127.0.0.1", port), backlog=512))
    found.append(f"/proc/{os.getpid()}/task/{threading.get_native_id()}/ns/net")
    threading.Event().wait()


def _hand_on(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while some := source.recv(65536):
            sink.sendall(some)
    for one in (source, sink):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


def main() -> None:
    """Be the host: say where its network is, and hand on what comes to its ports."""
    ports = [int(port) for port in sys.argv[1:]]
    found: list[str] = []
    listeners: list[socket.socket] = []
    thread = threading.Thread(target=_listen, args=(ports, found, listeners), daemon=True)
    thread.start()
    while thread.is_alive() and not found:
        thread.join(0.01)
    print(found[0] if found else "", flush=True)
    selector = selectors.DefaultSelector()
    for listener in listeners:
        selector.register(listener, selectors.EVENT_READ)
    selector.register(sys.stdin, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if not isinstance(key.fileobj, socket.socket):
                return
            client, _address = key.fileobj.accept()
            server = socket.create_connection(("127.0.0.1", key.fileobj.getsockname()[1]))
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=_hand_on, args=(source, sink), daemon=True).start()


if __name__ == "__main__":
    main()
