"""What holds a walk to completeness: nothing is cut short in silence, and nothing lawful raises."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_provider_finauth.client.bodies import encode_json
from airflow_provider_finauth.client.paging.base import dig

if TYPE_CHECKING:
    from airflow_provider_finauth.client.paging.base import Walk

# A walk that is longer than this does not end.
MOST_PAGES = 100_000
# How many keys are remembered at least.
WINDOW = 10_000


def key_of(row: Any, key: str | None) -> Hashable | None:
    """Give what names a record; None if it has no such member."""
    if key is None or not isinstance(row, Mapping):
        return None
    value = row[key] if key in row else dig(row, key)
    if isinstance(value, Hashable) or value is None:
        return value
    return encode_json(value)


class Marks:
    """Cursors or links that have been met, whatever the length of a cycle.

    :param walk: whose
    :param what: what they are called
    """

    def __init__(self, walk: Walk, what: str) -> None:
        self._walk = walk
        self._what = what
        self._seen: set[str] = set()

    def is_new(self, mark: str, *, has_data: bool) -> bool:
        """Note a mark that leads on. The same one with no data is an end, with data a cycle.

        :raises PaginationError: a cycle
        """
        if mark not in self._seen:
            self._seen.add(mark)
            return True
        if has_data:
            raise self._walk.error(
                f"the API gave a {self._what} that it had given before, with records: the pages go in a "
                "circle, or the API does not heed what should lead on."
            )
        return False


class Starts:
    """How pages begin, for styles that count positions: a first key seen before is a page seen before.

    Without a key whole pages are compared, and only those with different records: a list may lawfully hold
    many equal ones.

    :param walk: whose
    """

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self._key = walk.pull.key
        self._seen: set[Hashable] = set()
        self._first_page: list[Any] = []
        self._pages = 0

    def check(self, rows: list[Any], *, switch: str, shifts_by_one: bool = False) -> None:
        """Note a page with records.

        :param switch: what to change if the second page is the first again
        :param shifts_by_one: the second page may begin with the first page's second record, if the API
            takes the page's index for an offset
        :raises PaginationError: the page was here before
        """
        self._pages += 1
        if self._pages == 1:
            self._first_page = rows
        elif self._pages == 2:
            if self._begins_like(rows, 0) or (shifts_by_one and self._begins_like(rows, 1)):
                raise self._walk.error(f"the second page begins like the first one. {switch}")
            # Held no longer than needed.
            self._first_page = []
        mark = self._mark(rows)
        if mark is None:
            return
        if mark in self._seen:
            raise self._walk.error(f"page {self._pages} is one that had come before. {switch}")
        self._seen.add(mark)

    def _mark(self, rows: list[Any]) -> Hashable | None:
        named = key_of(rows[0], self._key)
        if named is not None:
            return named
        if all(row == rows[0] for row in rows):
            return None
        return hash(encode_json(rows))

    def _begins_like(self, rows: list[Any], position: int) -> bool:
        """Tell whether a page begins where the first page had its record at a position."""
        before = self._first_page[position:]
        # Of two records one is the last as well, where a page lawfully begins again if a record came in.
        if not before or (position and len(self._first_page) <= 2):
            return False
        named = key_of(rows[0], self._key)
        if named is not None:
            return named == key_of(before[0], self._key)
        length = min(len(rows), len(before))
        different = any(row != rows[0] for row in rows[:length])
        return different and rows[:length] == before[:length]


class Repeats:
    """Records that come twice, found by their key among the last 10,000 (or all).

    Where positions shift (Relay) a record that came before is dropped. Elsewhere it is dropped only if the
    page before had it unchanged; otherwise it may be a newer state and is delivered. All are counted.

    :param walk: whose
    """

    def __init__(self, walk: Walk) -> None:
        self._key = walk.pull.key
        self._drops = walk.drops_repeats
        self._exact = walk.pull.exact or walk.exact
        # Two sets that take turns forget in one stroke what an ordered one would forget key by key.
        self._newer: set[Hashable] = set()
        self._older: set[Hashable] = set()
        self._before: list[Any] = []

    def sift(self, rows: list[Any]) -> tuple[list[Any], int]:
        """Give the records to deliver, and how many of the page's had come before."""
        if self._key is None or not rows:
            return rows, 0
        keys = [key_of(row, self._key) for row in rows]
        fresh = set(keys)
        if (
            len(fresh) == len(keys)
            and None not in fresh
            and fresh.isdisjoint(self._newer)
            and fresh.isdisjoint(self._older)
        ):
            kept, repeated = rows, 0
        else:
            kept, repeated = self._sift_singly(rows, keys)
        fresh.discard(None)
        self._newer |= fresh
        if not self._exact and len(self._newer) >= WINDOW:
            self._older, self._newer = self._newer, set()
        self._before = rows
        return kept, repeated

    def _sift_singly(self, rows: list[Any], keys: list[Hashable | None]) -> tuple[list[Any], int]:
        last = {key_of(row, self._key): row for row in self._before}
        met: set[Hashable] = set()
        kept: list[Any] = []
        repeated = 0
        for row, key in zip(rows, keys, strict=True):
            if key is None:
                kept.append(row)
                continue
            came = key in met or key in self._newer or key in self._older
            repeated += came
            if not came or not (self._drops or last.get(key) == row):
                kept.append(row)
            met.add(key)
            last[key] = row
        return kept, repeated


class Promise:
    """The number of records that the API says there are.

    The last page's total counts and growth is followed; the walk must bring at least the smallest one seen,
    since records may go while it lasts.

    :param walk: whose
    """

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self._path = walk.pull.total
        self._smallest: int | None = None
        self.total: int | None = None

    def note(self, answer: Any) -> None:
        """Read an answer's total, if it has one."""
        total = _whole_number(dig(answer, self._path)) if self._path is not None else None
        if total is not None:
            self.total = total
            self._smallest = total if self._smallest is None else min(self._smallest, total)

    def keep(self, received: int) -> None:
        """Compare at the end of a walk.

        :raises PaginationError: fewer records came than were promised
        """
        if self._smallest is not None and received < self._smallest:
            raise self._walk.error(
                f"the API promised {self._smallest} records and gave {received}. {self._walk.doubt}".rstrip()
            )


def _whole_number(value: Any) -> int | None:
    # Looked at first: the integer of a large exponent would fill the memory.
    if isinstance(value, Decimal) and value.adjusted() < 20 and value == value.to_integral_value():
        value = int(value)
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 20:
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    return None
