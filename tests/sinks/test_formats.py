from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_finauth.exceptions import ConfigurationError
from airflow_provider_finauth.sinks import formats
from airflow_provider_finauth.sinks.formats import Format, format_of
from airflow_provider_finauth.sinks.reading import read
from airflow_provider_finauth.sinks.writing import write
from tests.sinks.places import FORMATS, MemoryPlace

if TYPE_CHECKING:
    from airflow_provider_finauth.client.paging.base import Page

PLAIN = Format("jsonl", None)
GZIP = Format("jsonl", "gzip")


@pytest.mark.parametrize(
    ("destination", "format", "expected"),
    [
        ("s3://bucket/a.jsonl", None, PLAIN),
        ("s3://bucket/a.jsonl.gz", None, GZIP),
        ("s3://bucket/a.jsonl.zst", None, Format("jsonl", "zstd")),
        ("s3://bucket/a.csv", None, Format("csv", None)),
        ("s3://bucket/a.csv.gz", None, Format("csv", "gzip")),
        ("s3://bucket/a.csv.zst", None, Format("csv", "zstd")),
        ("s3://bucket/a.parquet", None, Format("parquet", None)),
        ("/tmp/A.JSONL", None, PLAIN),
        ("s3://bucket/folder/", None, PLAIN),
        ("s3://bucket/folder/", "jsonl.gz", GZIP),
        ("s3://bucket/folder/", "parquet", Format("parquet", None)),
        ("s3://bucket/a.json", "jsonl", PLAIN),
        ("s3://bucket/a", "jsonl.gz", GZIP),
        ("s3://bucket/a.jsonl.gz", "jsonl.gz", GZIP),
        ("s3://bucket/a.jsonl", ".JSONL", PLAIN),
    ],
)
def test_known(destination: str, format: str | None, expected: Format) -> None:
    assert format_of(destination, format) == expected


@pytest.mark.parametrize(
    ("destination", "format", "field"),
    [
        ("s3://bucket/a.xlsx", None, "destination"),
        ("s3://bucket/a.parquet.gz", None, "destination"),
        ("s3://bucket/a.gz", None, "destination"),
        ("s3://bucket/jsonl", None, "destination"),
        ("s3://bucket/a.jsonl", "parquet", "format"),
        ("s3://bucket/a.jsonl", "avro", "format"),
        ("s3://bucket/a.jsonl", "jsonl.gz", "format"),
        ("s3://bucket/a.jsonl.gz", "jsonl", "format"),
    ],
)
def test_unknown_or_contradictory(destination: str, format: str | None, field: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        format_of(destination, format)
    assert caught.value.field == field


def test_the_error_names_what_is_supported() -> None:
    known = r"jsonl, jsonl\.gz, jsonl\.zst, csv, csv\.gz, csv\.zst and parquet"
    with pytest.raises(ConfigurationError, match=rf"'a\.xlsx'.*{known}"):
        format_of("s3://bucket/a.xlsx")


def test_suffix_names_the_format() -> None:
    assert [format_.suffix for format_ in formats.SUPPORTED] == FORMATS


@pytest.mark.parametrize(
    ("suffix", "package", "extra"),
    [
        ("parquet", "pyarrow", "parquet"),
        ("jsonl.zst", "zstandard", "zstd"),
        ("csv.zst", "zstandard", "zstd"),
    ],
)
def test_a_missing_extra_is_named_before_anything_happens(
    suffix: str, package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(name: str, package_of: str | None = None) -> Any:
        return None if name == package else importlib.util.find_spec(name, package_of)

    def pages() -> Iterator[Page]:
        raise AssertionError("a page was asked for")
        yield

    monkeypatch.setattr(formats, "find_spec", found)
    place = MemoryPlace()
    wanted = rf"pip install 'airflow-provider-finauth\[{extra}\]'"
    with pytest.raises(ConfigurationError, match=wanted):
        write(pages(), place, format_of(f"a.{suffix}"))
    with pytest.raises(ConfigurationError, match=wanted):
        read(None, format_of(f"a.{suffix}"))  # type: ignore[arg-type]
    assert place.events == []


def test_formats_without_extras_need_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "find_spec", lambda name: None)
    for suffix in ("jsonl", "jsonl.gz", "csv", "csv.gz"):
        write([], MemoryPlace(), format_of(f"a.{suffix}"))
