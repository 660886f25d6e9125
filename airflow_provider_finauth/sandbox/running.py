"""A sandbox in a process of its own, for tests: ``with running_sandbox() as sandbox: …``."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

from airflow_provider_finauth.sandbox.control import ALIASES

if TYPE_CHECKING:
    from collections.abc import Iterator

READY = "sandbox ready: "


class RunningSandbox:
    """The remote control of a running sandbox.

    :param url: its plain address, ``http://127.0.0.1:<port>``
    :param tls_url: OP Corporate's address, ``https://localhost:<port>``
    :param env_file: the file with the connections
    """

    def __init__(self, url: str, tls_url: str, env_file: Path) -> None:
        self.url = url
        self.tls_url = tls_url
        self.env_file = env_file
        self.folder = env_file.with_name(env_file.name + ".tls")
        self.ca_file = str(self.folder / "ca.pem")
        self.environment = _read_environment(env_file)
        self.connections: dict[str, dict[str, Any]] = {
            name.removeprefix("AIRFLOW_CONN_").lower(): json.loads(value)
            for name, value in self.environment.items()
        }

    def stats(self, api: str | None = None) -> dict[str, Any]:
        """What was asked so far, of all APIs or of one: counts, and the last 200 requests under ``log``."""
        answer: dict[str, Any] = self._control("GET", "stats")
        if api is None:
            return answer
        counts: dict[str, Any] = answer[ALIASES.get(api, api)]
        return counts

    def log(self, api: str, where: str | None = None) -> list[dict[str, Any]]:
        """The last requests to an API, oldest first, of one kind (``token``, ``api``, ``other``) or all."""
        return [entry for entry in self.stats(api)["log"] if where in (None, entry["where"])]

    def reset(self) -> None:
        """Forget counts, tokens, faults, consents and settings."""
        self._control("POST", "reset")

    def faults(self, api: str, kind: str, **options: Any) -> None:
        """Let the next answers of an API fail; see ``sandbox/faults.py`` for kinds and options.

        :raises ValueError: an unknown kind or option
        """
        self._control("POST", "faults", {"api": api, "kind": kind, **options})

    def settings(self, api: str, **values: Any) -> dict[str, Any]:
        """Change how an API behaves, and return its settings.

        :raises ValueError: an unknown name, or a value of another type
        """
        answer: dict[str, Any] = self._control("POST", "settings", {api: values})
        changed: dict[str, Any] = answer[api]
        return changed

    def records(self, api: str, name: str, **options: Any) -> dict[str, Any]:
        """Let rows of a list come in or change; see ``sandbox/growth.py`` for the options.

        :param name: for example ``Incidents``; docs/sandbox.md has the names
        :return: ``records``, how many there are now, and the rows that were ``added`` and ``changed``
        :raises ValueError: an unknown list or option, or a list that does not do such a thing
        """
        answer: dict[str, Any] = self._control("POST", "records", {"api": api, "list": name, **options})
        return answer

    def _control(self, method: str, path: str, body: Any = None) -> Any:
        request = Request(  # noqa: S310  # the address is our own
            f"{self.url}/_sandbox/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        # A proxy of the environment is not for loopback.
        try:
            with build_opener(ProxyHandler({})).open(request, timeout=30) as response:
                return json.load(response)
        except HTTPError as error:
            with error:
                raise ValueError(json.load(error)["error"]) from None


def _read_environment(env_file: Path) -> dict[str, str]:
    found = {}
    for line in env_file.read_text(encoding="utf-8").splitlines():
        if line.startswith("export "):
            name, _, value = shlex.split(line)[1].partition("=")
            found[name] = value
    return found


@contextmanager
def running_sandbox(*, records: int | None = None, start_timeout: float = 60.0) -> Iterator[RunningSandbox]:
    """Start a sandbox on free ports in a process of its own, and stop it at the end.

    A process, since a client under test that holds the interpreter's lock would slow a server beside it.

    :param records: how many records each API's largest lists hold; by default a few thousand
    :param start_timeout: seconds to wait until it is ready
    :raises RuntimeError: it did not start; the text says what it printed
    """
    root = str(Path(__file__).resolve().parents[2])
    environment = dict(os.environ)
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    with tempfile.TemporaryDirectory(prefix="finauth-sandbox-") as folder:
        env_file = Path(folder) / "connections.env"
        command = [sys.executable, "-m", "airflow_provider_finauth.sandbox", "--port=0", "--tls-port=0"]
        if records is not None:
            command.append(f"--records={records}")
        process = subprocess.Popen(  # noqa: S603  # our own module
            [*command, "--env-file", str(env_file), "--until-stdin-closes"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        # Killing a process that does not get ready ends the read below with an empty line.
        watchdog = threading.Timer(start_timeout, process.kill)
        watchdog.start()
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            watchdog.cancel()
            if not line.startswith(READY):
                process.kill()
                raise RuntimeError(f"The sandbox did not start: {line}{process.communicate()[1]}")
            url, tls_url = line.removeprefix(READY).split()[:2]
            yield RunningSandbox(url, tls_url, env_file)
        finally:
            watchdog.cancel()
            process.terminate()
            try:
                process.communicate(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
