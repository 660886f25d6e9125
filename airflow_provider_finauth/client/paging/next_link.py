"""Pages by the link that each answer gives; a link is opaque and followed unchanged."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from airflow_provider_finauth.client.paging.base import Pull, Request, Turn, Walk, dig
from airflow_provider_finauth.client.paging.guards import Marks

LINK_KEYS = ("@odata.nextLink", "nextLink")


@dataclass(frozen=True, kw_only=True)
class NextLink:
    """Pages by link.

    :param keys: the members that may hold the link, with dots
    """

    keys: tuple[str, ...] = LINK_KEYS

    def begin(self, pull: Pull) -> Walk:
        """Begin a walk."""
        return NextLinkWalk(self, pull)


class NextLinkWalk(Walk):
    """One walk by links."""

    def __init__(self, style: NextLink, pull: Pull) -> None:
        super().__init__(pull)
        self._style = style
        self._links = Marks(self, "link")

    def next(self, turn: Turn) -> Request | None:
        link = find_link(self, turn.answer, self._style.keys)
        if link is None or not self._links.is_new(link, has_data=bool(turn.rows)):
            return None
        return follow(turn.request, link)


def find_link(walk: Walk, answer: Any, keys: Iterable[str]) -> str | None:
    """Give the link to the next page, if the answer has one.

    :raises PaginationError: there is something else in its place; ``null`` and ``false`` are no link
    """
    strange: str | None = None
    for key in keys:
        link = dig(answer, key)
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


def follow(request: Request, link: str) -> Request:
    """Ask for what a link leads to."""
    return replace(request, path=link, link=True, params=None)
