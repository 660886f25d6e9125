"""What holds a walk to completeness: nothing is cut short in silence, and nothing lawful raises."""

from __future__ import annotations

from collections.abc import Hashable
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from airflow_provider_finauth.client.bodies import encode_json
from airflow_provider_finauth.client.paging.changes import moment_of
from airflow_provider_finauth.client.paging.rows import Rows

if TYPE_CHECKING:
    from airflow_provider_finauth.client.paging.answer import Answer
    from airflow_provider_finauth.client.paging.base import Walk

# A walk that is longer than this does not end.
MOST_PAGES = 100_000
# How many keys are remembered at least.
WINDOW = 10_000
_ABSENT: Any = object()


def keys_of(rows: Rows, key: str | None) -> list[Any]:
    """Give what names each record, hashable; None for one that has no such member."""
    return [None] * len(rows) if key is None else _hashable(rows.column(key))


def _hashable(keys: list[Any]) -> list[Any]:
    return [key if isinstance(key, Hashable) else encode_json(key) for key in keys]


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

        :raises Mismatch: a cycle
        """
        if mark not in self._seen:
            self._seen.add(mark)
            return True
        if has_data:
            raise self._walk.broken(
                "cycles",
                f"the API gave a {self._what} that it had given before, with records: the pages go in a "
                "circle, or the API does not heed what should lead on.",
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
        self._first_page = Rows([])
        self._pages = 0

    def check(self, rows: Rows, *, switch: str, shifts_by_one: bool = False) -> None:
        """Note a page with records.

        :param switch: what to change if the second page is the first again
        :param shifts_by_one: the second page may begin with the first page's second record, if the API
            takes the page's index for an offset
        :raises Mismatch: the page was here before
        """
        self._pages += 1
        if self._pages == 1:
            self._first_page = rows
        elif self._pages == 2:
            if self._begins_like(rows, 0) or (shifts_by_one and self._begins_like(rows, 1)):
                raise self._walk.broken(
                    "mistaken_index", f"the second page begins like the first one. {switch}", repeated=True
                )
            # Held no longer than needed.
            self._first_page = Rows([])
        mark = self._mark(rows)
        if mark is None:
            return
        if mark in self._seen:
            raise self._walk.broken(
                "cycles", f"page {self._pages} is one that had come before. {switch}", repeated=True
            )
        self._seen.add(mark)

    def _mark(self, rows: Rows) -> Hashable | None:
        named = keys_of(rows[:1], self._key)[0]
        if named is not None:
            return cast("Hashable", named)
        first = rows.texts[0]
        if all(text == first for text in rows.texts):
            return None
        return hash(b",".join(rows.texts))

    def _begins_like(self, rows: Rows, position: int) -> bool:
        """Tell whether a page begins where the first page had its record at a position."""
        before = self._first_page[position:]
        # Of two records one is the last as well, where a page lawfully begins again if a record came in.
        if not before or (position and len(self._first_page) <= 2):
            return False
        named = keys_of(rows[:1], self._key)[0]
        if named is not None:
            return bool(named == keys_of(before[:1], self._key)[0])
        length = min(len(rows), len(before))
        texts = list(rows.texts[:length])
        different = any(text != texts[0] for text in texts)
        return different and texts == list(before.texts[:length])


class Sifted(NamedTuple):
    """What became of a page's records.

    :param kept: those to deliver
    :param different: how many of the page have a key that had not come, or none
    :param new: those, and newer states of records that had come
    :param repeated: how many had come
    :param older: how many had come in a newer state
    """

    kept: Rows
    different: int
    new: int
    repeated: int
    older: int


class Repeats:
    """Records that come twice, found by their key among the last 10,000 (or all).

    Where positions shift (Relay) a record that came before is dropped. Elsewhere it is dropped only if the
    page before had it unchanged; otherwise it may be a newer state and is delivered. All are counted.
    Where the pull names the version of a record, that alone decides: an equal one is dropped, a newer one
    delivered, an older one dropped and counted for itself.

    :param walk: whose
    """

    def __init__(self, walk: Walk) -> None:
        self._key = walk.pull.key
        self._version = walk.pull.version
        self._drops = walk.drops_repeats
        self._exact = walk.pull.exact or walk.exact
        # Two that take turns forget in one stroke what an ordered one would forget key by key.
        self._newer: set[Hashable] = set(walk.met)
        self._older: set[Hashable] = set()
        self._newer_versions: dict[Hashable, Any] = dict(walk.met)
        self._older_versions: dict[Hashable, Any] = {}
        self._before = Rows([])

    def sift(self, rows: Rows) -> Sifted:
        """Tell the records to deliver from those that had come before."""
        if self._key is None or not rows:
            return Sifted(rows, len(rows), len(rows), 0, 0)
        keys = rows.column(self._key)
        try:
            fresh = set(keys)
        except TypeError:
            keys = _hashable(keys)
            fresh = set(keys)
        versions = None if self._version is None else rows.column(self._version)
        doubtful: set[Hashable] | None = None
        if len(fresh) == len(keys) and None not in fresh:
            # Nearly always none, or one at the edge of the page before.
            doubtful = (fresh & self._newer) | (fresh & self._older)
        met: dict[Hashable, Any] = {}
        if doubtful is None or doubtful:
            sifted = self._sift_singly(rows, keys, versions, doubtful, met)
        else:
            sifted = Sifted(rows, len(rows), len(rows), 0, 0)
        if versions is not None:
            self._newer_versions.update(zip(keys, versions, strict=True))
            self._newer_versions.update(met)
        fresh.discard(None)
        self._newer |= fresh
        if not self._exact and len(self._newer) >= WINDOW:
            self._older, self._newer = self._newer, set()
            self._older_versions, self._newer_versions = self._newer_versions, {}
        self._before = rows
        return sifted

    def _sift_singly(
        self,
        rows: Rows,
        keys: list[Any],
        versions: list[Any] | None,
        doubtful: set[Hashable] | None,
        met: dict[Hashable, Any],
    ) -> Sifted:
        """Look at each record whose key may have come; ``doubtful`` tells those keys, None stands for all.

        :param met: takes the newest version of each key that was looked at
        """
        before = zip(keys_of(self._before, self._key), self._before.texts, strict=True)
        last = {key: text for key, text in before if doubtful is None or key in doubtful}
        dropped: set[int] = set()
        again = repeated = older = 0
        for at, key in enumerate(keys):
            if key is None or (doubtful is not None and key not in doubtful):
                continue
            version, text = None if versions is None else versions[at], rows.texts[at]
            if key in met or key in self._newer or key in self._older:
                again += 1
                known = met.get(key, self._newer_versions.get(key, self._older_versions.get(key)))
                if version is None:
                    repeated += 1
                    if self._drops or last.get(key) == text:
                        dropped.add(at)
                elif version == known:
                    repeated += 1
                    dropped.add(at)
                elif _is_older(version, known):
                    older += 1
                    dropped.add(at)
                    version = known
            met[key], last[key] = version, text
        left = rows.without(dropped)
        return Sifted(left, len(rows) - again, len(rows) - repeated - older, repeated, older)


def _is_older(version: Any, known: Any) -> bool:
    # As texts, moments whose fractions have different lengths are out of order.
    moments = moment_of(version), moment_of(known)
    if moments[0] is not None and moments[1] is not None:
        return moments[0] < moments[1]
    try:
        return bool(version < known)
    except TypeError:
        return False


class Promise:
    """The number of records that the API says there are.

    The last page's total counts and growth is followed; the walk must bring at least the smallest one seen,
    since records may go while it lasts.

    :param walk: whose
    """

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self._path = walk.pull.total
        self.smallest: int | None = None
        self.total: int | None = None

    def note(self, answer: Answer) -> None:
        """Read an answer's total, if it has one."""
        total = _whole_number(answer.dig(self._path)) if self._path is not None else None
        if total is not None:
            self.total = total
            self.smallest = total if self.smallest is None else min(self.smallest, total)

    def keep(self, received: int) -> None:
        """Compare at the end of a walk.

        :raises Mismatch: fewer records came than were promised
        """
        if self.smallest is not None and received < self.smallest:
            raise self._walk.broken(
                "missing",
                f"the API promised {self.smallest} records and gave {received}. {self._walk.doubt}".rstrip(),
                amount=self.smallest - received,
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
