"""What the sandbox remembers about the requests it got, and how it can be told to behave."""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_finauth.sandbox.faults import Faults

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_provider_finauth.sandbox.table import Table
    from airflow_provider_finauth.sandbox.tokens import Office

LOG_LENGTH = 200
ALIASES = {"op": "opcorporate", "oauth2api": "generic"}

# Everything else is hashed in the log: a name that we forgot must not give a secret away.
PUBLIC_HEADERS = {
    "accept",
    "accept-encoding",
    "accept-language",
    "connection",
    "content-length",
    "content-type",
    "dataserviceversion",
    "host",
    "requestor-id",
    "user-agent",
    "x-request-id",
}
SECRET_MEMBERS = {
    "client_secret",
    "code",
    "code_verifier",
    "password",
    "refresh_token",
    "subscription-key",
    "token",
}


def digest(value: str) -> str:
    """A short hash by which a test recognises a secret that it knows."""
    return "sha256:" + hashlib.sha256(value.encode()).hexdigest()[:12]


@dataclass
class Stats:
    """Counts of one API since the last reset."""

    requests: Counter[str] = field(default_factory=Counter)
    tokens_issued: int = 0
    refusals: int = 0
    faults: int = 0
    replays: int = 0
    records_served: int = 0
    endpoints: Counter[str] = field(default_factory=Counter)
    records: Counter[str] = field(default_factory=Counter)
    seen: dict[str, set[int]] = field(default_factory=dict)
    log: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=LOG_LENGTH))

    def count_records(self, endpoint: str, keys: Iterable[Any], number: int) -> None:
        """Count the records of one answer; ``keys`` tell apart those served before."""
        self.records_served += number
        self.records[endpoint] += number
        # Hashes take a third of the memory.
        self.seen.setdefault(endpoint, set()).update(map(hash, keys))

    def as_dict(self) -> dict[str, Any]:
        """As JSON can carry it."""
        unique = {endpoint: len(keys) for endpoint, keys in self.seen.items()}
        return {
            "token_requests": self.requests["token"],
            "api_requests": self.requests["api"],
            "other_requests": self.requests["other"],
            "tokens_issued": self.tokens_issued,
            "refusals": self.refusals,
            "faults": self.faults,
            "replays": self.replays,
            "records_served": self.records_served,
            "unique_records_served": sum(unique.values()),
            "endpoints": dict(self.endpoints),
            "records_by_endpoint": dict(self.records),
            "unique_records_by_endpoint": unique,
            "log": list(self.log),
        }


class Settings:
    """The settings of one API, each with its default.

    ``expires_in`` is the life of an access token in seconds and ``latency`` the seconds by which each data
    answer is held back; the others belong to one API and stand in its module.
    """

    def __init__(self, defaults: Mapping[str, Any]) -> None:
        self._defaults = {"latency": 0.0, **defaults}
        self._values = dict(self._defaults)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def change(self, values: Mapping[str, Any]) -> None:
        """Take new values.

        :raises ValueError: an unknown name, or a value of another type
        """
        for name, value in values.items():
            if name not in self._defaults:
                raise ValueError(f"No setting {name!r}; there are {', '.join(sorted(self._defaults))}.")
            default = self._defaults[name]
            kinds = (int, float) if type(default) in (int, float) else (type(default),)
            if default is not None and type(value) not in kinds:
                raise ValueError(f"Setting {name!r} is of type {type(default).__name__}.")
        self._values.update(values)

    def reset(self) -> None:
        """Back to the defaults."""
        self._values = dict(self._defaults)

    def as_dict(self) -> dict[str, Any]:
        """All of them."""
        return dict(self._values)


class Control:
    """Counts, faults, settings and growing lists of all APIs.

    :param records: how many records each API's largest lists hold; by default a few thousand
    """

    def __init__(self, records: int | None = None) -> None:
        self.records = records
        self.stats: dict[str, Stats] = {}
        self.settings: dict[str, Settings] = {}
        self.offices: dict[str, Office] = {}
        self.faults = Faults()
        self.resets: list[Any] = []
        self.tables: dict[str, Mapping[str, Table]] = {}

    def add(self, api: str, defaults: Mapping[str, Any], office: Office) -> Settings:
        """Take in an API."""
        self.offices[api] = office
        self.stats[api] = Stats()
        self.settings[api] = Settings(defaults)
        return self.settings[api]

    def name(self, api: str) -> str:
        """The name of an API, by its name or alias.

        :raises ValueError: there is none
        """
        known = ALIASES.get(api, api)
        if known not in self.stats:
            raise ValueError(f"No API {api!r}; there are {', '.join(sorted(self.stats))}.")
        return known

    def table(self, api: str, name: str) -> Table:
        """A list that can grow.

        :raises ValueError: there is none
        """
        tables = self.tables[self.name(api)]
        if name not in tables:
            raise ValueError(f"No list {name!r} that grows; there are {', '.join(tables)}.")
        return tables[name]

    def reset(self) -> None:
        """Forget everything that came after the start."""
        for api in self.stats:
            self.stats[api] = Stats()
        for settings in self.settings.values():
            settings.reset()
        self.faults.clear()
        for reset in self.resets:
            reset()
