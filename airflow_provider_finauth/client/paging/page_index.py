"""Pages by their index, or by an offset under the same name.

Talenom's ledger document describes ``pageIndex`` as an index and steps it as an offset in its example, so
which one holds is a switch, and a wrong guess is noticed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_finauth.client.paging.base import PagingStyle, Pull, Request, Turn, Walk
from airflow_provider_finauth.client.paging.guards import Starts, keys_of

if TYPE_CHECKING:
    from airflow_provider_finauth.client.paging.answer import Answer
    from airflow_provider_finauth.client.paging.rows import Rows


@dataclass(frozen=True, kw_only=True)
class PageIndex(PagingStyle):
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

    def members(self) -> tuple[str, ...]:
        return () if self.page_count is None else (self.page_count,)


class PageIndexWalk(Walk):
    """One walk by index or offset."""

    def __init__(self, style: PageIndex, pull: Pull) -> None:
        super().__init__(pull)
        self._style = style
        self._starts = Starts(self)
        self._index = style.first
        self._pages = 0
        self._longest = 0
        self._probed: Rows | None = None
        counted = (
            "an index where the API counts records" if not style.offset else "an offset where it counts pages"
        )
        self.doubt = f"Perhaps {style.index_param!r} was sent as {counted}: see {style.switch}."

    def first(self) -> Request:
        return self._request(self._style.first)

    def rows(self, answer: Answer) -> Rows:
        rows = super().rows(answer)
        if self._probed is None:
            return rows
        # The probe asks for position 1, which an offset finds among the first page's records.
        known = _identities(self._probed, self.pull.key)
        if not rows or _identities(rows[:1], self.pull.key)[0] not in known:
            raise self.broken(
                "mistaken_index",
                f"{self._style.index_param!r} counts pages here, not records. Change {self._style.switch}.",
                repeated=True,
            )
        return rows[:0]

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
            self.probes += 1
            return self._request(style.first + 1)
        return self._request(self._index)

    def bookmark(self) -> dict[str, Any] | None:
        # Until the probe is answered it is not known that the pages are counted as they should be.
        return None if self._probed is not None else {"index": self._index, "pages": self._pages}

    def resume(self, bookmark: Mapping[str, Any]) -> Request:
        self._index, self._pages = int(bookmark["index"]), int(bookmark["pages"])
        return self._request(self._index)

    def foresee(self, turn: Turn) -> Iterator[Request]:
        style = self._style
        size = len(turn.rows)
        if self._probed is not None or not size:
            return iter(())
        if style.offset:
            # As if all further pages were as long as this one.
            end = 0 if turn.total is None else style.first + turn.total
            return map(self._request, range(self._index + size, end, size))
        # A page that is shorter than the others does not make them more.
        self._longest = max(self._longest, size)
        pages = self._page_count(turn)
        if pages is None:
            pages = 0 if turn.total is None else -(-turn.total // self._longest)
        return map(self._request, range(self._index + 1, style.first + pages))

    def _is_last(self, turn: Turn) -> bool:
        pages = self._page_count(turn)
        return pages is not None and turn.total is None and self._pages >= pages

    def _page_count(self, turn: Turn) -> int | None:
        if self._style.page_count is None or self._style.offset:
            return None
        count = turn.answer.dig(self._style.page_count)
        return count if isinstance(count, int) else None

    def _request(self, index: int) -> Request:
        style = self._style
        return self.pull.request.with_params({style.index_param: index, style.size_param: style.size})


def _identities(rows: Rows, key: str | None) -> list[Any]:
    named = keys_of(rows, key)
    return [text if name is None else name for name, text in zip(named, rows.texts, strict=True)]
