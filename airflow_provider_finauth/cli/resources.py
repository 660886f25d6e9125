"""A resource as a command: its arguments as Click parses and shows them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import click
import typer
from click.core import ParameterSource

from airflow_provider_finauth import values
from airflow_provider_finauth.client.bodies import decode_json

if TYPE_CHECKING:
    from airflow_provider_finauth.apis.resource import Argument, ArgumentKind, Resource

_FLAGS = ("true", "false")
_METAVARS: dict[ArgumentKind, str] = {"strings": "STRING,…", "object": "JSON"}
_HELP_WIDTH = 110


class _Integer(click.IntRange):
    """An integer, which Click's messages call by that name."""

    name = "integer"


class _Positional(click.Argument):
    """A positional argument, of which the help tells as much as of an option.

    :param option: that it would be
    """

    def __init__(self, option: click.Option, **attributes: Any) -> None:
        shown = option.name.upper()
        super().__init__([option.name], metavar=shown if option.required else f"[{shown}]", **attributes)
        self._option = option

    def get_help_record(self, ctx: click.Context) -> tuple[str, str]:
        """Return its line of the help."""
        names, told = self._option.get_help_record(ctx) or ("", "")
        return names.replace(self._option.opts[0], self.name.upper(), 1), told


class _Command(click.Command):
    """A command whose help lists positional arguments too, which Click does not before 8.5."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what the help tells of the parameters."""
        parameters = self.get_params(ctx)
        for title, kind in (("Arguments", click.Argument), ("Options", click.Option)):
            records = [each.get_help_record(ctx) for each in parameters if isinstance(each, kind)]
            if any(records):
                with formatter.section(title):
                    formatter.write_dl(list(filter(None, records)))


def dashed(name: str) -> str:
    """Write a name as a command line does."""
    return name.replace("_", "-")


def plain(documentation: str) -> str:
    """Write documentation as a terminal shows it."""
    return documentation.replace("``", "'")


def usage(resource: Resource) -> str:
    """Write a resource with all its arguments in a line."""
    shown = [dashed(resource.name)]
    for argument in resource.arguments:
        name = argument.name.upper() if argument.positional else _option(argument)
        shown.append(name if argument.required else f"[{name}]")
    return " ".join(shown)


def command(resource: Resource, words: Sequence[str] = ()) -> click.Command:
    """Build the command of a resource.

    :param words: of the command line: a positional argument that they give by its name is an option
    """
    named = {word.partition("=")[0] for word in words}
    return _Command(
        dashed(resource.name),
        params=[_parameter(argument, named=_option(argument) in named) for argument in resource.arguments],
        help=plain("\n\n".join(filter(None, [resource.summary, resource.notes]))),
        epilog="Where the records go: finauth pull --help",
        context_settings={"max_content_width": _HELP_WIDTH},
    )


def help_of(resource: Resource, path: str) -> str:
    """Write the help of a resource.

    :param path: the words that lead to it
    """
    shown = command(resource)
    with shown.make_context(path, [], resilient_parsing=True) as context:
        return shown.get_help(context)


def read(resource: Resource, words: Sequence[str], path: str) -> dict[str, Any]:
    """Read the arguments of a resource from the words of a command line.

    :param path: the words that lead to the resource
    :return: by name, without those that were not given
    :raises typer.Exit: they cannot be used; Click has said why
    """
    try:
        spelled = list(_spelled(resource, words))
        context = command(resource, spelled).make_context(path, spelled)
    except click.UsageError as error:
        error.show()
        raise typer.Exit(error.exit_code) from None
    return {
        name: value
        for name, value in context.params.items()
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }


def _option(argument: Argument) -> str:
    return f"--{dashed(argument.name)}"


def _parameter(argument: Argument, *, named: bool) -> click.Parameter:
    attributes: dict[str, Any] = {
        "type": _type(argument),
        "required": argument.required,
        "callback": _reading(argument),
    }
    if not argument.required:
        is_flag = isinstance(argument.default, bool)
        attributes["default"] = str(argument.default).lower() if is_flag else argument.default
    option = click.Option(
        [argument.name, _option(argument)],
        help=plain(argument.description),
        metavar=_metavar(argument),
        show_default=True,
        multiple=argument.kind == "strings",
        **attributes,
    )
    return _Positional(option, **attributes) if argument.positional and not named else option


def _type(argument: Argument) -> click.ParamType[Any]:
    match argument.kind:
        case "integer":
            return _Integer(argument.minimum, argument.maximum)
        case "choice":
            return click.Choice(argument.choices)
    return click.STRING


def _reading(argument: Argument) -> Callable[[click.Context, click.Parameter, Any], Any] | None:
    """Return what reads a value that Click knows as a string only; a refusal does not repeat it."""
    reader = _READERS.get(argument.kind)
    if reader is None:
        return None

    def callback(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
        try:
            return None if value is None else reader(value)
        except values.Unreadable as error:
            # Headers may hold a secret.
            raise click.BadParameter(str(error), context, parameter) from None

    return callback


def _metavar(argument: Argument) -> str:
    if argument.kind == "flag" or argument.choices:
        return f"[{'|'.join(argument.choices or _FLAGS)}]"
    return _METAVARS.get(argument.kind) or argument.kind.upper()


def _json(value: str) -> Any:
    """Read JSON with exact decimals."""
    try:
        return decode_json(value.encode(), None)
    except ValueError:
        raise values.Unreadable("JSON") from None


def _strings(given: str | tuple[str, ...]) -> tuple[str, ...]:
    """Read what was given once or several times, each time one string or more."""
    parts = (given,) if isinstance(given, str) else given
    return tuple(chain.from_iterable(map(values.strings, parts)))


# Of a string and a time the resource itself knows what they may be.
_READERS: dict[ArgumentKind, Callable[[Any], Any]] = {
    "flag": values.flag,
    "strings": _strings,
    "object": lambda value: values.mapping(_json(value)),
    "json": _json,
}


def _spelled(resource: Resource, words: Sequence[str]) -> Iterator[str]:
    """Write options with dashes, and give a flag that stands alone its value.

    Click would take whatever comes behind an option for its value: behind a flag a positional argument, and
    behind an option whose value was forgotten the next option.

    :raises click.UsageError: an option has no value
    """
    kinds = {_option(argument): argument.kind for argument in resource.arguments}
    for word, following in zip(words, [*words[1:], ""], strict=False):
        name, equals, value = word.partition("=")
        if not name.startswith("--"):
            yield word
            continue
        option = dashed(name)
        kind = kinds.get(option)
        if kind == "flag" and not equals and following.lower() not in _FLAGS:
            equals, value = "=", "true"
        elif kind not in (None, "flag") and not equals and following.startswith("--"):
            raise click.BadOptionUsage(option, f"Option '{option}' requires an argument.")
        yield f"{option}{equals}{value}"
