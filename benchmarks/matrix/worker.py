"""Runs the probes of one library: each in a forked process, ended when its time is over.

The library is imported once. Orders come as lines of JSON on standard input, and each is answered with one:
``{"report": …}``, ``{"error": "module.Class"}`` or ``{"hangs": true}``.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import time
import traceback
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.matrix.bench import Bench
from benchmarks.matrix.peers import make_peer
from benchmarks.matrix.rows import ROWS

if TYPE_CHECKING:
    from benchmarks.matrix.peers.base import Peer

# What most of them send their requests with.
_BESIDE = ("requests", "urllib3")


def main() -> None:
    """Load the library that is named on the command line, and do what is ordered."""
    # What a library prints is not to be taken for an answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    peer = make_peer(sys.argv[1])
    peer.load()
    print(json.dumps({"versions": _versions(peer)}), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(_run(peer, json.loads(line))), file=answers, flush=True)


def _versions(peer: Peer) -> dict[str, str]:
    return {name: version(name) for name in (*peer.distributions, *_BESIDE)}


def _run(peer: Peer, order: dict[str, Any]) -> dict[str, Any]:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        # Its own group, so that the processes it starts end with it.
        os.setsid()
        _probe(peer, order, writer)
        os._exit(0)
    os.close(writer)
    content, ends = b"", time.monotonic() + order["limit"]
    while select.select([reader], [], [], max(0.0, ends - time.monotonic()))[0]:
        more = os.read(reader, 65536)
        if not more:
            break
        content += more
    os.close(reader)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    if not content:
        return {"hangs": True} if time.monotonic() >= ends else {"error": "died"}
    answer: dict[str, Any] = json.loads(content)
    return answer


def _probe(peer: Peer, order: dict[str, Any], writer: int) -> None:
    try:
        bench = Bench(peer=peer, address=order["address"], folder=Path(order["folder"]))
        answer: dict[str, Any] = {"report": ROWS[order["row"]].probe(bench)}
    except Exception as error:
        if os.environ.get("MATRIX_DEBUG"):
            traceback.print_exc()
        answer = {"error": f"{type(error).__module__}.{type(error).__qualname__}"}
    os.write(writer, json.dumps(answer).encode())


if __name__ == "__main__":
    main()
