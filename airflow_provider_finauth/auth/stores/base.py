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


class UnreadableEntry(StoreUnavailableError):
    """Something stands under the key, but it is damaged or encrypted with another key.

    :param revision: the revision to follow when writing over it, as far as it is known, else 0
    """

    def __init__(self, message: str, *, revision: int = 0) -> None:
        super().__init__(message)
        self.revision = revision


class Store(Protocol):
    """Where token sets are kept so that other tasks find them.

    ``name`` is the store's word in ``[finauth] token_store``; ``durable`` tells whether what it keeps
    outlives this process; ``reach`` says in words for a person how far its lock reaches.
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
    def sealer(self) -> Sealer:
        """The store's encryption and keyed hash."""
        ...

    def read(self, key: str) -> Entry | None:
        """Give what stands under ``key``, None where nothing ever stood.

        :raises UnreadableEntry: when something stands there that cannot be read
        """
        ...

    def write(self, key: str, payload: bytes, *, follows: int) -> int:
        """Keep ``payload`` under ``key``, durably, and give the new revision (``follows + 1``).

        Comparing and writing are one step, whether or not the caller holds the key's lock.

        :param follows: the revision that was read, 0 where nothing was found
        :raises Conflict: when another revision stands there
        """
        ...

    def list(self) -> list[str]:
        """Give all keys under which something stands, readable or not."""
        ...

    def delete(self, key: str) -> None:
        """Forget the payload under ``key``, if any. The revision may be kept."""
        ...

    def lock(self, key: str, timeout: float) -> AbstractContextManager[None]:
        """Hold the key's lock for the length of a ``with`` block. Not reentrant.

        :param timeout: seconds to wait; 0 tries once
        :raises LockTimeoutError: when somebody else held it all the time
        """
        ...

    def now(self) -> float:
        """Give the time, in seconds since the epoch, by the clock that all who share the store share."""
        ...
