from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_finauth.exceptions import ConfigurationError
from airflow_provider_finauth.sinks.writing import Written, WrittenFile, write
from tests.sinks.places import FORMATS, MemoryPlace, back, format_named, page, written

if TYPE_CHECKING:
    from airflow_provider_finauth.client.paging.base import Page

SETS: list[dict[str, Any]] = [{}, {"max_records_per_file": 2}, {"partition_by": "day"}]


def pages_of(*sizes: int) -> list[Page]:
    """Give pages of records with numbers from 0, on seven days."""
    pages, start = [], 0
    for number, size in enumerate(sizes, 1):
        records = ({"id": n, "day": f"2026-10-0{n % 7 + 1}"} for n in range(start, start + size))
        pages.append(page(*records, number=number))
        start += size
    return pages


def ids(file: bytes) -> list[int]:
    return [record["id"] for record in back(file, "jsonl")]


# One file, numbered files, partitions


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("options", [*SETS, {"partition_by": "day", "max_records_per_file": 2}])
def test_counts(suffix: str, options: dict[str, Any]) -> None:
    pages = [
        page({"id": 1, "day": "2026-10-01"}, {"id": 2, "day": "2026-10-02"}, total=3, duplicates=1),
        page(number=2),
        page({"id": 3, "day": "2026-10-01"}, number=3, total=4, duplicates=2),
        page(number=4),
    ]
    place, result = written(pages, suffix, **options)
    assert (result.records, result.pages, result.duplicates) == (3, 4, 3)
    assert result.records == sum(file.records for file in result.files)
    assert result.bytes == sum(file.bytes for file in result.files)
    names = [
        "/".join(str(x) for x in (file.partition, file.number) if x is not None) for file in result.files
    ]
    assert names == list(place.appeared)
    for file, content in zip(result.files, place.appeared.values(), strict=True):
        assert (len(back(content, suffix)), len(content)) == (file.records, file.bytes)


@pytest.mark.parametrize("suffix", FORMATS)
def test_one_file_even_for_nothing(suffix: str) -> None:
    for pages in ([], [page()]):
        place, result = written(pages, suffix)
        assert result.files == (WrittenFile(None, None, 0, len(place.appeared[""])),)
        assert back(place.appeared[""], suffix) == []


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_numbered_set_of_nothing_is_one_file_and_partitions_are_none(suffix: str) -> None:
    assert [file[:3] for file in written([], suffix, max_records_per_file=5)[1].files] == [(1, None, 0)]
    assert written([page()], suffix, partition_by="day")[1] == Written((), 0, 0, 1, 0)


