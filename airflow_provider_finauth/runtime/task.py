"""Which task instance runs here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Task:
    """One task instance.

    :param map_index: -1 where the task is not mapped
    """

    def __init__(self, dag_id: str, task_id: str, run_id: str, map_index: int) -> None:
        self.dag_id = dag_id
        self.task_id = task_id
        self.run_id = run_id
        self.map_index = map_index

    @classmethod
    def of(cls, context: Mapping[str, Any] | None) -> Task | None:
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
        """Say who this is, as a note keeps it."""
        return {
            "dag_id": self.dag_id,
            "task_id": self.task_id,
            "run_id": self.run_id,
            "map_index": self.map_index,
        }
