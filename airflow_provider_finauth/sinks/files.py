"""The files of one pull: staged one by one, committed or discarded together."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Protocol

from airflow_provider_finauth.sinks.packing import Sink

if TYPE_CHECKING:
    from airflow_provider_finauth.client.paging.rows import Rows
    from airflow_provider_finauth.sinks.formats import Compression
    from airflow_provider_finauth.sinks.packing import Writer


class Target(Protocol):
    """Where a file appears whole or not at all. In this order: open, stage, commit; or discard once begun."""

    def open(self) -> Writer:
        """Begin: what is written stays invisible."""
        ...

    def stage(self) -> None:
        """All is written: bring it out of this process's memory and close what is open; still invisible.

        Hundreds of files may be staged before the first of them is committed.
        """
        ...

    def commit(self) -> None:
        """Let the file appear, in place of one that is there; always after ``stage``."""
        ...

    def discard(self) -> None:
        """Throw away what was written, staged or not; what was there before stays."""
        ...


class Place(Protocol):
    """Where the files of a pull go."""

    def target(self, *, number: int | None = None, partition: str | None = None) -> Target:
        """Give the target of one file.

        :param number: from 1, where a pull is split into files; None where it is not
        :param partition: for example ``date=2026-10-01``, ready to be a folder's name
        """
        ...


class Form(Protocol):
    """What makes bytes of the records of one file."""

    def add(self, rows: Rows) -> None:
        """Take records."""
        ...

    def seal(self) -> None:
        """All records of the file have come."""
        ...

    def finish(self) -> None:
        """Write what was kept back."""
        ...


class Table(Protocol):
    """What the files of a pull have in common: their columns, where the format has columns."""

    # Whether no file can be written before the last record of all has come.
    waits: bool

    def file(self, sink: Sink) -> Form:
        """Begin a file."""
        ...

    def close(self) -> None:
        """Let go of what was kept."""
        ...


class WrittenFile(NamedTuple):
    """One file."""

    number: int | None
    partition: str | None
    records: int
    bytes: int


class OpenFile:
    """One file that takes records.

    :param target: begun by then, or when the first byte is written
    :param form: writes into ``sink``
    :param sink: writes into the target
    """

    def __init__(
        self, target: Target, form: Form, sink: Sink, number: int | None, partition: str | None
    ) -> None:
        self.target = target
        self.records = 0
        self._form = form
        self._sink = sink
        self._number = number
        self._partition = partition

    def add(self, rows: Rows) -> None:
        """Take records."""
        self._form.add(rows)
        self.records += len(rows)

    def seal(self) -> None:
        """No more records come."""
        self._form.seal()

    def stage(self) -> WrittenFile:
        """Write the rest."""
        self._form.finish()
        self._sink.finish()
        self.target.stage()
        return WrittenFile(self._number, self._partition, self.records, self._sink.size)


class Files:
    """All files of one pull. As a context: leaving it discards what was not committed.

    :param place: gives their targets
    :param make_table: makes what writes records in a format
    :param compression: of every file
    :param alike: all files get the same columns; then none is written before all records have come
    """

    def __init__(
        self,
        place: Place,
        make_table: Callable[[], Table],
        compression: Compression | None = None,
        *,
        alike: bool = True,
    ) -> None:
        self._place = place
        self._make_table = make_table
        self._compression = compression
        self._alike = alike
        self._table = make_table()
        self._has_begun = False
        self._begun: list[Target] = []
        self._sealed: list[OpenFile] = []
        self._staged: list[tuple[Target, WrittenFile]] = []
        self.committed: list[WrittenFile] = []

    def open(self, *, number: int | None = None, partition: str | None = None) -> OpenFile:
        """Give a file; the one before must be sealed.

        The first target is begun at once, so that a place that takes no files is known early; the others
        when their first byte is written.
        """
        if not self._alike:
            self._table.close()
            self._table = self._make_table()
        target = self._place.target(number=number, partition=partition)
        sink = Sink(lambda: self._begin(target), self._compression)
        if not self._has_begun:
            sink.begin()
        return OpenFile(target, self._table.file(sink), sink, number, partition)

    def _begin(self, target: Target) -> Writer:
        self._has_begun = True
        writer = target.open()
        self._begun.append(target)
        return writer

    def seal(self, file: OpenFile) -> None:
        """Take note that a file has all its records."""
        file.seal()
        self._sealed.append(file)
        if not self._table.waits:
            self._stage()

    def _stage(self) -> None:
        for file in self._sealed:
            self._staged.append((file.target, file.stage()))
        self._sealed.clear()

    def commit(self) -> None:
        """Let all files appear, in their order."""
        self._stage()
        for target, written in self._staged:
            target.commit()
            # Only now: a target whose commit failed is discarded.
            self._begun.remove(target)
            self.committed.append(written)
        self._staged.clear()

    def __enter__(self) -> Files:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._table.close()
        for target in self._begun:
            # What went wrong first is what the caller must hear of; the others are to be discarded, too.
            with suppress(Exception):
                target.discard()
