from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_finauth.exceptions import ConfigurationError
from airflow_provider_finauth.runtime.storage import LocalFile, StoredObject, file_at
from tests.runtime.conftest import Bucket, names


def put(file: Any, content: bytes) -> None:
    file.open().write(content)
    file.commit()


class TestAddresses:
    def test_a_path(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        assert file_at("out/a b.jsonl").uri == f"{tmp_path.as_uri()}/out/a%20b.jsonl"
        assert file_at(str(tmp_path / "a.jsonl")).uri == f"{tmp_path.as_uri()}/a.jsonl"

    @pytest.mark.parametrize("host", ["", "localhost"])
    def test_a_file_address_comes_back(self, tmp_path: Path, host: str) -> None:
        file = file_at(f"file://{host}{tmp_path}/a%20b%3F.jsonl")
        put(file, b"x")
        assert (tmp_path / "a b?.jsonl").read_bytes() == b"x"
        assert file_at(file.uri).read().read() == b"x"

    @pytest.mark.parametrize(
        "address",
        ["file://server/share/a.jsonl", "file://a.jsonl", "file:///folder/", "s3://bucket", "s3://"],
    )
    def test_what_is_no_file(self, address: str) -> None:
        with pytest.raises(ConfigurationError) as caught:
            file_at(address)
        assert caught.value.field == "output"

    @pytest.mark.parametrize(
        ("scheme", "package"),
        [("gs", "apache-airflow-providers-google"), ("abfs", "apache-airflow-providers-microsoft-azure")],
    )
    def test_a_scheme_without_its_provider(self, scheme: str, package: str) -> None:
        with pytest.raises(ConfigurationError, match=f"install the package '{package}'"):
            file_at(f"{scheme}://bucket/a.jsonl")

    def test_a_scheme_that_nobody_knows(self) -> None:
        with pytest.raises(ConfigurationError, match="'gopher://'.*install the Airflow provider"):
            file_at("gopher://host/a.jsonl")

    def test_an_object(self, bucket: Bucket) -> None:
        file = file_at("s3://bucket/a/b.jsonl")
        assert isinstance(file, StoredObject)
        assert file.uri == "s3://bucket/a/b.jsonl"


class TestLocalFile:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return tmp_path / "new" / "folder" / "a.jsonl"

    def test_is_invisible_until_committed(self, path: Path) -> None:
        file = LocalFile(path)
        writer = file.open()
        writer.write(b"one")
        writer.flush()
        assert not path.exists()
        # In the same folder, so that moving it is one step of the file system.
        assert [name.startswith(".a.jsonl.") for name in names(path.parent)] == [True]
        file.commit()
        assert names(path.parent) == ["a.jsonl"]
        assert path.read_bytes() == b"one"

    def test_replaces(self, path: Path) -> None:
        put(LocalFile(path), b"a longer one")
        put(LocalFile(path), b"two")
        assert path.read_bytes() == b"two"

    def test_discarded_leaves_nothing_and_keeps_the_old_one(self, path: Path) -> None:
        put(LocalFile(path), b"old")
        file = LocalFile(path)
        file.open().write(b"new")
        file.discard()
        file.discard()
        assert names(path.parent) == ["a.jsonl"]
        assert path.read_bytes() == b"old"

    def test_two_writers_do_not_mix(self, path: Path) -> None:
        first, second = LocalFile(path), LocalFile(path)
        first.open().write(b"first")
        second.open().write(b"second")
        second.commit()
        first.commit()
        assert path.read_bytes() == b"first"
        assert names(path.parent) == ["a.jsonl"]

    def test_others_may_read_it_as_umask_says(self, path: Path) -> None:
        before = os.umask(0o027)
        try:
            put(LocalFile(path), b"x")
        finally:
            os.umask(before)
        assert path.stat().st_mode & 0o777 == 0o640

    def test_is_on_disk_before_it_appears(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        events: list[str] = []
        sync, replace = os.fsync, Path.replace

        def synced(descriptor: int) -> None:
            events.append("folder" if Path(f"/dev/fd/{descriptor}").is_dir() else "file")
            sync(descriptor)

        def replaced(self: Path, target: Path) -> Path:
            events.append("replace")
            return replace(self, target)

        monkeypatch.setattr(os, "fsync", synced)
        monkeypatch.setattr(Path, "replace", replaced)
        put(LocalFile(path), b"x")
        assert events == ["file", "replace", "folder"]

    def test_neighbour(self, path: Path) -> None:
        put(LocalFile(path).neighbour(lambda name: f".{name}.note"), b"x")
        assert names(path.parent) == [".a.jsonl.note"]

    def test_what_is_not_there(self, path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            LocalFile(path).read()


class TestStoredObject:
    def test_is_invisible_until_committed(self, bucket: Bucket) -> None:
        file = file_at("s3://bucket/a/b.jsonl")
        file.open().write(b"one")
        assert bucket.objects() == []
        file.commit()
        assert bucket.objects() == ["a/b.jsonl"]
        assert file.read().read() == b"one"

    def test_discarded_leaves_nothing_and_keeps_the_old_one(self, bucket: Bucket) -> None:
        put(file_at("s3://bucket/a.jsonl"), b"old")
        file = file_at("s3://bucket/a.jsonl")
        file.open().write(b"new")
        file.discard()
        file.discard()
        assert bucket.objects() == ["a.jsonl"]
        assert bucket.read("a.jsonl") == b"old"

    def test_neighbour_and_absence(self, bucket: Bucket) -> None:
        note = file_at("s3://bucket/a/b.jsonl").neighbour(lambda name: f".{name}.note")
        with pytest.raises(FileNotFoundError):
            note.read()
        put(note, b"x")
        assert bucket.objects() == ["a/.b.jsonl.note"]

    def test_a_commit_that_fails_can_be_discarded(
        self, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = file_at("s3://bucket/a.jsonl")
        opened: Any = file.open()

        def fails() -> None:
            raise OSError("the upload broke")

        opened.write(b"x")
        inner = opened._obj
        monkeypatch.setattr(inner, "commit", fails)
        with pytest.raises(OSError, match="broke"):
            file.commit()
        file.discard()
        assert bucket.objects() == []

    def test_a_store_that_writes_in_place_is_refused(
        self, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file: Any = file_at("s3://bucket/a.jsonl")
        monkeypatch.setattr(file, "_path", type("Path", (), {"open": lambda self, mode, **_: object()})())
        with pytest.raises(ConfigurationError, match="whole or not at all"):
            file.open()


@pytest.mark.parametrize("name", ["b#1.jsonl", "b?x=1.jsonl", "b%231.jsonl"])
def test_a_file_keeps_its_whole_name(tmp_path: Path, name: str) -> None:
    target = file_at(f"file://{tmp_path}/{name}")
    target.open().write(b"x")
    target.commit()
    assert [path.name for path in tmp_path.iterdir()] == [name.replace("%23", "#")]
    assert file_at(target.uri).read().read() == b"x"


@pytest.mark.parametrize("place", ["file/below.jsonl", "folder"])
def test_where_no_file_can_be_made(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigurationError, match="'output' names .*, where no file can be made") as caught:
        file_at(str(tmp_path / place)).open()
    assert caught.value.field == "output"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]
