from __future__ import annotations

import errno
import json
import os
import stat
import traceback
from pathlib import Path

import pytest

from airflow_provider_finauth.auth.sealer import Sealer
from airflow_provider_finauth.auth.stores.base import Entry, UnreadableEntry
from airflow_provider_finauth.auth.stores.file import FileStore
from airflow_provider_finauth.exceptions import StoreUnavailableError


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "deep" / "store", Sealer("key"))


def the_file(store: FileStore) -> Path:
    [path] = store.folder.glob("*.json")
    return path


def test_folder_and_files_are_their_owners(store: FileStore) -> None:
    before = os.umask(0)
    try:
        store.write("a", b"x", follows=0)
        with store.lock("a", 0):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700
    paths = list(store.folder.iterdir())
    assert len(paths) == 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths} == {0o600}


def test_a_folder_open_to_others_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o755)
    store = FileStore(folder, Sealer("key"))
    for use in (lambda: store.read("a"), lambda: store.write("a", b"x", follows=0), store.list):
        with pytest.raises(StoreUnavailableError, match="chmod 700"):
            use()
    folder.chmod(0o700)
    assert store.read("a") is None


def test_neither_names_nor_contents_tell_anything(store: FileStore) -> None:
    store.write("luca_default", b"secret-token", follows=0)
    assert all(
        "luca" not in path.name and b"secret-token" not in path.read_bytes()
        for path in store.folder.iterdir()
    )


def test_another_key_opens_nothing(store: FileStore) -> None:
    store.write("a", b"x", follows=0)
    store.write("a", b"y", follows=1)
    other = FileStore(store.folder, Sealer("another"))
    with pytest.raises(UnreadableEntry, match="another key") as caught:
        other.read("a")
    assert caught.value.revision == 2
    # Whoever may write over it says what it follows.
    other.write("a", b"z", follows=2)
    assert other.read("a") == Entry(3, b"z")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"key": "a"}',
        b'{"revision": "x"}',
        b'{"key": "a", "revision": Infinity, "sealed": ""}',
        b"[" * 100_000,
    ],
    ids=lambda content: content[:12],
)
def test_a_damaged_file_is_not_read_as_nothing(store: FileStore, content: bytes) -> None:
    store.write("a", b"x", follows=0)
    the_file(store).write_bytes(content)
    with pytest.raises(UnreadableEntry, match="damaged") as caught:
        store.read("a")
    assert store.list() == []
    store.write("a", b"y", follows=caught.value.revision)
    assert store.read("a") == Entry(1, b"y")


def test_a_changed_letter_is_noticed(store: FileStore) -> None:
    store.write("a", b"x", follows=0)
    file = json.loads(the_file(store).read_bytes())
    file["sealed"] = file["sealed"][:-6] + "AAAA=="
    the_file(store).write_text(json.dumps(file))
    with pytest.raises(UnreadableEntry) as caught:
        store.read("a")
    assert caught.value.revision == 1


def test_a_write_is_on_the_disk_before_it_shows(store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def watch_fsync(descriptor: int) -> None:
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        steps.append(f"fsync {kind}")
        fsync(descriptor)

    def watch_replace(self: Path, target: Path) -> Path:
        steps.append("replace")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", watch_fsync)
    monkeypatch.setattr(Path, "replace", watch_replace)
    store.write("a", b"x", follows=0)
    assert steps == ["fsync file", "replace", "fsync folder"]


def test_a_write_that_fails_half_way_leaves_the_old_entry(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write("a", b"old", follows=0)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StoreUnavailableError, match="No space left") as caught:
            store.write("a", b"the-new-token", follows=1)
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    # Only this test's own call shows the value.
    assert "".join(shown.format()).count("the-new-token") == 1
    assert store.read("a") == Entry(1, b"old")
    store.write("a", b"new", follows=1)
    assert store.read("a") == Entry(2, b"new")
    assert len(list(store.folder.glob("*.tmp"))) == 0


def test_a_folder_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = FileStore(tmp_path / "file" / "store", Sealer("key"))
    with pytest.raises(StoreUnavailableError, match="folder"):
        store.read("a")


def test_a_link_in_place_of_a_file_is_not_followed(store: FileStore, tmp_path: Path) -> None:
    store.write("a", b"x", follows=0)
    target = tmp_path / "elsewhere"
    the_file(store).with_suffix(".tmp").symlink_to(target)
    with pytest.raises(StoreUnavailableError):
        store.write("a", b"y", follows=1)
    assert not target.exists()
