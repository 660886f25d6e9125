"""Where secrets show: logs, errors, reprs, files."""

from __future__ import annotations

import base64
import contextlib
import logging
import tempfile
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

from benchmarks.matrix.cells import Cell, Row, Run, class_of
from benchmarks.matrix.server import API_KEY, CLIENT_ID, CLIENT_SECRET, CUT, OTHER_SECRET, PASSWORD, SEED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.matrix.bench import Bench

_HERE = str(Path(__file__).parents[1])


def _found(bench: Bench, text: str) -> list[str]:
    """Say what kinds of secrets a text shows, in whatever spelling they are sent."""
    issued = bench.control("issued")
    kinds = {
        "secret": [CLIENT_SECRET, OTHER_SECRET, PASSWORD],
        "access token": [token for token in issued if token.startswith("access-")],
        "refresh token": [SEED, *(token for token in issued if token.startswith("refresh-"))],
        "key": [API_KEY],
    }
    return [kind for kind, values in kinds.items() if any(_shows(text, value) for value in values)]


def _shows(text: str, value: str) -> bool:
    pairs = [f"{CLIENT_ID}:{value}", f"{quote_plus(CLIENT_ID)}:{quote_plus(value)}"]
    spellings = [value, quote(value, safe=""), quote_plus(value), repr(value)[1:-1]]
    spellings += [base64.b64encode(pair.encode()).decode() for pair in pairs]
    return any(spelling in text for spelling in spellings)


def _shown(run: Run) -> Cell:
    found = run.report["found"]
    return Cell(", ".join(found), "bad") if found else Cell("none", "good")


def _shown_by_errors(run: Run) -> Cell:
    return _shown(run) if run.report["errors"] else Cell("no errors", "none")


@contextlib.contextmanager
def _listening() -> Iterator[list[str]]:
    """Collect what is logged at DEBUG, with all that the records carry, and what is printed."""
    heard: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(f"{record.getMessage()} {record.__dict__!r}")

    root, listener = logging.getLogger(), Listener(logging.DEBUG)
    root.addHandler(listener)
    root.setLevel(logging.DEBUG)
    for logger in logging.Logger.manager.loggerDict.values():
        if isinstance(logger, logging.Logger):
            # Some libraries keep their logs to themselves until they are told otherwise.
            logger.setLevel(logging.DEBUG)
            logger.disabled = False
            if not logger.propagate:
                logger.addHandler(listener)
    with tempfile.TemporaryFile("w+") as printed:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            yield heard
        printed.seek(0)
        heard.append(printed.read())


def _logs(bench: Bench) -> dict[str, Any]:
    with _listening() as heard:
        caller = bench.open()
        bench.attempt(lambda: caller.get("/items"))
        if "mints" in bench.peer.does:
            wrong = bench.open(secret=OTHER_SECRET)
            bench.attempt(lambda: wrong.get("/items"))
        if "refreshes" in bench.peer.does:
            refreshing = bench.refreshing()
            bench.attempt(lambda: refreshing.get("/items"))
    return {"found": _found(bench, "\n".join(heard))}


def _errors(bench: Bench) -> Iterator[BaseException]:
    """Meet the usual errors: refused, cut off, no JSON, an API that refuses, a grant that has ended."""
    calls: list[Callable[[], Any]] = []
    if "reads" in bench.peer.does:
        wrong = bench.open(secret=OTHER_SECRET, timeout=1.0)
        calls.append(lambda: wrong.get("/items"))
        for answer in (CUT, "<html></html>", {"access_token": None}):
            calls.append(lambda answer=answer: _answered(bench, answer))
    if "calls" in bench.peer.does:
        calls.append(lambda: _refused(bench))
    if "refreshes" in bench.peer.does:
        calls.append(lambda: _ended_grant(bench))
    for call in calls:
        try:
            call()
        except Exception as error:
            yield error


def _answered(bench: Bench, answer: Any) -> None:
    bench.control("script", changes={"answers": [answer] * 5})
    try:
        bench.open(timeout=1.0).get("/items")
    finally:
        bench.control("script", changes={"answers": []})


def _ended_grant(bench: Bench) -> None:
    caller = bench.refreshing()
    bench.control("end")
    caller.get("/items")


def _refused(bench: Bench) -> None:
    caller = bench.open()
    bench.control("script", changes={"api": [(403, {})]})
    response = caller.get("/items")
    if hasattr(response, "raise_for_status"):
        response.raise_for_status()


