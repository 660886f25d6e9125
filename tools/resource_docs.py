"""Write docs/resources.md, and the table of resources in docs/pulling.md, from what ``apis/`` declares.

`make docs` runs it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_finauth.apis.base import Api
from airflow_provider_finauth.apis.resource import Argument, Resource, resource_of
from airflow_provider_finauth.cli.resources import dashed
from airflow_provider_finauth.connections import CONNECTION_TYPES
from tools.write_operators import hook_classes, operators_of

if TYPE_CHECKING:
    from airflow_provider_finauth.hooks.base import FinauthHook

DOCS = Path(__file__).parents[1] / "docs"
BEGIN, END = "<!-- by `make docs`, from apis/ -->\n", "<!-- end -->\n"

# Of every API, and not its own.
RECORDS = resource_of(Api.records)

INTRODUCTION = """# Resources

The lists that each API offers, with all their arguments. A hook's method, an operator and `finauth pull` take
the same ones; what they have in common is in [pulling.md](pulling.md). This page is made from what `apis/`
declares.

| kind | takes, besides a string that a template gave |
|---|---|
| string | a string; an integer where it is an id |
| integer | a whole number |
| flag | true or false; as a string `true`, `yes`, `y`, `on`, `t`, `1` or their opposites |
| choice | one of the words that are named |
| strings | several: a list, or a string with commas or with a JSON list |
| time | a date, a datetime, or its string; a date is its midnight, and a time without a zone is UTC |
| object | a mapping, or a string with a JSON object |
| json | whatever JSON can hold |

`since` is the first moment wanted and `until` the first no longer wanted. Members of records are listed as
far as the vendor documents them; a record holds whatever the API sends.
"""


@dataclass(frozen=True)
class Shown:
    """A resource with what is made of it.

    :param hook: whose method it is
    :param resource: what is declared
    :param operator: the name of its operator
    """

    hook: type[FinauthHook[Any]]
    resource: Resource
    operator: str


def resources() -> Iterator[Shown]:
    """Go through the resources of all APIs."""
    for hook in hook_classes():
        for operator in operators_of(hook):
            if operator.resource is not None:
                yield Shown(hook, operator.resource, operator.name)


def own_resources() -> list[Shown]:
    """Leave out the lists of any path."""
    return [each for each in resources() if each.resource is not RECORDS]


def records_operators() -> str:
    """Name the operators of the lists of any path."""
    return ", ".join(f"`{each.operator}`" for each in resources() if each.resource is RECORDS)


def table() -> str:
    """Write the table of docs/pulling.md."""
    rows = [
        (call(each), f"`{each.operator}`", window(each.resource), changes(each.resource))
        for each in own_resources()
    ]
    by = "what `since_param` filters by and `changed_field` holds, moments"
    rows.append(("any hook's `.records(path)`", records_operators(), by, "what `changed_field` names"))
    lines = [
        "| hook method | operator | `since` and `until` go by | what tells a change, or why nothing does |",
        "|---|---|---|---|",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
    return "\n".join(lines) + "\n"


def call(shown: Shown) -> str:
    required = [each for each in shown.resource.arguments if each.required]
    given = ", ".join(each.name if each.positional else f"{each.name}=…" for each in required)
    return f"`{shown.hook.__name__}.{shown.resource.name}({given})`"


def window(resource: Resource) -> str:
    if resource.window is None:
        return ""
    # Either a member, or in words.
    time = f"`{resource.window}`" if resource.window.isidentifier() else resource.window
    return f"{time}, {'whole days' if resource.whole_days else 'moments'}"


def changes(resource: Resource) -> str:
    told = resource.changes
    if told is None or not told.fields:
        return told.why_not if told is not None else ""
    names = ", ".join(f"`{name}`" for name in told.fields)
    return f"the latest of {names}" if len(told.fields) > 1 else names


def with_table(text: str) -> str:
    """Put the table between the marks of docs/pulling.md."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    return f"{before}{begin}{table()}{end}{after}"


def page() -> str:
    """Write docs/resources.md."""
    parts = [INTRODUCTION]
    for hook in hook_classes():
        own = [each for each in own_resources() if each.hook is hook]
        if own:
            parts.append(f"## {CONNECTION_TYPES[hook.conn_type].title}\n")
        for each in own:
            used_by = f"Hook method `{hook.__name__}.{each.resource.name}`, operator `{each.operator}`."
            parts.append(section(each.resource, used_by, hook.default_conn_name))
    used_by = f"Method `records` of any hook, operators {records_operators()}."
    parts += ["## Any other path\n", section(RECORDS, used_by, CONNECTION_TYPES["oauth2api"].default_conn_id)]
    return "\n".join(parts)


def section(resource: Resource, used_by: str, conn_id: str) -> str:
    paragraphs = [
        f"### {resource.name}",
        markdown(resource.summary),
        markdown(resource.notes),
        used_by,
        f"```text\n{command(resource, conn_id)}\n```",
        "\n".join(f"- {point}" for point in points(resource)),
    ]
    if resource.arguments:
        rows = "\n".join(map(argument_row, resource.arguments))
        paragraphs.append(f"| argument | kind | default | |\n|---|---|---|---|\n{rows}")
    if resource.fields:
        rows = "\n".join(f"| `{each.name}` | {each.type} | {each.meaning} |" for each in resource.fields)
        paragraphs.append(f"| member | type | |\n|---|---|---|\n{rows}")
    return "\n\n".join(filter(None, paragraphs)) + "\n"


def command(resource: Resource, conn_id: str) -> str:
    words = ["finauth", "pull", conn_id, dashed(resource.name)]
    for each in resource.arguments:
        if each.required:
            words += [each.name.upper()] if each.positional else [f"--{dashed(each.name)}", each.name.upper()]
    if not all(each.required for each in resource.arguments):
        words.append("…")
    return " ".join(words)


def points(resource: Resource) -> Iterator[str]:
    if resource.key is not None:
        newer = f"; of two states of it, `{resource.version}` tells the newer" if resource.version else ""
        yield f"`{resource.key}` names a record{newer}."
    if resource.window is not None:
        yield f"`since` and `until` go by {window(resource)}."
    told = resource.changes
    if told is not None and told.fields:
        how = "the API filters by it" if told.filtered else "the list is read, and what is new is kept"
        yield f"`incremental` goes by {changes(resource)}: {how}."
    elif told is not None:
        yield f"`incremental` is refused. {told.why_not}"


def argument_row(argument: Argument) -> str:
    meaning = argument.description
    if argument.choices:
        meaning = f"{meaning}: {', '.join(f'`{each}`' for each in argument.choices)}"
    kind = f"{argument.kind}{bounds(argument)}"
    return f"| `{argument.name}` | {kind} | {default(argument)} | {markdown(meaning)} |"


def bounds(argument: Argument) -> str:
    if argument.minimum is None:
        return ""
    upwards = argument.maximum is None
    return f", {argument.minimum} or more" if upwards else f", {argument.minimum} to {argument.maximum}"


def default(argument: Argument) -> str:
    if argument.required:
        return "**required**"
    return "" if argument.default in (None, ()) else f"`{argument.default!r}`"


def markdown(text: str) -> str:
    return text.replace("``", "`")


if __name__ == "__main__":
    (DOCS / "resources.md").write_text(page())
    pulling = DOCS / "pulling.md"
    pulling.write_text(with_table(pulling.read_text()))
