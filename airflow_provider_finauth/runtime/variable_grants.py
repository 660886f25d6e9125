"""Authorised grants in Airflow's Variables, which know no compare-and-set.

A write of a Variable may land late, and it may land twice. So the parts of a record lie in Variables of their
own, and none of them is written where it could destroy what is newer:

- Token sets lie in slots: one for even and one for odd generations, so that a late write of generation N
  cannot destroy N + 1. A new lineage begins a new *era*, and eras take turns with two pairs of slots: a
  refresh that was under way when a person authorised anew cannot bring the old lineage back. Era, generation
  and revision are in clear, and in this order they decide which slot counts.
- The intent of a refresh, and what is remembered of unanswered ones, is in a Variable of its own. It counts
  only for the lineage and generation that it was written for.

An intent is a claim. With nothing but reads and writes, two processes can be kept apart by time alone: who
finds no claim writes its own, waits longer than the other can have taken from looking to having written, and
goes on if its own still stands. Whoever took longer than that gives up.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_finauth.auth.entry import REFRESH_MEMBERS
from airflow_provider_finauth.auth.sealer import Undecryptable
from airflow_provider_finauth.auth.stores.base import Conflict, Entry, UnreadableEntry
from airflow_provider_finauth.exceptions import StoreUnavailableError
from airflow_provider_finauth.runtime import door
from airflow_provider_finauth.runtime.variable_parts import Part, probe, put, variable_name

if TYPE_CHECKING:
    from airflow_provider_finauth.auth.sealer import Sealer
    from airflow_provider_finauth.transport.clock import Clock

GRANT_PREFIX = "grant-"

_SLOTS = ("_00", "_01", "_10", "_11")
_INTENT = "_intent"
# The package's first version kept the whole record in one Variable, without a suffix. It cannot open this
# one, so a process that still runs that version stops instead of sending a refresh token that is spent.
_MOVED = "moved"

# What a refresh changes in a record before it has an answer; so it stands while none is under way.
_QUIET: Mapping[str, Any] = dict.fromkeys(REFRESH_MEMBERS)


@dataclass(frozen=True)
class Content:
    """A record's payload, taken apart.

    :param lineage: of its token set
    :param generation: of its token set
    :param tokens: the members of the record but those of ``refresh``; for a payload that is no record, itself
    :param refresh: the members that tell of a refresh under way, or of unanswered ones
    """

    lineage: str
    generation: int
    tokens: dict[str, Any] | bytes = field(repr=False)
    refresh: Mapping[str, Any] = field(default_factory=lambda: _QUIET, repr=False)

    @classmethod
    def of(cls, payload: bytes) -> Self:
        try:
            members = json.loads(payload)
            lineage, generation = str(members["tokens"]["lineage"]), int(members["tokens"]["generation"])
        except (ValueError, KeyError, TypeError):
            return cls("", 0, payload)
        refresh = {name: members.pop(name, None) for name in REFRESH_MEMBERS}
        return cls(lineage, generation, members, refresh)

    @property
    def place(self) -> tuple[str, int]:
        return self.lineage, self.generation

    def tokens_payload(self) -> bytes:
        return self.tokens if isinstance(self.tokens, bytes) else json.dumps(self.tokens).encode()

    def refresh_payload(self) -> bytes:
        # Two lineages may have got the same era, of processes that knew nothing of each other.
        return json.dumps({**self.refresh, "lineage": self.lineage}).encode()

    def payload(self) -> bytes:
        if isinstance(self.tokens, bytes):
            return self.tokens
        return json.dumps({**self.tokens, **self.refresh}).encode()


@dataclass(frozen=True)
class Found:
    """The Variables of one key.

    :param base: the beginning of their names
    :param texts: their values by their names
    """

    base: str
    texts: Mapping[str, str]
    parts: Mapping[str, Part]
    damaged: tuple[str, ...]

    @classmethod
    def of(cls, base: str, texts: Mapping[str, str]) -> Self:
        parts, damaged = {}, []
        for name, text in texts.items():
            try:
                parts[name] = Part.from_text(text)
            except ValueError:
                damaged.append(name)
        if any(base + slot in parts for slot in _SLOTS) and base in damaged:
            damaged.remove(base)  # Only the first version wrote it, and it counts no more.
        return cls(base, texts, parts, tuple(damaged))

    @property
    def revision(self) -> int:
        return max((part.revision for part in self.parts.values()), default=0)

    @property
    def intent(self) -> Part | None:
        return self.parts.get(self.base + _INTENT)

    @property
    def slots(self) -> list[Part]:
        """The parts that hold token sets. That of the first version comes before all eras."""
        return [part for name, part in self.parts.items() if name != self.base + _INTENT]

    @property
    def winner(self) -> Part | None:
        """The part whose token set counts."""
        return newest(self.slots)


@dataclass(frozen=True)
class Claim:
    """An intent that was written and has to settle.

    :param key: the store's key
    :param text: the intent's Variable as it was written
    :param place: lineage and generation that it belongs to
    """

    key: str
    text: str = field(repr=False)
    place: tuple[str, int]


class Grants:
    """Reads and writes the Variables of grants.

    :param sealer: gives the encryption
    :param clock: the time
    :param settles: seconds for which a claim has to stand
    """

    def __init__(self, sealer: Callable[[], Sealer], clock: Clock, settles: float) -> None:
        self._sealer = sealer
        self._clock = clock
        self._settles = settles

    def read(self, key: str, *, surely: bool) -> Entry | None:
        """Put the parts together.

        :raises UnreadableEntry: one that counts, or may count, is damaged
        """
        found = _find(key, surely=surely)
        if not found.texts:
            return None
        content = self._content(found)
        return Entry(found.revision, content.payload() if content is not None else b"")

    def write(self, key: str, content: Content, *, follows: int) -> Claim | None:
        """Write what has changed, and give the claim that has to :meth:`settle` before it counts.

        :raises Conflict: another revision stands there
        """
        found = _find(key, surely=True)
        if found.revision != follows:
            raise Conflict(f"the entry is at revision {found.revision}, not {follows}")
        try:
            old = self._content(found)
        except UnreadableEntry:
            old = None
        if old is not None and self._is_past(found, old, content):
            raise Conflict("a newer token set stands there")
        winner = found.winner
        era = winner.era if winner is not None else 0
        if not era or old is None or old.lineage != content.lineage:
            era, old = era + 1, None
        part = Part(key, follows + 1, "", era, content.generation)
        slot, intent, claim = found.base + _slot(part), found.base + _INTENT, None
        keeps = old is not None and old.tokens == content.tokens
        if not keeps:
            self._put(slot, part, content.tokens_payload())
        stands = old.refresh if old is not None and old.place == content.place else _QUIET
        if keeps or content.refresh != stands or intent in found.damaged:
            claim = self._put_refresh(found, part, content)
        self._tidy(found, part, slot, intent)
        return claim

    def settle(self, claim: Claim) -> None:
        """Wait, and see whether the claim still stands.

        :raises Conflict: it does not, or the token set that it was made for has been followed by another
        """
        self._clock.sleep(self._settles)
        found = _find(claim.key, surely=True)
        content = self._content(found)
        if found.texts.get(found.base + _INTENT) != claim.text:
            raise Conflict("another process has claimed the refresh")
        if content is None or content.place != claim.place:
            raise Conflict("another process has changed the token set")

    def delete(self, key: str) -> None:
        """Forget the payload and keep the revision.

        What is left begins an era of its own, so that no late write of a former one brings it back.
        """
        found = _find(key, surely=True)
        counts = found.winner is not None and found.winner.sealed
        is_left = any(part.sealed not in ("", _MOVED) for part in found.parts.values())
        if not (counts or is_left or found.damaged):
            return
        era = max(part.era for part in found.parts.values()) if found.parts else 0
        part = Part(key, found.revision + 1, "", era + 1)
        slot = found.base + _slot(part)
        # The others after it: it counts already should this process end in between.
        others = [name for name in found.texts if name not in (slot, found.base)]
        for name in (slot, *others):
            put(name, part)
        self._tidy(found, part, *others, slot)

    def _content(self, found: Found) -> Content | None:
        if found.damaged:
            raise UnreadableEntry(
                f"The Variables {_quoted(found.damaged)} are damaged. Bring back what they held, or delete "
                f"all whose names begin with '{found.base}'.",
                revision=found.revision,
            )
        winner, intent = found.winner, found.intent
        if winner is None or not winner.sealed:
            return None
        try:
            content = Content.of(self._sealer().open(winner.sealed))
            if intent is None or not intent.sealed or _order(intent)[:2] != _order(winner)[:2]:
                return content
            refresh = json.loads(self._sealer().open(intent.sealed))
        except Undecryptable:
            raise UnreadableEntry(
                f"The Variables '{found.base}…' were encrypted with another key, or are damaged. Bring back "
                "the former [finauth] store_key or Variable 'finauth_token_key', or delete them.",
                revision=found.revision,
            ) from None
        if refresh.pop("lineage") != content.lineage:
            return content
        return Content(content.lineage, content.generation, content.tokens, refresh)

    def _is_past(self, found: Found, standing: Content, content: Content) -> bool:
        """Tell whether a content is older than what stands, although it follows the same revision.

        Two processes that knew nothing of each other may both have written that revision.
        """
        if content.lineage == standing.lineage:
            return content.generation < standing.generation
        past = (part for part in found.slots if part.sealed and part != found.winner)
        return any(self._lineage(part) == content.lineage for part in past)

    def _lineage(self, part: Part) -> str | None:
        try:
            return Content.of(self._sealer().open(part.sealed)).lineage
        except Undecryptable:
            return None

    def _put_refresh(self, found: Found, part: Part, content: Content) -> Claim | None:
        name = found.base + _INTENT
        if content.refresh["intent"] is None:
            self._put(name, part, content.refresh_payload())
            return None
        began = self._clock.monotonic()
        if door.variable_get(name) != found.texts.get(name):
            raise Conflict("another process has claimed the refresh")
        text = self._put(name, part, content.refresh_payload())
        if self._clock.monotonic() - began > self._settles > 0:
            # Somebody else may have claimed it and seen nothing of ours in the end.
            raise StoreUnavailableError(
                "Airflow takes so long to keep a Variable that no process can be sure to be the only one "
                "that refreshes the token. Try again; the token store 'sql' does not depend on this."
            )
        return Claim(part.key, text, content.place)

    def _put(self, name: str, part: Part, payload: bytes) -> str:
        """Write a part, look whether it stands, and give the Variable's value."""
        part = part._replace(sealed=self._sealer().seal(payload))
        del payload  # no traceback from here on shows it
        put(name, part)
        text, stands = part.to_text(), door.variable_get(name)
        if stands != text:
            try:
                other = Part.from_text(stands or "")
            except ValueError:
                other = None
            if other is not None and _order(other) >= _order(part):
                raise Conflict("another process has written at the same time")
            raise StoreUnavailableError(
                f"The Variable '{name}' was written and cannot be read back. Does a secrets backend hide it?"
            )
        return text

    def _tidy(self, found: Found, part: Part, *written: str) -> None:
        """Leave nothing behind that could not be read, or would count for the package's first version."""
        for name in found.damaged:
            if name not in (found.base, *written):
                put(name, Part(part.key, part.revision, ""))
        former = found.parts.get(found.base)
        if found.base in found.texts and (former is None or former.sealed != _MOVED):
            put(found.base, Part(part.key, part.revision, _MOVED))


