"""What a store keeps, made ready to be shown to a person: never a value."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_finauth.auth.lineages import record_in
from airflow_provider_finauth.auth.refusals import REFUSED, client_key, refresh_key
from airflow_provider_finauth.auth.stores.base import Store, UnreadableEntry

if TYPE_CHECKING:
    from airflow_provider_finauth.auth.entry import Intent, Record, Unanswered

_AUTHORISED = "grant-"
_ALONE = "token-"
# How the name of a lineage begins that has been forgotten: it has no tokens, and keeps the history.
FORGOTTEN = "forgotten-"


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A refusal for good that is remembered.

    :param key: its key in the store
    :param conn_id: the connection, where the entry says so
    :param count: how often it was met
    :param until: the server is not asked before, by the store's clock; None: until the connection changes
    :param code: the server's OAuth error code
    :param message: what a task is told
    """

    key: str
    conn_id: str | None
    count: int
    until: float | None
    code: str | None
    message: str

    def stands(self, now: float) -> bool:
        """Tell whether tasks are still answered from memory."""
        return self.until is None or now < self.until


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """A chain of token sets, without its tokens.

    :param key: its key in the store
    :param authorised: whether only a person can begin it again
    :param problem: why the entry cannot be read; then nothing of what follows is known
    :param minted_at: when its last token was minted, by the store's clock
    :param expires_at: when its access token ends, by the store's clock; None where there is none
    :param renewable: whether it has a refresh token
    :param intent: a refresh that is under way
    :param unanswered: refreshes that got no answer
    :param refusals: of its credentials and its refresh token
    """

    key: str
    authorised: bool
    problem: str | None = None
    conn_id: str | None = None
    api: str | None = None
    generation: int | None = None
    minted_at: float | None = None
    expires_at: float | None = None
    renewable: bool = False
    intent: Intent | None = None
    unanswered: Unanswered | None = None
    refusals: tuple[Refused, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """All that a store keeps.

    :param now: when it was taken, by the store's clock
    :param lineages: by connection
    :param refusals: those that belong to none of the lineages
    """

    now: float
    lineages: tuple[Lineage, ...]
    refusals: tuple[Refused, ...]


def take_inventory(store: Store) -> Inventory:
    """Read all that a store keeps. What cannot be read is listed as such.

    :raises StoreUnavailableError: the store cannot be asked
    """
    now, keys = store.now(), sorted(store.list())
    refusals = {key: found for key in keys if (found := _refusal(store, key)) is not None}
    lineages, told = [], set[str]()
    for key in keys:
        if not key.startswith((_AUTHORISED, _ALONE)):
            continue
        try:
            record = record_in(store.read(key))
        except UnreadableEntry as error:
            lineages.append(Lineage(key=key, authorised=key.startswith(_AUTHORISED), problem=str(error)))
            continue
        if record is None or _is_forgotten(record):
            continue
        own = [refusals[name] for name in _refusal_keys(record) if name in refusals]
        told |= {refusal.key for refusal in own}
        lineages.append(_lineage(key, record, own))
    lineages.sort(key=lambda lineage: (lineage.conn_id is None, lineage.conn_id or "", lineage.key))
    return Inventory(
        now=now,
        lineages=tuple(lineages),
        refusals=tuple(refusal for key, refusal in refusals.items() if key not in told),
    )


def _is_forgotten(record: Record) -> bool:
    return record.tokens.lineage.startswith(FORGOTTEN)


def _lineage(key: str, record: Record, refusals: list[Refused]) -> Lineage:
    tokens = record.tokens
    return Lineage(
        key=key,
        authorised=key.startswith(_AUTHORISED),
        conn_id=record.conn_id,
        api=record.api,
        generation=tokens.generation,
        minted_at=record.minted_at,
        expires_at=tokens.expires_at if tokens.access_token is not None else None,
        renewable=tokens.refresh_token is not None,
        intent=record.intent,
        unanswered=record.unanswered,
        refusals=tuple(refusals),
    )


def _refusal_keys(record: Record) -> list[str]:
    keys = [client_key(record.fingerprint)]
    if record.tokens.refresh_token is not None:
        keys.append(refresh_key(record.tokens.refresh_token))
    return keys


def _refusal(store: Store, key: str) -> Refused | None:
    """Read a refusal; one that cannot be read counts as none, as it does for the broker."""
    if not key.startswith(REFUSED):
        return None
    try:
        entry = store.read(key)
        members: dict[str, Any] = json.loads(entry.payload) if entry is not None and entry.payload else {}
        return Refused(
            key=key,
            conn_id=members.get("conn_id"),
            count=int(members["count"]),
            until=None if members["until"] is None else float(members["until"]),
            code=members.get("code"),
            message=str(members["message"]),
        )
    except (UnreadableEntry, ValueError, KeyError, TypeError, AttributeError):
        return None
