"""What the Variable of an incremental pull holds: the watermark, and the windows of the last runs."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_finauth.client.paging.changes import moment_of
from airflow_provider_finauth.values import timestamp

if TYPE_CHECKING:
    from airflow_provider_finauth.client.paging.base import Pull
    from airflow_provider_finauth.runtime.task import Task

# How many runs have their windows remembered.
RUNS = 50

_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")
# Airflow hides the values of Variables with such words in their names, and registers each whole value with
# its masker at each read.
_HIDING = re.compile(
    r"token|secret|passw(?:or)?d|passphrase|api_?key|(?:access|private|service)_key|authorization|auth_header"
    r"|bearer|keyfile_dict|service_account|connection_string|webhook_url|dsn|prox(?:y|ies)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Window:
    """The time that a run pulls.

    :param since: the first moment; None for everything
    :param until: the first moment no longer wanted
    """

    since: datetime | None
    until: datetime

    def to_dict(self) -> dict[str, str]:
        """Give it as texts; what is open is left out."""
        found = {"since": timestamp(self.since)} if self.since is not None else {}
        return {**found, "until": timestamp(self.until)}

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Window:
        """Read it.

        :raises ValueError: it is none
        """
        until = moment_of(given["until"])
        since = moment_of(given["since"]) if given.get("since") else None
        if until is None or (since is None and given.get("since")):
            raise ValueError("not a window")
        return cls(since, until)

    def holds(self, moment: datetime) -> bool:
        """Tell whether a moment lies in it."""
        return (self.since is None or self.since <= moment) and moment < self.until


@dataclass
class Kept:
    """What the Variable holds.

    :param watermark: how far the pull has come
    :param windows: of the last runs, by run and by task
    :param notes: what an API needs besides
    """

    watermark: datetime | None = None
    windows: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)

    def window(self, task: Task | None) -> Window | None:
        """Give the window that a task has in its run."""
        if task is None:
            return None
        run, name = _names(task)
        found = self.windows.get(run, {}).get(name)
        return None if found is None else Window.from_dict(found)

    def put_window(self, task: Task, window: Window) -> None:
        """Keep the window that a task has in its run, and no more than those of the last runs."""
        run, name = _names(task)
        self.windows.setdefault(run, {})[name] = window.to_dict()
        while len(self.windows) > RUNS:
            del self.windows[next(iter(self.windows))]

    def to_text(self) -> str:
        """Write the Variable's value, for a person to read and change too."""
        return json.dumps(
            {
                "watermark": None if self.watermark is None else timestamp(self.watermark),
                "windows": self.windows,
                **({"notes": self.notes} if self.notes else {}),
            },
            indent=1,
        )

    @classmethod
    def from_text(cls, text: str) -> Kept:
        """Read the Variable's value.

        :raises ValueError: it is damaged
        """
        try:
            given = json.loads(text)
            watermark, windows, notes = given["watermark"], given["windows"], given.get("notes", {})
            moment = None if watermark is None else moment_of(watermark)
            if moment is None and watermark is not None:
                raise ValueError("no moment")
            for tasks in windows.values():
                for window in tasks.values():
                    Window.from_dict(window)
            return cls(moment, windows, dict(notes))
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError("not what was written") from error


def _names(task: Task) -> tuple[str, str]:
    """Say what a run is called, and a task in it: the same when it is tried again or cleared."""
    return f"{task.dag_id}/{task.run_id}", f"{task.task_id}/{task.map_index}"


def variable_of(name: str, conn_id: str, base_url: str, pull: Pull) -> str:
    """Name the Variable of an incremental pull: readable, and another one for whatever narrows the pull.

    :param name: given by the user
    :param base_url: the API's address; the same connection may lead to a test environment tomorrow
    :param pull: described without a window
    """
    request, changes = pull.request, pull.changes
    identity = [
        name,
        conn_id,
        base_url,
        request.method,
        request.path,
        sorted((key, value) for key, value in (request.params or {}).items() if value not in (None, [], "")),
        request.json,
        sorted((request.headers or {}).items()),
        pull.records_path,
        changes.fields if changes else (),
    ]
    digest = hashlib.sha256(json.dumps(identity, default=str, sort_keys=True).encode()).hexdigest()[:8]
    # Airflow's limit is 250 characters.
    readable = [_UNSAFE.sub("_", part).strip("_.")[:70] for part in (name, conn_id, pull.resource)]
    # Of the whole, since parts that lie side by side may make such a word.
    return _HIDING.sub("x", "_".join(["finauth_incremental", *filter(None, readable), digest]))
