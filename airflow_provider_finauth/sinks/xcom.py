"""Records for XCom, as far as they fit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from airflow_provider_finauth.exceptions import ResultTooLargeError

_encoder = msgspec.json.Encoder()


def collect(records: Iterable[Any], *, max_records: int, max_bytes: int) -> list[Any]:
    """Read all records into a list that XCom takes.

    Numbers with a fraction become texts, since XCom would make floats of them and lose their exactness.
    Reading stops as soon as a limit is passed.

    :param max_records: how many records are allowed
    :param max_bytes: how many bytes they may have as JSON
    :raises ResultTooLargeError: a limit is passed
    """
    collected: list[Any] = []
    size = 2
    for record in records:
        plain = msgspec.to_builtins(record)
        # The encoding counts, not what it says: one byte more for the comma.
        size += len(_encoder.encode(plain)) + 1
        if len(collected) >= max_records:
            raise _too_large(f"{max_records} records", "max_xcom_records")
        if size > max_bytes:
            raise _too_large(f"{max_bytes} bytes of JSON", "max_xcom_bytes")
        collected.append(plain)
    return collected


def _too_large(limit: str, option: str) -> ResultTooLargeError:
    return ResultTooLargeError(
        f"The result is larger than the {limit} that may go to XCom. Set 'destination' to a file or an "
        "object store, for example destination='s3://bucket/name.jsonl', or in code use write_to() in "
        f"place of collect(); or raise [finauth] {option}."
    )
