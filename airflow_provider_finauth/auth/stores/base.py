"""What a token store is: the protocol, its entries and its errors.

A store keeps small payloads under keys and lends out locks. What a payload means is the broker's affair;
that it is encrypted wherever it leaves this process's memory is the store's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from airflow_provider_finauth.exceptions import FinauthError, StoreUnavailableError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from airflow_provider_finauth.auth.sealer import Sealer


@dataclass(frozen=True)
class Entry:
    """What stands under one key.

    :param revision: the number of writes to this key, beginning with 1; never reset
    :param payload: the broker's JSON; empty where the entry was deleted and only its revision is kept
    """

    revision: int
    payload: bytes = field(repr=False)


class Conflict(FinauthError):
    """Somebody else wrote the entry since it was read."""


class LockLost(Conflict):
    """The lock under which an entry was to be written is not ours any more."""


class UnreadableEntry(StoreUnavailableError):
    """Something stands under the key, but it is damaged or encrypted with another key.

    :param revision: the revision to follow when writing over it, as far as it is known, else 0
    """

    def __init__(self, message: str, *, revision: int = 0) -> None:
        super().__init__(message)
        self.revision = revision


class Hold(Protocol):
    """A lock that we got, which some stores may take from a process that was stopped for too long."""

    def is_ours(self) -> bool:
        """Tell whether we still have it, as the store sees it.

        :raises StoreUnavailableError: the store cannot be asked
        """
        ...


class Kept:
    """The hold of a lock that nothing but its holder's end takes away."""

    def is_ours(self) -> bool:
        return True


class Store(Protocol):
    """Where token sets are kept so that other tasks find them.

    ``name`` is the store's word in ``[finauth] token_store``; ``durable`` tells whether what it keeps
    outlives this process; ``reach`` says in words for a person how far its lock reaches; ``binds_all`` tells
    whether the lock binds everybody who shares what is kept.
    Every method raises :class:`~airflow_provider_finauth.exceptions.StoreUnavailableError` when the
    store cannot be asked: "nothing found" and "could not look" are different answers.
    """

    @property
    def name(self) -> str: ...

    @property
    def durable(self) -> bool: ...

    @property
    def reach(self) -> str: ...

    @property
    def binds_all(self) -> bool: ...

    @property
    def sealer(self) -> Sealer:
        """The store's encryption and keyed hash."""
        ...

    def init(self) -> None:
        """Make what the store needs before its first use. Done again, it does nothing.

        :raises ConfigurationError: the server or folder is none that the store can use
        """
        ...

    def place(self) -> str:
        """Say in words for a person where the store keeps what it is told; a server is asked what it is."""
        ...

    def problems(self) -> list[str]:
        """Say in a sentence each what stands in the way of keeping what the store is told."""
        ...

    def read(self, key: str, *, surely: bool = False) -> Entry | None:
        """Give what stands under ``key``, None where nothing ever stood.

        :param surely: an absence will be acted upon in a way that cannot be taken back, so look as hard as
            the store can
        :raises UnreadableEntry: when something stands there that cannot be read
        """
        ...

    def write(self, key: str, payload: bytes, *, follows: int, under: Hold | None = None) -> int:
        """Keep ``payload`` under ``key``, durably, and give the new revision (``follows + 1``).

        Comparing and writing are one step, whether or not the caller holds the key's lock.

        :param follows: the revision that was read, 0 where nothing was found
        :param under: the hold of the key's lock, if the write is to happen only while it is ours: looked at
            in the same step
        :raises Conflict: when another revision stands there
        :raises LockLost: when the lock is not ours any more
        """
        ...

    def list(self) -> list[str]:
        """Give all keys under which something stands, readable or not."""
        ...

    def delete(self, key: str) -> None:
        """Forget the payload under ``key``, if any. The revision may be kept."""
        ...

    def lock(self, key: str, timeout: float) -> AbstractContextManager[Hold]:
        """Hold the key's lock for the length of a ``with`` block. Not reentrant.

        Leaving the block never fails: what a store cannot give back is free when the process ends.

        :param timeout: seconds to wait; 0 tries once
        :raises LockTimeoutError: when somebody else held it all the time
        """
        ...

    def now(self) -> float:
        """Give the time, in seconds since the epoch, by the clock that all who share the store share."""
        ...
