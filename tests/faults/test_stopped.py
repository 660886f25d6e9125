"""A process that is stopped in the middle of a refresh, and continued when others have gone on without it."""

from __future__ import annotations

import http.client
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_finauth.auth.broker import Broker
from airflow_provider_finauth.auth.endpoint import TokenEndpoint
from airflow_provider_finauth.transport.clock import Clock
from tests.airflow_harness import needs_airflow_3
from tests.faults.places import file_place
from tests.faults.steps import Plan, Steps
from tests.faults.strict_server import Asked, StrictServer, family_of
from tests.faults.verdict import REAUTHORISE
from tests.faults.work import Task

if TYPE_CHECKING:
    from tests.faults.children import Child, Lane, Nursery
    from tests.faults.places import Place

# They do not depend on Airflow, so once is enough.
pytestmark = needs_airflow_3

# Ample, since processes are stopped and started by the dozen.
_DEADLINE = 2.0
UNREAD = "the refresh token is spent"


@dataclass
class Story:
    """What came of one process that was stopped at one step.

    :param stopped: it
    :param other: who came while it was stopped
    :param last: who came after both
    :param kept: the refresh tokens in the store and in the rescue file
    :param live: the one that the server honours
    """

    step: str
    stopped: Child
    other: Child
    last: Child
    kept: list[str]
    live: str | None
    log: list[Asked]

    def of(self, child: Child) -> list[str]:
        """What became of a process's requests."""
        return [asked.outcome for asked in self.log if asked.who == child.who]


def steps_of(nursery: Nursery, task: Task, server: StrictServer) -> list[str]:
    """Give the steps of a refresh that nothing disturbs."""
    steps: list[str] = []

    def lane() -> Lane:
        yield [nursery.start(task.begin(server.consent()))]
        child = nursery.start(task.refresh(), Plan(name="nowhere"))
        yield [child]
        steps.extend(dict.fromkeys(line.what for line in child.lines if line.kind == "step"))

    nursery.run([lane()])
    assert "before asking" in steps
    at_server = ["the request is there", UNREAD, "the answer is sent"]
    position = steps.index("before asking") + 1
    return steps[:position] + at_server + steps[position:]


def tell(
    nursery: Nursery, task: Task, server: StrictServer, steps: list[str], patience: float
) -> list[Story]:
    """Stop a process at each step, each on a connection of its own.

    :param patience: how long the other waits for a lock
    """
    stories: list[Story] = []

    def lane(step: str) -> Lane:
        mine = replace(task, conn_id=step.replace(" ", "-"))
        consent = server.consent()
        yield [nursery.start(mine.begin(consent))]
        stopped = nursery.start(mine.refresh(), Plan(name=step, how="SIGSTOP"))
        yield lambda: stopped.is_stopped() or stopped.ended
        other = nursery.start(replace(mine, lock_timeout=patience).refresh())
        yield [other]
        assert stopped.is_stopped(), f"it did not stop {step}"
        stopped.go_on()
        yield [stopped]
        last = nursery.start(mine.refresh())
        yield [last]
        look = nursery.start(mine.look())
        yield [look]
        kept = [line.what for line in look.lines if line.kind == "seen"]
        family = family_of(consent["refresh_token"])
        stories.append(Story(step, stopped, other, last, kept, server.live(family), server.family(family)[1]))

    nursery.run([lane(step) for step in steps])
    return stories


def complaints(story: Story) -> list[str]:
    """Say what must not be where a lock ends with its holder only."""
    found = []
    asked = [asked.outcome for asked in story.log]
    if set(asked) != {"rotated"}:
        found.append(f"the server saw {asked}")
    if story.kept != [story.live]:
        found.append(f"{story.live} is live, kept is {story.kept}")
    if not (story.last.result or "").startswith("token"):
        found.append(f"the last one got {story.last.result}")
    lines = [line.what for line in story.stopped.lines if line.kind in ("step", "struck")]
    before = lines[: lines.index(story.step) + 1]
    in_the_lock = "with the lock" in before and "after leaving the lock" not in before
    if (story.other.result or "").startswith("error LockTimeoutError") != in_the_lock:
        found.append(f"the other one got {story.other.result}")
    # It comes to its end by itself: with a token, or with an error that says to try again.
    if not (story.stopped.result or "").startswith(("token", "error NeverSentError")):
        found.append(f"the stopped one got {story.stopped.result}")
    return [f"stopped {story.step}: {what}" for what in found]


