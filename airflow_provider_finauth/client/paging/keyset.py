"""Pages by the last record's time, with an inclusive overlap (OP's transactions).

Going on just after the last time would lose records that share it across the edge of a page; so each page
begins with it again, and what was seen is dropped by its key.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airflow_provider_finauth.client.paging.base import Pull, Request, Turn, Walk, dig
from airflow_provider_finauth.client.paging.guards import key_of
from airflow_provider_finauth.exceptions import ConfigurationError


@dataclass(frozen=True, kw_only=True)
class Keyset:
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
        self._last: Any = None
        self._read = self._previous = 0

    def first(self) -> Request:
        return self._request(self._time)

    def rows(self, answer: Any) -> list[Any]:
        rows = super().rows(answer)
        self._read = len(rows)
        self._last = rows[-1] if rows else None
        if any(key_of(row, self.pull.key) is None for row in rows):
            raise self.error(f"a record has no {self.pull.key!r}, by which the overlap of pages is found.")
        until = self._style.until
        return rows if until is None else [row for row in rows if self._time_of(row) < until]

    def next(self, turn: Turn) -> Request | None:
        if not self._read:
            return None
        last = self._time_of(self._last)
        if self._style.until is not None and last >= self._style.until:
            return None
        times = [self._time_of(row) for row in turn.rows]
        is_full = self._read >= self._style.size or (turn.fresh == 0 and 1 < self._longest <= self._read)
        if turn.fresh == 0 and not is_full:
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
        if not is_full and not self._by_object:
            # Asked for once more: only a page without a new record is the end.
            return self._request(self._time)
        return self._next_object(turn)

    def _next_object(self, turn: Turn) -> Request:
        style = self._style
        name = key_of(self._last, self.pull.key)
        if style.object_param is None or name is None or (self._by_object and turn.fresh == 0):
            raise self.error(
                f"a whole page of {self._read} records has the same {style.field!r}, {self._time}, and "
                "nothing leads past it; there may be more of them. Ask for larger pages, if the API has them."
            )
        self._by_object = True
        # In place of the time: the API takes one of the two.
        return self.pull.request.with_params({style.object_param: name})

    def _is_later(self, time: Any) -> bool:
        return self._time is None or bool(time > self._time)

    def _time_of(self, row: Any) -> Any:
        time = dig(row, self._style.field)
        if (
            time is None
            or isinstance(time, bool)
            or (self._time is not None and isinstance(time, str) != isinstance(self._time, str))
        ):
            raise self.error(f"a record has no usable {self._style.field!r}, by which the pages are walked.")
        return time

    def _request(self, time: Any) -> Request:
        if time is None:
            return self.pull.request
        return self.pull.request.with_params({self._style.param: time})
