"""Writing a pull: to one file, to numbered files, to partitions; all of it or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Literal, NamedTuple

from airflow_provider_finauth.exceptions import ConfigurationError
from airflow_provider_finauth.sinks.csv_file import Csv
from airflow_provider_finauth.sinks.files import Files, Place, Table, Target, WrittenFile
from airflow_provider_finauth.sinks.formats import check_installed
from airflow_provider_finauth.sinks.jsonl import JsonLines
from airflow_provider_finauth.sinks.routes import Partitioned, Route, Series, WholePages

if TYPE_CHECKING:
    from airflow_provider_finauth.client.paging.base import Page
    from airflow_provider_finauth.sinks.formats import Format

__all__ = ["Nested", "Place", "Target", "Written", "WrittenFile", "write"]

Nested = Literal["json", "struct"]


class Written(NamedTuple):
    """What was written, files in the order of their appearance."""

    files: tuple[WrittenFile, ...]
    records: int
    bytes: int
    pages: int
    duplicates: int


def write(
    pages: Iterable[Page],
    place: Place,
    format_: Format,
    *,
    max_records_per_file: int | None = None,
    partition_by: str | None = None,
    nested: Nested = "json",
    first_number: int = 1,
    on_file: Callable[[WrittenFile, Page], None] | None = None,
) -> Written:
    """Write a pull's records.

    All files are staged, and committed one after the other when the last page is written. Whatever goes
    wrong before discards all of them; whatever goes wrong at a commit discards those that were not yet
    committed.

    Without ``max_records_per_file`` and ``partition_by`` there is exactly one file, even for no records.
    Numbered files are at least one; of partitions there are as many as dates. All files have the same columns
    and types, save those of a resumable pull, each of which has its own.

    :param pages: the pages, read as they are written
    :param place: gives the targets
    :param format_: of every file
    :param max_records_per_file: numbered files of at most so many records (numbered anew in each partition)
    :param partition_by: the member whose date divides the records into partitions
    :param nested: objects and lists in Parquet: ``json`` as JSON text, ``struct`` as structs and lists,
        32 levels deep
    :param first_number: of numbered files; a pull that goes on begins behind the files it has
    :param on_file: makes a pull resumable: a file ends where a page ends and is committed at once, before the
        next page is asked for; then this is called with the file and that page. No page is cut: a file ends
        when another page of the size seen would not fit, so it is larger than wanted only where a page is
        larger than all before it
    :raises ConfigurationError: before the first page: an extra is missing, or the arguments do not go
        together. Later: a record has no columns, or no date, where one is wanted
    """
    if max_records_per_file is not None and max_records_per_file < 1:
        raise ConfigurationError(
            f"Argument 'max_records_per_file' is {max_records_per_file}; a file holds at least 1 record.",
            field="max_records_per_file",
        )
    if nested not in ("json", "struct"):
        raise ConfigurationError(f"Argument 'nested' is {nested!r}; use 'json' or 'struct'.", field="nested")
    if on_file is not None and (max_records_per_file is None or partition_by is not None):
        raise ConfigurationError(
            "Argument 'resumable' wants the files one after the other: set 'max_records_per_file', and not "
            "'partition_by'.",
            field="resumable",
        )
    table = _table(format_, nested)
    with Files(place, table, format_.compression, alike=on_file is None) as files:
        if on_file is not None and max_records_per_file is not None:
            route: Route = WholePages(files, max_records_per_file, first=first_number, on_file=on_file)
        elif partition_by is not None:
            route = Partitioned(files, partition_by, max_records_per_file)
        else:
            route = Series(files, max_records_per_file)
        count = duplicates = 0
        with closing(route):
            for page in pages:
                route.add(page)
                count += 1
                duplicates += page.duplicates
            route.finish()
        files.commit()
    written = tuple(files.committed)
    return Written(
        written,
        sum(file.records for file in written),
        sum(file.bytes for file in written),
        count,
        duplicates,
    )


def _table(format_: Format, nested: Nested) -> Callable[[], Table]:
    check_installed(format_)
    if format_.name == "parquet":
        from airflow_provider_finauth.sinks.parquet_file import Parquet

        return partial(Parquet, struct=nested == "struct")
    return Csv if format_.name == "csv" else JsonLines
