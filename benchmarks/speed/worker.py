"""Makes one measurement: imports one subject, warms it up, and times it. The result is a line of JSON.

python -m benchmarks.speed.worker '{"subject": …, "calls": 0, "order": {…}}'
"""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import os
import sys
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.speed.subjects import make_subject
from benchmarks.speed.subjects.base import Order, Subject

_WARM_PAGES = 2
_WARM_CALLS = 50


def main() -> None:
    """Do what the command line says."""
    # What a library prints is not to be taken for the result.
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    wanted = json.loads(sys.argv[1])
    subject = make_subject(wanted["subject"])
    subject.load()
    # A task's log goes elsewhere; what is written of each request would cost some of them more than others.
    logging.disable(logging.INFO)
    order = Order(**wanted["order"])
    subject.open(order.address)
    result = _calls(subject, order, wanted["calls"]) if wanted["calls"] else _pull(subject, order)
    result["versions"] = {name: version(name) for name in subject.distributions}
    print(json.dumps(result), file=answer, flush=True)


def _pull(subject: Subject, order: Order) -> dict[str, Any]:
    gc.collect()
    before = _resident("VmRSS")
    _reset_peak()
    warm = min(_WARM_PAGES, order.pages)
    subject.pull(replace(order, pages=warm, latency=0, connect=0))
    began, cpu = time.perf_counter(), time.process_time()
    records = subject.pull(order)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    if records != order.pages * order.records:
        raise RuntimeError(f"{subject.key} gave {records} records")
    return {
        "seconds": seconds,
        "cpu": cpu,
        "memory": _resident("VmHWM") - before,
        "written": sum(file.stat().st_size for file in Path(order.folder).glob("records.*")),
    }


def _calls(subject: Subject, order: Order, count: int) -> dict[str, Any]:
    call = subject.caller(order.address)
    for _ in range(min(_WARM_CALLS, count)):
        call()
    began, cpu = time.perf_counter(), time.process_time()
    for _ in range(count):
        call()
    return {"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}


def _resident(name: str) -> int:
    """Give the process's memory in bytes; 0 where the system does not tell."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024
    return 0


def _reset_peak() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


if __name__ == "__main__":
    main()
