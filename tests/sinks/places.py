"""A place in memory that remembers what happened to it, and pages to write there."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

from airflow_provider_finauth.client.paging.base import Page
from airflow_provider_finauth.client.paging.rows import Rows
from airflow_provider_finauth.sinks.formats import Format, format_of
from airflow_provider_finauth.sinks.reading import read
from airflow_provider_finauth.sinks.writing import Written, write

FORMATS = ["jsonl", "jsonl.gz", "jsonl.zst", "csv", "csv.gz", "csv.zst", "parquet"]


class MemoryTarget:
    """One file."""

    def __init__(self, place: MemoryPlace, name: str) -> None:
        self.place = place
        self.name = name
        self.writes: list[bytes] = []
        self.state = "new"

    @property
    def content(self) -> bytes:
        return b"".join(self.writes)

    def happens(self, event: str) -> None:
        self.place.events.append(f"{event} {self.name}".strip())
        if self.place.fails_at in (event, f"{event} {self.name}"):
            raise OSError(f"no {event}")
        self.state = event

    def open(self) -> MemoryTarget:
        assert self.state == "new"
        self.happens("open")
        self.place.most_open = max(self.place.most_open, self.place.count("open"))
        return self

    def write(self, data: bytes, /) -> int:
        assert self.state == "open"
        assert type(data) is bytes
        assert data
        self.writes.append(data)
        if self.place.fails_at == "write":
            raise OSError("no write")
        return len(data)

    def stage(self) -> None:
        assert self.state == "open"
        self.happens("stage")

    def commit(self) -> None:
        assert self.state == "stage"
        self.happens("commit")

    def discard(self) -> None:
        assert self.state in ("open", "stage")
        self.happens("discard")


class MemoryPlace:
    """Files by number and partition.

    :param fails_at: an event, of any target or of a named one (``commit 2``)
    """

    def __init__(self, fails_at: str | None = None) -> None:
        self.targets: dict[str, MemoryTarget] = {}
        self.events: list[str] = []
        self.most_open = 0
        self.fails_at = fails_at

    def target(self, *, number: int | None = None, partition: str | None = None) -> MemoryTarget:
        name = "/".join(str(part) for part in (partition, number) if part is not None)
        assert name not in self.targets
        self.targets[name] = MemoryTarget(self, name)
        return self.targets[name]

    def count(self, state: str) -> int:
        return sum(target.state == state for target in self.targets.values())

    @property
    def appeared(self) -> dict[str, bytes]:
        return {name: target.content for name, target in self.targets.items() if target.state == "commit"}


def format_named(suffix: str) -> Format:
    return format_of(f"x.{suffix}")


def page(*records: Any, number: int = 1, **more: Any) -> Page:
    return Page(Rows.of(records), number, **more)


def text_page(array: str) -> Page:
    """Make a page of JSON as an API wrote it."""
    return Page(Rows.read(array.encode()), 1)


def written(pages: Iterable[Page], suffix: str, **options: Any) -> tuple[MemoryPlace, Written]:
    """Write pages and give what appeared."""
    place = MemoryPlace()
    return place, write(pages, place, format_named(suffix), **options)


def content(pages: Iterable[Page], suffix: str, **options: Any) -> bytes:
    """Write pages to one file and give its bytes."""
    return written(pages, suffix, **options)[0].appeared[""]


def back(content: bytes, suffix: str) -> list[Any]:
    """Read a file back."""
    return list(read(io.BytesIO(content), format_named(suffix)))
