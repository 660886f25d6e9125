"""Lineages in a store: reading a record, and writing the one that follows it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from airflow_provider_finauth.auth.entry import Record
from airflow_provider_finauth.auth.stores.base import Conflict, Entry, Store, UnreadableEntry
from airflow_provider_finauth.exceptions import FinauthError, StoreUnavailableError

if TYPE_CHECKING:
    from airflow_provider_finauth.auth.credentials import Credentials

_log = logging.getLogger(__name__)

_MAX_WRITES = 5


@dataclass(frozen=True)
class Found:
    """What stands in the store under a lineage key.

    :param revision: to be followed by the next write; 0 where nothing ever stood
    :param record: None where nothing (readable) stands
    :param reached: whether the store could be asked
    """

    revision: int
    record: Record | None
    reached: bool = True

    @property
    def place(self) -> tuple[str, int] | None:
        """Lineage and generation of the record."""
        return self.record.place if self.record else None


def record_in(entry: Entry | None) -> Record | None:
    """Give the record that an entry holds, None where nothing stands.

    :raises UnreadableEntry: it holds something else
    """
    if entry is None or not entry.payload:
        return None
    try:
        return Record.from_json(entry.payload)
    except ValueError as error:
        raise UnreadableEntry(f"{error}.".capitalize(), revision=entry.revision) from None


class Lineages:
    """Reads and writes records.

    :param store: where
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._complained = False

    def read(self, credentials: Credentials, key: str, *, overrule: bool = False) -> Found:
        """Give the standing record.

        A damaged one counts as none where a new token costs one more request. Where it may be all that is
        left of a person's consent, it is not touched.

        :param overrule: count a damaged record as none whatever the grant, since a new consent replaces it
        :raises StoreUnavailableError: an authorised grant's record is damaged or cannot be looked at: asking
            for a token blind could lose the grant
        """
        try:
            entry = self._store.read(key, surely=not credentials.starts_over_alone)
            return Found(entry.revision if entry else 0, record_in(entry))
        except UnreadableEntry as error:
            if credentials.starts_over_alone or overrule:
                _log.warning(
                    "Connection %r: the token kept in the store %r cannot be read and will be replaced.",
                    credentials.conn_id,
                    self._store.name,
                )
                return Found(error.revision, None)
            failure = StoreUnavailableError(
                f"Connection {credentials.conn_id!r}: its authorisation in the token store "
                f"{self._store.name!r} cannot be read and was left as it is. {error} "
                f"Give the store its former store_key back, or begin anew: {credentials.reauthorize}"
            )
        except StoreUnavailableError as error:
            if not credentials.starts_over_alone:
                raise
            self.complain(credentials, error)
            return Found(0, None, reached=False)
        raise failure

    def complain(self, credentials: Credentials, error: FinauthError) -> None:
        """Say once that a grant that starts over alone goes on without the store."""
        if not self._complained:
            self._complained = True
            _log.warning(
                "Connection %r: tokens are not shared for now, each process asks for its own. %s",
                credentials.conn_id,
                error,
            )

    def write(self, credentials: Credentials, key: str, followed: Found, record: Record) -> Record:
        """Write the record that follows ``followed``, and give the one that stands then.

        A write in between that left lineage and generation alone (a rest, a dropped token) is followed. Where
        another lineage or generation stands by now, that one is adopted.

        :raises StoreUnavailableError: the store does not take it
        """
        revision = followed.revision
        for _ in range(_MAX_WRITES):
            try:
                self._store.write(key, record.to_json(), follows=revision)
            except Conflict:
                now = self.read(credentials, key)
                if now.record is not None:
                    if now.place != followed.place:
                        return now.record
                    record = replace(record, spent=record.spent | now.record.spent, others=now.record.others)
                revision = now.revision
            else:
                self._complained = False
                return record
        raise StoreUnavailableError(
            f"Connection {credentials.conn_id!r}: the token store {self._store.name!r} took no write, "
            "since others wrote in between each time. Try again."
        )
