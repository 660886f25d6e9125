"""Common to all tests: an Airflow home of the test process's own, set before anything imports Airflow."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings

from tests.airflow_environment import environment_of, outer_environment

_home = Path(tempfile.mkdtemp(prefix="finauth-tests-"))
atexit.register(shutil.rmtree, _home, ignore_errors=True)
for _name in set(os.environ) - set(outer_environment()):
    del os.environ[_name]
for _folder in ("dags", "plugins", "tmp"):
    (_home / _folder).mkdir()
os.environ.update(environment_of(_home))
tempfile.tempdir = None  # Asked again, it follows the home's TMPDIR.

# How long an example takes says how busy the machine is.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

pytest_plugins = [
    "tests.airflow_harness",
    "tests.early_requests",
    "tests.passing_time",
    "tests.sandbox_process",
    "tests.servers",
    "tests.postgres_server",  # stands on tests.servers
    "tests.s3_server",  # stands on tests.servers
]
