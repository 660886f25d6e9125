"""GraphQL connections (Relay): ``first`` and ``after``, ``pageInfo { hasNextPage endCursor }``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_finauth.client.paging.base import PagingStyle, Pull, Request, Turn, Walk
from airflow_provider_finauth.client.paging.guards import Marks, keys_of
from airflow_provider_finauth.exceptions import ConfigurationError

if TYPE_CHECKING:
    from airflow_provider_finauth.client.paging.answer import Answer
    from airflow_provider_finauth.client.paging.rows import Rows


@dataclass(frozen=True, kw_only=True)
class Relay(PagingStyle):
    """Pages of a connection. The request's body is ``{"query": …, "variables": {…}}``.

    Cursors may be positions (Luca's are), so a record that comes in during a walk shifts those behind it:
    records seen before are dropped by their key and counted.

    :param connection_path: where the connection lies in ``data``, with dots
    :param first: records a page; always sent, since servers tell ``hasNextPage`` rightly only then
    :param first_variable: the document's variable for it
    :param after_variable: the document's variable for the cursor
    :param verify: walk a second time, and deliver what the first walk missed
    """

    connection_path: str
    first: int = 100
    first_variable: str = "first"
    after_variable: str = "after"
    verify: bool = False

    def begin(self, pull: Pull) -> Walk:
        """Begin a walk."""
        return RelayWalk(self, pull)

    def members(self) -> tuple[str, ...]:
        return (f"{self.connection_path}.pageInfo",)

    def lists(self) -> tuple[str, ...]:
        return (f"{self.connection_path}.nodes", f"{self.connection_path}.edges")


class RelayWalk(Walk):
    """One walk over a connection, or two."""

    drops_repeats = True

    def __init__(self, style: Relay, pull: Pull) -> None:
        super().__init__(pull)
        self._style = style
        self._cursors = Marks(self, "cursor")
        self._after = ""
        self.exact = style.verify

    def first(self) -> Request:
        return self._request(None)

    def rows(self, answer: Answer) -> Rows:
        place = self._style.connection_path
        if not answer.has_object(place):
            raise self.error(f"the answer has no connection at {place!r}.")
        rows: Rows | None = None
        if answer.has(f"{place}.nodes"):
            rows = answer.rows(f"{place}.nodes")
        elif answer.has(f"{place}.edges") and (edges := answer.rows(f"{place}.edges")) is not None:
            rows = edges.without_nulls().within("node")
        if rows is None:
            raise self.error("the query asks for neither nodes nor edges { node } of the connection.")
        # A node that may not be seen is null.
        rows = rows.without_nulls()
        if self._style.verify and None in keys_of(rows, self.pull.key):
            raise ConfigurationError(
                f"verify needs the member {self.pull.key or 'id'!r} of each record: ask for it in the query.",
                field="query",
            )
        return rows

    def next(self, turn: Turn) -> Request | None:
        info = turn.answer.dig(f"{self._style.connection_path}.pageInfo")
        if not isinstance(info, Mapping) or not isinstance(info.get("hasNextPage"), bool):
            raise self.error("the query must ask the connection for pageInfo { hasNextPage endCursor }.")
        if not info["hasNextPage"]:
            return self._second_walk()
        cursor = info.get("endCursor")
        if not isinstance(cursor, str) or not cursor:
            raise self.error(
                "the API says there are more records and gives no endCursor; does the query ask for it?"
            )
        if not self._cursors.is_new(cursor, has_data=bool(turn.rows)):
            return self._second_walk()
        self._after = cursor
        return self._request(cursor)

    def bookmark(self) -> dict[str, Any] | None:
        # A second walk needs the keys of the whole first one.
        return None if self._style.verify else {"after": self._after}

    def resume(self, bookmark: Mapping[str, Any]) -> Request:
        self._after = str(bookmark["after"])
        self._cursors.is_new(self._after, has_data=False)
        return self._request(self._after)

    def _second_walk(self) -> Request | None:
        if not self._style.verify or not self.counts_repeats:
            return None
        # From here on every record comes again, but those that the first walk missed.
        self.counts_repeats = False
        self._cursors = Marks(self, "cursor")
        return self.first()

    def _request(self, after: str | None) -> Request:
        body = dict(self.pull.request.json or {})
        variables = dict(body.get("variables") or {})
        variables[self._style.first_variable] = self._style.first
        if after is not None:
            variables[self._style.after_variable] = after
        return replace(self.pull.request, json={**body, "variables": variables}, graphql=True)
