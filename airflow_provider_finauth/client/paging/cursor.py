"""Pages by a cursor that each answer gives and the next request hands back."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from airflow_provider_finauth.client.paging.base import Pull, Request, Turn, Walk, dig
from airflow_provider_finauth.client.paging.guards import Marks

_log = logging.getLogger(__name__)
_ABSENT = object()


@dataclass(frozen=True, kw_only=True)
class Cursor:
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


class CursorWalk(Walk):
    """One walk by cursors."""

    def __init__(self, style: Cursor, pull: Pull) -> None:
        super().__init__(pull)
        self._style = style
        self._cursors = Marks(self, "cursor")
        self._base = pull.request.with_params({style.size_param: style.size} if style.size_param else {})

    def first(self) -> Request:
        return self._base

    def next(self, turn: Turn) -> Request | None:
        cursor = dig(turn.answer, self._style.cursor_path, _ABSENT)
        if cursor is _ABSENT:
            self._judge_absence(turn)
            return None
        if cursor is None or cursor is False or cursor == "":
            return None
        if not self._cursors.is_new(str(cursor), has_data=bool(turn.rows)):
            return None
        return self._base.with_params({self._style.param: cursor})

    def _judge_absence(self, turn: Turn) -> None:
        """Tell an end from a wrong path: both leave the cursor out, and an end after a full page is rare.

        :raises PaginationError: not even the object is there that should hold it
        """
        style = self._style
        if turn.request is not self._base or style.size_param is None or len(turn.rows) != style.size:
            return
        parent, _, _ = style.cursor_path.rpartition(".")
        if parent and not isinstance(dig(turn.answer, parent), Mapping):
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
