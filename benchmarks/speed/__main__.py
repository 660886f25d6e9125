"""Measure: ``python -m benchmarks.speed [--case CASE] [--only SUBJECT] [--quick] [--output PAGE]``."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

from benchmarks.speed import report
from benchmarks.speed.cases import CASES
from benchmarks.speed.programs import IMPORTS, MASKING
from benchmarks.speed.runner import Results, run_cases, run_programs
from benchmarks.speed.subjects import KEYS

_PROGRAMS = {"import": IMPORTS, "masking": MASKING}


def main() -> None:
    """Measure what is asked for, print the tables, and write the page if it is whole."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    keys = [*CASES, *_PROGRAMS]
    parser.add_argument("--case", dest="cases", action="append", choices=keys, help="this case")
    parser.add_argument("--only", dest="subjects", action="append", choices=KEYS, help="this subject")
    parser.add_argument("--rounds", type=int, help="measurements of each")
    parser.add_argument("--quick", action="store_true", help="tiny numbers, to see that everything runs")
    parser.add_argument("--output", type=Path, help="the page to write; only with everything")
    options = parser.parse_args()
    if options.output and (options.cases or options.subjects or options.quick):
        parser.error("--output wants everything")

    began = time.monotonic()

    def tell(text: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {text}", flush=True)

    wanted = options.cases or keys
    cases = [CASES[key] for key in wanted if key in CASES]
    if options.quick:
        cases = [case.quick() for case in cases]
    if options.rounds:
        cases = [replace(case, rounds=options.rounds) for case in cases]
    results = Results()
    run_cases(cases, results, tell=tell, only=options.subjects or ())
    for key in (key for key in _PROGRAMS if key in wanted):
        rounds = options.rounds or (1 if options.quick else None)
        programs = [replace(program, rounds=rounds or program.rounds) for program in _PROGRAMS[key]]
        run_programs(programs, results, tell=tell)
    page = report.page(cases, results, seconds=time.monotonic() - began)
    print(f"\n{page}")
    if options.output:
        options.output.write_text(page)


if __name__ == "__main__":
    main()
