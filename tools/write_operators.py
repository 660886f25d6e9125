"""Write the operators of each API into ``airflow_provider_finauth/operators/``, from what ``apis/`` declares.

python -m tools.write_operators            writes them
python -m tools.write_operators --check    fails where a file is not what would be written
"""

from __future__ import annotations

import argparse
import inspect
import subprocess
import sys
import sysconfig
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_finauth.apis.resource import Argument, Resource, resources_of
from airflow_provider_finauth.connections import CONNECTION_TYPES

if TYPE_CHECKING:
    from airflow_provider_finauth.hooks.base import FinauthHook

FOLDER = Path(__file__).parents[1] / "airflow_provider_finauth" / "operators"
WIDTH = 110

# A template gives strings, so each argument takes one besides what its resource declares.
TYPES = {
    "string": "str",
    "integer": "int | str",
    "flag": "bool | str",
    "choice": "str",
    "strings": "Sequence[str | int] | str",
    "time": "When",
    "object": "dict[str, Any]",
    "json": "Any",
}


@dataclass(frozen=True)
class Operator:
    """An operator class that is to be written.

    :param name: of the class
    :param base: of the class above it
    :param arguments: its own
    :param documentation: the paragraphs of its docstring before the parameters
    :param resource: what it pulls; None where it pulls nothing
    """

    name: str
    base: str
    arguments: tuple[Argument, ...]
    documentation: tuple[str, ...]
    resource: Resource | None = None


def hook_classes() -> Iterator[type[FinauthHook[Any]]]:
    """Go through the hooks of all connection types."""
    for declared in CONNECTION_TYPES.values():
        module, _, name = declared.hook_class.rpartition(".")
        yield getattr(import_module(module), name)


def operators_of(hook_class: type[FinauthHook[Any]]) -> list[Operator]:
    """Say which operators a hook's connection type has."""
    api_class = hook_class.api_class
    title = CONNECTION_TYPES[hook_class.conn_type].title
    found = [
        Operator(
            f"{api_class.__name__}{_camel(resource.name)}Operator",
            "PullOperator",
            resource.arguments,
            (resource.summary, resource.notes),
            resource,
        )
        for resource in resources_of(api_class).values()
    ]
    if api_class.graphql_path is not None:
        summary = f"Run one GraphQL document against {title} and return its ``data``."
        found.append(Operator(f"{api_class.__name__}GraphQLOperator", "GraphQLOperator", (), (summary,)))
    summary = f"Make one request of any path to {title}."
    found.append(Operator(f"{api_class.__name__}RequestOperator", "RequestOperator", (), (summary,)))
    return found


def module_of(hook_class: type[FinauthHook[Any]]) -> str:
    """Write the module of a hook's operators, formatted."""
    conn_type, hook = hook_class.conn_type, hook_class.__name__
    operators = operators_of(hook_class)
    bases = ", ".join(sorted({operator.base for operator in operators}))
    finder = f"_{hook_class.api_class.__name__}"
    whole = "".join(_class(operator, conn_type, finder) for operator in operators)
    typed = [
        *(["from collections.abc import Sequence"] if "Sequence" in whole else []),
        "",
        f"from {hook_class.__module__} import {hook}",
        "from airflow_provider_finauth.pulls.records import Records",
        *(["from airflow_provider_finauth.values import When"] if ": When" in whole else []),
    ]
    source = f"{hook_class.api_class.__module__.partition('.')[2].replace('.', '/')}.py"
    class_var = ", ClassVar" if "ClassVar" in whole else ""
    return _formatted(
        f'''"""The operators of connections of type ``{conn_type}``.

Written by ``make operators`` from ``{source}``, where they are to be changed.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any{class_var}

from airflow_provider_finauth.operators.base import {bases}

if TYPE_CHECKING:
{textwrap.indent(chr(10).join(typed), "    ")}


class {finder}:
    """Finds the hook where the task runs: importing it costs time."""

    {conn_type}_conn_id: str

    @cached_property
    def hook(self) -> {hook}:
        """The hook that does the work."""
        from {hook_class.__module__} import {hook}

        return {hook}(self.{conn_type}_conn_id)
{whole}'''
    )


