"""The declaration of a resource: a list that an API offers, with its arguments, its key and its times.

A resource is declared once, as a method of an :class:`.Api` that describes its :class:`.Pull`::

    @resource(key="id", window="createdOn", changes=Changes(fields=("createdOn",), filtered=True))
    def orders(self, product_id: str, *, since: Since = None, until: Until = None) -> Pull:
        \"\"\"Pull a product's orders.\"\"\"

The hook's method, the operator, the command, the documentation and the tests are all made from that. What an
argument means, and its bounds, stand in its annotation, as a ``msgspec.Meta``; everything else about it is in
the signature. Whatever a caller or a template gives is read by its annotation before the method sees it.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from difflib import get_close_matches
from functools import cached_property, wraps
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Concatenate,
    Literal,
    ParamSpec,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from msgspec import Meta

from airflow_provider_finauth import values
from airflow_provider_finauth.client.paging.changes import Changes
from airflow_provider_finauth.exceptions import ConfigurationError
from airflow_provider_finauth.values import When

if TYPE_CHECKING:
    from airflow_provider_finauth.client.paging.base import Pull

A = TypeVar("A")
P = ParamSpec("P")

ArgumentKind = Literal["string", "integer", "flag", "choice", "strings", "time", "object", "json"]
FieldType = Literal["string", "integer", "decimal", "boolean", "date", "timestamp", "json"]

# What all resources with times take; each says by `window` what the two speak of.
Since = Annotated[When | None, Meta(description="the first moment wanted")]
Until = Annotated[When | None, Meta(description="the first moment no longer wanted")]


@dataclass(frozen=True)
class RecordField:
    """A member of a record, as the vendor documents it.

    :param name: the member
    :param type: what its values are
    :param meaning: in a few words
    """

    name: str
    type: FieldType
    meaning: str = ""


@dataclass(frozen=True, kw_only=True)
class Argument:
    """One argument of a resource.

    :param name: as the method calls it
    :param kind: what its values are
    :param annotation: the type that the method declares, with None where it may be left out by it
    :param positional: may be given without its name
    :param default: what holds where it is not given
    :param description: what it means
    :param choices: the only values, for the kinds ``choice`` and ``strings``; empty where any will do
    :param minimum: for the kind ``integer``
    :param maximum: for the kind ``integer``
    :param renderer: what Airflow's page of rendered templates shows it as
    :param extension: of a file whose content is the value
    :param takes_blank: an empty string is a value of its own, and does not leave the argument open
    """

    name: str
    kind: ArgumentKind
    annotation: Any
    positional: bool
    default: Any
    description: str
    choices: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None
    renderer: str | None = None
    extension: str | None = None
    takes_blank: bool = False

    @property
    def required(self) -> bool:
        """Whether it has no default."""
        return self.default is inspect.Parameter.empty

    @property
    def optional(self) -> bool:
        """Whether None, or an empty string as a template gives one, leaves it open."""
        return type(None) in get_args(self.annotation)

    def read(self, value: Any) -> Any:
        """Read what a caller or a template gave.

        :return: of the declared type; an iterable is read into a tuple
        :raises ConfigurationError: it is of another kind, or out of bounds
        """
        if self.optional and (value is None or (value == "" and not self.takes_blank)):
            return None
        if value == "" and self.takes_blank:
            return value
        match self.kind:
            case "integer":
                return values.argument(
                    self.name, values.integer, value, minimum=self.minimum, maximum=self.maximum
                )
            case "flag":
                return values.argument(self.name, values.flag, value)
            case "choice":
                return values.argument(self.name, values.choice, value, self.choices)
            case "strings":
                found = values.argument(self.name, values.strings, value)
                for each in found if self.choices else ():
                    values.argument(self.name, values.choice, each, self.choices)
                return found
            case "string":
                # An id may come as a number.
                return values.argument(self.name, values.string, str(value) if type(value) is int else value)
            case "time":
                # What kind of time an API knows is its own affair: the method reads it, by `apis/windows.py`.
                return value
            case "object":
                return values.argument(self.name, values.mapping, value)
        return value


@dataclass(frozen=True, kw_only=True)
class Resource:
    """A list that an API offers.

    :param method: describes its pull
    :param key: the member that names a record
    :param version: the member that tells which of two states of a record is the newer
    :param window: the time that ``since`` and ``until`` speak of: a member, or in words
    :param whole_days: the API knows that time by the day only
    :param changes: what tells when a record changed
    :param fields: the members that the vendor documents
    """

    method: Callable[..., Pull]
    key: str | None = None
    version: str | None = None
    window: str | None = None
    whole_days: bool = False
    changes: Changes | None = None
    fields: tuple[RecordField, ...] = ()

    @property
    def name(self) -> str:
        """The resource's name, which its methods and commands have too."""
        return self.method.__name__

    @property
    def summary(self) -> str:
        """What it brings, as a sentence in the imperative."""
        return (inspect.getdoc(self.method) or "").partition("\n\n")[0]

    @property
    def notes(self) -> str:
        """What there is to know of it besides; may be empty."""
        return (inspect.getdoc(self.method) or "").partition("\n\n")[2]

    @cached_property
    def signature(self) -> inspect.Signature:
        """The method's own, without ``self``."""
        whole = inspect.signature(self.method)
        return whole.replace(parameters=list(whole.parameters.values())[1:])

    @cached_property
    def arguments(self) -> tuple[Argument, ...]:
        """Its arguments, in the order of the signature."""
        hints = get_type_hints(self.method, include_extras=True)
        found = (_argument(each, hints[each.name]) for each in self.signature.parameters.values())
        return tuple(self._timed(each) if each.name in ("since", "until") else each for each in found)

    def _timed(self, argument: Argument) -> Argument:
        """Say in what an argument means which time it speaks of."""
        if self.window is None:
            return argument
        by = f"{argument.description}, by {self.window}"
        return replace(argument, description=f"{by}; a midnight" if self.whole_days else by)

    @property
    def has_window(self) -> bool:
        """Whether a time can be asked for."""
        return {"since", "until"} <= {argument.name for argument in self.arguments}

    @property
    def documentation(self) -> str:
        """What the docstring of a method that takes its arguments says."""
        described = [f":param {each.name}: {each.description}" for each in self.arguments]
        parts = [self.summary, self.notes, "\n".join(described)]
        return "\n\n".join(filter(None, parts))

    def signature_returning(self, result: type) -> inspect.Signature:
        """Return the signature of a method that takes its arguments and returns something else."""
        own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        parameters = [
            self.signature.parameters[each.name].replace(annotation=each.annotation)
            for each in self.arguments
        ]
        return inspect.Signature([own, *parameters], return_annotation=result)

    def read(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Read the arguments of a call.

        :return: by name, without those that were not given
        :raises ConfigurationError: one is missing, not known or not of its kind
        """
        try:
            given = self.signature.bind(*args, **kwargs).arguments
        except TypeError as fault:
            problem = str(fault)
        else:
            return {each.name: each.read(given[each.name]) for each in self.arguments if each.name in given}
        names = [each.name for each in self.arguments]
        unplaced = [each.name for each in self.arguments if not each.positional]
        close = [near for name in kwargs if name not in names for near in get_close_matches(name, names, 1)]
        raise ConfigurationError(
            f"'{self.name}': {problem}."
            + (f" Did you mean '{close[0]}'?" if close else "")
            + f" It takes {', '.join(names) or 'no arguments'}"
            + (f"; {', '.join(unplaced)} by name." if unplaced else ".")
        )

    def describe(self, api: object, given: Mapping[str, Any]) -> Pull:
        """Describe the pull.

        :param given: what :meth:`read` made of the arguments
        :raises ConfigurationError: they do not fit together
        """
        pull = self.method(api, **given)
        return replace(
            pull,
            resource=pull.resource or self.name,
            key=pull.key or self.key,
            version=pull.version or self.version,
            changes=pull.changes or self.changes,
        )


def resource(
    *,
    key: str | None = None,
    version: str | None = None,
    window: str | None = None,
    whole_days: bool = False,
    changes: Changes | None = None,
    fields: Iterable[RecordField] = (),
) -> Callable[[Callable[Concatenate[A, P], Pull]], Callable[Concatenate[A, P], Pull]]:
    """Declare a method of an API as a resource; see :class:`Resource` for the parameters.

    What the method's own :class:`.Pull` says (a key, a version, a name, changes) goes before what is said
    here.
    """

    def declare(method: Callable[Concatenate[A, P], Pull]) -> Callable[Concatenate[A, P], Pull]:
        declared = Resource(
            method=method,
            key=key,
            version=version,
            window=window,
            whole_days=whole_days,
            changes=changes,
            fields=tuple(fields),
        )

        @wraps(method)
        def pull(api: A, /, *args: P.args, **kwargs: P.kwargs) -> Pull:
            return declared.describe(api, declared.read(*args, **kwargs))

        pull.resource = declared  # type: ignore[attr-defined]
        return pull

    return declare


def resource_of(method: Callable[..., Pull]) -> Resource:
    """Return what a method was declared as."""
    found: Resource = method.resource  # type: ignore[attr-defined]
    return found


def resources_of(api_class: type) -> dict[str, Resource]:
    """Collect the resources of an API by name: its own in the order of its file, then what all have."""
    found: dict[str, Resource] = {}
    for base in api_class.__mro__:
        for member in vars(base).values():
            declared = getattr(member, "resource", None)
            if isinstance(declared, Resource):
                found.setdefault(declared.name, declared)
    return found


def _argument(parameter: inspect.Parameter, hint: Any) -> Argument:
    hint, meta = _without_meta(hint)
    members = [each for each in _members(hint) if each is not type(None)]
    kind, choices = _kind(members)
    shown: Mapping[str, Any] = meta.extra or {}
    return Argument(
        name=parameter.name,
        kind=kind,
        annotation=hint,
        positional=parameter.kind is parameter.POSITIONAL_OR_KEYWORD,
        default=parameter.default,
        description=meta.description or "",
        choices=choices,
        minimum=None if meta.ge is None else int(meta.ge),
        maximum=None if meta.le is None else int(meta.le),
        renderer=shown.get("renderer"),
        extension=shown.get("extension"),
        takes_blank=shown.get("takes_blank", False),
    )


def _without_meta(hint: Any) -> tuple[Any, Meta]:
    if get_origin(hint) is not Annotated:
        return hint, Meta()
    hint, *metadata = get_args(hint)
    # Of an alias that was given another meaning, the outer one counts.
    return hint, next((each for each in reversed(metadata) if isinstance(each, Meta)), Meta())


def _members(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _kind(members: list[Any]) -> tuple[ArgumentKind, tuple[str, ...]]:
    """Say what values of some types are, and which there are if they are few."""
    for member in members:
        origin = get_origin(member)
        if origin is Literal:
            return "choice", get_args(member)
        if origin is Iterable:
            [item] = get_args(member)
            return "strings", get_args(item) if get_origin(item) is Literal else ()
        if origin is Mapping:
            return "object", ()
    if set(members) == {str, date, datetime}:
        return "time", ()
    kinds: dict[Any, ArgumentKind] = {bool: "flag", int: "integer", str: "string", Any: "json"}
    if len(members) != 1 or members[0] not in kinds:
        raise TypeError(
            f"a resource's argument cannot be of type {members}: it expects str, int, bool, a Literal of "
            "strings, Iterable[str] | str, When, Mapping or Any, each also with None"
        )
    return kinds[members[0]], ()
