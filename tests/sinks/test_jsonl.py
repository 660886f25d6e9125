from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_finauth.client.paging.base import Page
from airflow_provider_finauth.client.paging.rows import Rows
from airflow_provider_finauth.sinks.jsonl import Counts, read_jsonl, write_jsonl

if TYPE_CHECKING:
    from airflow_provider_finauth.sinks.formats import Compression

COMPRESSIONS: list[Compression | None] = [None, "gzip"]
RECORDS = st.lists(
    st.dictionaries(
        st.text(),
        st.none()
        | st.booleans()
        | st.integers()
        | st.text()
        | st.decimals(allow_nan=False, allow_infinity=False, places=4),
        max_size=4,
    ),
    max_size=5,
)


class MemoryTarget:
    """Remembers what happened to it."""

    def __init__(self, fails_at: str | None = None) -> None:
        self.writes: list[bytes] = []
        self.events: list[str] = []
        self.fails_at = fails_at

    @property
    def content(self) -> bytes:
        return b"".join(self.writes)

    def _happens(self, event: str) -> None:
        self.events.append(event)
        if event == self.fails_at:
            raise OSError(f"no {event}")

    def open(self) -> MemoryTarget:
        self._happens("open")
        return self

    def write(self, data: bytes, /) -> int:
        self._happens("write")
        self.writes.append(data)
        return len(data)

    def commit(self) -> None:
        self._happens("commit")

    def discard(self) -> None:
        self._happens("discard")


def page(*records: Any, number: int = 1, **more: Any) -> Page:
    return Page(Rows.of(records), number, **more)


def written(pages: list[Page], compression: Compression | None = None) -> MemoryTarget:
    target = MemoryTarget()
    write_jsonl(pages, target, compression=compression)
    return target


@given(st.lists(RECORDS, max_size=4), st.sampled_from(COMPRESSIONS))
def test_records_come_back(pages: list[list[Any]], compression: Compression | None) -> None:
    target = written([page(*records) for records in pages], compression)
    back = list(read_jsonl(io.BytesIO(target.content), compression=compression))
    assert back == [record for records in pages for record in records]


@given(RECORDS)
def test_one_record_a_line_whatever_it_holds(records: list[Any]) -> None:
    content = written([page(*records)]).content
    lines = content.split(b"\n")
    assert lines.pop() == b""
    assert len(lines) == len(records)
    assert b"\r" not in content
    content.decode("utf-8")


def test_line_breaks_inside_texts_are_escaped() -> None:
    content = written([page({"text": "a\nb\r\nc", "name": "Pöytäkirja €"})]).content
    assert content == '{"text":"a\\nb\\r\\nc","name":"Pöytäkirja €"}\n'.encode()


def test_numbers_are_written_digit_by_digit() -> None:
    texts = ["12345678901234567.8900", "0.10", "-1E+5", "100000000000000000000000000000.01"]
    content = written([page({"sum": Decimal(text), "count": 10**30}) for text in texts]).content
    assert content.decode().splitlines() == [f'{{"sum":{text},"count":{10**30}}}' for text in texts]
    back = list(read_jsonl(io.BytesIO(content)))
    assert [str(record["sum"]) for record in back] == texts
    assert all(type(record["count"]) is int for record in back)


def test_one_write_a_page() -> None:
    pages = [page(*({"id": number} for number in range(500)), number=turn) for turn in range(3)]
    target = MemoryTarget()
    write_jsonl(pages, target)
    assert target.events == ["open", "write", "write", "write", "commit"]


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_counts(compression: Compression | None) -> None:
    target = MemoryTarget()
    pages = [
        page({"id": 1}, {"id": 2}, total=3, duplicates=1),
        page(number=2),
        page({"id": 3}, number=3, total=4, duplicates=2),
        page(number=4),
    ]
    counts = write_jsonl(pages, target, compression=compression)
    assert counts == Counts(records=3, bytes=len(target.content), pages=4, duplicates=3, total=4)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_nothing_is_a_lawful_file(compression: Compression | None) -> None:
    target = written([], compression)
    assert target.events[-1] == "commit"
    assert list(read_jsonl(io.BytesIO(target.content), compression=compression)) == []


def test_gzip_is_gzip_and_the_same_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = [page({"id": 1}), page({"id": 2}, number=2)]
    first = written(pages, "gzip").content
    monkeypatch.setattr("time.time", lambda: 2_000_000_000.0)
    assert written(pages, "gzip").content == first
    assert first[4:8] == bytes(4)
    assert [json.loads(line) for line in gzip.decompress(first).splitlines()] == [{"id": 1}, {"id": 2}]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, GeneratorExit])
def test_a_pull_that_breaks_is_discarded(error: type[BaseException]) -> None:
    def pages() -> Iterator[Page]:
        yield page({"id": 1})
        raise error

    target = MemoryTarget()
    with pytest.raises(error):
        write_jsonl(pages(), target)
    assert target.events == ["open", "write", "discard"]


@pytest.mark.parametrize("fails_at", ["write", "commit"])
def test_a_target_that_breaks_is_discarded(fails_at: str) -> None:
    target = MemoryTarget(fails_at)
    with pytest.raises(OSError, match=f"no {fails_at}"):
        write_jsonl([page({"id": 1})], target)
    assert target.events[-1] == "discard"


def test_a_target_that_does_not_open_asks_for_no_page() -> None:
    def pages() -> Iterator[Page]:
        raise AssertionError("a page was asked for")
        yield

    with pytest.raises(OSError, match="no open"):
        write_jsonl(pages(), MemoryTarget("open"))


def test_a_large_file_is_read_in_pieces() -> None:
    records = [{"id": number, "text": "x" * 1000} for number in range(5000)]
    for compression in COMPRESSIONS:
        content = written([page(*records)], compression).content
        assert list(read_jsonl(io.BytesIO(content), compression=compression)) == records


def test_last_line_without_a_break_counts() -> None:
    assert list(read_jsonl(io.BytesIO(b'{"id":1}\n\n{"id":2}'))) == [{"id": 1}, {"id": 2}]


@pytest.mark.parametrize("content", [b"no gzip", written([page({"id": 1})], "gzip").content[:-4]])
def test_damaged_gzip(content: bytes) -> None:
    with pytest.raises(ValueError, match="gzip file"):
        list(read_jsonl(io.BytesIO(content), compression="gzip"))
