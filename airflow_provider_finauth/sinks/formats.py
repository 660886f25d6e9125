"""Which format a destination has, told by its suffix or by ``format``."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal, NamedTuple

from airflow_provider_finauth.exceptions import ConfigurationError

Compression = Literal["gzip", "zstd"]

_ENDINGS: dict[Compression, str] = {"gzip": ".gz", "zstd": ".zst"}


class Format(NamedTuple):
    """How records are written.

    :param name: ``jsonl``, ``csv`` or ``parquet``
    :param compression: what the file as a whole is packed with
    """

    name: str
    compression: Compression | None

    @property
    def suffix(self) -> str:
        """The suffix of a file of this format, without its first dot; also the manifest's ``format``."""
        return self.name + (_ENDINGS[self.compression] if self.compression else "")


JSON_LINES = Format("jsonl", None)
PARQUET = Format("parquet", None)
SUPPORTED = (
    JSON_LINES,
    Format("jsonl", "gzip"),
    Format("jsonl", "zstd"),
    Format("csv", None),
    Format("csv", "gzip"),
    Format("csv", "zstd"),
    PARQUET,
)
_BY_SUFFIX = {format_.suffix: format_ for format_ in SUPPORTED}
_KNOWN = f"{', '.join(list(_BY_SUFFIX)[:-1])} and {list(_BY_SUFFIX)[-1]}"


def format_of(destination: str, format: str | None = None) -> Format:
    """Give the format of a destination.

    :param destination: the target; one that ends in ``/`` is a folder, for JSON Lines unless told otherwise
    :param format: ``jsonl``, ``jsonl.gz``, ``jsonl.zst``, ``csv``, ``csv.gz``, ``csv.zst`` or
        ``parquet``; without it the suffix of ``destination`` decides
    :raises ConfigurationError: the suffix or the format is not known, or they contradict each other
    """
    name = destination.lower()
    # No suffix is the end of another, so at most one fits.
    by_suffix = next((known for suffix, known in _BY_SUFFIX.items() if name.endswith(f".{suffix}")), None)
    if format is None:
        if by_suffix is not None:
            return by_suffix
        if destination.endswith("/"):
            return JSON_LINES
        raise ConfigurationError(
            f"Argument 'destination': the suffix of '{destination.rpartition('/')[2]}' names no format; "
            f"supported are {_KNOWN}. Rename the target or set 'format'.",
            field="destination",
        )
    chosen = _BY_SUFFIX.get(format.lower().removeprefix("."))
    if chosen is None:
        raise ConfigurationError(
            f"Argument 'format': '{format}' is not supported; use one of {_KNOWN}.",
            field="format",
        )
    if by_suffix not in (None, chosen):
        raise ConfigurationError(
            f"Argument 'format' is '{format}', but the suffix of 'destination' says otherwise.",
            field="format",
        )
    return chosen


def check_installed(format_: Format) -> None:
    """Look whether what a format needs is installed.

    :raises ConfigurationError: it is not; the text names the extra
    """
    for needs, package, extra in (
        (format_.name == "parquet", "pyarrow", "parquet"),
        (format_.compression == "zstd", "zstandard", "zstd"),
    ):
        if needs and find_spec(package) is None:
            raise ConfigurationError(
                f"The format '{format_.suffix}' needs the package {package}: run "
                f"pip install 'airflow-provider-finauth[{extra}]', or choose another format.",
                field="format",
            )
