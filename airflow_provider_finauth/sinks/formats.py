"""Which format an output has, told by its suffix or by ``output_format``."""

from __future__ import annotations

from typing import Literal, NamedTuple

from airflow_provider_finauth.exceptions import ConfigurationError

Compression = Literal["gzip"]


class Format(NamedTuple):
    """How records are written.

    :param name: the format
    :param compression: what it is packed with
    """

    name: str
    compression: Compression | None

    @property
    def suffix(self) -> str:
        """The suffix of a file of this format, without its first dot; also the manifest's ``format``."""
        return f"{self.name}.gz" if self.compression == "gzip" else self.name


JSON_LINES = Format("jsonl", None)
SUPPORTED = (JSON_LINES, Format("jsonl", "gzip"))
_BY_SUFFIX = {format_.suffix: format_ for format_ in SUPPORTED}
_KNOWN = " and ".join(_BY_SUFFIX)


def format_of(output: str, output_format: str | None = None) -> Format:
    """Give the format of an output.

    :param output: the target; one that ends in ``/`` is a folder, for JSON Lines unless told otherwise
    :param output_format: ``jsonl`` or ``jsonl.gz``; without it the suffix of ``output`` decides
    :raises ConfigurationError: the suffix or the format is not known, or they contradict each other
    """
    by_suffix = next(
        # The longer suffix first: every .jsonl.gz would else be an unknown .gz.
        (
            _BY_SUFFIX[s]
            for s in sorted(_BY_SUFFIX, key=len, reverse=True)
            if output.lower().endswith(f".{s}")
        ),
        None,
    )
    if output_format is None:
        if by_suffix is not None:
            return by_suffix
        if output.endswith("/"):
            return JSON_LINES
        raise ConfigurationError(
            f"Argument 'output': the suffix of '{output.rpartition('/')[2]}' names no format; "
            f"supported are {_KNOWN}. Rename the target or set 'output_format'.",
            field="output",
        )
    chosen = _BY_SUFFIX.get(output_format.lower().removeprefix("."))
    if chosen is None:
        raise ConfigurationError(
            f"Argument 'output_format': '{output_format}' is not supported; use one of {_KNOWN}.",
            field="output_format",
        )
    if by_suffix not in (None, chosen):
        raise ConfigurationError(
            f"Argument 'output_format' is '{output_format}', but the suffix of 'output' says otherwise.",
            field="output_format",
        )
    return chosen
