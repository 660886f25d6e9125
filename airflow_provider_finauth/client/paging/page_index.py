"""Pages by their index, or by an offset under the same name.

Talenom's ledger document describes ``pageIndex`` as an index and steps it as an offset in its example, so
which one holds is a switch, and a wrong guess is noticed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airflow_provider_finauth.client.paging.base import Pull, Request, Turn, Walk, dig
from airflow_provider_finauth.client.paging.guards import Starts, key_of


@dataclass(frozen=True, kw_only=True)
class PageIndex:
    """Pages by index.

    :param index_param: the parameter
    :param size_param: the parameter for the records a page
    :param size: records a page
    :param first: the first page's index
    :param offset: the parameter counts records, not pages
    :param switch: what a person changes if the API counts otherwise
    :param page_count: where the answer tells the number of pages, with dots
    """

    index_param: str = "pageIndex"
    size_param: str = "pageSize"
    size: int = 100
    first: int = 0
    offset: bool = False
    switch: str = "the paging option 'offset'"
    page_count: str | None = None

    def begin(self, pull: Pull) -> Walk:
        """Begin a walk."""
        return PageIndexWalk(self, pull)


class PageIndexWalk(Walk):
    """One walk by index or offset."""

    def __init__(self, style: PageIndex, pull: Pull) -> None:
        super().__init__(pull)
        self._style = style
        self._starts = Starts(self)
        self._index = style.first
        self._pages = 0
        self._probed: list[Any] | None = None
        counted = (
            "an index where the API counts records" if not style.offset else "an offset where it counts pages"
        )
        self.doubt = f"Perhaps {style.index_param!r} was sent as {counted}: see {style.switch}."

    def first(self) -> Request:
        return self._request(self._style.first)

    def rows(self, answer: Any) -> list[Any]:
        rows = super().rows(answer)
        if self._probed is None:
            return rows
        # The probe asks for position 1, which an offset finds among the first page's records.
        wanted = {_identity(row, self.pull.key) for row in self._probed}
        if not rows or _identity(rows[0], self.pull.key) not in wanted:
            raise self.error(
                f"{self._style.index_param!r} counts pages here, not records. Change {self._style.switch}."
            )
        return []

    def next(self, turn: Turn) -> Request | None:
        style = self._style
        if self._probed is not None:
            self._probed = None
            return self._request(self._index)
        if not turn.rows:
            return None
        self._pages += 1
        self._starts.check(turn.rows, switch=f"Change {style.switch}.", shifts_by_one=not style.offset)
        if turn.has_all or self._is_last(turn):
            return None
        self._index += len(turn.rows) if style.offset else 1
        if style.offset and self._pages == 1 and turn.total is None and len(turn.rows) > 1:
            # Without a total nothing else would tell that whole pages are left out.
            self._probed = turn.rows
            return self._request(style.first + 1)
        return self._request(self._index)

    def _is_last(self, turn: Turn) -> bool:
        if self._style.page_count is None or self._style.offset:
            return False
        count = dig(turn.answer, self._style.page_count)
        return isinstance(count, int) and turn.total is None and self._pages >= count

    def _request(self, index: int) -> Request:
        style = self._style
        return self.pull.request.with_params({style.index_param: index, style.size_param: style.size})


def _identity(row: Any, key: str | None) -> str:
    named = key_of(row, key)
    return repr(row if named is None else named)
