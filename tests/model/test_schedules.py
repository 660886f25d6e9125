"""The real brokers of two processes, driven through schedules: what the model says holds for the code.

A schedule lets one process run to its end and then the other, but for its turns: at a step of the whole run
the other process goes on, one is killed, time passes, a message is lost, a person consents, the store is
away or a lease ends.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_finauth.exceptions import FinauthError, ReauthorizationRequiredError
from tests.model.driver import Call, Process, World
from tests.model.rules import Model, Server, Setting, State
from tests.model.settings import SERVERS

MakeWorld = Callable[..., World]
Schedule = Mapping[int, str]

FAULTS = ("kill", "time", "lost request", "lost answer", "consent", "store away")
STEPS = 18
# The whole square of faults and turns takes minutes; `make model` asks for it.
STRIDE = 1 if os.environ.get("FINAUTH_WHOLE_MODEL") else 9
WORLDS = {
    "revokes on replay, lock": (SERVERS["revokes on replay"], False),
    "has a leeway, lock": (SERVERS["has a leeway"], False),
    "refuses a replay, lock": (SERVERS["refuses a replay"], False),
    "does not rotate, lock": (SERVERS["does not rotate"], False),
    "revokes on replay, lease": (SERVERS["revokes on replay"], True),
}


@pytest.mark.parametrize("name", WORLDS)
def test_every_turn_and_every_fault_at_every_step(make_world: MakeWorld, name: str) -> None:
    server, lease = WORLDS[name]
    faults = (*FAULTS, "lease ends") if lease else FAULTS
    runs = 0
    for fault, at in itertools.product(faults, range(STEPS)):
        for turn in range(at % STRIDE, STEPS, STRIDE):
            if turn == at:
                continue
            runs += _run(make_world(server, lease=lease), {at: fault, turn: "turn"}, name)
    assert runs > 30


@pytest.mark.parametrize("name", WORLDS)
@settings(
    max_examples=20,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(schedule=st.dictionaries(st.integers(0, 40), st.sampled_from([*FAULTS, "turn", "turn"]), max_size=8))
def test_any_schedule(make_world: MakeWorld, name: str, schedule: dict[int, str]) -> None:
    server, lease = WORLDS[name]
    _run(make_world(server, lease=lease), schedule, name)


def _run(world: World, schedule: Schedule, name: str) -> bool:
    """Run a schedule and judge it; tell whether all its turns were taken."""
    world.expire()
    calls = [world.process().begin() for _ in range(2)]
    taken = _drive(world, calls, schedule)
    world.store_is_down = False
    told = f"{name}: {dict(schedule)}"
    for call in calls:
        if not call.process.dead and call.error is not None:
            assert isinstance(call.error, FinauthError), told
    _judge_end(world, told)
    assert world.wrong == [], told
    beyond = {edge for edge in world.edges if edge[0] != edge[1]} - _edges(world.server)
    assert not beyond, f"{told}: the model knows no such steps: {beyond}"
    return taken == len(schedule)


def _drive(world: World, calls: list[Call], schedule: Schedule) -> int:
    current = taken = 0
    for step in itertools.count():
        assert step < 500, "nobody comes to an end"
        world.store_is_down = False
        if not calls[current].can_go():
            current = 1 - current
            if not calls[current].can_go():
                break
        turn = schedule.get(step)
        if turn is not None:
            taken += 1
            if turn == "turn":
                current = 1 - current if calls[1 - current].can_go() else current
            else:
                _fault(world, calls[current], turn)
        if calls[current].can_go():
            calls[current].step()
    assert all(call.done for call in calls), "somebody waits for ever"
    return taken


def _fault(world: World, call: Call, fault: str) -> None:
    process = call.process
    if fault == "kill":
        process.kill()
        if world.lease and world.holder is call:
            # A dead holder's lease ends by itself.
            world.clock.advance(30)
            world.end_lease()
    elif fault == "time":
        world.clock.advance(61)
    elif fault == "lost request":
        process.lose = "request"
    elif fault == "lost answer":
        process.lose = "answer"
    elif fault == "consent" and len(world.families) == 1:
        world.consent()
    elif fault == "store away":
        world.store_is_down = True
    elif fault == "lease ends" and world.lease:
        world.end_lease()


def _judge_end(world: World, told: str) -> None:
    """Let whoever comes next get a token if there is one to be had."""
    had = world.knows_token() and not world.residual
    for _ in range(3):
        world.clock.advance(301)
        last: Process = world.process()
        try:
            assert last.token(), told
        except ReauthorizationRequiredError:
            assert not had, f"{told}: a grant is lost"
            return
        except FinauthError:
            continue
        return
    pytest.fail(f"{told}: no token and no refusal")


@cache
def _edges(server: Server) -> frozenset[tuple[Any, Any]]:
    """Give all the changes of a store that the model knows."""
    edges: set[tuple[Any, Any]] = set()
    for setting in (Setting(server, faults=2, mints=1), Setting(server, faults=1, mints=1, lease=True)):
        model = Model(setting)
        queue = model.beginnings()
        seen = set(queue)
        while queue:
            state = queue.pop()
            for step in model.steps(state):
                edges.add((_projected(state), _projected(step.state)))
                after = model.canonical(step.state)
                if after not in seen:
                    seen.add(after)
                    queue.append(after)
    return frozenset(edges)


def _projected(state: State) -> tuple[int, int, int, bool, bool]:
    record = state.record
    return record.family, record.generation, record.refresh, record.unanswered, bool(state.intent)
