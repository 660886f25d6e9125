"""One request, read strictly."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from airflow_provider_finauth.sandbox.faults import Fault

MAX_BODY = 5 * 1024 * 1024
# As OpenAPI's formats "date" and "date-time" have them (RFC 3339): Python reads more than that.
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)
FORM = "application/x-www-form-urlencoded"


@dataclass
class Call:
    """One request."""

    method: str
    path: str
    params: dict[str, str]
    query: list[tuple[str, str]]
    query_string: str
    headers: dict[str, str]
    body: bytes
    scheme: str
    client: tuple[str, int]
    fault: Fault | None = None

    @property
    def origin(self) -> str:
        """Scheme and host as the client named them."""
        return f"{self.scheme}://{self.headers.get('host', '127.0.0.1')}"

    @property
    def media_type(self) -> str:
        """The content type without its parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def form(self) -> dict[str, str]:
        """The members of a form body.

        :raises ValueError: another content type, broken encoding, or a member that comes twice
        """
        if self.media_type != FORM:
            raise ValueError(f"the body must be {FORM}")
        pairs = parse_qsl(self.body.decode("ascii"), keep_blank_values=True, strict_parsing=True)
        if len(dict(pairs)) != len(pairs):
            raise ValueError("a member comes twice")
        return dict(pairs)

    def json_object(self) -> dict[str, Any]:
        """The members of a JSON body.

        :raises ValueError: another content type, broken JSON, or no object
        """
        if self.media_type != "application/json":
            raise ValueError("the body must be application/json")
        members = json.loads(self.body)
        if not isinstance(members, dict):
            raise ValueError("the body must be an object")
        return members


def check_members(
    members: dict[str, Any], required: Iterable[str], optional: Collection[str] = ()
) -> dict[str, str]:
    """Return the members of a token request if they are the right ones, all of them text.

    :raises ValueError: one is missing, empty, unknown or not text
    """
    required = list(required)
    for name in required:
        if not members.get(name):
            raise ValueError(f"{name} is missing")
    for name, value in members.items():
        if name not in required and name not in optional:
            raise ValueError(f"{name} is not expected")
        if not isinstance(value, str):
            raise ValueError(f"{name} must be text")
    return members


class Query:
    """Reads query parameters strictly, since a vendor's server reads typed ones.

    :param fail: makes the vendor's refusal of a sentence
    :param known: the names there are; others are refused. None lets others pass unseen
    """

    def __init__(
        self, call: Call, fail: Callable[[str], Exception], known: Collection[str] | None = None
    ) -> None:
        self._pairs = call.query
        self._fail = fail
        for name in {name for name, _ in call.query}:
            if known is not None and name not in known:
                raise fail(f"unknown parameter {name}")

    def many(self, name: str) -> list[str]:
        """All values of a parameter that may come often."""
        return [value for key, value in self._pairs if key == name]

    def text(self, name: str, default: str | None = None, *, required: bool = False) -> str | None:
        """A parameter's value."""
        values = self.many(name)
        if len(values) > 1:
            raise self._fail(f"{name} comes twice")
        if not values and required:
            raise self._fail(f"{name} is required")
        return values[0] if values else default

    def integer(
        self,
        name: str,
        default: int = 0,
        *,
        minimum: int = 0,
        maximum: int = 2**63,
        required: bool = False,
    ) -> int:
        """A whole number within its bounds."""
        value = self.text(name, required=required)
        if value is None:
            return default
        if not re.fullmatch(r"-?\d{1,19}", value, re.ASCII) or not minimum <= int(value) <= maximum:
            raise self._fail(f"{name} must be a whole number from {minimum} to {maximum}")
        return int(value)

    def boolean(self, name: str, default: bool = False) -> bool:
        """``true`` or ``false``, and nothing else."""
        value = self.text(name)
        if value not in ("true", "false", None):
            raise self._fail(f"{name} must be true or false")
        return default if value is None else value == "true"

    def choice(self, name: str, choices: Collection[str], default: str | None = None) -> str | None:
        """One of a few."""
        value = self.text(name, default)
        if value is not None and value not in choices:
            raise self._fail(f"{name} must be one of {', '.join(choices)}")
        return value

    def day(self, name: str, *, required: bool = False) -> str | None:
        """A date, ``2026-01-31``."""
        value = self.text(name, required=required)
        if value is not None:
            try:
                date.fromisoformat(value if _DAY.fullmatch(value) else "")
            except ValueError:
                raise self._fail(f"{name} must be a date") from None
        return value

    def days(self, first: str, last: str, *, required: bool = False) -> tuple[str | None, str | None]:
        """Two dates between which something lies; the first must not be after the last."""
        found = self.day(first, required=required), self.day(last, required=required)
        self._in_order(first, last, *found)
        return found

    def moment(self, name: str, *, or_day: bool = False) -> datetime | None:
        """A time with its zone, ``2026-01-31T09:00:00.125Z``, in UTC.

        :param or_day: a date will do, for its midnight in UTC
        """
        value = self.text(name)
        if value is None:
            return None
        if or_day and _DAY.fullmatch(value):
            value += "T00:00:00Z"
        try:
            return datetime.fromisoformat(value if _MOMENT.fullmatch(value) else "").astimezone(UTC)
        except (ValueError, OverflowError):
            raise self._fail(f"{name} must be a time with its zone") from None

    def moments(self, first: str, last: str) -> tuple[datetime | None, datetime | None]:
        """Two times between which something lies; the first must not be after the last."""
        found = self.moment(first), self.moment(last)
        self._in_order(first, last, *found)
        return found

    def _in_order(self, first: str, last: str, since: Any, until: Any) -> None:
        if since is not None and until is not None and since > until:
            raise self._fail(f"{first} must not be after {last}")


async def read_call(scope: Any, receive: Any) -> Call:
    """Read a request from ASGI."""
    body = b""
    more = True
    while more and len(body) < MAX_BODY:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    query_string = scope["query_string"].decode("latin-1")
    return Call(
        method=scope["method"],
        path=scope["path"],
        # Routing sees the path as it was sent, so that an escaped slash stays within its segment.
        params={name: unquote(str(value)) for name, value in scope["path_params"].items()},
        query=parse_qsl(query_string, keep_blank_values=True),
        query_string=query_string,
        headers={name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
        body=body,
        scheme=scope["scheme"],
        client=tuple(scope["client"] or ("", 0)),
    )
