"""The soak: processes refresh one grant and are killed at every step, a thousand times.

``python -m tests.faults.soak --store file --kills 1000``

Several lanes, each a connection with an authorisation of its own, run side by side. In each round one to
three processes refresh it at once, against a server that takes each refresh token once and revokes everything
at the second time; some are killed at a step chosen at random, or at a random moment shortly after it. Now
and then a person consents anew in the middle of it. Then the verdict is found.

An authorisation that was lost, as cannot be avoided, must end in a typed error for the next caller; then a
new one begins, by a consent or by a new refresh token in the connection, and the soak goes on.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.faults import places, strict_server
from tests.faults.children import Nursery
from tests.faults.steps import AT_THE_SERVER, Plan
from tests.faults.verdict import PASSING, REAUTHORISE, Figures, Verdict
from tests.faults.work import Task

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.faults.children import Child, Lane, Work
    from tests.faults.places import Place
    from tests.faults.strict_server import StrictServer

# More than the steps of a mint, so that some processes come to their end.
_STEPS = 26
_SHORTLY = 0.006
_PAUSE = 0.1
_NEW_CONSENTS = 0.04
_PATIENCE = 20


@dataclass(frozen=True)
class Settings:
    """How a soak goes.

    :param kills: it ends after so many
    :param lanes: connections side by side
    :param leeway: seconds in which the server takes a spent refresh token once more
    """

    kills: int
    lanes: int = 8
    leeway: float = 0.0
    seed: int | None = None


class Soak:
    """One soak.

    :param place: the store
    :param server: the token endpoint
    """

    def __init__(self, place: Place, server: StrictServer, settings: Settings) -> None:
        self.figures = Figures()
        self._place = place
        self._server = server
        self._settings = settings
        self._random = random.Random(settings.seed)
        self._nursery = Nursery()
        self._steps: dict[str, None] = dict.fromkeys(AT_THE_SERVER.values())

    def run(self) -> Figures:
        """Soak, and give the figures."""
        self._nursery.run([self._lane(number) for number in range(self._settings.lanes)])
        return self.figures

    def _is_over(self) -> bool:
        return sum(self.figures.kills.values()) >= self._settings.kills or bool(self.figures.violations)

    def _lane(self, number: int) -> Lane:
        verdict = Verdict(self.figures)
        while not self._is_over():
            consent = self._server.consent()
            seed = consent["refresh_token"] if self._random.random() < 0.3 else None
            task = Task(
                self._place,
                self._server,
                f"soak-{number}",
                seed,
                credentials={"refresh_leeway": self._settings.leeway},
            )
            if seed is None:
                begun = self._nursery.start(task.begin(consent))
                yield [begun]
                verdict.hear([begun])
                if not _is_token(begun):
                    # The machine has too much to do.
                    yield _PAUSE
                    continue
            yield from self._authorisation(task, verdict, consent)

    def _authorisation(self, task: Task, verdict: Verdict, consent: dict[str, str]) -> Lane:
        """Live through rounds until the authorisation is lost."""
        verdict.begin()
        family = strict_server.family_of(consent["refresh_token"])
        while not self._is_over():
            children = [self._nursery.start(self._work(task), plan) for plan in self._plans()]
            begun = None
            if self._random.random() < _NEW_CONSENTS:
                consent = self._server.consent()
                begun = self._nursery.start(task.begin(consent))
            started = [*children, *([begun] if begun else [])]
            yield started
            verdict.hear(started)
            if begun and _is_token(begun):
                # What the others asked for was the former authorisation.
                verdict.begin()
                family, children = strict_server.family_of(consent["refresh_token"]), []
            self._steps.update(dict.fromkeys(step for child in children for step in child.steps))
            look = self._nursery.start(task.look())
            yield [look]
            verdict.hear([look])
            held = [line.what for line in look.lines if line.kind == "seen"]
            self.figures.rounds += 1
            self.figures.rescued += "rescued" in [line.kind for line in look.lines]
            refreshes = self.figures.refreshes
            if not verdict.judge(*self._server.family(family), [*held, task.seed or ""], children):
                yield from self._next_caller(task, verdict)
                return
            if refreshes == self.figures.refreshes:
                # Mostly all wait for a dead owner's deadline, and go on with the old token meanwhile.
                yield _PAUSE

    def _next_caller(self, task: Task, verdict: Verdict) -> Lane:
        """Whoever comes after the loss must be told that a person is needed."""
        result = "nothing"
        for _ in range(_PATIENCE):
            child = self._nursery.start(task.refresh())
            yield [child]
            verdict.hear([child])
            result = child.result or result
            if not result.startswith(PASSING):
                break
            # The machine has too much to do.
            yield _PAUSE
        if not result.startswith(REAUTHORISE):
            self.figures.violations.append(f"after the loss the next caller got {result}")

    def _work(self, task: Task) -> Work:
        draw = self._random.random()
        return task.token() if draw < 0.1 else task.refresh(times=2 if draw < 0.3 else 1)

    def _plans(self) -> list[Plan]:
        draw = self._random
        plans = []
        for _ in range(draw.choice((1, 1, 1, 2, 2, 3))):
            after = draw.uniform(0, _SHORTLY) if draw.random() < 0.4 else 0.0
            refuse_writes = draw.random() < 0.08
            if draw.random() < 0.2:
                plans.append(Plan(refuse_writes=refuse_writes))
            elif draw.random() < 0.5:
                plans.append(Plan(step=draw.randint(1, _STEPS), after=after, refuse_writes=refuse_writes))
            else:
                name = draw.choice(list(self._steps))
                plans.append(Plan(name=name, after=after, refuse_writes=refuse_writes))
        return plans


def _is_token(child: Child) -> bool:
    return (child.result or "").startswith("token")


def soak(name: str, settings: Settings) -> Figures:
    """Soak a store in a place and against a server of its own."""
    with (
        places.place(name) as place,
        strict_server.running(lifetime=1, leeway=settings.leeway) as server,
    ):
        return Soak(place, server, settings).run()


def main(arguments: list[str] | None = None) -> int:
    """Soak the stores that are named, print their figures, and tell by 0 that all went well."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--store", action="append", choices=places.NAMES, help="all, unless named")
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--lanes", type=int, default=8)
    parser.add_argument("--leeway", type=float, default=0.0)
    parser.add_argument("--seed", type=int)
    given = parser.parse_args(arguments)
    stores = given.store or places.NAMES
    settings = Settings(given.kills, given.lanes, given.leeway, given.seed)
    with tempfile.TemporaryDirectory(prefix="finauth-soak-") as folder:
        if "variable" in stores:
            places.make_airflow_home(Path(folder))
        return _soak_all(stores, settings)


def _soak_all(stores: Iterable[str], settings: Settings) -> int:
    rows, failed = [], False
    for name in stores:
        began = time.monotonic()
        figures = soak(name, settings)
        print(f"== {name}: {time.monotonic() - began:.0f} s, {figures.rounds} rounds")
        for step, count in figures.kills.most_common():
            print(f"{count:6} killed {step}")
        for result, count in figures.results.most_common():
            print(f"{count:6} gave {result}")
        for violation in figures.violations[:5]:
            print(f"VIOLATION: {violation}")
        failed = failed or bool(figures.violations)
        sys.stdout.flush()
        rows.append(
            f"| `{name}` | {sum(figures.kills.values())} | {len(figures.kills)} | {figures.refreshes} | "
            f"{figures.rescued} | {figures.replays} | {figures.timeouts} | {figures.lost} | "
            f"{len(figures.violations)} |"
        )
    print(
        "\n| store | kills | after different steps | refreshes | rounds with a rescue file | replays after a "
        "process killed before its write | replays after a time-out | authorisations lost so | violations |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    print("\n".join(rows))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
