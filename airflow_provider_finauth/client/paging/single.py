"""A list that comes in one answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_finauth.client.paging.base import PagingStyle, Pull, Request, Turn, Walk

if TYPE_CHECKING:
    from airflow_provider_finauth.client.paging.answer import Answer

# Where answers say that there is more, or how much there is in all.
_ONWARD = (
    "@odata.nextLink",
    "nextLink",
    "next_link",
    "next",
    "links.next",
    "_links.next",
    "cursor",
    "nextCursor",
    "next_cursor",
    "pagination.cursor",
    "pagination.next",
    "paging.next",
    "nextPageToken",
    "next_page_token",
    "hasMore",
    "has_more",
    "hasNextPage",
    "pageInfo.hasNextPage",
)
_TOTALS = ("@odata.count", "rowCount", "total", "totalCount", "total_count", "pagination.total")


@dataclass(frozen=True, kw_only=True)
class Single(PagingStyle):
    """No paging. An answer that tells of more records than it holds is not cut short in silence."""

    def begin(self, pull: Pull) -> Walk:
        """Begin a walk."""
        return SingleWalk(pull)

    def members(self) -> tuple[str, ...]:
        return (*_ONWARD, *_TOTALS)


class SingleWalk(Walk):
    """The walk of a single answer."""

    def next(self, turn: Turn) -> Request | None:
        told = told_of_more(turn.answer)
        if told is None and self.pull.total is None:
            length = len(turn.rows)
            told = next((place for place in _TOTALS if _count(turn.answer.dig(place)) > length), None)
        if told is not None and turn.rows:
            raise self.error(
                f"the answer is one page of several, as its member {told!r} tells. Say how the API pages "
                "with 'paging', or set a limit if the first page is all that is wanted."
            )
        return None


def told_of_more(answer: Answer) -> str | None:
    """Name the member by which an answer most likely says that there is more."""
    return next((place for place in _ONWARD if _leads_on(answer.dig(place))), None)


def _leads_on(value: Any) -> bool:
    if isinstance(value, Mapping):
        value = value.get("href")
    return value is True or (isinstance(value, str) and bool(value.strip()))


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
