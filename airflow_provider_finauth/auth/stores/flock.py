"""A lock file that is free as soon as its holder is dead.

``flock`` belongs to the open file, so the kernel frees it when the process ends, however it ends. Nothing
here ever expires, and nobody breaks a lock. The file is never removed: whoever waited for a removed file
would hold a lock that nobody else sees.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow_provider_finauth.auth.stores.base import Kept
from airflow_provider_finauth.exceptions import LockTimeoutError, StoreUnavailableError
from airflow_provider_finauth.transport.clock import SYSTEM_CLOCK, Clock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow_provider_finauth.auth.stores.base import Hold

# Long enough to leave the processor to the holder, short enough not to be felt beside a token request.
_SHORTEST_PAUSE = 0.005
_LONGEST_PAUSE = 0.05

_open: set[int] = set()


def _close_inherited() -> None:
    """Close the lock files that a forked child inherited: they would hold the lock after the parent's end."""
    for descriptor in _open:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    _open.clear()


os.register_at_fork(after_in_child=_close_inherited)


@contextmanager
def file_lock(path: Path, timeout: float, *, clock: Clock = SYSTEM_CLOCK) -> Iterator[Hold]:
    """Hold the lock file for the length of the block. Excludes threads and processes alike.

    :param path: in a folder that exists
    :param timeout: seconds to wait; 0 tries once
    :raises LockTimeoutError: somebody else held it all the time
    :raises StoreUnavailableError: the file cannot be opened
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise StoreUnavailableError(
            f"The lock file {path} cannot be opened: {error.strerror}. Check the folder's owner and mode."
        ) from None
    _open.add(descriptor)
    try:
        _acquire(descriptor, timeout, clock)
        yield Kept()
    finally:
        # In a child that was forked within the block it is closed, and its number may be another's.
        if descriptor in _open:
            _open.discard(descriptor)
            # Unlocked first: closing alone frees nothing while a child that has just been forked, and has not
            # come to close its own yet, still has the file open.
            with contextlib.suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)


def _acquire(descriptor: int, timeout: float, clock: Clock) -> None:
    ends = clock.monotonic() + timeout
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if clock.monotonic() >= ends:
                raise LockTimeoutError(
                    f"Another task held a token's lock for more than {timeout:.0f} s. Try again; "
                    "if it goes on, a process is stopped in the middle of a token request."
                ) from None
            clock.sleep(random.uniform(_SHORTEST_PAUSE, _LONGEST_PAUSE))  # noqa: S311 - protects nothing
        except OSError as error:
            raise StoreUnavailableError(
                f"The file system of the lock file gives no locks: {error.strerror}. Use a local folder."
            ) from None
        else:
            return
