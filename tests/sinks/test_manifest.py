from __future__ import annotations

import json

import pytest

from airflow_provider_finauth.exceptions import ConfigurationError
from airflow_provider_finauth.sinks.manifest import Manifest

MANIFEST = Manifest(
    uri="s3://bucket/a.jsonl",
    format="jsonl",
    records=2,
    bytes=40,
    pages=1,
    duplicates=0,
    files=[{"uri": "s3://bucket/a-00001.jsonl", "records": 2, "bytes": 40, "partition": None}],
    checks={"total": 2},
    watermark="2026-01-02",
    api="talenom",
    resource="vouchers",
    window={"since": "2026-01-01"},
    pulled_at="2026-01-03T00:00:00+00:00",
)


def test_members() -> None:
    assert list(MANIFEST.to_dict()) == [
        "uri",
        "format",
        "records",
        "bytes",
        "pages",
        "duplicates",
        "files",
        "checks",
        "watermark",
        "api",
        "resource",
        "window",
        "pulled_at",
    ]


def test_comes_back_from_json() -> None:
    assert Manifest.from_dict(json.loads(json.dumps(MANIFEST.to_dict()))) == MANIFEST


def test_members_of_a_later_version_are_passed_over() -> None:
    assert Manifest.from_dict({**MANIFEST.to_dict(), "checksum": "x"}) == MANIFEST


@pytest.mark.parametrize("given", [{}, {"uri": "a.jsonl"}, [{"id": 1}]])
def test_something_else_is_refused(given: object) -> None:
    with pytest.raises(ConfigurationError, match="not the manifest"):
        Manifest.from_dict(given)  # type: ignore[arg-type]
