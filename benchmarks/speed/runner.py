"""Runs the cases: one server, and a fresh process for each measurement, the subjects taking turns."""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.speed.subjects import make_subject
from benchmarks.speed.subjects.base import Order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from benchmarks.speed.cases import Case
    from benchmarks.speed.programs import Program

ROOT = Path(__file__).parents[2]
_LIMIT = 300


@dataclass
class Measured:
    """What was measured of one subject in one case, round by round.

    :param seconds: of each round
    :param cpu: of each round
    :param memory: bytes over import
    :param written: bytes of the file
    :param error: why there is nothing
    """

    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    written: int = 0
    error: str = ""

    @property
    def median(self) -> float:
        """The median of the seconds."""
        return statistics.median(self.seconds)

    def times(self, other: Measured) -> list[float]:
        """How many times as long the other took, round by round."""
        return [theirs / ours for ours, theirs in zip(self.seconds, other.seconds, strict=False)]


@dataclass
class Results:
    """All that was measured.

    :param cases: by case and subject
    :param programs: milliseconds by title
    :param versions: by distribution
    """

    cases: dict[str, dict[str, Measured]] = field(default_factory=dict)
    programs: dict[str, list[float]] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)


@contextlib.contextmanager
def running_server(*, pages: int, records: int) -> Iterator[str]:
    """Run the server; gives its address."""
    command = [sys.executable, "-m", "benchmarks.speed.server", f"--pages={pages}", f"--records={records}"]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=_environment(""),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.stdin.close()


def run_cases(
    cases: Iterable[Case], results: Results, *, tell: Callable[[str], None], only: Iterable[str] = ()
) -> None:
    """Run cases.

    :param results: where the figures go
    :param tell: told of each measurement
    :param only: these subjects; all if there are none
    """
    cases, only = list(cases), set(only)
    if not cases:
        return
    for records in sorted({case.records for case in cases}):
        same = [case for case in cases if case.records == records]
        with running_server(pages=max(case.pages for case in same), records=records) as address:
            for case in same:
                _run_case(case, address, results, tell, only)


def _run_case(
    case: Case, address: str, results: Results, tell: Callable[[str], None], only: set[str]
) -> None:
    table = results.cases.setdefault(case.key, {})
    subjects = [key for key in case.subjects if not only or key in only]
    for number in range(case.rounds):
        # Whoever comes after a heavy one is not always the same.
        turn = number % max(len(subjects), 1)
        for key in [*subjects[turn:], *subjects[:turn]]:
            measured = table.setdefault(key, Measured())
            if measured.error:
                continue
            try:
                found = measure(case, key, address)
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                measured.error = str(error)
                tell(f"{case.key:11} {key:18} {measured.error}")
                continue
            measured.seconds.append(found["seconds"])
            measured.cpu.append(found["cpu"])
            measured.memory.append(found.get("memory", 0))
            measured.written = found.get("written", 0)
            results.versions.update(found["versions"])
            tell(
                f"{case.key:11} {key:18} {found['seconds']:7.2f} s  {found['cpu']:6.2f} s CPU  "
                f"{found.get('memory', 0) / 1e6:6.1f} MB"
            )


def measure(case: Case, key: str, address: str) -> dict[str, Any]:
    """Measure one subject once, in a process of its own.

    :raises RuntimeError: it failed
    """
    subject = make_subject(key)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        style = case.style if case.style in subject.styles else "links"
        order = Order(address, case.pages, case.records, case.latency, case.connect, style, folder)
        wanted = {"subject": key, "calls": case.calls, "order": asdict(order)}
        run = _run(subject.environment, folder, "-m", "benchmarks.speed.worker", json.dumps(wanted))
    if run.returncode:
        if os.environ.get("BENCH_DEBUG"):
            print(run.stderr, file=sys.stderr)
        raise RuntimeError(_last_line(run.stderr))
    result: dict[str, Any] = json.loads(run.stdout)
    return result


def _run(environment: str, folder: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a Python program in a process of its own."""
    return subprocess.run(
        [_python(environment), *arguments],
        cwd=ROOT,
        env=_environment(folder),
        capture_output=True,
        text=True,
        timeout=_LIMIT,
        check=False,
    )


_TIMED = """
import time
{before}
_began = time.perf_counter()
{measured}
print(time.perf_counter() - _began)
"""


def run_programs(programs: Iterable[Program], results: Results, *, tell: Callable[[str], None]) -> None:
    """Time programs in fresh interpreters, in turns."""
    programs = list(programs)
    for number in range(max(program.rounds for program in programs)):
        for program in programs:
            if number >= program.rounds:
                continue
            with tempfile.TemporaryDirectory(prefix="bench-") as folder:
                code = _TIMED.format(before=program.before, measured=program.measured)
                run = _run(program.environment, folder, "-c", code)
            if run.returncode:
                tell(f"{program.title}: {_last_line(run.stderr)}")
                continue
            milliseconds = float(run.stdout.split()[-1]) * 1000
            results.programs.setdefault(program.title, []).append(milliseconds)
            tell(f"{milliseconds:9.1f} ms  {program.title}")


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it said nothing"])[-1][:200]


def _python(environment: str) -> str:
    """Give the interpreter of an environment: that beside this one, else this one."""
    beside = Path(sys.prefix).with_name(environment) / "bin" / "python"
    return str(beside) if beside.exists() else sys.executable


def _environment(home: str) -> dict[str, str]:
    """Give a measurement's environment: nothing of the caller's shell that the libraries would heed."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return {
        **kept,
        "HOME": home,
        "AIRFLOW_HOME": home,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PYTHONPATH": str(ROOT),
        "DLT_DATA_DIR": home,
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        # dlt would look for its settings in the Airflow beside it.
        "PROVIDERS__ENABLE_AIRFLOW_SECRETS": "false",
        "DO_NOT_TRACK": "1",
        "NO_PROXY": "127.0.0.1",
    }
