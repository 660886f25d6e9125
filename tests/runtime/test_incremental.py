"""Watermarks and windows, with Airflow's Variables as a dict."""

from __future__ import annotations

import contextlib
import importlib
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_finauth.client.paging.base import Page, Pull, Request
from airflow_provider_finauth.client.paging.changes import Changes, moment_of
from airflow_provider_finauth.client.paging.rows import Rows
from airflow_provider_finauth.client.paging.single import Single
from airflow_provider_finauth.client.paging.tally import Tally
from airflow_provider_finauth.exceptions import ConfigurationError, StoreUnavailableError
from airflow_provider_finauth.runtime import door, incremental
from airflow_provider_finauth.runtime.incremental import Incremental, overlap_of
from airflow_provider_finauth.runtime.incremental_state import RUNS, Kept, Window, variable_of
from airflow_provider_finauth.runtime.task import Task
from airflow_provider_finauth.runtime.variable_parts import PROBE_VARIABLE
from airflow_provider_finauth.transport.clock import SYSTEM_CLOCK, Clock
from airflow_provider_finauth.values import timestamp
from tests.runtime.variables import FakeVariables, StoppedClock

NOW = datetime(2027, 1, 15, 8, tzinfo=UTC)  # the clock's
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
PULL = Pull(
    request=Request("GET", "/v1/things", params={"kind": "a", "since": None}),
    paging=Single(),
    resource="things",
    changes=Changes(fields=("changed",), filtered=True, deleted=("state", "Deleted")),
)
RUN = Task("the_dag", "pull", "scheduled__1", -1)


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeVariables:
    monkeypatch.setenv("AIRFLOW__FINAUTH__LOCK_DIR", str(tmp_path / "locks"))
    found = FakeVariables()
    found.install(monkeypatch)
    return found


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


def begin(clock: Clock, task: Task | None = RUN, pull: Pull = PULL, **options: Any) -> Incremental:
    return Incremental(
        "nightly",
        conn_id="things_default",
        base_url="https://api.example.com",
        pull=pull,
        task=task,
        clock=clock,
        **options,
    )


def run_of(number: int, *, task_id: str = "pull", map_index: int = -1, dag_id: str = "the_dag") -> Task:
    return Task(dag_id, task_id, f"scheduled__{number}", map_index)


def pages(*moments: datetime | None, size: int = 2) -> Iterator[Page]:
    """Pages of records that changed then."""
    records = [
        {"id": n, "changed": None if moment is None else timestamp(moment)}
        for n, moment in enumerate(moments)
    ]
    for number, start in enumerate(range(0, len(records), size), start=1):
        yield Page(Rows.of(records[start : start + size]), number)


def kept_by(mark: Incremental, *moments: datetime | None) -> list[datetime | None]:
    """Walk pages and give the moments of the records that came through."""
    return [moment_of(record["changed"]) for page in mark.keep(pages(*moments)) for record in page.records]


def content(variables: FakeVariables) -> dict[str, Any]:
    """What the pull's Variable holds."""
    (name,) = [name for name in variables.values if name.startswith("finauth_incremental")]
    found: dict[str, Any] = json.loads(variables.values[name])
    return found


# Windows.


def test_the_first_pull_takes_everything_up_to_now(variables: FakeVariables, clock: StoppedClock) -> None:
    mark = begin(clock)
    assert mark.window == Window(None, NOW)
    assert mark.window.to_dict() == {"until": "2027-01-15T08:00:00Z"}
    assert mark.watermark(None) is None
    # Pinned before anything is asked for.
    assert content(variables) == {
        "watermark": None,
        "windows": {"the_dag/scheduled__1": {"pull/-1": {"until": "2027-01-15T08:00:00Z"}}},
    }


def test_the_first_pull_may_begin_somewhere(variables: FakeVariables, clock: StoppedClock) -> None:
    assert begin(clock, since=NOW - 30 * DAY).window == Window(NOW - 30 * DAY, NOW)
    with pytest.raises(ConfigurationError, match="yet to come") as caught:
        begin(clock, run_of(2), since=NOW + HOUR)
    assert caught.value.field == "since"
    assert "the_dag/scheduled__2" not in content(variables)["windows"]


