from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_finauth.auth.stores.flock import file_lock
from airflow_provider_finauth.exceptions import LockTimeoutError, StoreUnavailableError

HOLD = """
import sys, time
from pathlib import Path
from airflow_provider_finauth.auth.stores.flock import file_lock
with file_lock(Path(sys.argv[1]), 5):
    print("held", flush=True)
    sys.stdin.read()
"""


FORK = """
import os, sys, time
from pathlib import Path
from airflow_provider_finauth.auth.stores.flock import file_lock
with file_lock(Path(sys.argv[1]), 5):
    if os.fork() == 0:
        print("held", flush=True)
        sys.stdin.read()
        os._exit(0)
    time.sleep(600)
"""


def test_a_dead_holders_lock_is_free(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            with pytest.raises(LockTimeoutError), file_lock(path, 0):
                pass
        finally:
            holder.send_signal(signal.SIGKILL)
            holder.wait(30)
    with file_lock(path, 0):
        pass


def test_a_forked_child_does_not_keep_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    reader, writer = os.pipe()
    with file_lock(path, 0):
        child = os.fork()
        if child == 0:
            os.close(writer)
            os.read(reader, 1)  # lives until the parent is done
            os._exit(0)
        os.close(reader)
    try:
        with file_lock(path, 0):
            pass
    finally:
        os.close(writer)
        assert os.waitpid(child, 0)[1] == 0


def test_a_killed_holders_lock_is_free_although_its_child_lives(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", FORK, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        holder.send_signal(signal.SIGKILL)
        holder.wait(30)
        with file_lock(path, 0):
            pass


def test_a_child_forked_within_the_block_leaves_it_quietly(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    child = -1
    with file_lock(path, 0):
        child = os.fork()
        if child == 0:
            # The number of the closed descriptor may be another file's by now.
            reused = os.open(os.devnull, os.O_RDONLY)
    if child == 0:
        try:
            os.fstat(reused)
        except OSError:
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def test_a_folder_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailableError, match="lock file"), file_lock(tmp_path / "no" / "a.lock", 0):
        pass
