"""What a person reads: plain sentences, errors without tracebacks."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NoReturn, ParamSpec

import typer

from airflow_provider_finauth.exceptions import FinauthError

P = ParamSpec("P")

REFUSED = 2


def say(text: str = "", *, style: str | None = None, error: bool = False) -> None:
    """Print a text, unbroken, since an address in it has to survive being copied.

    :param style: of rich
    :param error: to the standard error instead
    """
    from rich.console import Console

    # Some of it are a server's own words, which must not reach into the terminal.
    printable = "".join(char if char.isprintable() or char == "\n" else "�" for char in text)
    console = Console(stderr=error, markup=False, emoji=False, highlight=False, soft_wrap=True)
    console.print(printable, style=style)


def warn(text: str) -> None:
    """Print a warning to the standard error."""
    say(f"Warning: {text}", style="yellow", error=True)


def refuse(text: str) -> NoReturn:
    """Say why the command does nothing here, and end it."""
    say(text, error=True)
    raise typer.Exit(REFUSED)


def readable(command: Callable[P, None]) -> Callable[P, None]:
    """Let a command end with one message and exit code 1 instead of a traceback."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except FinauthError as error:
            say(f"Error: {error}", style="red", error=True)
            raise typer.Exit(1) from None

    return wrapped
