"""``finauth tokens``: list, forget, refresh."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from airflow_provider_finauth.cli.screen import readable, say, warn
from airflow_provider_finauth.exceptions import ConfigurationError, ConnectionNotFoundError

if TYPE_CHECKING:
    from airflow_provider_finauth.auth.credentials import Credentials
    from airflow_provider_finauth.auth.inventory import Inventory

tokens = typer.Typer(
    name="tokens", help="Show which tokens are kept, forget them, renew them. Never a value."
)

_CONN_ID = Annotated[str, typer.Argument(help="The Airflow connection.", show_default=False)]
_JSON = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


@tokens.callback(invoke_without_command=True)
def plain(context: typer.Context, as_json: _JSON = False) -> None:
    """Show which tokens are kept, forget them, renew them. Never a value."""
    if context.invoked_subcommand is None:
        list_tokens(as_json)


@tokens.command("list")
@readable
def list_tokens(as_json: _JSON = False) -> None:
    """List what the token store keeps: whose token, how old, until when, and what stands in its way."""
    from airflow_provider_finauth.auth.inventory import take_inventory
    from airflow_provider_finauth.cli import listing
    from airflow_provider_finauth.runtime import brokers
    from airflow_provider_finauth.runtime.config import read_config

    store = brokers.store(read_config())
    inventory = take_inventory(store)
    if as_json:
        typer.echo(listing.as_json(inventory, store.name))
        return
    for line, style in listing.lines(inventory, store.name):
        say(line, style=style)


@tokens.command()
@readable
def forget(
    conn_id: _CONN_ID,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    refusals: Annotated[
        bool,
        typer.Option("--refusals", help="Forget refusals only, so that the server is asked again at once."),
    ] = False,
) -> None:
    """Forget a connection's token, and that its server has refused it.

    Works for a connection that Airflow has no more, too. What a person gave, a person has to give again.
    """
    from airflow_provider_finauth.auth.forgetting import forget as forget_all
    from airflow_provider_finauth.auth.forgetting import lift_refusals
    from airflow_provider_finauth.auth.inventory import take_inventory
    from airflow_provider_finauth.runtime import brokers
    from airflow_provider_finauth.runtime.config import read_config

    config = read_config()
    store = brokers.store(config)
    credentials = _credentials(conn_id)
    if refusals:
        lifted = lift_refusals(store, conn_id, credentials)
        say(f"Forgotten: {_counted(lifted, 'refusal')} of '{conn_id}'. Tokens were left alone.")
        return
    if not yes:
        _ask(conn_id, credentials, take_inventory(store), store.sealer.digest)
    done = forget_all(store, conn_id, credentials, timeout=config.lock_timeout)
    found = [
        _counted(number, name)
        for number, name in (
            (done.tokens, "token"),
            (done.authorisations, "authorisation"),
            (done.refusals, "refusal"),
        )
        if number
    ]
    if not found:
        say(f"The token store '{store.name}' keeps nothing of '{conn_id}'.")
        return
    say(f"Forgotten of '{conn_id}': {', '.join(found)}.", style="green")
    say("A task that is at work may use the token it has until it ends.")
    if done.authorisations:
        say(f"A person has to authorise it again: finauth authorize {conn_id}")


@tokens.command()
@readable
def refresh(conn_id: _CONN_ID) -> None:
    """Renew a connection's token now, for all tasks that share it."""
    from airflow_provider_finauth.cli.listing import moment
    from airflow_provider_finauth.hooks.chosen import hook_of

    hook = hook_of(conn_id)
    if hook.api.profile.has_fixed_key:
        raise _no_token(conn_id)
    renewed = hook.refresh_token()
    found = renewed.tokens
    until = f"  good until {moment(found.expires_at)}"
    if not renewed.is_new:
        warn(
            f"Connection '{conn_id}' keeps its token, number {found.generation} of its line: a request for a "
            "new one got no answer, and is repeated when the old one ends."
        )
        say(until)
        raise typer.Exit(1)
    say(f"Connection '{conn_id}' has a new token, number {found.generation} of its line.", style="green")
    say(until)


def _credentials(conn_id: str) -> Credentials | None:
    """Read a connection's credentials; None if Airflow has no such connection, or it cannot be used."""
    from airflow_provider_finauth.auth.credentials import FixedCredentials
    from airflow_provider_finauth.hooks.chosen import hook_of

    try:
        found: Any = hook_of(conn_id).api.profile.credentials
    except (ConfigurationError, ConnectionNotFoundError) as error:
        warn(f"{error} What is kept under its name is looked for all the same.")
        return None
    if isinstance(found, FixedCredentials):
        raise _no_token(conn_id)
    credentials: Credentials = found
    return credentials


def _no_token(conn_id: str) -> ConfigurationError:
    return ConfigurationError(
        f"Connection '{conn_id}' authenticates with the fixed key of its fields, so there is no token.",
        conn_id=conn_id,
    )


def _ask(conn_id: str, credentials: Credentials | None, inventory: Inventory, digest: Any) -> None:
    """Ask a person; of an authorisation in so many words.

    :raises typer.Exit: they do not want it
    """
    key = credentials.lineage_key(digest) if credentials is not None else None
    if any(
        lineage.authorised and (lineage.conn_id == conn_id or lineage.key == key)
        for lineage in inventory.lineages
    ):
        warn(
            f"A person has authorised '{conn_id}'. Its tasks will fail from then on, until a person "
            f"authorises it again by `finauth authorize {conn_id}`. Nothing brings back what was forgotten."
        )
        agreed = (
            typer.prompt(
                f"Type {conn_id} to forget the authorisation", default="", show_default=False, err=True
            )
            == conn_id
        )
    else:
        agreed = typer.confirm(
            f"Forget the token of '{conn_id}'? Tasks will ask for another one.", default=False, err=True
        )
    if not agreed:
        say("Nothing was forgotten.", error=True)
        raise typer.Exit(1)


def _counted(number: int, name: str) -> str:
    return f"{number} {name}" if number == 1 else f"{number} {name}s"
