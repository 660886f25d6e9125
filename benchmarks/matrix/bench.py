"""What a probe works with: the addresses, many threads, many processes, and a clock to set ahead."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import time_machine

from benchmarks.matrix.peers.base import Caller, Setup
from benchmarks.matrix.server import CLIENT_SECRET

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.matrix.peers.base import Peer


@dataclass
class Bench:
    """The work bench of one probe.

    :param peer: the library
    :param address: the server's addresses
    :param folder: for what outlives a process
    """

    peer: Peer
    address: dict[str, str]
    folder: Path

    def open(
        self,
        grant: str | None = None,
        *,
        secret: str = CLIENT_SECRET,
        timeout: float | None = None,
        shared: bool = False,
        leeway: float = 0.0,
    ) -> Caller:
        """Make what a program makes of the library: one client that its threads share.

        :param grant: how tokens are asked for; the library's first choice if not given
        :param secret: the client's secret
        :param timeout: for the token endpoint, where the library takes one
        :param shared: whether processes share what the library offers for that
        :param leeway: of the server, for libraries that can be told
        """
        setup = Setup(
            **self.address,
            folder=self.folder,
            grant=grant or self.peer.grant,
            client_secret=secret,
            timeout=timeout,
            shared=shared,
            leeway=leeway,
            static_token=None if "mints" in self.peer.does else self.control("static"),
        )
        return self.peer.open(setup)

    def refreshing(
        self, *, timeout: float | None = None, shared: bool = False, leeway: float = 0.0
    ) -> Caller:
        """Open a client that has a refresh token and no valid access token."""
        caller = self.open("refresh_token", timeout=timeout, shared=shared, leeway=leeway)
        if self.peer.logs_in:
            caller.get("/items")
            self.travel(7200)
        return caller

    def control(self, do: str, **order: Any) -> Any:
        """Tell the server what to do, or ask what it has seen."""
        parts = urlsplit(self.address["control_url"])
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        try:
            connection.request("POST", "/", body=json.dumps({"do": do, **order}))
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def travel(self, seconds: float) -> None:
        """Set this process's clock ahead."""
        time_machine.travel(time.time() + seconds, tick=True).start()
        # Time that passes moves the monotonic clocks too, which time-machine leaves alone.
        monotonic, gettime = time.monotonic, time.clock_gettime
        time.monotonic = lambda: monotonic() + seconds
        time.clock_gettime = lambda clock: gettime(clock) + (clock != time.CLOCK_REALTIME) * seconds

    def attempt(self, call: Callable[[], Any]) -> str:
        """Call, and name the error that it ended with; an empty text if it ended well."""
        try:
            call()
        except Exception as error:
            if os.environ.get("MATRIX_DEBUG"):
                traceback.print_exc()
            return f"{type(error).__module__}.{type(error).__qualname__}"
        return ""

    def threads(self, count: int, call: Callable[[], Any]) -> list[str]:
        """Call from many threads at the same moment."""
        barrier = threading.Barrier(count)

        def task(_: int) -> str:
            barrier.wait(30)
            return self.attempt(call)

        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(task, range(count)))

    def processes(self, count: int, task: Callable[[Bench, int], str]) -> list[str]:
        """Fork, and run a task in each process at the same moment.

        :param task: gives the error that it ended with, as :meth:`attempt` does
        """
        go_reader, go = os.pipe()
        result_reader, result = os.pipe()
        pids = []
        for number in range(count):
            pid = os.fork()
            if pid == 0:
                with contextlib.suppress(BaseException):
                    os.read(go_reader, 1)
                    os.write(result, f"{task(self, number)}\n".encode())
                os._exit(0)
            pids.append(pid)
        os.close(result)
        os.write(go, b"x" * count)
        with open(result_reader, encoding="utf-8") as results:  # noqa: PTH123 - of a descriptor
            names = results.read().split("\n")[:-1]
        for pid in pids:
            os.waitpid(pid, 0)
        for descriptor in (go_reader, go):
            os.close(descriptor)
        return names + ["died"] * (count - len(names))
