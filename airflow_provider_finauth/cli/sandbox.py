"""``finauth sandbox``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from airflow_provider_finauth.cli.screen import say


def sandbox(
    port: Annotated[
        int, typer.Option(help="Port of plain HTTP on 127.0.0.1; 0 takes any free one.", min=0, max=65535)
    ] = 8765,
    tls_port: Annotated[
        int, typer.Option(help="Port of mutual TLS, for OP Corporate; 0 takes any.", min=0, max=65535)
    ] = 8766,
    records: Annotated[
        int | None,
        typer.Option(
            help="How many records each API's largest lists hold; by default a few thousand.", min=1
        ),
    ] = None,
    env_file: Annotated[
        Path | None, typer.Option(help="Write the connections here, as lines to `source`.")
    ] = None,
) -> None:
    """Serve all APIs on this machine, with made-up data, until Ctrl+C.

    It takes the place of the vendors for demos, tests and offline work on DAGs, and prints one line when it
    is ready.
    """
    from airflow_provider_finauth.sandbox import SandboxUnavailableError, serve

    try:
        serve(port=port, tls_port=tls_port, env_file=env_file, records=records)
    except (OSError, SandboxUnavailableError) as error:
        say(f"Error: {error}", style="red", error=True)
        raise typer.Exit(1) from None
