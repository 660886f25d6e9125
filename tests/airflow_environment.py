"""The environment variables of an Airflow home."""

from __future__ import annotations

import os
from pathlib import Path


def outer_environment() -> dict[str, str]:
    """Give this process's environment without anything about Airflow."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "_AIRFLOW"))}


def environment_of(home: Path) -> dict[str, str]:
    """Give the variables that make a folder an Airflow home."""
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(home / "plugins"),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        # Lock files of one home must not be those of another.
        "TMPDIR": str(home / "tmp"),
        # Nothing that an example uses calls home.
        "RUNTIME__DLTHUB_TELEMETRY": "false",
    }
