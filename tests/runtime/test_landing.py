from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine

from airflow_provider_finauth import runtime
from airflow_provider_finauth.client.paging.base import Page
from airflow_provider_finauth.client.paging.rows import Rows
from airflow_provider_finauth.exceptions import ConfigurationError, ResultTooLargeError
from airflow_provider_finauth.runtime.landing import collect_pages, read_records, write_pages
from tests.runtime.conftest import Bucket, names

RUN = "scheduled__2026-01-01T00:00:00+00:00"
SAFE_RUN = "scheduled__2026-01-01T00_00_00_00_00-8bc450a8"


def pages(*sizes: int, first: int = 0) -> Iterator[Page]:
    for number, size in enumerate(sizes, start=1):
        records = [{"id": first + turn, "sum": Decimal("0.10")} for turn in range(size)]
        first += size
        yield Page(Rows.of(records), number=number, total=sum(sizes), duplicates=1)


def broken() -> Iterator[Page]:
    yield from pages(2)
    raise RuntimeError("the pull broke")


def unasked() -> Iterator[Page]:
    raise AssertionError("a page was asked for")
    yield


def context(map_index: int | None = -1, run_id: str = RUN) -> dict[str, Any]:
    return {"ti": SimpleNamespace(dag_id="d", task_id="group.t", run_id=run_id, map_index=map_index)}


def put(destination: Any, sizes: tuple[int, ...] = (2,), **more: Any) -> dict[str, Any]:
    manifest = write_pages(pages(*sizes), destination=destination, api="talenom", resource="vouchers", **more)
    assert isinstance(manifest, dict)
    return manifest


