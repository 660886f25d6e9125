"""Airflow's Variables as a dict, behind the door: with writes that come late or twice, and with failures."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from airflow_provider_finauth.auth.entry import Intent, Record, Unanswered
from airflow_provider_finauth.auth.tokens import TokenSet
from airflow_provider_finauth.exceptions import StoreUnavailableError
from airflow_provider_finauth.runtime import door
from airflow_provider_finauth.runtime.variable_parts import PROBE_VARIABLE
from airflow_provider_finauth.secret import Secret
from airflow_provider_finauth.transport.clock import Clock

if TYPE_CHECKING:
    import pytest

NOW = 1_800_000_000.0


class StoppedClock(Clock):
    """Waits for nothing and remembers how long it would have waited.

    :param meanwhile: what others do while somebody waits, once each
    """

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.time = 0.0
        self.meanwhile: list[Callable[[], Any]] = []

    def wall(self) -> float:
        return NOW + self.time

    def monotonic(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds
        if self.meanwhile:
            self.meanwhile.pop(0)()


class FakeVariables:
    """What the door finds.

    ``before_write`` and ``after_write`` happen around the next writes, one each.

    :param lists: whether this Airflow can list Variables
    """

    def __init__(self, *, lists: bool = True) -> None:
        self.lists = lists
        self.values: dict[str, str] = {}
        self.reads: list[str] = []
        self.writes: list[tuple[str, str]] = []
        # Names that are not found so many times although they are there.
        self.hidden: dict[str, int] = {}
        self.is_down = False
        self.before_write: list[Callable[[], Any]] = []
        self.after_write: list[Callable[[], Any]] = []

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(door, "variable_get", self.get)
        monkeypatch.setattr(door, "variable_set", self.set)
        monkeypatch.setattr(door, "variable_keys", self.keys)

    def get(self, name: str) -> str | None:
        self.reads.append(name)
        if self.is_down or self.hidden.get(name, 0) > 0:
            self.hidden[name] = self.hidden.get(name, 0) - 1
            return None
        return self.values.get(name)

    def set(self, name: str, value: str, *, description: str) -> None:
        assert description
        if self.is_down:
            raise StoreUnavailableError("Airflow could not be asked")
        is_probe = name == PROBE_VARIABLE
        if self.before_write and not is_probe:
            self.before_write.pop(0)()
        self.writes.append((name, value))
        self.values[name] = value
        if self.after_write and not is_probe:
            self.after_write.pop(0)()

    def keys(self, prefix: str) -> list[str] | None:
        if not self.lists:
            return None
        if self.is_down:
            raise StoreUnavailableError("Airflow could not be asked")
        return [name for name in self.values if name.startswith(prefix)]

    def named(self, suffix: str) -> str:
        """Give the only value whose name ends so."""
        [value] = [value for name, value in self.values.items() if name.endswith(suffix)]
        return value

    def written_since(self, number: int) -> list[str]:
        """Give the ends of the names that were written after so many writes."""
        return [name.rpartition("_")[2] for name, _ in self.writes[number:]]


def intent(attempt: str = "attempt-1", owner: str = "host-a", **changes: Any) -> Intent:
    """Make an intent."""
    members: dict[str, Any] = {"sent": "hash", "begun": NOW, "deadline": NOW + 60}
    return Intent(owner=owner, attempt=attempt, **{**members, **changes})


def unanswered(count: int = 1) -> Unanswered:
    """Make what is remembered of refreshes without an answer."""
    return Unanswered(sent="hash", count=count, since=NOW, retry_at=NOW + count)


def record(lineage: str = "consent-1", generation: int = 1, **changes: Any) -> Record:
    """Make a record; its refresh token tells which one it is."""
    tokens = TokenSet(
        access_token=Secret(f"access-{lineage}-{generation}"),
        refresh_token=Secret(f"refresh-{lineage}-{generation}"),
        issued_at=NOW,
        expires_at=NOW + 900,
        lifetime=900.0,
        generation=generation,
        lineage=lineage,
    )
    members: dict[str, Any] = {
        "conn_id": "luca_default",
        "api": "luca",
        "token_origin": "https://id.example.com",
        "fingerprint": "fingerprint",
        "tokens": tokens,
        "minted_at": NOW,
    }
    return Record(**{**members, **changes})
