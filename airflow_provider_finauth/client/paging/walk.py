"""Walking a pull from its first page to its last, under the guards."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from airflow_provider_finauth.client.paging import guards
from airflow_provider_finauth.client.paging.answer import Answer
from airflow_provider_finauth.client.paging.base import Mismatch, Page, Pull, Request, Source, Turn, Walk
from airflow_provider_finauth.client.paging.tally import Tally
from airflow_provider_finauth.exceptions import ConfigurationError

if TYPE_CHECKING:
    from airflow_provider_finauth.client.paging.rows import Rows

_log = logging.getLogger(__name__)

OnMismatch = Literal["raise", "warn"]


@dataclass(frozen=True)
class OneByOne:
    """Fetches each answer when it is asked for.

    :param fetch: sends a request and gives its answer, opened or decoded
    """

    fetch: Callable[[Request], Any]

    def get(self, request: Request) -> Answer:
        """Fetch."""
        answer = self.fetch(request)
        return answer if isinstance(answer, Answer) else Answer.of(answer)

    def expect(self, requests: Iterator[Request]) -> None:
        """Do nothing before it is needed."""

    def close(self) -> None:
        """Do nothing: nothing is under way."""


def walk_pages(
    pull: Pull,
    source: Source | Callable[[Request], Any],
    *,
    limit: int | None = None,
    tally: Tally | None = None,
    on_mismatch: OnMismatch = "raise",
    bookmarks: bool = False,
    resume: Mapping[str, Any] | None = None,
) -> Iterator[Page]:
    """Give the pages of a pull that hold records.

    :param source: gives the answers; or a function that sends a request and gives its answer
    :param limit: stop after so many records, without asking for more
    :param tally: counts what the guards meet
    :param on_mismatch: what to do when a guard's rule is broken: ``raise``, or ``warn`` and end the pull
        there as if it were whole
    :param bookmarks: let each page carry a bookmark, where the style has one
    :param resume: the bookmark of the last page that needs not come again; the pull must be the same
    :raises ConfigurationError: ``on_mismatch`` is neither, or the bookmark is not one of this pull
    :raises Mismatch: a guard's rule is broken
    :raises PaginationError: an answer cannot be walked as the pull is described
    """
    if on_mismatch not in ("raise", "warn"):
        raise ConfigurationError(
            f"Argument 'on_mismatch' must be raise or warn, not {on_mismatch!r}.", field="on_mismatch"
        )
    answers = source if isinstance(source, Source) else OneByOne(source)
    options = _Options(limit, on_mismatch == "warn", bookmarks, resume)
    return _walk(pull, answers, Tally() if tally is None else tally, options)


class _Options(NamedTuple):
    limit: int | None
    lenient: bool
    bookmarks: bool
    resume: Mapping[str, Any] | None


def _walk(pull: Pull, source: Source, tally: Tally, options: _Options) -> Iterator[Page]:
    limit, lenient, bookmarks, resume = options
    if limit is not None and limit <= 0:
        return
    walk = pull.paging.begin(pull)
    promise = guards.Promise(walk)
    request: Request | None
    received = delivered = number = 0
    before = replace(tally)
    if resume is None:
        request = walk.first()
    else:
        request, received, number, promise.smallest = _resumed(walk, resume)
    repeats = guards.Repeats(walk)
    members = walk.columns()
    enough = ended = False
    try:
        while request is not None:
            if number == guards.MOST_PAGES:
                raise walk.error(
                    f"it has not ended after {number} pages. Narrow it down, or ask for larger pages."
                )
            number += 1
            answer = source.get(request)
            if not tally.pages:
                # A later answer's would be later than the first records.
                tally.server_time = answer.server_time
            tally.pages += 1
            promise.note(answer)
            if promise.total is not None:
                tally.total = (before.total or 0) + promise.total
            following: Request | None = None
            try:
                rows = walk.rows(answer)
                rows.look_at(members)
                sifted = repeats.sift(rows)
                received += sifted.different
                tally.received += sifted.different
                tally.older += sifted.older
                tally.add("duplicates" if walk.counts_repeats else "overlapping", sifted.repeated)
                duplicates = sifted.repeated if walk.counts_repeats else 0
                kept = _delivered(pull, sifted.kept, tally)
                page = Page(kept, number, promise.total, duplicates, answer)
                enough = limit is not None and delivered + len(page.rows) >= limit
                if not enough:
                    # Asked before the page is given away: a page that breaks a rule is not delivered.
                    turn = Turn(request, answer, rows, sifted.new, received, promise.total)
                    following = walk.next(turn)
                    tally.probes = before.probes + walk.probes
            except Mismatch as fault:
                _judge(fault, tally, lenient)
                ended = True
                if fault.repeated:
                    return
            if following is not None:
                if bookmarks and (place := walk.bookmark()) is not None:
                    told = {"received": received, "pages": number, "smallest": promise.smallest}
                    page = replace(page, bookmark={"place": place, **told})
                likely = walk.foresee(turn)
                if limit is not None:
                    # Pages of this page's size that are needed after the following one.
                    missing = limit - delivered - len(page.rows)
                    likely = islice(likely, max(0, -(-missing // max(1, len(rows))) - 1))
                source.expect(chain([following], likely))
            if enough and limit is not None:
                page = replace(page, rows=page.rows[: limit - delivered])
            delivered += len(page.rows)
            tally.records += len(page.rows)
            if page.rows:
                yield page
            if enough or ended:
                return
            request = following
        try:
            promise.keep(received)
        except Mismatch as fault:
            _judge(fault, tally, lenient)
    finally:
        source.close()


def _delivered(pull: Pull, rows: Rows, tally: Tally) -> Rows:
    """Make what is delivered of an answer's records."""
    if pull.cut is not None:
        outside, undated = pull.cut.sort(rows)
        if undated and not tally.undated:
            _log.warning(
                "%d records of %s tell no time at %r, so they belong to every window. Is that the member?",
                undated,
                pull.name,
                pull.cut.field,
            )
        tally.outside_window = (tally.outside_window or 0) + len(outside)
        tally.undated = (tally.undated or 0) + undated
        rows = rows.without(outside)
    return rows if pull.relabel is None else pull.relabel(rows)


def _resumed(walk: Walk, bookmark: Mapping[str, Any]) -> tuple[Request, int, int, int | None]:
    try:
        received, pages, smallest = bookmark["received"], bookmark["pages"], bookmark["smallest"]
        return walk.resume(bookmark["place"]), int(received), int(pages), smallest
    except (KeyError, TypeError, ValueError):
        raise ConfigurationError(
            f"The pull of {walk.pull.name} cannot be resumed: the bookmark is one of another paging."
        ) from None


def _judge(fault: Mismatch, tally: Tally, lenient: bool) -> None:
    tally.add(fault.check, fault.amount)
    if not lenient:
        raise fault
    _log.warning("%s As on_mismatch is 'warn', it ends here as if it were whole.", fault)