class TestXCom:
    def test_records(self) -> None:
        assert collect_pages(pages(1, 1)) == [
            {"id": 0, "sum": "0.10"},
            {"id": 1, "sum": "0.10"},
        ]

    def test_limits_are_configured(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AIRFLOW__FINAUTH__MAX_XCOM_RECORDS", "3")
        assert len(collect_pages(pages(3))) == 3
        with pytest.raises(ResultTooLargeError, match="'destination'"):
            collect_pages(pages(2, 2))
        monkeypatch.setenv("AIRFLOW__FINAUTH__MAX_XCOM_BYTES", "10")
        with pytest.raises(ResultTooLargeError, match="10 bytes"):
            collect_pages(pages(1))


class TestManifest:
    @time_machine.travel("2026-03-01T12:00:00Z", tick=False)
    def test_members(self, tmp_path: Path) -> None:
        manifest = put(
            tmp_path / "a.jsonl",
            (2, 3),
            window={"since": "2026-01-01"},
            watermark=lambda: "2026-02-01",
            checks=lambda: {"total": 5, "cycles": 0},
        )
        assert manifest == {
            "uri": (tmp_path / "a.jsonl").as_uri(),
            "format": "jsonl",
            "records": 5,
            "bytes": (tmp_path / "a.jsonl").stat().st_size,
            "pages": 2,
            "duplicates": 2,
            "files": None,
            "checks": {"total": 5, "cycles": 0},
            "watermark": "2026-02-01",
            "api": "talenom",
            "resource": "vouchers",
            "window": {"since": "2026-01-01"},
            "pulled_at": "2026-03-01T12:00:00+00:00",
        }

    def test_goes_through_xcom(self, tmp_path: Path) -> None:
        manifest = put(str(tmp_path / "a.jsonl"))
        assert json.loads(json.dumps(manifest)) == manifest

    def test_nothing_is_a_file_too(self, tmp_path: Path) -> None:
        manifest = put(tmp_path / "a.jsonl", ())
        assert (manifest["records"], manifest["bytes"], manifest["checks"]) == (0, 0, {})
        assert list(read_records(manifest)) == []


class TestOrder:
    """What is asked and told when."""

    def test_all_is_asked_after_the_last_page_and_told_when_the_file_is_there(self, tmp_path: Path) -> None:
        events: list[str] = []

        def pull() -> Iterator[Page]:
            yield from pages(1, 1)
            events.append("last page")

        def asked(name: str, value: Any) -> Any:
            events.append(name)
            return value

        manifest = write_pages(
            pull(),
            destination=tmp_path / "a.jsonl",
            api="a",
            resource="r",
            checks=lambda: asked("checks", {"total": 2}),
            watermark=lambda: asked("watermark", "2026"),
            committed=lambda told: asked(f"committed {told['records']}", (tmp_path / "a.jsonl").stat()),
        )
        assert events == ["last page", "checks", "watermark", "committed 2"]
        assert isinstance(manifest, dict)
        assert (manifest["checks"], manifest["watermark"]) == ({"total": 2}, "2026")

    def test_a_pull_that_breaks_is_not_committed(self, tmp_path: Path) -> None:
        told: list[dict[str, Any]] = []
        with pytest.raises(RuntimeError, match="broke"):
            write_pages(
                broken(), destination=tmp_path / "a.jsonl", api="a", resource="r", committed=told.append
            )
        assert told == []


class TestReadRecords:
    @pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.parquet"])
    def test_round_trip(self, tmp_path: Path, name: str) -> None:
        manifest = put(tmp_path / name, (2, 3))
        back = list(read_records(json.loads(json.dumps(manifest))))
        assert back == [record for page in pages(2, 3) for record in page.records]
        assert isinstance(back[0]["sum"], Decimal)

    def test_csv_gives_texts(self, tmp_path: Path) -> None:
        assert list(read_records(put(tmp_path / "a.csv", (1,)))) == [{"id": "0", "sum": "0.10"}]

    def test_from_an_object_store(self, bucket: Bucket) -> None:
        manifest = put("s3://bucket/a.jsonl.gz", (2, 3))
        assert manifest["uri"] == "s3://bucket/a.jsonl.gz"
        assert [record["id"] for record in read_records(manifest)] == list(range(5))
        assert gzip.decompress(bucket.read("a.jsonl.gz")).count(b"\n") == 5

    def test_format_without_a_telling_suffix(self, tmp_path: Path) -> None:
        manifest = put(tmp_path / "a.json", format="jsonl.gz")
        assert len(list(read_records(manifest))) == 2

    def test_streams_and_closes(self, tmp_path: Path) -> None:
        records = read_records(put(tmp_path / "a.jsonl", (1000,)))
        assert next(records) == {"id": 0, "sum": Decimal("0.10")}
        records.close()  # type: ignore[attr-defined]

    def test_what_is_no_manifest(self) -> None:
        with pytest.raises(ConfigurationError, match="not the manifest"):
            next(read_records({"rows": 1}))

    def test_exported(self) -> None:
        assert runtime.read_records is read_records


class TestWholeOrNotAtAll:
    @pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
    def test_local(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(RuntimeError, match="broke"):
            write_pages(broken(), destination=tmp_path / name, api="a", resource="r")
        assert names(tmp_path) == []
        put(tmp_path / name)
        before = (tmp_path / name).read_bytes()
        with pytest.raises(RuntimeError, match="broke"):
            write_pages(broken(), destination=tmp_path / name, api="a", resource="r")
        assert names(tmp_path) == [name]
        assert (tmp_path / name).read_bytes() == before

    def test_object_store(self, bucket: Bucket) -> None:
        with pytest.raises(RuntimeError, match="broke"):
            write_pages(broken(), destination="s3://bucket/a.jsonl", api="a", resource="r")
        assert bucket.objects() == []

    def test_running_again_replaces_byte_by_byte(self, tmp_path: Path) -> None:
        put(tmp_path / "a.jsonl.gz", (2, 3))
        before = (tmp_path / "a.jsonl.gz").read_bytes()
        put(tmp_path / "a.jsonl.gz", (2, 3))
        assert (tmp_path / "a.jsonl.gz").read_bytes() == before


class TestBeforeThePull:
    @pytest.mark.parametrize(
        "destination",
        ["gs://bucket/a.jsonl", "/tmp/a.xml", "s3://bucket", "file://host/a.jsonl", "/tmp/folder/"],
    )
    def test_a_target_that_cannot_be_used(self, destination: str) -> None:
        with pytest.raises(ConfigurationError) as caught:
            write_pages(unasked(), destination=destination, api="a", resource="r")
        assert caught.value.field == "destination"


class TestFolder:
    @pytest.mark.parametrize(
        ("map_index", "format", "name"),
        [
            (-1, None, "-1.jsonl"),
            (None, None, "-1.jsonl"),
            (3, None, "3.jsonl"),
            (3, "jsonl.gz", "3.jsonl.gz"),
        ],
    )
    def test_gets_the_tasks_own_name(
        self, bucket: Bucket, map_index: int | None, format: str | None, name: str
    ) -> None:
        manifest = put("s3://bucket/x/", context=context(map_index), format=format)
        assert manifest["uri"] == f"s3://bucket/x/d/group.t/{SAFE_RUN}/{name}"
        assert bucket.objects() == [f"x/d/group.t/{SAFE_RUN}/{name}"]

    def test_local(self, tmp_path: Path) -> None:
        put(f"{tmp_path}/", context=context(1))
        assert (tmp_path / "d" / "group.t" / SAFE_RUN / "1.jsonl").is_file()

    def test_run_ids_are_made_safe_and_stay_apart(self, tmp_path: Path) -> None:
        ids = ["plain-id_1.2", "a/b", "a:b", "a b", "../..", "..", ".hidden", "käännös", "a_b"]
        uris = [put(f"{tmp_path}/", context=context(0, run_id))["uri"] for run_id in ids]
        assert len(set(uris)) == len(ids)
        folder = tmp_path / "d" / "group.t"
        assert len(names(folder)) == len(ids)
        assert "plain-id_1.2" in names(folder)
        assert not [name for name in names(folder) if name.startswith(".") or not name.isascii()]

    def test_the_running_tasks_context_is_found(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from airflow.providers.common.compat import sdk

        monkeypatch.setattr(sdk, "get_current_context", lambda: context(7), raising=False)
        assert put(f"{tmp_path}/")["uri"].endswith(f"{SAFE_RUN}/7.jsonl")


class TestMappedTasks:
    @pytest.fixture(params=["local", "object store"])
    def destination(self, request: pytest.FixtureRequest, tmp_path: Path, bucket: Bucket) -> str:
        return "s3://bucket/a.jsonl" if request.param == "object store" else str(tmp_path / "a.jsonl")

    @pytest.fixture
    def note(self, destination: str, tmp_path: Path, bucket: Bucket) -> Path:
        folder = bucket.folder if destination.startswith("s3://") else tmp_path
        return folder / ".a.jsonl.writer"

    def test_another_index_of_the_run_is_refused_before_its_pull(self, destination: str) -> None:
        manifest = put(destination, context=context(0))
        with pytest.raises(ConfigurationError, match="map index 0 .* this is map index 1") as caught:
            write_pages(unasked(), destination=destination, api="a", resource="r", context=context(1))
        assert caught.value.field == "destination"
        assert len(list(read_records(manifest))) == 2

    def test_the_same_index_may_try_again(self, destination: str) -> None:
        put(destination, context=context(0))
        assert put(destination, (3,), context=context(0))["records"] == 3

    def test_another_run_may_write(self, destination: str) -> None:
        put(destination, context=context(0))
        put(destination, context=context(1, "manual__2"))
        with pytest.raises(ConfigurationError, match="map index 1"):
            put(destination, context=context(0, "manual__2"))

    def test_of_two_that_begin_together_one_lands(self, destination: str, note: Path) -> None:
        landed = []

        def pull() -> Iterator[Page]:
            # The other one looks before our note is there, and writes its own after it.
            note.unlink()
            landed.append(put(destination, (3,), context=context(1)))
            yield from pages(2)

        with pytest.raises(ConfigurationError, match="map index 1 .* this is map index 0"):
            write_pages(pull(), destination=destination, api="a", resource="r", context=context(0))
        assert len(list(read_records(landed[0]))) == 3

    def test_a_damaged_note_hinders_nobody(self, destination: str, note: Path) -> None:
        put(destination, context=context(0))
        note.write_bytes(b"{")
        assert put(destination, context=context(1))["records"] == 2

    def test_different_targets_are_no_conflict(self, tmp_path: Path) -> None:
        for index in range(3):
            put(tmp_path / f"{index}.jsonl", context=context(index))

    def test_tasks_that_are_not_mapped_leave_no_note(self, tmp_path: Path) -> None:
        put(tmp_path / "a.jsonl", context=context(-1))
        assert names(tmp_path) == ["a.jsonl"]
