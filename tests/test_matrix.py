"""The matrix of ``benchmarks.matrix``: our own column holds, and its rules tell good from bad."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from benchmarks.matrix import report
from benchmarks.matrix.cells import Cell, Row, Run
from benchmarks.matrix.peers import KEYS, make_peer
from benchmarks.matrix.rows import GROUPS, ROWS
from benchmarks.matrix.runner import Column, run_peer
from benchmarks.matrix.server import Seen

# What hangs on the machine's speed is left to `make matrix`.
TIMED = {"load", "token-timeout"}
RUN = [key for key in ROWS if key not in TIMED]
WORKERS = 6


@pytest.fixture(scope="module")
def ours() -> dict[str, Cell]:
    """Our column. Most of its time is waiting, so its rows are dealt out to several processes."""
    parts = [[ROWS[key] for key in RUN[start::WORKERS]] for start in range(WORKERS)]
    with ThreadPoolExecutor(WORKERS) as pool:
        columns = pool.map(lambda rows: run_peer(make_peer("finauth"), rows), parts)
        return {key: cell for column in columns for key, cell in column.cells.items()}


@pytest.mark.parametrize("row", RUN)
def test_our_column_holds(row: str, ours: dict[str, Cell]) -> None:
    assert ours[row].mark == "good", ours[row].text


def run(peer: str, *, tokens: int = 1, failures: int = 0, **seen: object) -> Run:
    asked = [{"at": time.time(), "grant": "refresh_token", "spent": "x"}] * tokens
    return Run(
        peer=make_peer(peer),
        seen=Seen(token_requests=asked, **seen),  # type: ignore[arg-type]
        report={"failures": ["builtins.ValueError"] * failures},
    )


def judged(row: str, found: Run) -> Cell:
    return ROWS[row].cell(found)


def test_one_rule_for_all() -> None:
    for peer in ("finauth", "authlib"):
        assert judged("cold-threads", run(peer)) == Cell("1", "good")
        assert judged("cold-threads", run(peer, tokens=16)) == Cell("16", "bad")
        assert judged("cold-threads", run(peer, failures=1)) == Cell("1, 1 error", "bad")
        assert judged("rotating-threads", run(peer, revoked=True)) == Cell("1, grant lost", "bad")
        assert judged("wrong-secret", run(peer, tokens=2)) == Cell("2", "good")
        assert judged("wrong-secret", run(peer, tokens=3)) == Cell("3", "bad")


def test_what_a_library_lacks_gives_no_verdict() -> None:
    assert judged("cold-processes", run("authlib", tokens=16)) == Cell("16 (no cache of its own)", "none")
    assert judged("cold-processes", run("msal", tokens=16)) == Cell("16", "bad")
    assert ROWS["cold-processes"].skipped(make_peer("http-hook")) == Cell("asks for no tokens", "none")
    assert ROWS["cold-processes"].skipped(make_peer("authlib")) is None


def test_a_probe_that_does_not_end_is_bad() -> None:
    row = ROWS["cold-threads"]
    assert row.cell(Run(peer=make_peer("dlt"), seen=Seen(), report={}, hangs=True, limit=10)) == Cell(
        "hangs > 10 s", "bad"
    )
    assert row.cell(Run(peer=make_peer("dlt"), seen=Seen(), report={}, error="a.b.Wrong")) == Cell(
        "error: Wrong", "bad"
    )


def test_the_page_has_each_row_and_each_library() -> None:
    columns = []
    for key in KEYS:
        peer = make_peer(key)
        versions = dict.fromkeys([*peer.distributions, "requests"], "1.0")
        columns.append(Column(peer, versions, dict.fromkeys(ROWS, Cell(f"cell of {key}", "good"))))
    text = report.page(columns)
    for title, rows in GROUPS.items():
        assert f"## {title}\n" in text
        for row in rows:
            assert text.count(f"| {row.title} |") == 3
            assert f"- {row.title}: " in text
    for key in KEYS:
        assert f"✓ cell of {key} |" in text


def test_keys_are_unique() -> None:
    rows: list[Row] = [row for group in GROUPS.values() for row in group]
    assert len({row.key for row in rows}) == len({row.title for row in rows}) == len(rows)
    assert all(make_peer(key).key == key for key in KEYS)