def _error_texts(bench: Bench) -> dict[str, Any]:
    texts = []
    for error in _errors(bench):
        texts.append("".join(traceback.format_exception(error)))
        behind: BaseException | None = error
        while behind is not None:
            texts.append(f"{behind!r} {behind.args!r}")
            behind = behind.__cause__ or behind.__context__
    return {"found": _found(bench, "\n".join(texts)), "errors": len(texts)}


def _error_locals(bench: Bench) -> dict[str, Any]:
    texts, errors = [], 0
    for error in _errors(bench):
        errors += 1
        behind: BaseException | None = error
        while behind is not None:
            frames = traceback.walk_tb(behind.__traceback__)
            # The matrix's own frames hold what a program's configuration would.
            theirs = [frame for frame, _ in frames if not frame.f_code.co_filename.startswith(_HERE)]
            texts += [
                f"{name}={_safe_repr(value)}" for frame in theirs for name, value in frame.f_locals.items()
            ]
            behind = behind.__cause__ or behind.__context__
    return {"found": _found(bench, "\n".join(texts)), "errors": errors}


def _safe_repr(value: Any) -> str:
    try:
        return repr(value)
    except Exception:
        return ""


def _reprs(bench: Bench) -> dict[str, Any]:
    callers = [bench.open()]
    if "refreshes" in bench.peer.does:
        callers.append(bench.refreshing())
    texts = []
    for caller in callers:
        bench.attempt(lambda caller=caller: caller.get("/items"))
        texts += [f"{_safe_repr(part)} {part}" for part in caller.parts]
    return {"found": _found(bench, "\n".join(texts))}


def _at_rest(bench: Bench) -> dict[str, Any]:
    bench.open(shared=True).get("/items")
    files = [file for file in bench.folder.rglob("*") if file.is_file()]
    found = _found(bench, "\n".join(file.read_bytes().decode("latin-1") for file in files))
    return {"found": found, "files": len(files)}


def _damaged(bench: Bench) -> dict[str, Any]:
    def task(here: Bench, _: int) -> str:
        return here.attempt(lambda: here.open(shared=True).get("/items"))

    failures = bench.processes(1, task)
    for file in bench.folder.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            file.write_bytes(content[: len(content) // 2])
    return {"failures": failures + bench.processes(1, task)}


def _goes_on(run: Run) -> Cell:
    failed = next(filter(None, run.failures), "")
    return Cell(f"error: {class_of(failed)}", "bad") if failed else Cell("asks anew", "good")


ROWS = (
    Row(
        key="logs",
        title="In logs at DEBUG",
        rule=(
            "A token request, a refused one, a refresh and an API call, with all loggers at DEBUG and "
            "everything that log records carry. Shown: what is found, as it is, URL-encoded or in Basic. "
            "Good: nothing."
        ),
        probe=_logs,
        judge=_shown,
        needs=(),
    ),
    Row(
        key="errors",
        title="In errors",
        rule=(
            "The texts, arguments and tracebacks of errors, with those behind them: a refused secret, a "
            "broken connection, HTML, no token, an API that refuses, a grant that has ended. Good: nothing."
        ),
        probe=_error_texts,
        judge=_shown_by_errors,
        needs=(),
        limit=60,
    ),
    Row(
        key="locals",
        title="In tracebacks with locals",
        rule="The local variables of those tracebacks, as error trackers report them. Good: nothing.",
        probe=_error_locals,
        judge=_shown_by_errors,
        needs=(),
        limit=60,
    ),
    Row(
        key="reprs",
        title="In reprs",
        rule="The `repr` and `str` of client, session, credentials and store after a call. Good: nothing.",
        probe=_reprs,
        judge=_shown,
        needs=(),
    ),
    Row(
        key="at-rest",
        title="In the shared cache's files",
        rule="What is found in the files where processes share tokens. Good: nothing.",
        probe=_at_rest,
        judge=_shown,
        needs=("mints", "cache"),
    ),
    Row(
        key="damaged",
        title="Shared cache damaged",
        rule=(
            "Half of each of those files is cut off. Good: the next process asks for a token, and its call "
            "succeeds."
        ),
        probe=_damaged,
        judge=_goes_on,
        needs=("mints", "cache"),
    ),
)
