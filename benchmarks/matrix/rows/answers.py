"""Token answers that are not quite what RFC 6749 has in mind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.matrix.cells import Cell, Row, Run, class_of
from benchmarks.matrix.server import Script

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.matrix.bench import Bench
    from benchmarks.matrix.peers.base import Peer

_TWO_DAYS = 2 * 86400


def _ask(bench: Bench) -> dict[str, Any]:
    caller = bench.open()
    return {"failures": [bench.attempt(lambda: caller.get("/items"))]}


def _refuses(run: Run) -> Cell:
    unknown = [request for request in run.seen.api_requests if not request["known"]]
    if unknown:
        return Cell(f"sends `{unknown[0]['authorization']}`", "bad")
    (failure,) = run.failures
    if not failure:
        # The library has asked once more, and got a good answer.
        return Cell("asked again", "good")
    return Cell(class_of(failure), "good")


def _ask_for_days(bench: Bench) -> dict[str, Any]:
    caller = bench.open()
    failures = [bench.attempt(lambda: caller.get("/items")) for _ in range(2)]
    early = len(bench.control("seen")["token_requests"])
    bench.travel(_TWO_DAYS)
    failures.append(bench.attempt(lambda: caller.get("/items")))
    return {"failures": failures, "early": early}


def _uses(run: Run) -> Cell:
    """Good: used, not asked for each time, and renewed some day."""
    failed = next(filter(None, run.failures), "")
    if failed:
        return Cell(f"error: {class_of(failed)}", "bad")
    if run.report["early"] > 1:
        return Cell("asks each time", "bad")
    return _renews(run)


def _bears(run: Run) -> Cell:
    """Good: renewed some day, or an error of the library's own."""
    failed = next(filter(None, run.failures), "")
    if failed:
        own = any(failed.startswith(f"{package}.") for package in run.peer.packages)
        return Cell(class_of(failed) if own else f"error: {class_of(failed)}", "good" if own else "bad")
    return _renews(run)


def _renews(run: Run) -> Cell:
    renewed = len(run.seen.token_requests) > run.report["early"]
    return Cell("used", "good") if renewed else Cell("used for ever", "bad")


def _answering(answer: Any) -> Callable[[Peer], Script]:
    return lambda peer: Script(answers=[answer])


def _lifetime(key: str, shown: str, value: Any, judge: Callable[[Run], Cell], rule: str) -> Row:
    return Row(
        key=f"expires-{key}",
        title=shown,
        rule=rule,
        # Each answer has it, also that to a second request.
        script=lambda peer: Script(answers=[{"expires_in": value}] * 50),
        probe=_ask_for_days,
        judge=judge,
        needs=("mints", "reads"),
    )


_USED = "Two calls, and a third two days later. Good: one token for the first two, a new one for the third."
_BORNE = (
    "The same calls. Good: the token is not used for ever; asking each time, and an error class of the "
    "library's own, are good too."
)
_REFUSED = "Good: an error, or another try. Nothing that is no token is sent to the API."

ROWS = (
    Row(
        key="no-token",
        title="200 without `access_token`",
        rule=_REFUSED,
        script=_answering({"access_token": None}),
        probe=_ask,
        judge=_refuses,
        needs=("mints", "reads"),
    ),
    Row(
        key="error-200",
        title="200 with `error`",
        rule=_REFUSED,
        script=_answering({"access_token": None, "expires_in": None, "error": "temporarily_unavailable"}),
        probe=_ask,
        judge=_refuses,
        needs=("mints", "reads"),
    ),
    Row(
        key="html",
        title="200 with HTML",
        rule=_REFUSED,
        script=_answering("<html><body>Back soon</body></html>"),
        probe=_ask,
        judge=_refuses,
        needs=("mints", "reads"),
    ),
    _lifetime("text", '`expires_in: "3600"`', "3600", _uses, _USED),
    _lifetime("decimal", '`expires_in: "3600.0"`', "3600.0", _uses, _USED),
    _lifetime("missing", "`expires_in` missing", None, _uses, _USED),
    _lifetime("zero", "`expires_in: 0`", 0, _bears, _BORNE),
    _lifetime("negative", "`expires_in: -1`", -1, _bears, _BORNE),
    _lifetime("nan", "`expires_in: NaN`", float("nan"), _bears, _BORNE),
)
