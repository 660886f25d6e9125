"""Many callers, one token: cold, at the moment of expiry, and with a refresh token that rotates."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from benchmarks.matrix.cells import Cell, Row, Run, counted
from benchmarks.matrix.server import Script

if TYPE_CHECKING:
    from benchmarks.matrix.bench import Bench
    from benchmarks.matrix.peers.base import Peer

_DELAY = 0.2
# Every token request of a cold or expired crowd takes this long, so that all of it is under way together.
_SOON = 2.0
_LOAD_SECONDS = 4.5


def _cold_threads(bench: Bench) -> dict[str, Any]:
    caller = bench.open()
    return {"failures": bench.threads(16, lambda: caller.get("/items"))}


def _cold_processes(bench: Bench) -> dict[str, Any]:
    def task(here: Bench, _: int) -> str:
        return here.attempt(lambda: here.open(shared=True).get("/items"))

    return {"failures": bench.processes(16, task)}


def _once(run: Run) -> Cell:
    number = len(run.seen.token_requests)
    return _with_failures(Cell(str(number), "good" if number == 1 else "bad"), run)


def _expiring(peer: Peer) -> Script:
    return Script(delay=_DELAY, first_lifetime=peer.window + _SOON)


def _load(bench: Bench) -> dict[str, Any]:
    caller = bench.open()
    caller.get("/items")
    ends = time.monotonic() + _LOAD_SECONDS

    def work() -> None:
        while time.monotonic() < ends:
            caller.get("/items")
            time.sleep(0.1)

    return {"failures": bench.threads(16, work)}


def _expired_processes(bench: Bench) -> dict[str, Any]:
    def first(here: Bench, _: int) -> str:
        return here.attempt(lambda: here.open(shared=True).get("/items"))

    def task(here: Bench, _: int) -> str:
        here.travel(7200)
        return here.attempt(lambda: here.open(shared=True).get("/items"))

    return {"failures": bench.processes(1, first) + bench.processes(16, task)}


def _once_more(run: Run) -> Cell:
    number = len(run.seen.token_requests) - 1
    refused = sum(1 for request in run.seen.api_requests if request["status"] == 401)
    text = str(number) + (f", {refused} calls refused" if refused else "")
    return _with_failures(Cell(text, "good" if number == 1 and not refused else "bad"), run)


def _rotating_threads(bench: Bench) -> dict[str, Any]:
    caller = bench.refreshing()
    return {"failures": bench.threads(16, lambda: caller.get("/items"))}


def _rotating_processes(bench: Bench) -> dict[str, Any]:
    def task(here: Bench, _: int) -> str:
        return here.attempt(lambda: here.refreshing(shared=True).get("/items"))

    def shared(here: Bench, _: int) -> str:
        return here.attempt(lambda: here.open("refresh_token", shared=True).get("/items"))

    if bench.peer.logs_in:
        # One login for all, and all come when its token has ended.
        bench.refreshing(shared=True)
        return {"failures": bench.processes(8, shared)}
    return {"failures": bench.processes(8, task)}


def _restarted(bench: Bench) -> dict[str, Any]:
    def first(here: Bench, _: int) -> str:
        return here.attempt(lambda: here.refreshing(shared=True).get("/items"))

    def later(here: Bench, _: int) -> str:
        here.travel(6 * 3600)
        return here.attempt(lambda: here.open("refresh_token", shared=True).get("/items"))

    return {"failures": bench.processes(1, first) + bench.processes(1, later)}


def _family(run: Run) -> Cell:
    refreshes = sum(1 for request in run.seen.token_requests if request["grant"] == "refresh_token")
    if run.seen.revoked:
        return Cell(f"{refreshes}, grant lost", "bad")
    return _with_failures(Cell(str(refreshes), "good" if refreshes == 1 else "bad"), run)


def _goes_on(run: Run) -> Cell:
    if run.seen.revoked:
        return Cell("grant lost", "bad")
    return _with_failures(Cell("goes on", "good"), run)


def _with_failures(cell: Cell, run: Run) -> Cell:
    failed = sum(1 for failure in run.failures if failure)
    return Cell(f"{cell.text}, {counted(failed, 'error')}", "bad") if failed else cell


ROWS = (
    Row(
        key="cold-threads",
        title="16 threads, cold",
        rule="16 threads of one process ask for their first token at once. Shown: token requests. Good: 1.",
        script=lambda peer: Script(delay=_DELAY),
        probe=_cold_threads,
        judge=_once,
    ),
    Row(
        key="cold-processes",
        title="16 processes, cold",
        rule=(
            "16 processes, with what the library offers to share tokens, ask for their first token at once. "
            "Shown: token requests. Good: 1."
        ),
        script=lambda peer: Script(delay=_DELAY),
        probe=_cold_processes,
        judge=_once,
        needs=("mints", "cache"),
        measured_anyway=("cache",),
    ),
    Row(
        key="load",
        title="Expiry under load",
        rule=(
            "16 threads call the API ten times a second while their token reaches its end, or the library's "
            "early window before it. Shown: token requests for that one renewal, and API calls that were "
            "refused meanwhile. Good: 1 and none."
        ),
        script=_expiring,
        probe=_load,
        judge=_once_more,
        limit=20,
    ),
    Row(
        key="expired-processes",
        title="16 processes, expired",
        rule=(
            "16 processes find a shared token that has expired. Shown: token requests for its renewal. "
            "Good: 1."
        ),
        script=lambda peer: Script(delay=_DELAY),
        probe=_expired_processes,
        judge=_once_more,
        needs=("mints", "cache"),
    ),
    Row(
        key="rotating-threads",
        title="Rotation, 16 threads",
        rule=(
            "The server replaces the refresh token with each use and, as OAuth 2.1 asks, ends the whole "
            "grant when a spent one comes back. 16 threads need a token at once. Shown: refreshes, and "
            "whether the grant is lost. Good: 1 refresh."
        ),
        script=lambda peer: Script(delay=_DELAY, rotates=True),
        probe=_rotating_threads,
        judge=_family,
        needs=("mints", "refreshes"),
    ),
    Row(
        key="rotating-processes",
        title="Rotation, 8 processes",
        rule="The same with 8 processes, with what the library offers to share tokens. Good: 1 refresh.",
        script=lambda peer: Script(delay=_DELAY, rotates=True),
        probe=_rotating_processes,
        judge=_family,
        needs=("mints", "refreshes"),
    ),
    Row(
        key="restart",
        title="Rotation, then a new process",
        rule=(
            "A process refreshes and ends; six hours later another starts with the configuration of the "
            "first. Good: it goes on with the replaced refresh token. Where a library only tells a callback "
            "of new tokens, the callback saves them."
        ),
        script=lambda peer: Script(rotates=True),
        probe=_restarted,
        judge=_goes_on,
        needs=("mints", "refreshes"),
    ),
)
