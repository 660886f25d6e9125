"""Pages by the last record's time, with an inclusive overlap (OP's transactions).

Going on just after the last time would lose records that share it across the edge of a page; so each page
begins with it again, and what was seen is dropped by its key.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_provider_finauth.client.paging.base import PagingStyle, Pull, Request, Turn, Walk
from airflow_provider_finauth.client.paging.guards import keys_of
from airflow_provider_finauth.client.paging.rows import Rows
from airflow_provider_finauth.exceptions import ConfigurationError

if TYPE_CHECKING:
    from airflow_provider_finauth.client.paging.answer import Answer

_log = logging.getLogger(__name__)

# The most keys that a bookmark holds; more records of one time are walked in one go.
_LONGEST_EDGE = 500
# What a record's time may be.
_TIMES = frozenset({int, str, Decimal})


@dataclass(frozen=True, kw_only=True)
class Keyset(PagingStyle):
    """Pages by time.

    :param param: the parameter for the first time wanted, inclusive
    :param field: the record's member that holds its time
    :param size: the most records that a page holds
    :param start: the first time; None asks without one
    :param until: the first time no longer wanted
    :param object_param: the parameter that goes on from a record's key, for a page full of one time
    """

    param: str
    field: str
    size: int
    start: Any = None
    until: Any = None
    object_param: str | None = None

    def begin(self, pull: Pull) -> Walk:
        """Begin a walk."""
        return KeysetWalk(self, pull)


class KeysetWalk(Walk):
    """One walk by time; a page without a record that is new is the end."""

    drops_repeats = True
    counts_repeats = False

    def __init__(self, style: Keyset, pull: Pull) -> None:
        super().__init__(pull)
        if pull.key is None:
            raise ConfigurationError(
                f"The pull of {pull.name} walks by time and needs 'key': the member that names a record.",
                field="key",
            )
        self._style = style
        self._time: Any = style.start
        self._by_object = False
        # A server may give fewer a page than its documents say: this many, and then there was more.
        self._longest = 0
        self._last: Rows = Rows([])
        self._highest: Any = None
        self._newest_first: bool | None = None
        self._read = self._previous = 0
        # Records that the next page begins with, for a bookmark: key, time and version.
        self._edge: list[tuple[Any, Any, Any]] = []
        self._turned = Rows([])
        self.members = (style.field,)

    def first(self) -> Request:
        return self._request(self._time)

    def rows(self, answer: Answer) -> Rows:
        rows = super().rows(answer)
        rows.look_at(self.columns())
        self._read = len(rows)
        self._last = rows[-1:]
        if self.pull.key is not None and None in rows.column(self.pull.key):
            raise self.error(f"a record has no {self.pull.key!r}, by which the overlap of pages is found.")
        if not rows:
            return rows
        times = self._times_of(rows)
        self._highest = max(times)
        if self._newest_first is None:
            is_full = len(rows) >= self._style.size
            self._newest_first = is_full and times[0] > times[-1] and times == sorted(times, reverse=True)
        until = self._style.until
        if until is None:
            return rows
        wanted = [at for at, time in enumerate(times) if time < until]
        return rows if len(wanted) == len(rows) else rows.take(wanted)

    def next(self, turn: Turn) -> Request | None:
        if not self._read:
            return None
        [last] = self._times_of(self._last)
        if self._style.until is not None and last >= self._style.until:
            self._note_end()
            return None
        times = self._times_of(turn.rows)
        self._turned = turn.rows
        is_full = self._read >= self._style.size or (turn.fresh == 0 and 1 < self._longest <= self._read)
        if turn.fresh == 0 and not is_full and not self._is_later(max(times)):
            self._note_end()
            return None
        if not self._by_object and self._time is not None and turn.fresh == 0 and min(times) < self._time:
            raise self.error(
                f"the API does not heed {self._style.param!r}: it gave records from before that time."
            )
        if turn.fresh:
            self._longest = max(self._longest, self._previous)
        self._previous = self._read
        # Where times are not in order, the last record's leaves nothing out; the highest is the way on.
        onward = last if self._is_later(last) else max(times)
        if self._is_later(onward):
            self._time = onward
            self._by_object = False
            return self._request(onward)
        if self._style.until is not None and self._highest >= self._style.until:
            # All of one time does not fill a page that reaches beyond the last time wanted.
            return None
        if not is_full and not self._by_object:
            # Asked for once more: only a page without a new record is the end.
            self.probes += 1
            return self._request(self._time)
        return self._next_object(turn)

    def bookmark(self) -> dict[str, Any] | None:
        pull, rows = self.pull, self._turned
        versions = [None] * len(rows) if pull.version is None else rows.column(pull.version)
        times = rows.column(self._style.field)
        edge = [*self._edge, *zip(keys_of(rows, pull.key), times, versions, strict=True)]
        self._edge = [] if self._time is None else [each for each in edge if each[1] >= self._time]
        self._turned = Rows([])
        if self._by_object or len(self._edge) > _LONGEST_EDGE:
            return None
        if not all(isinstance(value, str | int | None) for each in self._edge for value in each):
            # JSON would not give back what it got.
            return None
        return {
            "time": self._time,
            "lengths": [self._longest, self._previous],
            "edge": [list(each) for each in self._edge],
        }

    def resume(self, bookmark: Mapping[str, Any]) -> Request:
        self._time = bookmark["time"]
        self._longest, self._previous = bookmark["lengths"]
        self._edge = [(key, time, version) for key, time, version in bookmark["edge"]]
        self.met = {key: version for key, _, version in self._edge}
        return self._request(self._time)

    def _note_end(self) -> None:
        """Say so if all that came was one page which begins with the newest record.

        It may be whole: no request tells a list in reverse order from one that leads backwards in time.
        """
        if self._newest_first and not self._longest:
            _log.warning(
                "The pull of %s ends after one full page that begins with the newest record. If there should "
                "be more, ask the API for the oldest first: this paging goes on from there.",
                self.pull.name,
            )

    def _next_object(self, turn: Turn) -> Request:
        style = self._style
        [name] = keys_of(self._last, self.pull.key)
        if style.object_param is None or name is None or (self._by_object and turn.fresh == 0):
            raise self.broken(
                "stuck",
                f"a whole page of {self._read} records has the same {style.field!r}, {self._time}, and "
                "nothing leads past it; there may be more of them. Ask for larger pages, if there are any.",
            )
        self._by_object = True
        # In place of the time: the API takes one of the two.
        return self.pull.request.with_params({style.object_param: name})

    def _is_later(self, time: Any) -> bool:
        return self._time is None or bool(time > self._time)

    def _times_of(self, rows: Rows) -> list[Any]:
        times = rows.column(self._style.field)
        kinds = set(map(type, times))
        texts = {kind is str for kind in kinds}
        if self._time is not None:
            texts.add(isinstance(self._time, str))
        if len(texts) > 1 or not kinds <= _TIMES:
            raise self.error(f"a record has no usable {self._style.field!r}, by which the pages are walked.")
        return times

    def _request(self, time: Any) -> Request:
        if time is None:
            return self.pull.request
        return self.pull.request.with_params({self._style.param: time})
