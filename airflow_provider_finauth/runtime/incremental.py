"""Incremental pulls: a Variable keeps how far one has come, and which window each run has.

A run's window is kept before its first request, so that a retry or a cleared task pulls the same window again
and the file that it replaces holds the same time. How far the pull has come, its watermark, moves only after
the records are where they were wanted. Whatever goes wrong before that, the next run begins where this one
began.

Variables have no compare-and-set. Processes that share ``[finauth] lock_dir`` take turns; a write of another
host is noticed by reading back, and repeated. What a write that comes later still could undo is a pinned
window or a step forward: the next run then pulls a time again, and none is left out.
"""

from __future__ import annotations

import hashlib
import logging
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_finauth import values
from airflow_provider_finauth.auth.stores.flock import file_lock
from airflow_provider_finauth.client.paging.changes import moment_of
from airflow_provider_finauth.exceptions import ConfigurationError, LockTimeoutError, StoreUnavailableError
from airflow_provider_finauth.runtime import door
from airflow_provider_finauth.runtime.config import lock_folder, read_config
from airflow_provider_finauth.runtime.incremental_state import Kept, Window, variable_of
from airflow_provider_finauth.runtime.variable_parts import probe
from airflow_provider_finauth.transport.clock import SYSTEM_CLOCK, Clock
from airflow_provider_finauth.values import timestamp

if TYPE_CHECKING:
    from collections.abc import Generator

    from airflow_provider_finauth.client.paging.base import Page, Pull
    from airflow_provider_finauth.client.paging.changes import Changes
    from airflow_provider_finauth.client.paging.tally import Tally
    from airflow_provider_finauth.runtime.task import Task

_log = logging.getLogger(__name__)

OVERLAP = timedelta(hours=24)
_ATTEMPTS = 5
_LOCK_TIMEOUT = 60.0
# Waited before a write that did not stand is repeated: whoever overwrote it does the same.
_LONGEST_PAUSE = 0.5


def overlap_of(value: timedelta | float | str | None) -> timedelta:
    """Read the argument ``overlap``; see :func:`.values.duration`.

    :param value: None or an empty string for 24 hours
    :raises ConfigurationError: it is no length of time
    """
    if value is None or value == "":
        return OVERLAP
    return values.argument("overlap", values.duration, value)


