"""Pages by limit and offset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_finauth.client.paging.base import PagingStyle, Pull, Request, Turn, Walk
from airflow_provider_finauth.client.paging.guards import Starts


@dataclass(frozen=True, kw_only=True)
class LimitOffset(PagingStyle):
    """Pages by limit and offset.

    :param offset_param: the parameter for the records to leave out
    :param limit_param: the parameter for the records a page
    :param size: records a page
    """

    offset_param: str = "offset"
    limit_param: str = "limit"
    size: int = 100

    def begin(self, pull: Pull) -> Walk:
        """Begin a walk."""
        return OffsetWalk(pull, offset_param=self.offset_param, size_param=self.limit_param, size=self.size)


class OffsetWalk(Walk):
    """One walk by offset, on to the first page without a record, or to the promised total.

    The offset grows by what came, not by what was asked for: a server may give fewer records a page.

    :param pull: what is walked
    :param offset_param: the parameter for the records to leave out
    :param size_param: the parameter for the records a page
    :param size: records a page
    """

    def __init__(self, pull: Pull, *, offset_param: str, size_param: str, size: int) -> None:
        super().__init__(pull)
        self._offset_param = offset_param
        self._size_param = size_param
        self._size = size
        self.offset = 0
        self._starts = Starts(self)

    def first(self) -> Request:
        return self.request_at(0)

    def next(self, turn: Turn) -> Request | None:
        if not turn.rows:
            return None
        self.check(turn)
        return None if turn.has_all else self.request_at(self.offset)

    def foresee(self, turn: Turn) -> Iterator[Request]:
        # As if all further pages were as long as this one.
        size = len(turn.rows)
        if turn.total is None or not size:
            return iter(())
        return map(self.request_at, range(self.offset + size, turn.total, size))

    def bookmark(self) -> dict[str, Any] | None:
        return {"offset": self.offset}

    def resume(self, bookmark: Mapping[str, Any]) -> Request:
        self.offset = int(bookmark["offset"])
        return self.request_at(self.offset)

    def check(self, turn: Turn) -> None:
        """Count a page's records, and see that it is another page.

        :raises PaginationError: the page was here before
        """
        self._starts.check(
            turn.rows,
            switch=f"The API does not heed {self._offset_param!r}: it may want another name.",
        )
        self.offset += len(turn.rows)

    def request_at(self, offset: int) -> Request:
        """Ask for the page at an offset."""
        return self.pull.request.with_params({self._offset_param: offset, self._size_param: self._size})
