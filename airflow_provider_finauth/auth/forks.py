"""Locks and forks: a child must not wait for a lock that a thread of its parent held.

Airflow forks task processes from long-lived ones. Only the forking thread lives on in the child, so whatever
lock another thread held at that moment would never be released there.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class _Forked(Protocol):
    def after_fork(self) -> None:
        """Make what a forked child must not share."""
        ...


_objects: weakref.WeakSet[_Forked] = weakref.WeakSet()


def renew_after_fork(thing: _Forked) -> None:
    """Have ``thing.after_fork()`` called in each forked child, as long as ``thing`` lives."""
    _objects.add(thing)


def _after_fork() -> None:
    for thing in list(_objects):
        thing.after_fork()


os.register_at_fork(after_in_child=_after_fork)