@pytest.mark.parametrize("place", ["file", "sql"], indirect=True)
def test_a_lock_that_ends_with_its_holder_is_not_taken_from_a_stopped_one(
    place: Place, server: StrictServer, nursery: Nursery
) -> None:
    server.settings(lifetime=3600)
    place = replace(place, deadline=_DEADLINE)
    task = Task(place, server, "c")
    steps = steps_of(nursery, task, server)
    assert len(steps) >= 15
    stories = tell(nursery, task, server, steps, patience=place.deadline + 0.5)
    found = [complaint for story in stories for complaint in complaints(story)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("place", ["redis"], indirect=True)
def test_a_lease_that_ends_under_a_stopped_holder_costs_nothing_while_the_old_token_serves(
    place: Place, server: StrictServer, nursery: Nursery
) -> None:
    """Others take the lease, see the intent, and go on with the old token; the late answer is kept."""
    server.settings(lifetime=3600)
    task = Task(replace(place, deadline=_DEADLINE), server, "c")
    stories = tell(nursery, task, server, steps_of(nursery, task, server), patience=10.0)
    found = []
    for story in stories:
        results = [child.result or "" for child in (story.other, story.last)]
        if not (
            {asked.outcome for asked in story.log} == {"rotated"}
            and story.kept == [story.live]
            and all(result.startswith("token") for result in results)
            and (story.stopped.result or "").startswith(("token", "error NeverSentError"))
        ):
            found.append(f"stopped {story.step}: {story.log} {results} {story.stopped.result}")
    assert not found, "\n".join(found)


@pytest.mark.parametrize("place", ["redis"], indirect=True)
def test_what_a_lease_cannot_keep_apart_is_a_holder_stopped_with_its_answer_unread(
    place: Place, server: StrictServer, nursery: Nursery
) -> None:
    """The residual risk of the store ``redis``: without a usable token the others must ask again."""
    server.settings(lifetime=1)
    task = Task(replace(place, deadline=_DEADLINE), server, "c")
    steps = steps_of(nursery, task, server)
    sends, unread = steps.index("before asking"), ["the request is there", UNREAD, "with the answer"]
    stories = tell(nursery, task, server, [*steps[1 : sends + 1], *unread], patience=10.0)
    found = []
    for story in stories:
        asked = [asked.outcome for asked in story.log]
        if story.step in unread:
            # Its answer comes too late: the server has taken the other's repetition for theft.
            is_well = (
                (story.of(story.stopped), story.of(story.other)) == (["rotated"], ["replayed"])
                and (story.other.result or "").startswith(REAUTHORISE)
                and (story.last.result or "").startswith(REAUTHORISE)
                and story.live is None
            )
        else:
            is_well = (
                set(asked) == {"rotated"}
                and story.kept == [story.live]
                and (story.other.result or "").startswith("token")
                and (story.last.result or "").startswith("token")
            )
        if not is_well:
            found.append(
                f"stopped {story.step}: {asked}; stopped {story.stopped.result}; "
                f"other {story.other.result}; last {story.last.result}"
            )
    assert not found, "\n".join(found)


def test_a_request_that_has_left_is_not_taken_for_one_that_has_not(
    tmp_path: Path, server: StrictServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process is stopped past its deadline after its request's last byte, and before it knows that."""
    send = http.client.HTTPConnection.send

    class StoppedClock(Clock):
        ahead = 0.0

        def monotonic(self) -> float:
            return super().monotonic() + self.ahead

    def send_and_stop(self: http.client.HTTPConnection, data: Any) -> None:
        send(self, data)
        if b"refresh_token=" in bytes(data):
            StoppedClock.ahead = 3600.0

    monkeypatch.setattr(http.client.HTTPConnection, "send", send_and_stop)
    task = Task(file_place(tmp_path), server, "c")
    consent = server.consent()
    assert task.begin(consent)(Steps("test", Plan())) == "token: 1"
    broker = Broker(
        task.place.open(), endpoint=TokenEndpoint(clock=StoppedClock()), deadline=30.0, lock_timeout=40.0
    )
    assert broker.renew(task.made_credentials(), at_least=7200).generation == 2
    assert [asked.outcome for asked in server.log()] == ["rotated"]
