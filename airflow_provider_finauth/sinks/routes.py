"""Which file a record goes to."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from airflow_provider_finauth.exceptions import ConfigurationError
from airflow_provider_finauth.sinks.spool import Partitions

if TYPE_CHECKING:
    from airflow_provider_finauth.client.paging.base import Page
    from airflow_provider_finauth.client.paging.rows import Rows
    from airflow_provider_finauth.sinks.files import Files, OpenFile, WrittenFile

_log = logging.getLogger(__name__)

# As Hive, and what reads its folders, names the partition of records without a value.
_NO_DATE = "__HIVE_DEFAULT_PARTITION__"
_DATE = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[T ].*)?", re.ASCII | re.DOTALL)


class Route(Protocol):
    """Takes pages and fills files."""

    def add(self, page: Page) -> None:
        """Take a page."""
        ...

    def finish(self) -> None:
        """All pages have come: stage the rest."""
        ...

    def close(self) -> None:
        """Let go of what was kept, finished or not."""
        ...


class Series:
    """One file, or numbered files of at most so many records. The first is begun at once.

    :param files: that are filled
    :param most: records of a file; None for one file with no number
    :param partition: that the files are of
    """

    def __init__(self, files: Files, most: int | None = None, *, partition: str | None = None) -> None:
        self._files = files
        self._most = most
        self._partition = partition
        self._number = 0
        self._file: OpenFile | None = self._open()

    def _open(self) -> OpenFile:
        self._number += 1
        number = None if self._most is None else self._number
        return self._files.open(number=number, partition=self._partition)

    def add(self, page: Page) -> None:
        self.add_rows(page.rows)

    def add_rows(self, rows: Rows) -> None:
        """Take records."""
        done = 0
        while done < len(rows):
            self._file = self._file or self._open()
            room = len(rows) if self._most is None else self._most - self._file.records
            part = rows[done : done + room] if done or room < len(rows) else rows
            self._file.add(part)
            done += len(part)
            if self._file.records == self._most:
                self.finish()

    def finish(self) -> None:
        if self._file is not None:
            self._files.seal(self._file)
            self._file = None

    def close(self) -> None:
        """Nothing is kept."""


class WholePages:
    """Numbered files of whole pages, committed one by one, so that a pull can go on behind each of them.

    :param files: that are filled
    :param most: records of a file; one ends when another page of the size seen would not fit
    :param first: number of the first file
    :param on_file: called for each file that was committed, with the page it ends with
    """

    def __init__(
        self, files: Files, most: int, *, first: int, on_file: Callable[[WrittenFile, Page], None]
    ) -> None:
        self._files = files
        self._most = most
        self._number = first
        self._on_file = on_file
        self._largest = 0
        self._last: Page | None = None
        # A pull that goes on may find that it had everything.
        self._file = files.open(number=first) if first == 1 else None

    def add(self, page: Page) -> None:
        self._last = page
        if not page.rows:
            return
        self._file = self._file or self._files.open(number=self._number)
        self._file.add(page.rows)
        self._largest = max(self._largest, len(page.rows))
        if self._file.records + self._largest > self._most:
            self.finish()

    def finish(self) -> None:
        if self._file is None:
            return
        self._files.seal(self._file)
        self._files.commit()
        self._file = None
        self._number += 1
        if self._last is not None:
            self._on_file(self._files.committed[-1], self._last)

    def close(self) -> None:
        """Nothing is kept."""


class Partitioned:
    """Files by the date in one member; they are written when the last page has come.

    :param files: that are filled
    :param member: that holds the date
    :param most: records of a file; None for one file with no number in each partition
    """

    def __init__(self, files: Files, member: str, most: int | None = None) -> None:
        self._files = files
        self._member = member
        self._most = most
        # Characters that a folder's name in the manner of Hive must not have, '=' and '/' among them.
        self._folder = quote(member, safe="@ ") + "="
        self._partitions = Partitions()

    def add(self, page: Page) -> None:
        positions: dict[str, list[int]] = {}
        for position, value in enumerate(page.rows.column(self._member)):
            positions.setdefault(self._date(value), []).append(position)
        for day, chosen in positions.items():
            rows = page.rows if len(positions) == 1 else page.rows.take(chosen)
            self._partitions.add(self._folder + day, rows)

    def _date(self, value: Any) -> str:
        if value is None:
            return _NO_DATE
        day = _day(value) if isinstance(value, str) else None
        if day is None:
            raise ConfigurationError(
                f"Argument 'partition_by': in some record '{self._member}' is no date like 2026-10-01, nor a "
                "time that begins with one. Choose another member, or leave the argument out.",
                field="partition_by",
            )
        return day

    def finish(self) -> None:
        names = self._partitions.names()
        if names == [self._folder + _NO_DATE]:
            _log.warning(
                "No record has a date in %r, by which the files are divided: is this the member's name?",
                self._member,
            )
        for name in names:
            series = Series(self._files, self._most, partition=name)
            for rows in self._partitions.read(name):
                series.add_rows(rows)
            series.finish()

    def close(self) -> None:
        self._partitions.close()


@lru_cache(maxsize=10_000)
def _day(text: str) -> str | None:
    found = _DATE.fullmatch(text)
    if found is None:
        return None
    try:
        date.fromisoformat(found[1])
    except ValueError:
        return None
    return found[1]
