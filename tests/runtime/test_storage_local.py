from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from airflow_provider_finauth.exceptions import ConfigurationError, StorageError
from airflow_provider_finauth.runtime.local_files import LocalFile
from airflow_provider_finauth.runtime.storage import file_at, put
from tests.runtime.conftest import names


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "folder" / "a.jsonl"


class TestWriting:
    def test_is_invisible_until_committed(self, path: Path) -> None:
        file = LocalFile(path)
        file.open().write(b"one")
        file.stage()
        assert not path.exists()
        assert not file.exists()
        # In the same folder, so that moving it is one step of the file system.
        assert [name.startswith(".a.jsonl.") for name in names(path.parent)] == [True]
        file.commit()
        assert names(path.parent) == ["a.jsonl"]
        assert path.read_bytes() == b"one"

    def test_replaces(self, path: Path) -> None:
        put(LocalFile(path), b"a longer one")
        put(LocalFile(path), b"two")
        assert path.read_bytes() == b"two"

    @pytest.mark.parametrize("staged", [False, True])
    def test_discarded_leaves_nothing_and_keeps_the_old_one(self, path: Path, staged: bool) -> None:
        put(LocalFile(path), b"old")
        file = LocalFile(path)
        file.open().write(b"new")
        if staged:
            file.stage()
        file.discard()
        file.discard()
        assert names(path.parent) == ["a.jsonl"]
        assert path.read_bytes() == b"old"

    def test_two_writers_do_not_mix(self, path: Path) -> None:
        first, second = LocalFile(path), LocalFile(path)
        first.open().write(b"first")
        second.open().write(b"second")
        for file in (second, first):
            file.stage()
            file.commit()
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

    def test_hundreds_can_be_staged_at_once(self, tmp_path: Path) -> None:
        before = len(list(Path("/proc/self/fd").iterdir()))
        files = [LocalFile(tmp_path / "a.jsonl").beside(f"d={number}/a.jsonl") for number in range(300)]
        for file in files:
            file.open().write(b"x")
            file.stage()
        assert len(list(Path("/proc/self/fd").iterdir())) == before
        for file in files:
            file.discard()
        assert names(tmp_path) == []


class TestNeighbours:
    def test_in_the_same_folder(self, path: Path) -> None:
        put(LocalFile(path).beside(".a.jsonl.note"), b"x")
        assert names(path.parent) == [".a.jsonl.note"]

    def test_in_a_folder_that_is_made_when_the_file_appears(self, path: Path) -> None:
        file = LocalFile(path).beside("date=2026-10-01/a.jsonl")
        file.open().write(b"x")
        file.stage()
        assert len(names(path.parent)) == 1
        file.commit()
        assert names(path.parent) == ["date=2026-10-01"]
        assert names(path.parent / "date=2026-10-01") == ["a.jsonl"]

    def test_removed_with_their_folder_unless_another_needs_it(self, path: Path) -> None:
        base = LocalFile(path)
        first, second = (base.beside(f"date=2026-10-01/a-0000{number}.jsonl") for number in (1, 2))
        for file in (first, second):
            put(file, b"x")
        first.remove()
        assert second.exists()
        second.remove()
        second.remove()
        assert names(path.parent) == []


class TestReading:
    def test_what_is_not_there(self, path: Path) -> None:
        assert not LocalFile(path).exists()
        with pytest.raises(FileNotFoundError):
            LocalFile(path).read()


class TestCheck:
    def test_leaves_nothing(self, path: Path) -> None:
        LocalFile(path).check()
        assert names(path.parent) == []

    @pytest.mark.parametrize("place", ["file/below.jsonl", "folder"])
    def test_where_no_file_can_be_made(self, tmp_path: Path, place: str) -> None:
        (tmp_path / "file").write_text("in the way")
        (tmp_path / "folder").mkdir()
        with pytest.raises(
            ConfigurationError, match="'destination' names .*, where no file can be made"
        ) as caught:
            file_at(str(tmp_path / place)).check()
        assert caught.value.field == "destination"
        assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]

    def test_a_folder_that_must_not_be_written_to(self) -> None:
        # Not even root may make files there.
        with pytest.raises(ConfigurationError, match=r"'/sys/a\.jsonl', where no file can be made"):
            LocalFile(Path("/sys/a.jsonl")).check()

    def test_removes_what_a_killed_task_left_more_than_a_day_ago(self, path: Path) -> None:
        file, other = LocalFile(path), LocalFile(path.with_name("b.jsonl"))
        for writer in (file, LocalFile(path), other):
            writer.open().write(b"x")
            writer.stage()
        left = names(path.parent)
        old = [name for name in left if name.startswith(".a.")][:1] + [name for name in left if ".b." in name]
        path.with_name("a.jsonl").write_text("finished")
        path.with_name(".a.jsonl.note").write_text("not ours")
        for name in [*old, "a.jsonl", ".a.jsonl.note"]:
            os.utime(path.with_name(name), (0, time.time() - 86_500))
        LocalFile(path).check()
        # A young one may have a writer yet, and the other target's is its own affair.
        assert names(path.parent) == sorted({*left, "a.jsonl", ".a.jsonl.note"} - {old[0]})


_ON_A_FULL_DISK = """
import os, subprocess, sys
from pathlib import Path
from airflow_provider_finauth.runtime.local_files import LocalFile
folder = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", folder], check=True)
old = folder / "a.jsonl"
old.write_bytes(b"old")
file = LocalFile(old)
try:
    writer = file.open()
    for _ in range(100):
        writer.write(b"x" * 1000)
    file.stage()
except Exception as error:
    print(type(error).__name__, error)
file.discard()
print(sorted(entry.name for entry in folder.iterdir()), old.read_bytes())
"""


def test_a_full_disk(tmp_path: Path) -> None:
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("only root mounts a small disk")
    ran = subprocess.run(
        ["unshare", "--mount", sys.executable, "-c", _ON_A_FULL_DISK, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    if "mount" in ran.stderr:
        pytest.skip(f"no disk can be mounted: {ran.stderr.splitlines()[-1]}")
    told, left = ran.stdout.splitlines()
    assert told.startswith(
        f"{StorageError.__name__} '{tmp_path}/a.jsonl' could not be written: No space left"
    )
    assert left == "['a.jsonl'] b'old'"
