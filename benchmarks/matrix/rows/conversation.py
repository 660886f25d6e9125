"""What happens between the library and the API: 401, 429, redirects, netrc."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from benchmarks.matrix.cells import Cell, Row, Run, class_of
from benchmarks.matrix.rows.failures import bounded, socket_timeout
from benchmarks.matrix.server import API_KEY, Script

if TYPE_CHECKING:
    from benchmarks.matrix.bench import Bench

# A token that was refused at once would be a fault of another kind.
_A_WHILE = 120.0
_LATER = 0.5
_WAIT = 3.0
# A date has whole seconds.
_SHORTEST_BY_DATE = _WAIT - 1.0


def _revoked(bench: Bench) -> dict[str, Any]:
    caller = bench.open()
    caller.get("/items")
    bench.travel(_A_WHILE)
    bench.control("revoke")
    return {"failures": [bench.attempt(lambda: caller.get("/items"))]}


def _revoked_threads(bench: Bench) -> dict[str, Any]:
    caller = bench.open()
    caller.get("/items")
    bench.travel(_A_WHILE)
    bench.control("revoke")
    return {"failures": bench.threads(16, lambda: caller.get("/items"))}


def _replaced(run: Run) -> Cell:
    mints = len(run.seen.token_requests) - 1
    if not mints:
        return Cell("401 handed on", "none")
    good = run.seen.good_api() - 1 == len(run.failures)
    return Cell(str(mints) if good else f"{mints}, call failed", "good" if good and mints == 1 else "bad")


def _always_401(bench: Bench) -> dict[str, Any]:
    caller = bench.open()
    caller.get("/items")
    bench.travel(_A_WHILE)
    bench.control("script", changes={"refuses_all": True})
    return {"failures": [bench.attempt(lambda: caller.get("/items")) for _ in range(20)]}


def _no_storm(run: Run) -> Cell:
    mints = len(run.seen.token_requests) - 1
    return Cell(str(mints), "good" if mints <= 2 else "bad")


def _call_once(bench: Bench) -> dict[str, Any]:
    caller = bench.open()
    return {"failures": [bench.attempt(lambda: caller.get("/items"))]}


def _honours(run: Run) -> Cell:
    sent = [request["at"] for request in run.seen.api_requests if request["path"] == "/items"]
    if len(sent) < 2:
        (failure,) = run.failures
        # What is handed on is an answer or an error of the library's; a ValueError is a slip.
        slipped = failure.startswith("builtins.")
        return Cell(f"error: {class_of(failure)}", "bad") if slipped else Cell("429 handed on", "none")
    waited = sent[1] - sent[0]
    asked = float(run.report.get("shortest", _WAIT))
    # Timers may be a little early.
    return Cell(f"waits {waited:.1f} s", "good" if waited >= asked - 0.02 else "bad")


def _by_date(bench: Bench) -> dict[str, Any]:
    return {**_call_once(bench), "shortest": _SHORTEST_BY_DATE}


def _cool_down(bench: Bench) -> dict[str, Any]:
    """Have one process meet a 429, and three others come while it waits."""

    def task(here: Bench, number: int) -> str:
        caller = here.open(shared=True)
        while number and not here.control("seen")["api_requests"]:
            time.sleep(0.05)
        time.sleep(_LATER if number else 0.0)
        return here.attempt(lambda: caller.get("/items"))

    return {"failures": bench.processes(4, task)}


def _cooled(run: Run) -> Cell:
    sent = [(request["at"], request["status"]) for request in run.seen.api_requests]
    refused = next(at for at, status in sent if status == 429)
    early = sum(1 for at, _ in sent if 0 < at - refused < _WAIT - 0.02)
    return Cell(f"{early} sent", "bad" if early else "good")


def _post(bench: Bench) -> dict[str, Any]:
    caller = bench.open()
    return {"failures": [bench.attempt(lambda: caller.post("/items"))]}


def _sent_once(run: Run) -> Cell:
    number = sum(1 for request in run.seen.api_requests if request["method"] == "POST")
    return Cell(f"{number} sent", "good" if number == 1 else "bad")


def _redirect(bench: Bench) -> dict[str, Any]:
    caller = bench.open()
    return {"failures": [bench.attempt(lambda: caller.get("/redirect"))]}


def _bearer_dropped(run: Run) -> Cell:
    sent = any("Bearer" in headers.get("authorization", "") for headers in run.seen.foreign_requests)
    return _dropped(run, sent=sent)


def _key_dropped(run: Run) -> Cell:
    return _dropped(run, sent=any(API_KEY in headers.values() for headers in run.seen.foreign_requests))


def _dropped(run: Run, *, sent: bool) -> Cell:
    if not run.seen.foreign_requests:
        return Cell("not followed", "good")
    return Cell("sent", "bad") if sent else Cell("dropped", "good")


def _netrc(bench: Bench) -> dict[str, Any]:
    file = bench.folder / "netrc"
    file.write_text("machine 127.0.0.1 login someone password else\n")
    file.chmod(0o600)
    os.environ["NETRC"] = str(file)
    # Another host, which the file does not name.
    bench.address["token_url"] = bench.address["token_url"].replace("127.0.0.1", "localhost")
    return _call_once(bench)


def _keeps_bearer(run: Run) -> Cell:
    sent = [str(request["authorization"]) for request in run.seen.api_requests]
    return Cell("token sent", "good") if sent[0].startswith("Bearer ") else Cell("netrc sent", "bad")


def _waits_for_api(bench: Bench) -> dict[str, Any]:
    caller = bench.open()
    return {"seconds": socket_timeout(bench, lambda: caller.get("/silence"), bench.address["api_url"])}


ROWS = (
    Row(
        key="revoked",
        title="401: token revoked",
        rule=(
            "The API refuses a token of two minutes that should still be good. Shown: token requests for "
            "its replacement. "
            "Good: 1, and the call is replayed and succeeds."
        ),
        probe=_revoked,
        judge=_replaced,
        needs=("mints", "calls"),
    ),
    Row(
        key="revoked-threads",
        title="401: revoked, 16 threads",
        rule="The same under 16 threads at once. Good: 1, and all calls succeed.",
        script=lambda peer: Script(delay=0.2),
        probe=_revoked_threads,
        judge=_replaced,
        needs=("mints", "calls"),
    ),
    Row(
        key="always-401",
        title="401 to everything × 20",
        rule=(
            "The API refuses whatever token comes, 20 calls. Shown: token requests after the first. Good: at "
            "most 2."
        ),
        probe=_always_401,
        judge=_no_storm,
        needs=("mints", "calls"),
        limit=60,
    ),
    Row(
        key="retry-after",
        title="429, `Retry-After: 3`",
        rule="Shown: how long the library waits before it calls again. Good: 3 s or more.",
        script=lambda peer: Script(api=[(429, {"Retry-After": f"{_WAIT:.0f}"})]),
        probe=_call_once,
        judge=_honours,
        needs=("calls",),
        limit=20,
    ),
    Row(
        key="retry-after-date",
        title="429, `Retry-After` as a date",
        rule="The same with the date 3 s ahead, in whole seconds. Good: 2 s or more.",
        script=lambda peer: Script(api=[(429, {"Retry-After-Date": f"{_WAIT}"})]),
        probe=_by_date,
        judge=_honours,
        needs=("calls",),
        limit=20,
    ),
    Row(
        key="cool-down",
        title="429 met by one process of 4",
        rule=(
            "One process is told to wait 3 s; three others come half a second later. Shown: calls that reach "
            "the API within those 3 s. Good: 0."
        ),
        script=lambda peer: Script(delay=0.0, api=[(429, {"Retry-After": f"{_WAIT:.0f}"})]),
        probe=_cool_down,
        judge=_cooled,
        needs=("calls",),
        limit=20,
    ),
    Row(
        key="post",
        title="POST answered with 500",
        rule="Shown: how often it is sent. Good: once, since it may have done its work.",
        script=lambda peer: Script(api=[(500, {})]),
        probe=_post,
        judge=_sent_once,
        needs=("calls",),
        limit=8,
        judges_hangs=True,
    ),
    Row(
        key="redirect-bearer",
        title="Redirect to another origin: token",
        rule="Good: the `Authorization` header does not get there.",
        probe=_redirect,
        judge=_bearer_dropped,
        needs=("calls",),
    ),
    Row(
        key="redirect-key",
        title="Redirect to another origin: key",
        rule="Good: a subscription key in a header of its own does not get there.",
        probe=_redirect,
        judge=_key_dropped,
        needs=("calls",),
    ),
    Row(
        key="netrc",
        title="`netrc` names the API's host",
        rule="Good: the token is sent all the same.",
        probe=_netrc,
        judge=_keeps_bearer,
        needs=("calls",),
    ),
    Row(
        key="api-wait",
        title="Silent API, default",
        rule=(
            "With the library's defaults, the time-out of the socket on which a call waits. Good: there "
            "is one."
        ),
        probe=_waits_for_api,
        judge=bounded,
        needs=("calls",),
    ),
)
