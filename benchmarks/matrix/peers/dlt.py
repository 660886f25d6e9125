"""dlt's REST client."""

from __future__ import annotations

from typing import Any

from benchmarks.matrix.peers.base import Caller, Peer, Setup
from benchmarks.matrix.server import CLIENT_ID


class Dlt(Peer):
    key = "dlt"
    title = "dlt"
    distributions = ("dlt",)
    packages = ("dlt",)
    does = frozenset({"mints", "reads", "calls"})
    used = "`OAuth2ClientCredentials` on `RESTClient`"

    def load(self) -> None:
        import dlt.sources.helpers.rest_client.auth
        import dlt.sources.helpers.rest_client.client  # noqa: F401

    def open(self, setup: Setup) -> Caller:
        from dlt.sources.helpers.requests import Client
        from dlt.sources.helpers.rest_client.auth import OAuth2ClientCredentials
        from dlt.sources.helpers.rest_client.client import RESTClient

        session = None
        if setup.timeout is not None:
            session = Client(request_timeout=setup.timeout, request_max_attempts=2).session
        auth = OAuth2ClientCredentials(
            access_token_url=setup.token_url,
            client_id=CLIENT_ID,
            client_secret=setup.client_secret,
            session=session,
        )
        client = RESTClient(setup.api_url, headers={"X-Api-Key": setup.key}, auth=auth)

        def send(method: str, path: str) -> Any:
            return client.request(path, method=method)

        return Caller(send, (client, auth, client.session))
