"""Forgetting what a store keeps of a connection, at a person's word."""

from __future__ import annotations

import uuid
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from airflow_provider_finauth.auth.credentials import secret_hash
from airflow_provider_finauth.auth.entry import Record
from airflow_provider_finauth.auth.inventory import FORGOTTEN, Inventory, take_inventory
from airflow_provider_finauth.auth.lineages import record_in
from airflow_provider_finauth.auth.refusals import client_key, refresh_key
from airflow_provider_finauth.auth.stores.base import Conflict, Store, UnreadableEntry
from airflow_provider_finauth.auth.tokens import TokenSet
from airflow_provider_finauth.exceptions import StoreUnavailableError

if TYPE_CHECKING:
    from airflow_provider_finauth.auth.credentials import Credentials

_MAX_WRITES = 5


@dataclass(frozen=True, kw_only=True)
class Forgotten:
    """What was forgotten, in numbers.

    :param authorisations: a person has to give each of them again
    :param tokens: tasks ask for others by themselves
    :param refusals: servers are asked again at once
    """

    authorisations: int = 0
    tokens: int = 0
    refusals: int = 0


def forget(store: Store, conn_id: str, credentials: Credentials | None, *, timeout: float) -> Forgotten:
    """Forget a connection's tokens and refusals.

    Of an authorisation the memory of its spent refresh tokens stays: none of them is ever sent again. What a
    task that is at work right now holds in its memory, it uses until it ends.

    :param credentials: what the connection says now; None where Airflow has no such connection any more
    :param timeout: seconds to wait for a task that is renewing
    :raises LockTimeoutError: a task was renewing all the time
    :raises StoreUnavailableError: the store cannot be asked
    """
    inventory = take_inventory(store)
    own = {lineage.key: lineage for lineage in inventory.lineages if lineage.conn_id == conn_id}
    if credentials is not None:
        key = credentials.lineage_key(store.sealer.digest)
        own |= {lineage.key: lineage for lineage in inventory.lineages if lineage.key == key}
    lifted = lift_refusals(store, conn_id, credentials, inventory=inventory)
    for key, lineage in own.items():
        with store.lock(key, timeout):
            if lineage.authorised:
                _forget_authorisation(store, key, credentials)
            else:
                store.delete(key)
    authorisations = sum(lineage.authorised for lineage in own.values())
    return Forgotten(authorisations=authorisations, tokens=len(own) - authorisations, refusals=lifted)


def lift_refusals(
    store: Store, conn_id: str, credentials: Credentials | None, *, inventory: Inventory | None = None
) -> int:
    """Forget that servers have refused a connection, and give the number of refusals.

    :param credentials: what the connection says now; None where Airflow has no such connection any more
    :param inventory: the store's, where it was just taken
    :raises StoreUnavailableError: the store cannot be asked
    """
    inventory = inventory or take_inventory(store)
    keys = {refusal.key for refusal in inventory.refusals if refusal.conn_id == conn_id}
    known = {refusal.key for refusal in inventory.refusals}
    for lineage in inventory.lineages:
        known |= {refusal.key for refusal in lineage.refusals}
        if lineage.conn_id == conn_id:
            keys |= {refusal.key for refusal in lineage.refusals}
    if credentials is not None:
        keys.add(client_key(credentials.fingerprint(store.sealer.digest)))
        if credentials.refresh_token is not None:
            keys.add(refresh_key(credentials.refresh_token))
    for key in keys & known:
        store.delete(key)
    return len(keys & known)


def _forget_authorisation(store: Store, key: str, credentials: Credentials | None) -> None:
    """Put an empty lineage in the place of an authorised one.

    Not by deleting: the entry holds the hashes of spent refresh tokens, and an answer that is still under way
    to a stopped process must find another lineage than the one that it followed.
    """
    for _ in range(_MAX_WRITES):
        revision, record = _standing(store, key, credentials)
        if record is None:
            return
        emptied = replace(
            record,
            tokens=_no_tokens(store.now()),
            spent=record.spent | _sent(record),
            intent=None,
            unanswered=None,
        )
        with suppress(Conflict):
            store.write(key, emptied.to_json(), follows=revision)
            return
    raise StoreUnavailableError(
        f"The token store '{store.name}' took no write, since others wrote in between each time. Try again."
    )


def _sent(record: Record) -> set[str]:
    """Give the hashes of the refresh tokens that may have been sent, or would be next."""
    under_way = {step.sent for step in (record.intent, record.unanswered) if step is not None}
    current = record.tokens.refresh_token
    return under_way | ({secret_hash(current)} if current is not None else set())


def _standing(store: Store, key: str, credentials: Credentials | None) -> tuple[int, Record | None]:
    """Give the revision and what stands; in the place of what cannot be read, a record without tokens."""
    try:
        entry = store.read(key, surely=True)
        return entry.revision if entry else 0, record_in(entry)
    except UnreadableEntry as error:
        return error.revision, _empty_record(store, credentials)


def _empty_record(store: Store, credentials: Credentials | None) -> Record:
    assert credentials is not None, "an entry that cannot be read is found by its connection only"
    # The history is lost with the entry, and the connection's seed may be part of it.
    seed = credentials.refresh_token
    return Record(
        conn_id=credentials.conn_id,
        api=credentials.api,
        token_origin=str(credentials.token_origin),
        fingerprint=credentials.fingerprint(store.sealer.digest),
        tokens=_no_tokens(store.now()),
        spent=frozenset({secret_hash(seed)} if seed else ()),
        minted_at=store.now(),
    )


def _no_tokens(now: float) -> TokenSet:
    return TokenSet(
        access_token=None,
        issued_at=now,
        expires_at=now,
        lifetime=0.0,
        generation=0,
        lineage=f"{FORGOTTEN}{uuid.uuid4().hex}",
    )
