"""The servers and stores that are searched."""

from __future__ import annotations

from tests.model.rules import Server, Setting

SERVERS = {
    "revokes on replay": Server(),
    "has a leeway": Server(leeway=True),
    "ends the old access token": Server(ends_access=True),
    "refuses a replay": Server(revokes=False),
    "does not rotate": Server(rotates=False, revokes=False),
}
STORES = {
    "fencing lock, one host": {},
    "fencing lock, hosts": {"hosts": True},
    "lease, one host": {"lease": True},
    "lease, hosts": {"lease": True, "hosts": True},
}


def settings(processes: int, *, faults: int, mints: int = 2) -> dict[str, Setting]:
    """Give every server with every store, by name."""
    return {
        f"{server} - {store}": Setting(
            SERVERS[server], processes, faults=faults, mints=mints, **STORES[store]
        )
        for server in SERVERS
        for store in STORES
    }
