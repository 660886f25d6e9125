"""The subcommands, put together."""

from __future__ import annotations

from typing import Annotated

import typer

from airflow_provider_finauth import __version__
from airflow_provider_finauth.cli import pull as pulling
from airflow_provider_finauth.cli.authorize import authorize
from airflow_provider_finauth.cli.sandbox import sandbox
from airflow_provider_finauth.cli.store import store
from airflow_provider_finauth.cli.token import token
from airflow_provider_finauth.cli.tokens import tokens

app = typer.Typer(
    name="finauth",
    no_args_is_help=True,
    add_completion=False,
    # A traceback that shows local variables may show a secret.
    pretty_exceptions_enable=False,
)
app.command()(authorize)
app.command()(token)
app.add_typer(tokens)
app.add_typer(store)
app.command(context_settings=pulling.CONTEXT, no_args_is_help=True)(pulling.pull)
app.command()(sandbox)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"finauth {__version__}")
        raise typer.Exit


@app.callback()
def finauth(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Authorise Airflow connections, look after their tokens, pull records, try the APIs offline."""
