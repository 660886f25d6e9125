"""Searches the model with three processes: ``python -m tests.model``. Takes some minutes."""

from __future__ import annotations

import sys
import time
from multiprocessing import get_context
from typing import TYPE_CHECKING

from tests.model.explore import Result, explore
from tests.model.settings import settings

if TYPE_CHECKING:
    from tests.model.rules import Setting


def _search(named: tuple[str, Setting]) -> tuple[str, Result, float]:
    name, setting = named
    began = time.perf_counter()
    return name, explore(setting), time.perf_counter() - began


def main() -> int:
    failed = states = 0
    searched = settings(3, faults=2, mints=1)
    # A process for each search gives its memory back.
    with get_context("fork").Pool(2, maxtasksperchild=1) as pool:
        for name, result, seconds in pool.imap_unordered(_search, searched.items()):
            print(f"{name}: {result} ({seconds:.0f} s)", flush=True)
            states += result.states
            failed += bool(result.trace)
    print(f"{states} states in {len(searched)} settings, {failed} with something wrong.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
