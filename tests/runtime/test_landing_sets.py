"""Sets of files with a manifest beside them: on this machine and in a server that speaks S3."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_finauth.client.paging.base import Page
from airflow_provider_finauth.client.paging.rows import Rows
from airflow_provider_finauth.exceptions import ConfigurationError, StorageError
from airflow_provider_finauth.runtime import places
from airflow_provider_finauth.runtime.landing import read_records, write_pages
from airflow_provider_finauth.runtime.names import name_within
from airflow_provider_finauth.runtime.places import Place
from airflow_provider_finauth.runtime.storage import file_at
from airflow_provider_finauth.sinks.formats import JSON_LINES
from airflow_provider_finauth.sinks.writing import WrittenFile, write
from tests.runtime.test_landing import context, unasked
from tests.s3_server import S3Bucket


class Folder:
    """A local folder, by the words of a bucket."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def address(self, name: str) -> str:
        return str(self.path / name)

    def objects(self) -> list[str]:
        return sorted(str(file.relative_to(self.path)) for file in self.path.rglob("*") if file.is_file())

    def folders(self) -> list[str]:
        return sorted(file.name for file in self.path.rglob("*") if file.is_dir())

    def read(self, name: str) -> bytes:
        return (self.path / name).read_bytes()

    def put(self, name: str, content: bytes = b"x") -> None:
        (self.path / name).write_bytes(content)

    def uploads(self) -> list[str]:
        return []


Store = Folder | S3Bucket


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "s3":
        bucket: S3Bucket = request.getfixturevalue("s3_bucket")
        return bucket
    return Folder(tmp_path)


def dated(*days: str, broken: bool = False) -> Iterator[Page]:
    """Pages of one record each, with a date."""
    for number, day in enumerate(days, start=1):
        yield Page(Rows.of([{"id": number, "date": day}]), number=number)
    if broken:
        raise RuntimeError("the pull broke")


def put(store: Store, *days: str, broken: bool = False, name: str = "x.jsonl", **more: Any) -> dict[str, Any]:
    landed = write_pages(
        dated(*days, broken=broken), destination=store.address(name), api="a", resource="r", **more
    )
    assert isinstance(landed, dict)
    return landed


def ids(manifest: Any) -> list[int]:
    return [record["id"] for record in read_records(manifest)]


class TestNumbered:
    def test_files_and_manifest(self, store: Store) -> None:
        manifest = put(store, "1", "2", "3", max_records_per_file=2)
        assert store.objects() == ["x-00001.jsonl", "x-00002.jsonl", "x.manifest.json"]
        assert json.loads(store.read("x.manifest.json")) == json.loads(json.dumps(manifest))
        assert manifest["uri"].endswith("/x.manifest.json")
        assert (manifest["records"], manifest["format"]) == (3, "jsonl")
        assert manifest["bytes"] == sum(len(store.read(f"x-0000{number}.jsonl")) for number in (1, 2))
        assert [(file["uri"].rpartition("/")[2], file["records"]) for file in manifest["files"]] == [
            ("x-00001.jsonl", 2),
            ("x-00002.jsonl", 1),
        ]
        assert ids(manifest) == [1, 2, 3]
        assert ids(manifest["uri"]) == [1, 2, 3]

    def test_without_records_there_is_one(self, store: Store) -> None:
        manifest = put(store, max_records_per_file=2)
        assert store.objects() == ["x-00001.jsonl", "x.manifest.json"]
        assert ids(manifest) == []

    def test_the_same_answers_give_the_same_bytes(self, store: Store) -> None:
        put(store, "1", "2", "3", max_records_per_file=2, name="x.jsonl.gz")
        names = ["x-00001.jsonl.gz", "x-00002.jsonl.gz"]
        before = [store.read(name) for name in names]
        put(store, "1", "2", "3", max_records_per_file=2, name="x.jsonl.gz")
        assert [store.read(name) for name in names] == before

    @pytest.mark.parametrize(
        ("name", "format", "first"),
        [
            ("x.json", "jsonl", "x-00001.json"),
            ("x", "jsonl", "x-00001"),
            ("x.b.JSONL.GZ", None, "x.b-00001.JSONL.GZ"),
        ],
    )
    def test_names(self, tmp_path: Path, name: str, format: str | None, first: str) -> None:
        folder = Folder(tmp_path)
        manifest = put(folder, "1", name=name, format=format, max_records_per_file=2)
        assert folder.objects()[0] == first
        assert ids(manifest) == [1]


