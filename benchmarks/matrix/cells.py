"""What a row of the matrix is, and what its cells hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from benchmarks.matrix.server import Script, Seen

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.matrix.bench import Bench
    from benchmarks.matrix.peers.base import Peer

Mark = Literal["good", "bad", "none"]

# Why a row says nothing of a library that lacks what it is about.
LACKS = {
    "mints": "asks for no tokens",
    "refreshes": "no refresh tokens",
    "early": "renews after the end only",
    "reads": "the token request is the user's own",
    "calls": "sends no API requests",
    "cache": "no cache of its own",
}


@dataclass(frozen=True)
class Cell:
    """One measured result.

    :param text: a few words
    :param mark: the row's verdict
    """

    text: str
    mark: Mark


@dataclass(frozen=True, kw_only=True)
class Run:
    """What came of one probe.

    :param peer: the library
    :param seen: what the server saw
    :param report: what the probe itself measured; empty if it did not end
    :param error: the class of the error that ended the probe
    :param hangs: whether it was ended after the row's limit
    :param limit: that limit, in seconds
    """

    peer: Peer
    seen: Seen
    report: dict[str, Any]
    error: str | None = None
    hangs: bool = False
    limit: float = 0.0

    @property
    def failures(self) -> list[str]:
        """The errors that calls ended with, as ``module.Class``; an empty text for each good call."""
        return list(self.report.get("failures", []))

    def ended(self) -> Cell | None:
        """Give the cell of a probe that did not come to its end."""
        if self.hangs:
            return Cell(f"hangs > {self.limit:.0f} s", "bad")
        if self.error is not None:
            return Cell(f"error: {class_of(self.error)}", "bad")
        return None


@dataclass(frozen=True, kw_only=True)
class Row:
    """One scenario.

    :param key: its name on the command line
    :param title: its name in the table
    :param rule: what is done, and what counts as good, in a sentence or two
    :param script: makes the server's script
    :param probe: runs in a process of its own and reports what it measured
    :param judge: makes the cell; the same for all
    :param needs: what a library has to do for the row to be about it: see :data:`LACKS`
    :param measured_anyway: of ``needs``, what is measured and shown where it is missing, without a verdict
    :param limit: seconds after which the probe is ended
    :param judges_hangs: whether ``judge`` sees probes that did not end
    """

    key: str
    title: str
    rule: str
    probe: Callable[[Bench], dict[str, Any]]
    judge: Callable[[Run], Cell]
    script: Callable[[Peer], Script] = field(default=lambda peer: Script())
    needs: tuple[str, ...] = ("mints",)
    measured_anyway: tuple[str, ...] = ()
    limit: float = 10.0
    judges_hangs: bool = False

    def missing(self, peer: Peer) -> list[str]:
        """Say what the library lacks for this row."""
        return [need for need in self.needs if need not in peer.does]

    def skipped(self, peer: Peer) -> Cell | None:
        """Give the cell of a library that the row is not about."""
        lacks = [need for need in self.missing(peer) if need not in self.measured_anyway]
        return Cell(LACKS[lacks[0]], "none") if lacks else None

    def cell(self, run: Run) -> Cell:
        """Judge a probe."""
        ended = run.ended()
        cell = ended if ended is not None and not self.judges_hangs else self.judge(run)
        missing = self.missing(run.peer)
        return Cell(f"{cell.text} ({LACKS[missing[0]]})", "none") if missing else cell


def class_of(error: str) -> str:
    """Give the bare name of an error's class."""
    return error.rpartition(".")[2]


def counted(number: int, word: str) -> str:
    """Put a number before a word."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
