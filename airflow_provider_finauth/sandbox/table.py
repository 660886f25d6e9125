"""The lists that the sandbox serves: some thousand rows that are kept, and as many more as are asked for."""

from __future__ import annotations

import bisect
from array import array
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from airflow_provider_finauth.sandbox.values import ENCODER

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping

    Row = dict[str, Any]
    # Makes the members in which the n-th of so many rows differs from the kept one that it is made of.
    Vary = Callable[[Row, int, int], Row]
    # Makes the members that tell when a row has changed, or came in.
    Touch = Callable[[datetime, bool], Row]

T = TypeVar("T")


class _Made(Sequence[T]):
    """Rows that are made when they are read, and not kept."""

    def __init__(self, length: int, make: Callable[[int], T]) -> None:
        self._length = length
        self._make = make

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return [self._make(number) for number in range(*place.indices(self._length))]
        if not -self._length <= place < self._length:
            raise IndexError(place)
        return self._make(place % self._length)


class Table:
    """The rows of one list.

    Its rows are made when first asked for, and kept together with their JSON. A list that can grow serves
    more than those: each row is then a kept one with other keys and times, made anew for each answer, so that
    a million of them take no memory. Rows may be added and changed; :meth:`reset` undoes it.

    :param make: makes the rows that are kept
    :param vary: for a list that can grow
    :param touch: for a list whose rows change on request
    :param order: what the rows are ordered by; what comes in late then stands among the earlier ones
    :param newest_first: whether what comes in stands at the front
    """

    def __init__(
        self,
        make: Callable[[], list[Row]],
        *,
        vary: Vary | None = None,
        touch: Touch | None = None,
        order: Callable[[Row], Any] | None = None,
        newest_first: bool = False,
    ) -> None:
        self._make = make
        self._vary = vary
        self._touch = touch
        self._order = order
        self._newest_first = newest_first
        self._selections: dict[Hashable, array[int]] = {}
        self._size: int | None = None
        self._version = 0
        # By number: that of a row which was added follows on those of the others, wherever it stands.
        self._changes: dict[int, Row] = {}
        self._added = 0
        self._numbers: array[int] | None = None

    def reset(self, size: int | None = None) -> None:
        """Forget what was added and changed.

        :param size: how many rows there are then; None for those that are kept
        :raises ValueError: the list does not grow
        """
        if size is not None and self._vary is None:
            raise ValueError("This list does not grow.")
        self._size = size
        self._changes.clear()
        self._added = 0
        self._numbers = None
        self._version += 1

    @property
    def version(self) -> int:
        """Another one after each change."""
        return self._version

    @cached_property
    def kept(self) -> list[Row]:
        """The rows that are kept."""
        return self._make()

    @cached_property
    def _kept_raw(self) -> list[msgspec.Raw]:
        return [msgspec.Raw(ENCODER.encode(row)) for row in self.kept]

    @property
    def plain(self) -> bool:
        """Whether the rows are those that are kept."""
        return self._size is None and not self._changes

    def __len__(self) -> int:
        return self._total + self._added

    @property
    def _total(self) -> int:
        return len(self.kept) if self._size is None else self._size

    @property
    def rows(self) -> Sequence[Row]:
        """The rows."""
        return self.kept if self.plain else _Made(len(self), self.row)

    @property
    def raw(self) -> Sequence[msgspec.Raw]:
        """The rows as JSON."""
        if self.plain:
            return self._kept_raw
        return _Made(len(self), lambda place: msgspec.Raw(ENCODER.encode(self.row(place))))

    def row(self, place: int) -> Row:
        """The row at a place."""
        return self._of(place if self._numbers is None else self._numbers[place])

    def place(self, number: int) -> int:
        """Where the row stands that was the so manieth when nothing had come in yet.

        :raises ValueError: there is none
        """
        if not 0 <= number < len(self):
            raise ValueError(number)
        return number if self._numbers is None else self._numbers.index(number)

    def _of(self, number: int) -> Row:
        changed = self._changes.get(number)
        return self._fresh(number, self._total) if changed is None else changed

    def _fresh(self, number: int, total: int) -> Row:
        kept = self.kept
        if self._size is None and number < len(kept):
            return kept[number]
        if self._vary is None:
            raise ValueError("This list does not grow.")
        row = kept[number % len(kept)]
        return {**row, **self._vary(row, number, total)}

    def insert(self, row: Row) -> None:
        """Let a row come in."""
        number = len(self)
        if self._numbers is None and (self._newest_first or self._order):
            self._numbers = array("q", range(number))
        self._changes[number] = row
        self._added += 1
        self._put(number)
        self._version += 1

    def _put(self, number: int) -> None:
        if self._numbers is None:
            return
        place = 0
        if self._order is not None:
            order = self._order
            wanted = order(self._changes[number])
            place = bisect.bisect_right(self._numbers, wanted, key=lambda other: order(self._of(other)))
        self._numbers.insert(place, number)

    def add(self, count: int, at: datetime | None, members: Mapping[str, Any]) -> list[Row]:
        """Let so many rows come in.

        :param at: when; now by default
        :param members: what is particular about them
        :raises ValueError: the list does not grow
        """
        stamp = self._stamp(at, new=True)
        added = []
        for _ in range(count):
            number = len(self)
            row = {**self._fresh(number, number + 1), **stamp, **members}
            self.insert(row)
            added.append(row)
        return added

    def change(self, places: Iterable[int], at: datetime | None, members: Mapping[str, Any]) -> list[Row]:
        """Let the rows at some places change.

        :param at: when; now by default
        :param members: what changes besides
        :raises ValueError: the list's rows do not change, or there is no such place
        """
        stamp = self._stamp(at, new=False)
        places = list(places)
        if any(not 0 <= place < len(self) for place in places):
            raise ValueError(f"There are {len(self)} rows.")
        numbers = [place if self._numbers is None else self._numbers[place] for place in places]
        rows = [{**self._of(number), **stamp, **members} for number in numbers]
        for number, row in zip(numbers, rows, strict=True):
            if self._order is not None:
                if self._numbers is None:
                    self._numbers = array("q", range(len(self)))
                self._numbers.remove(number)
            self._changes[number] = row
            if self._order is not None:
                self._put(number)
        self._version += 1
        return rows

    def _stamp(self, at: datetime | None, *, new: bool) -> Row:
        if self._touch is None:
            raise ValueError("The rows of this list do not change.")
        return self._touch(at or datetime.now(UTC), new)

    def select(self, key: Hashable, wanted: Callable[[Row], bool]) -> Sequence[int]:
        """The places of the rows that are wanted, remembered under ``key`` while a client pages."""
        key = (self.version, key)
        if key not in self._selections:
            if len(self._selections) >= 16:
                self._selections.clear()
            self._selections[key] = array("q", (place for place, row in enumerate(self.rows) if wanted(row)))
        return self._selections[key]


class View(Table):
    """The rows of another table in another shape.

    :param table: the other one
    :param shape: makes a row of the row at a place
    """

    def __init__(self, table: Table, shape: Callable[[int, Row], Row]) -> None:
        self._table = table
        self._shape = shape
        super().__init__(lambda: [shape(place, row) for place, row in enumerate(table.kept)])

    @property
    def version(self) -> int:
        return self._table.version

    @property
    def plain(self) -> bool:
        return self._table.plain

    def __len__(self) -> int:
        return len(self._table)

    def row(self, place: int) -> Row:
        return self._shape(place, self._table.row(place))

    def place(self, number: int) -> int:
        return self._table.place(number)
