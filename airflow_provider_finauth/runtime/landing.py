"""The landing of a pull: in XCom, or in files with a manifest in XCom."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_finauth.exceptions import ConfigurationError
from airflow_provider_finauth.runtime.config import read_config
from airflow_provider_finauth.runtime.names import MANIFEST_SUFFIX, name_within, safe_name
from airflow_provider_finauth.runtime.places import Place
from airflow_provider_finauth.runtime.storage import File, file_at
from airflow_provider_finauth.runtime.task import Task
from airflow_provider_finauth.sinks.formats import Format, check_installed, format_of
from airflow_provider_finauth.sinks.manifest import Manifest
from airflow_provider_finauth.sinks.reading import read
from airflow_provider_finauth.sinks.writing import Nested, write
from airflow_provider_finauth.sinks.xcom import collect

if TYPE_CHECKING:
    from airflow_provider_finauth.client.paging.base import Page
    from airflow_provider_finauth.runtime.resuming import Resuming


def collect_pages(pages: Iterable[Page]) -> list[Any]:
    """Collect the records of a pull for XCom, up to the limits of ``[finauth]``.

    :param pages: the pull
    :raises ResultTooLargeError: they do not fit
    """
    config = read_config()
    return collect(
        (record for page in pages for record in page.records),
        max_records=config.max_xcom_records,
        max_bytes=config.max_xcom_bytes,
    )


def write_pages(
    pages: Iterable[Page],
    *,
    destination: str | os.PathLike[str],
    format: str | None = None,
    max_records_per_file: int | None = None,
    partition_by: str | None = None,
    nested: Nested = "json",
    api: str,
    resource: str,
    window: Mapping[str, str] | None = None,
    watermark: Callable[[], str | None] | None = None,
    checks: Callable[[], Mapping[str, Any]] | None = None,
    committed: Callable[[dict[str, Any]], None] | None = None,
    resuming: Resuming | None = None,
    context: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write a pull to a file or a set of files.

    Everything about the destination is checked before the first page is asked for.

    :param pages: the pull, read as it is written
    :param destination: a path, a ``file://`` address or any ``ObjectStoragePath``. One that ends in ``/``
        gets ``{dag_id}/{task_id}/{run_id}/{map_index}.jsonl``
    :param format: ``jsonl``, ``csv``, each also packed as ``.gz`` or ``.zst``, or ``parquet``, where
        the suffix does not tell
    :param max_records_per_file: makes a set of numbered files: ``x-00001.jsonl`` and on for ``x.jsonl``
    :param partition_by: makes a set of files in folders by this member's date: ``date=2026-10-01/x.jsonl``
    :param nested: objects and lists in Parquet, as ``json`` or as ``struct``
    :param api: the connection type, for the manifest
    :param resource: what is pulled, for the manifest
    :param window: the time asked for, for the manifest
    :param watermark: asked when all pages are read: how far the pull has come
    :param checks: asked when all pages are read: what the pull was held against
    :param committed: called with the manifest when everything is in place
    :param resuming: makes the pull one that goes on where a try before was cut off; ``pages`` are its own
    :param context: the task's context; without it the running task's, if there is one
    :return: the manifest of the file or files
    :raises ConfigurationError: the destination cannot be used
    :raises StorageError: the destination could not be used this time
    """
    destination = str(destination)
    pulled_at = datetime.now(UTC).isoformat(timespec="seconds")
    written_as = format_of(destination, format)
    check_installed(written_as)
    task = Task.of(context)
    place = Place(
        file_at(_complete(destination, written_as, task)),
        written_as,
        numbered=max_records_per_file is not None,
        partition_by=partition_by,
        # A completed folder tells the map indexes apart by itself.
        task=None if destination.endswith("/") else task,
    )
    place.begin()
    if resuming is not None:
        resuming.begin(place, written_as.suffix, max_records_per_file, nested)
        pages = resuming.counted(pages)
        pulled_at = resuming.pulled_at
    written = write(
        pages,
        place,
        written_as,
        max_records_per_file=max_records_per_file,
        partition_by=partition_by,
        nested=nested,
        first_number=1 if resuming is None else resuming.next_number,
        on_file=None if resuming is None else resuming.note,
    )
    if resuming is not None:
        written = resuming.end()
    manifest = Manifest(
        uri=place.uri,
        format=written_as.suffix,
        records=written.records,
        bytes=written.bytes,
        pages=written.pages,
        duplicates=written.duplicates,
        files=place.listing(written.files),
        checks=dict(checks()) if checks is not None else {},
        watermark=watermark() if watermark is not None else None,
        api=api,
        resource=resource,
        window=dict(window) if window else None,
        pulled_at=pulled_at,
    ).to_dict()
    place.finish(manifest)
    if resuming is not None:
        resuming.forget()
    if committed is not None:
        committed(manifest)
    return manifest


def read_records(manifest: Mapping[str, Any] | str | os.PathLike[str]) -> Iterator[Any]:
    """Read the records of a pull back, one by one, without holding them all.

    Numbers with a fraction are ``Decimal``; from CSV everything is text.

    :param manifest: what an operator or hook returned with ``destination`` set, or what an asset's event has
        of it; or the address of the manifest beside a set of files, which may have been moved with them
    :raises ConfigurationError: it is not a manifest
    :raises FileNotFoundError: a file is gone
    """
    if isinstance(manifest, Mapping):
        known = Manifest.from_dict(manifest)
        found = file_at(known.uri)
        if known.files is None and known.uri.endswith(MANIFEST_SUFFIX):
            # An asset's event leaves a long list of files out.
            known = Manifest.from_dict(_decoded(found))
    else:
        found = file_at(str(manifest))
        known = Manifest.from_dict(_decoded(found))
    written_as = format_of(known.uri, known.format)
    for file in _files(known, found):
        with closing(file.read()) as reader:
            yield from read(reader, written_as)


def _files(known: Manifest, found: File) -> Iterator[File]:
    if known.files is None:
        # A single file has no manifest beside it, so this is its address.
        yield found
        return
    for listed in known.files:
        name = name_within(str(listed.get("uri")), known.uri)
        if name is None:
            raise ConfigurationError(
                f"The manifest '{found.uri}' lists a file that is not in its folder.", field="manifest"
            )
        yield found.beside(name)


def _decoded(found: File) -> Mapping[str, Any]:
    with closing(found.read()) as reader:
        try:
            content = json.loads(reader.read())
        except ValueError:
            content = None
    if not isinstance(content, dict) or not isinstance(content.get("files"), list):
        raise ConfigurationError(
            f"'{found.uri}' is not the manifest of a set of files. The manifest of a single file is what "
            "the operator or hook returned.",
            field="manifest",
        )
    return content


def _complete(destination: str, written_as: Format, task: Task | None) -> str:
    if not destination.endswith("/"):
        return destination
    if task is None:
        raise ConfigurationError(
            f"Argument 'destination': '{destination}' is a folder, which only a running task can complete. "
            "Name a file.",
            field="destination",
        )
    names = map(safe_name, (task.dag_id, task.task_id, task.run_id))
    return f"{destination}{'/'.join(names)}/{task.map_index}.{written_as.suffix}"
