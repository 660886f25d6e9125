"""What a hook's list methods return: the records of a pull, fetched as they are read."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, get_args

from airflow_provider_finauth import values
from airflow_provider_finauth.client.paging.tally import Tally
from airflow_provider_finauth.client.paging.walk import OnMismatch
from airflow_provider_finauth.client.progress import Progress, log_progress, watched
from airflow_provider_finauth.exceptions import ConfigurationError
from airflow_provider_finauth.runtime.errors import airflow_errors, guarded
from airflow_provider_finauth.sinks.writing import Nested

if TYPE_CHECKING:
    from airflow_provider_finauth.client.paging.base import Page, Pull, Read
    from airflow_provider_finauth.runtime.incremental import Incremental
    from airflow_provider_finauth.runtime.resuming import Notes, Resuming
    from airflow_provider_finauth.values import When

_log = logging.getLogger(__name__)


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
        """Return its pages."""
        ...


@dataclass(frozen=True, kw_only=True)
class Source:
    """What records are read from.

    :param api: the connection type
    :param conn_id: the connection
    :param base_url: the API's address
    :param describe: describes the pull for the time between two moments
    :param walk: walks it
    :param read: reads the records of another pull of the same connection
    """

    api: str
    conn_id: str
    base_url: str
    describe: Callable[[When | None, When | None], Pull]
    walk: Walk
    read: Read


class Records(Iterator[Any]):
    """The records of a pull, one after the other.

    Nothing is asked for before the first record is read, and no page before it is needed. The iterator is
    walked once; :meth:`pages`, :meth:`collect` and :meth:`write_to` each walk anew.

    :param source: what they are read from
    :param since: the first moment asked for
    :param until: the first moment no longer asked for
    :raises ConfigurationError: an argument is not of its kind
    """

    def __init__(self, source: Source, *, since: When | None = None, until: When | None = None) -> None:
        self._source = source
        self._since, self._until = since, until
        # Described at once, so that a wrong argument is refused before anything is asked for.
        self._pull = source.describe(self._since, self._until)
        self._limit: int | None = None
        self._report: Callable[[Progress], None] = log_progress(_log, self._pull.resource)
        self._every = 30.0
        self._walk: Iterator[Any] | None = None
        self._failure: Exception | None = None
        self._ended = False

    def __repr__(self) -> str:
        return f"<Records of {self._pull.resource} over {self._source.conn_id!r}>"

    def __iter__(self) -> Iterator[Any]:
        if self._ended:
            # No records would look like no data.
            raise ConfigurationError(
                f"The records of {self._pull.resource} have been read to their end. Call the hook's method "
                "again for another walk, or keep them in a list."
            )
        return self

    def __next__(self) -> Any:
        if self._failure is not None:
            # A generator that has failed would say that this was all.
            raise self._failure
        if self._walk is None:
            self._walk = guarded(record for page in self.pages() for record in page.records)
        try:
            return next(self._walk)
        except StopIteration:
            self._ended = True
            raise
        except Exception as error:
            self._failure = error
            raise

    def limit(self, records: int | str | None) -> Records:
        """Stop after so many records, without asking for more.

        :param records: None, or an empty string as a template gives one, for all
        :return: these records
        :raises ConfigurationError: it is no number, or the walk has begun
        """
        with airflow_errors():
            if self._walk is not None:
                raise ConfigurationError(
                    "A limit has to be set before the first record is read; this walk has begun.",
                    field="limit",
                )
            self._limit = values.optional("limit", values.integer, records, minimum=0)
        return self

    def on_progress(self, report: Callable[[Progress], None], *, every: float = 30.0) -> Records:
        """Report how far the pull is to a function instead of the log.

        :param report: called when a page has come
        :param every: seconds between two calls; 0 calls with each page
        :return: these records
        """
        self._report, self._every = report, every
        return self

    def pages(self, *, on_mismatch: OnMismatch = "raise") -> Iterator[Page]:
        """Walk page by page instead.

        :param on_mismatch: ``raise``, or ``warn`` to keep what came where a check is broken
        :raises ConfigurationError: ``on_mismatch`` is neither
        """
        with airflow_errors():
            values.argument("on_mismatch", values.choice, on_mismatch, get_args(OnMismatch))
        tally = Tally()
        return guarded(self._watched(self._pages([self._pull], tally, on_mismatch), tally))

    def collect(
        self,
        *,
        on_mismatch: OnMismatch = "raise",
        incremental: str | None = None,
        overlap: timedelta | float | str | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> list[Any]:
        """Collect the records as they go through XCom: numbers with a fraction as strings.

        :param on_mismatch: ``raise``, or ``warn`` to keep what came where a check is broken
        :param incremental: pull what has changed since the last pull of this name, which an Airflow Variable
            keeps for each connection and resource
        :param overlap: how much of the time before is pulled again, for what came in late: seconds, a
            timedelta, or a string like ``36h``; 24 hours without it
        :param context: the task's context; without it the running task's
        :raises ResultTooLargeError: they do not fit into XCom: write them to a destination
        :raises ConfigurationError: an option is not of its kind, or the list cannot be pulled incrementally
        """
        from airflow_provider_finauth.runtime.landing import collect_pages

        with airflow_errors():
            run = self._run(on_mismatch, incremental, overlap, context)
            # Closed at once where they do not fit: pages are fetched ahead.
            with closing(self._watched(run.pages, run.tally)) as arriving:
                records = collect_pages(arriving)
            run.commit()
        _log.info("Pulled %d records of %s", len(records), self._pull.resource)
        return records

    def write_to(
        self,
        destination: str,
        *,
        format: str | None = None,
        max_records_per_file: int | str | None = None,
        partition_by: str | None = None,
        nested: Nested = "json",
        on_mismatch: OnMismatch = "raise",
        incremental: str | None = None,
        overlap: timedelta | float | str | None = None,
        resumable: bool | str = False,
        context: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Write the records to a file, or a set of files.

        :param destination: a path, or any address that ``ObjectStoragePath`` takes. One that ends in ``/``
            gets ``{dag_id}/{task_id}/{run_id}/{map_index}.jsonl``
        :param format: ``jsonl``, ``csv`` or ``parquet``, and the first two with ``.gz`` or ``.zst``, where
            the suffix of ``destination`` does not tell
        :param max_records_per_file: begin another file after so many records
        :param partition_by: a member that holds a date: a folder for each
        :param nested: how CSV and Parquet hold lists and objects: ``json``, or in Parquet ``struct``
        :param on_mismatch: as for :meth:`collect`
        :param incremental: as for :meth:`collect`
        :param overlap: as for :meth:`collect`
        :param resumable: go on from the last part that is complete where a try before was cut off
        :param context: the task's context; without it the running task's
        :return: the manifest of the file or files
        :raises ConfigurationError: an option is not of its kind, or the list cannot be pulled incrementally
        :raises StorageError: the destination could not be written this time
        """
        from airflow_provider_finauth.runtime.landing import write_pages

        with airflow_errors():
            values.argument("nested", values.choice, nested, get_args(Nested))
            count = values.optional("max_records_per_file", values.integer, max_records_per_file, minimum=1)
            notes: Notes | None = None
            if values.argument("resumable", values.flag, resumable):
                notes = self._notes(context, max_records_per_file=count, partition_by=partition_by)
            run = self._run(on_mismatch, incremental, overlap, context)
            pages, resuming = run.pages, None
            if notes is not None:
                resuming = self._resuming(notes, run, on_mismatch)
                pages = resuming.pages() if run.mark is None else run.mark.keep(resuming.pages(), run.tally)
            with closing(self._watched(pages, run.tally)) as arriving:
                manifest = write_pages(
                    arriving,
                    destination=destination,
                    format=format or None,
                    max_records_per_file=count,
                    partition_by=partition_by or None,
                    nested=nested,
                    api=self._source.api,
                    resource=self._pull.resource,
                    window=run.window,
                    watermark=run.watermark,
                    checks=run.checks,
                    committed=lambda manifest: run.commit(),
                    resuming=resuming,
                    context=context,
                )
        _log.info("Pulled %d records of %s to %s", manifest["records"], self._pull.resource, manifest["uri"])
        return manifest

    def _run(
        self,
        on_mismatch: OnMismatch,
        incremental: str | None,
        overlap: timedelta | float | str | None,
        context: Mapping[str, Any] | None,
    ) -> _Run:
        values.argument("on_mismatch", values.choice, on_mismatch, get_args(OnMismatch))
        if overlap not in (None, "") and not incremental:
            raise ConfigurationError(
                "Argument 'overlap' is set, but 'incremental' is not: there is nothing to overlap.",
                field="overlap",
            )
        tally = Tally()
        if not incremental:
            asked = {"since": self._since, "until": self._until}
            window = {name: str(value) for name, value in asked.items() if value is not None} or None
            return _Run(tally, window, [self._pull], self._pages([self._pull], tally, on_mismatch))
        mark = self._incremental(incremental, overlap, context)
        pulls = self._changed(mark)
        pages = mark.keep(self._pages(pulls, tally, on_mismatch), tally)
        return _Run(tally, mark.window.to_dict(), pulls, pages, mark)

    def _pages(self, pulls: Iterable[Pull], tally: Tally, on_mismatch: OnMismatch) -> Iterator[Page]:
        for pull in pulls:
            yield from self._source.walk(pull, limit=self._limit, tally=tally, on_mismatch=on_mismatch)

    def _watched(self, pages: Iterator[Page], tally: Tally) -> Generator[Page, None, None]:
        # Not before it is read: until then `on_progress` may be called.
        yield from watched(pages, tally, tell=self._report, every=self._every, limit=self._limit)

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
        since = values.optional("since", values.moment, self._since) if by_change else None
        return Incremental(
            values.argument("incremental", values.string, name).strip(),
            conn_id=self._source.conn_id,
            base_url=self._source.base_url,
            # What `since` narrows other than by changes is another pull, with a watermark of its own.
            pull=self._source.describe(None, None) if by_change else self._pull,
            task=Task.of(context),
            since=since,
            overlap=overlap_of(overlap),
        )

    def _changed(self, mark: Incremental) -> Iterator[Pull]:
        """Describe the pulls that bring what has changed."""
        changes = self._pull.changes
        if self._pull.reread is not None:
            yield from self._pull.reread(self._source.read, mark.window.since, mark.notes)
        elif changes is not None and changes.filtered:
            pull = self._source.describe(mark.window.since, None if changes.shifts else mark.window.until)
            # The mark holds the records to its window, and counts what lies outside.
            yield replace(pull, cut=None)
        else:
            yield self._pull

    def _notes(self, context: Mapping[str, Any] | None, **options: object) -> Notes:
        """Find what keeps how far a resumable pull has come.

        :raises ConfigurationError: this pull cannot be resumed
        """
        from airflow_provider_finauth.runtime.resuming import require_resumable, task_notes

        if options["max_records_per_file"] is None:
            raise ConfigurationError(
                "Argument 'resumable' goes on after the last file that is complete: set "
                "'max_records_per_file' "
                "too.",
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

    def _resuming(self, notes: Notes, run: _Run, on_mismatch: OnMismatch) -> Resuming:
        from airflow_provider_finauth.runtime.resuming import Resuming

        source = self._source
        return Resuming(
            notes,
            identity={
                "connection": [source.api, source.conn_id, source.base_url],
                "resource": self._pull.resource,
                "window": run.window,
                "on_mismatch": on_mismatch,
            },
            pulls=run.pulls,
            walk=partial(source.walk, limit=None, tally=run.tally, on_mismatch=on_mismatch),
            tally=run.tally,
            mark=run.mark,
        )


@dataclass(frozen=True)
class _Run:
    """One run of a pull.

    :param tally: what it is held against
    :param window: the time that it asks for, as strings
    :param pulls: what it is made of
    :param pages: its pages, from first to last
    :param mark: how far an incremental one has come
    """

    tally: Tally
    window: Mapping[str, str] | None
    pulls: Iterable[Pull]
    pages: Iterator[Page]
    mark: Incremental | None = None

    def checks(self) -> dict[str, Any]:
        return {**self.tally.to_dict(), **(self.mark.checks() if self.mark is not None else {})}

    def watermark(self) -> str | None:
        return self.mark.reached(self.tally.server_time) if self.mark is not None else None

    def commit(self) -> None:
        if self.mark is not None:
            self.mark.commit(self.tally.server_time)
