from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook, ObjectStoragePath

from airflow_provider_finauth.exceptions import ConfigurationError, ConnectionNotFoundError
from airflow_provider_finauth.runtime import door
from airflow_provider_finauth.runtime.names import name_within, safe_name
from airflow_provider_finauth.runtime.objects import StoredObject
from airflow_provider_finauth.runtime.storage import file_at, put
from tests.runtime.conftest import Bucket, names


class TestAddresses:
    def test_a_path(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        assert file_at("out/a b.jsonl").uri == f"{tmp_path.as_uri()}/out/a%20b.jsonl"
        assert file_at(str(tmp_path / "a.jsonl")).uri == f"{tmp_path.as_uri()}/a.jsonl"

    def test_an_address_names_the_file_as_it_is_written(self, tmp_path: Path) -> None:
        """A run's id and a partition stand in it as they are: others do not decode what they open."""
        name = "day=2026-10-01/manual__2026-11-22T09:41:12+00:00-00001.jsonl"
        file = file_at(str(tmp_path / name))
        put(file, b"x")
        assert file.uri == f"file://{tmp_path}/{name}"
        assert ObjectStoragePath(file.uri).read_bytes() == b"x"
        assert file_at(file.uri).read().read() == b"x"

    def test_a_path_in_the_home_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """No shell has expanded it in a DAG, nor behind `--destination=`."""
        monkeypatch.setenv("HOME", str(tmp_path))
        assert file_at("~/a.jsonl").uri == f"{tmp_path.as_uri()}/a.jsonl"
        monkeypatch.chdir(tmp_path)
        assert file_at("~a.jsonl").uri == f"{tmp_path.as_uri()}/~a.jsonl"

    def test_a_home_folder_that_there_is_not(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def expanduser(path: Path) -> Path:
            raise RuntimeError

        monkeypatch.setattr(Path, "expanduser", expanduser)
        with pytest.raises(ConfigurationError, match="Name the whole path"):
            file_at("~/a.jsonl")

    @pytest.mark.parametrize("host", ["", "localhost"])
    def test_a_file_address_comes_back(self, tmp_path: Path, host: str) -> None:
        file = file_at(f"file://{host}{tmp_path}/a%20b%3F.jsonl")
        put(file, b"x")
        assert (tmp_path / "a b?.jsonl").read_bytes() == b"x"
        assert file_at(file.uri).read().read() == b"x"

    @pytest.mark.parametrize("name", ["b#1.jsonl", "b?x=1.jsonl", "b%231.jsonl"])
    def test_a_file_keeps_its_whole_name(self, tmp_path: Path, name: str) -> None:
        target = file_at(f"file://{tmp_path}/{name}")
        put(target, b"x")
        assert names(tmp_path) == [name.replace("%23", "#")]
        assert file_at(target.uri).read().read() == b"x"

    @pytest.mark.parametrize(
        "address",
        [
            "file://server/share/a.jsonl",
            "file://a.jsonl",
            "file:///folder/",
            "s3://bucket",
            "s3://bucket/",
            "s3://bucket/folder/",
            "s3://",
            "s3:///a.jsonl",
            "a\0b.jsonl",
            "a\udcffb.jsonl",
            "//[a/b.jsonl",
            "s3://[a/b.jsonl",
        ],
    )
    def test_what_is_no_file(self, address: str, bucket: Bucket) -> None:
        with pytest.raises(ConfigurationError) as caught:
            file_at(address)
        assert caught.value.field == "destination"

    @pytest.mark.parametrize(
        ("scheme", "package"),
        [("gs", "apache-airflow-providers-google"), ("abfs", "apache-airflow-providers-microsoft-azure")],
    )
    def test_a_scheme_without_its_provider(self, scheme: str, package: str) -> None:
        with pytest.raises(ConfigurationError, match=f"install the package '{package}'"):
            file_at(f"{scheme}://bucket/a.jsonl")

    @pytest.mark.parametrize("scheme", ["gopher", "memory"])
    def test_a_scheme_that_airflow_does_not_know(self, scheme: str) -> None:
        with pytest.raises(ConfigurationError, match=f"'{scheme}://'.*install the Airflow provider"):
            file_at(f"{scheme}://host/a.jsonl")

    def test_an_object(self, bucket: Bucket) -> None:
        file = file_at("s3://bucket/a/b.jsonl")
        assert isinstance(file, StoredObject)
        assert (file.uri, file.name) == ("s3://bucket/a/b.jsonl", "b.jsonl")

    def test_a_connection_that_is_not_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def missing(conn_id: str) -> Any:
            raise ConnectionNotFoundError(f"no '{conn_id}'", conn_id=conn_id)

        monkeypatch.setattr(door, "get_connection", missing)
        with pytest.raises(ConnectionNotFoundError, match="'nowhere'") as caught:
            file_at("s3://nowhere@bucket/a.jsonl")
        assert caught.value.conn_id == "nowhere"

    def test_a_connection_that_only_we_see(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def unseen(conn_id: str) -> Any:
            raise AirflowNotFoundException(conn_id)

        monkeypatch.setattr(door, "get_connection", lambda conn_id: None)
        monkeypatch.setattr(BaseHook, "get_connection", unseen)
        with pytest.raises(ConfigurationError, match="AIRFLOW_CONN_LAKE") as caught:
            file_at("s3://lake@bucket/a.jsonl")
        assert caught.value.conn_id == "lake"

    def test_a_password_in_an_address_is_refused_and_not_repeated(self) -> None:
        with pytest.raises(ConfigurationError, match="connection@bucket") as caught:
            file_at("s3://AKIAKEY:very-secret@bucket/a.jsonl")
        assert "AKIAKEY" not in str(caught.value)
        assert "very-secret" not in str(caught.value)


class TestNames:
    @pytest.mark.parametrize(
        "make", [lambda name: f"/tmp/{name}", lambda name: f"s3://bucket/{name}/a.jsonl"]
    )
    def test_of_more_than_255_bytes(self, make: Any, bucket: Bucket) -> None:
        file_at(make("ä" * 127 + "x"))
        with pytest.raises(ConfigurationError, match="256 bytes where 255 are allowed") as caught:
            file_at(make("ä" * 128))
        assert caught.value.field == "destination"

    def test_of_an_object_as_a_whole(self, bucket: Bucket) -> None:
        folders = "/".join(["x" * 200] * 5)
        file_at(f"s3://bucket/{folders}/{'a' * 19}")
        with pytest.raises(ConfigurationError, match="1025 bytes where 1024 are allowed"):
            file_at(f"s3://bucket/{folders}/{'a' * 20}")

    def test_the_longest_can_be_written(self, tmp_path: Path) -> None:
        name = "ä" * 124 + "b.jsonl"
        put(file_at(str(tmp_path / name)), b"x")
        assert names(tmp_path) == [name]

    def test_neighbours_too(self, tmp_path: Path, bucket: Bucket) -> None:
        for file in (file_at(str(tmp_path / "a")), file_at("s3://bucket/a")):
            with pytest.raises(ConfigurationError, match="300 bytes"):
                file.beside("b" * 300)

    def test_safe_ones_are_short_enough_too(self) -> None:
        assert safe_name("x" * 250) == "x" * 250
        long = [
            safe_name("ö" * 250),
            safe_name("ö" * 251),
            safe_name("x" * 250 + ":1"),
            safe_name("x" * 250 + ":2"),
        ]
        assert len(set(long)) == 4
        assert all(len(name) <= 255 for name in long)

    @pytest.mark.parametrize(
        ("uri", "beside", "name"),
        [
            ("s3://b/f/x-1.jsonl", "s3://b/f/x.manifest.json", "x-1.jsonl"),
            ("s3://b/f/d=1%2F/x.jsonl", "s3://b/f/x.manifest.json", "d=1%2F/x.jsonl"),
            ("file:///f/d=1%252F/a%20x.jsonl", "file:///f/x.manifest.json", "d=1%2F/a x.jsonl"),
            ("s3://b/other/x-1.jsonl", "s3://b/f/x.manifest.json", None),
            ("s3://b/f/../x-1.jsonl", "s3://b/f/x.manifest.json", None),
            ("file:///f/%2e%2e/x.jsonl", "file:///f/x.manifest.json", None),
            ("s3://b/f/", "s3://b/f/x.manifest.json", None),
            ("x.jsonl", "x.manifest.json", None),
        ],
    )
    def test_within_a_folder(self, uri: str, beside: str, name: str | None) -> None:
        assert name_within(uri, beside) == name
