"""Going on with a pull that was cut off: what Airflow's task state store keeps of it, file by file.

After each file that is in place the store gets a small note: which files there are, and where the next page
begins. A try that finds the note, and the files with it, goes on from there, and what it leaves is what an
undisturbed pull would have left. Whatever is wrong with a note, the pull begins anew: a note saves time, and
nothing depends on it.

The note belongs to one pull: another list, another window or another destination has another one.
"""

from __future__ import annotations

import hashlib
import json
import logging
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol, cast

from airflow_provider_finauth.client.paging.base import Walk as PagingWalk
from airflow_provider_finauth.client.paging.tally import Tally
from airflow_provider_finauth.exceptions import ConfigurationError
from airflow_provider_finauth.runtime import door
from airflow_provider_finauth.sinks.writing import Written, WrittenFile

if TYPE_CHECKING:
    from collections.abc import Generator

    from airflow_provider_finauth.client.paging.base import Page, Pull
    from airflow_provider_finauth.runtime.incremental import Incremental
    from airflow_provider_finauth.runtime.places import Place

_log = logging.getLogger(__name__)

# Airflow's store takes 64 KB a value; this leaves room for another way of writing the same JSON.
_LONGEST = 60_000


class Walk(Protocol):
    """Walks a pull page by page."""

    def __call__(self, pull: Pull, *, bookmarks: bool, resume: Mapping[str, Any] | None) -> Iterator[Page]:
        """Give its pages."""
        ...


class Notes(Protocol):
    """The part of Airflow's task state store that is used."""

    def get(self, key: str) -> Any:
        """Give a value; None where there is none."""
        ...

    def set(self, key: str, value: Any) -> None:
        """Keep a value."""
        ...

    def delete(self, key: str) -> None:
        """Forget a value."""
        ...


def require_resumable(pull: Pull) -> None:
    """Refuse a pull whose paging has no place to go on from.

    :raises ConfigurationError: it has none
    """
    if pull.parts is not None:
        raise ConfigurationError(
            f"Argument 'resumable' goes on within one walk, and {pull.resource} is made of several here. "
            "Leave it out, or ask for one of them alone.",
            field="resumable",
        )
    if getattr(pull.paging, "verify", False):
        raise ConfigurationError(
            f"Argument 'resumable': {pull.resource} is walked twice ('verify'), and the second walk needs "
            "what the whole first one brought. Leave one of the two out.",
            field="resumable",
        )
    if type(pull.paging.begin(pull)).bookmark is PagingWalk.bookmark:
        raise ConfigurationError(
            f"Argument 'resumable': {pull.resource} has no place to go on from. It comes in one answer, or "
            "each page gives a link to the next one, which may not live until the next try. Leave it out.",
            field="resumable",
        )


def task_notes(context: Mapping[str, Any] | None) -> Notes:
    """Give the task state store of the running task.

    :param context: the task's; without it the running task's
    :raises ConfigurationError: there is none
    """
    if context is None:
        from airflow.providers.common.compat.sdk import AirflowException, get_current_context

        try:
            context = get_current_context()
        except (AirflowException, RuntimeError):
            raise ConfigurationError(
                "Argument 'resumable' works within a task only: Airflow's task state store keeps the notes.",
                field="resumable",
            ) from None
    store = context.get("task_state_store")
    if store is None:
        from airflow import __version__

        raise ConfigurationError(
            "Argument 'resumable' needs the task state store of Airflow 3.3 or newer; this is Airflow "
            f"{__version__}. Leave it out: a try that is cut off then begins anew.",
            field="resumable",
        )
    return cast("Notes", store)


@dataclass
class _Start:
    """Where the walk begins.

    :param pull: which of the pulls
    :param place: its bookmark; None for its first page
    :param total: records that the API has promised in the pulls before
    """

    pull: int = 0
    place: Mapping[str, Any] | None = None
    total: int | None = None


