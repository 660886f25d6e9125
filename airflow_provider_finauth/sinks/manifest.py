"""What a pull with a destination leaves in XCom instead of its records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from airflow_provider_finauth.exceptions import ConfigurationError


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Where the records of a pull are, and what is known about them.

    :param uri: the target, complete; of a set of files, the manifest beside them
    :param format: as a suffix, for example ``jsonl.gz``
    :param records: how many records were written
    :param bytes: the size of the target, of a set that of its files
    :param pages: how many pages they came in
    :param duplicates: how many records came more than once and were dropped
    :param files: of a set: ``uri``, ``records``, ``bytes`` and ``partition`` of each; None for a single file
    :param checks: what the pull was held against, for example ``{"total": 120}``, the API's own count
    :param watermark: how far an incremental pull has come
    :param api: the connection type
    :param resource: what was pulled
    :param window: the time asked for, ``since`` and ``until``
    :param pulled_at: when the pull began, ISO 8601 in UTC
    """

    uri: str
    format: str
    records: int
    bytes: int
    pages: int
    duplicates: int
    files: list[dict[str, Any]] | None = None
    checks: Mapping[str, Any] = field(default_factory=dict)
    watermark: str | None = None
    api: str
    resource: str
    window: Mapping[str, str] | None = None
    pulled_at: str

    def to_dict(self) -> dict[str, Any]:
        """Give the manifest as XCom keeps it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Manifest:
        """Read a manifest; members that this version does not know are passed over.

        :raises ConfigurationError: it is not a manifest
        """
        try:
            return cls(**{item.name: given[item.name] for item in fields(cls) if item.name in given})
        except TypeError:
            raise ConfigurationError(
                "This is not the manifest of a pull: hand over what an operator or hook returned "
                "with 'destination' set, unchanged.",
                field="manifest",
            ) from None
