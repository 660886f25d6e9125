"""Processes that are forked from this one, tell what they do line by line, and are killed.

Forking is what makes a thousand kills affordable: whatever is slow to import is imported once. The parent
runs *lanes*, generators that start children and yield what they wait for, all in one thread.
"""

from __future__ import annotations

import gc
import os
import selectors
import signal
import sys
import time
import traceback
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.faults.steps import Plan, Steps
from tests.servers import is_stopped

# No child of a soak takes so long unless it hangs.
_PATIENCE = 60.0


class Line(NamedTuple):
    """What a child told.

    :param kind: step, struck, wish, seen, written, unanswered or result
    :param at: by the monotonic clock
    """

    kind: str
    at: float
    what: str


@dataclass
class Child:
    """A forked process.

    :param who: its name
    :param lines: what it has told
    :param killed_at: when it was killed, None where it ended by itself
    :param hung: it did not come to an end
    """

    who: str
    plan: Plan
    pid: int
    reader: int
    began: float
    lines: list[Line] = field(default_factory=list)
    killed_at: float | None = None
    hung: bool = False
    ended: bool = False
    rest: bytes = b""

    @property
    def result(self) -> str | None:
        """What it gave, None where it was killed before."""
        results = [line.what for line in self.lines if line.kind == "result"]
        return results[-1] if results else None

    def is_stopped(self) -> bool:
        """Tell whether a SIGSTOP has reached it; false too where it has ended."""
        return not self.ended and is_stopped(self.pid)

    def go_on(self) -> None:
        """Continue it after a SIGSTOP."""
        os.kill(self.pid, signal.SIGCONT)

    @property
    def steps(self) -> list[str]:
        """The steps that it came to."""
        return [line.what for line in self.lines if line.kind in ("step", "struck")]

    @property
    def last_step(self) -> str:
        """The last step that it came to."""
        return self.steps[-1] if self.steps else "at the start"


Work = Callable[[Steps], str]
# What a lane waits for: the ends of children, a number of seconds, or anything else that can be looked at.
Wait = list[Child] | float | Callable[[], bool]
Lane = Generator[Wait, None, None]


class Nursery:
    """Starts children and waits for them."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._started = 0
        self._kills: list[tuple[float, Child]] = []

    def start(self, work: Work, plan: Plan | None = None) -> Child:
        """Fork a child that does ``work`` and tells what it gives."""
        self._started += 1
        who, plan = f"p{self._started}", plan or Plan()
        reader, writer = os.pipe()
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            _live(work, who, plan, writer)
        os.close(writer)
        child = Child(who, plan, pid, reader, time.monotonic())
        self._selector.register(reader, selectors.EVENT_READ, child)
        return child

    def run(self, lanes: Iterable[Lane]) -> None:
        """Run lanes until all have come to their ends."""
        waiting: dict[Lane, Callable[[], bool]] = dict.fromkeys(lanes, lambda: True)
        try:
            while waiting:
                for lane, is_over in list(waiting.items()):
                    if is_over():
                        try:
                            waiting[lane] = _condition(next(lane))
                        except StopIteration:
                            del waiting[lane]
                if waiting:
                    self._look(0.02)
        finally:
            for key in list(self._selector.get_map().values()):
                self._kill(key.data)
                self._reap(key.data)

    def _look(self, seconds: float) -> None:
        now = time.monotonic()
        if self._kills:
            seconds = max(0.0, min(seconds, min(at for at, _ in self._kills) - now))
        for key, _ in self._selector.select(seconds):
            self._hear(key.data)
        now = time.monotonic()
        due = [child for at, child in self._kills if at <= now]
        self._kills = [(at, child) for at, child in self._kills if at > now]
        for child in due:
            self._kill(child)
        for key in list(self._selector.get_map().values()):
            if now - key.data.began > _PATIENCE:
                key.data.hung = True
                self._kill(key.data)

    def _hear(self, child: Child) -> None:
        came = os.read(child.reader, 65536)
        *lines, child.rest = (child.rest + came).split(b"\n")
        for text in lines:
            kind, at, what = text.decode().split("\t", 2)
            line = Line(kind, float(at), what)
            child.lines.append(line)
            if kind == "wish":
                self._kills.append((line.at + float(what), child))
        if not came:
            self._reap(child)

    def _kill(self, child: Child) -> None:
        if not child.ended:
            os.kill(child.pid, signal.SIGKILL)
            child.killed_at = time.monotonic()

    def _reap(self, child: Child) -> None:
        self._selector.unregister(child.reader)
        os.close(child.reader)
        _, status = os.waitpid(child.pid, 0)
        child.ended = True
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            struck = [line.at for line in child.lines if line.kind == "struck"]
            child.killed_at = struck[-1] if struck else child.killed_at
            assert child.killed_at is not None, f"{child.who} was killed by somebody else"
        else:
            child.killed_at = None


def _live(work: Work, who: str, plan: Plan, writer: int) -> None:
    """Be the child, and never come back."""
    status = 1
    try:
        # Their logs would bury everything else.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        # Collecting what the parent has made would copy its memory.
        gc.disable()
        steps = Steps(who, plan, lambda line: _tell(writer, line))
        steps.tell("result", work(steps))
        status = 0
    except BaseException:
        text = traceback.format_exc().replace("\n", " / ")
        _tell(writer, f"result\t{time.monotonic()}\tcrash {text[-500:]}\n")
    finally:
        os._exit(status)


def _tell(writer: int, line: str) -> None:
    os.write(writer, line.encode())


def _condition(wait: Wait) -> Callable[[], bool]:
    if isinstance(wait, list):
        return lambda: all(child.ended for child in wait)
    if callable(wait):
        return wait
    ends = time.monotonic() + wait
    return lambda: time.monotonic() >= ends
