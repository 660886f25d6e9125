from __future__ import annotations

import pytest

from airflow_provider_finauth.exceptions import ConfigurationError
from airflow_provider_finauth.sinks.formats import Format, format_of

PLAIN = Format("jsonl", None)
GZIP = Format("jsonl", "gzip")


@pytest.mark.parametrize(
    ("output", "output_format", "expected"),
    [
        ("s3://bucket/a.jsonl", None, PLAIN),
        ("s3://bucket/a.jsonl.gz", None, GZIP),
        ("/tmp/A.JSONL", None, PLAIN),
        ("s3://bucket/folder/", None, PLAIN),
        ("s3://bucket/folder/", "jsonl.gz", GZIP),
        ("s3://bucket/a.json", "jsonl", PLAIN),
        ("s3://bucket/a", "jsonl.gz", GZIP),
        ("s3://bucket/a.jsonl.gz", "jsonl.gz", GZIP),
        ("s3://bucket/a.jsonl", ".JSONL", PLAIN),
    ],
)
def test_known(output: str, output_format: str | None, expected: Format) -> None:
    assert format_of(output, output_format) == expected


@pytest.mark.parametrize(
    ("output", "output_format", "field"),
    [
        ("s3://bucket/a.csv", None, "output"),
        ("s3://bucket/a.jsonl.zst", None, "output"),
        ("s3://bucket/a.gz", None, "output"),
        ("s3://bucket/jsonl", None, "output"),
        ("s3://bucket/a.jsonl", "parquet", "output_format"),
        ("s3://bucket/a.jsonl", "jsonl.gz", "output_format"),
        ("s3://bucket/a.jsonl.gz", "jsonl", "output_format"),
    ],
)
def test_unknown_or_contradictory(output: str, output_format: str | None, field: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        format_of(output, output_format)
    assert caught.value.field == field


def test_the_error_names_what_is_supported() -> None:
    with pytest.raises(ConfigurationError, match=r"'a\.csv'.*jsonl and jsonl\.gz"):
        format_of("s3://bucket/a.csv")


def test_suffix_names_the_format() -> None:
    assert [PLAIN.suffix, GZIP.suffix] == ["jsonl", "jsonl.gz"]
