from __future__ import annotations

import gzip
import io
import json
from typing import Any

import pytest
import zstandard

from airflow_provider_finauth.sinks.packing import Sink, unpacked
from tests.sinks.places import back, content, page


def packed(*pieces: bytes, compression: Any) -> bytes:
    out = io.BytesIO()
    sink = Sink(lambda: out, compression)
    for piece in pieces:
        sink.write(piece)
    sink.finish()
    assert sink.size == len(out.getvalue())
    return out.getvalue()


@pytest.mark.parametrize("compression", [None, "gzip", "zstd"])
def test_comes_back(compression: Any) -> None:
    pieces = [b"", b"one", b"x" * 3_000_000, b"", b"two"]
    assert b"".join(unpacked(io.BytesIO(packed(*pieces, compression=compression)), compression)) == b"".join(
        pieces
    )


@pytest.mark.parametrize("suffix", ["jsonl.gz", "jsonl.zst"])
def test_others_read_it_and_it_is_the_same_each_time(suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = [page({"id": 1}), page({"id": 2}, number=2)]
    first = content(pages, suffix)
    monkeypatch.setattr("time.time", lambda: 2_000_000_000.0)
    assert content(pages, suffix) == first
    if suffix == "jsonl.gz":
        # The flags (no file's name) and the time.
        assert first[3:8] == bytes(5)
        lines = gzip.decompress(first)
    else:
        lines = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(first)).read()
    assert [json.loads(line) for line in lines.splitlines()] == [{"id": 1}, {"id": 2}]


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
@pytest.mark.parametrize("kept", [0, 3, -1, -4])
def test_a_file_that_was_cut_off_is_told(compression: Any, kept: int) -> None:
    whole = packed(b'{"id":1}\n' * 1000, compression=compression)
    with pytest.raises(
        ValueError, match=f"{'gzip' if compression == 'gzip' else 'zstd'} file ends too early"
    ):
        list(unpacked(io.BytesIO(whole[:kept]), compression))


@pytest.mark.parametrize(("suffix", "word"), [("jsonl.gz", "gzip"), ("csv.zst", "zstd")])
def test_another_file_is_told(suffix: str, word: str) -> None:
    with pytest.raises(ValueError, match=f"the {word} file is damaged"):
        back(b"neither of the two", suffix)


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
@pytest.mark.parametrize("times", [2, 20_000])
def test_files_put_one_behind_the_other_are_one_file(compression: Any, times: int) -> None:
    joined = packed(b"a" * 100, compression=compression) * times
    assert sum(map(len, unpacked(io.BytesIO(joined), compression))) == 100 * times
    with pytest.raises(ValueError, match="file ends too early"):
        list(unpacked(io.BytesIO(joined[:-1]), compression))


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_what_follows_and_is_no_file_is_told(compression: Any) -> None:
    with pytest.raises(ValueError, match="file is damaged"):
        list(unpacked(io.BytesIO(packed(b"a" * 100, compression=compression) + b"and more"), compression))


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_unpacking_is_bounded(compression: Any) -> None:
    bomb = packed(*[bytes(1 << 20)] * 200, compression=compression)
    sizes = [len(piece) for piece in unpacked(io.BytesIO(bomb), compression)]
    assert sum(sizes) == 200 << 20
    assert max(sizes) <= 34 << 20


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_a_changed_byte_is_told(compression: Any) -> None:
    whole = packed(bytes(range(256)), compression=compression)
    middle = len(whole) // 2
    damaged = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    with pytest.raises(ValueError, match="file is damaged"):
        list(unpacked(io.BytesIO(damaged), compression))
