"""How ``finauth tokens list`` shows an inventory: as lines for a person, as JSON for a program."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_finauth.auth.inventory import Inventory, Lineage, Refused

_HEAD = ("connection", "API", "kind", "generation", "age", "expires in")
_TIMES = frozenset({"now", "minted_at", "expires_at", "until", "begun", "deadline", "since", "retry_at"})
_GAP = "  "

Line = tuple[str, str | None]


def lines(inventory: Inventory, store: str) -> Iterator[Line]:
    """Give the lines of a listing, each with a style of rich's."""
    # One that has ended is in nobody's way.
    refusals = [refusal for refusal in inventory.refusals if refusal.stands(inventory.now)]
    if not inventory.lineages and not refusals:
        yield f"The token store '{store}' keeps no tokens.", None
        return
    yield f"Token store '{store}', {moment(inventory.now)}", None
    rows = [_row(lineage, inventory.now) for lineage in inventory.lineages]
    widths = [max(map(len, column)) for column in zip(_HEAD, *rows, strict=True)]
    if rows:
        yield "", None
        yield _aligned(_HEAD, widths), "bold"
    for lineage, row in zip(inventory.lineages, rows, strict=True):
        yield _aligned(row, widths), None
        for note in _notes(lineage, inventory.now):
            yield f"{_GAP}{note}", "yellow"
    if refusals:
        yield "", None
        others = ", other than those of the tokens above" if rows else ""
        yield f"Refused credentials{others}:", "bold"
    for refusal in refusals:
        yield f"{refusal.conn_id or '?'} {_refused(refusal, inventory.now)}", "yellow"


def as_json(inventory: Inventory, store: str) -> str:
    """Give the same as JSON; moments are texts in UTC."""
    members = {"store": store, **_plain(asdict(inventory))}
    for lineage, told in zip(inventory.lineages, members["lineages"], strict=True):
        told["kind"] = _kind(lineage)
        for step in (told["intent"], told["unanswered"]):
            if step is not None:
                # A hash only, but nobody needs it.
                del step["sent"]
    return json.dumps(members, indent=2)


def moment(seconds: float) -> str:
    """Write a moment as a person reads it."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"


def span(seconds: float) -> str:
    """Write a length of time in two units at most."""
    left = max(0, round(seconds))
    found: list[str] = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        number, left = divmod(left, size)
        if number or found:
            found.append(f"{number} {unit}")
        if len(found) == 2:
            break
    return " ".join(part for part in found if not part.startswith("0 ")) or "0 s"


def _row(lineage: Lineage, now: float) -> tuple[str, ...]:
    if lineage.problem is not None:
        return ("?", "?", _kind(lineage), "?", "?", "?")
    if lineage.expires_at is None:
        expires = "no access token"
    else:
        expires = span(lineage.expires_at - now) if lineage.expires_at > now else "ended"
    # A consent or a seed that has brought no token yet was not minted.
    age = span(now - lineage.minted_at) if lineage.minted_at else "-"
    return (
        str(lineage.conn_id),
        str(lineage.api),
        _kind(lineage),
        str(lineage.generation),
        age,
        expires,
    )


def _kind(lineage: Lineage) -> str:
    return "authorised" if lineage.authorised else "starts over alone"


def _notes(lineage: Lineage, now: float) -> Iterator[str]:
    if lineage.problem is not None:
        yield f"cannot be read: {lineage.problem} (entry {lineage.key})"
        return
    if lineage.authorised and not lineage.renewable:
        yield "has no refresh token: a person has to authorise it again when it ends"
    if lineage.intent is not None:
        if now <= lineage.intent.deadline:
            yield f"is being renewed, until {moment(lineage.intent.deadline)} at most"
        else:
            yield f"a renewal begun at {moment(lineage.intent.begun)} was cut off; the next task repeats it"
    if lineage.unanswered is not None:
        times = "time" if lineage.unanswered.count == 1 else "times"
        retry_at = lineage.unanswered.retry_at
        if lineage.expires_at is not None and lineage.expires_at > max(now, retry_at):
            again = f"when its token ends, {moment(lineage.expires_at)}"
        else:
            again = f"from {moment(retry_at)}"
        yield (
            f"its server did not answer {lineage.unanswered.count} {times} since "
            f"{moment(lineage.unanswered.since)}; asked again {again}"
        )
    for refusal in lineage.refusals:
        yield _refused(refusal, now)


def _refused(refusal: Refused, now: float) -> str:
    code = f" ({refusal.code})" if refusal.code else ""
    if refusal.until is None:
        until = "until the connection changes"
    elif refusal.stands(now):
        until = f"until {moment(refusal.until)}"
    else:
        until = "and is asked again by the next task"
    return f"was refused{code}, {until}: {refusal.message}"


def _aligned(cells: tuple[str, ...], widths: list[int]) -> str:
    return _GAP.join(f"{cell:{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()


def _plain(value: Any) -> Any:
    """Make what JSON knows of it, with moments as texts."""
    if isinstance(value, dict):
        return {
            name: _iso(member) if name in _TIMES and member is not None else _plain(member)
            for name, member in value.items()
        }
    if isinstance(value, list | tuple):
        return [_plain(member) for member in value]
    return value


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
