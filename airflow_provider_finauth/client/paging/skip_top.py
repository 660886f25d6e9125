"""Pages by skip and top, or from and count, and by links where the answer has them (Landax).

Which names a tenant's version heeds, and whether it gives links, differs; so links are looked for under
each name whatever the version: a client that knows one of them stops after a page, in silence.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_finauth.client.paging.base import PagingStyle
from airflow_provider_finauth.client.paging.guards import Marks
from airflow_provider_finauth.client.paging.limit_offset import OffsetWalk
from airflow_provider_finauth.client.paging.next_link import LINK_KEYS, find_link, follow

if TYPE_CHECKING:
    from airflow_provider_finauth.client.paging.base import Pull, Request, Turn, Walk


@dataclass(frozen=True, kw_only=True)
class SkipTop(PagingStyle):
    """Pages by skip and top.

    :param skip_param: the parameter for the records to leave out
    :param top_param: the parameter for the records a page
    :param size: records a page
    :param cap: the most records that the server gives in one answer
    :param next_link_keys: the members that may hold a link to the next page
    """

    skip_param: str = "$skip"
    top_param: str = "$top"
    size: int = 1000
    cap: int | None = None
    next_link_keys: tuple[str, ...] = LINK_KEYS

    def begin(self, pull: Pull) -> Walk:
        """Begin a walk."""
        return SkipTopWalk(self, pull)

    def members(self) -> tuple[str, ...]:
        return tuple(self.next_link_keys)


class SkipTopWalk(OffsetWalk):
    """One walk by links while there are any, else by skip.

    The last of a row of links is an end, except after exactly as many records as the server gives at most:
    then one request looks beyond them.
    """

    def __init__(self, style: SkipTop, pull: Pull) -> None:
        super().__init__(pull, offset_param=style.skip_param, size_param=style.top_param, size=style.size)
        self._style = style
        self._links = Marks(self, "link")
        self._linked = False

    def next(self, turn: Turn) -> Request | None:
        if turn.rows:
            self.check(turn)
        link = find_link(self, turn.answer, self._style.next_link_keys)
        self._linked = link is not None
        if link is not None:
            return follow(turn, link) if self._links.is_new(link, has_data=bool(turn.rows)) else None
        if not turn.rows or turn.has_all or (turn.request.link and len(turn.rows) != self._style.cap):
            return None
        if len(turn.rows) == self._style.cap:
            self.probes += 1
        return self.request_at(self.offset)

    def bookmark(self) -> dict[str, Any] | None:
        # A link may be short-lived, and may hold what is nobody else's affair.
        return None if self._linked else super().bookmark()

    def foresee(self, turn: Turn) -> Iterator[Request]:
        if turn.request.link or find_link(self, turn.answer, self._style.next_link_keys) is not None:
            return iter(())
        return super().foresee(turn)
