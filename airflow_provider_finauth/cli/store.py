"""``finauth store init`` and ``finauth store check``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from airflow_provider_finauth.cli.screen import readable, say, warn

if TYPE_CHECKING:
    from airflow_provider_finauth.runtime.config import Config

store = typer.Typer(
    name="store", no_args_is_help=True, help="Prepare the token store, and prove that it holds."
)

_MARKS = {True: ("ok", "green"), False: ("FAILED", "red"), None: ("-", None)}


@store.command()
@readable
def init() -> None:
    """Make what the token store needs on its server, and look at the server.

    For `sql` that is a table. To be run once, and again after an upgrade; it changes nothing that is there.
    """
    from airflow_provider_finauth.runtime import brokers
    from airflow_provider_finauth.runtime.config import read_config

    config = read_config()
    made = brokers.store(config)
    made.init()
    say(f"The {_name(config)} is ready. Its lock binds {made.reach}.", style="green")
    problems = made.problems()
    for problem in problems:
        warn(problem)
    if problems:
        raise typer.Exit(1)
    say("Now prove it: finauth store check")


@store.command()
@readable
def check() -> None:
    """Prove on the server itself that the token store does what tasks rely on.

    It writes, locks and removes an entry of its own, and looks at no token.
    """
    from airflow_provider_finauth.auth.stores.checking import check_store
    from airflow_provider_finauth.runtime import brokers
    from airflow_provider_finauth.runtime.config import read_config

    config = read_config()
    say(f"Checking the {_name(config)}")
    failed = 0
    for found in check_store(lambda: brokers.store(config)):
        mark, style = _MARKS[found.passed]
        say(f"  {mark:7}{found.name:17}{found.told}", style=style)
        failed += found.passed is False
    if failed:
        say(f"Failed: {failed}. Correct what is told there, and check again.", error=True)
        raise typer.Exit(1)
    made = brokers.store(config)
    if not made.binds_all:
        warn(
            f"The store '{made.name}' is shared by all workers, and its lock binds only {made.reach}. Where "
            "that is not all of them, keep what a person has authorised in the store 'sql'."
        )


def _name(config: Config) -> str:
    found = f"token store '{config.token_store}'"
    if config.token_store_conn_id is not None:
        found += f" of the connection '{config.token_store_conn_id}'"
    return found
