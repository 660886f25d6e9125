"""The time that all who share a store agree on, as long as the store can be asked for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_finauth.exceptions import FinauthError

if TYPE_CHECKING:
    from airflow_provider_finauth.auth.stores.base import Store
    from airflow_provider_finauth.transport.clock import Clock


# A store that is cut off takes seconds to say so.
_LEFT_ALONE = 10.0


class SharedTime:
    """Tells the store's time; while the store is away, the host's, set right by what they last differed.

    :param store: whose time it is
    :param clock: the host's
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._difference = 0.0
        self._ask_again = float("-inf")

    def now(self) -> float:
        """Give the seconds since the epoch. Never fails."""
        if self._clock.monotonic() < self._ask_again:
            return self._clock.wall() + self._difference
        try:
            now = self._store.now()
        except FinauthError:
            self._ask_again = self._clock.monotonic() + _LEFT_ALONE
            return self._clock.wall() + self._difference
        self._difference = now - self._clock.wall()
        return now
