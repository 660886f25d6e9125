"""The vendors' APIs on this machine's loopback address, for demos, tests and offline DAG work.

It is written from what the vendors document, not from this package's client, and imports nothing else of the
package: a stand-in that shared our code would share our mistakes.

Importing it costs next to nothing; the servers need the extra ``sandbox``.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from airflow_provider_finauth.sandbox.running import RunningSandbox, running_sandbox

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["RunningSandbox", "SandboxUnavailableError", "running_sandbox", "serve"]

_NEEDED = {"starlette": "starlette", "uvicorn": "uvicorn", "graphql": "graphql-core", "trustme": "trustme"}


class SandboxUnavailableError(ImportError):
    """The extra ``sandbox`` is not installed."""


def serve(
    *,
    port: int = 8765,
    tls_port: int = 8766,
    env_file: str | Path | None = None,
    records: int | None = None,
    until_stdin_closes: bool = False,
) -> None:
    """Serve all APIs on 127.0.0.1 until SIGTERM or SIGINT, and print one line when ready.

    :param port: plain HTTP, 0 for any free port
    :param tls_port: mutual TLS, for OP Corporate alone; 0 for any free port
    :param env_file: where to write ``export AIRFLOW_CONN_…`` lines for the connections
    :param records: how many records each API's largest lists hold; by default a few thousand
    :param until_stdin_closes: stop, too, when whoever started this process is gone
    :raises SandboxUnavailableError: the extra ``sandbox`` is not installed
    :raises OSError: a port is taken
    """
    missing = [package for module, package in _NEEDED.items() if find_spec(module) is None]
    if missing:
        raise SandboxUnavailableError(
            f"The sandbox needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not "
            "installed: pip install 'airflow-provider-finauth[sandbox]'."
        )
    from airflow_provider_finauth.sandbox.server import run

    run(
        port=port,
        tls_port=tls_port,
        env_file=env_file,
        records=records,
        until_stdin_closes=until_stdin_closes,
    )