def test_the_next_pull_begins_an_overlap_before_the_watermark(
    variables: FakeVariables, clock: StoppedClock
) -> None:
    mark = begin(clock, since=NOW - 30 * DAY)
    assert kept_by(mark, NOW - 3 * HOUR, NOW - 2 * HOUR) == [NOW - 3 * HOUR, NOW - 2 * HOUR]
    mark.commit(NOW)
    clock.time += 86_400
    # What it began with once does not matter any more.
    assert begin(clock, run_of(2), since=NOW - 30 * DAY).window == Window(NOW - 26 * HOUR, NOW + DAY)
    assert begin(clock, run_of(3), overlap=HOUR).window.since == NOW - 3 * HOUR
    assert begin(clock, run_of(4), overlap=timedelta(0)).window.since == NOW - 2 * HOUR


def test_a_retry_and_a_cleared_run_have_the_same_window(
    variables: FakeVariables, clock: StoppedClock
) -> None:
    first = begin(clock)
    clock.time += 600
    assert begin(clock).window == first.window  # a retry
    kept_by(retried := begin(clock), NOW - HOUR)
    retried.commit(None)
    clock.time += 10 * 86_400
    later = begin(clock, run_of(2))
    kept_by(later, NOW + 9 * DAY)
    later.commit(None)
    cleared = begin(clock)
    assert cleared.window == first.window
    # Changed long after its window, it is in another run's file, and not twice.
    assert kept_by(cleared, NOW - HOUR, NOW + HOUR) == [NOW - HOUR]
    cleared.commit(None)
    assert content(variables)["watermark"] == timestamp(NOW + 9 * DAY), "it moves forward only"


def test_tasks_and_map_indexes_have_windows_of_their_own(
    variables: FakeVariables, clock: StoppedClock
) -> None:
    first = begin(clock)
    clock.time += 60
    others = [
        begin(clock, run_of(1, map_index=3)),
        begin(clock, run_of(1, task_id="other")),
        begin(clock, run_of(1, dag_id="other")),
    ]
    assert {mark.window.until for mark in others} == {NOW + timedelta(minutes=1)}
    assert begin(clock).window == first.window


def test_the_windows_of_fifty_runs_are_kept(variables: FakeVariables, clock: StoppedClock) -> None:
    for number in range(RUNS + 1):
        begin(clock, run_of(number))
        begin(clock, run_of(number, map_index=7))
        clock.time += 3600
    windows = content(variables)["windows"]
    assert list(windows) == [f"the_dag/scheduled__{number}" for number in range(1, RUNS + 1)]
    assert all(set(tasks) == {"pull/-1", "pull/7"} for tasks in windows.values())
    assert begin(clock, run_of(1)).window.until == NOW + HOUR
    # The oldest is a new run by now.
    assert begin(clock, run_of(0)).window.until == NOW + (RUNS + 1) * HOUR


def test_without_a_run_nothing_is_pinned(variables: FakeVariables, clock: StoppedClock) -> None:
    mark = begin(clock, None)
    assert [name for name, _ in variables.writes] == [PROBE_VARIABLE]
    kept_by(mark, NOW - HOUR)
    mark.commit(None)
    assert content(variables) == {"watermark": timestamp(NOW - HOUR), "windows": {}}
    clock.time += 3600
    assert begin(clock, None).window == Window(NOW - 25 * HOUR, NOW + HOUR)


# What is kept, and how far it has come.


def test_rows_outside_of_the_window_are_left_to_others(variables: FakeVariables, clock: StoppedClock) -> None:
    mark = begin(clock, since=NOW - DAY)
    moments = [
        NOW - DAY - timedelta(microseconds=1),
        NOW - DAY,
        NOW - timedelta(microseconds=1),
        NOW,
        NOW + 400 * DAY,
        None,
    ]
    assert kept_by(mark, *moments) == [NOW - DAY, NOW - timedelta(microseconds=1), None]
    assert mark.checks() == {"outside_window": 3, "undated": 1, "deleted": 0}
    assert mark.reached(None) == "2027-01-15T07:59:59.999999Z"


def test_a_row_dated_in_the_future_is_pulled_when_its_time_has_come(
    variables: FakeVariables, clock: StoppedClock
) -> None:
    future = NOW + 5 * DAY
    delivered = []
    for day in range(8):
        mark = begin(clock, run_of(day), overlap=timedelta(0))
        delivered += kept_by(mark, *([NOW] if day else []), future)
        mark.commit(NOW + day * DAY)
        clock.time += 86_400
    assert delivered.count(future) >= 1


