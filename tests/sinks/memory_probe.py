"""Writes and reads a pull of a given size and prints how much memory that took at most.

Run as a program of its own: a process's peak does not come down again.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from airflow_provider_finauth.client.paging.base import Page
from airflow_provider_finauth.client.paging.rows import Rows
from airflow_provider_finauth.sinks.reading import read
from airflow_provider_finauth.sinks.writing import write
from tests.sinks.places import format_named

PAGE = 1000


class FileTarget:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.file: IO[bytes] | None = None

    def open(self) -> IO[bytes]:
        self.file = self.path.open("wb")
        return self.file

    def stage(self) -> None:
        assert self.file is not None
        self.file.close()

    def commit(self) -> None:
        pass

    def discard(self) -> None:
        raise AssertionError("nothing should go wrong")


class Folder:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.paths: list[Path] = []

    def target(self, *, number: int | None = None, partition: str | None = None) -> FileTarget:
        self.paths.append(self.path / f"{partition}-{number}")
        return FileTarget(self.paths[-1])


def pages(records: int) -> Iterator[Page]:
    for start in range(0, records, PAGE):
        texts = (
            b'{"id":%d,"day":"2026-%02d-%02d","sum":%d.%02d,"lines":[{"sum":1.50}],"text":"%s"}'
            % (n, n % 12 + 1, n % 28 + 1, n, n % 100, b"%x" % (n * 7919) * 40)
            for n in range(start, start + PAGE)
        )
        yield Page(Rows.read(b"[" + b",".join(texts) + b"]"), start // PAGE + 1)


def peak() -> int:
    """Give the most memory so far, in kB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def run(suffix: str, records: int, options: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Folder(Path(folder))
        written = write(pages(records), place, format_named(suffix), **options)
        assert written.records == records
        count = 0
        for path in place.paths:
            with path.open("rb") as file:
                count += sum(1 for _ in read(file, format_named(suffix)))
        assert count == records


if __name__ == "__main__":
    suffix, few, many, options = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), json.loads(sys.argv[4])
    if suffix == "parquet":
        from airflow_provider_finauth.sinks import parquet_file

        # A row group is in memory as a whole; here the smaller pull fills one, too.
        parquet_file._GROUP_RECORDS = few
    run(suffix, few, options)
    before = peak()
    run(suffix, many, options)
    print(before, peak())