def _class(operator: Operator, conn_type: str, finder: str) -> str:
    conn_id = f"{conn_type}_conn_id"
    own = [(each.name, _annotation(each), _default(each)) for each in operator.arguments]
    own.append((conn_id, "str", f' = "{conn_type}_default"'))
    names = [name for name, _, _ in own]
    fields = ", ".join(f'"{name}"' for name in [conn_id, *names[:-1]])
    parameters = ", ".join(f"{name}: {annotation}{default}" for name, annotation, default in own)
    assignments = "\n".join(f"        self.{name} = {name}" for name in names)
    extensions = [each.extension for each in operator.arguments if each.extension]
    renderers = {each.name: each.renderer for each in operator.arguments if each.renderer}
    members = [f"template_fields: Sequence[str] = ({fields}, *{operator.base}.template_fields)"]
    if extensions:
        members.append(f"template_ext: Sequence[str] = ({', '.join(map(repr, extensions))},)")
    if renderers:
        members.append(f"template_fields_renderers: ClassVar[dict[str, str]] = {renderers!r}")
    body = textwrap.indent("\n".join(members), "    ")
    return f"""

class {operator.name}({finder}, {operator.base}):
{_docstring(operator, conn_type)}

{body}

    def __init__(self, *, {parameters}, **kwargs: Any) -> None:
        super().__init__(**kwargs)
{assignments}
{_records(operator)}"""


def _records(operator: Operator) -> str:
    if operator.resource is None:
        return ""
    given = ", ".join(
        f"self.{each.name}" if each.positional else f"{each.name}=self.{each.name}"
        for each in operator.arguments
    )
    return f"""
    def records(self) -> Records:
        # It reads the strings that templates give.
        hook: Any = self.hook
        return hook.{operator.resource.name}({given})
"""


def _docstring(operator: Operator, conn_type: str) -> str:
    described = [f":param {each.name}: {each.description}" for each in operator.arguments]
    described.append(f":param {conn_type}_conn_id: a connection of type ``{conn_type}``")
    further = f"Further arguments are those of :class:`.{operator.base}`."
    paragraphs = ["\n".join(_wrapped(text)) for text in (*operator.documentation, further) if text]
    parameters = "\n".join(line for text in described for line in _wrapped(text, hanging="    "))
    text = "\n\n".join([*paragraphs, parameters])
    return textwrap.indent(f'"""{text}\n"""', "    ", lambda line: bool(line.strip()))


def _wrapped(text: str, hanging: str = "") -> list[str]:
    return textwrap.wrap(
        text, WIDTH - 4, subsequent_indent=hanging, break_long_words=False, break_on_hyphens=False
    )


def _annotation(argument: Argument) -> str:
    if argument.kind == "json":
        return "Any"
    return TYPES[argument.kind] + (" | None" if argument.optional else "")


def _default(argument: Argument) -> str:
    return "" if argument.default is inspect.Parameter.empty else f" = {argument.default!r}"


def _camel(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


def _formatted(text: str) -> str:
    ruff = Path(sysconfig.get_path("scripts")) / "ruff"
    command = [ruff, "format", "--stdin-filename", FOLDER / "written.py", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    return done.stdout


def main() -> int:
    """Write, or compare."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--check", action="store_true", help="compare only")
    check = parser.parse_args().check
    differ = []
    for hook_class in hook_classes():
        file, text = FOLDER / f"{hook_class.conn_type}.py", module_of(hook_class)
        if not file.exists() or file.read_text() != text:
            differ.append(file.name)
            if not check:
                file.write_text(text)
    if check and differ:
        print(f"{', '.join(differ)}: not as `make operators` writes them", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
