"""What the demo asks of Airflow's REST API."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import requests

ENDED = ("success", "failed")


@dataclass(frozen=True)
class Task:
    """A task instance."""

    task_id: str
    map_index: int
    state: str | None
    try_number: int


class AirflowApi:
    """Airflow's REST API.

    :param url: where the API server listens
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = requests.Session()
        self._session.trust_env = False

    def ready(self, dag_ids: set[str]) -> bool:
        """Tell whether everything runs and knows the DAGs."""
        try:
            if "Authorization" not in self._session.headers:
                token = self._call("GET", "/auth/token")["access_token"]
                self._session.headers["Authorization"] = f"Bearer {token}"
            health = self._get("/monitor/health")
            parts = (health["metadatabase"], health["scheduler"], health["dag_processor"])
            return all(part["status"] == "healthy" for part in parts) and dag_ids <= {
                dag["dag_id"] for dag in self._get("/dags", limit=100)["dags"]
            }
        except requests.ConnectionError:
            return False

    def import_errors(self) -> list[str]:
        """Give what is wrong with DAG files."""
        return [error["stack_trace"] for error in self._get("/importErrors")["import_errors"]]

    def trigger(self, dag_id: str, run_id: str, logical_date: str) -> None:
        """Start a run."""
        body = {"dag_run_id": run_id, "logical_date": logical_date}
        self._call("POST", f"/api/v2/dags/{dag_id}/dagRuns", json=body)

    def runs(self, dag_id: str) -> list[str]:
        """Give the ids of a DAG's runs."""
        found = self._get(f"/dags/{dag_id}/dagRuns", limit=100)["dag_runs"]
        return [run["dag_run_id"] for run in found]

    def pause(self, dag_id: str) -> None:
        """Let a DAG start no more runs."""
        self._call("PATCH", f"/api/v2/dags/{dag_id}", json={"is_paused": True})

    def state(self, dag_id: str, run_id: str) -> str:
        """Give the state of a run."""
        state: str = self._get(f"/dags/{dag_id}/dagRuns/{run_id}")["state"]
        return state

    def tasks(self, dag_id: str, run_id: str) -> list[Task]:
        """Give the task instances of a run."""
        found = self._get(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances", limit=1000)
        return [
            Task(task["task_id"], task["map_index"], task["state"], task["try_number"])
            for task in found["task_instances"]
        ]

    def result(self, dag_id: str, run_id: str, task: Task) -> Any:
        """Give what a task returned."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task.task_id}/xcomEntries/return_value"
        value = self._get(path, map_index=task.map_index)["value"]
        return json.loads(value) if isinstance(value, str) else value

    def log(self, dag_id: str, run_id: str, task: Task) -> list[str]:
        """Give the lines of a task's last try."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task.task_id}/logs/{task.try_number}"
        entries = self._get(path, map_index=task.map_index, full_content=True)["content"]
        # Some entries are there to fold others away on Airflow's page.
        return [line for entry in entries if not (line := _line(entry)).startswith("::")]

    def _get(self, path: str, **params: Any) -> Any:
        return self._call("GET", f"/api/v2{path}", params=params)

    def _call(self, method: str, path: str, **arguments: Any) -> Any:
        response = self._session.request(method, self._url + path, timeout=30, **arguments)
        response.raise_for_status()
        return response.json()


def _line(entry: Any) -> str:
    """Make a line of a log entry: an exception is told by its kind and text."""
    if not isinstance(entry, dict):
        return str(entry)
    errors = [f"{error['exc_type']}: {error['exc_value']}" for error in entry.get("error_detail") or ()]
    return " | ".join([entry["event"], *errors])
