"""A list that comes in one answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airflow_provider_finauth.client.paging.base import Pull, Request, Turn, Walk, dig

# Where answers say that there is more, or how much there is in all.
_ONWARD = (
    "@odata.nextLink",
    "nextLink",
    "next_link",
    "next",
    "links.next",
    "cursor",
    "nextCursor",
    "next_cursor",
    "pagination.cursor",
    "pagination.next",
    "paging.next",
    "nextPageToken",
    "next_page_token",
)
_TOTALS = ("@odata.count", "rowCount", "total", "totalCount", "total_count", "pagination.total")


@dataclass(frozen=True, kw_only=True)
class Single:
    """No paging. An answer that tells of more records than it holds is not cut short in silence."""

    def begin(self, pull: Pull) -> Walk:
        """Begin a walk."""
        return SingleWalk(pull)


class SingleWalk(Walk):
    """The walk of a single answer."""

    def next(self, turn: Turn) -> Request | None:
        told = next((place for place in _ONWARD if _leads_on(dig(turn.answer, place))), None)
        if told is None and self.pull.total is None:
            length = len(turn.rows)
            told = next((place for place in _TOTALS if _count(dig(turn.answer, place)) > length), None)
        if told is not None and turn.rows:
            raise self.error(
                f"the answer is one page of several, as its member {told!r} tells. Say how the API pages "
                "with 'paging', or set a limit if the first page is all that is wanted."
            )
        return None


def _leads_on(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
