"""``finauth authorize``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from airflow_provider_finauth.cli.screen import readable, say, warn
from airflow_provider_finauth.exceptions import (
    ConfigurationError,
    CrossOriginError,
    FinauthError,
    TokenEndpointError,
)
from airflow_provider_finauth.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_finauth.auth.authorize import AuthorizationFlow, Started
    from airflow_provider_finauth.auth.broker import Broker
    from airflow_provider_finauth.auth.credentials import Credentials
    from airflow_provider_finauth.auth.tokens import TokenSet

# What a browser is sent back to where the connection does not say.
DEFAULT_PORT = 8790
_DEFAULT_PATH = "/callback"

# As long as Luca's codes are good for (its page "API: Authenticate with OAuth2"), and the most that RFC 6749
# section 4.1.2 recommends.
_CODE_MINUTES = 10


@readable
def authorize(
    conn_id: Annotated[str, typer.Argument(help="The Airflow connection.", show_default=False)],
    paste: Annotated[
        bool, typer.Option("--paste", help="Take the address that the browser ends at from the keyboard.")
    ] = False,
    port: Annotated[
        int | None,
        typer.Option(
            help="Listen at this port. It goes into the redirect URI too, unless the connection or "
            "--redirect-uri sets one.",
            min=1,
            max=65535,
            show_default=f"the redirect URI's, else {DEFAULT_PORT}",
        ),
    ] = None,
    redirect_uri: Annotated[
        str | None,
        typer.Option(
            help="Where the vendor sends the browser back to, as registered with the application.",
            show_default=f"the connection's, else http://127.0.0.1:{DEFAULT_PORT}{_DEFAULT_PATH}",
        ),
    ] = None,
    timeout: Annotated[
        float, typer.Option(help="Seconds to wait for the browser.", min=1, max=86400)
    ] = _CODE_MINUTES * 60,
) -> None:
    """Let a person authorise a connection, once; tasks then renew its tokens by themselves.

    For connections of type luca (auth_method oauth2 or oauth21) and oauth2api (grant authorization_code).
    """
    from airflow_provider_finauth.auth.endpoint import TokenEndpoint
    from airflow_provider_finauth.hooks.chosen import hook_of
    from airflow_provider_finauth.runtime.brokers import broker

    hook = hook_of(conn_id)
    begin = getattr(hook.api, "authorization_flow", None)
    if begin is None:
        raise ConfigurationError(
            f"Connection '{conn_id}' is of type '{hook.conn_type}', which needs no person: tasks obtain its "
            "tokens by themselves.",
            conn_id=conn_id,
            field="conn_type",
        )
    target = redirect_uri or hook.settings.optional("redirect_uri")
    flow: AuthorizationFlow = begin(target or f"http://127.0.0.1:{port or DEFAULT_PORT}{_DEFAULT_PATH}")
    tokens = broker()
    # A consent that could not be kept would be spent for nothing.
    _look_into_store(tokens, flow.credentials)
    flow = _discovered(flow)
    started = flow.start()
    redirected = _redirected(flow, started, paste=paste, port=port, timeout=timeout)
    consent = flow.finish(started, redirected, TokenEndpoint())
    _tell(flow.credentials, tokens, tokens.begin(flow.credentials, consent.answer))
    if consent.warning is not None:
        warn(consent.warning)


def _look_into_store(tokens: Broker, credentials: Credentials) -> None:
    from airflow_provider_finauth.auth.stores.base import UnreadableEntry
    from airflow_provider_finauth.runtime.config import read_config

    store = tokens.store
    if not store.durable:
        raise ConfigurationError(
            f"The token store '{store.name}' keeps nothing beyond this command, so tasks would not find the "
            "authorisation. Set Airflow's [finauth] token_store to another one.",
            field="token_store",
        )
    key = credentials.lineage_key(store.sealer.digest)
    try:
        with store.lock(key, read_config().lock_timeout):
            entry = store.read(key)
    except UnreadableEntry:
        warn("An authorisation is there that cannot be read. This one will take its place.")
        return
    if entry is not None and entry.payload:
        say("The connection has an authorisation already. This one will take its place.")


def _discovered(flow: AuthorizationFlow) -> AuthorizationFlow:
    """Go by what the server says about itself, if it can be asked."""
    try:
        found = flow.discover()
    except (TokenEndpointError, CrossOriginError) as error:
        warn(f"{error} The connection's addresses, or the usual ones, are used.")
        return flow
    if found.authorize_endpoint != flow.authorize_endpoint:
        warn(
            "The server names another page than the connection has, and that one is used. To make this "
            f"warning go, set the field 'authorize_endpoint' to {found.authorize_endpoint}"
        )
    return found


def _redirected(
    flow: AuthorizationFlow, started: Started, *, paste: bool, port: int | None, timeout: float
) -> str:
    """Show the vendor's page, and give the address that the person was sent back to."""
    from airflow_provider_finauth.cli.listener import Listener, is_loopback_redirect
    from airflow_provider_finauth.cli.listing import span

    if paste or not is_loopback_redirect(flow.redirect_uri):
        _show(started)
        return _pasted(flow, started)

    def belongs(members: Mapping[str, str]) -> bool:
        state = members.get("state", "")
        return started.state is None or Secret(state) == started.state

    with Listener(flow.redirect_uri, belongs=belongs, report=warn, port=port) as listener:
        _show(started)
        say(f"Waiting {span(timeout)} for the browser to come back to {flow.redirect_uri}")
        say("(Is the browser on another machine? Ctrl+C, then the same command with --paste.)")
        found = listener.wait(timeout)
    if found is None:
        raise FinauthError(f"Nobody came back within {span(timeout)}, and nothing was changed. Begin again.")
    return found


def _show(started: Started) -> None:
    say("Open this address in a browser, log in, and give consent:")
    say()
    say(started.url, style="bold")
    say()


def _pasted(flow: AuthorizationFlow, started: Started) -> str:
    say(f"It leads to {flow.redirect_uri}, which may well show an error; its address is what counts.")
    say(f"Be quick: the code in it is good for {_CODE_MINUTES} minutes at most.")
    wanted = "that whole address" if started.state is not None else "that address, or its code alone"
    # The standard input may be a pipe, and its prompt belongs to the person.
    return str(typer.prompt(f"Paste {wanted}", err=True))


def _tell(credentials: Credentials, tokens: Broker, kept: TokenSet) -> None:
    from datetime import UTC, datetime

    ends = datetime.fromtimestamp(kept.expires_at, UTC)
    say(f"Connection '{credentials.conn_id}' is authorised.", style="green")
    say(f"  scope         {kept.scope or f'{credentials.scope} (as asked for)'}")
    say(f"  token store   {tokens.store.name}")
    say(f"  access token  good until {ends:%Y-%m-%d %H:%M:%S} UTC")
    if kept.refresh_token is None:
        warn(
            "The server gave no refresh token, so a person has to come back when the access token ends. Many "
            "servers give one if the scope asks for it (often offline_access)."
        )
    else:
        say("  afterwards    tasks renew it by themselves")
