"""GraphQL over HTTP: what a document does, and what a list of errors asks for.

A 200 with ``errors`` is a failure. What to do about it is decided by ``extensions.code`` where there is
one; messages are localised and never looked at.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from airflow_provider_finauth.client.profile import GraphqlAction

Kind = Literal["query", "mutation", "subscription"]
Action = GraphqlAction | Literal["fail"]

_TOKEN = re.compile(
    r'"""(?:\\"""|(?!""").)*"""'  # a block string
    r'|"(?:[^"\\\n\r]|\\.)*"'
    r"|\#[^\n\r]*"
    r"|[_A-Za-z][_0-9A-Za-z]*"
    r"|[, \t\r\n\f\v\ufeff]+"
    r"|.",
    re.DOTALL,
)
_IGNORED = ", \t\r\n\f\v\ufeff"
# What decides where several errors come together. A failure for good comes before what could be repeated:
# repeating would not mend it.
_PRECEDENCE: tuple[Action, ...] = ("authenticate", "wait", "fail", "forbidden", "retry")


def operation_kind(document: str, operation_name: str | None = None) -> Kind | None:
    """Tell what running a document does, by a scan that knows comments, strings and nesting.

    :param operation_name: which operation is run, where the document has several
    :return: None where that cannot be told; the server will most likely refuse the document
    """
    operations: list[tuple[Kind, str | None]] = []
    depth = 0
    header: list[str] = []
    for token in _TOKEN.findall(document):
        if token == '"':
            return None
        if token[0] in '#"' or not token.strip(_IGNORED):
            continue
        if depth == 0:
            if not header and token not in ("{", "query", "mutation", "subscription", "fragment"):
                return None
            header.append(token)
        if token in "({[":
            depth += 1
        elif token in ")}]":
            depth -= 1
            if depth < 0:
                return None
            if depth == 0 and token == "}":
                operations += _operation(header)
                header = []
    if depth or header:
        return None
    if operation_name:
        operations = [found for found in operations if found[1] == operation_name]
    return operations[0][0] if len(operations) == 1 else None


def _operation(header: list[str]) -> list[tuple[Kind, str | None]]:
    """Read the tokens that stand before a definition's body; a fragment is no operation."""
    if header[0] == "fragment":
        return []
    name = header[1] if len(header) > 1 and header[1].isidentifier() else None
    if header[0] == "mutation":
        return [("mutation", name)]
    return [("subscription", name)] if header[0] == "subscription" else [("query", name)]


def code_of(error: Any) -> str | None:
    """Give an error's ``extensions.code``."""
    extensions = error.get("extensions") if isinstance(error, Mapping) else None
    code = extensions.get("code") if isinstance(extensions, Mapping) else None
    return code if isinstance(code, str) and code else None


def decide(errors: list[Any], codes: Mapping[str, GraphqlAction]) -> tuple[Action, Any]:
    """Say what a list of errors asks for, and which of them decides.

    :param codes: what each code asks for; all others fail
    """
    rated: list[tuple[Action, Any]] = [
        (codes.get((code_of(error) or "").upper(), "fail"), error) for error in errors
    ]
    return min(rated, key=lambda pair: _PRECEDENCE.index(pair[0]))


def retry_after_of(error: Any) -> Any:
    """Give an error's ``extensions.retryAfter``, which is in seconds."""
    extensions = error.get("extensions") if isinstance(error, Mapping) else None
    return extensions.get("retryAfter") if isinstance(extensions, Mapping) else None
