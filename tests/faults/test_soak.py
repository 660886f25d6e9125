"""The soak in short, and whether it would see what it looks for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_finauth.auth.sealer import Sealer
from airflow_provider_finauth.auth.stores.file import FileStore
from tests.airflow_harness import needs_airflow_3
from tests.faults import strict_server
from tests.faults.children import Child, Line
from tests.faults.places import KEY, Place, file_place
from tests.faults.soak import Settings, Soak, main
from tests.faults.steps import Plan
from tests.faults.verdict import REAUTHORISE, Figures, Verdict

if TYPE_CHECKING:
    from airflow_provider_finauth.auth.stores.base import Hold
    from tests.faults.strict_server import StrictServer

KILLS = 40


@pytest.fixture
def server() -> Iterator[StrictServer]:
    with strict_server.running(lifetime=1) as running:
        yield running


@pytest.mark.parametrize(
    ("place", "kills", "lanes"),
    [
        *(pytest.param(name, KILLS, 8, marks=needs_airflow_3) for name in ("file", "redis", "sql")),
        # SQLite lets one process write at a time.
        ("variable", KILLS // 2, 3),
    ],
    indirect=["place"],
)
def test_no_kill_loses_what_could_be_kept(place: Place, kills: int, lanes: int, server: StrictServer) -> None:
    figures = Soak(place, server, Settings(kills, lanes)).run()
    assert not figures.violations, "\n".join(figures.violations)
    assert sum(figures.kills.values()) >= kills
    assert len(figures.kills) > 5
    assert figures.refreshes > 0
    assert figures.lost == figures.replays + figures.timeouts


def test_a_leeway_makes_good_for_the_killed(place_with_leeway: tuple[Place, StrictServer]) -> None:
    place, server = place_with_leeway
    figures = Soak(place, server, Settings(KILLS, leeway=30.0)).run()
    assert not figures.violations, "\n".join(figures.violations)
    assert figures.refreshes > 0
    assert figures.lost == 0


@pytest.fixture
def place_with_leeway(tmp_path: Path) -> Iterator[tuple[Place, StrictServer]]:
    with strict_server.running(lifetime=1, leeway=30.0) as running:
        yield file_place(tmp_path), running


class Forgetful(FileStore):
    """A store that says it has kept an answer, and has not."""

    def write(self, key: str, payload: bytes, *, follows: int, under: Hold | None = None) -> int:
        if key.startswith("grant-") and b'"generation": 2' in payload and b'"intent": null' in payload:
            return follows + 1
        return super().write(key, payload, follows=follows, under=under)


def test_it_sees_a_store_that_forgets(tmp_path: Path, server: StrictServer) -> None:
    place = replace(file_place(tmp_path), open=lambda: Forgetful(tmp_path / "store", Sealer(KEY)))
    assert Soak(place, server, Settings(KILLS, lanes=2)).run().violations


def test_the_command_prints_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--store", "file", "--kills", "3", "--lanes", "1"]) == 0
    *_, head, _, row = capsys.readouterr().out.splitlines()
    assert row.startswith("| `file` | ")
    assert row.count("|") == head.count("|")


def child(who: str, *lines: tuple[str, float, str], killed_at: float | None = None) -> Child:
    told = [Line(*line) for line in lines]
    return Child(who, Plan(), 0, 0, 0.0, told, killed_at=killed_at, ended=True)


def replay() -> tuple[dict[str, strict_server.Token], list[strict_server.Asked]]:
    """Refresh token ``a`` was spent by p1 at 1, brought ``b``, and comes again from p2 at 2."""
    tokens = {
        "a": strict_server.Token(1, "spent", spent_by="p1", spent_at=1.0, successor="b"),
        "b": strict_server.Token(1, "revoked"),
    }
    log = [
        strict_server.Asked(1.0, "p1", "refresh_token", 1, "a", 1, "rotated", "b"),
        strict_server.Asked(2.0, "p2", "refresh_token", 2, "a", 1, "replayed", "b"),
    ]
    return tokens, log


REFUSED = child("p2", ("result", 2.1, REAUTHORISE))


def verdict_of(children: list[Child], tokens: Any, log: Any, held: list[str]) -> Figures:
    figures = Figures()
    verdict = Verdict(figures)
    verdict.hear(children)
    verdict.judge(tokens, log, held, children)
    return figures


def test_a_replay_after_a_death_is_counted() -> None:
    figures = verdict_of([child("p1", killed_at=1.5), REFUSED], *replay(), held=["a"])
    assert (figures.replays, figures.lost, figures.violations) == (1, 1, [])


@pytest.mark.parametrize(
    ("first", "words"),
    [
        (child("p1", ("result", 1.6, "token: 2")), "lived"),
        (child("p1", killed_at=2.5), "lived"),
        (child("p1", ("written", 1.2, "b"), killed_at=1.5), "was kept"),
    ],
    ids=["it lived", "it lived then", "its answer was kept"],
)
def test_any_other_replay_is_a_violation(first: Child, words: str) -> None:
    (violation,) = verdict_of([first, REFUSED], *replay(), held=["a"]).violations
    assert words in violation


def living() -> tuple[dict[str, strict_server.Token], list[strict_server.Asked]]:
    tokens, log = replay()
    return {**tokens, "b": strict_server.Token(1, "live")}, log[:1]


def test_an_answer_that_died_with_its_process_is_no_violation_yet() -> None:
    assert not verdict_of([child("p1", killed_at=1.5)], *living(), held=["a"]).violations


@pytest.mark.parametrize(
    ("first", "held", "words"),
    [
        (child("p1", ("result", 1.6, "token: 2")), ["a"], "nowhere"),
        (child("p1", ("written", 1.2, "b"), killed_at=1.5), ["a"], "kept no more"),
        (child("p1", ("result", 1.6, REAUTHORISE)), ["b"], "asks for a person"),
        (child("p1", ("result", 1.6, "crash KeyError")), ["b"], "crash"),
    ],
    ids=["nowhere", "overwritten", "given up", "crashed"],
)
def test_a_live_refresh_token_has_to_be_kept(first: Child, held: list[str], words: str) -> None:
    (violation,) = verdict_of([first], *living(), held=held).violations
    assert words in violation