class Incremental:
    """One incremental pull of one run.

    :param name: given by the user
    :param conn_id: the connection
    :param base_url: the API's address
    :param pull: described without a window
    :param task: whose window is pinned; None outside of a task, where nothing is tried again
    :param since: where the first pull begins; None for everything
    :param overlap: how much is pulled again, for what came in late
    :param clock: the time
    :raises ConfigurationError: the list cannot be pulled incrementally
    """

    def __init__(
        self,
        name: str,
        *,
        conn_id: str,
        base_url: str,
        pull: Pull,
        task: Task | None,
        since: datetime | None = None,
        overlap: timedelta = OVERLAP,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._changes = _changes_of(pull, conn_id)
        self._resource = pull.resource
        self._task = task
        self._since = since
        self._overlap = overlap
        self._clock = clock
        self.variable = variable_of(name, conn_id, base_url, pull)
        self._description = (
            f"How far the incremental pull '{name}' of {pull.resource} over connection '{conn_id}' has come. "
            "Set 'watermark' back to pull from there again; delete the Variable to begin anew."
        )
        self._began = self._now()
        self._before: datetime | None = None
        self._newest: datetime | None = None
        self._received = self._outside = self._undated = self._deleted = 0
        self.notes: dict[str, Any] = {}
        self.window = self._pin()
        _log.info(
            "Pulling %s from %s to %s; the Variable '%s' keeps how far that has come.",
            pull.resource,
            "the beginning" if self.window.since is None else timestamp(self.window.since),
            timestamp(self.window.until),
            self.variable,
        )

    def keep(self, pages: Iterator[Page], tally: Tally | None = None) -> Iterator[Page]:
        """Keep what lies in the window, and notice the newest change.

        A record that does not tell when it changed is kept: it may be new. Closing this iterator closes the
        one inside.

        :param pages: as the API gives them
        :param tally: what they are held against; where that cut the pull short the watermark stays
        """
        changes, window = self._changes, self.window
        with closing(cast("Generator[Page, None, None]", pages)):
            for page in pages:
                moments = changes.moments(page.rows)
                kept = [
                    place
                    for place, moment in enumerate(moments)
                    if moment is None or changes.exact or window.holds(moment)
                ]
                found = [moment for place in kept if (moment := moments[place]) is not None]
                if found:
                    self._newest = max(found) if self._newest is None else max(self._newest, *found)
                self._undated += len(kept) - len(found)
                self._outside += len(moments) - len(kept)
                if len(kept) < len(moments):
                    page = replace(page, rows=page.rows.take(kept))
                self._received += len(kept)
                self._deleted += changes.count_deleted(page.rows)
                if kept:
                    yield page
        if tally is not None and tally.is_cut_short:
            self._newest = None
            _log.warning(
                "The pull of %s was cut short by a check, so records are missing: the next one begins where "
                "this one began.",
                self._resource,
            )
        elif self._received and self._newest is None:
            _log.warning(
                "None of the %d records of %s has a moment at %s, so nobody knows how far the pull has come: "
                "the next one begins where this one began.",
                self._received,
                self._resource,
                " or ".join(map(repr, changes.fields)),
            )

    def counts(self) -> dict[str, Any]:
        """Give what was noticed so far, for a try that goes on."""
        newest = None if self._newest is None else timestamp(self._newest)
        counted = [self._received, self._outside, self._undated, self._deleted]
        return {"newest": newest, "counted": counted}

    def go_on(self, counts: Mapping[str, Any]) -> None:
        """Go on with what a try before has noticed.

        :param counts: what :meth:`counts` gave there
        :raises ValueError: it is something else
        """
        newest = counts["newest"]
        self._newest = None if newest is None else moment_of(newest)
        self._received, self._outside, self._undated, self._deleted = map(int, counts["counted"])

    def checks(self) -> dict[str, int]:
        """Say what was counted, for the manifest."""
        counted = {"outside_window": self._outside, "undated": self._undated}
        return counted | ({"deleted": self._deleted} if self._changes.deleted else {})

    def watermark(self, server_time: datetime | None) -> datetime | None:
        """Say how far the pull has come: to the newest change, but to no moment that was yet to come.

        :param server_time: when the server gave its first answer, by its own clock
        """
        if self._newest is None:
            return self._before
        reached = min(self._newest, server_time or self._began, self.window.until)
        return reached if self._before is None else max(reached, self._before)

    def reached(self, server_time: datetime | None) -> str | None:
        """Say it as a text, for the manifest."""
        moment = self.watermark(server_time)
        return None if moment is None else timestamp(moment)

    def commit(self, server_time: datetime | None) -> None:
        """Move the watermark, now that the records are where they were wanted.

        :param server_time: as for :meth:`watermark`
        :raises StoreUnavailableError: Airflow could not be asked; a retry pulls the same window again
        """
        reached = self.watermark(server_time)

        def stands(kept: Kept) -> bool:
            return (
                (reached is None or (kept.watermark is not None and kept.watermark >= reached))
                and (self._task is None or kept.window(self._task) is not None)
                and kept.notes == self.notes
            )

        def change(kept: Kept) -> None:
            if reached is not None and (kept.watermark is None or kept.watermark < reached):
                kept.watermark = reached
            if self._task is not None and kept.window(self._task) is None:
                kept.put_window(self._task, self.window)
            kept.notes = self.notes

        self._update(stands, change)

    def _pin(self) -> Window:
        """Give the run's window, kept before or from now on."""

        def fresh(kept: Kept) -> Window:
            since, until = self._since, self._now()
            if kept.watermark is not None:
                try:
                    since = kept.watermark - self._overlap
                except OverflowError:
                    # Before the year 1: everything.
                    since = None
            if since is not None:
                since = since.replace(microsecond=0)
                if since > until:
                    raise ConfigurationError(
                        f"The incremental pull cannot begin at {timestamp(since)}, which is yet to come. "
                        f"Look at argument 'since', or at 'watermark' in the Variable '{self.variable}'.",
                        field="since",
                    )
            return Window(since, until)

        def change(kept: Kept) -> None:
            if self._task is not None:
                kept.put_window(self._task, fresh(kept))

        if self._task is None:
            kept = self._read()
            window = fresh(kept)
        else:
            kept = self._update(lambda kept: kept.window(self._task) is not None, change)
            window = cast("Window", kept.window(self._task))
        self._before = kept.watermark
        self.notes = dict(kept.notes)
        return window

    def _update(self, stands: Callable[[Kept], bool], change: Callable[[Kept], None]) -> Kept:
        """Change what is kept, until it reads as it was meant to.

        :param stands: tells whether it does
        :param change: makes the change
        """
        name = f"incremental-{hashlib.sha256(self.variable.encode()).hexdigest()[:40]}.lock"
        try:
            with file_lock(lock_folder(read_config()) / name, _LOCK_TIMEOUT, clock=self._clock):
                for attempt in range(_ATTEMPTS):
                    if attempt > 1:
                        self._clock.sleep(random.uniform(0, _LONGEST_PAUSE))  # noqa: S311 - protects nothing
                    kept = self._read()
                    if stands(kept):
                        return kept
                    change(kept)
                    door.variable_set(self.variable, kept.to_text(), description=self._description)
                kept = self._read()
        except LockTimeoutError:
            raise StoreUnavailableError(
                f"Another task has been changing the Variable '{self.variable}' for more than "
                f"{_LOCK_TIMEOUT:.0f} s. Try again; if it goes on, Airflow is slow to answer."
            ) from None
        if stands(kept):
            return kept
        raise StoreUnavailableError(
            f"The Variable '{self.variable}' was written {_ATTEMPTS} times and does not keep what was "
            "written. Do many tasks write to it, or does a secrets backend hide it?"
        )

    def _read(self) -> Kept:
        text = door.variable_get(self.variable)
        if not text:
            # An absence that is none would begin anew, and forget how far the pull has come.
            probe()
            text = door.variable_get(self.variable)
        if not text:
            return Kept()
        try:
            return Kept.from_text(text)
        except ValueError:
            raise ConfigurationError(
                f"The Variable '{self.variable}', which keeps how far an incremental pull has come, is "
                'damaged. Mend it ({"watermark": "2026-01-31T09:00:00Z", "windows": {}} begins there), or '
                "delete it to begin anew.",
                field="incremental",
            ) from None

    def _now(self) -> datetime:
        # Whole seconds: not every API's filter takes a fraction.
        return datetime.fromtimestamp(int(self._clock.wall()), UTC)


def _changes_of(pull: Pull, conn_id: str) -> Changes:
    changes = pull.changes
    if changes is not None and changes.fields:
        return changes
    why = changes.why_not if changes is not None else "Nothing is known that tells when a record changed."
    raise ConfigurationError(
        f"Argument 'incremental': {pull.resource or 'this list'} over connection '{conn_id}' cannot be "
        f"pulled incrementally. {why}",
        conn_id=conn_id,
        field="incremental",
    )
