"""The landing of a pull: in XCom, or in a file with a manifest in XCom."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_finauth.exceptions import ConfigurationError
from airflow_provider_finauth.runtime.config import read_config
from airflow_provider_finauth.runtime.storage import File, file_at
from airflow_provider_finauth.sinks.formats import Format, format_of
from airflow_provider_finauth.sinks.jsonl import Counts, Target, Writer, read_jsonl, write_jsonl
from airflow_provider_finauth.sinks.manifest import Manifest
from airflow_provider_finauth.sinks.xcom import collect

if TYPE_CHECKING:
    from airflow_provider_finauth.client.paging.base import Page

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def land(
    pages: Iterable[Page],
    *,
    output: str | os.PathLike[str] | None = None,
    output_format: str | None = None,
    api: str,
    resource: str,
    window: Mapping[str, str] | None = None,
    watermark: Callable[[], str | None] | None = None,
    context: Mapping[str, Any] | None = None,
) -> list[Any] | dict[str, Any]:
    """Bring a pull to where it is wanted.

    Everything about the target is checked before the first page is asked for.

    :param pages: the pull, read as it lands
    :param output: None for XCom; else a path, a ``file://`` address or any ``ObjectStoragePath``. One that
        ends in ``/`` gets ``{dag_id}/{task_id}/{run_id}/{map_index}.jsonl``
    :param output_format: ``jsonl`` or ``jsonl.gz``, where the suffix does not tell
    :param api: the connection type, for the manifest
    :param resource: what is pulled, for the manifest
    :param window: the time asked for, for the manifest
    :param watermark: asked when all pages are read: how far the pull has come
    :param context: the task's context; without it the running task's, if there is one
    :return: the records, or the manifest of the file
    :raises ResultTooLargeError: the records do not fit into XCom
    :raises ConfigurationError: the target cannot be used
    """
    if output is None:
        if output_format is not None:
            raise ConfigurationError(
                "Argument 'output_format' is set, but 'output' is not: records go to XCom as they are.",
                field="output_format",
            )
        config = read_config()
        return collect(
            (record for page in pages for record in page.records),
            max_records=config.max_xcom_records,
            max_bytes=config.max_xcom_bytes,
        )
    output = str(output)
    pulled_at = datetime.now(UTC).isoformat(timespec="seconds")
    written_as = format_of(output, output_format)
    task = _Task.of(context)
    file = file_at(_complete(output, written_as, task))
    target: Target = file
    # A completed folder tells the map indexes apart by itself.
    if task is not None and task.map_index >= 0 and not output.endswith("/"):
        target = _MappedFile(file, task)
    counts = write_jsonl(pages, target, compression=written_as.compression)
    return _manifest(file, written_as, counts, api, resource, window, watermark, pulled_at)


def _manifest(
    file: File,
    written_as: Format,
    counts: Counts,
    api: str,
    resource: str,
    window: Mapping[str, str] | None,
    watermark: Callable[[], str | None] | None,
    pulled_at: str,
) -> dict[str, Any]:
    return Manifest(
        uri=file.uri,
        format=written_as.suffix,
        records=counts.records,
        bytes=counts.bytes,
        pages=counts.pages,
        duplicates=counts.duplicates,
        checks={} if counts.total is None else {"total": counts.total},
        watermark=watermark() if watermark is not None else None,
        api=api,
        resource=resource,
        window=dict(window) if window else None,
        pulled_at=pulled_at,
    ).to_dict()


def read_records(manifest: Mapping[str, Any]) -> Iterator[Any]:
    """Read the records of a pull back, one by one, without holding them all.

    Numbers with a fraction are ``Decimal``.

    :param manifest: what an operator or hook returned with ``output`` set
    :raises ConfigurationError: it is not a manifest
    :raises FileNotFoundError: the file is gone
    """
    known = Manifest.from_dict(manifest)
    written_as = format_of(known.uri, known.format)
    with closing(file_at(known.uri).read()) as reader:
        yield from read_jsonl(reader, compression=written_as.compression)


class _Task:
    """Who writes: one task instance."""

    def __init__(self, dag_id: str, task_id: str, run_id: str, map_index: int) -> None:
        self.dag_id = dag_id
        self.task_id = task_id
        self.run_id = run_id
        self.map_index = map_index

    @classmethod
    def of(cls, context: Mapping[str, Any] | None) -> _Task | None:
        """Read a task's context; without one, that of the task that runs here, if any."""
        if context is None:
            from airflow.providers.common.compat.sdk import AirflowException, get_current_context

            try:
                context = get_current_context()
            except (AirflowException, RuntimeError):
                return None
        instance = context["ti"]
        map_index = getattr(instance, "map_index", None)
        return cls(
            instance.dag_id, instance.task_id, instance.run_id, -1 if map_index is None else int(map_index)
        )

    def same_run(self, note: Mapping[str, Any]) -> bool:
        """Tell whether a note was left by this task in this run, under whatever map index."""
        return (note.get("dag_id"), note.get("task_id"), note.get("run_id")) == (
            self.dag_id,
            self.task_id,
            self.run_id,
        )

    def note(self) -> dict[str, Any]:
        return {
            "dag_id": self.dag_id,
            "task_id": self.task_id,
            "run_id": self.run_id,
            "map_index": self.map_index,
        }


