"""What a hook's list methods give: the records of a pull, fetched as they are read."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypedDict

from airflow_provider_finauth.apis.dates import When, moment, require_order
from airflow_provider_finauth.apis.reading import choice, flag, integer, text
from airflow_provider_finauth.client.paging.tally import Tally
from airflow_provider_finauth.client.progress import Progress, log_progress, watched
from airflow_provider_finauth.exceptions import ConfigurationError
from airflow_provider_finauth.runtime.errors import airflow_errors, guarded

if TYPE_CHECKING:
    from airflow_provider_finauth.client.paging.base import Page, Pull
    from airflow_provider_finauth.client.paging.walk import OnMismatch
    from airflow_provider_finauth.runtime.incremental import Incremental
    from airflow_provider_finauth.runtime.incremental_state import Window
    from airflow_provider_finauth.runtime.resuming import Notes, Resuming
    from airflow_provider_finauth.sinks.writing import Nested

_log = logging.getLogger(__name__)

# Describes a pull for the time between two moments.
Describe = Callable[[When | None, When | None], "Pull"]
# Says which pulls an incremental one is made of, given its window and the notes of former ones, which it may
# change: they are kept when the pull has landed.
Reread = Callable[["Window", dict[str, Any]], "Iterable[Pull]"]

_MISMATCHES = ("raise", "warn")
_NESTED = ("json", "struct")


class Walk(Protocol):
    """Walks a pull page by page."""

    def __call__(
        self,
        pull: Pull,
        *,
        limit: int | None,
        tally: Tally,
        on_mismatch: OnMismatch,
        bookmarks: bool = False,
        resume: Mapping[str, Any] | None = None,
    ) -> Iterator[Page]:
        """Give its pages."""
        ...


class LandingOptions(TypedDict, total=False):
    """Where and how a pull lands: what :meth:`Records.land` takes, and with it every operator that pulls."""

    output: str | None
    output_format: str | None
    max_records_per_file: int | str | None
    partition_by: str | None
    nested: Nested
    on_mismatch: OnMismatch
    incremental: str | None
    overlap: timedelta | float | str | None
    resumable: bool | str


@dataclass(frozen=True, kw_only=True)
class Source:
    """What records are read from.

    :param api: the connection type
    :param conn_id: the connection
    :param base_url: the API's address
    :param describe: describes the pull
    :param walk: walks it
    :param reread: which pulls an incremental one is made of, where the API does not filter by changes
    """

    api: str
    conn_id: str
    base_url: str
    describe: Describe
    walk: Walk
    reread: Reread | None = None


class Records(Iterator[Any]):
    """The records of a pull, one after the other.

    Nothing is asked for before the first record is read, and no page before it is needed. A pull is walked
    once; call the hook's method again for another walk.

    :param source: what they are read from
    :param since: the time asked for
    :param until: the time asked for
    :param limit: stop after so many records
    :raises ConfigurationError: an argument is not of its kind
    """

    def __init__(
        self,
        source: Source,
        *,
        since: When | None = None,
        until: When | None = None,
        limit: int | str | None = None,
    ) -> None:
        self._source = source
        self._since, self._until = since or None, until or None
        with airflow_errors():
            self._limit = None if limit is None or limit == "" else integer("limit", limit)
            # Described at once, so that a wrong argument is refused before anything is asked for.
            self._pull = source.describe(self._since, self._until)
            if self._since and self._until:
                require_order(self._since, self._until)
        self._tell: Callable[[Progress], None] = log_progress(_log, self._pull.resource)
        self._every = 30.0
        self._walk = guarded(record for page in self.pages() for record in page.records)
        self._failure: Exception | None = None

    def __next__(self) -> Any:
        if self._failure is not None:
            # A generator that has failed would say that this was all.
            raise self._failure
        try:
            return next(self._walk)
        except StopIteration:
            raise
        except Exception as error:
            self._failure = error
            raise

    def watch(self, tell: Callable[[Progress], None], *, every: float = 30.0) -> Records:
        """Tell somebody instead of the log how far the pull is.

        :param tell: is told
        :param every: seconds between two times; 0 tells with each page
        :return: these records
        """
        self._tell, self._every = tell, every
        return self

    def pages(self, *, on_mismatch: OnMismatch = "raise") -> Iterator[Page]:
        """Walk page by page instead.

        :param on_mismatch: ``raise``, or ``warn`` to keep what came where a check is broken
        :raises ConfigurationError: ``on_mismatch`` is neither
        """
        with airflow_errors():
            choice("on_mismatch", on_mismatch, _MISMATCHES)
        tally = Tally()
        return guarded(self._watched(self._pages([self._pull], tally, on_mismatch), tally))

    def land(
        self,
        *,
        output: str | None = None,
        output_format: str | None = None,
        max_records_per_file: int | str | None = None,
        partition_by: str | None = None,
        nested: Nested = "json",
        on_mismatch: OnMismatch = "raise",
        incremental: str | None = None,
        overlap: timedelta | float | str | None = None,
        resumable: bool | str = False,
        context: Mapping[str, Any] | None = None,
    ) -> list[Any] | dict[str, Any]:
        """Bring all records to where they are wanted.

        :param output: None gives them back as they go through XCom; else a path or ``ObjectStoragePath``
        :param output_format: ``jsonl``, ``csv`` or ``parquet``, and the first two with ``.gz`` or ``.zst``;
            where the suffix of ``output`` does not tell
        :param max_records_per_file: begin another file after so many records
        :param partition_by: a member that holds a date: a folder for each
        :param nested: how CSV and Parquet hold lists and objects: ``json``, or in Parquet ``struct``
        :param on_mismatch: ``raise``, or ``warn`` to keep what came where a check is broken
        :param incremental: pull what has changed since the last pull of this name, which a Variable of
            Airflow's keeps for each connection and resource
        :param overlap: how much of the time before is pulled again, for what came in late: seconds, a
            timedelta, or a text like ``36h``; 24 hours without it
        :param resumable: go on from the last part that is complete where a try before was cut off
        :param context: the task's context; without it the running task's
        :return: the records, or the manifest of the file
        :raises ResultTooLargeError: they do not fit into XCom: set ``output``
        :raises ConfigurationError: an option is not of its kind, or the list cannot be pulled incrementally
        """
        from airflow_provider_finauth.runtime.landing import land

        with airflow_errors():
            choice("on_mismatch", on_mismatch, _MISMATCHES)
            choice("nested", nested, _NESTED)
            tally = Tally()
            window: Mapping[str, str] | None = self._window()
            going_on = flag("resumable", resumable) and self._notes(
                context, output=output, max_records_per_file=max_records_per_file, partition_by=partition_by
            )
            if overlap not in (None, "") and not incremental:
                raise ConfigurationError(
                    "Argument 'overlap' is set, but 'incremental' is not: there is nothing to overlap.",
                    field="overlap",
                )
            mark = self._incremental(incremental, overlap, context) if incremental else None
            pulls = [self._pull] if mark is None else self._changed(mark)
            resuming = (
                self._resuming(going_on, pulls, tally, on_mismatch, mark=mark, window=window)
                if going_on
                else None
            )
            pages = self._pages(pulls, tally, on_mismatch) if resuming is None else resuming.pages()
            if mark is not None:
                window = mark.window.to_dict()
                pages = mark.keep(pages, tally)

            def committed(manifest: object = None) -> None:
                if mark is not None:
                    mark.commit(tally.server_time)

            # Closed at once where it cannot land: pages are fetched ahead.
            with closing(self._watched(pages, tally)) as arriving:
                landed = land(
                    arriving,
                    output=output,
                    output_format=output_format or None,
                    max_records_per_file=_optional_count("max_records_per_file", max_records_per_file),
                    partition_by=partition_by or None,
                    nested=nested,
                    api=self._source.api,
                    resource=self._pull.resource,
                    window=window,
                    watermark=lambda: mark.reached(tally.server_time) if mark is not None else None,
                    checks=lambda: {**tally.to_dict(), **(mark.checks() if mark is not None else {})},
                    committed=committed,
                    resuming=resuming,
                    context=context,
                )
            if not isinstance(landed, dict):
                committed()
        if isinstance(landed, dict):
            _log.info("Pulled %d records of %s to %s", landed["records"], self._pull.resource, landed["uri"])
        else:
            _log.info("Pulled %d records of %s", len(landed), self._pull.resource)
        return landed

    def _pages(self, pulls: Iterable[Pull], tally: Tally, on_mismatch: OnMismatch) -> Iterator[Page]:
        for pull in pulls:
            yield from self._source.walk(pull, limit=self._limit, tally=tally, on_mismatch=on_mismatch)

    def _watched(self, pages: Iterator[Page], tally: Tally) -> Generator[Page, None, None]:
        # Not before it is read: until then `watch` may be called.
        yield from watched(pages, tally, tell=self._tell, every=self._every, limit=self._limit)

    def _window(self) -> dict[str, str] | None:
        asked = {"since": self._since, "until": self._until}
        return {name: str(value) for name, value in asked.items() if value} or None

    def _incremental(
        self, name: str, overlap: timedelta | float | str | None, context: Mapping[str, Any] | None
    ) -> Incremental:
        from airflow_provider_finauth.runtime.incremental import Incremental, overlap_of
        from airflow_provider_finauth.runtime.task import Task

        for argument, value in (("limit", self._limit), ("until", self._until)):
            if value is not None:
                raise ConfigurationError(
                    f"Argument '{argument}' cannot be set together with 'incremental': the pull goes up to "
                    "now and takes everything, or the next one could not go on from there.",
                    field=argument,
                )
        by_change = self._pull.changes is not None and self._pull.changes.filtered
        return Incremental(
            text("incremental", name).strip(),
            conn_id=self._source.conn_id,
            base_url=self._source.base_url,
            # What `since` narrows other than by changes is another pull, with a watermark of its own.
            pull=self._source.describe(None, None) if by_change else self._pull,
            task=Task.of(context),
            since=moment("since", self._since) if by_change and self._since else None,
            overlap=overlap_of(overlap),
        )

    def _notes(self, context: Mapping[str, Any] | None, **options: object) -> Notes:
        """Give what keeps how far a resumable pull has come.

        :raises ConfigurationError: this pull cannot be resumed
        """
        from airflow_provider_finauth.runtime.resuming import require_resumable, task_notes

        for argument in ("output", "max_records_per_file"):
            if options[argument] in (None, ""):
                raise ConfigurationError(
                    "Argument 'resumable' goes on after the last file that is complete: set 'output' and "
                    "'max_records_per_file' too.",
                    field="resumable",
                )
        for argument, value in (("partition_by", options["partition_by"]), ("limit", self._limit)):
            if value not in (None, ""):
                raise ConfigurationError(
                    f"Argument 'resumable' cannot be set together with '{argument}': leave one of them out.",
                    field="resumable",
                )
        require_resumable(self._pull)
        return task_notes(context)

    def _resuming(
        self,
        notes: Notes,
        pulls: Iterable[Pull],
        tally: Tally,
        on_mismatch: OnMismatch,
        *,
        mark: Incremental | None,
        window: Mapping[str, str] | None,
    ) -> Resuming:
        from airflow_provider_finauth.runtime.resuming import Resuming

        source = self._source
        return Resuming(
            notes,
            identity={
                "connection": [source.api, source.conn_id, source.base_url],
                "resource": self._pull.resource,
                "window": window if mark is None else mark.window.to_dict(),
                "on_mismatch": on_mismatch,
            },
            pulls=pulls,
            walk=partial(source.walk, limit=None, tally=tally, on_mismatch=on_mismatch),
            tally=tally,
            mark=mark,
        )

    def _changed(self, mark: Incremental) -> Iterator[Pull]:
        """Give the pulls that bring what has changed."""
        changes = self._pull.changes
        if self._source.reread is not None:
            yield from self._source.reread(mark.window, mark.notes)
        elif changes is not None and changes.filtered:
            yield self._source.describe(mark.window.since, None if changes.shifts else mark.window.until)
        else:
            yield self._pull


def _optional_count(argument: str, value: int | str | None) -> int | None:
    return None if value is None or value == "" else integer(argument, value, minimum=1)


def landing_options(given: dict[str, Any]) -> dict[str, Any]:
    """Take the landing options out of a call's arguments."""
    return {name: given.pop(name) for name in LandingOptions.__annotations__ if name in given}
