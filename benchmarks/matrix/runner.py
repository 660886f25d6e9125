"""Runs the rows for the libraries and gathers the cells."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.matrix import server
from benchmarks.matrix.cells import Cell, Row, Run
from benchmarks.matrix.peers import make_peer
from benchmarks.matrix.rows import ROWS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from benchmarks.matrix.peers.base import Peer

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Column:
    """What was measured of one library.

    :param peer: the library
    :param versions: of it, and of what it sends its requests with
    :param cells: by row
    """

    peer: Peer
    versions: dict[str, str]
    cells: dict[str, Cell]


def run_matrix(
    peers: Iterable[str],
    rows: Iterable[str],
    *,
    jobs: int = 1,
    tell: Callable[[str, str, Cell], None] = lambda peer, row, cell: None,
) -> list[Column]:
    """Run rows for libraries.

    :param jobs: how many libraries at the same time
    :param tell: told of each cell as it is measured
    """
    wanted = [ROWS[key] for key in rows]

    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(lambda key: run_peer(make_peer(key), wanted, tell=tell), peers))


def run_peer(
    peer: Peer, rows: Iterable[Row], *, tell: Callable[[str, str, Cell], None] = lambda peer, row, cell: None
) -> Column:
    """Run rows for one library."""
    cells: dict[str, Cell] = {}
    with Worker(peer) as worker:
        for row in rows:
            cells[row.key] = row.skipped(peer) or row.cell(worker.run(row))
            tell(peer.key, row.key, cells[row.key])
    return Column(peer, worker.versions, cells)


class Worker:
    """The process in which a library is loaded.

    :param peer: the library
    """

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    def __enter__(self) -> Worker:
        self._home = tempfile.TemporaryDirectory(prefix="matrix-")
        self._process = subprocess.Popen(
            [_python(self._peer), "-m", "benchmarks.matrix.worker", self._peer.key],
            cwd=ROOT,
            env=_environment(self._home.name),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if os.environ.get("MATRIX_DEBUG") else subprocess.DEVNULL,
            text=True,
        )
        self.versions: dict[str, str] = self._answer()["versions"]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()
        self._home.cleanup()

    def run(self, row: Row) -> Run:
        """Run a row's probe against a server of its own."""
        with server.running(row.script(self._peer)) as site, tempfile.TemporaryDirectory() as folder:
            order = {"row": row.key, "address": site.address, "folder": folder, "limit": row.limit}
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            answer = self._answer()
            return Run(
                peer=self._peer,
                seen=site.seen,
                report=answer.get("report", {}),
                error=answer.get("error"),
                hangs=answer.get("hangs", False),
                limit=row.limit,
            )

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._peer.key} could not be loaded. Say MATRIX_DEBUG=1 to see why.")
        answer: dict[str, Any] = json.loads(line)
        return answer


def _python(peer: Peer) -> str:
    """Give the interpreter of a library's environment: this one, or that of the environment beside it."""
    here = Path(sys.prefix)
    beside = here.with_name(peer.environment) / "bin" / "python"
    return str(beside) if here.name != peer.environment and beside.exists() else sys.executable


def _environment(home: str) -> dict[str, str]:
    """Give a probe's environment: nothing of the caller's shell that the libraries would heed."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "MATRIX_DEBUG") if name in os.environ}
    return {
        **kept,
        "HOME": home,
        "AIRFLOW_HOME": home,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PYTHONPATH": os.pathsep.join(
            [str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
        ).rstrip(os.pathsep),
        "DLT_DATA_DIR": home,
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        # dlt would look for its settings in the Airflow beside it.
        "PROVIDERS__ENABLE_AIRFLOW_SECRETS": "false",
        "DO_NOT_TRACK": "1",
        "NO_PROXY": "127.0.0.1",
    }
