"""Report what importing all operators costs a DAG file, over what every DAG file imports anyway.

A fresh interpreter each time; the two are measured in turn, so that a busy machine slows both alike.

    python benchmarks/import_time.py [--rounds N]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

BASELINE = """
try:
    from airflow.sdk import DAG, BaseOperator
except ImportError:
    from airflow import DAG
    from airflow.models.baseoperator import BaseOperator
"""

OPERATORS = """
import importlib, pkgutil
import airflow_provider_finauth.operators as operators
for module in pkgutil.walk_packages(operators.__path__, f"{operators.__name__}."):
    importlib.import_module(module.name)
"""

_TIMED = """
import time
{before}
_began = time.perf_counter()
{measured}
print(time.perf_counter() - _began)
"""


def _milliseconds(*, before: str, measured: str) -> float:
    program = _TIMED.format(before=before, measured=measured)
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return float(run.stdout.split()[-1]) * 1000


def main() -> None:
    """Measure, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds

    baseline, added = [], []
    for _ in range(rounds):
        baseline.append(_milliseconds(before="", measured=BASELINE))
        added.append(_milliseconds(before=BASELINE, measured=OPERATORS))
    print(f"{rounds} rounds, medians (and the range):")
    results = {"Airflow's DAG and BaseOperator": baseline, "all our operators, over that": added}
    for name, times in results.items():
        print(f"  {name:32} {statistics.median(times):7.1f} ms ({min(times):.1f} to {max(times):.1f})")
    print("  held to: at most 50 ms")


if __name__ == "__main__":
    main()
