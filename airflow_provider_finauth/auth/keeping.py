"""Keeping what was minted: durably before it is used, and nowhere lost where the store does not take it."""

from __future__ import annotations

import logging
import uuid
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from airflow_provider_finauth.auth.lineages import Found, Lineages
from airflow_provider_finauth.auth.rescue import Rescue, Unwritten
from airflow_provider_finauth.auth.stores.base import Conflict, Store
from airflow_provider_finauth.exceptions import FinauthError, StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_finauth.auth.answer import Answer
    from airflow_provider_finauth.auth.credentials import Credentials
    from airflow_provider_finauth.auth.entry import Record
    from airflow_provider_finauth.auth.held import Slot
    from airflow_provider_finauth.auth.records import Records

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Minted:
    """What came of a mint.

    :param record: what stands now
    :param adopted: it is another's, found when ours was to be kept or was refused
    """

    record: Record
    adopted: bool = False


@dataclass(frozen=True)
class Keeping:
    """Writes records.

    :param rescue: takes what the store does not take
    :param repeat: calls what it is given until it gives True, beside everything else
    """

    store: Store
    lineages: Lineages
    records: Records
    rescue: Rescue
    repeat: Callable[[Callable[[], bool]], None]

    def keep(self, credentials: Credentials, slot: Slot, found: Found, record: Record) -> Minted:
        """Write a minted record. What stands in the end is used, written or not.

        An authorised grant's record that the store does not take is all that is left of the authorisation:
        it is left on this machine, and written as soon as the store takes it.
        """
        if not found.reached:
            return Minted(record)
        try:
            standing = self.lineages.write(credentials, slot.key, found, record)
        except BaseException as error:
            # Whatever it is, a task's time-out too: nobody else knows this record.
            if not credentials.starts_over_alone:
                self._go_on_unwritten(credentials, slot, Unwritten(record, found.place), error)
            elif isinstance(error, FinauthError):
                self.lineages.complain(credentials, error)
            if not isinstance(error, FinauthError):
                raise
            return Minted(record)
        self._written(slot, record)
        return Minted(standing, adopted=standing.place != record.place)

    def catch_up(self, credentials: Credentials, slot: Slot, found: Found) -> Found:
        """Write back what this process or this machine knows to be newer than the store.

        :return: what stands then; where the store still does not take it, the newer record all the same
        """
        if credentials.starts_over_alone or not found.reached:
            return found
        unwritten = slot.unwritten or self.rescue.load(slot.key)
        if unwritten is None:
            held = slot.held
            if held is None or not _is_newer(held.record, found):
                return found
            unwritten = Unwritten(replace(held.record, intent=None, unanswered=None), found.place)
        elif found.place != unwritten.followed and not _is_newer(unwritten.record, found):
            # A consent, or another process, has gone on without it.
            self._written(slot, unwritten.record)
            return found
        try:
            self.lineages.write(credentials, slot.key, found, unwritten.record)
        except FinauthError as error:
            if slot.unwritten is None:
                self._go_on_unwritten(credentials, slot, unwritten, error)
            return Found(found.revision, unwritten.record)
        self._written(slot, unwritten.record)
        return self.lineages.read(credentials, slot.key)

    def begin(self, credentials: Credentials, slot: Slot, answer: Answer) -> Record:
        """Keep a person's consent as a new lineage, whatever stands there or is written meanwhile.

        :raises StoreUnavailableError: the store does not take it
        """
        lineage = f"consent-{uuid.uuid4().hex}"
        revision: int | None = None
        while True:
            found = self.lineages.read(credentials, slot.key, overrule=True)
            if found.revision == revision:
                raise StoreUnavailableError(
                    f"Connection {credentials.conn_id!r}: the token store {self.store.name!r} did not take "
                    "the consent. Authorise again."
                )
            revision = found.revision
            record = self.records.consented(credentials, answer, found.record, lineage)
            with suppress(Conflict):
                self.store.write(slot.key, record.to_json(), follows=revision)
                break
        if slot.unwritten is not None:
            self._written(slot, slot.unwritten.record)
        return record

    def _go_on_unwritten(
        self, credentials: Credentials, slot: Slot, unwritten: Unwritten, error: BaseException
    ) -> None:
        slot.unwritten = unwritten
        left = self.rescue.save(slot.key, unwritten)
        _log.warning(
            "Connection %r: the token store does not take its new token, which is used all the same, %s and "
            "written as soon as the store takes it. %s",
            credentials.conn_id,
            "left encrypted beside the lock files" if left else "kept in this process alone",
            error if isinstance(error, FinauthError) else f"({type(error).__name__})",
        )
        self.repeat(lambda: self._try_again(credentials, slot, unwritten))

    def _try_again(self, credentials: Credentials, slot: Slot, unwritten: Unwritten) -> bool:
        lock = slot.lock
        if not lock.acquire(blocking=False):
            return False
        try:
            if slot.unwritten is unwritten:
                self.catch_up(credentials, slot, self.lineages.read(credentials, slot.key))
            return slot.unwritten is not unwritten
        except FinauthError:
            return False
        finally:
            lock.release()

    def _written(self, slot: Slot, record: Record) -> None:
        slot.unwritten = None
        self.rescue.drop(slot.key, record)


def _is_lost(found: Found) -> bool:
    """Tell whether the store has nothing where something stood; what was forgotten leaves its revision."""
    return found.record is None and found.revision == 0


def _is_newer(record: Record, found: Found) -> bool:
    if found.record is None:
        return _is_lost(found)
    return record.is_newer_than(found.record)
