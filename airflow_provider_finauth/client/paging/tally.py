"""What one pull was held against, counted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

# What a manifest tells, in this order. Zeros are told too: the guard was there and found nothing.
_CHECKS = (
    "pages",
    "received",
    "duplicates",
    "overlapping",
    "older",
    "probes",
    "cycles",
    "mistaken_index",
    "missing",
    "stuck",
)


@dataclass
class Tally:
    """What a walk has met so far; handed to one pull or, for their sum, to several in turn.

    :param total: how many records the API says there are, if it says so
    :param records: those delivered
    :param pages: answers
    :param received: different records that came
    :param duplicates: records whose key came before
    :param overlapping: records that came again because the walk overlaps by design
    :param older: records dropped as older than a state of them that was delivered
    :param probes: requests that only looked whether there is more, or how the API counts
    :param cycles: pages that led in a circle
    :param mistaken_index: pages that showed an index or offset not to be counted as thought
    :param missing: records that were promised and did not come
    :param stuck: pages full of one time, that nothing led past
    :param outside_window: records left out since their time is not the one asked for; None where no pull is
        held to a time of theirs
    :param undated: records that tell no such time; None as for the former
    :param server_time: the server's clock at the first answer, in UTC
    """

    total: int | None = None
    records: int = 0
    pages: int = 0
    received: int = 0
    duplicates: int = 0
    overlapping: int = 0
    older: int = 0
    probes: int = 0
    cycles: int = 0
    mistaken_index: int = 0
    missing: int = 0
    stuck: int = 0
    outside_window: int | None = None
    undated: int | None = None
    server_time: datetime | None = None

    def add(self, check: str, amount: int = 1) -> None:
        """Count what a guard met."""
        setattr(self, check, getattr(self, check) + amount)

    @property
    def is_cut_short(self) -> bool:
        """Whether a rule was broken that ends a pull in its middle.

        Not where records are missing to a total: such a pull came to its end, and the total may be wrong.
        """
        return bool(self.cycles or self.mistaken_index or self.stuck)

    def to_dict(self) -> dict[str, Any]:
        """Return the counts for a manifest; the total, and what lay outside, only where one is told."""
        told = {} if self.total is None else {"total": self.total}
        cut = {"outside_window": self.outside_window, "undated": self.undated}
        checks = {check: getattr(self, check) for check in _CHECKS}
        return told | checks | ({} if self.outside_window is None else cut)
