"""Whether a store does what the broker relies on, proved on the store itself.

Two store objects, each with connections of its own, stand for two machines. They work on a key of their own,
which is removed afterwards; no token is looked at.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from airflow_provider_finauth.auth.stores.base import Conflict, Kept, LockLost, Store, UnreadableEntry
from airflow_provider_finauth.exceptions import FinauthError, LockTimeoutError, StoreUnavailableError
from airflow_provider_finauth.transport.clock import SYSTEM_CLOCK, Clock

_KEY = "check"
# Two checks at once would take each other's entry for a fault.
_ALONE = "check-alone"


@dataclass(frozen=True)
class Check:
    """What came of one check.

    :param name: what was looked at
    :param passed: None where this store cannot show it
    :param told: what was found; of a failure, what to do
    """

    name: str
    passed: bool | None
    told: str


class _Failed(FinauthError):
    """The store does not do what it has to."""


class _NotShown(FinauthError):
    """This store has no way to show it."""


def check_store(
    make: Callable[[], Store], *, timeout: float = 30.0, clock: Clock = SYSTEM_CLOCK
) -> Iterator[Check]:
    """Check a store, step by step; what follows a failure is checked too, unless it hangs on it.

    :param make: makes a store object, with connections of its own
    :param timeout: seconds to wait for a lock that nobody should hold
    :param clock: the host's
    """
    first, second = make(), make()
    try:
        problems = first.problems()
    except FinauthError as error:
        yield Check("server", False, str(error))
        return
    for problem in problems:
        yield Check("server", False, problem)
    if not problems:
        yield Check("server", True, "nothing stands against it")
    elif not first.durable:
        # Two of them share nothing, so all that follows would fail for this one reason.
        return
    reached = _checked("connections", lambda: _reach(first, second))
    # A store that refuses its server for what has just been told need not tell it again.
    if reached.passed or not problems:
        yield reached
    if not reached.passed:
        return
    try:
        with first.lock(_ALONE, timeout):
            yield _checked("read back", lambda: _read_back(first, second))
            yield _checked("compare and set", lambda: _compare_and_set(first, second))
            yield _checked("lock", lambda: _lock(first, second, timeout))
            yield _checked("lost lock", lambda: _lost_lock(first, second, timeout))
            yield _checked("removal", lambda: _removal(first, second))
    except LockTimeoutError:
        yield Check("lock", False, "Another check seems to be at work. Wait for its end, and begin again.")
    except StoreUnavailableError as error:
        yield Check("lock", False, str(error))
    finally:
        with suppress(FinauthError):
            first.delete(_KEY)
    yield _checked("clock", lambda: _clock(first, clock))


def _checked(name: str, step: Callable[[], str]) -> Check:
    try:
        return Check(name, True, step())
    except _NotShown as reason:
        return Check(name, None, str(reason))
    except FinauthError as error:
        return Check(name, False, str(error))


def _reach(first: Store, second: Store) -> str:
    for store in (first, second):
        store.now()
        with suppress(UnreadableEntry):
            store.read(_KEY)
    return f"two lead to {first.place()}"


def _read_back(first: Store, second: Store) -> str:
    payload = _payload()
    wrote = first.write(_KEY, payload, follows=_revision(first))
    found = second.read(_KEY, surely=True)
    if found is None or (found.payload, found.revision) != (payload, wrote):
        raise _Failed(
            "What one connection wrote, another does not find. All tasks have to reach one and the same "
            "server, and not a replica of it that lags behind."
        )
    return "what one connection wrote, another finds"


def _compare_and_set(first: Store, second: Store) -> str:
    old = _revision(first)
    kept = _payload()
    second.write(_KEY, kept, follows=old)
    with suppress(Conflict):
        first.write(_KEY, _payload(), follows=old)
        raise _Failed(
            "A write that follows an old revision was taken, so two tasks could overwrite each other's "
            "token. Take another store."
        )
    found = second.read(_KEY, surely=True)
    if found is None or found.payload != kept:
        raise _Failed("A write was refused, and changed the entry all the same. Take another store.")
    if not first.binds_all:
        raise _NotShown(
            f"this store cannot look and write in one step; only its lock keeps two apart: {first.reach}"
        )
    return "a write that follows an old revision is refused"


def _lock(first: Store, second: Store, timeout: float) -> str:
    with first.lock(_KEY, timeout) as hold:
        if not hold.is_ours():
            raise _Failed("A lock was lent out, and is not held. Take another store.")
        with suppress(LockTimeoutError), second.lock(_KEY, 0):
            raise _Failed("Two connections had one lock at once, so both would ask for a token.")
    with second.lock(_KEY, timeout):
        pass
    return f"one at a time; it binds {first.reach}"


def _lost_lock(first: Store, second: Store, timeout: float) -> str:
    with first.lock(_KEY, timeout) as lost:
        pass
    if isinstance(lost, Kept):
        raise _NotShown("nothing but its holder's end takes this store's lock away")
    with second.lock(_KEY, timeout):
        revision = _revision(first)
        with suppress(LockLost):
            first.write(_KEY, _payload(), follows=revision, under=lost)
            raise _Failed(
                "A write under a lock that another connection holds by now was taken. Take another store."
            )
    return "a write under a lock that is lost is refused"


def _removal(first: Store, second: Store) -> str:
    first.delete(_KEY)
    found = second.read(_KEY, surely=True)
    if found is not None and found.payload:
        raise _Failed("What was removed is still found.")
    with suppress(Conflict):
        first.write(_KEY, _payload(), follows=0)
        raise _Failed("The number of writes begins anew after a removal, so an old write could land.")
    return "what was removed is gone, and its revision is kept"


def _clock(store: Store, clock: Clock) -> str:
    before = clock.wall()
    theirs = store.now()
    apart = theirs - (before + clock.wall()) / 2
    if abs(apart) < 1:
        return "the store's clock and this host's agree"
    direction = "ahead of" if apart > 0 else "behind"
    return f"the store's clock is {abs(apart):.0f} s {direction} this host's; tokens go by the store's"


def _payload() -> bytes:
    return secrets.token_hex(16).encode()


def _revision(store: Store) -> int:
    try:
        entry = store.read(_KEY, surely=True)
    except UnreadableEntry as error:
        return error.revision
    return entry.revision if entry is not None else 0
