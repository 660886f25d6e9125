"""What we hold ourselves to, and whether it was held."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.speed.programs import OUR_OPERATORS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from benchmarks.speed.cases import Case
    from benchmarks.speed.runner import Measured, Results

_MOST_MEMORY = 30e6
# What may be fetched and not yet taken, by default.
_IN_FLIGHT = 16 * 2**20
_MOST_IMPORT = 50.0


@dataclass(frozen=True)
class Verdict:
    """One target beside what was measured.

    :param title: what is compared
    :param target: in words
    :param measured: in words, with its spread
    :param held: whether it was held; None where it is only reported
    """

    title: str
    target: str
    measured: str
    held: bool | None


def verdicts(results: Results, cases: Mapping[str, Case]) -> Iterator[Verdict]:
    """Judge what was measured; what was not is left out.

    :param cases: that were run, by key
    """
    for case, subject, peer, target, title in (
        ("loopback", "finauth-lines", "http-operator", 4.0, "JSON Lines without looking into records"),
        ("loopback", "finauth-guarded", "http-operator", 3.0, "JSON Lines with all guards"),
        ("index-50", "finauth-guarded", "http-operator", 6.0, "the same at 50 ms a page, total known"),
        ("connect-50", "finauth-guarded", "http-operator", 2.0, "the same by cursor, 50 ms a connection too"),
    ):
        pair = _pair(results, case, subject, peer)
        if pair is not None:
            times = pair[0].times(pair[1])
            yield Verdict(
                f"{title}, against HttpOperator",
                f"at least {target:g} times",
                f"{spread(times, '.1f')} times",
                statistics.median(times) >= target,
            )
    yield from _cursor(results, cases)
    yield from _memory(results)
    yield from _calls(results)
    if imports := results.programs.get(OUR_OPERATORS):
        yield Verdict(
            "import of our operators over `airflow.sdk`",
            f"at most {_MOST_IMPORT:.0f} ms",
            f"{spread(imports, '.0f')} ms",
            statistics.median(imports) <= _MOST_IMPORT,
        )


def _cursor(results: Results, cases: Mapping[str, Case]) -> Iterator[Verdict]:
    measured = _one(results, "cursor-50", "finauth-guarded")
    if measured is not None:
        case = cases["cursor-50"]
        least = case.pages * case.latency / 1000
        over = [(seconds / least - 1) * 100 for seconds in measured.seconds]
        yield Verdict(
            "JSON Lines with all guards by cursor, over pages × latency",
            "at most 8 % more",
            f"{spread(over, '.1f')} % more",
            statistics.median(over) <= 8,
        )


def _memory(results: Results) -> Iterator[Verdict]:
    for key, title in (
        ("finauth", "records in memory"),
        ("finauth-guarded", "JSON Lines with all guards"),
        ("finauth-parquet", "Parquet"),
    ):
        pair = _pair(results, "small", key, key, other_case="loopback")
        if pair is not None:
            few, many = (statistics.median(measured.memory) for measured in pair)
            yield Verdict(
                f"memory over import, {title}: 10 thousand and 1 million records",
                f"flat but for {_IN_FLIGHT / 1e6:.0f} MB in flight, below {_MOST_MEMORY / 1e6:.0f} MB",
                f"{few / 1e6:.1f} MB, {many / 1e6:.1f} MB",
                many < _MOST_MEMORY and many - few <= _IN_FLIGHT,
            )


def _calls(results: Results) -> Iterator[Verdict]:
    for key, title in (
        ("finauth-session", "a call with our session"),
        ("finauth-hook", "a call with our hook, checked"),
    ):
        pair = _pair(results, "calls", "requests-json", key)
        if pair is not None:
            times = pair[0].times(pair[1])
            yield Verdict(
                f"time of {title}, over a bare `requests.Session`'s",
                "at most 1.0",
                spread(times, ".2f"),
                statistics.median(times) <= 1.0,
            )


def _one(results: Results, case: str, subject: str) -> Measured | None:
    measured = results.cases.get(case, {}).get(subject)
    return measured if measured is not None and measured.seconds else None


def _pair(
    results: Results, case: str, subject: str, other: str, *, other_case: str = ""
) -> tuple[Measured, Measured] | None:
    first, second = _one(results, case, subject), _one(results, other_case or case, other)
    return (first, second) if first is not None and second is not None else None


def spread(values: list[float], form: str) -> str:
    """Write the median, and the range of all."""
    texts = [format(value, form) for value in (statistics.median(values), min(values), max(values))]
    return texts[0] if texts[1] == texts[2] else f"{texts[0]} ({texts[1]} to {texts[2]})"
