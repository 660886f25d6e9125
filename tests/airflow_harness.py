"""A real Airflow for tests: whichever one is installed where the tests run, in a home of its own.

``make_home()`` gives an :class:`AirflowHome` with a migrated SQLite database; its methods run Airflow's
commands, Python programs, and whole DAGs in it. ``RunningAirflow`` starts the long-lived processes.
Fixtures: ``airflow_home`` (new for each test) and ``metadata_database`` (that of the test process itself).
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.metadata
import json
import os
import secrets
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import psutil
import pytest
from cryptography.fernet import Fernet

from tests.airflow_environment import environment_of, outer_environment

ROOT = Path(__file__).resolve().parents[1]
AIRFLOW_3 = int(importlib.metadata.version("apache-airflow").partition(".")[0]) >= 3
needs_airflow_3 = pytest.mark.skipif(not AIRFLOW_3, reason="Airflow 2 has no such thing")

# Airflow's commands take seconds, and the machines that run tests are small and busy.
PATIENCE = 300.0


@dataclass
class AirflowHome:
    """An Airflow home with a database.

    :param path: the folder
    :param environment: what its processes are started with; may be changed
    """

    path: Path
    environment: dict[str, str] = field(repr=False)

    def run(
        self, *command: str, check: bool = True, timeout: float = PATIENCE, input: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in this home and give what it printed.

        :param check: a failure is an ``AssertionError`` that shows what was printed
        """
        done = subprocess.run(
            command,
            cwd=self.path,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            input=input,
        )
        if check and done.returncode:
            raise AssertionError(f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done

    def airflow(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run an ``airflow`` command, for example ``home.airflow("dags", "test", "my_dag")``."""
        return self.run(sys.executable, "-m", "airflow", *arguments, **options)

    def python(self, program: str, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a Python program, given as its text."""
        return self.run(sys.executable, "-c", program, *arguments, **options)

    def add_connection(self, conn_id: str, **fields: Any) -> None:
        """Put a connection into the metadata database.

        :param fields: ``conn_type``, ``host``, ``login``, ``password``, ``port``, ``extra`` (a mapping)
        """
        self.add_connections({conn_id: fields})

    def add_connections(self, connections: Mapping[str, Mapping[str, Any]]) -> None:
        """Put several connections into the metadata database, in one command."""
        file = self.path / "connections.json"
        file.write_text(json.dumps(connections))
        try:
            self.airflow("connections", "import", "--overwrite", str(file))
        finally:
            file.unlink()

    def add_dag(self, name: str, source: str) -> Path:
        """Write a DAG file.

        :param name: without its suffix
        """
        file = self.path / "dags" / f"{name}.py"
        file.write_text(source)
        return file

    def add_plugin(self, name: str, source: str) -> Path:
        """Write a plugin file.

        :param name: without its suffix
        """
        file = self.path / "plugins" / f"{name}.py"
        file.write_text(source)
        return file

    def test_dag(self, dag_id: str, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a DAG by ``airflow dags test``.

        The command of Airflow 3 wants the DAG in the database first.
        """
        if AIRFLOW_3:
            self.airflow("dags", "reserialize")
        return self.airflow("dags", "test", dag_id, *arguments, **options)


def make_home(folder: Path, options: Mapping[str, str] | None = None) -> AirflowHome:
    """Make an Airflow home with a migrated database.

    :param folder: made if it is missing
    :param options: more environment variables, for example ``{"AIRFLOW__FINAUTH__TOKEN_STORE": "memory"}``
    """
    environment = outer_environment() | environment_of(folder)
    environment["AIRFLOW__CORE__FERNET_KEY"] = Fernet.generate_key().decode()
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    # Airflow 2 starts the command by its name.
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    environment |= options or {}
    for name in ("dags", "plugins", "tmp"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    home = AirflowHome(folder, environment)
    shutil.copyfile(_migrated_database(), folder / "airflow.db")
    return home


_template: list[Path] = []


def _migrated_database() -> Path:
    """Migrate one database a test process; each home gets a copy."""
    if not _template:
        folder = Path(tempfile.mkdtemp(prefix="finauth-template-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        (folder / "tmp").mkdir()
        environment = outer_environment() | environment_of(folder)
        AirflowHome(folder, environment).airflow("db", "migrate")
        _template.append(folder / "airflow.db")
    return _template[0]


def until(condition: Callable[[], Any], what: str, *, patience: float = PATIENCE) -> Any:
    """Look again and again until a condition holds, and give what it gave.

    :param what: said when it never does
    """
    ends = time.monotonic() + patience
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > ends:
            raise AssertionError(f"{what}: not within {patience:.0f} s")
        time.sleep(0.1)


def free_port() -> int:
    """Give a port of the loopback interface that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class RunningAirflow:
    """Airflow's long-lived processes in a home, for the length of a ``with`` block.

    :param home: the home; its environment is told the port
    :param components: by default all that run tasks: in Airflow 3 the API server, the scheduler and the DAG
        processor, in Airflow 2 the scheduler. ``triggerer`` may be added
    """

    def __init__(self, home: AirflowHome, components: tuple[str, ...] | None = None) -> None:
        self.home = home
        self.components = components or (
            ("api-server", "scheduler", "dag-processor") if AIRFLOW_3 else ("scheduler",)
        )
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        self.home.environment |= {
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(64),
            # The API server's first answer takes longer than a task would wait, on a busy machine.
            "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
            "AIRFLOW__CORE__PARALLELISM": "2",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "2",
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
        }
        if AIRFLOW_3:
            self.home.environment["AIRFLOW__CORE__EXECUTOR"] = "LocalExecutor"
        try:
            for component in self.components:
                self._start(component)
                if component == "api-server":
                    # Before anybody asks it: a scheduler gives a task up that cannot report.
                    self.until(self._answers, "the API server answers")
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def log(self, component: str) -> str:
        """Give what a component has printed."""
        return (self.home.path / f"{component}.log").read_text(errors="replace")

    def until(self, condition: Callable[[], Any], what: str, *, patience: float = PATIENCE) -> Any:
        """Do as :func:`until`, but give up, and show why, as soon as a component has ended."""

        def look() -> Any:
            for component, process in zip(self.components, self._processes, strict=False):
                if process.poll() is not None:
                    raise AssertionError(f"{component} ended")
            return condition()

        try:
            return until(look, what, patience=patience)
        except AssertionError as error:
            said = "\n".join(
                f"--- {name}\n{self.log(name)[-5000:]}" for name in self.components[: len(self._processes)]
            )
            raise AssertionError(f"{error}\n{said}") from None

    def _start(self, component: str) -> None:
        with (self.home.path / f"{component}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "airflow", component],
                cwd=self.home.path,
                env=self.home.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._processes.append(process)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False

    def _stop(self) -> None:
        for process in self._processes:
            process.send_signal(signal.SIGTERM)
        for process in self._processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(15)
        # A stopped component leaves children behind; ours are known by their home.
        for left in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if left.environ().get("AIRFLOW_HOME") == str(self.home.path):
                    left.kill()
        for process in self._processes:
            process.wait()


@pytest.fixture
def airflow_home(tmp_path: Path) -> AirflowHome:
    """Give an Airflow home of the test's own."""
    return make_home(tmp_path / "airflow")


def _has_tables(database: Path) -> bool:
    if not database.exists():
        return False
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return bool(connection.execute("select 1 from sqlite_master where name = 'variable'").fetchall())


@pytest.fixture(scope="session")
def metadata_database() -> Iterator[Path]:
    """Give the test process's own ``AIRFLOW_HOME`` a migrated database."""
    database = Path(os.environ["AIRFLOW_HOME"]) / "airflow.db"
    # Whoever opens a database that is not there yet makes a file without tables.
    if not _has_tables(database):
        from airflow import settings

        settings.Session.remove()
        settings.engine.dispose()
        for file in database.parent.glob("airflow.db*"):
            file.unlink()
        shutil.copyfile(_migrated_database(), database)
    return database
