"""Common to the tests of the runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem

try:
    from airflow.sdk.io import store as airflow_store
except ImportError:
    from airflow.io import store as airflow_store


def names(folder: Path) -> list[str]:
    """Name what lies in a folder, hidden files too."""
    return sorted(entry.name for entry in folder.iterdir())


class Bucket:
    """An object store in a folder, which Airflow takes for S3.

    :param folder: where its objects lie
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def objects(self) -> list[str]:
        """Name what is visible."""
        return sorted(str(file.relative_to(self.folder)) for file in self.folder.rglob("*") if file.is_file())

    def read(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """Give ``s3://bucket/`` something to stand for."""
    folder = tmp_path / "object-store"
    files: Any = DirFileSystem(str(folder), LocalFileSystem(auto_mkdir=True, skip_instance_cache=True))
    store = airflow_store.ObjectStore("s3", None, fs=files)
    monkeypatch.setitem(airflow_store._STORE_CACHE, "s3", store)
    (folder / "bucket").mkdir(parents=True)
    return Bucket(folder / "bucket")
