"""Walking a pull from its first page to its last, under the guards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from airflow_provider_finauth.client.paging import guards
from airflow_provider_finauth.client.paging.base import Page, Pull, Request, Turn
from airflow_provider_finauth.client.paging.rows import Rows


def walk_pages(pull: Pull, fetch: Callable[[Request], Any], *, limit: int | None = None) -> Iterator[Page]:
    """Give the pages of a pull that hold records, each asked for only when it is wanted.

    :param fetch: sends a request and gives the decoded answer
    :param limit: stop after so many records, without asking for more
    :raises PaginationError: a guard's rule is broken
    """
    if limit is not None and limit <= 0:
        return
    walk = pull.paging.begin(pull)
    repeats, promise = guards.Repeats(walk), guards.Promise(walk)
    request: Request | None = walk.first()
    received = delivered = number = 0
    while request is not None:
        if number == guards.MOST_PAGES:
            raise walk.error(
                f"it has not ended after {number} pages. Narrow it down, or ask for larger pages."
            )
        number += 1
        answer = fetch(request)
        promise.note(answer)
        rows = walk.rows(answer)
        kept, repeated = repeats.sift(rows)
        fresh = len(rows) - repeated
        received += fresh
        page = Page(Rows.of(kept), number, promise.total, repeated if walk.counts_repeats else 0, answer)
        if limit is not None and delivered + len(kept) >= limit:
            yield replace(page, rows=page.rows[: limit - delivered])
            return
        # Asked before the page is given away: a page that breaks a rule is not delivered.
        request = walk.next(Turn(request, answer, rows, fresh, received, promise.total))
        delivered += len(kept)
        if kept:
            yield page
    promise.keep(received)