class Resuming:
    """One pull that goes on where a try before was cut off. In this order: ``begin``, ``pages``, ``end``.

    :param notes: keeps the note
    :param identity: what makes the pull, besides its requests and its target
    :param pulls: what is walked, one after the other
    :param walk: walks one
    :param tally: what they are held against; goes on with what the note says
    :param mark: of an incremental pull
    """

    def __init__(
        self,
        notes: Notes,
        *,
        identity: Mapping[str, Any],
        pulls: Iterable[Pull],
        walk: Walk,
        tally: Tally,
        mark: Incremental | None = None,
    ) -> None:
        self._notes = notes
        self._identity = identity
        self._pulls = pulls
        self._walk = walk
        self._tally = tally
        self._mark = mark
        self._key = ""
        self._start = _Start()
        self._attempt = uuid.uuid4().hex
        self._files: list[WrittenFile] = []
        self._pages = self._duplicates = 0
        self._complained = False
        self.pulled_at = datetime.now(UTC).isoformat(timespec="seconds")

    @property
    def next_number(self) -> int:
        """The number of the first file to write."""
        return len(self._files) + 1

    def begin(self, place: Place, *about: object) -> None:
        """Find out where to begin.

        :param about: what the files depend on besides
        """
        self._pulls = list(self._pulls)
        described = [self._identity, place.uri, *about, [_identity_of(pull) for pull in self._pulls]]
        digest = hashlib.sha256(json.dumps(described, default=str, sort_keys=True).encode()).hexdigest()
        self._key = f"finauth_pull_{digest[:32]}"
        try:
            with door.exclusive():
                note = self._notes.get(self._key)
        except Exception as error:
            self._complain("read", error)
            note = None
        if note is not None:
            try:
                self._take_up(note, place)
            except (KeyError, TypeError, ValueError, AttributeError):
                _log.warning("The note of a pull that was cut off is damaged, so it begins anew.")
        place.attempt = self._attempt

    def pages(self) -> Iterator[Page]:
        """Walk what is not there yet; each page says where a try after it would begin."""
        for number, pull in enumerate(self._pulls):
            if number < self._start.pull:
                continue
            place = self._start.place if number == self._start.pull else None
            total = self._tally.total if place is None else self._start.total
            self._tally.total = total
            held: Page | None = None
            walk = self._walk(pull, bookmarks=True, resume=place)
            with closing(cast("Generator[Page, None, None]", walk)):
                for page in walk:
                    point = page.bookmark and self._point(number, page.bookmark, total)
                    if held is not None:
                        yield held
                    # Kept until the next one is there: the last page's point is the end of its pull, which
                    # is known to be one when all that was promised has come.
                    held = replace(page, bookmark=point)
            if held is not None:
                yield replace(held, bookmark=self._point(number + 1, None, self._tally.total))

    def counted(self, pages: Iterable[Page]) -> Iterator[Page]:
        """Count the pages on their way into files."""
        for page in pages:
            self._pages += 1
            self._duplicates += page.duplicates
            yield page

    def note(self, file: WrittenFile, page: Page) -> None:
        """Note that a file is in place.

        :param page: the last one in it
        """
        self._files.append(file)
        if page.bookmark is None:
            # The page has no place after it; a try would begin after an earlier file.
            return
        value = {
            **page.bookmark,
            "attempt": self._attempt,
            "files": [[file.records, file.bytes] for file in self._files],
            "written": [self._pages, self._duplicates],
            "pulled_at": self.pulled_at,
            "window": None if self._mark is None else self._mark.counts(),
        }
        if len(json.dumps(value)) > _LONGEST:
            self._complain("grown", None)
            return
        try:
            with door.exclusive():
                self._notes.set(self._key, value)
        except Exception as error:
            self._complain("written", error)

    def end(self) -> Written:
        """Give all that was written, in this try and before."""
        return Written(
            tuple(self._files),
            sum(file.records for file in self._files),
            sum(file.bytes for file in self._files),
            self._pages,
            self._duplicates,
        )

    def forget(self) -> None:
        """Delete the note: everything is in place."""
        try:
            with door.exclusive():
                self._notes.delete(self._key)
        except Exception as error:
            self._complain("deleted", error)

    def _point(self, pull: int, place: Mapping[str, Any] | None, total: int | None) -> dict[str, Any]:
        counts = {each.name: getattr(self._tally, each.name) for each in fields(self._tally)}
        told = counts["server_time"]
        return {
            "pull": pull,
            "place": None if place is None else dict(place),
            "total": total,
            "tally": {**counts, "server_time": None if told is None else told.isoformat()},
        }

    def _take_up(self, note: Mapping[str, Any], place: Place) -> None:
        files = [
            WrittenFile(number, None, int(records), int(size))
            for number, (records, size) in enumerate(note["files"], 1)
        ]
        pull, where = int(note["pull"]), note["place"]
        counts = dict(note["tally"])
        told = counts["server_time"]
        counts["server_time"] = None if told is None else datetime.fromisoformat(told)
        tally = Tally(**counts)
        pages, duplicates = map(int, note["written"])
        window = note["window"]
        pulled_at, attempt = str(note["pulled_at"]), str(note["attempt"])
        if where is not None and not isinstance(where, Mapping):
            raise ValueError("no place")
        if not place.take_up(attempt, files):
            _log.info("The files of the try before are not all there any more, so the pull begins anew.")
            return
        if self._mark is not None:
            self._mark.go_on(window)
        for each in fields(tally):
            setattr(self._tally, each.name, getattr(tally, each.name))
        self._files = files
        self._start = _Start(pull, where, note["total"])
        self._pages, self._duplicates = pages, duplicates
        self.pulled_at, self._attempt = pulled_at, attempt
        _log.info(
            "Going on after file %d: a try before has left %d records.",
            len(files),
            sum(file.records for file in files),
        )

    def _complain(self, what: str, error: Exception | None) -> None:
        if self._complained:
            return
        self._complained = True
        why = (
            "it has grown too long: raise 'max_records_per_file' for fewer files"
            if error is None
            else f"the task state store cannot be used ({type(error).__name__})"
        )
        _log.warning("The note of how far the pull has come could not be %s: %s.", what, why)


def _identity_of(pull: Pull) -> list[Any]:
    request = pull.request
    return [
        request.method,
        request.path,
        sorted((request.params or {}).items()),
        request.json,
        sorted((request.headers or {}).items()),
        repr(pull.paging),
        pull.records_path,
        pull.key,
        pull.version,
        pull.total,
        pull.exact,
        repr(pull.cut),
    ]