def test_the_watermark_passes_neither_clock(variables: FakeVariables, clock: StoppedClock) -> None:
    """An API whose filter is exact is believed; its rows may bear a time that has not come here."""
    exact = Pull(
        request=Request(path="/v1/exact"),
        paging=Single(),
        resource="exact",
        changes=Changes(fields=("changed",), filtered=True, exact=True),
    )
    mark = begin(clock, pull=exact)
    assert kept_by(mark, NOW - HOUR, NOW + 2 * HOUR) == [NOW - HOUR, NOW + 2 * HOUR]
    assert mark.watermark(None) == NOW
    assert mark.watermark(NOW - timedelta(minutes=5)) == NOW - timedelta(minutes=5), "its clock is behind"
    assert mark.watermark(NOW + timedelta(minutes=5)) == NOW, "its clock is ahead"


def test_a_retry_believes_the_pinned_end_and_not_its_own_clock(
    variables: FakeVariables, clock: StoppedClock
) -> None:
    begin(clock)
    clock.time += 7200
    retried = begin(clock)
    kept_by(retried, NOW - HOUR, NOW + HOUR)
    assert retried.watermark(NOW + 2 * HOUR) == NOW - HOUR


def test_late_rows_are_met_by_the_overlap(variables: FakeVariables, clock: StoppedClock) -> None:
    mark = begin(clock)
    kept_by(mark, NOW - HOUR)
    mark.commit(None)
    clock.time += 86_400
    late = NOW - 20 * HOUR  # it was not there before
    assert late in kept_by(begin(clock, run_of(2)), late, NOW)


def test_an_empty_pull_moves_nothing(variables: FakeVariables, clock: StoppedClock) -> None:
    first = begin(clock)
    kept_by(first, NOW - HOUR)
    first.commit(None)
    clock.time += 86_400
    mark = begin(clock, run_of(2))
    before = content(variables)
    writes = len(variables.writes)
    assert kept_by(mark) == []
    assert mark.reached(NOW + DAY) == timestamp(NOW - HOUR)
    mark.commit(NOW + DAY)
    assert (content(variables), len(variables.writes)) == (before, writes)


def test_nothing_moves_before_the_commit(variables: FakeVariables, clock: StoppedClock) -> None:
    kept_by(begin(clock), NOW - HOUR)
    assert content(variables)["watermark"] is None


def test_records_that_do_not_tell_are_kept_and_said(
    variables: FakeVariables, clock: StoppedClock, caplog: pytest.LogCaptureFixture
) -> None:
    mark = begin(clock)
    assert kept_by(mark, None, None, None) == [None] * 3
    assert mark.checks()["undated"] == 3
    assert mark.reached(NOW) is None
    assert "None of the 3 records of things has a moment at 'changed'" in caplog.text


def test_the_deleted_are_counted(variables: FakeVariables, clock: StoppedClock) -> None:
    mark = begin(clock)
    states = ["Deleted", "Locked", "Deleted"]
    rows = Rows.of({"changed": timestamp(NOW - HOUR), "state": state} for state in states)
    assert len(list(mark.keep(page for page in [Page(rows, 1)]))) == 1
    assert mark.checks()["deleted"] == 2


def test_closing_closes_the_walk(variables: FakeVariables, clock: StoppedClock) -> None:
    closed = []

    def walk() -> Iterator[Page]:
        try:
            yield from pages(NOW - HOUR, NOW - HOUR, NOW - HOUR)
        finally:
            closed.append(True)

    kept: Any = begin(clock).keep(walk())
    next(kept)
    kept.close()
    assert closed == [True]