class TestPartitions:
    def test_files_and_manifest(self, store: Store) -> None:
        manifest = put(store, "2026-10-02", "2026-10-01", "2026-10-02", name="a/x.jsonl", partition_by="date")
        assert store.objects() == [
            "a/date=2026-10-01/x.jsonl",
            "a/date=2026-10-02/x.jsonl",
            "a/x.manifest.json",
        ]
        assert {file["partition"]: file["records"] for file in manifest["files"]} == {
            "date=2026-10-01": 1,
            "date=2026-10-02": 2,
        }
        assert sorted(ids(manifest["uri"])) == [1, 2, 3]

    def test_numbered_in_each(self, store: Store) -> None:
        days = ["2026-10-01", "2026-10-01", "2026-10-02"]
        put(store, *days, partition_by="date", max_records_per_file=1)
        assert store.objects() == [
            "date=2026-10-01/x-00001.jsonl",
            "date=2026-10-01/x-00002.jsonl",
            "date=2026-10-02/x-00001.jsonl",
            "x.manifest.json",
        ]

    def test_without_records_there_is_a_manifest(self, store: Store) -> None:
        put(store, "2026-10-01", partition_by="date")
        manifest = put(store, partition_by="date")
        assert store.objects() == ["x.manifest.json"]
        assert manifest["files"] == []
        assert ids(manifest) == []

    def test_a_broken_pull_leaves_no_folder(self, tmp_path: Path) -> None:
        with pytest.raises(RuntimeError, match="broke"):
            put(Folder(tmp_path), "2026-10-01", partition_by="date", broken=True)
        assert list(tmp_path.iterdir()) == []


SHAPES: dict[str, dict[str, Any]] = {
    "one": {},
    "three": {"max_records_per_file": 1},
    "two": {"max_records_per_file": 2},
    "by date": {"partition_by": "date"},
}


class TestRunningAgain:
    @pytest.mark.parametrize(
        ("first", "then"),
        [
            ("three", "two"),
            ("two", "three"),
            ("one", "two"),
            ("three", "one"),
            ("by date", "one"),
            ("by date", "two"),
            ("three", "by date"),
            ("one", "by date"),
        ],
    )
    def test_replaces_whatever_there_was(self, tmp_path: Path, first: str, then: str) -> None:
        self._replaces(Folder(tmp_path), first, then)

    def test_replaces_in_s3(self, s3_bucket: S3Bucket) -> None:
        self._replaces(s3_bucket, "by date", "two")

    @staticmethod
    def _replaces(store: Store, first: str, then: str) -> None:
        days = ["2026-10-01", "2026-10-02", "2026-10-03"]
        put(store, *days, **SHAPES[first])
        put(store, *days, name="x-other.jsonl", **SHAPES[first])
        others = {name for name in store.objects() if "x-other" in name}
        manifest = put(store, *days[1:], **SHAPES[then])
        listed = manifest["files"] or [manifest]
        own = {name_within(file["uri"], manifest["uri"]) for file in listed}
        if manifest["files"]:
            own.add("x.manifest.json")
        assert set(store.objects()) == own | others
        assert ids(manifest) == [1, 2]
        if isinstance(store, Folder):
            kept = {name.partition("/")[0] for name in own | others if name and "/" in name}
            assert store.folders() == sorted(kept)

    def test_a_single_file_replaces_a_set_without_files(self, tmp_path: Path) -> None:
        store = Folder(tmp_path)
        put(store, partition_by="date")
        put(store, "1")
        assert store.objects() == ["x.jsonl"]

    def test_the_old_set_stays_until_the_new_one_is_read(self, store: Store) -> None:
        put(store, "1", "2", "3", max_records_per_file=1)
        before = {name: store.read(name) for name in store.objects()}
        with pytest.raises(RuntimeError, match="broke"):
            put(store, "4", "5", max_records_per_file=1, broken=True)
        assert {name: store.read(name) for name in store.objects()} == before
        assert store.uploads() == []

    @pytest.mark.parametrize("fails_at", [1, 2])
    def test_a_commit_that_fails_leaves_nothing_that_looks_finished(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int
    ) -> None:
        store = Folder(tmp_path)
        put(store, "1", "2", "3", max_records_per_file=1)
        commit = places._Part.commit
        counted = iter(range(1, 100))

        def failing(part: places._Part) -> None:
            if next(counted) == fails_at:
                part._place.before_commit(part._name)
                raise StorageError("the store went away")
            commit(part)

        monkeypatch.setattr(places._Part, "commit", failing)
        with pytest.raises(StorageError):
            put(store, *"456789", max_records_per_file=1)
        assert "x.manifest.json" not in store.objects()
        assert not [name for name in store.objects() if name.endswith(".part")]
        assert store.uploads() == []
        monkeypatch.setattr(places._Part, "commit", commit)
        # Neither the former set nor the one that broke is left, although no manifest lists them.
        manifest = put(store, "1", "2", max_records_per_file=2)
        assert store.objects() == ["x-00001.jsonl", "x.manifest.json"]
        assert ids(manifest) == [1, 2]

    def test_what_was_not_ours_stays(self, tmp_path: Path) -> None:
        store = Folder(tmp_path)
        manifest = put(store, "1", "2", max_records_per_file=1)
        strange = ["../x-00009.jsonl", "y.jsonl", "a=b/../x.jsonl", "x-00003.csv", "a=b/c/x.jsonl", 7, None]
        (tmp_path.parent / "x-00009.jsonl").write_text("mine")
        store.put("y.jsonl")
        store.put("x-00003.csv")
        folder = manifest["uri"].rpartition("/")[0]
        listed = [{"uri": f"{folder}/{name}"} for name in strange] + [{"uri": "file:///etc/hostname"}, {}, 3]
        store.put("x.manifest.json", json.dumps({**manifest, "files": listed}).encode())
        store.put(".x.unfinished.json", json.dumps({"files": strange}).encode())
        put(store, "1", max_records_per_file=1)
        assert store.objects() == [
            "x-00001.jsonl",
            "x-00002.jsonl",
            "x-00003.csv",
            "x.manifest.json",
            "y.jsonl",
        ]
        assert (tmp_path.parent / "x-00009.jsonl").read_text() == "mine"

    @pytest.mark.parametrize("content", [b"{", b"[]", b"{}", b'{"format": "csv", "files": []}'])
    def test_a_manifest_of_something_else_is_not_overwritten(self, tmp_path: Path, content: bytes) -> None:
        store = Folder(tmp_path)
        store.put("x.manifest.json", content)
        with pytest.raises(ConfigurationError, match="is not the manifest of a set of jsonl files") as caught:
            write_pages(
                unasked(), destination=store.address("x.jsonl"), api="a", resource="r", max_records_per_file=1
            )
        assert caught.value.field == "destination"
        # It does not hinder a single file, which has no manifest beside it.
        store.put("x-00001.jsonl")
        store.put(".x.unfinished.json", b'{"files": ["x-00001.jsonl"]}')
        put(store, "1")
        assert store.objects() == ["x.jsonl", "x.manifest.json"]
        assert store.read("x.manifest.json") == content


