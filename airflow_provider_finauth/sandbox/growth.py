"""Rows that come in or change while somebody pulls: what a request to ``/_sandbox/records`` may say."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_finauth.sandbox.table import Table

MOST = 10_000_000


@dataclass(kw_only=True)
class Growth:
    """What is to happen to a list.

    :param total: so many rows from now on, nothing added or changed among them
    :param add: so many rows come in
    :param change: so many of the first rows change
    :param places: the rows at these places change
    :param at: when, ISO 8601; now by default. An earlier time makes rows that come late, one to come rows of
        a clock that goes fast
    :param members: what is particular about those rows
    """

    total: int | None = None
    add: int = 0
    change: int = 0
    places: list[int] = field(default_factory=list)
    at: str | None = None
    members: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> Growth:
        """Read what was told.

        :raises ValueError: an unknown name, or a value that cannot be
        """
        known = {each.name for each in fields(cls)}
        for name in told:
            if name not in known:
                raise ValueError(f"No option {name}; there are {', '.join(sorted(known))}.")
        growth = cls(**told)
        for name in ("total", "add", "change"):
            number = getattr(growth, name)
            if number is None and name == "total":
                continue
            if type(number) is not int or not (name == "total") <= number <= MOST:
                raise ValueError(f"{name} must be a whole number up to {MOST}.")
        if not isinstance(growth.places, list) or any(type(place) is not int for place in growth.places):
            raise ValueError("places must be a list of whole numbers.")
        if not isinstance(growth.members, dict):
            raise ValueError("members must be an object.")
        return growth

    def apply(self, table: Table) -> dict[str, Any]:
        """Let it happen, and say which rows there are then and which are new or others.

        :raises ValueError: the time is none, or the list does not do such a thing
        """
        at = None
        if self.at is not None:
            at = datetime.fromisoformat(self.at)
            at = at if at.tzinfo else at.replace(tzinfo=UTC)
        if self.total is not None:
            table.reset(self.total)
        places = self.places or range(self.change)
        changed = table.change(places, at, self.members) if places else []
        added = table.add(self.add, at, self.members) if self.add else []
        return {"records": len(table), "changed": changed, "added": added}
