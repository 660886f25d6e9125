"""The records of one answer, kept as the API sent them and decoded only when somebody looks into them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cached_property, lru_cache
from operator import attrgetter
from typing import Any, TypeVar, cast, overload

import msgspec

from airflow_provider_finauth.client.bodies import NotJson, decode_any, decode_text, encode_json
from airflow_provider_finauth.exceptions import ApiError

_T = TypeVar("_T")

_RAWS = msgspec.json.Decoder(list[msgspec.Raw])
_RECORDS = msgspec.json.Decoder(list[Any], float_hook=Decimal)
_NULL = msgspec.Raw(b"null")


class Rows(Sequence[Any]):
    """Records, and the texts they came as.

    As a sequence it holds the decoded records: numbers with a fraction are ``Decimal``.

    :param texts: one JSON text for each record
    :param source: what they were cut from, if that is all of it
    """

    def __init__(self, texts: Sequence[msgspec.Raw | bytes], *, source: bytes | None = None) -> None:
        self._texts = texts
        self._source = source
        self._columns: dict[str, list[Any]] = {}

    @classmethod
    def read(cls, array: bytes | msgspec.Raw) -> Rows:
        """Take a JSON array apart. Its texts are checked for being JSON, not for being UTF-8.

        :raises msgspec.DecodeError: it is none
        """
        return cls(_RAWS.decode(array))

    @classmethod
    def of(cls, records: Iterable[Any]) -> Rows:
        """Make rows of decoded records."""
        return cls([encode_json(record) for record in records])

    @cached_property
    def records(self) -> list[Any]:
        """The decoded records.

        :raises ApiError: one of them holds what Python has no room for, such as ``1e999999999999``
        """
        return decode_rows(_RECORDS, self._array, decode_any) if self._texts else []

    @cached_property
    def lines(self) -> list[bytes]:
        """One JSON text for each record, without a line break."""
        if (self._source is not None and _is_one_line(self._source)) or _is_one_line(self._array):
            return cast("list[bytes]", self._texts)
        # No text may hold a line break but between its tokens (RFC 8259).
        return [msgspec.json.format(bytes(text), indent=-1) for text in self._texts]

    @property
    def texts(self) -> Sequence[msgspec.Raw | bytes]:
        """One JSON text for each record, as it came; they compare by their bytes."""
        return self._texts

    @property
    def size(self) -> int:
        """How many bytes the texts have."""
        return len(self._array)

    def column(self, member: str) -> list[Any]:
        """Give one member's values without decoding the others; None where a record lacks it.

        :param member: with dots for one that lies deeper; a member whose own name has dots is found too
        :raises ApiError: a value cannot be decoded
        """
        self.look_at((member,))
        return self._columns[member]

    def look_at(self, members: Iterable[str]) -> None:
        """Read several members' values in one pass, for :meth:`column`."""
        wanted = tuple(dict.fromkeys(member for member in members if member not in self._columns))
        if not wanted:
            return
        if not self._texts:
            self._columns.update((member, []) for member in wanted)
            return
        decoder, fields = _reader_of(wanted)
        try:
            read = decode_rows(decoder, self._array)
        except msgspec.ValidationError:
            # A record that is no object has no members.
            for member in wanted:
                self._columns[member] = [dig(record, member) for record in self.records]
            return
        for member in wanted:
            self._columns[member] = _values(read, member, fields)

    def within(self, member: str) -> Rows | None:
        """Give the records that one member of each holds, nulls among them; None if one lacks it."""
        if not self._texts:
            return self
        try:
            found = [each.f0 for each in decode_rows(_unpacker_of(member), self._array)]
        except msgspec.ValidationError:
            return None
        return None if msgspec.UNSET in found else Rows(found)

    def without_nulls(self) -> Rows:
        """Give the records that are not ``null``."""
        if _NULL not in self._texts:
            return self
        return self.take(number for number, text in enumerate(self._texts) if text != _NULL)

    def take(self, positions: Iterable[int]) -> Rows:
        """Give the records at some positions."""
        chosen = list(positions)
        rows = Rows([self._texts[at] for at in chosen])
        rows._columns = {name: [column[at] for at in chosen] for name, column in self._columns.items()}
        return rows

    def without(self, positions: Collection[int]) -> Rows:
        """Give the records but those at some positions."""
        if not positions:
            return self
        if max(positions) + 1 == len(positions):
            # The usual overlap: the page begins with what the one before ended with.
            return self[len(positions) :]
        return self.take(at for at in range(len(self)) if at not in positions)

    @cached_property
    def _array(self) -> bytes:
        return b"[" + b",".join(self._texts) + b"]"

    def __len__(self) -> int:
        return len(self._texts)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.records)

    @overload
    def __getitem__(self, index: int) -> Any: ...

    @overload
    def __getitem__(self, index: slice) -> Rows: ...

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            rows = Rows(self._texts[index])
            rows._columns = {name: column[index] for name, column in self._columns.items()}
            return rows
        return self.records[index]


