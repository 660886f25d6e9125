"""The search through all states of a model."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from tests.model.rules import Model, Setting, State


@dataclass(frozen=True)
class Result:
    """What a search found.

    :param states: how many there are
    :param trace: the steps that lead to what is wrong, and the sentence that says so; empty if nothing is
    """

    states: int
    trace: tuple[str, ...] = ()

    @property
    def wrong(self) -> str:
        return self.trace[-1] if self.trace else ""

    def __str__(self) -> str:
        return "\n".join(self.trace) or f"{self.states} states, nothing wrong"


def explore(setting: Setting) -> Result:
    """Look at each state that can be reached, breadth first, and stop at the first that is wrong."""
    model = Model(setting)
    found: dict[State, tuple[State | None, str]] = {}
    queue: deque[State] = deque()
    before: dict[State, list[State]] = {}
    for state in model.beginnings():
        found[state] = (None, f"begin with {state.record}")
        queue.append(state)
    while queue:
        state = queue.popleft()
        for step in model.steps(state):
            after = model.canonical(step.state)
            if step.wrong:
                return Result(len(found), (*_trace(found, state), step.name, step.wrong))
            if after not in found:
                found[after] = (state, step.name)
                queue.append(after)
            if step.kind != "fault":
                before.setdefault(after, []).append(state)
    return _judge_ends(model, found, before)


def _judge_ends(
    model: Model, found: dict[State, tuple[State | None, str]], before: dict[State, list[State]]
) -> Result:
    """Look for states from which, whatever happens but faults, nobody comes to an end."""
    settling = _leading_to([state for state in found if model.settled(state)], before)
    recovering = _leading_to([state for state in found if model.fresh(state)], before)
    for state in found:
        if state not in settling:
            return Result(len(found), (*_trace(found, state), f"{state}", "somebody waits for ever"))
        if state not in recovering and model.known(state, certain=True, lasting=True):
            wrong = "no token can be had any more although a refresh token is known"
            return Result(len(found), (*_trace(found, state), f"{state}", wrong))
    return Result(len(found))


def _leading_to(goals: list[State], before: dict[State, list[State]]) -> set[State]:
    reached, queue = set(goals), deque(goals)
    while queue:
        for earlier in before.get(queue.popleft(), ()):
            if earlier not in reached:
                reached.add(earlier)
                queue.append(earlier)
    return reached


def _trace(found: dict[State, tuple[State | None, str]], state: State) -> tuple[str, ...]:
    steps = []
    at: State | None = state
    while at is not None:
        at, name = found[at]
        steps.append(name)
    return tuple(reversed(steps))
