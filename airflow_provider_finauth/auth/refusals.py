"""Refusals for good, remembered: two hundred tasks with a wrong secret make one or two requests.

A refusal lives in a store entry of its own, a client's under the credentials' fingerprint, a refresh
token's under its hash. So a changed field or a new authorisation lifts it by itself. It rests for a minute,
then twice as long each time, up to a quarter of an hour; in between one request is made, since the vendor
may have mended it on its side. A password is tried twice only: many servers lock an account that goes on.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_finauth.auth.credentials import secret_hash
from airflow_provider_finauth.auth.stores.base import Store, UnreadableEntry
from airflow_provider_finauth.exceptions import (
    FinauthError,
    InvalidClientError,
    ReauthorizationRequiredError,
)

if TYPE_CHECKING:
    from airflow_provider_finauth.auth.credentials import Credentials
    from airflow_provider_finauth.auth.shared_time import SharedTime
    from airflow_provider_finauth.secret import Secret

# How the keys of all refusals begin.
REFUSED = "refused-"

_FIRST_REST = 60.0
_LONGEST_REST = 900.0
_PASSWORD_TRIES = 2


@dataclass(frozen=True)
class _Refusal:
    revision: int
    count: int = 0
    # None: until the connection changes.
    until: float | None = 0.0
    message: str = ""
    code: str | None = None
    status: int | None = None


class Refusals:
    """The memory of refusals in a store. Calls are made under the lineage's lock.

    :param store: where they are kept
    :param time: the store's
    :param on_event: told of each refusal that is served from memory
    """

    def __init__(
        self,
        store: Store,
        time: SharedTime,
        on_event: Callable[[str, Mapping[str, str | float]], None],
    ) -> None:
        self._store = store
        self._time = time
        # What this process was told, for as long as the store cannot be asked.
        self._own: dict[str, _Refusal] = {}
        self._on_event = on_event

    def check_client(self, credentials: Credentials, *, reached: bool = True) -> bool:
        """Raise what the token endpoint said of these credentials, while that is not to be asked again.

        :param reached: whether the store can be asked; otherwise what this process was told counts
        :return: whether something is remembered that has lapsed
        :raises InvalidClientError: the refusal
        """
        key = self._client_key(credentials)
        refusal = self._read(key) if reached else self._own.get(key, _Refusal(0))
        if self._stands(refusal):
            self._on_event("refusal_served", {"api": credentials.api})
            raise InvalidClientError(
                f"{refusal.message} {_when(refusal)}", code=refusal.code, status=refusal.status
            )
        return refusal.count > 0

    def check_refresh_token(self, credentials: Credentials, refresh_token: Secret) -> None:
        """Raise if the token endpoint has refused this refresh token, while it is not to be asked again.

        :raises ReauthorizationRequiredError: the refusal
        """
        refusal = self._read(refresh_key(refresh_token))
        if self._stands(refusal):
            self._on_event("refusal_served", {"api": credentials.api})
            raise ReauthorizationRequiredError(f"{refusal.message} {_when(refusal)}")

    def record_client(self, credentials: Credentials, error: InvalidClientError) -> None:
        """Remember that the token endpoint refuses these credentials for good."""
        # Other codes mean that the server did not come to look at the password.
        spends_password = credentials.grant == "password" and error.code in (None, "invalid_grant")
        tries = _PASSWORD_TRIES if spends_password else None
        self._record(credentials, self._client_key(credentials), error, tries=tries)

    def record_refresh_token(
        self, credentials: Credentials, refresh_token: Secret, error: FinauthError
    ) -> None:
        """Remember that the token endpoint refuses this refresh token."""
        self._record(credentials, refresh_key(refresh_token), error, tries=None)

    def lift_client(self, credentials: Credentials) -> None:
        """Forget what is remembered of these credentials."""
        key = self._client_key(credentials)
        self._own.pop(key, None)
        self._store.delete(key)

    def _client_key(self, credentials: Credentials) -> str:
        return client_key(credentials.fingerprint(self._store.sealer.digest))

    def _stands(self, refusal: _Refusal) -> bool:
        if refusal.until is None:
            return True
        # Further ahead than any rest reaches means that the clock was set back.
        return 0 < refusal.until - self._time.now() <= _LONGEST_REST

    def _read(self, key: str) -> _Refusal:
        try:
            entry = self._store.read(key)
        except UnreadableEntry as error:
            return _Refusal(error.revision)
        except FinauthError:
            return self._own.get(key, _Refusal(0))
        if entry is None:
            return _Refusal(0)
        try:
            members: dict[str, Any] = json.loads(entry.payload)
            return _Refusal(
                entry.revision,
                int(members["count"]),
                None if members["until"] is None else float(members["until"]),
                str(members["message"]),
                members["code"],
                members["status"],
            )
        except (ValueError, KeyError, TypeError):
            return _Refusal(entry.revision)

    def _record(self, credentials: Credentials, key: str, error: FinauthError, *, tries: int | None) -> None:
        known = self._read(key)
        count = known.count + 1
        rest = min(_FIRST_REST * 2 ** min(known.count, 10), _LONGEST_REST)
        refusal = _Refusal(
            known.revision,
            count,
            None if tries is not None and count >= tries else self._time.now() + rest,
            str(error),
            getattr(error, "code", None),
            getattr(error, "status", None),
        )
        self._own[key] = refusal
        members = {
            "conn_id": credentials.conn_id,
            "count": refusal.count,
            "until": refusal.until,
            "message": refusal.message,
            "code": refusal.code,
            "status": refusal.status,
        }
        # The refusal itself is what the caller is to see, not that it could not be written down.
        with contextlib.suppress(FinauthError):
            self._store.write(key, json.dumps(members).encode(), follows=known.revision)


def client_key(fingerprint: str) -> str:
    """Say where a client's refusal is kept.

    :param fingerprint: of its credentials
    """
    return f"{REFUSED}client-{fingerprint}"


def refresh_key(refresh_token: Secret) -> str:
    """Say where a refresh token's refusal is kept."""
    return f"{REFUSED}refresh-{secret_hash(refresh_token)}"


def _when(refusal: _Refusal) -> str:
    if refusal.until is None:
        return "It was tried twice and is not tried again until the connection changes."
    until = datetime.fromtimestamp(refusal.until, UTC)
    return (
        f"This is remembered; the server is asked again after {until:%Y-%m-%d %H:%M:%S} UTC, "
        "or at once when the connection changes."
    )
