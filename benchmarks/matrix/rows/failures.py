"""A token endpoint that refuses, loses its answer, or is silent."""

from __future__ import annotations

import gc
import socket
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from benchmarks.matrix.cells import Cell, Row, Run, class_of, counted
from benchmarks.matrix.server import CUT, OTHER_SECRET, SEED, SILENCE, Script

if TYPE_CHECKING:
    from benchmarks.matrix.bench import Bench

_TOO_LATE = 15.0
_LIFETIME = 3600.0


def _lost_mint(bench: Bench) -> dict[str, Any]:
    caller = bench.open()
    return {"failures": [bench.attempt(lambda: caller.get("/items"))]}


def _succeeds(run: Run) -> Cell:
    (failure,) = run.failures
    return Cell(f"error: {class_of(failure)}", "bad") if failure else Cell("asked again", "good")


def _lost_refresh(bench: Bench) -> dict[str, Any]:
    caller = bench.refreshing(leeway=30.0)
    bench.control("script", changes={"answers": [CUT]})
    failures = []
    for _ in range(4):
        failures.append(bench.attempt(lambda: caller.get("/items")))
        if not failures[-1]:
            break
        time.sleep(1.2)
    return {"failures": failures}


def _recovers(run: Run) -> Cell:
    if run.failures[-1]:
        return Cell("grant lost" if run.seen.revoked else f"error: {class_of(run.failures[-1])}", "bad")
    return Cell(f"call {len(run.failures)} succeeds", "good")


def _lost_early(bench: Bench) -> dict[str, Any]:
    caller = bench.refreshing()
    caller.get("/items")
    bench.travel(_LIFETIME - bench.peer.early(_LIFETIME) / 2)
    bench.control("script", changes={"answers": [CUT]})
    failures = []
    for _ in range(3):
        failures.append(bench.attempt(lambda: caller.get("/items")))
        time.sleep(1.2)
    return {"failures": failures}


def _rests(run: Run) -> Cell:
    failed = sum(1 for failure in run.failures if failure)
    if run.seen.revoked:
        return Cell("grant lost", "bad")
    return Cell(counted(failed, "call") + " failed", "bad") if failed else Cell("goes on", "good")


def _omitted(bench: Bench) -> dict[str, Any]:
    caller = bench.refreshing()
    failures = [bench.attempt(lambda: caller.get("/items"))]
    bench.control("script", changes={"omits": True})
    for _ in range(2):
        bench.travel(6 * 3600)
        failures.append(bench.attempt(lambda: caller.get("/items")))
    return {"failures": failures}


def _keeps(run: Run) -> Cell:
    spent = [request["spent"] for request in run.seen.token_requests if request["grant"] == "refresh_token"]
    if any(run.failures):
        return Cell(f"error: {class_of(next(filter(None, run.failures)))}", "bad")
    return Cell("kept", "good") if spent == [SEED] * 3 else Cell("lost", "bad")


def _wrong_secret(bench: Bench) -> dict[str, Any]:
    caller = bench.open(secret=OTHER_SECRET)
    return {"failures": [bench.attempt(lambda: caller.get("/items")) for _ in range(5)]}


def _wrong_secret_processes(bench: Bench) -> dict[str, Any]:
    def task(here: Bench, _: int) -> str:
        return here.attempt(lambda: here.open(secret=OTHER_SECRET, shared=True).get("/items"))

    return {"failures": bench.processes(8, task)}


def _few(run: Run) -> Cell:
    number = len(run.seen.token_requests)
    return Cell(str(number), "good" if number <= 2 else "bad")


def _mended(bench: Bench) -> dict[str, Any]:
    wrong = bench.open(secret=OTHER_SECRET, shared=True)
    bench.attempt(lambda: wrong.get("/items"))
    return {"failures": [bench.attempt(lambda: bench.open(shared=True).get("/items"))]}


def _is_free(run: Run) -> Cell:
    (failure,) = run.failures
    return Cell(f"error: {class_of(failure)}", "bad") if failure else Cell("succeeds", "good")


def _changed_secret(bench: Bench) -> dict[str, Any]:
    def right(here: Bench, _: int) -> str:
        return here.attempt(lambda: here.open(shared=True).get("/items"))

    def wrong(here: Bench, _: int) -> str:
        return here.attempt(lambda: here.open(secret=OTHER_SECRET, shared=True).get("/items"))

    return {"failures": bench.processes(1, right) + bench.processes(1, wrong)}


def _notices(run: Run) -> Cell:
    if run.failures[0]:
        return Cell(f"error: {class_of(run.failures[0])}", "bad")
    return Cell("old token used", "bad") if run.seen.good_api() > 1 else Cell("asks anew", "good")


def _waits_for_token(bench: Bench) -> dict[str, Any]:
    caller = bench.open()
    return {"seconds": socket_timeout(bench, lambda: caller.get("/items"), bench.address["token_url"])}