class TestOrder:
    def test_the_manifest_goes_first_and_comes_last(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = Folder(tmp_path)
        put(store, "1", "2", "3", max_records_per_file=1)
        seen: list[list[str]] = []

        def watched(name: str, method: Callable[..., None]) -> Callable[..., None]:
            def inner(*args: Any) -> None:
                method(*args)
                seen.append([name, *(each for each in store.objects() if not each.endswith(".part"))])

            return inner

        local = type(file_at(store.address("x.jsonl")))
        for name in ("commit", "remove"):
            monkeypatch.setattr(local, name, watched(name, getattr(local, name)))
        put(store, "4", "5", max_records_per_file=1)
        note = ".x.unfinished.json"
        former = ["x-00001.jsonl", "x-00002.jsonl", "x-00003.jsonl"]
        assert seen == [
            ["commit", note, *former, "x.manifest.json"],
            ["remove", note, *former],
            ["commit", note, *former],
            ["commit", note, *former],
            ["remove", note, *former[:2]],
            ["commit", note, *former[:2], "x.manifest.json"],
            ["remove", *former[:2], "x.manifest.json"],
        ]

    def test_committed_is_told_last(self, store: Store) -> None:
        seen: list[list[str]] = []
        put(store, "1", max_records_per_file=1, committed=lambda manifest: seen.append(store.objects()))
        assert seen == [["x-00001.jsonl", "x.manifest.json"]]


class TestMappedTasks:
    def test_two_indexes_of_a_run_do_not_share_a_set(self, store: Store) -> None:
        manifest = put(store, "1", max_records_per_file=1, context=context(0))
        with pytest.raises(ConfigurationError, match="map index 0 .* this is map index 1"):
            put(store, "2", "3", max_records_per_file=1, context=context(1))
        assert ids(manifest) == [1]
        put(store, "2", "3", max_records_per_file=1, context=context(0))

    def test_nor_do_they_after_one_has_begun(self, tmp_path: Path) -> None:
        store = Folder(tmp_path)

        def pull() -> Iterator[Page]:
            (tmp_path / ".x.jsonl.writer").unlink()
            put(store, "7", "8", "9", max_records_per_file=1, context=context(1))
            yield from dated("1")

        with pytest.raises(ConfigurationError, match="map index 1"):
            write_pages(
                pull(),
                destination=store.address("x.jsonl"),
                max_records_per_file=1,
                api="a",
                resource="r",
                context=context(0),
            )
        assert ids(str(tmp_path / "x.manifest.json")) == [1, 2, 3]

    def test_a_folder_gives_each_its_own_set(self, tmp_path: Path) -> None:
        landed = [
            write_pages(
                dated("1", "2"),
                destination=f"{tmp_path}/",
                max_records_per_file=1,
                api="a",
                resource="r",
                context=context(index),
            )
            for index in (0, 1)
        ]
        names = [manifest["uri"].rpartition("/")[2] for manifest in landed if isinstance(manifest, dict)]
        assert names == ["0.manifest.json", "1.manifest.json"]
        assert [ids(manifest) for manifest in landed] == [[1, 2], [1, 2]]


class TestReadRecords:
    def test_a_manifest_without_its_list_of_files(self, tmp_path: Path) -> None:
        manifest = put(Folder(tmp_path), "1", "2", "3", max_records_per_file=2)
        # As an asset's event has it.
        assert ids({**manifest, "files": None}) == ids(manifest) == [1, 2, 3]

    def test_a_set_may_be_moved(self, tmp_path: Path) -> None:
        put(Folder(tmp_path / "old"), "2026-10-01", "2026-10-02", partition_by="date")
        (tmp_path / "old").rename(tmp_path / "new")
        assert sorted(ids(tmp_path / "new" / "x.manifest.json")) == [1, 2]
        assert sorted(ids((tmp_path / "new" / "x.manifest.json").as_uri())) == [1, 2]

    @pytest.mark.parametrize("uri", ["file:///etc/hostname", "s3://other/x.jsonl", None])
    def test_a_set_has_its_files_in_its_folder(self, tmp_path: Path, uri: str | None) -> None:
        manifest = put(Folder(tmp_path), "1", max_records_per_file=1)
        manifest["files"][0]["uri"] = uri
        with pytest.raises(ConfigurationError, match="not in its folder") as caught:
            ids(manifest)
        assert caught.value.field == "manifest"

    @pytest.mark.parametrize("content", [b"{", b"[]", b'{"files": null}'])
    def test_what_is_no_manifest(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "x.manifest.json").write_bytes(content)
        with pytest.raises(ConfigurationError, match="not the manifest of a set"):
            ids(tmp_path / "x.manifest.json")

    def test_an_unfinished_set_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            ids(tmp_path / "x.manifest.json")


class TestNames:
    @pytest.mark.parametrize(
        ("length", "arguments"),
        [
            (250, {"partition_by": "d"}),
            (245, {"max_records_per_file": 5}),
            (10, {"partition_by": "d" * 230}),
        ],
    )
    def test_those_of_a_set_are_looked_at_before_the_pull(
        self, tmp_path: Path, length: int, arguments: dict[str, Any]
    ) -> None:
        name = "x" * (length - 6) + ".jsonl"
        with pytest.raises(ConfigurationError, match="255 are allowed"):
            write_pages(unasked(), destination=tmp_path / name, api="a", resource="r", **arguments)
        put(Folder(tmp_path), "1", name=name)


def test_files_of_an_earlier_attempt_are_kept(tmp_path: Path) -> None:
    store = Folder(tmp_path)
    put(store, *"12345", max_records_per_file=1)

    def place() -> Place:
        made = Place(file_at(store.address("x.jsonl")), JSON_LINES, numbered=True)
        made.begin()
        return made

    done: list[WrittenFile] = []
    with pytest.raises(RuntimeError, match="broke"):
        write(
            dated("1", "2", broken=True),
            place(),
            JSON_LINES,
            max_records_per_file=1,
            on_file=lambda file, page: done.append(file),
        )
    assert [file.number for file in done] == [1, 2]
    assert "x.manifest.json" not in store.objects()
    again = place()
    again.keep(done)
    written = write(
        dated("3"), again, JSON_LINES, max_records_per_file=1, first_number=3, on_file=lambda file, page: None
    )
    again.finish({"format": "jsonl", "files": again.listing([*done, *written.files])})
    assert store.objects() == ["x-00001.jsonl", "x-00002.jsonl", "x-00003.jsonl", "x.manifest.json"]


def test_a_name_with_two_dots_is_replaced_too(tmp_path: Path) -> None:
    store = Folder(tmp_path)
    put(store, *"123", name="a..b.jsonl", max_records_per_file=1)
    put(store, "1", name="a..b.jsonl", max_records_per_file=1)
    assert store.objects() == ["a..b-00001.jsonl", "a..b.manifest.json"]


def test_a_set_without_files_that_was_cut_off_leaves_no_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*args: object) -> None:
        raise RuntimeError

    store = Folder(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Place, "finish", lambda place, manifest: (place._retire(), fails()))
        with pytest.raises(RuntimeError):
            put(store, partition_by="date")
    put(store, "1")
    assert store.objects() == ["x.jsonl"]
