"""What is measured of which subjects."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.speed.subjects.base import Style

_OURS = ("finauth", "finauth-lines", "finauth-guarded", "finauth-parquet")
_PEERS = ("http-operator", "dlt", "singer", "airbyte", "requests-json", "requests-msgspec", "aiohttp")

# Where the answers take their time, one decoder is like the other.
_WAITING = ("dlt", "singer", "airbyte", "requests-msgspec", "aiohttp")


@dataclass(frozen=True)
class Case:
    """One table.

    :param key: its name
    :param title: its heading
    :param text: what is done, in a sentence or two
    :param subjects: which take part
    :param pages: of the list
    :param records: on each page
    :param latency: milliseconds that an answer takes
    :param connect: milliseconds that a connection's first answer takes beyond that
    :param style: how the next page is asked for; a subject that cannot takes what it can
    :param calls: single calls in place of a pull
    :param rounds: measurements of each
    """

    key: str
    title: str
    text: str
    subjects: tuple[str, ...]
    pages: int = 0
    records: int = 1000
    latency: int = 0
    connect: int = 0
    style: Style = "index"
    calls: int = 0
    rounds: int = 3

    def quick(self) -> Case:
        """Give the same with tiny numbers: to see that it runs, not how fast."""
        return replace(
            self,
            pages=min(self.pages, 5 if self.pages > 10 else 2),
            records=20,
            latency=min(self.latency, 2),
            connect=min(self.connect, 2),
            calls=min(self.calls, 5),
            rounds=1,
        )


_ALL = (
    Case(
        "loopback",
        "1,000 pages of 1,000 records, no latency",
        "Pages by index. CPU is that of the subject's process; memory its peak over what it held when its "
        "library was imported.",
        (*_OURS, "http-operator", "msgraph", *_PEERS[1:], "drain"),
        pages=1000,
    ),
    Case(
        "small",
        "10 pages of 1,000 records",
        "The same with a hundredth of the records, for the memory.",
        (*_OURS, "http-operator", "msgraph", *_PEERS[1:]),
        pages=10,
        rounds=2,
    ),
    Case(
        "index-50",
        "100 pages of 1,000 records, 50 ms each, by index",
        "The answers tell the total. `max_concurrency` is 8 for ours; the others ask for one page after the "
        "other.",
        ("finauth-guarded", "http-operator", *_WAITING),
        pages=100,
        latency=50,
    ),
    Case(
        "cursor-50",
        "100 pages of 1,000 records, 50 ms each, by cursor",
        "A page can be asked for only when the one before has come: 5 s at the least.",
        ("finauth-guarded", "http-operator", "msgraph", *_WAITING),
        pages=100,
        latency=50,
        style="cursor",
    ),
    Case(
        "connect-50",
        "The same where a new connection costs 50 ms too",
        "As a handshake does, for those that open a connection for each page.",
        ("finauth-guarded", "http-operator", "dlt", "requests-msgspec"),
        pages=100,
        latency=50,
        connect=50,
        style="cursor",
        rounds=2,
    ),
    Case(
        "calls",
        "2,000 calls with a warm token",
        "Small answers, one after the other on an open client. The bare session sends a fixed header.",
        ("requests-json", "finauth-session", "finauth-hook", "http-operator", "dlt", "airbyte"),
        calls=2000,
        rounds=4,
    ),
)
CASES = {case.key: case for case in _ALL}
