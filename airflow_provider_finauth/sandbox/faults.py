"""Answers that fail as they are told to.

A fault is a JSON object: ``{"api": "talenom", "kind": "status", "status": 503}``. It matches requests by
``api``, ``where`` (``api``, the default, ``token``, ``other`` or ``any``), ``method``, ``path_contains``
(path and query) and ``body_contains``; the first ``skip`` of them pass, then ``count`` of them (1, or null
for all) fail. The oldest fault that matches is taken, one a request.

| kind | what happens | options |
|---|---|---|
| status | this answer instead | status, headers, body |
| slow | the answer comes late | seconds |
| hang | no answer, until the client goes away | |
| reset | the connection is reset | |
| empty | 200 without a body | |
| html | 200 with an HTML page | |
| truncate | the connection ends in the middle of the body | |
| invalid_json | half of the JSON, complete as HTTP | |
| wrong_content_type | the right body, labelled otherwise | content_type |
| no_token | 200, the right body without ``access_token`` | |
| token_answer | members replaced, or taken away by null | members |
| expire_tokens | all access tokens of the API end now | |
| redirect | to another origin | status, url |
| foreign_next_link | the next link names another origin | url |
| cycle | the endpoint's previous answer again | |
| drop_rows | the last rows are missing, totals stay | rows |
| insert_row | Luca: a new invoice comes in before the answer, and positions shift | rows |
| graphql_error | 200 with errors and no data | code, retryAfter, status |
| graphql_partial | data, and an error for one field | code, field |

``"when": "after"`` lets the server do its work first (a token is minted, a code used up) and then lose the
answer; it goes with status, slow, hang, reset, empty and html.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

INSTEAD = {"status", "slow", "hang", "reset", "empty", "html"}
ALTERING = {
    "truncate",
    "invalid_json",
    "wrong_content_type",
    "no_token",
    "token_answer",
    "foreign_next_link",
    "redirect",
    "cycle",
    "drop_rows",
    "graphql_partial",
}
KINDS = INSTEAD | ALTERING | {"expire_tokens", "insert_row", "graphql_error"}


@dataclass
class Fault:
    """One fault, as told, and how much of it is left."""

    api: str
    kind: str
    where: str = "api"
    method: str | None = None
    path_contains: str = ""
    body_contains: str = ""
    skip: int = 0
    count: int | None = 1
    when: str = "before"
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    seconds: float = 1.0
    content_type: str = "text/plain"
    members: dict[str, Any] = field(default_factory=dict)
    url: str | None = None
    rows: int = 1
    code: str | None = None
    retryAfter: float | None = None  # Luca's spelling
    field: str | None = None

    @classmethod
    def read(cls, told: dict[str, Any]) -> Fault:
        """Read a fault from JSON.

        :raises ValueError: an unknown kind or option, or an option that does not go with the kind
        """
        known = {item.name for item in fields(cls)}
        if unknown := set(told) - known:
            raise ValueError(f"No option {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}.")
        if told.get("kind") not in KINDS:
            raise ValueError(f"No kind {told.get('kind')!r}; there are {', '.join(sorted(KINDS))}.")
        if "api" not in told:
            raise ValueError("A fault names its api.")
        fault = cls(**told)
        if fault.where not in ("api", "token", "other", "any"):
            raise ValueError("where is one of api, token, other, any.")
        if fault.when not in ("before", "after") or (fault.when == "after" and fault.kind not in INSTEAD):
            raise ValueError(f"when is before or after, and after goes with {', '.join(sorted(INSTEAD))}.")
        graphql = fault.kind in ("insert_row", "graphql_error", "graphql_partial")
        if graphql != (fault.api == "luca") and (graphql or fault.kind in ("drop_rows", "foreign_next_link")):
            raise ValueError(f"The kind {fault.kind} does not go with {fault.api}.")
        if fault.kind == "status" and fault.status is None:
            raise ValueError("The kind status needs a status.")
        return fault

    def matches(self, api: str, where: str, method: str, target: str, body: bytes) -> bool:
        """Whether a request is of those that fail."""
        return (
            self.api == api
            and self.where in (where, "any")
            and self.method in (method, None)
            and self.path_contains in target
            and (not self.body_contains or self.body_contains.encode() in body)
        )


class Faults:
    """The faults that are still to come, oldest first."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Add one."""
        if fault.count is None or fault.count > 0:
            self._waiting.append(fault)

    def clear(self) -> None:
        """Forget all."""
        self._waiting.clear()

    def take(self, api: str, where: str, method: str, target: str, body: bytes) -> Fault | None:
        """The fault for this request, used up by one."""
        taken = None
        for fault in list(self._waiting):
            if not fault.matches(api, where, method, target, body):
                continue
            if fault.skip > 0:
                fault.skip -= 1
            elif taken is None:
                taken = fault
                if fault.count is not None:
                    fault.count -= 1
                    if fault.count == 0:
                        self._waiting.remove(fault)
        return taken
