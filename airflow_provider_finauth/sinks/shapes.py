"""Which Parquet type holds all values of a column exactly, as far as they have been seen."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from itertools import chain
from types import NoneType
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_finauth.sinks.columns import Digits

_decoder = msgspec.json.Decoder(float_hook=Digits)

# Of decimal128, the widest that every reader of Parquet knows.
_MOST_DIGITS = 38
_INT64 = range(-(2**63), 2**63)
_KINDS = {bool: "truth", int: "whole", Digits: "fraction", str: "text", dict: "object", list: "list"}


class Shape:
    """What was seen in one place: a column, a member of nested objects, the items of nested lists.

    :param levels: so many levels of objects and lists become structs and lists, those below JSON text
    """

    def __init__(self, *, levels: int) -> None:
        self._levels = levels
        self._kinds: set[str] = set()
        # The most digits before and behind a decimal point.
        self._before = 0
        self._behind = 0
        self._members: dict[str, Shape] = {}
        self._items: Shape | None = None

    def see(self, values: Sequence[Any], types: set[type] | None = None) -> None:
        """Look at some values.

        :param values: numbers with a fraction as :class:`Digits`
        :param types: theirs, if they are known
        """
        if types is None:
            types = set(map(type, values)) - {NoneType}
        self._kinds.update(map(_KINDS.__getitem__, types))
        if int in types:
            self._see_whole(_only(int, values))
        if Digits in types:
            self._see_fractions(_only(Digits, values))
        if dict in types and self._levels:
            found = _only(dict, values)
            for name in dict.fromkeys(chain.from_iterable(found)):
                member = self._members.setdefault(name, Shape(levels=self._levels - 1))
                member.see([value[name] for value in found if name in value])
        if list in types and self._levels:
            self._items = self._items or Shape(levels=self._levels - 1)
            self._items.see(list(chain.from_iterable(_only(list, values))))

    def _see_whole(self, values: Sequence[int]) -> None:
        least, most = min(values), max(values)
        if least not in _INT64 or most not in _INT64:
            self._kinds.add("large")
        self._before = max(self._before, len(str(max(-least, most))))

    def _see_fractions(self, values: Sequence[Digits]) -> None:
        before, behind = _measure(pa.array(values, pa.string()))
        self._before = max(self._before, before)
        self._behind = max(self._behind, behind)

    @property
    def arrow_type(self) -> pa.DataType:
        """The type that holds all that was seen; text where nothing was, or where kinds clash."""
        kinds = self._kinds
        if kinds == {"truth"}:
            return pa.bool_()
        if kinds == {"whole"}:
            return pa.int64()
        if kinds and kinds <= {"whole", "large", "fraction"}:
            digits = max(self._before + self._behind, 1)
            if digits > _MOST_DIGITS:
                return pa.string()
            return pa.decimal128(digits if "fraction" in kinds else _MOST_DIGITS, self._behind)
        if kinds == {"list"} and self._items is not None:
            return pa.list_(self._items.arrow_type)
        # Parquet has no struct without members.
        if kinds == {"object"} and self._members:
            return pa.struct([(name, member.arrow_type) for name, member in self._members.items()])
        return pa.string()


def _only(wanted: type, values: Sequence[Any]) -> list[Any]:
    return [value for value in values if type(value) is wanted]


def _measure(texts: pa.Array) -> tuple[int, int]:
    """Give the most digits before and behind the decimal point, without zeros in front."""
    if pc.any(pc.match_substring(texts, "e", ignore_case=True)).as_py():
        before, behind = zip(*map(_digits, texts.to_pylist()), strict=True)
        return max(before), max(behind)
    plain = pc.ascii_ltrim(texts, "-")
    length, point = pc.binary_length(plain), pc.find_substring(plain, ".")
    # JSON allows one zero in front, and only where there is nothing else.
    before = pc.if_else(pc.starts_with(plain, "0"), 0, point)
    behind = pc.subtract(pc.subtract(length, point), 1)
    return pc.max(before).as_py(), pc.max(behind).as_py()


def _digits(text: str) -> tuple[int, int]:
    try:
        number = Decimal(text).as_tuple()
    except InvalidOperation:
        # An exponent of twenty digits, for which Python has no room either.
        return _MOST_DIGITS + 1, 0
    assert isinstance(number.exponent, int)
    # A zero counts like any number: Arrow has no room for 0e50 either.
    return max(len(number.digits) + number.exponent, 0), max(-number.exponent, 0)


def fit(array: pa.Array, wanted: pa.DataType) -> pa.Array:
    """Turn a column of a batch, made before all was seen, into the type that holds the whole column."""
    if array.type == wanted:
        return array
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), wanted)
    if pa.types.is_nested(wanted):
        values = (text and _decoder.decode(text) for text in array.to_pylist())
        return pa.array([_fit(value, wanted) for value in values], wanted)
    # By way of texts, since Arrow asks for room for any int64 where it makes decimals of integers.
    return array.cast(pa.string()).cast(wanted)


def _fit(value: Any, wanted: pa.DataType) -> Any:
    if value is None:
        return None
    if pa.types.is_struct(wanted):
        return {member.name: _fit(value.get(member.name), member.type) for member in wanted}
    if pa.types.is_list(wanted):
        return [_fit(item, wanted.value_type) for item in value]
    if pa.types.is_string(wanted):
        return value if isinstance(value, str) else msgspec.json.encode(_as_written(value)).decode()
    return Decimal(value) if pa.types.is_decimal(wanted) else value


def _as_written(value: Any) -> Any:
    if isinstance(value, Digits):
        return msgspec.Raw(value.encode())
    if isinstance(value, dict):
        return {name: _as_written(member) for name, member in value.items()}
    return [_as_written(item) for item in value] if isinstance(value, list) else value
