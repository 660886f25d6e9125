"""DAG files import operators, and are parsed all day: an operator must not cost an HTTP library.

What is loaded already with Airflow's own DAG and BaseOperator differs between Airflow's versions, so only
what our modules add is judged, each time in an interpreter of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.airflow_environment import environment_of, outer_environment

# Libraries that speak HTTP, or that only a server, a command or a hook needs.
HEAVY = {
    "aiohttp",
    "cryptography",
    "fastapi",
    "filelock",
    "flask_appbuilder",
    "graphql",
    "httpx",
    "httpx2",
    "msgspec",
    "requests",
    "rich",
    "tenacity",
    "typer",
    "urllib3",
    "uvicorn",
    "wtforms",
}
OUR_LAYERS = {"apis", "auth", "cli", "client", "hooks", "pulls", "sandbox", "settings", "sinks", "transport"}

AIRFLOW = """
try:
    from airflow.sdk import DAG, BaseOperator
except ImportError:
    from airflow import DAG
    from airflow.models.baseoperator import BaseOperator
"""

PROGRAM = """
import importlib, json, pkgutil, sys
{baseline}
before = set(sys.modules)

def walk(name):
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(getattr(package, "__path__", []), name + "."):
        importlib.import_module(module.name)

walk(sys.argv[1])
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def _added_by(module: str, home: Path, *, baseline: str = AIRFLOW) -> list[str]:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(baseline=baseline), module],
        cwd=Path(__file__).parents[1],
        env=outer_environment() | environment_of(home),
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return list(json.loads(run.stdout.splitlines()[-1]))


def _heavy(modules: list[str]) -> set[str]:
    top_level = {name.partition(".")[0] for name in modules}
    ours = {name.split(".")[1] for name in modules if name.startswith("airflow_provider_finauth.")}
    return (top_level & HEAVY) | (ours & OUR_LAYERS)


@pytest.mark.parametrize("module", ["airflow_provider_finauth.operators", "airflow_provider_finauth.plugin"])
def test_what_airflow_imports_everywhere_is_light(module: str, tmp_path: Path) -> None:
    added = _added_by(module, tmp_path)
    assert module in added
    assert _heavy(added) == set()


def test_what_airflow_discovers_needs_nothing_but_python(tmp_path: Path) -> None:
    # Airflow 3 has loaded it by the time that its own modules are imported.
    added = _added_by("airflow_provider_finauth.get_provider_info", tmp_path, baseline="")
    assert "airflow_provider_finauth.get_provider_info" in added
    assert "airflow" not in added
    assert _heavy(added) == set()


def test_the_measure_sees_what_a_hook_imports(tmp_path: Path) -> None:
    assert {"client", "hooks", "transport"} <= _heavy(_added_by("airflow_provider_finauth.hooks", tmp_path))
