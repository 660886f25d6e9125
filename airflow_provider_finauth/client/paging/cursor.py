"""Pages by a cursor that each answer gives and the next request hands back."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_finauth.client.paging.base import PagingStyle, Pull, Request, Turn, Walk
from airflow_provider_finauth.client.paging.guards import Marks
from airflow_provider_finauth.client.paging.single import told_of_more

_log = logging.getLogger(__name__)
_ABSENT = object()


@dataclass(frozen=True, kw_only=True)
class Cursor(PagingStyle):
    """Pages by cursor. A page without records is no end while its cursor is a new one.

    :param cursor_path: where the answer holds the next cursor, with dots
    :param param: the parameter that hands it back
    :param size_param: the parameter for the records a page; None sends none
    :param size: records a page
    """

    cursor_path: str = "cursor"
    param: str = "cursor"
    size_param: str | None = None
    size: int = 100

    def begin(self, pull: Pull) -> Walk:
        """Begin a walk."""
        return CursorWalk(self, pull)

    def members(self) -> tuple[str, ...]:
        return (self.cursor_path,)


class CursorWalk(Walk):
    """One walk by cursors."""

    def __init__(self, style: Cursor, pull: Pull) -> None:
        super().__init__(pull)
        self._style = style
        self._cursors = Marks(self, "cursor")
        self._cursor: Any = None
        self._base = pull.request.with_params({style.size_param: style.size} if style.size_param else {})

    def first(self) -> Request:
        return self._base

    def next(self, turn: Turn) -> Request | None:
        cursor = turn.answer.dig(self._style.cursor_path, _ABSENT)
        if cursor is _ABSENT:
            self._judge_absence(turn)
            return None
        if cursor is None or cursor is False or cursor == "":
            return None
        if isinstance(cursor, Mapping | list):
            raise self.error(
                f"the answer's member {self._style.cursor_path!r} is no cursor, but something else. Name the "
                "member that holds the cursor itself with cursor_path."
            )
        if not self._cursors.is_new(str(cursor), has_data=bool(turn.rows)):
            return None
        self._cursor = cursor
        return self._base.with_params({self._style.param: cursor})

    def bookmark(self) -> dict[str, Any] | None:
        return {"cursor": self._cursor} if isinstance(self._cursor, str | int) else None

    def resume(self, bookmark: Mapping[str, Any]) -> Request:
        self._cursor = bookmark["cursor"]
        self._cursors.is_new(str(self._cursor), has_data=False)
        return self._base.with_params({self._style.param: self._cursor})

    def _judge_absence(self, turn: Turn) -> None:
        """Tell an end from a wrong path: both leave the cursor out, and an end after a full page is rare.

        :raises PaginationError: something else tells of more, or not even the object is there that should
            hold it
        """
        style = self._style
        if turn.request is not self._base:
            return
        if turn.rows and (told := told_of_more(turn.answer.reopened())) is not None:
            raise self.error(
                f"the answer has no cursor at {style.cursor_path!r}, and its member {told!r} tells of more. "
                "Name the cursor's place with cursor_path."
            )
        if style.size_param is None or len(turn.rows) != style.size:
            return
        parent, _, _ = style.cursor_path.rpartition(".")
        if parent and not isinstance(turn.answer.dig(parent), Mapping):
            raise self.error(
                f"after a full page the answer has no object {parent!r} that could hold the cursor. "
                "Name the cursor's place with cursor_path."
            )
        _log.warning(
            "The pull of %s ends after one full page, without a cursor at %r. If there should be more, name "
            "the cursor's place with cursor_path.",
            self.pull.name,
            style.cursor_path,
        )