@settings(max_examples=50)
@given(
    st.lists(
        st.tuples(st.integers(1, 200), st.integers(0, 60), st.booleans(), st.integers(-40, 40)),
        max_size=25,
    )
)
def test_no_row_is_lost_whatever_comes_when(steps: list[tuple[int, int, bool, int]]) -> None:
    """Rows turn up within the overlap after the time they bear; runs fail; the clocks differ by less."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        variables, clock = FakeVariables(), StoppedClock()
        variables.install(monkeypatch)
        there: list[datetime] = []
        delivered: set[datetime] = set()
        for number, (pause, age, fails, skew) in enumerate(steps):
            clock.time += pause * 60
            now = NOW + timedelta(seconds=clock.time)
            there.append(now - timedelta(minutes=age, microseconds=number))
            mark = begin(clock, run_of(number), overlap=timedelta(minutes=100))
            kept = kept_by(mark, *(row for row in there if mark.window.holds(row)))
            if not fails:
                mark.commit(now + timedelta(minutes=skew))
                delivered.update(row for row in kept if row is not None)
        clock.time += 60
        last = begin(clock, run_of(1000), overlap=timedelta(minutes=100))
        delivered.update(row for row in there if last.window.holds(row))
        assert set(there) <= delivered


# The Variable.


def test_the_variables_name_tells_what_it_is(variables: FakeVariables, clock: StoppedClock) -> None:
    name = begin(clock).variable
    assert name.startswith("finauth_incremental_nightly_things_default_things_")
    assert len(name) <= 250


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"conn_id": "other"},
        {"base_url": "https://test.example.com"},
        {"pull": Pull(request=Request("GET", "/v1/other"), paging=Single(), changes=PULL.changes)},
        {"pull": Pull(request=Request("GET", "/v1/things", params={"kind": "b"}), paging=Single())},
        {"pull": Pull(request=Request("GET", "/v1/things", headers={"Who": "me"}), paging=Single())},
        {"pull": Pull(request=Request("POST", "/v1/things", json={"a": [1]}), paging=Single())},
        {"pull": Pull(request=PULL.request, paging=Single(), changes=Changes(fields=("other",)))},
    ],
    ids=str,
)
def test_whatever_narrows_the_pull_has_a_watermark_of_its_own(change: dict[str, Any]) -> None:
    base = {"name": "n", "conn_id": "c", "base_url": "https://api.example.com", "pull": PULL}
    assert variable_of(**base) != variable_of(**{**base, **change})  # type: ignore[arg-type]
    again = Pull(
        request=Request("GET", "/v1/things", params={"since": "", "kind": "a"}),
        paging=Single(),
        resource="things",
        changes=PULL.changes,
    )
    assert variable_of(**base) == variable_of(**{**base, "pull": again})  # type: ignore[arg-type]


@given(st.text(min_size=1), st.text(), st.text())
def test_names_fit_and_hide_nothing(name: str, conn_id: str, resource: str) -> None:
    pull = Pull(request=Request(), paging=Single(), resource=resource)
    found = variable_of(name, conn_id, "https://api.example.com", pull)
    assert len(found) <= 250
    assert found.isascii()
    assert not set(found) & set("/ %?#")


@pytest.mark.parametrize(
    "name",
    ["tokens", "API_KEY", "apikey", "my secret", "passwd", "Password", "authorization", "x_private_key_y"],
)
def test_airflow_hides_no_variable_of_ours(name: str) -> None:
    """It would register the whole value with its masker at each read."""
    for module in (
        "airflow._shared.secrets_masker",
        "airflow.sdk.log",
        "airflow.utils.log.secrets_masker",
    ):
        try:
            found = importlib.import_module(module)
        except ImportError:
            continue
        if hasattr(found, "should_hide_value_for_key"):
            hides = found.should_hide_value_for_key
            break
    pull = Pull(request=Request(), paging=Single(), resource=name)
    variable = variable_of(name, name, "https://api.example.com", pull)
    assert hides(name.replace(" ", "_"))
    assert not hides(variable)


def test_each_write_says_what_it_is(
    variables: FakeVariables, clock: StoppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = []

    def variable_set(name: str, value: str, *, description: str) -> None:
        said.append(description)
        variables.set(name, value, description=description)

    monkeypatch.setattr(door, "variable_set", variable_set)
    kept_by(mark := begin(clock), NOW - HOUR)
    mark.commit(None)
    assert len([text for text in said if "'nightly' of things over connection 'things_default'" in text]) == 2


def test_a_person_may_set_the_watermark_back(variables: FakeVariables, clock: StoppedClock) -> None:
    kept_by(mark := begin(clock), NOW - HOUR)
    mark.commit(None)
    changed = {**content(variables), "watermark": "2026-12-24"}
    variables.values[mark.variable] = json.dumps(changed)
    assert begin(clock, run_of(2)).window.since == datetime(2026, 12, 23, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        "[]",
        "{}",
        '{"watermark": "soon", "windows": {}}',
        '{"watermark": null, "windows": []}',
        '{"watermark": null, "windows": {"a": {"b": {"since": "x", "until": "2026-01-01"}}}}',
        '{"watermark": null, "windows": {"a": {"b": {}}}}',
    ],
)
def test_a_damaged_variable_is_not_overwritten(
    variables: FakeVariables, clock: StoppedClock, text: str
) -> None:
    name = begin(clock).variable
    variables.values[name] = text
    with pytest.raises(ConfigurationError, match=f"'{name}'.* damaged. Mend it"):
        begin(clock, run_of(2))
    assert variables.values[name] == text


def test_an_absence_that_is_none_begins_nothing_anew(variables: FakeVariables, clock: StoppedClock) -> None:
    """Where Airflow cannot list, a failed look-up reads like an absence."""
    kept_by(mark := begin(clock), NOW - HOUR)
    mark.commit(None)
    variables.hidden[mark.variable] = 1
    assert begin(clock, run_of(2)).window.since == NOW - 25 * HOUR
    variables.is_down = True
    with pytest.raises(StoreUnavailableError):
        begin(clock, run_of(3))


def test_what_another_host_overwrites_is_written_again(variables: FakeVariables, clock: StoppedClock) -> None:
    name = begin(clock).variable
    theirs = variables.values[name]

    def overwrite() -> None:
        variables.values[name] = theirs

    variables.after_write = [overwrite, overwrite]
    mark = begin(clock, run_of(2))
    assert set(content(variables)["windows"]) == {"the_dag/scheduled__1", "the_dag/scheduled__2"}
    kept_by(mark, NOW - HOUR)
    # It comes late: the window is gone, and the watermark with it.
    overwrite()
    variables.after_write = [overwrite]
    mark.commit(None)
    assert content(variables)["watermark"] == timestamp(NOW - HOUR)
    assert set(content(variables)["windows"]) == {"the_dag/scheduled__1", "the_dag/scheduled__2"}


def test_tasks_of_a_host_take_turns(variables: FakeVariables, monkeypatch: pytest.MonkeyPatch) -> None:
    def slowly(name: str) -> str | None:
        value = variables.get(name)
        time.sleep(0.002)  # another one's turn, if it does not wait for its own
        return value

    monkeypatch.setattr(door, "variable_get", slowly)

    newest = datetime.now(UTC) - HOUR

    def pull(number: int) -> None:
        mark = begin(SYSTEM_CLOCK, run_of(number % 4, map_index=number))
        kept_by(mark, newest - timedelta(minutes=number))
        mark.commit(None)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(pull, range(16)))
    kept = content(variables)
    assert kept["watermark"] == timestamp(newest)
    assert sum(len(tasks) for tasks in kept["windows"].values()) == 16
    # One for each window and one for each step forward: nothing had to be written again.
    assert len([name for name, _ in variables.writes if name != PROBE_VARIABLE]) <= 32


def test_a_variable_that_keeps_nothing_is_said(variables: FakeVariables, clock: StoppedClock) -> None:
    name = begin(clock).variable
    theirs = variables.values[name]
    variables.after_write = [lambda: variables.values.update({name: theirs})] * 99
    with pytest.raises(StoreUnavailableError, match="does not keep what was written"):
        begin(clock, run_of(2))


def test_a_later_run_that_ends_first_takes_nothing_from_an_earlier_one(
    variables: FakeVariables, clock: StoppedClock
) -> None:
    slow = begin(clock)
    clock.time += 3600
    fast = begin(clock, run_of(2))
    kept_by(fast, NOW - DAY, NOW + HOUR / 2)
    fast.commit(NOW + HOUR)
    kept_by(slow, NOW - DAY)
    slow.commit(NOW)
    assert content(variables)["watermark"] == timestamp(NOW + HOUR / 2)


def test_notes_are_kept_with_the_watermark(variables: FakeVariables, clock: StoppedClock) -> None:
    mark = begin(clock)
    mark.notes["locked"] = {"2025-01-01/2025-12-31": timestamp(NOW)}
    assert "notes" not in content(variables)
    mark.commit(None)
    assert content(variables)["notes"] == mark.notes
    assert begin(clock, run_of(2)).notes == mark.notes


def test_only_what_tells_of_changes_can_be_pulled(variables: FakeVariables, clock: StoppedClock) -> None:
    for changes, text in (
        (None, "Nothing is known that tells when a record changed."),
        (Changes(why_not="Pull them all."), "Pull them all."),
    ):
        pull = Pull(request=Request(), paging=Single(), resource="things", changes=changes)
        with pytest.raises(ConfigurationError, match=f"cannot be pulled incrementally. {text}") as caught:
            begin(clock, pull=pull)
        assert (caught.value.field, caught.value.conn_id) == ("incremental", "things_default")
    assert not variables.writes


# Arguments.


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, 86_400),
        ("", 86_400),
        (0, 0),
        ("0", 0),
        (90, 90),
        (1.5, 1.5),
        ("36h", 129_600),
        (" 90 M ", 5400),
        ("1.5d", 129_600),
        ("2w", 1_209_600),
        ("45s", 45),
        (timedelta(hours=2), 7200),
    ],
)
def test_overlaps(value: Any, seconds: float) -> None:
    assert overlap_of(value) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "value", [-1, "-1", "soon", "1y", True, [], timedelta(seconds=-1), float("nan"), float("inf"), "9" * 400]
)
def test_no_overlaps(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="'overlap'") as caught:
        overlap_of(value)
    assert caught.value.field == "overlap"


def test_what_is_kept_reads_as_it_was_written() -> None:
    kept = Kept(NOW, {"a/b": {"c/-1": Window(None, NOW).to_dict()}}, {"n": {"x": "y"}})
    assert Kept.from_text(kept.to_text()) == kept


def test_it_is_said_where_the_watermark_is(
    variables: FakeVariables, clock: StoppedClock, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger=incremental.__name__):
        mark = begin(clock)
    assert mark.variable in caplog.text
    assert "from the beginning to 2027-01-15T08:00:00Z" in caplog.text


def test_an_overlap_that_reaches_back_before_the_calendar_takes_everything(
    variables: FakeVariables, clock: StoppedClock
) -> None:
    first = begin(clock, since=NOW - DAY)
    kept_by(first, NOW - HOUR)
    first.commit(None)
    assert begin(clock, run_of(2), overlap=overlap_of("9999999d")).window == Window(None, NOW)


@pytest.mark.parametrize("check", ["cycles", "mistaken_index", "stuck"])
def test_the_watermark_stays_where_a_pull_is_cut_short(
    variables: FakeVariables, clock: StoppedClock, caplog: pytest.LogCaptureFixture, check: str
) -> None:
    """With `on_mismatch="warn"`: what did not come may be older than what came."""
    mark = begin(clock, since=NOW - DAY)
    tally = Tally()
    tally.add(check)
    assert len(list(mark.keep(pages(NOW - HOUR), tally))) == 1
    assert mark.reached(None) is None
    mark.commit(None)
    assert content(variables)["watermark"] is None
    assert "was cut short" in caplog.text
    again = begin(clock, run_of(2), since=NOW - DAY)
    list(again.keep(pages(NOW - HOUR), Tally(duplicates=1, missing=1)))
    assert again.reached(None) == timestamp(NOW - HOUR)


def _sensitive_words() -> frozenset[str]:
    for module in ("airflow.sdk._shared.secrets_masker", "airflow.utils.log.secrets_masker"):
        with contextlib.suppress(ImportError):
            words: frozenset[str] = importlib.import_module(module).DEFAULT_SENSITIVE_FIELDS
            return words
    raise AssertionError("this Airflow hides Variables in another way")


@pytest.mark.parametrize("word", sorted(_sensitive_words()))
def test_airflow_does_not_hide_the_variable_whatever_its_parts_are_called(word: str) -> None:
    halves = word.partition("_")[::2]
    named = [
        variable_of("nightly", f"a_{word}_b", "u", PULL),
        variable_of(word.upper(), "c", "u", PULL),
        variable_of("nightly", "c", "u", replace(PULL, resource=word)),
        # Parts that make the word side by side.
        variable_of(halves[0], halves[1] or "c", "u", PULL),
        variable_of("nightly", halves[0], "u", replace(PULL, resource=halves[1] or "c")),
    ]
    hidden = [name for name in named if any(each in name.lower() for each in _sensitive_words())]
    assert hidden == []
    assert len(set(named)) == len(named)