def _complete(output: str, written_as: Format, task: _Task | None) -> str:
    if not output.endswith("/"):
        return output
    if task is None:
        raise ConfigurationError(
            f"Argument 'output': '{output}' is a folder, which only a running task can complete. "
            "Name a file.",
            field="output",
        )
    names = map(_safe_name, (task.dag_id, task.task_id, task.run_id))
    return f"{output}{'/'.join(names)}/{task.map_index}.{written_as.suffix}"


def _safe_name(text: str) -> str:
    """Make a name for files and objects of an id; two ids never get the same one.

    A run id holds colons and a plus sign, which some tools take for something else.
    """
    safe = _UNSAFE.sub("_", text).lstrip(".")
    if safe == text:
        return text
    return f"{safe}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


class _MappedFile:
    """A target of a mapped task, refused where another map index of the same run writes to it.

    Without this, mapped tasks whose ``output`` does not differ would overwrite each other and all but one
    result would be lost in silence. Who writes leaves a note beside the target, ``.{name}.writer``, before
    its first page, and looks at it again before the file appears: of two that begin together the one whose
    note stands goes on. The note stays, so that an index that comes later is refused, too. Another run, or
    the same index tried again, writes over both.
    """

    def __init__(self, file: File, task: _Task) -> None:
        self._file = file
        self._task = task
        self._note = file.neighbour(lambda name: f".{name}.writer")

    def open(self) -> Writer:
        self._refuse_another(self._written_note())
        writer = self._note.open()
        try:
            writer.write(json.dumps(self._task.note()).encode())
            self._note.commit()
        except BaseException:
            self._note.discard()
            raise
        return self._file.open()

    def commit(self) -> None:
        self._refuse_another(self._written_note())
        self._file.commit()

    def discard(self) -> None:
        self._file.discard()

    def _written_note(self) -> Mapping[str, Any]:
        try:
            with closing(self._note.read()) as reader:
                note = json.loads(reader.read())
        except (FileNotFoundError, ValueError):
            return {}
        return note if isinstance(note, dict) else {}

    def _refuse_another(self, note: Mapping[str, Any]) -> None:
        other = note.get("map_index")
        if self._task.same_run(note) and other != self._task.map_index:
            raise ConfigurationError(
                f"Argument 'output': map index {other} of this run writes to '{self._file.uri}' already, and "
                f"this is map index {self._task.map_index}. Give each its own target: end 'output' in '/', "
                "or name there what the task is mapped over.",
                field="output",
            )
