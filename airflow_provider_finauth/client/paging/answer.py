"""One JSON answer, opened in a single pass and decoded only where somebody looks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any

import msgspec

from airflow_provider_finauth.client.bodies import NotJson, decode_any, decode_text, encode_json
from airflow_provider_finauth.client.paging.rows import Rows, dig
from airflow_provider_finauth.exceptions import ApiError

MISSING: Any = object()

_ANY = msgspec.json.Decoder(float_hook=Decimal)
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TEXTS = msgspec.json.Decoder(list[msgspec.Raw])
_RAW = msgspec.json.Decoder(msgspec.Raw)
_NULL = msgspec.Raw(b"null")
_LIST: Any = list[msgspec.Raw] | None | msgspec.UnsetType
_TEXT: Any = msgspec.Raw | msgspec.UnsetType
_UNFORESEEN: Any = object()


class Opening:
    """Where an answer's records lie, and which other members a walk looks at.

    All of them are found in one pass over the bytes; an answer of another form is opened level by level.

    :param lists: where a list of records may lie, with dots
    :param members: the others, with dots
    """

    def __init__(self, lists: Iterable[str], members: Iterable[str]) -> None:
        tree: dict[str, Any] = {}
        for path in lists:
            _plant(tree, path)
        for path in members:
            _place(tree, path)
        struct = _struct_of(tree)
        kind: Any = struct | list[msgspec.Raw] | None
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(kind)

    def parts(self, text: bytes) -> Any:
        """Take a JSON text apart.

        :raises NotJson: it is none
        """
        try:
            return decode_text(self._decoder, text)
        except msgspec.ValidationError:
            return parts_of(text)


@lru_cache(maxsize=64)
def opening(lists: tuple[str, ...], members: tuple[str, ...]) -> Opening:
    """Give the opening for some places; making one costs more than using it."""
    return Opening(lists, members)


@dataclass(frozen=True)
class Answer:
    """One JSON body, without decoding more of it than is asked for.

    :param text: the body
    :param parts: the body taken apart: an object's members, a list's texts, or the text of another value
    :param root: where ``parts`` lies in the body, with dots; empty if it is the whole
    :param url: what answered, which a link may be relative to
    :param date: the ``Date`` header
    """

    text: bytes = field(repr=False)
    parts: Any = field(repr=False)
    root: str = ""
    url: str = ""
    date: str | None = None

    @classmethod
    def read(
        cls, text: bytes, how: Opening | None = None, *, url: str = "", date: str | None = None
    ) -> Answer:
        """Open a JSON text in UTF-8.

        :raises NotJson: it is none
        """
        return cls(text, parts_of(text) if how is None else how.parts(text), url=url, date=date)

    @classmethod
    def of(cls, value: Any) -> Answer:
        """Make an answer of a decoded value."""
        return cls.read(encode_json(value))

    @property
    def value(self) -> Any:
        """The decoded answer; numbers with a fraction are ``Decimal``.

        :raises ApiError: it holds what Python has no room for
        """
        whole = _decoded(self.text)
        return dig(whole, self.root) if self.root else whole

    @property
    def server_time(self) -> datetime | None:
        """The server's clock when it answered, in UTC."""
        try:
            told = parsedate_to_datetime(self.date or "")
            return told.replace(tzinfo=UTC) if told.tzinfo is None else told.astimezone(UTC)
        except (ValueError, OverflowError):
            return None

    def below(self, member: str) -> Answer:
        """Give what lies at a member of the body, as an answer of its own."""
        part = self.part(member)
        return Answer(self.text, None if part is MISSING else part, member, self.url, self.date)

    def reopened(self) -> Answer:
        """Give the same answer, opened anew in one pass for members that were not foreseen."""
        whole = Answer.read(self.text, url=self.url, date=self.date)
        return whole.below(self.root) if self.root else whole

    def dig(self, path: str, default: Any = None) -> Any:
        """Decode what lies at a dotted path; a member whose own name has dots is found too.

        :raises ApiError: it cannot be decoded
        """
        part = self.part(path)
        if part is MISSING:
            return default
        if isinstance(part, msgspec.Raw):
            return _decoded(part)
        if isinstance(part, list):
            return Rows(part).records
        # An object that was opened for its members.
        return None if part is None else dig(self.value, path, default)

    def rows(self, path: str | None = None) -> Rows | None:
        """Give the list at a dotted path; no rows if there is a null, None if there is something else.

        :param path: None for the answer itself
        """
        part = self.parts if path is None else self.part(path)
        if part is None:
            return Rows([])
        if isinstance(part, msgspec.Raw):
            part = parts_of(part)
        return Rows(part, source=self.text) if isinstance(part, list) else None

    def has(self, path: str) -> bool:
        """Tell whether there is something at a dotted path, and not a null."""
        part = self.part(path)
        return part is not None and part is not MISSING

    def has_object(self, path: str) -> bool:
        """Tell whether there is an object at a dotted path."""
        part = self.part(path)
        return isinstance(parts_of(part) if isinstance(part, msgspec.Raw) else part, dict | msgspec.Struct)

    def part(self, path: str) -> Any:
        """Find what lies at a dotted path, as far as it is opened; :data:`MISSING` if there is nothing."""
        found = _find(self.parts, path)
        if found is _UNFORESEEN:
            whole = _find(parts_of(self.text), self.root) if self.root else parts_of(self.text)
            found = _find(whole, path)
        return None if isinstance(found, msgspec.Raw) and found == _NULL else found


