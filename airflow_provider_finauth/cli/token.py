"""``finauth token``."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from airflow_provider_finauth.cli.screen import readable, refuse, say
from airflow_provider_finauth.exceptions import ConfigurationError

if TYPE_CHECKING:
    from airflow_provider_finauth.secret import Secret
    from airflow_provider_finauth.settings import Settings


@readable
def token(
    conn_id: Annotated[str, typer.Argument(help="The Airflow connection.", show_default=False)],
) -> None:
    """Show a connection's access token, for the "Try it" of a vendor's portal.

    To a person at a terminal only, after a question, and never in a task. It is the token that tasks use.
    """
    if _in_task():
        refuse("A token is not shown inside an Airflow task, where it would end up in the log.")
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        refuse(
            "A token is shown on a terminal only, not to a pipe or a file. In a program use a hook: its "
            "get_conn() gives a session that authenticates itself."
        )
    from airflow_provider_finauth.hooks.chosen import hook_of

    hook = hook_of(conn_id)
    profile = hook.api.profile
    if profile.has_fixed_key:
        raise ConfigurationError(
            f"Connection '{conn_id}' authenticates with the fixed key of its fields, so there is no token.",
            conn_id=conn_id,
        )
    question = f"Show the access token of '{conn_id}' on this terminal? Whoever reads it can use it."
    if not typer.confirm(question, default=False, err=True):
        say("Nothing was shown.", error=True)
        raise typer.Exit(1)
    found = hook.get_token()
    assert found.access_token is not None
    say("The portal expects these headers:", error=True)
    say("  Authorization: Bearer, a space, and the token below", error=True)
    for name, value in profile.secret_headers.items():
        field = _field_of(hook.settings, value)
        say(f"  {name}: the value of the connection's field '{field}'", error=True)
    say("The token:", error=True)
    typer.echo(found.access_token.reveal())


def _in_task() -> bool:
    """Tell whether this runs for a task: by its environment, which a task's commands inherit too."""
    from airflow_provider_finauth.runtime.door import supervised

    return any(name.startswith("AIRFLOW_CTX_") for name in os.environ) or supervised()


def _field_of(settings: Settings, secret: Secret) -> str:
    """Find the field that a secret header comes from."""
    from airflow_provider_finauth.connections import CONNECTION_TYPES

    for field in CONNECTION_TYPES[settings.conn_type]:
        value = settings.get(field.name)
        if value == secret or value == secret.reveal():
            return field.name
    return "secret_headers"
