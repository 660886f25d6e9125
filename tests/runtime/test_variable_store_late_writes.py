"""The Variable store over Variables whose writes may land again, late, or not be known to have landed."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from airflow_provider_finauth.auth.entry import Record
from airflow_provider_finauth.auth.stores.base import Conflict
from airflow_provider_finauth.exceptions import StoreUnavailableError
from airflow_provider_finauth.runtime.variable_parts import PROBE_VARIABLE
from airflow_provider_finauth.runtime.variable_store import VariableStore
from airflow_provider_finauth.secret import Secret
from tests.runtime.variables import FakeVariables, StoppedClock, intent, record, unanswered

KEY = "grant-0123abcd"


class LateWrites(RuleBasedStateMachine):
    """A grant's life, in which each write of the standing token set and of the one before may land again."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.folder = tempfile.TemporaryDirectory()
        self.variables = FakeVariables()
        self.variables.install(self.patch)
        self.store = VariableStore(Path(self.folder.name), Secret("the-store-key"), clock=StoppedClock())
        # What was written while the last token set but one stood, and while the last did.
        self.stages: list[list[tuple[str, str]]] = []
        self.newest: Record | None = None
        self.lineages = 0

    def teardown(self) -> None:
        self.patch.undo()
        self.folder.cleanup()

    @initialize(lists=st.booleans())
    def begin(self, lists: bool) -> None:
        self.variables.lists = lists

    def entry(self) -> tuple[int, Record | None]:
        entry = self.store.read(KEY, surely=True)
        if entry is None:
            return 0, None
        return entry.revision, Record.from_json(entry.payload) if entry.payload else None

    def write(self, following: Record) -> None:
        revision, _ = self.entry()
        number = len(self.variables.writes)
        self.store.write(KEY, following.to_json(), follows=revision)
        written = [each for each in self.variables.writes[number:] if each[0] != PROBE_VARIABLE]
        if self.newest is None or following.place != self.newest.place:
            self.stages = [*self.stages[-1:], written]
        else:
            self.stages[-1] += written
        self.newest = following

    @rule(generation=st.sampled_from([0, 1]), claims=st.booleans())
    def authorise(self, generation: int, claims: bool) -> None:
        self.lineages += 1
        self.write(
            record(
                f"lineage-{self.lineages}", generation, intent=intent(str(self.lineages)) if claims else None
            )
        )

    @precondition(lambda self: self.newest)
    @rule()
    def mint(self) -> None:
        assert self.newest is not None
        lineage, generation = self.newest.place
        self.write(record(lineage, generation + 1))

    @precondition(lambda self: self.newest)
    @rule(
        changes=st.sampled_from(
            [
                {"intent": intent("a")},
                {"intent": intent("b"), "unanswered": unanswered()},
                {"intent": None},
                {"intent": None, "unanswered": unanswered(2)},
                {"rest_until": 30.0},
                {"rest_until": 60.0, "intent": intent("c")},
            ]
        )
    )
    def change(self, changes: dict[str, Any]) -> None:
        _, standing = self.entry()
        assert standing is not None
        self.write(replace(standing, **changes))

    @precondition(lambda self: self.newest)
    @rule()
    def drop_the_access_token(self) -> None:
        _, standing = self.entry()
        assert standing is not None
        self.write(replace(standing, tokens=replace(standing.tokens, access_token=None)))

    @precondition(lambda self: self.newest)
    @rule()
    def mint_and_hear_nothing_of_the_write(self) -> None:
        """The write goes astray, and may land whenever it likes; a consent comes instead."""
        assert self.newest is not None
        lineage, generation = self.newest.place
        revision, _ = self.entry()
        before, number = dict(self.variables.values), len(self.variables.writes)

        def goes_astray() -> None:
            self.variables.values = dict(before)

        self.variables.after_write = [goes_astray]
        with pytest.raises((Conflict, StoreUnavailableError)):
            self.store.write(KEY, record(lineage, generation + 1).to_json(), follows=revision)
        astray = [each for each in self.variables.writes[number:] if each[0] != PROBE_VARIABLE]
        self.lineages += 1
        self.write(record(f"lineage-{self.lineages}"))
        self.stages[-2] += astray

    @precondition(lambda self: self.stages)
    @rule(data=st.data())
    def a_write_lands_again(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(range(len(self.stages))))
        name, text = data.draw(st.sampled_from(self.stages[number]))
        self.variables.values[name] = text

    @invariant()
    def the_newest_token_set_stands(self) -> None:
        _, standing = self.entry()
        if self.newest is None:
            assert standing is None
            return
        assert standing is not None
        assert standing.place == self.newest.place
        assert standing.tokens.refresh_token == self.newest.tokens.refresh_token


LateWrites.TestCase.settings = settings(max_examples=60, stateful_step_count=20)
TestLateWrites = LateWrites.TestCase
