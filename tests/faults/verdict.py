"""The judgement of a soak: what the server saw, held against what the processes told before they died.

Two things must never happen. A refresh token is sent again although the server's answer was kept or the
process that had it lived; and a grant is lost although the refresh token that the server honours was kept.
What no client can avoid on a strict server, a process killed between the answer and its write, is counted.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.faults.children import Child
    from tests.faults.strict_server import Asked, Token

REAUTHORISE = "error ReauthorizationRequiredError"
PASSING = tuple(
    f"error {name}"
    for name in ("StoreUnavailableError", "LockTimeoutError", "NeverSentError", "PassingError")
)


@dataclass
class Figures:
    """What a soak counts.

    :param kills: by the last step before them
    :param refreshes: refresh tokens that the server replaced
    :param replays: of those, after the unanswered attempt of a dead process
    :param lost: authorisations that ended so
    :param timeouts: replays after an attempt that got no answer in time while its process lived
    :param results: what processes that lived gave
    :param violations: what must not be, in words
    """

    kills: Counter[str] = field(default_factory=Counter)
    refreshes: int = 0
    replays: int = 0
    timeouts: int = 0
    lost: int = 0
    rescued: int = 0
    rounds: int = 0
    results: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)


class Verdict:
    """Judges one lane: one connection whose processes are killed, round by round.

    :param figures: where it counts
    """

    def __init__(self, figures: Figures) -> None:
        self._figures = figures
        self._deaths: dict[str, float] = {}
        self._unanswered: set[str] = set()
        self._kept: dict[str, float] = {}
        self._judged = 0

    def begin(self) -> None:
        """A new authorisation has begun, with a log of its own."""
        self._judged = 0

    def hear(self, children: Iterable[Child]) -> None:
        """Take in what processes told that have come to their ends."""
        for child in children:
            if child.hung:
                self._complain(f"{child.who} hung {child.last_step}")
            if child.killed_at is not None:
                self._deaths[child.who] = child.killed_at
                self._figures.kills[child.last_step] += 1
            else:
                result = child.result or "nothing"
                self._figures.results[result.partition(":")[0]] += 1
                if result.startswith(("crash", "nothing")):
                    self._complain(f"{child.who}: {result}")
            for line in child.lines:
                if line.kind in ("seen", "written"):
                    self._kept[line.what] = min(line.at, self._kept.get(line.what, line.at))
                elif line.kind == "unanswered":
                    self._unanswered.add(child.who)

    def judge(
        self, tokens: dict[str, Token], log: list[Asked], held: Iterable[str], children: Iterable[Child]
    ) -> bool:
        """Judge a round, all of whose processes have come to their ends; tell whether the grant lives.

        :param tokens: the family's refresh tokens, as the server has them now
        :param log: all requests with them
        :param held: the refresh tokens in the store, in the rescue file and in the connection
        :param children: the round's processes
        """
        fresh, self._judged = log[self._judged :], len(log)
        for asked in fresh:
            if asked.outcome in ("rotated", "leeway"):
                self._figures.refreshes += asked.outcome == "rotated"
            elif asked.outcome == "replayed":
                self._judge_replay(asked, tokens[asked.token])
            elif asked.outcome not in ("revoked", "lost"):
                self._complain(f"{asked.who} sent a refresh token that was answered with {asked.outcome!r}")
        live = [name for name, token in tokens.items() if token.state == "live"]
        if not live:
            self._figures.lost += 1
            return False
        for child in children:
            if child.result is not None and child.result.startswith(REAUTHORISE):
                self._complain(f"{child.who} asks for a person although {live[0]} is live")
        if live[0] not in held:
            self._judge_loss(live[0], tokens)
        return True

    def _judge_replay(self, asked: Asked, token: Token) -> None:
        kept = self._kept.get(token.successor)
        died = self._deaths.get(token.spent_by)
        if kept is not None and kept < asked.at:
            self._complain(f"{asked.who} sent {asked.token} again although its successor was kept")
        elif died is not None and died <= asked.at:
            self._figures.replays += 1
        elif token.spent_by in self._unanswered:
            self._figures.timeouts += 1
        else:
            self._complain(f"{asked.who} sent {asked.token} again although {token.spent_by} lived")

    def _judge_loss(self, live: str, tokens: dict[str, Token]) -> None:
        """The live refresh token is nowhere: its process must have died with it."""
        spender = next((token.spent_by for token in tokens.values() if token.successor == live), None)
        if live in self._kept:
            self._complain(f"{live} was kept and is kept no more, although it is live")
        elif spender not in self._deaths and spender not in self._unanswered:
            self._complain(f"{live} is live and nowhere, although {spender} lived")

    def _complain(self, what: str) -> None:
        self._figures.violations.append(what)
