"""A task that is killed while it writes leaves nothing that looks finished."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_finauth.runtime.landing import read_records, write_pages
from tests.airflow_environment import environment_of
from tests.runtime.test_landing import context, pages

if TYPE_CHECKING:
    from tests.s3_server import S3Bucket

# Pages of half a megabyte for each landing; the last page never comes.
_WRITER = """
import json, os, sys, threading, time
from types import SimpleNamespace
from airflow_provider_finauth.client.paging.base import Page
from airflow_provider_finauth.client.paging.rows import Rows
from airflow_provider_finauth.runtime.landing import write_pages

def pages():
    for number in range(1, 15):
        yield Page(Rows.of([{"id": turn, "text": "x" * 1000} for turn in range(500)]), number=number)
    os.write(1, b"written\\n")  # as one: print from two threads mixes lines with their ends
    time.sleep(600)

ti = SimpleNamespace(dag_id="d", task_id="t", run_id="r", map_index=-1)
threads = []
for arguments in json.loads(sys.argv[1]):
    options = {"api": "a", "resource": "r", "context": {"ti": ti}, **arguments}
    threads.append(threading.Thread(target=write_pages, args=[pages()], kwargs=options))
    threads[-1].start()
for thread in threads:
    thread.join()
"""

Killed = Callable[..., None]


@pytest.fixture
def killed_while_writing(tmp_path: Path) -> Iterator[Killed]:
    """Gives what runs landings in another process, and kills it before their last page."""
    begun: list[subprocess.Popen[str]] = []

    def kill(*landings: dict[str, Any], staged: Callable[[], bool]) -> None:
        home = tmp_path / "home"
        (home / "tmp").mkdir(parents=True)
        log = tmp_path / "writer.log"
        with log.open("w") as errors:
            process = subprocess.Popen(
                [sys.executable, "-c", _WRITER, json.dumps(landings)],
                env={**os.environ, **environment_of(home)},
                cwd=Path(__file__).parents[2],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        begun.append(process)
        assert process.stdout is not None
        written = 0
        while written < len(landings):
            line = process.stdout.readline()
            assert line, f"the writer ended: {log.read_text()[-2000:]}"
            written += line == "written\n"
        assert staged()
        process.kill()
        process.wait()

    yield kill
    for process in begun:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


@pytest.mark.parametrize("shape", [{}, {"max_records_per_file": 2000}], ids=["one file", "a set"])
def test_on_this_machine(tmp_path: Path, killed_while_writing: Killed, shape: dict[str, Any]) -> None:
    folder = tmp_path / "out"
    destination = str(folder / "x.jsonl")
    old = write_pages(pages(3), destination=destination, api="a", resource="r", context=context())

    def staged() -> bool:
        return sum(file.stat().st_size for file in folder.glob(".x.jsonl.*.part")) > 5_000_000

    killed_while_writing({"destination": destination, **shape}, staged=staged)
    # Hidden files beside it, and the old file as it was.
    left = sorted(file.name for file in folder.iterdir())
    assert left.pop() == "x.jsonl"
    assert all(name.startswith(".x.jsonl.") and name.endswith(".part") for name in left)
    assert isinstance(old, dict)
    assert len(list(read_records(old))) == 3
    new = write_pages(pages(4), destination=destination, api="a", resource="r", context=context())
    assert isinstance(new, dict)
    assert len(list(read_records(new))) == 4


def test_in_s3(killed_while_writing: Killed, s3_bucket: S3Bucket) -> None:
    one, many = s3_bucket.address("one.jsonl"), s3_bucket.address("set.jsonl")
    killed_while_writing(
        {"destination": one},
        {"destination": many, "max_records_per_file": 6000},
        staged=lambda: s3_bucket.staged("one.jsonl") > 0 and s3_bucket.staged("set-00001.jsonl") > 0,
    )
    assert s3_bucket.objects() == []
    # Invisible, until a lifecycle rule ends them.
    assert {"one.jsonl", "set-00001.jsonl"} <= set(s3_bucket.uploads())
    new = write_pages(pages(4), destination=one, api="a", resource="r", context=context())
    assert isinstance(new, dict)
    assert len(list(read_records(new))) == 4
    assert s3_bucket.objects() == ["one.jsonl"]
