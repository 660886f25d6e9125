"""Seeds: which lineage spends a connection's refresh token.

A server that rotates refresh tokens takes the second use of one for theft and revokes everything that came of
it. So a seed belongs to the lineage that sends it first, whichever connection that is; the claim lives in a
store entry of its own, under the seed's hash, and is written before the seed is sent.
"""

from __future__ import annotations

import json
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_finauth.auth.credentials import secret_hash
from airflow_provider_finauth.auth.endpoint import NeverSentError
from airflow_provider_finauth.auth.stores.base import Conflict, Store, UnreadableEntry
from airflow_provider_finauth.exceptions import (
    InvalidClientError,
    RateLimitedError,
    ReauthorizationRequiredError,
    StoreUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_finauth.auth.credentials import Credentials
    from airflow_provider_finauth.secret import Secret


@dataclass(frozen=True)
class _Claim:
    """What stands under a seed's hash; no lineage key where nobody claims the seed."""

    revision: int
    lineage_key: str | None = None
    conn_id: str = ""


class Seeds:
    """The memory of spent seeds in a store.

    Two lineages have two locks, so what keeps them apart is the store's comparing write alone.

    :param store: where it is kept
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    @contextmanager
    def spending(self, credentials: Credentials, lineage_key: str, seed: Secret) -> Iterator[None]:
        """Claim the seed for the length of a ``with`` block that sends it, and from then on.

        A claim of the lineage's own is no obstacle. One that was made here is given back where the server
        certainly has not taken the seed, so that a corrected connection can still use it.

        :raises ReauthorizationRequiredError: another lineage has claimed it
        :raises StoreUnavailableError: the claim cannot be read or kept; the block is not entered
        """
        is_first = self._claim(credentials, lineage_key, seed)
        try:
            yield
        except (NeverSentError, RateLimitedError):
            if is_first:
                self._release(seed)
            raise
        except InvalidClientError as error:
            # Other codes mean that the server did not come to look at the refresh token.
            if is_first and error.code != "invalid_grant":
                self._release(seed)
            raise

    def _claim(self, credentials: Credentials, lineage_key: str, seed: Secret) -> bool:
        """Claim the seed, and tell whether it was free."""
        claim = self._read(credentials, seed)
        if claim.lineage_key is None:
            members = {"lineage_key": lineage_key, "conn_id": credentials.conn_id}
            try:
                self._store.write(_key(seed), json.dumps(members).encode(), follows=claim.revision)
            except Conflict:
                claim = self._read(credentials, seed)
            else:
                return True
        if claim.lineage_key == lineage_key:
            return False
        if claim.lineage_key is None:
            raise StoreUnavailableError(
                f"Connection {credentials.conn_id!r}: another task is trying its refresh token. Try again."
            )
        whose = (
            "has already been used with another token endpoint"
            if claim.conn_id == credentials.conn_id
            else f"is already used by connection {claim.conn_id!r}"
        )
        raise ReauthorizationRequiredError(
            f"Connection {credentials.conn_id!r}: its refresh token {whose}, and it can be used once only. "
            f"Each connection needs an authorisation of its own. {credentials.reauthorize}"
        )

    def _release(self, seed: Secret) -> None:
        # What the token endpoint said is what the caller is to see.
        with suppress(StoreUnavailableError):
            self._store.delete(_key(seed))

    def _read(self, credentials: Credentials, seed: Secret) -> _Claim:
        try:
            entry = self._store.read(_key(seed), surely=True)
            if entry is None or not entry.payload:
                return _Claim(entry.revision if entry else 0)
            try:
                members = json.loads(entry.payload)
                return _Claim(entry.revision, str(members["lineage_key"]), str(members["conn_id"]))
            except (ValueError, KeyError, TypeError):
                raise UnreadableEntry("The entry is not a claim.", revision=entry.revision) from None
        except UnreadableEntry as error:
            failure = StoreUnavailableError(
                f"Connection {credentials.conn_id!r}: the token store {self._store.name!r} cannot tell "
                f"whether its refresh token has been used already, so it was not sent. {error} "
                f"Give the store its former store_key back, or begin anew: {credentials.reauthorize}"
            )
        raise failure


def _key(seed: Secret) -> str:
    return f"seed-{secret_hash(seed)}"