def _is_one_line(text: bytes) -> bool:
    return b"\n" not in text and b"\r" not in text


def dig(value: Any, path: str, default: Any = None) -> Any:
    """Give what lies at a dotted path; a member whose own name has dots (``@odata.count``) is found too."""
    if isinstance(value, Mapping):
        if path in value:
            return value[path]
        name, dot, rest = path.partition(".")
        if dot and name in value:
            return dig(value[name], rest, default)
    return default


def decode_rows(
    decoder: msgspec.json.Decoder[_T],
    text: bytes,
    run: Callable[[msgspec.json.Decoder[_T], bytes], _T] = decode_text,
) -> _T:
    """Run a decoder on records, or on what was taken from them.

    :param run: ``decode_any`` where the decoder takes JSON of any form
    :raises ApiError: there is something that Python has no room for
    :raises msgspec.ValidationError: they are of another form than the decoder's
    """
    try:
        return run(decoder, text)
    except NotJson as fault:
        problem = str(fault)
    raise ApiError(
        f"A record of the answer cannot be decoded: {problem}. Set destination to a file of JSON Lines, "
        "which takes the records as the API sent them."
    )


def _values(read: list[Any], member: str, fields: dict[str, str]) -> list[Any]:
    name = fields[member]
    if "." not in member:
        return list(map(attrgetter(name), read))
    head, _, rest = member.partition(".")
    parent = fields[head]
    return [
        dig(getattr(record, parent), rest) if (value := getattr(record, name)) is msgspec.UNSET else value
        for record in read
    ]


@lru_cache(maxsize=64)
def _reader_of(members: tuple[str, ...]) -> tuple[msgspec.json.Decoder[list[Any]], dict[str, str]]:
    defaults: dict[str, Any] = {}
    for member in members:
        head, dot, _ = member.partition(".")
        defaults[member] = msgspec.UNSET if dot else None
        defaults.setdefault(head, None)
    fields = {member: f"f{number}" for number, member in enumerate(defaults)}
    one = msgspec.defstruct(
        "Row",
        [(fields[member], Any, default) for member, default in defaults.items()],
        rename={name: member for member, name in fields.items()},
        # They live for a moment and hold no cycles.
        gc=False,
    )
    return _array_of(one), fields


@lru_cache(maxsize=64)
def _unpacker_of(member: str) -> msgspec.json.Decoder[list[Any]]:
    kind: Any = msgspec.Raw | msgspec.UnsetType
    field = ("f0", kind, msgspec.UNSET)
    return _array_of(msgspec.defstruct("Row", [field], rename={"f0": member}, gc=False))


def _array_of(struct: type[msgspec.Struct]) -> msgspec.json.Decoder[list[Any]]:
    return msgspec.json.Decoder(cast("type[list[Any]]", list[struct]), float_hook=Decimal)  # type: ignore[valid-type]