def newest(slots: Iterable[Part]) -> Part | None:
    """Give the one of a grant's slots that counts."""
    return max(slots, key=_order, default=None)


def _order(part: Part) -> tuple[int, int, int]:
    return part.era, part.generation, part.revision


def _slot(part: Part) -> str:
    return _SLOTS[2 * (part.era % 2) + part.generation % 2]


def _find(key: str, *, surely: bool) -> Found:
    base = variable_name(key)
    names = [*(base + slot for slot in _SLOTS), base + _INTENT, base]
    listed = door.variable_keys(base)
    if listed is None:
        return Found.of(base, _ask_for_each(names, surely=surely))
    if surely and not listed:
        probe()
        listed = door.variable_keys(base)
    texts = {name: door.variable_get(name) for name in names if name in (listed or ())}
    return Found.of(base, {name: text for name, text in texts.items() if text is not None})


def _ask_for_each(names: list[str], *, surely: bool) -> dict[str, str]:
    """Read Variables where Airflow cannot list them, so that an absence may as well be a failure."""
    texts = {}
    is_probed = not surely
    for name in names:
        text = door.variable_get(name)
        if text is None and surely:
            if not is_probed:
                probe()
                is_probed = True
            text = door.variable_get(name)
        if text is not None:
            texts[name] = text
    return texts


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