def parts_of(text: bytes | msgspec.Raw) -> Any:
    """Take a JSON text of any form apart, one level deep.

    :raises NotJson: it is none
    """
    first = bytes(memoryview(text)[:64]).lstrip()[:1] or bytes(text).lstrip()[:1]
    if first == b"{":
        return decode_text(_MEMBERS, text)
    if first == b"[":
        return decode_text(_TEXTS, text)
    part = decode_text(_RAW, text)
    return None if part == _NULL else part


def _find(part: Any, path: str) -> Any:
    """Find a part; :data:`_UNFORESEEN` where the opening did not look for it."""
    if isinstance(part, msgspec.Raw):
        part = parts_of(part)
    if isinstance(part, dict):
        found = part.get(path, MISSING)
        head, dot, rest = path.partition(".")
        return _find(part[head], rest) if found is MISSING and dot and head in part else found
    if not isinstance(part, msgspec.Struct):
        return MISSING
    names: dict[str, str] = part.names  # type: ignore[attr-defined]
    head, dot, rest = path.partition(".")
    if path not in names:
        return _UNFORESEEN
    found = getattr(part, names[path])
    if found is not msgspec.UNSET:
        return found
    if not dot or head not in names:
        return MISSING
    below = getattr(part, names[head])
    return MISSING if below is msgspec.UNSET else _find(below, rest)


def _plant(tree: dict[str, Any], path: str) -> None:
    """Note where a list may lie: under the path's own name, or below its first part."""
    tree.setdefault(path, _LIST)
    head, dot, rest = path.partition(".")
    if dot:
        below = tree.setdefault(head, {})
        if isinstance(below, dict):
            _plant(below, rest)


def _place(tree: dict[str, Any], path: str) -> None:
    """Note where another member may lie; what holds a list is opened, all else is kept as its text."""
    tree.setdefault(path, _TEXT)
    head, dot, rest = path.partition(".")
    if dot:
        below = tree.setdefault(head, _TEXT)
        if isinstance(below, dict):
            _place(below, rest)


def _struct_of(tree: Mapping[str, Any]) -> type[msgspec.Struct]:
    fields = {member: f"f{number}" for number, member in enumerate(tree)}
    kinds = {
        member: _struct_of(kind) | None | msgspec.UnsetType if isinstance(kind, dict) else kind
        for member, kind in tree.items()
    }
    return msgspec.defstruct(
        "Parts",
        [(name, kinds[member], msgspec.UNSET) for member, name in fields.items()],
        namespace={"names": fields},
        rename={name: member for member, name in fields.items()},
    )


def _decoded(text: bytes | msgspec.Raw) -> Any:
    try:
        return decode_any(_ANY, text)
    except NotJson as fault:
        problem = str(fault)
    raise ApiError(f"An answer of the API cannot be decoded: {problem}.")
