"""What a hook can pull: its list methods, and their arguments as a command line gives them."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_finauth.cli.screen import refuse

if TYPE_CHECKING:
    from airflow_provider_finauth.hooks.base import FinauthHook

Kind = Literal["text", "texts", "flag", "object", "json"]

# Said with where the records go, since every resource takes it.
_EVERYWHERE = frozenset({"limit"})
_SEES = re.compile(r"[;,]? see :meth:`[^`]*`")
_NAMED = re.compile(r":\w+:`[^`]*?([\w]+)`")
_PARAM = re.compile(r"^\s*:param (\w+):(.*?)(?=^\s*:|^\s*$|\Z)", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Argument:
    """One argument of a list method.

    :param name: as the method calls it
    :param kind: what its text stands for; ``texts`` may be given several times
    :param positional: may be given without its name
    :param required: the method has no default
    :param text: what it is
    """

    name: str
    kind: Kind
    positional: bool
    required: bool
    text: str

    @property
    def option(self) -> str:
        """As an option."""
        return f"--{dashed(self.name)}"

    @property
    def label(self) -> str:
        """As a list of the arguments names it."""
        return dashed(self.name).upper() if self.positional else self.option

    @property
    def shown(self) -> str:
        """As a command line with all arguments shows it."""
        return self.label if self.required else f"[{self.label}]"

    def read(self, texts: list[str]) -> Any:
        """Give the value that the command line's texts stand for."""
        if self.kind in ("object", "json"):
            return _read_json(self, texts[-1])
        return texts if self.kind == "texts" and len(texts) > 1 else texts[-1]


@dataclass(frozen=True)
class Resource:
    """One list method.

    :param name: with dashes
    :param method: gives the records
    :param text: what they are
    :param arguments: of the method
    """

    name: str
    method: Callable[..., Any]
    text: str
    arguments: tuple[Argument, ...]

    @property
    def shown(self) -> str:
        """The resource with all its arguments."""
        return " ".join([self.name, *(argument.shown for argument in self.arguments)])

    def read(self, words: Sequence[str]) -> dict[str, Any]:
        """Read the arguments from the words of a command line.

        :raises typer.Exit: one is not known, is missing, or has no value; it has been said which
        """
        by_option = {argument.option: argument for argument in self.arguments}
        given: dict[Argument, list[str]] = {}
        plain = []
        left = list(words)
        while left:
            word = left.pop(0)
            if not word.startswith("--"):
                plain.append(word)
                continue
            option, equals, value = word.partition("=")
            argument = by_option.get(option.replace("_", "-"))
            if argument is None:
                refuse(f"'{self.name}' takes no {option}. {self._takes()}")
            if not equals:
                value = _value(argument, left)
            given.setdefault(argument, []).append(value)
        places = [argument for argument in self.arguments if argument.positional and argument not in given]
        if len(plain) > len(places):
            refuse(f"'{self.name}' does not take {len(plain)} arguments without a name. {self._takes()}")
        given |= {argument: [word] for argument, word in zip(places, plain, strict=False)}
        missing = [a.shown for a in self.arguments if a.required and a not in given]
        if missing:
            refuse(f"'{self.name}' wants {', '.join(missing)}. {self._takes()}")
        return {argument.name: argument.read(texts) for argument, texts in given.items()}

    def _takes(self) -> str:
        found = ", ".join(argument.shown for argument in self.arguments)
        return f"It takes {found or 'nothing'}; and see `finauth pull --help`."


def dashed(name: str) -> str:
    """Write a name as a command line does."""
    return name.replace("_", "-")


def resources_of(hook: FinauthHook[Any]) -> dict[str, Resource]:
    """Give what a hook can pull, its own lists before those of any path."""
    found: dict[str, Resource] = {}
    for base in type(hook).__mro__:
        for name, function in vars(base).items():
            if not name.startswith("_") and inspect.isfunction(function) and _gives_records(function):
                found.setdefault(dashed(name), _resource(hook, name))
    return dict(sorted(found.items(), key=lambda item: item[0] == "records"))


def _gives_records(function: Callable[..., Any]) -> bool:
    return bool(inspect.signature(function).return_annotation == "Records")


def _resource(hook: FinauthHook[Any], name: str) -> Resource:
    described = list(_described(hook, name))
    texts: dict[str, str] = {}
    parameters: dict[str, inspect.Parameter] = {}
    for function in described:
        for param, text in _PARAM.findall(inspect.getdoc(function) or ""):
            texts.setdefault(param, _plain(text))
    for function in _chain(hook, name):
        for param in inspect.signature(function).parameters.values():
            if param.name not in ("self", *_EVERYWHERE) and param.kind is not param.VAR_KEYWORD:
                parameters.setdefault(param.name, param)
    arguments = [_argument(param, texts.get(param.name, "")) for param in parameters.values()]
    return Resource(
        name=dashed(name),
        method=getattr(hook, name),
        text=_plain((inspect.getdoc(described[0]) or "").partition("\n\n")[0]),
        # Those without a name stand first.
        arguments=tuple(sorted(arguments, key=lambda argument: not argument.positional)),
    )


def _chain(hook: FinauthHook[Any], name: str) -> Iterator[Callable[..., Any]]:
    """Give the functions that a call reaches as far as its keyword arguments are handed on."""
    from airflow_provider_finauth.client.paging.named import pull_of

    for base in type(hook).__mro__:
        if (function := vars(base).get(name)) is not None:
            yield function
            if all(p.kind is not p.VAR_KEYWORD for p in inspect.signature(function).parameters.values()):
                return
    yield pull_of


def _described(hook: FinauthHook[Any], name: str) -> Iterator[Callable[..., Any]]:
    """Give the functions whose documentation speaks of the arguments; the API's own knows most."""
    yield from _chain(hook, name)
    of_api = getattr(type(hook).api_class, name, None)
    if of_api is not None:
        yield of_api


def _argument(param: inspect.Parameter, text: str) -> Argument:
    return Argument(
        name=param.name,
        kind=_kind(str(param.annotation).split(" | ")),
        positional=param.kind is param.POSITIONAL_OR_KEYWORD and param.default is param.empty,
        required=param.default is param.empty,
        text=text,
    )


def _kind(annotated: Iterable[str]) -> Kind:
    for part in annotated:
        name = part.partition("[")[0]
        if name in _KINDS:
            return _KINDS[name]
    return "text"


_KINDS: dict[str, Kind] = {"bool": "flag", "Iterable": "texts", "Mapping": "object", "Any": "json"}


def _value(argument: Argument, left: list[str]) -> str:
    """Take an option's value from the words that are left."""
    if argument.kind == "flag" and (not left or left[0].lower() not in ("true", "false")):
        return "true"
    if not left or left[0].startswith("--"):
        refuse(f"{argument.option} wants a value: {argument.option} VALUE, or {argument.option}=VALUE.")
    return left.pop(0)


def _read_json(argument: Argument, text: str) -> Any:
    # The text is not shown: headers may hold a secret.
    wanted = "a JSON object" if argument.kind == "object" else "JSON"
    try:
        value = json.loads(text, parse_float=Decimal)
    except ValueError:
        refuse(f"""{argument.option} wants {wanted}, for example {argument.option} '{{"name": "value"}}'.""")
    if argument.kind == "object" and not isinstance(value, dict):
        refuse(f"""{argument.option} wants {wanted}, for example {argument.option} '{{"name": "value"}}'.""")
    return value


def _plain(text: str) -> str:
    """Write documentation as a terminal shows it."""
    text = _NAMED.sub(r"\1", _SEES.sub("", text)).replace("``", "'")
    return " ".join(text.split())
