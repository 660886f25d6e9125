"""httpx-auth."""

from __future__ import annotations

from typing import Any

from benchmarks.matrix.peers.base import Caller, Peer, Setup
from benchmarks.matrix.server import CLIENT_ID, PASSWORD, USER


class HttpxAuth(Peer):
    key = "httpx-auth"
    title = "httpx-auth"
    distributions = ("httpx-auth", "httpx")
    packages = ("httpx_auth",)
    does = frozenset({"mints", "reads", "early", "refreshes", "calls", "cache"})
    used = (
        "`OAuth2ClientCredentials`, or `OAuth2ResourceOwnerPasswordCredentials` where a refresh token is "
        "wanted, on an `httpx.Client`; `JsonTokenFileCache` where processes share"
    )
    window = 30.0
    logs_in = True

    def load(self) -> None:
        import httpx_auth  # noqa: F401

    def open(self, setup: Setup) -> Caller:
        import httpx
        from httpx_auth import (
            HeaderApiKey,
            JsonTokenFileCache,
            OAuth2,
            OAuth2ClientCredentials,
            OAuth2ResourceOwnerPasswordCredentials,
        )

        if setup.shared:
            folder = setup.folder / "httpx"
            folder.mkdir(exist_ok=True)
            OAuth2.token_cache = JsonTokenFileCache(str(folder / "tokens.json"))
        timeout = {} if setup.timeout is None else {"timeout": setup.timeout}
        auth: Any
        if setup.grant == "refresh_token":
            identity = (CLIENT_ID, setup.client_secret)
            auth = OAuth2ResourceOwnerPasswordCredentials(
                setup.token_url, USER, PASSWORD, client_auth=identity, **timeout
            )
        else:
            auth = OAuth2ClientCredentials(setup.token_url, CLIENT_ID, setup.client_secret, **timeout)
        client = httpx.Client(
            base_url=setup.api_url, auth=auth + HeaderApiKey(setup.key, "X-Api-Key"), follow_redirects=True
        )

        return Caller(client.request, (client, auth, client.auth, OAuth2.token_cache))
