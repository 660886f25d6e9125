"""``finauth pull``."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from airflow_provider_finauth.cli.screen import readable, refuse, say, warn
from airflow_provider_finauth.exceptions import FinauthError

if TYPE_CHECKING:
    from airflow_provider_finauth.apis.resource import Resource
    from airflow_provider_finauth.client.paging.base import Page
    from airflow_provider_finauth.hooks.base import FinauthHook
    from airflow_provider_finauth.pulls.records import Records

_STANDARD_OUTPUT = "-"
# As a shell has it of a program that was interrupted, and of one whose reader went away.
_INTERRUPTED = 130
_READER_GONE = 141

# What finauth pull does not know itself is an option of the resource.
CONTEXT = {"ignore_unknown_options": True, "help_option_names": []}


@readable
def pull(
    context: typer.Context,
    conn_id: Annotated[str | None, typer.Argument(help="The Airflow connection.", show_default=False)] = None,
    resource: Annotated[
        str | None,
        typer.Argument(help="What to pull. Without it the command lists what there is.", show_default=False),
    ] = None,
    arguments: Annotated[
        list[str] | None,
        typer.Argument(help="The resource's own arguments, and --options.", show_default=False),
    ] = None,
    destination: Annotated[
        str,
        typer.Option(
            help="A path, or an address such as s3://connection@bucket/key.parquet, and the manifest is "
            "printed; - prints the records, as JSON Lines.",
        ),
    ] = _STANDARD_OUTPUT,
    format: Annotated[
        str | None,
        typer.Option(help="Where the suffix does not tell.", show_default="by the suffix of --destination"),
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Stop after so many records.", min=0)] = None,
    max_records_per_file: Annotated[
        int | None, typer.Option(help="Write numbered files of so many records at most.", min=1)
    ] = None,
    partition_by: Annotated[
        str | None, typer.Option(help="Write a folder for each date in this member.")
    ] = None,
    nested: Annotated[
        str | None,
        typer.Option(help="How CSV and Parquet hold lists and objects: json, or in Parquet struct."),
    ] = None,
    on_mismatch: Annotated[
        str | None, typer.Option(help="What a broken check does: raise, or warn and keep what came.")
    ] = None,
    incremental: Annotated[
        str | None,
        typer.Option(
            help="Pull what has changed since the last pull of this name, kept in an Airflow Variable."
        ),
    ] = None,
    overlap: Annotated[
        str | None,
        typer.Option(help="How much of the time before --incremental pulls again.", show_default="24h"),
    ] = None,
    show_help: Annotated[
        bool,
        typer.Option("--help", help="Show this; behind a connection or a resource, what there is of it."),
    ] = False,
) -> None:
    """Pull records as the operators do, without a DAG: to the standard output, or to files.

    finauth pull talenom_default vouchers 1001 --since 2026-10-01 --destination october.jsonl.gz
    """
    if conn_id is None:
        if not show_help:
            refuse("Name a connection: finauth pull CONN_ID")
        typer.echo(context.get_help())
        return
    if conn_id.startswith("-"):
        refuse(f"The connection comes first, then the resource, then {conn_id.partition('=')[0]}.")
    try:
        from airflow_provider_finauth.apis.resource import resources_of
        from airflow_provider_finauth.cli.resources import dashed, help_of, read
        from airflow_provider_finauth.hooks.chosen import hook_of

        hook = hook_of(conn_id)
        resources = {dashed(name): each for name, each in resources_of(hook.api_class).items()}
        if resource is None:
            _list(hook, resources.values())
            return
        name = dashed(resource)
        chosen = resources.get(name)
        if chosen is None:
            refuse(f"'{conn_id}' has no resource '{resource}'. It has {', '.join(resources)}.")
        path = f"finauth pull {conn_id} {name}"
        if show_help:
            say(help_of(chosen, path))
            return
        given = read(chosen, arguments or [], path)
        options = {
            "format": format,
            "max_records_per_file": max_records_per_file,
            "partition_by": partition_by,
            "nested": nested,
            "on_mismatch": on_mismatch,
            "incremental": incremental,
            "overlap": overlap,
        }
        options = {name: value for name, value in options.items() if value is not None}
        with _log_on_screen():
            records = getattr(hook, chosen.name)(**given).limit(limit)
            if destination == _STANDARD_OUTPUT:
                _print(records, name, options)
            else:
                _write_to(destination, records, name, options)
    except KeyboardInterrupt:
        say("Interrupted. No unfinished file is left.", error=True)
        raise typer.Exit(_INTERRUPTED) from None


def _list(hook: FinauthHook[Any], resources: Iterable[Resource]) -> None:
    """Show what a connection has to pull."""
    from airflow_provider_finauth.cli.resources import plain, usage

    say(f"'{hook.conn_id}' is a connection of type '{hook.conn_type}'. Its resources:")
    for each in resources:
        say()
        say(f"  {usage(each)}", style="bold")
        say(f"      {plain(each.summary)}")
    say()
    say(f"More of each: finauth pull {hook.conn_id} RESOURCE --help")


def _print(records: Records, name: str, options: dict[str, Any]) -> None:
    """Write JSON Lines to the standard output, a page at a time, as the API sent them."""
    needless = [option for option in options if option != "on_mismatch"]
    if needless:
        option = f"--{needless[0].replace('_', '-')}"
        refuse(f"{option} is for files: name one by --destination. The standard output gets JSON Lines.")
    with (
        _bar(records, name, beside_output=True),
        closing(cast("Generator[Page]", records.pages(**options))) as pages,
    ):
        for page in pages:
            _write(b"\n".join([*page.rows.lines, b""]))


def _write_to(destination: str, records: Records, name: str, options: dict[str, Any]) -> None:
    """Write files, and print their manifest."""
    with _bar(records, name):
        try:
            manifest = records.write_to(destination, **options)
        except OSError as error:
            raise FinauthError(
                f"'{destination}' could not be written: {error.strerror or type(error).__name__}."
            ) from None
    _write(json.dumps(manifest, indent=2).encode() + b"\n")


def _write(content: bytes) -> None:
    """Write to the standard output."""
    out = typer.get_binary_stream("stdout")
    try:
        out.write(content)
        out.flush()
    except OSError as error:
        # Python would flush it once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
        if isinstance(error, BrokenPipeError):
            raise typer.Exit(_READER_GONE) from None
        raise FinauthError(f"The standard output could not be written: {error.strerror}.") from None


@contextmanager
def _bar(records: Records, name: str, *, beside_output: bool = False) -> Iterator[None]:
    """Show a bar, where there is a terminal to show it on; elsewhere the log tells.

    :param beside_output: the records go to the standard output, and on a terminal both would mix
    """
    from rich.console import Console

    console = Console(stderr=True)
    if not (sys.stderr.isatty() and console.is_interactive) or (beside_output and sys.stdout.isatty()):
        yield
        return
    from airflow_provider_finauth.cli.bar import Bar

    with Bar(console, name) as bar:
        records.on_progress(bar.tell, every=0.0)
        yield
        bar.finish()


class _Screen(logging.Handler):
    """Says what is logged on the standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.levelno >= logging.WARNING:
            warn(text)
        else:
            say(text, error=True)


@contextmanager
def _log_on_screen() -> Iterator[None]:
    """Show our own log: waits that a server has asked for, and how far the pull is."""
    logger = logging.getLogger("airflow_provider_finauth")
    before = logger.level, logger.propagate
    screen = _Screen()
    logger.addHandler(screen)
    logger.setLevel(logging.INFO)
    # Airflow's handlers print to the standard output.
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(screen)
        logger.level, logger.propagate = before
