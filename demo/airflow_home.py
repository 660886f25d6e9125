"""An Airflow home of the demo's own, and the processes that run in it."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

import psutil
from cryptography.fernet import Fernet

ROOT = Path(__file__).resolve().parents[1]
COMPONENTS = {
    "api-server": ("api-server",),
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
}


class DemoError(Exception):
    """The demo cannot go on; the text is for the person who started it."""


class AirflowHome:
    """A home with a database, and Airflow's processes while the ``with`` block lasts.

    :param folder: the home; whatever lies there is removed
    :param environment: further environment variables of its processes, such as connections
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.url = f"http://127.0.0.1:{free_port()}"
        self.environment = {
            **_outer_environment(),
            "AIRFLOW_HOME": str(folder),
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "example_dags"),
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__FERNET_KEY": Fernet.generate_key().decode(),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            # A task is a process that imports Airflow: more at once than there are processors help nobody.
            "AIRFLOW__CORE__PARALLELISM": str((os.cpu_count() or 1) + 1),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": self.url.rpartition(":")[2],
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(32),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder}/airflow.db",
            "AIRFLOW__FINAUTH__LOCK_DIR": str(folder / "locks"),
            # Runs are started by the demo alone, not by the DAGs' schedules; see `begin_schedules`.
            "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
            **environment,
        }
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def make(self) -> None:
        """Make the home anew, with its database.

        :raises DemoError: Airflow cannot
        """
        # A demo that was killed could not stop its processes; they would hold the old database.
        self._stop_all()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        with self.log_of("migration").open("wb") as log:
            done = subprocess.run(
                [sys.executable, "-m", "airflow", "db", "migrate"],
                env=self.environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        if done.returncode:
            raise DemoError(f"Airflow could not make its database:\n{tail(self.log_of('migration'))}")

    def __enter__(self) -> Self:
        try:
            for component in COMPONENTS:
                self._start(component)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with undisturbed():
            for process in self._processes.values():
                process.terminate()
            for process in self._processes.values():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(10)
            self._stop_all()
            for process in self._processes.values():
                process.wait()

    def begin_schedules(self) -> None:
        """Let schedules start runs from now on, those of assets among them."""
        self.environment["AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE"] = "True"
        scheduler = self._processes["scheduler"]
        scheduler.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            scheduler.wait(60)
        if scheduler.poll() is None:
            scheduler.kill()
            scheduler.wait()
        self._start("scheduler")

    def _start(self, component: str) -> None:
        with self.log_of(component).open("ab") as log:
            self._processes[component] = subprocess.Popen(
                [sys.executable, "-m", "airflow", *COMPONENTS[component]],
                env=self.environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C is for us alone: we stop them, in order.
                start_new_session=True,
            )

    def check(self) -> None:
        """See whether all components still run.

        :raises DemoError: one has ended; the text shows the end of its log
        """
        for component, process in self._processes.items():
            if process.poll() is not None:
                raise DemoError(f"Airflow's {component} has ended:\n{tail(self.log_of(component))}")

    def log_of(self, component: str) -> Path:
        """Say where a component's output goes."""
        return self.folder / f"{component}.log"

    def _stop_all(self) -> None:
        """Kill what is left of our processes: Airflow's own leave children behind. The home tells them."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("AIRFLOW_HOME") == str(self.folder):
                    process.kill()


def _outer_environment() -> dict[str, str]:
    """Give our environment without anything about Airflow; all that the demo asks is on this machine."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AIRFLOW", "_AIRFLOW")) and not name.lower().endswith("_proxy")
    }


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Let no further Ctrl-C interrupt the cleaning up."""
    signals = (signal.SIGINT, signal.SIGTERM)
    handlers = [signal.signal(number, signal.SIG_IGN) for number in signals]
    try:
        yield
    finally:
        for number, handler in zip(signals, handlers, strict=True):
            signal.signal(number, handler)


def free_port() -> int:
    """Find a port of the loopback interface that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def tail(file: Path, lines: int = 30) -> str:
    """Give the end of a file."""
    return "\n".join(file.read_text(errors="replace").splitlines()[-lines:])
