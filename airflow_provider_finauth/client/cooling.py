"""The cool-down of one connection's API: noted where it is asked for, kept before each request."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from airflow_provider_finauth.client.stopping import UNSTOPPABLE, Stop
from airflow_provider_finauth.exceptions import RateLimitedError, StoreUnavailableError
from airflow_provider_finauth.transport.retry import spread
from airflow_provider_finauth.transport.retry_after import named_wait

if TYPE_CHECKING:
    import requests

    from airflow_provider_finauth.auth.cooldown import CoolDowns
    from airflow_provider_finauth.client.profile import Profile
    from airflow_provider_finauth.transport.clock import Clock

_log = logging.getLogger(__name__)

# How long a store that cannot name the cool-down is not asked again.
_LOOK_AGAIN_SECONDS = 60.0


class Cooling:
    """Keeps one connection's requests to what its API asks for.

    :param cooldowns: shares it with other tasks; None keeps it among this client's threads
    :param profile: of the connection
    :param clock: what tells the time and waits
    :param draw: gives a number from 0 to 1, for the jitter
    """

    def __init__(
        self,
        cooldowns: CoolDowns | None,
        profile: Profile,
        clock: Clock,
        *,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._cooldowns = cooldowns
        self._profile = profile
        self._clock = clock
        self._draw = draw
        self._free_at = float("-inf")
        self._key: str | None = None
        self._look_at = float("-inf")

    def waited(self, request: requests.PreparedRequest, ends: float | None, stop: Stop = UNSTOPPABLE) -> bool:
        """Wait while the API has asked for it.

        :param request: about to be sent
        :param ends: when it has to be there at the latest, by the monotonic clock; if not given, as long
            from now as a request may take
        :param stop: ends the wait
        :return: whether there was a wait, after which another may have begun
        :raises RateLimitedError: the wait does not fit
        :raises Stopped: the wait was ended
        """
        key = self._named()
        seconds = max(0.0, self._free_at - self._clock.monotonic())
        if self._cooldowns is not None and key is not None:
            seconds = self._cooldowns.remaining(key)
        if not seconds:
            return False
        pause = spread(seconds, self._draw)
        rest = self._profile.retry_deadline if ends is None else ends - self._clock.monotonic()
        if pause > rest:
            raise RateLimitedError(
                f"Connection {self._profile.conn_id!r}: {request.method} "
                f"{self._profile.path_of(request.url or '')} was not sent: the API has asked all tasks "
                f"of the connection to wait, {seconds:.0f} s more. Try again then. If this happens often, "
                "set requests_per_second or max_concurrency in the connection.",
                retry_after=seconds,
            )
        _log.info("Connection %r: the API has asked to wait, %.1f s more.", self._profile.conn_id, pause)
        stop.sleep(self._clock, pause)
        return True

    def heed(self, response: requests.Response) -> None:
        """Note what an answer asks for."""
        # An answer with a history was a redirect's, which has been heeded already.
        if response.status_code in (429, 503) and not response.history:
            self.note(named_wait(response.headers, now=self._clock.wall()))

    def note(self, seconds: float | None) -> None:
        """Have all tasks of the connection wait.

        :param seconds: from now; None for none
        """
        if not seconds:
            return
        key = self._named()
        if self._cooldowns is not None and key is not None:
            self._cooldowns.note(key, seconds)
        else:
            self._free_at = max(self._free_at, self._clock.monotonic() + seconds)

    def _named(self) -> str | None:
        """Give the cool-down's name, None where there is none: naming may take a look into the store."""
        if self._key is None and self._cooldowns is not None and self._clock.monotonic() >= self._look_at:
            profile = self._profile
            try:
                self._key = self._cooldowns.api_key(
                    profile.conn_id,
                    profile.base_origin,
                    profile.credentials,
                    profile.secret_headers,
                    profile.transport,
                )
            except StoreUnavailableError:
                self._look_at = self._clock.monotonic() + _LOOK_AGAIN_SECONDS
        return self._key
