"""The records of one answer, kept as the API sent them and decoded only when somebody looks into them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from functools import cached_property, lru_cache
from typing import Any, cast, overload

import msgspec

from airflow_provider_finauth.client.bodies import encode_json

_RAWS = msgspec.json.Decoder(list[msgspec.Raw])
_RECORDS = msgspec.json.Decoder(list[Any], float_hook=Decimal)


class Rows(Sequence[Any]):
    """Records, and the texts they came as.

    As a sequence it holds the decoded records: numbers with a fraction are ``Decimal``.

    :param texts: one JSON text for each record
    """

    def __init__(self, texts: Sequence[msgspec.Raw | bytes]) -> None:
        self._texts = texts

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
        """The decoded records."""
        return _RECORDS.decode(self._array) if self._texts else []

    @cached_property
    def lines(self) -> list[bytes]:
        """One JSON text for each record, without a line break."""
        if b"\n" not in self._array and b"\r" not in self._array:
            return cast("list[bytes]", self._texts)
        # No text may hold a line break but between its tokens (RFC 8259).
        return [msgspec.json.format(bytes(text), indent=-1) for text in self._texts]

    @property
    def size(self) -> int:
        """How many bytes the texts have."""
        return len(self._array)

    def column(self, member: str) -> list[Any]:
        """Give one member's values without decoding the others; None where a record lacks it."""
        if not self._texts:
            return []
        try:
            return [row.value for row in _reader_of(member).decode(self._array)]
        except msgspec.ValidationError:
            # A record that is no object has no members.
            return [row.get(member) if isinstance(row, dict) else None for row in self.records]

    def take(self, positions: Iterable[int]) -> Rows:
        """Give the records at some positions."""
        return Rows([self._texts[position] for position in positions])

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
        return Rows(self._texts[index]) if isinstance(index, slice) else self.records[index]


@lru_cache(maxsize=64)
def _reader_of(member: str) -> msgspec.json.Decoder[list[Any]]:
    one = msgspec.defstruct("Row", [("value", Any, None)], rename={"value": member})
    return msgspec.json.Decoder(cast("type[list[Any]]", list[one]), float_hook=Decimal)  # type: ignore[valid-type]
