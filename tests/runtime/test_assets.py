from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from airflow.providers.common.compat.sdk import Asset, AssetAlias
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_finauth.runtime.assets import MOST_FILES, announce, asset_uri
from tests.airflow_harness import AIRFLOW_3, make_home, needs_airflow_3

MANIFEST: dict[str, Any] = {
    "uri": "s3://store@bucket/a b.jsonl",
    "format": "jsonl",
    "records": 3,
    "checks": {"total": 3, "notes": [1, {"deep": None}]},
    "files": None,
    "window": None,
}


def accessors() -> Any:
    if AIRFLOW_3:
        from airflow.sdk.execution_time.context import OutletEventAccessors
    else:
        from airflow.utils.context import OutletEventAccessors
    return OutletEventAccessors()


def alias_events(accessor: Any) -> list[tuple[str, dict[str, Any]]]:
    if AIRFLOW_3:
        return [(event.dest_asset_key.uri, event.extra) for event in accessor.asset_alias_events]
    return [(event["dest_dataset_uri"], event["extra"]) for event in accessor.dataset_alias_events]


def test_an_asset_gets_the_manifest_beside_what_was_there() -> None:
    asset, events = Asset("s3://bucket/transactions"), accessors()
    events[asset].extra["own"] = 1
    announce({"outlet_events": events}, [asset], MANIFEST)
    assert events[asset].extra == {"own": 1, **MANIFEST}
    assert list(MANIFEST) == ["uri", "format", "records", "checks", "files", "window"]


def test_an_alias_gets_an_asset_of_the_file() -> None:
    alias, events = AssetAlias("pulls"), accessors()
    announce({"outlet_events": events}, [alias], MANIFEST)
    ((uri, extra),) = alias_events(events[alias])
    assert uri == "s3://bucket/a%20b.jsonl"
    assert extra == MANIFEST
    assert json.loads(json.dumps(extra)) == MANIFEST
    # Airflow 2.11 does this with it.
    assert dict(frozenset(extra.items())) == MANIFEST


@pytest.mark.parametrize("outlets", [None, [], ["s3://bucket/a-text"], [object()]])
def test_other_outlets_are_left_alone(outlets: Any) -> None:
    announce({}, outlets, MANIFEST)


@needs_airflow_3
def test_a_reference_stands_for_its_asset(monkeypatch: pytest.MonkeyPatch) -> None:
    reference = Asset.ref(name="transactions")
    events: dict[Any, Any] = {reference: type("Accessor", (), {"extra": {}})()}
    announce({"outlet_events": events}, [reference], MANIFEST)
    assert events[reference].extra == MANIFEST


@pytest.mark.parametrize("number", [MOST_FILES, MOST_FILES + 1])
def test_the_list_of_very_many_files_is_left_out(number: int) -> None:
    files = [{"uri": f"s3://bucket/{n}"} for n in range(number)]
    asset, events = Asset("s3://bucket/transactions"), accessors()
    announce({"outlet_events": events}, [asset], {**MANIFEST, "files": files})
    extra = events[asset].extra
    assert len(json.dumps(extra)) < 10_000
    if number > MOST_FILES:
        assert extra["files"] is None
    else:
        assert extra["files"] == files


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("file:///tmp/a%20b.jsonl", "file:///tmp/a%20b.jsonl"),
        ("s3://bucket/key.jsonl", "s3://bucket/key.jsonl"),
        ("s3://my_connection@bucket/key.jsonl", "s3://bucket/key.jsonl"),
        ("s3://bucket/day=2026-10-01/a+b.jsonl", "s3://bucket/day=2026-10-01/a+b.jsonl"),
        ("s3://bucket/what?#now%20", "s3://bucket/what%3F%23now%2520"),
        ("gs://store@bucket/@home", "gs://bucket/@home"),
    ],
)
def test_addresses(uri: str, expected: str) -> None:
    assert asset_uri(uri) == expected
    assert Asset(uri=asset_uri(uri)).uri == expected


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40))
def test_an_address_is_ascii_and_nothing_but_a_path(key: str) -> None:
    uri = asset_uri(f"s3://conn@bucket/{key}")
    parts = urlsplit(uri)
    assert uri.isascii()
    assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("s3", "bucket", "", "")


DAG = """
from datetime import datetime
from airflow.providers.common.compat.sdk import Asset, AssetAlias, BaseOperator, dag
from airflow_provider_finauth.runtime.assets import announce

class Announce(BaseOperator):
    def execute(self, context):
        announce(context, self.outlets, MANIFEST)

@dag(schedule=None, start_date=datetime(2026, 1, 1))
def announcing():
    Announce(task_id="announce", outlets=[Asset("s3://bucket/pulls"), AssetAlias("pulls")])

@dag(schedule=[Asset("s3://bucket/pulls")], start_date=datetime(2026, 1, 1))
def reading():
    BaseOperator(task_id="nothing")

announcing()
reading()
"""

# In one process, since most of the time of a command goes into starting it. Airflow keeps no event of an
# asset that it does not know.
PROGRAM = """
from airflow.cli.cli_parser import get_parser

for command in (["dags", "reserialize"], ["dags", "test", "announcing"]):
    parsed = get_parser().parse_args(command)
    parsed.func(parsed)
"""


@pytest.mark.airflow
def test_airflow_records_the_events(tmp_path: Path) -> None:
    home = make_home(tmp_path / "airflow")
    home.add_dag("announcing", f"MANIFEST = {MANIFEST!r}\n{DAG}")
    home.python(PROGRAM)
    word = "asset" if AIRFLOW_3 else "dataset"
    with closing(sqlite3.connect(home.path / "airflow.db")) as database:
        rows = database.execute(
            f"SELECT a.uri, e.extra FROM {word}_event e JOIN {word} a ON a.id = e.{word}_id ORDER BY a.uri"
        ).fetchall()
    assert [(uri, json.loads(extra)) for uri, extra in rows] == [
        ("s3://bucket/a%20b.jsonl", MANIFEST),
        ("s3://bucket/pulls", MANIFEST),
    ]