@given(st.lists(st.integers(0, 7), max_size=6), st.integers(1, 6))
def test_numbered_files_are_full_and_hold_all_in_order(sizes: list[int], most: int) -> None:
    place, result = written(pages_of(*sizes), "jsonl", max_records_per_file=most)
    total = sum(sizes)
    assert [file.number for file in result.files] == list(range(1, max(1, -(-total // most)) + 1))
    assert all(file.records == most for file in result.files[:-1])
    assert [n for content in place.appeared.values() for n in ids(content)] == list(range(total))


def test_a_page_is_cut_without_changing_its_bytes() -> None:
    place, _ = written(
        [page({"a": Decimal("1.50")}, {"a": Decimal("1E+2")})], "jsonl", max_records_per_file=1
    )
    assert list(place.appeared.values()) == [b'{"a":1.50}\n', b'{"a":1E+2}\n']


def test_partitions_by_the_date_as_written() -> None:
    texts = ["2026-10-02T23:59:59+03:00", "2026-10-01", None, "2026-10-02 00:00", "2026-10-01T00:00:00Z"]
    pages = [page(*({"id": n, "at": text} for n, text in enumerate(texts))), page({"id": 5}, number=2)]
    place, result = written(pages, "jsonl", partition_by="at")
    assert {name: ids(content) for name, content in place.appeared.items()} == {
        "at=2026-10-01": [1, 4],
        "at=2026-10-02": [0, 3],
        "at=__HIVE_DEFAULT_PARTITION__": [2, 5],
    }
    assert [file.partition for file in result.files] == list(place.appeared)


def test_a_member_that_no_record_has_is_wondered_at(caplog: pytest.LogCaptureFixture) -> None:
    place, _ = written([page({"at": "2026-10-01"}, {"at": None})], "jsonl", partition_by="at")
    assert not caplog.records
    place, _ = written([page({"at": "2026-10-01"})], "jsonl", partition_by="date")
    assert list(place.appeared) == ["date=__HIVE_DEFAULT_PARTITION__"]
    assert "No record has a date in 'date'" in caplog.text


@pytest.mark.parametrize(
    "value",
    ["", "yesterday", "2026-02-30", "01.10.2026", "2026-10-1", "20261001", "٢٠٢٦-10-01", 20261001, True, []],
)
def test_something_that_is_no_date(value: Any) -> None:
    place = MemoryPlace()
    with pytest.raises(ConfigurationError, match="'partition_by'.*'day' is no date") as caught:
        write([page({"day": "2026-10-01"}, {"day": value})], place, format_named("jsonl"), partition_by="day")
    assert caught.value.field == "partition_by"
    assert not isinstance(value, str) or not value or value not in str(caught.value)
    assert place.appeared == {}


def test_a_members_name_cannot_leave_its_folder() -> None:
    place, _ = written([page({"../a=b": "2026-10-01"})], "jsonl", partition_by="../a=b")
    assert list(place.appeared) == ["..%2Fa%3Db=2026-10-01"]


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_hundreds_of_partitions_are_never_open_together(suffix: str) -> None:
    days = [
        f"20{year}-{month:02}-{day:02}" for year in (25, 26) for month in range(1, 13) for day in range(1, 29)
    ]
    pages = [page(*({"id": n, "day": day} for day in days), number=n) for n in range(3)]
    place, result = written(pages, suffix, partition_by="day")
    assert len(result.files) == len(days) == 672
    assert place.most_open <= 2
    assert {
        tuple(str(record["id"]) for record in back(file, suffix)) for file in place.appeared.values()
    } == {("0", "1", "2")}


def test_partitions_larger_than_memory_allows_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_finauth.sinks.spool._MOST", 1000)
    place, _ = written(pages_of(*[50] * 20), "jsonl", partition_by="day")
    for day, content in enumerate(place.appeared.values()):
        assert ids(content) == list(range(day, 1000, 7))


def test_numbers_begin_anew_in_each_partition() -> None:
    place, _ = written(pages_of(15), "jsonl", partition_by="day", max_records_per_file=2)
    assert list(place.appeared)[:3] == ["day=2026-10-01/1", "day=2026-10-01/2", "day=2026-10-02/1"]
    assert [ids(content) for content in place.appeared.values()][:3] == [[0, 7], [14], [1, 8]]


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("options", SETS)
def test_the_same_pages_give_the_same_bytes(suffix: str, options: dict[str, Any]) -> None:
    first, second = (written(pages_of(3, 0, 4), suffix, **options) for _ in range(2))
    assert first[0].appeared == second[0].appeared
    assert first[1] == second[1]


# All or nothing


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("options", SETS)
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, GeneratorExit])
def test_a_pull_that_breaks_leaves_nothing(
    suffix: str, options: dict[str, Any], error: type[BaseException]
) -> None:
    def pages() -> Iterator[Page]:
        yield from pages_of(2, 3)
        raise error

    place = MemoryPlace()
    with pytest.raises(error):
        write(pages(), place, format_named(suffix), **options)
    assert place.appeared == {}
    assert {target.state for target in place.targets.values()} <= {"new", "discard"}


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
@pytest.mark.parametrize("options", SETS)
@pytest.mark.parametrize("fails_at", ["write", "stage", "commit"])
def test_a_target_that_breaks_is_discarded(suffix: str, options: dict[str, Any], fails_at: str) -> None:
    place = MemoryPlace(fails_at)
    with pytest.raises(OSError, match=f"no {fails_at}"):
        write(pages_of(5), place, format_named(suffix), **options)
    assert place.appeared == {}
    assert {target.state for target in place.targets.values()} <= {"new", "discard"}


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_nothing_is_committed_before_all_is_staged(suffix: str) -> None:
    place, _ = written(pages_of(3, 3), suffix, max_records_per_file=2)
    assert [event for event in place.events if "open" not in event] == [
        *("stage 1", "stage 2", "stage 3"),
        *("commit 1", "commit 2", "commit 3"),
    ]


def test_a_commit_that_breaks_discards_the_rest() -> None:
    place = MemoryPlace("commit 2")
    with pytest.raises(OSError, match="no commit"):
        write(pages_of(6), place, format_named("jsonl"), max_records_per_file=2)
    assert place.events[-4:] == ["commit 1", "commit 2", "discard 2", "discard 3"]
    assert list(place.appeared) == ["1"]


def test_a_discard_that_breaks_hides_nothing_and_stops_no_other() -> None:
    def pages() -> Iterator[Page]:
        yield from pages_of(4)
        raise RuntimeError("the reason")

    place = MemoryPlace("discard 1")
    with pytest.raises(RuntimeError, match="the reason"):
        write(pages(), place, format_named("jsonl"), max_records_per_file=2)
    assert place.events[-2:] == ["discard 1", "discard 2"]


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
@pytest.mark.parametrize("options", [{}, {"max_records_per_file": 2}])
def test_a_target_that_does_not_open_asks_for_no_page(suffix: str, options: dict[str, Any]) -> None:
    def pages() -> Iterator[Page]:
        raise AssertionError("a page was asked for")
        yield

    place = MemoryPlace("open")
    with pytest.raises(OSError, match="no open"):
        write(pages(), place, format_named(suffix), **options)
    assert len(place.events) == 1


# Resumable


class Followed:
    """Pages, and what had been reported when each of them was asked for."""

    def __init__(self, *sizes: int) -> None:
        self.pages = pages_of(*sizes)
        self.reports: list[tuple[WrittenFile, int]] = []
        self.known_at: dict[int, int] = {}

    def __iter__(self) -> Iterator[Page]:
        for one in self.pages:
            self.known_at[one.number] = len(self.reports)
            yield one

    def on_file(self, file: WrittenFile, page: Page) -> None:
        self.reports.append((file, page.number))


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_files_end_with_pages_and_appear_before_the_next_is_asked_for(suffix: str) -> None:
    pages, place = Followed(2, 2, 2, 2, 1), MemoryPlace()
    result = write(
        pages, place, format_named(suffix), max_records_per_file=4, first_number=1, on_file=pages.on_file
    )
    assert [(file.number, file.records, number) for file, number in pages.reports] == [
        (1, 4, 2),
        (2, 4, 4),
        (3, 1, 5),
    ]
    assert tuple(file for file, _ in pages.reports) == result.files
    # What is reported has appeared, and is reported before the next page is asked for.
    assert pages.known_at == {1: 0, 2: 0, 3: 1, 4: 1, 5: 2}
    assert [event.split()[0] for event in place.events] == ["open", "stage", "commit"] * 3


@given(st.lists(st.integers(0, 7), max_size=6), st.integers(1, 9))
def test_no_page_is_cut(sizes: list[int], most: int) -> None:
    pages, place = Followed(*sizes), MemoryPlace()
    write(pages, place, format_named("jsonl"), max_records_per_file=most, on_file=pages.on_file)
    begun = 0
    for file, number in pages.reports:
        # From the end of the file before to the end of a page.
        assert file.records == sum(sizes[begun:number])
        assert sum(sizes[begun : number - 1]) <= most
        begun = number
    assert sum(sizes[begun:]) == 0
    assert [n for content in place.appeared.values() for n in ids(content)] == list(range(sum(sizes)))


def test_files_hold_no_more_than_wanted_where_pages_are_alike() -> None:
    pages = Followed(3, 3, 3, 3)
    result = write(pages, MemoryPlace(), format_named("jsonl"), max_records_per_file=8, on_file=pages.on_file)
    assert [file.records for file in result.files] == [6, 6]


def test_going_on_behind_the_files_that_are_there() -> None:
    pages, place = Followed(2, 1), MemoryPlace()
    result = write(
        pages, place, format_named("jsonl"), max_records_per_file=2, first_number=5, on_file=pages.on_file
    )
    assert [(file.number, file.records) for file in result.files] == [(5, 2), (6, 1)]
    assert list(place.appeared) == ["5", "6"]


def test_going_on_where_nothing_is_left() -> None:
    pages, place = Followed(0), MemoryPlace()
    result = write(
        pages, place, format_named("jsonl"), max_records_per_file=2, first_number=3, on_file=pages.on_file
    )
    assert (result.files, place.targets, pages.reports) == ((), {}, [])


def test_what_was_reported_stays_when_the_pull_breaks() -> None:
    def pages() -> Iterator[Page]:
        yield from pages_of(1, 1, 1)
        raise RuntimeError

    place = MemoryPlace()
    with pytest.raises(RuntimeError):
        write(pages(), place, format_named("csv"), max_records_per_file=2, on_file=lambda file, page: None)
    assert list(place.appeared) == ["1"]


def test_a_files_bytes_do_not_depend_on_where_the_pull_went_on() -> None:
    pages = [page({"a": 1}), page({"b": Decimal("1.5")}, number=2)]
    for suffix in ("csv", "parquet"):
        whole, rest = MemoryPlace(), MemoryPlace()
        options: dict[str, Any] = {"max_records_per_file": 1, "on_file": lambda file, page: None}
        write(pages, whole, format_named(suffix), **options)
        write(pages[1:], rest, format_named(suffix), first_number=2, **options)
        assert whole.appeared["2"] == rest.appeared["2"]


# Arguments


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"max_records_per_file": 0}, "max_records_per_file"),
        ({"nested": "text"}, "nested"),
        ({"on_file": print}, "resumable"),
        ({"on_file": print, "max_records_per_file": 5, "partition_by": "day"}, "resumable"),
    ],
)
def test_arguments_that_do_not_go_together(options: dict[str, Any], field: str) -> None:
    place = MemoryPlace()
    with pytest.raises(ConfigurationError) as caught:
        write([page({})], place, format_named("jsonl"), **options)
    assert caught.value.field == field
    assert place.targets == {}