def socket_timeout(bench: Bench, call: Any, url: str) -> float | None:
    """Say how long the socket waits on which a call is stuck; None for ever.

    The socket is looked up among the interpreter's objects, so that nothing has to wait for its time-out.
    """
    threading.Thread(target=bench.attempt, args=(call,), daemon=True).start()
    port = urlsplit(url).port
    for _ in range(100):
        time.sleep(0.05)
        seen = bench.control("seen")
        stuck = [request for request in seen["api_requests"] if request["path"] == "/silence"]
        if seen["token_requests"] if url == bench.address["token_url"] else stuck:
            break
    time.sleep(0.2)
    found: list[float | None] = []
    for each in gc.get_objects():
        if isinstance(each, socket.socket) and each.fileno() >= 0:
            try:
                if each.getpeername()[1] == port:
                    found.append(each.gettimeout())
            except OSError:
                continue
    (seconds,) = set(found)
    return seconds


def bounded(run: Run) -> Cell:
    """Judge how long a socket waits."""
    seconds = run.report["seconds"]
    return Cell("for ever", "bad") if seconds is None else Cell(f"{seconds:.0f} s", "good")


def _times_out(bench: Bench) -> dict[str, Any]:
    caller = bench.open(timeout=1.0)
    began = time.monotonic()
    failures = [bench.attempt(lambda: caller.get("/items"))]
    return {"failures": failures, "seconds": time.monotonic() - began}


def _ends(run: Run) -> Cell:
    return Cell(f"after {run.report['seconds']:.1f} s", "good")


ROWS = (
    Row(
        key="lost-mint",
        title="Lost answer to a first token",
        rule=(
            "The connection breaks before the token endpoint's answer; nothing that could be lost is spent. "
            "Good: the library asks again and the call succeeds."
        ),
        script=lambda peer: Script(answers=[CUT]),
        probe=_lost_mint,
        judge=_succeeds,
        needs=("mints", "reads"),
    ),
    Row(
        key="lost-refresh",
        title="Lost answer to a refresh",
        rule=(
            "The same to a refresh that rotates, at a server that takes the spent refresh token once more "
            "for 30 s. Up to four calls, 1.2 s apart. Good: one succeeds."
        ),
        script=lambda peer: Script(rotates=True, leeway=30.0),
        probe=_lost_refresh,
        judge=_recovers,
        needs=("mints", "refreshes"),
        limit=30,
    ),
    Row(
        key="lost-early",
        title="Lost answer to an early refresh",
        rule=(
            "The same in the library's early window, while the old access token is still good, at a server "
            "that ends the grant and its tokens when a spent refresh token comes back. Three calls, 1.2 s "
            "apart. Good: all succeed with the old token."
        ),
        script=lambda peer: Script(rotates=True, lifetime=_LIFETIME),
        probe=_lost_early,
        judge=_rests,
        needs=("mints", "refreshes", "early"),
        limit=20,
    ),
    Row(
        key="omitted",
        title="Refresh token left out",
        rule=(
            "The answer to a second refresh has no refresh token, which RFC 6749 section 6 allows. Good: the "
            "third uses the old one."
        ),
        probe=_omitted,
        judge=_keeps,
        needs=("mints", "refreshes"),
    ),
    Row(
        key="wrong-secret",
        title="Wrong secret × 5",
        rule=(
            "Five calls with a client secret that the server refuses (401 `invalid_client`). Shown: token "
            "requests. Good: at most 2, since identity providers lock out who goes on."
        ),
        probe=_wrong_secret,
        judge=_few,
        needs=("mints", "reads"),
    ),
    Row(
        key="wrong-secret-processes",
        title="Wrong secret, 8 processes",
        rule="The same from 8 processes, one call each. Good: at most 2.",
        probe=_wrong_secret_processes,
        judge=_few,
        needs=("mints", "reads", "cache"),
        measured_anyway=("cache",),
    ),
    Row(
        key="mended",
        title="Secret mended",
        rule="A wrong secret is refused, then mended. Good: the next call succeeds.",
        probe=_mended,
        judge=_is_free,
        needs=("mints", "reads"),
    ),
    Row(
        key="changed-secret",
        title="Secret changed, shared token",
        rule=(
            "A process with another secret finds a token in the shared cache that was got with the first. "
            "Good: it does not use it."
        ),
        probe=_changed_secret,
        judge=_notices,
        needs=("mints", "reads", "cache"),
    ),
    Row(
        key="token-wait",
        title="Silent token endpoint, default",
        rule=(
            "With the library's defaults, the time-out of the socket on which a token request waits. Good: "
            "there is one."
        ),
        script=lambda peer: Script(answers=[SILENCE] * 50),
        probe=_waits_for_token,
        judge=bounded,
        needs=("mints", "reads"),
    ),
    Row(
        key="token-timeout",
        title="Silent token endpoint, 1 s",
        rule=(
            "With a time-out of 1 s where the library takes one, repeated tries included. Shown: when the "
            "call ended. Good: within 15 s."
        ),
        script=lambda peer: Script(answers=[SILENCE] * 50),
        probe=_times_out,
        judge=_ends,
        needs=("mints", "reads"),
        limit=_TOO_LATE,
    ),
)
