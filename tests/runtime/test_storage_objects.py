"""Objects in stores: in fsspec's own, and in a server that speaks S3, by an Airflow connection."""

from __future__ import annotations

import json
import logging
import traceback
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFile, MemoryFileSystem
from fsspec.spec import AbstractBufferedFile

from airflow_provider_finauth.exceptions import ConfigurationError, FinauthError, StorageError
from airflow_provider_finauth.runtime.objects import PART, StoredObject
from airflow_provider_finauth.runtime.storage import file_at, put
from tests.runtime.conftest import Bucket, airflow_store
from tests.s3_server import KEY, SECRET, S3Bucket, S3Server, running_s3


class TestInAStore:
    """What holds in each store of fsspec that can commit."""

    def test_is_invisible_until_committed(self, bucket: Bucket) -> None:
        file = file_at("s3://bucket/a/b.jsonl")
        file.open().write(b"one")
        file.stage()
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

    def test_neighbours_and_absence(self, bucket: Bucket) -> None:
        note = file_at("s3://bucket/a/b.jsonl").beside(".b.jsonl.note")
        assert not note.exists()
        with pytest.raises(FileNotFoundError, match="s3://bucket/a/.b.jsonl.note"):
            note.read()
        note.remove()
        put(note, b"x")
        assert note.exists()
        assert bucket.objects() == ["a/.b.jsonl.note"]
        note.remove()
        assert bucket.objects() == []

    def test_a_commit_that_fails_can_be_discarded(
        self, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file: Any = file_at("s3://bucket/a.jsonl")
        file.open().write(b"x")
        file.stage()

        def fails() -> None:
            raise OSError("the upload broke")

        monkeypatch.setattr(file._file._obj, "commit", fails)
        with pytest.raises(StorageError, match="OSError"):
            file.commit()
        file.discard()
        assert bucket.objects() == []


class InPlace(AbstractBufferedFile):
    """A file of a store that knows no commit: closing it writes it."""

    def _upload_chunk(self, final: bool = False) -> bool:
        self.fs.store[self.path] = MemoryFile(self.fs, self.path, self.buffer.getvalue())
        return True


class InPlaceFileSystem(MemoryFileSystem):
    protocol = "inplace"

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        if mode == "wb":
            return InPlace(self, path, mode, block_size=PART, autocommit=False)
        return super()._open(path, mode, **options)

    def pipe_file(self, path: str, value: bytes, **options: Any) -> None:
        self.store[path] = MemoryFile(self, path, value)


class NoCommit(MemoryFileSystem):
    protocol = "nocommit"

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        opened = super()._open(path, mode, **options)
        return opened if mode == "rb" else _Plain(opened)


class _Plain:
    def __init__(self, file: Any) -> None:
        self.write, self.close = file.write, file.close


@pytest.fixture(params=[MemoryFileSystem, InPlaceFileSystem, NoCommit])
def in_place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A store that writes in place, which Airflow takes for S3."""
    files = request.param(global_store=False, skip_instance_cache=True)
    files.pipe_file("/bucket/a.jsonl", b"old")
    monkeypatch.setitem(airflow_store._STORE_CACHE, "s3", airflow_store.ObjectStore("s3", None, fs=files))
    return files


def test_a_store_that_writes_in_place_is_refused(in_place: Any) -> None:
    with pytest.raises(ConfigurationError, match="whole or not at all") as caught:
        file_at("s3://bucket/a.jsonl").check()
    assert caught.value.field == "destination"
    assert in_place.find("/bucket") == ["/bucket/a.jsonl"]
    assert in_place.cat_file("/bucket/a.jsonl") == b"old"


class TestInS3:
    @pytest.mark.parametrize("size", [0, 1, PART - 1, PART, 2 * PART + 1])
    def test_is_invisible_until_committed(self, s3_bucket: S3Bucket, size: int) -> None:
        file = file_at(s3_bucket.address("a/b.jsonl"))
        content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
        writer = file.open()
        for start in range(0, size, 1 << 20):
            writer.write(content[start : start + (1 << 20)])
        file.stage()
        assert s3_bucket.objects() == []
        assert not file.exists()
        file.commit()
        assert s3_bucket.objects() == ["a/b.jsonl"]
        assert s3_bucket.uploads() == []
        assert file.exists()
        assert file.read().read() == s3_bucket.read("a/b.jsonl") == content

    def test_what_is_written_is_not_kept_in_memory(self, s3_bucket: S3Bucket) -> None:
        file: Any = file_at(s3_bucket.address("a.jsonl"))
        writer = file.open()
        for _ in range(3):
            writer.write(bytes(PART - 1))
        # s3fs would keep 50 MB by default.
        assert s3_bucket.staged("a.jsonl") >= 2 * (PART - 1)
        file.stage()
        assert s3_bucket.staged("a.jsonl") == 3 * (PART - 1)
        assert file._file._obj.buffer.getbuffer().nbytes == 0
        file.discard()

    @pytest.mark.parametrize("size", [1, PART + 1])
    @pytest.mark.parametrize("staged", [False, True])
    def test_discarded_leaves_nothing_and_keeps_the_old_one(
        self, s3_bucket: S3Bucket, size: int, staged: bool
    ) -> None:
        s3_bucket.put("a.jsonl", b"old")
        file: Any = file_at(s3_bucket.address("a.jsonl"))
        file.open().write(bytes(size))
        if staged:
            file.stage()
        inner = file._file._obj
        file.discard()
        file.discard()
        # As when it is collected, which must not begin another upload.
        inner.close()
        assert s3_bucket.uploads() == []
        assert s3_bucket.objects() == ["a.jsonl"]
        assert s3_bucket.read("a.jsonl") == b"old"

    @pytest.mark.parametrize(
        "key", ["a#1.jsonl", "a?x=1.jsonl", "a%20b ä.jsonl", "a//b.jsonl", "d=2026/a.jsonl"]
    )
    def test_an_object_keeps_its_whole_name(self, s3_bucket: S3Bucket, key: str) -> None:
        file = file_at(s3_bucket.address(key))
        put(file, b"x")
        assert s3_bucket.objects() == [key]
        assert file_at(file.uri).read().read() == b"x"
        assert file.beside(file.name).exists()

    def test_can_be_sought(self, s3_bucket: S3Bucket) -> None:
        s3_bucket.put("a.jsonl", b"0123456789")
        reader = file_at(s3_bucket.address("a.jsonl")).read()
        assert reader.seekable()
        assert reader.seek(-3, 2) == 7
        assert reader.read(2) == b"78"
        assert reader.tell() == 9
        reader.close()
        assert reader.closed

    def test_what_another_host_has_written_is_seen(self, s3_bucket: S3Bucket) -> None:
        file = file_at(s3_bucket.address("f/a.jsonl"))
        file_at(s3_bucket.address("f/b.jsonl"))._path.fs.ls(f"{s3_bucket.name}/")  # type: ignore[attr-defined]
        assert not file.exists()
        s3_bucket.put("f/a.jsonl", b"x")
        assert file.exists()
        assert file.read().read() == b"x"

    def test_check_leaves_nothing(self, s3_bucket: S3Bucket) -> None:
        file_at(s3_bucket.address("a.jsonl")).check()
        assert (s3_bucket.objects(), s3_bucket.uploads()) == ([], [])


def told_by(error: BaseException) -> str:
    """Everything that a log might show of an error, the frames' variables too."""
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join([str(error), repr(error), repr(vars(error)), *shown.format()])


class AnsweredError(Exception):
    """What botocore raises: the answer's code is in its response."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.response = {"Error": {"Code": code}}


class TestWhatGoesWrongInS3:
    def test_no_such_bucket(self, s3_bucket: S3Bucket) -> None:
        address = f"s3://lake@{s3_bucket.name}-not/a.jsonl"
        with pytest.raises(ConfigurationError, match=r"no such bucket.*NoSuchBucket") as caught:
            file_at(address).check()
        assert (caught.value.conn_id, caught.value.field) == ("lake", "destination")
        assert address in str(caught.value)

    def test_a_name_that_no_bucket_can_have(self, s3_bucket: S3Bucket) -> None:
        with pytest.raises((ConfigurationError, StorageError), match="ParamValidationError"):
            file_at("s3://lake@a bucket/a.jsonl").check()

    def test_wrong_credentials(self, s3_bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_STRANGER", s3_bucket.server.connection(key="AKIASTRANGER00000001"))
        file = file_at(f"s3://stranger@{s3_bucket.name}/a.jsonl")
        with (
            s3_bucket.server.knowing_nobody(),
            pytest.raises(
                ConfigurationError, match=r"Check key, secret and rights.*InvalidAccessKeyId"
            ) as caught,
        ):
            file.check()
        assert caught.value.conn_id == "stranger"
        shown = told_by(caught.value)
        assert "AKIASTRANGER" not in shown
        assert SECRET not in shown
        assert (s3_bucket.objects(), s3_bucket.uploads()) == ([], [])

    def test_wrong_credentials_while_reading(self, s3_bucket: S3Bucket) -> None:
        s3_bucket.put("a.jsonl")
        file = file_at(s3_bucket.address("a.jsonl"))
        with s3_bucket.server.knowing_nobody(), pytest.raises(ConfigurationError, match="the store refuses"):
            file.read()

    @pytest.mark.parametrize(
        ("told", "kind"),
        [
            (FileNotFoundError("NoSuchUpload"), StorageError),
            (PermissionError("ExpiredToken"), StorageError),
            (PermissionError("AccessDenied"), ConfigurationError),
            (OSError("InvalidBucketName"), ConfigurationError),
            (OSError("SlowDown"), StorageError),
            (TimeoutError(), StorageError),
            (OSError(f"secret {SECRET}"), StorageError),
        ],
    )
    def test_what_another_try_may_mend(
        self, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, told: OSError, kind: type[FinauthError]
    ) -> None:
        def fails(*args: Any, **options: Any) -> None:
            # As s3fs tells what S3 has answered.
            raise told from AnsweredError(str(told))

        file: Any = file_at("s3://bucket/a.jsonl")
        monkeypatch.setattr(type(file._path.fs), "open", fails)
        with pytest.raises(kind) as caught:
            file.open()
        assert SECRET not in str(caught.value)

    def test_a_connection_that_no_store_can_be_made_of(self, monkeypatch: pytest.MonkeyPatch) -> None:
        odd = {"conn_type": "aws", "login": KEY, "password": SECRET, "extra": {"session_kwargs": "odd"}}
        monkeypatch.setenv("AIRFLOW_CONN_ODD", json.dumps(odd))
        with pytest.raises((StorageError, ConfigurationError)) as caught:
            file_at("s3://odd@bucket/a.jsonl")
        assert "s3://odd@bucket" in str(caught.value)
        assert SECRET not in told_by(caught.value.with_traceback(None))

    def test_the_server_ends_in_the_middle(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        with running_s3() as server:
            monkeypatch.setenv("AIRFLOW_CONN_BRIEF", server.connection(patient=False))
            file = file_at(server.new_bucket("brief").address("a.jsonl"))
            writer = file.open()
            writer.write(bytes(PART))
            server.kill()
            with pytest.raises(StorageError, match="does not answer as it should") as caught:
                writer.write(bytes(PART))
            with caplog.at_level(logging.WARNING):
                file.discard()
        assert "lifecycle rule" in caplog.text
        shown = told_by(caught.value) + caplog.text
        assert KEY not in shown
        assert SECRET not in shown


def test_without_a_connection_the_machines_own_credentials_are_named(
    s3_server: S3Server, s3_bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-north-1")
    monkeypatch.delitem(airflow_store._STORE_CACHE, "s3", raising=False)
    try:
        put(file_at(f"s3://{s3_bucket.name}/a.jsonl"), b"x")
        with pytest.raises(ConfigurationError, match="no such bucket") as caught:
            file_at(f"s3://{s3_bucket.name}-not/a.jsonl").check()
    finally:
        airflow_store._STORE_CACHE.pop("s3", None)
    assert caught.value.conn_id is None
    assert s3_bucket.objects() == ["a.jsonl"]
    assert isinstance(file_at(s3_bucket.address("a.jsonl")), StoredObject)
