"""Run the matrix: ``python -m benchmarks.matrix [--only PEER] [--row ROW] [--output PAGE]``."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.matrix import report
from benchmarks.matrix.peers import KEYS
from benchmarks.matrix.rows import ROWS
from benchmarks.matrix.runner import run_matrix

if TYPE_CHECKING:
    from benchmarks.matrix.cells import Cell


def main() -> None:
    """Run what is asked for, tell of each cell, and write the page if it is whole."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.matrix", description=__doc__)
    parser.add_argument("--only", "--peer", dest="peers", action="append", choices=KEYS, help="this library")
    parser.add_argument("--row", dest="rows", action="append", choices=ROWS, help="this row")
    parser.add_argument("--jobs", type=int, default=2, help="libraries at the same time (%(default)s)")
    parser.add_argument("--output", type=Path, help="the page to write; only with all libraries and rows")
    options = parser.parse_args()
    if options.output and (options.peers or options.rows):
        parser.error("--output wants the whole matrix")

    began = time.monotonic()

    def tell(peer: str, row: str, cell: Cell) -> None:
        passed = time.monotonic() - began
        print(f"{passed:6.1f} s  {peer:21} {row:23} {report.SIGNS[cell.mark]} {cell.text}", flush=True)

    columns = run_matrix(options.peers or KEYS, options.rows or ROWS, jobs=options.jobs, tell=tell)
    if options.output:
        options.output.write_text(report.page(columns))
    print("\n".join(report.totals(columns)))


if __name__ == "__main__":
    main()
