"""The page: tables in parts that fit it, what each row means, and what was measured with what."""

from __future__ import annotations

import os
import platform
import textwrap
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from benchmarks.matrix.peers.base import Peer
from benchmarks.matrix.rows import GROUPS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.matrix.cells import Cell, Mark, Row
    from benchmarks.matrix.runner import Column

SIGNS: dict[Mark, str] = {"good": "✓", "bad": "✗", "none": "–"}
_WORDS = ("good", "bad", "no verdict")
_OURS = "finauth"
_PEERS_BESIDE_OURS = 4


def totals(columns: Iterable[Column]) -> list[str]:
    """Count each library's marks."""
    lines = []
    for column in columns:
        counts = (f"{SIGNS[mark]} {count:2}" for mark, count in _count(column).items())
        lines.append(f"{column.peer.key:21}  {'  '.join(counts)}")
    return lines


def page(columns: list[Column]) -> str:
    """Write the page."""
    date = datetime.now(UTC).strftime("%-d %B %Y")
    parts = [_HEAD.format(date=date, machine=_machine()), _summary(columns)]
    for title, rows in GROUPS.items():
        parts.append(f"## {title}\n")
        parts += [_table(part, rows) for part in _parts(columns)]
        parts.append("\n".join(_described(row) for row in rows) + "\n")
    parts += ["## What was used\n", _used(columns)]
    return "\n".join(parts)


def _parts(columns: list[Column]) -> list[list[Column]]:
    """Deal the libraries out to tables, ours in each."""
    ours = [column for column in columns if column.peer.key == _OURS]
    others = [column for column in columns if column.peer.key != _OURS]
    starts = range(0, len(others), _PEERS_BESIDE_OURS)
    return [[*ours, *others[start : start + _PEERS_BESIDE_OURS]] for start in starts]


def _count(column: Column) -> dict[Mark, int]:
    marks = [cell.mark for cell in column.cells.values()]
    return {mark: marks.count(mark) for mark in SIGNS}


def _summary(columns: list[Column]) -> str:
    heads = [f"{sign} {words}" for sign, words in zip(SIGNS.values(), _WORDS, strict=True)]
    lines = [_line(["", *heads]), _line(["---"] * 4)]
    lines += [_line([column.peer.title, *map(str, _count(column).values())]) for column in columns]
    return "\n".join(lines) + "\n"


def _table(columns: list[Column], rows: tuple[Row, ...]) -> str:
    lines = [_line(["", *(column.peer.title for column in columns)]), _line(["---"] * (1 + len(columns)))]
    lines += [_line([row.title, *(_text(column.cells[row.key]) for column in columns)]) for row in rows]
    return "\n".join(lines) + "\n"


def _line(texts: Iterable[str]) -> str:
    return f"| {' | '.join(texts)} |"


def _text(cell: Cell) -> str:
    return f"{SIGNS[cell.mark]} {cell.text}".replace("|", "\\|")


def _described(row: Row) -> str:
    text = f"{row.title}: {row.rule}"
    return textwrap.fill(text, 110, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False)


def _used(columns: list[Column]) -> str:
    lines = [_line(["", "version", "what was used"]), _line(["---"] * 3)]
    beside: set[str] = set()
    for column in columns:
        own = [f"{name} {column.versions[name]}" for name in column.peer.distributions]
        beside |= {f"{name} {version}" for name, version in column.versions.items()} - set(own)
        lines.append(_line([column.peer.title, ", ".join(own), column.peer.used]))
    apart = [column.peer.title for column in columns if column.peer.environment != Peer.environment]
    return "\n".join(lines) + _BESIDE.format(beside=", ".join(sorted(beside)), apart=", ".join(apart))


def _machine() -> str:
    cores = os.cpu_count() or 1
    processor = platform.machine().replace("_", "-")
    return f"Python {platform.python_version()} on {platform.system()}, {cores} cores ({processor})"


_BESIDE = """

Beside them: {beside}. All are installed in `.venv/matrix`, except {apart}, which has an environment of
its own: it and the Airbyte CDK need different distributions of one module.
"""

_HEAD = """\
# Beside other libraries

This package's broker and client, and the libraries and frameworks that do a part of the same, in one run
against one scriptable server on loopback: token endpoint, API and a second origin. Written by `make matrix`
on {date}; {machine}. Not edited by hand.

Each cell is what one probe measured, in a process of its own that is ended when its time is over. One rule
for each row, written below its table, makes the mark, the same for all columns. Each library is used as its
documentation says, in the best way that it offers for the case; the last table says how.

- ✓ as it should be
- ✗ not
- – no verdict: the library does not do this at all, or hands the case on to its caller

Some of what is marked ✗ is no fault but a choice: a library for one user's computer need not think of sixteen
processes. It says what a fleet of tasks would meet.

```bash
make matrix                                                    # all, into this page
.venv/matrix/bin/python -m benchmarks.matrix --only finauth    # one column, on the terminal
```
"""
