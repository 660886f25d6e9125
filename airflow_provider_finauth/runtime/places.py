"""The place of a pull: one file, or a set of files that a manifest beside them completes.

A set has no single step by which it appears. So its manifest, ``x.manifest.json``, is the sign that it is
whole: it is taken away before the first file is put in place, and written after the last one. What a set
may have left unfinished stands in ``.x.unfinished.json`` meanwhile, so that the next run can remove it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_provider_finauth.exceptions import ConfigurationError
from airflow_provider_finauth.runtime.names import MANIFEST_SUFFIX, name_within
from airflow_provider_finauth.runtime.storage import File, put

if TYPE_CHECKING:
    from airflow_provider_finauth.runtime.task import Task
    from airflow_provider_finauth.sinks.formats import Format
    from airflow_provider_finauth.sinks.packing import Writer
    from airflow_provider_finauth.sinks.writing import WrittenFile

# What stands for a record without a date, as Hive writes it.
_WITHOUT_DATE = "__HIVE_DEFAULT_PARTITION__"
_MANY_FILES = 10**9


class Place:
    """Where the files of one pull go. In this order: ``begin``, the targets, ``finish``.

    :param base: the file that the user has named
    :param format_: of every file
    :param numbered: the pull is split into numbered files
    :param partition_by: the member whose date names the folder of a file
    :param task: who writes; a mapped one claims the place for itself
    """

    def __init__(
        self,
        base: File,
        format_: Format,
        *,
        numbered: bool = False,
        partition_by: str | None = None,
        task: Task | None = None,
    ) -> None:
        self._base = base
        self._format = format_
        self._numbered = numbered
        self._partition_by = partition_by
        self._is_set = numbered or partition_by is not None
        self._stem, self._ending = _divided(base.name, format_.suffix)
        self._claim = _Claim(base, task) if task is not None and task.map_index >= 0 else None
        self._former: set[str] = set()
        self._had_manifest = False
        self._handed: set[str] = set()
        self._noted: set[str] | None = None
        self._committed: set[str] = set()
        self._retired = False
        # Names a pull that may be gone on with, in the note of what it may have left unfinished.
        self.attempt: str | None = None

    @property
    def uri(self) -> str:
        """What a manifest names: the file, or the manifest beside the files of a set."""
        return self._manifest.uri if self._is_set else self._base.uri

    def begin(self) -> None:
        """Find out, before anything is pulled, whether the place can be used.

        :raises ConfigurationError: it cannot; or another map index of the run writes there
        :raises StorageError: it cannot this time
        """
        self._check_names()
        self._base.check()
        former = _content(self._manifest) if self._fits_a_set() else None
        if self._is_set and former is not None and not self._is_ours(former):
            raise ConfigurationError(
                f"Argument 'destination': '{self._manifest.uri}' is not the manifest of a set of "
                f"{self._format.suffix} files, and would be overwritten. Name the target differently, or "
                "remove that file.",
                field="destination",
            )
        self._former = self._known_files(former)
        self._had_manifest = former is not None and self._is_ours(former)
        if self._claim is not None:
            self._claim.make()

    def target(self, *, number: int | None = None, partition: str | None = None) -> _Part:
        """Give the target of one file.

        :param number: from 1, where the pull is split into files
        :param partition: the folder's name, where it is divided by date
        """
        name = self._name(number, partition)
        self._handed.add(name)
        return _Part(self, self._base.beside(name), name)

    def keep(self, files: Iterable[WrittenFile]) -> None:
        """Count files as those of this pull that an earlier attempt of it has put in place."""
        self._committed.update(self._name(file.number, file.partition) for file in files)

    def take_up(self, attempt: str, files: Sequence[WrittenFile]) -> bool:
        """Go on with a pull that was cut off, if all that it had put in place is there, and nothing else is.

        :param attempt: what that pull was called
        :param files: of that pull
        :return: whether it can be gone on with
        """
        unfinished = _content(self._unfinished) or {}
        if unfinished.get("attempt") != attempt:
            return False
        names = [self._name(file.number, file.partition) for file in files]
        if not all(self._base.beside(name).exists() for name in names):
            return False
        self.keep(files)
        return True

    def listing(self, files: Iterable[WrittenFile]) -> list[dict[str, Any]] | None:
        """Give the files of a set for its manifest; None for a single file."""
        if not self._is_set:
            return None
        return [
            {
                "uri": self._base.beside(self._name(file.number, file.partition)).uri,
                "records": file.records,
                "bytes": file.bytes,
                "partition": file.partition,
            }
            for file in files
        ]

    def finish(self, manifest: Mapping[str, Any]) -> None:
        """Remove what is left of a former set, and complete this one by its manifest."""
        if not self._retired:
            # A set without files.
            self._retire()
        for name in sorted(self._former - self._committed):
            self._base.beside(name).remove()
        if self._is_set:
            put(self._manifest, json.dumps(manifest, indent=1).encode())
        if self._noted is not None:
            self._unfinished.remove()

    def before_commit(self, name: str) -> None:
        """Make room, before the first file of the pull appears."""
        if not self._retired:
            self._retire()
        elif self._noted is not None and name not in self._noted:
            self._note()

    def after_commit(self, name: str) -> None:
        """Remember a file that is in place."""
        self._committed.add(name)

    def _retire(self) -> None:
        """Take away what says that the former set is whole."""
        if self._claim is not None:
            self._claim.confirm()
        if self._is_set:
            # Again: much may have happened since the beginning.
            self._former = self._known_files(_content(self._manifest))
        if self._is_set or self._former:
            self._note()
        if self._is_set or self._had_manifest:
            self._manifest.remove()
        if self._is_set and self._base.exists():
            # The same destination, from before it was split.
            self._base.remove()
        self._retired = True

    def _note(self) -> None:
        self._noted = self._former | self._handed
        note = {"files": sorted(self._noted), **({"attempt": self.attempt} if self.attempt else {})}
        if self._noted:
            put(self._unfinished, json.dumps(note, indent=1).encode())

    def _known_files(self, former: Mapping[str, Any] | None) -> set[str]:
        """Name what a former run has left, as far as such names are ours to give."""
        names: set[Any] = set()
        if former is not None and self._is_ours(former):
            listed = (file.get("uri") for file in former["files"] if isinstance(file, dict))
            names.update(name_within(str(uri), str(former.get("uri"))) for uri in listed)
        unfinished = _content(self._unfinished) if self._fits_a_set() else None
        if unfinished is not None and isinstance(unfinished.get("files"), list):
            names.update(unfinished["files"])
        ours = re.compile(
            rf"(?:[^/=]+=[^/]+/)?{re.escape(self._stem)}(?:-[0-9]{{5,}})?{re.escape(self._ending)}"
        )
        return {name for name in names if isinstance(name, str) and ours.fullmatch(name)} - {self._base.name}

    def _is_ours(self, former: Mapping[str, Any]) -> bool:
        return former.get("format") == self._format.suffix and isinstance(former.get("files"), list)

    @property
    def _manifest(self) -> File:
        return self._base.beside(f"{self._stem}{MANIFEST_SUFFIX}")

    @property
    def _unfinished(self) -> File:
        return self._base.beside(f".{self._stem}.unfinished.json")

    def _name(self, number: int | None, partition: str | None) -> str:
        name = self._base.name if number is None else f"{self._stem}-{number:05d}{self._ending}"
        return name if partition is None else f"{partition}/{name}"

    def _check_names(self) -> None:
        """Make the longest names there may be, which refuses those that are too long."""
        number = _MANY_FILES if self._numbered else None
        partition = f"{quote(self._partition_by, safe='')}={_WITHOUT_DATE}" if self._partition_by else None
        self._base.beside(self._name(number, partition))
        if self._is_set:
            _ = self._manifest, self._unfinished

    def _fits_a_set(self) -> bool:
        """Tell whether there can be a set by this name; that of a single file may be too long."""
        try:
            _ = self._manifest, self._unfinished
        except ConfigurationError:
            return False
        return True


class _Part:
    """The target of one file of a place."""

    def __init__(self, place: Place, file: File, name: str) -> None:
        self._place = place
        self._file = file
        self._name = name

    def open(self) -> Writer:
        return self._file.open()

    def stage(self) -> None:
        self._file.stage()

    def commit(self) -> None:
        self._place.before_commit(self._name)
        self._file.commit()
        self._place.after_commit(self._name)

    def discard(self) -> None:
        self._file.discard()


class _Claim:
    """A mapped task's claim to a place, refused where another map index of the same run has one.

    Without this, mapped tasks whose ``destination`` does not differ would overwrite each other and all but
    one result would be lost in silence. Who writes leaves a note beside the target, ``.{name}.writer``,
    before its first page, and looks at it again before the first file appears: of two that begin together
    the one whose note stands goes on. The note stays, so that an index that comes later is refused, too.
    Another run, or the same index tried again, writes over both.
    """

    def __init__(self, base: File, task: Task) -> None:
        self._base = base
        self._task = task
        self._note = base.beside(f".{base.name}.writer")

    def make(self) -> None:
        self.confirm()
        put(self._note, json.dumps(self._task.note()).encode())

    def confirm(self) -> None:
        note = _content(self._note) or {}
        other = note.get("map_index")
        if self._task.same_run(note) and other != self._task.map_index:
            raise ConfigurationError(
                f"Argument 'destination': map index {other} of this run writes to '{self._base.uri}' "
                f"already, and this is map index {self._task.map_index}. Give each its own target: end "
                "'destination' in '/' or name there what the task is mapped over.",
                field="destination",
            )


def _content(file: File) -> dict[str, Any] | None:
    """Read a small file of JSON; an empty object where it is something else, None where there is none."""
    if not file.exists():
        return None
    try:
        with closing(file.read()) as reader:
            content = json.loads(reader.read())
    except FileNotFoundError:
        return None
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _divided(name: str, suffix: str) -> tuple[str, str]:
    """Divide a file's name into what comes before a number and what comes after it."""
    if name.lower().endswith(f".{suffix}"):
        cut = len(name) - len(suffix) - 1
        return name[:cut], name[cut:]
    stem, dot, ending = name.rpartition(".")
    return (stem, dot + ending) if stem else (name, "")
