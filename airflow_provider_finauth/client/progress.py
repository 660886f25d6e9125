"""How far a pull has come, told while it goes on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_provider_finauth.transport.clock import SYSTEM_CLOCK, Clock

if TYPE_CHECKING:
    from airflow_provider_finauth.client.paging.base import Page
    from airflow_provider_finauth.client.paging.tally import Tally


@dataclass(frozen=True)
class Progress:
    """How far a pull has come.

    :param pages: that have come
    :param records: that have come
    :param total: how many there will be, where that is known
    :param seconds: since the first page was asked for
    :param rate: records a second in that time
    :param left: seconds until the last record, if it goes on like this; None where nobody knows
    """

    pages: int
    records: int
    total: int | None
    seconds: float
    rate: float
    left: float | None

    def __str__(self) -> str:
        of = f" of {self.total}" if self.total is not None else ""
        left = f", about {timedelta(seconds=round(self.left))} left" if self.left is not None else ""
        return f"{self.pages} pages, {self.records}{of} records, {self.rate:.0f} a second{left}"


def watched(
    pages: Iterable[Page],
    tally: Tally,
    *,
    tell: Callable[[Progress], None],
    clock: Clock = SYSTEM_CLOCK,
    every: float = 30.0,
    limit: int | None = None,
) -> Iterator[Page]:
    """Pass the pages on, and tell now and then how far the pull has come.

    It is told when a page arrives, before the page is passed on; of a pull that is over sooner nothing is
    told. Closing this iterator closes the one inside.

    :param pages: the pull
    :param tally: what the pull counts; it may have begun before, as a pull that is resumed has
    :param tell: is told
    :param every: seconds between two times; 0 tells with each page
    :param limit: where the pull stops, whatever the API has
    """
    began = told = clock.monotonic()
    earlier = tally.records
    try:
        for page in pages:
            now = clock.monotonic()
            if now - told >= every:
                told = now
                tell(_progress(tally, now - began, earlier, limit))
            yield page
    finally:
        close = getattr(pages, "close", None)
        if close is not None:
            close()


def log_progress(logger: logging.Logger, resource: str) -> Callable[[Progress], None]:
    """Make what tells a log.

    :param resource: what is pulled
    """

    def tell(progress: Progress) -> None:
        logger.info("Pulling %s: %s", resource, progress)

    return tell


def _progress(tally: Tally, seconds: float, earlier: int, limit: int | None) -> Progress:
    total = tally.total
    # A total that is surpassed is not to be trusted.
    if total is not None and total < tally.records:
        total = None
    if total is not None and limit is not None:
        total = min(total, limit)
    rate = (tally.records - earlier) / seconds if seconds > 0 else 0.0
    left = max(0, total - tally.records) / rate if total is not None and rate > 0 else None
    return Progress(tally.pages, tally.records, total, seconds, rate, left)
