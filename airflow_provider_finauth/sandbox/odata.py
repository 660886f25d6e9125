"""The small OData grammar of Landax's lists: filter, order, selection."""

from __future__ import annotations

import operator
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    Row = dict[str, Any]
    Test = Callable[[Row], bool]

_TOKEN = re.compile(
    r"\s*(?:(?P<string>'(?:[^']|'')*')"
    r"|(?P<moment>\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)?)?)"
    r"|(?P<number>-?\d+(?:\.\d+)?)"
    r"|(?P<word>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<mark>[(),]))"
)
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
}
_FUNCTIONS: dict[str, Callable[[str, str], bool]] = {
    "contains": lambda text, part: part in text,
    "startswith": str.startswith,
    "endswith": str.endswith,
}
_WORDS = {"true": True, "false": False, "null": None}


class ODataError(ValueError):
    """A query that the server does not understand."""


def parse_moment(text: str) -> datetime:
    """A date or a time; without a zone it is UTC."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class _Parser:
    def __init__(self, text: str, fields: Collection[str]) -> None:
        self._fields = fields
        self._tokens: list[tuple[str, str]] = []
        place = 0
        while text[place:].strip():
            found = _TOKEN.match(text, place)
            if found is None or found.lastgroup is None:
                raise ODataError(f"cannot read the filter at {text[place:].strip()[:20]!r}")
            self._tokens.append((found.lastgroup, found.group(found.lastgroup)))
            place = found.end()
        self._next = 0

    def parse(self) -> Test:
        test = self._either()
        if self._next < len(self._tokens):
            raise ODataError(f"{self._tokens[self._next][1]!r} was not expected in the filter")
        return test

    def _take(self, *texts: str) -> str | None:
        if self._next < len(self._tokens) and self._tokens[self._next][1].lower() in texts:
            self._next += 1
            return self._tokens[self._next - 1][1].lower()
        return None

    def _token(self) -> tuple[str, str]:
        if self._next >= len(self._tokens):
            raise ODataError("the filter ends too soon")
        self._next += 1
        return self._tokens[self._next - 1]

    def _expect(self, text: str) -> None:
        if self._take(text) is None:
            raise ODataError(f"{text!r} is missing in the filter")

    def _either(self) -> Test:
        tests = [self._both()]
        while self._take("or"):
            tests.append(self._both())
        return tests[0] if len(tests) == 1 else lambda row: any(test(row) for test in tests)

    def _both(self) -> Test:
        tests = [self._single()]
        while self._take("and"):
            tests.append(self._single())
        return tests[0] if len(tests) == 1 else lambda row: all(test(row) for test in tests)

    def _single(self) -> Test:
        if self._take("not"):
            inner = self._single()
            return lambda row: not inner(row)
        if self._take("("):
            inner = self._either()
            self._expect(")")
            return inner
        if name := self._take(*_FUNCTIONS):
            self._expect("(")
            field = self._field()
            self._expect(",")
            part = self._literal()
            self._expect(")")
            if not isinstance(part, str):
                raise ODataError(f"{name} needs text")
            function = _FUNCTIONS[name]
            return lambda row: isinstance(row[field], str) and function(row[field], part)
        field = self._field()
        word = self._take(*_OPERATORS)
        if word is None:
            raise ODataError(f"an operator is missing after {field}")
        return _comparison(field, word, self._literal())

    def _field(self) -> str:
        kind, text = self._token()
        if kind != "word" or text not in self._fields:
            raise ODataError(f"there is no property {text}")
        return text

    def _literal(self) -> Any:
        kind, text = self._token()
        if kind == "string":
            return text[1:-1].replace("''", "'")
        if kind == "moment":
            try:
                return parse_moment(text)
            except ValueError:
                raise ODataError(f"{text} is no time") from None
        if kind == "number":
            return Decimal(text)
        if kind == "word" and text in _WORDS:
            return _WORDS[text]
        raise ODataError(f"{text!r} is no value")


def _comparison(field: str, word: str, literal: Any) -> Test:
    compare = _OPERATORS[word]

    def test(row: Row) -> bool:
        value = row[field]
        if literal is None:
            return compare(value, None) if word in ("eq", "ne") else False
        if value is None:
            return word == "ne"
        if isinstance(literal, datetime) and isinstance(value, str):
            value = parse_moment(value)
        same = isinstance(value, bool) == isinstance(literal, bool)
        numbers = isinstance(value, (int, Decimal)) and isinstance(literal, (int, Decimal))
        if not same or not (numbers or type(value) is type(literal)):
            raise ODataError(f"{field} cannot be compared with this kind of value")
        return compare(value, literal)

    return test


def parse_filter(text: str, fields: Collection[str]) -> Test:
    """A filter as a function.

    :raises ODataError: it is not understood
    """
    return _Parser(text, fields).parse()


def parse_order(text: str, fields: Collection[str]) -> list[tuple[str, bool]]:
    """``A desc,B`` as pairs of field and whether descending.

    :raises ODataError: it is not understood
    """
    found = []
    for part in text.split(","):
        name, _, direction = part.strip().partition(" ")
        if name not in fields or direction.strip() not in ("", "asc", "desc"):
            raise ODataError(f"cannot order by {part.strip()!r}")
        found.append((name, direction.strip() == "desc"))
    return found


def parse_names(text: str, known: Collection[str], what: str) -> list[str]:
    """A comma list of names.

    :raises ODataError: one is unknown
    """
    names = [name.strip() for name in text.split(",")]
    if unknown := [name for name in names if name not in known]:
        raise ODataError(f"there is no {what} {unknown[0]!r}")
    return names
