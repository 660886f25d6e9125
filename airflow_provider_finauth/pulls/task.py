"""What a task does with the records of a pull: to XCom, or to a destination."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_finauth import values
from airflow_provider_finauth.exceptions import ConfigurationError
from airflow_provider_finauth.runtime.assets import announce
from airflow_provider_finauth.runtime.config import read_config
from airflow_provider_finauth.runtime.errors import airflow_errors
from airflow_provider_finauth.sinks.xcom import collect

if TYPE_CHECKING:
    from airflow_provider_finauth.pulls.records import Records

# What is about files, with what holds where nothing is said.
_OF_FILES: Mapping[str, Any] = {
    "format": None,
    "max_records_per_file": None,
    "partition_by": None,
    "nested": "json",
    "resumable": False,
}


@airflow_errors()
def pull(
    records: Records,
    *,
    destination: str | None,
    limit: int | str | None,
    context: Mapping[str, Any],
    outlets: Iterable[Any] | None,
    **options: Any,
) -> Any:
    """Pull records to XCom, or to a destination, whose manifest the events of the task's assets carry.

    :param destination: None returns the records
    :param limit: stop after so many records
    :param context: the task's context
    :param outlets: the task's outlets
    :param options: what :meth:`.Records.write_to` takes besides
    :raises ConfigurationError: an option is about files, and there is no destination
    """
    records = records.limit(limit)
    if destination is None:
        options["resumable"] = values.optional("resumable", values.flag, options["resumable"])
        for name, default in _OF_FILES.items():
            if options.pop(name) not in (default, None, ""):
                raise ConfigurationError(
                    f"Argument '{name}' is set, but 'destination' is not: records go to XCom as they are.",
                    field=name,
                )
        return records.collect(context=context, **options)
    manifest = records.write_to(destination, context=context, **options)
    announce(context, outlets, manifest)
    return manifest


@airflow_errors()
def for_xcom(value: Any) -> Any:
    """Make a decoded response ready for XCom, which keeps no number with a fraction exactly.

    :raises ResultTooLargeError: it is larger than ``[finauth] max_xcom_bytes``
    """
    return collect([value], max_records=1, max_bytes=read_config().max_xcom_bytes)[0]
