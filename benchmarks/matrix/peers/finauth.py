"""Ours: a broker with a store, and a client."""

from __future__ import annotations

from typing import Any

from airflow_provider_finauth.auth.authorizer import BrokerAuthorizer
from airflow_provider_finauth.auth.broker import Broker
from airflow_provider_finauth.auth.cooldown import CoolDowns
from airflow_provider_finauth.auth.credentials import Credentials
from airflow_provider_finauth.auth.sealer import Sealer
from airflow_provider_finauth.auth.stores.file import FileStore
from airflow_provider_finauth.auth.stores.memory import MemoryStore
from airflow_provider_finauth.client.client import ApiClient
from airflow_provider_finauth.client.profile import Profile
from airflow_provider_finauth.secret import Secret
from airflow_provider_finauth.transport.session import TransportSettings
from benchmarks.matrix.peers.base import Caller, Peer, Setup
from benchmarks.matrix.server import CLIENT_ID, SEED


class Finauth(Peer):
    key = "finauth"
    title = "**finauth**"
    distributions = ("airflow-provider-finauth",)
    packages = ("airflow_provider_finauth",)
    does = frozenset({"mints", "reads", "early", "refreshes", "calls", "cache"})
    used = "`Broker` with the `file` store where processes share, else `memory`; `ApiClient`"
    # A window of its own for each lifetime: half of it.
    window = 2.0

    def load(self) -> None:
        pass

    def early(self, lifetime: float) -> float:
        return min(300.0, lifetime / 2)

    def open(self, setup: Setup) -> Caller:
        timeouts: dict[str, Any] = {} if setup.timeout is None else {"read_timeout": setup.timeout}
        refreshes = setup.grant == "refresh_token"
        credentials = Credentials(
            conn_id="matrix",
            api="matrix",
            grant="authorization_code" if refreshes else "client_credentials",
            token_endpoint=setup.token_url,
            client_id=CLIENT_ID,
            client_secret=Secret(setup.client_secret),
            refresh_token=Secret(SEED) if refreshes else None,
            refresh_leeway=setup.leeway,
            transport=TransportSettings(**timeouts),
        )
        folder = setup.folder / "store"
        store = FileStore(folder, Sealer("matrix")) if setup.shared else MemoryStore()
        locks = setup.folder / "locks" if setup.shared else None
        cooldowns = CoolDowns(store, locks)
        deadline: dict[str, Any] = {} if setup.timeout is None else {"deadline": 5 * setup.timeout}
        broker = Broker(store, rescue_folder=locks, cooldowns=cooldowns, **deadline)
        profile = Profile(
            api="matrix",
            conn_id="matrix",
            base_url=setup.api_url,
            credentials=credentials,
            secret_headers={"X-Api-Key": Secret(setup.key)},
            max_concurrency=16,
        )
        client = ApiClient(profile, BrokerAuthorizer(broker, credentials), cooldowns=cooldowns)

        def send(method: str, path: str) -> Any:
            return client.request(method, path, json={} if method == "POST" else None)

        return Caller(send, (client, client.session, broker, credentials, profile, store))
