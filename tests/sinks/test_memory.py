from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROBE = Path(__file__).with_name("memory_probe.py")
FEW = 10_000
MB = 1024


@pytest.mark.parametrize(
    ("suffix", "options", "many", "most"),
    [
        # As JSON the larger pulls have 38 and 57 MB.
        ("jsonl.gz", {}, 100_000, 16 * MB),
        ("jsonl.zst", {"max_records_per_file": 3000}, 100_000, 16 * MB),
        ("jsonl", {"partition_by": "day"}, 100_000, 16 * MB),
        ("csv", {}, 100_000, 16 * MB),
        # A thousand files that wait for the last record.
        ("csv.gz", {"max_records_per_file": 100}, 100_000, 24 * MB),
        ("parquet", {}, 150_000, 40 * MB),
    ],
)
def test_memory_does_not_grow_with_the_pull(
    suffix: str, options: dict[str, Any], many: int, most: int
) -> None:
    ended = subprocess.run(
        [sys.executable, str(PROBE), suffix, str(FEW), str(many), json.dumps(options)],
        cwd=PROBE.parents[2],
        # Arrow's own allocator keeps for each thread what it may need again.
        env={"PYTHONPATH": ".", "ARROW_DEFAULT_MEMORY_POOL": "system"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    before, after = map(int, ended.stdout.split())
    assert after - before < most
