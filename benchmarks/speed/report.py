"""The page: what we hold ourselves to, a table for each case, and what was measured with what."""

from __future__ import annotations

import os
import platform
import statistics
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from benchmarks.speed.programs import IMPORTS, MASKING
from benchmarks.speed.subjects import make_subject
from benchmarks.speed.subjects.base import Subject
from benchmarks.speed.targets import spread, verdicts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.speed.cases import Case
    from benchmarks.speed.programs import Program
    from benchmarks.speed.runner import Measured, Results

# What the others are compared with.
_YARDSTICKS = ("http-operator", "requests-json")
_MARKS = {True: "held", False: "**missed**", None: ""}


def page(cases: list[Case], results: Results, *, seconds: float) -> str:
    """Write the page.

    :param seconds: how long it took
    """
    date = datetime.now(UTC).strftime("%-d %B %Y")
    parts = [_HEAD.format(date=date, machine=_machine(), minutes=max(1, round(seconds / 60)))]
    judged = [
        (verdict.title, verdict.target, verdict.measured, _MARKS[verdict.held])
        for verdict in verdicts(results, {case.key: case for case in cases})
    ]
    if judged:
        parts += ["## What we hold ourselves to\n", _table(("", "target", "measured", ""), judged), _BOUNDS]
    for case in cases:
        parts += [f"## {case.title}\n", f"{case.text}\n", _case(case, results)]
    parts += _programs("Import", "Milliseconds in a fresh interpreter.", IMPORTS, results)
    parts += _programs("Masking", _MASKING_TEXT, MASKING, results)
    parts += ["## What was used\n", _used(cases, results)]
    return "\n".join(parts)


def _case(case: Case, results: Results) -> str:
    measured = results.cases.get(case.key, {})
    rows = []
    yardstick = "requests-json" if case.calls else "http-operator"
    ours = measured.get(yardstick)
    for key in case.subjects:
        found = measured.get(key)
        title = make_subject(key).title
        if found is None:
            continue
        if found.error:
            rows.append((title, f"not measured: {found.error}", *[""] * (3 if case.calls else 5)))
        elif case.calls:
            micros = [second / case.calls * 1e6 for second in found.seconds]
            cpu = statistics.median(found.cpu) / case.calls * 1e6
            rows.append((title, spread(micros, ".0f"), f"{cpu:.0f}", _ratio(ours, found, slower=True)))
        else:
            rows.append(
                (
                    title,
                    spread(found.seconds, ".2f"),
                    f"{statistics.median(found.cpu):.2f}",
                    _thousands(case.pages * case.records / found.median),
                    f"{statistics.median(found.memory) / 1e6:.1f}",
                    _ratio(ours, found),
                )
            )
    if case.calls:
        return _table(("", "µs a call", "CPU, µs", "time over the bare session's"), rows)
    heads = ("", "seconds", "CPU", "records a second", "memory, MB", "speed over HttpOperator's")
    return _table(heads, rows)


def _ratio(yardstick: Measured | None, found: Measured, *, slower: bool = False) -> str:
    if yardstick is None or not yardstick.seconds:
        return ""
    ratio = statistics.median(yardstick.times(found) if slower else found.times(yardstick))
    return f"{ratio:.2f}" if slower else f"{ratio:.1f}"


def _thousands(value: float) -> str:
    return f"{round(value, -3):,.0f}" if value >= 10_000 else f"{value:,.0f}"


def _programs(title: str, text: str, programs: Iterable[Program], results: Results) -> list[str]:
    rows = [
        (program.title, spread(found, ".0f"))
        for program in programs
        if (found := results.programs.get(program.title))
    ]
    return [f"## {title}\n", f"{text}\n", _table(("", "ms"), rows)] if rows else []


def _used(cases: list[Case], results: Results) -> str:
    keys = dict.fromkeys(key for case in cases for key in case.subjects)
    rows = []
    for key in keys:
        subject = make_subject(key)
        versions = (
            f"{name} {results.versions[name]}" for name in subject.distributions if name in results.versions
        )
        rows.append((subject.title, ", ".join(versions), subject.used))
    apart = [make_subject(key).title for key in keys if make_subject(key).environment != Subject.environment]
    text = _table(("", "version", "what was used"), rows)
    return f"{text}\n{_APART.format(apart=', '.join(apart))}" if apart else text


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [_line(heads), _line(["---"] * len(heads)), *map(_line, rows)]
    return "\n".join(lines) + "\n"


def _line(texts: Iterable[str]) -> str:
    return f"| {' | '.join(text.replace('|', chr(92) + '|') for text in texts)} |"


def _machine() -> str:
    cores, processor = os.cpu_count() or 1, platform.machine().replace("_", "-")
    return f"Python {platform.python_version()} on {platform.system()}, {cores} cores ({processor})"


_HEAD = """\
# How fast it is

Pulls and calls of this package, and of the libraries and frameworks that do the same, in one run against one
server on loopback that answers faster than any of them asks. Written by `make bench` on {date};
{machine}, {minutes} minutes. Not edited by hand.

Each measurement is a process of its own, which imports its library and pulls two pages before the clock
starts. The subjects take turns, round by round. Given is the median of the rounds, and their range in
parentheses; ratios are made within each round. A bare time says how fast this machine was; a ratio says more.

A record has about 140 bytes and eight members, one of them a number with a fraction, which ours reads exactly
(as `Decimal`) and the others as a float. Ours holds its pulls to their totals and looks for repeated records
where it says so; the others do neither. HttpOperator and the msgraph hook give back all pages at once, the
others' records are looked at one by one and dropped.

```bash
make bench                                                           # all, into this page
.venv/bench/bin/python -m benchmarks.speed --case loopback           # one case, on the terminal
.venv/bench/bin/python -m benchmarks.speed --quick                   # tiny numbers: does everything run?
```
"""

_BOUNDS = """\
**What bounds ours.** On loopback, the time is that of `requests`: sending a request and reading its
answer takes as long as all that we do with the page. Of the rest most goes into opening a page (one pass
of msgspec over its bytes) and into reading the keys for the guards (a second one). By cursor each page
costs the latency, and beside it what a request costs on this machine; the loops by hand show how much
that is. A connection that costs as much as a page halves the time by arithmetic, and no more. Parquet
counts what pyarrow takes at its first use, about 25 MB, and one row group of 32,000 records; its time
goes into decoding records and making columns of them. A call is the same exchange as the bare session's
with the checks around it, so it stands at the same time.
"""
_MASKING_TEXT = """\
What it costs to register freshly minted tokens (900 characters) with Airflow's masker, all in one process.
The masker compiles all that it knows anew for each, so the time grows faster than the number. Airflow's own
way is not awaited for 1,000 tokens."""

_APART = """\
All are installed in `.venv/bench`, except {apart}, which has an environment of its own
(`.venv/matrix-singer`): it and the Airbyte CDK need different distributions of one module.
"""
