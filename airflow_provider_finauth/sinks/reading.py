"""Reading back what was written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from airflow_provider_finauth.sinks.csv_file import read_csv
from airflow_provider_finauth.sinks.formats import check_installed
from airflow_provider_finauth.sinks.jsonl import read_lines
from airflow_provider_finauth.sinks.packing import unpacked

if TYPE_CHECKING:
    from airflow_provider_finauth.sinks.formats import Format
    from airflow_provider_finauth.sinks.packing import Reader


def read(reader: Reader, format_: Format) -> Iterator[Any]:
    """Read the records of one file back, one by one, without holding them all.

    JSON Lines and Parquet give numbers with a fraction as ``Decimal``; CSV gives texts, whatever they were.

    :param reader: a file opened for reading bytes; for Parquet it must be seekable
    :param format_: of the file
    :raises ConfigurationError: an extra is missing
    :raises ValueError: the file is damaged
    """
    check_installed(format_)
    if format_.name == "parquet":
        from airflow_provider_finauth.sinks.parquet_file import read_parquet

        return read_parquet(reader)
    pieces = unpacked(reader, format_.compression)
    return read_csv(pieces) if format_.name == "csv" else read_lines(pieces)
