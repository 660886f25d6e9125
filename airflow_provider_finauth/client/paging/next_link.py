"""Pages by the link that each answer gives; a link is opaque and followed unchanged."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from airflow_provider_finauth.client.paging.base import PagingStyle, Pull, Request, Turn, Walk
from airflow_provider_finauth.client.paging.guards import Marks
from airflow_provider_finauth.client.paging.single import told_of_more

if TYPE_CHECKING:
    from airflow_provider_finauth.client.paging.answer import Answer

_ABSENT = object()
LINK_KEYS = ("@odata.nextLink", "nextLink")


@dataclass(frozen=True, kw_only=True)
class NextLink(PagingStyle):
    """Pages by link.

    :param keys: the members that may hold the link, with dots
    """

    keys: tuple[str, ...] = LINK_KEYS

    def begin(self, pull: Pull) -> Walk:
        """Begin a walk."""
        return NextLinkWalk(self, pull)

    def members(self) -> tuple[str, ...]:
        return tuple(self.keys)


class NextLinkWalk(Walk):
    """One walk by links."""

    def __init__(self, style: NextLink, pull: Pull) -> None:
        super().__init__(pull)
        self._style = style
        self._links = Marks(self, "link")

    def next(self, turn: Turn) -> Request | None:
        link = find_link(self, turn.answer, self._style.keys)
        if link is None and turn.rows and not turn.request.link:
            self._judge_absence(turn.answer)
        if link is None or not self._links.is_new(link, has_data=bool(turn.rows)):
            return None
        return follow(turn, link)

    def _judge_absence(self, answer: Answer) -> None:
        """Tell a list of one page from a link that has another name.

        :raises PaginationError: something else tells of more
        """
        if any(answer.dig(key, _ABSENT) is not _ABSENT for key in self._style.keys):
            return
        told = told_of_more(answer.reopened())
        if told is not None:
            raise self.error(
                f"the answer has no link in {' or '.join(map(repr, self._style.keys))}, and its member "
                f"{told!r} tells of more. Name the member that holds the link with 'keys'."
            )


def find_link(walk: Walk, answer: Answer, keys: Iterable[str]) -> str | None:
    """Give the link to the next page, if the answer has one.

    :raises PaginationError: there is something else in its place; ``null`` and ``false`` are no link
    """
    strange: str | None = None
    for key in keys:
        link = answer.dig(key)
        if isinstance(link, str):
            if link.strip():
                return link.strip()
        elif link is not None and link is not False:
            strange = strange or key
    if strange is not None:
        raise walk.error(
            f"the answer's member {strange!r} is no link, but something else. Name the member that holds the "
            "link itself, such as 'next.href'."
        )
    return None


def follow(turn: Turn, link: str) -> Request:
    """Ask for what a link leads to."""
    return replace(turn.request, path=link, link=True, base=turn.answer.url, params=None)
