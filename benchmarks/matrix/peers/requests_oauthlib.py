"""requests-oauthlib."""

from __future__ import annotations

import os
from typing import Any

from benchmarks.matrix.peers.base import Caller, Peer, Setup
from benchmarks.matrix.peers.saved import load_token, save_token
from benchmarks.matrix.server import CLIENT_ID, SEED


class RequestsOauthlib(Peer):
    key = "requests-oauthlib"
    title = "requests-oauthlib"
    distributions = ("requests-oauthlib", "oauthlib")
    packages = ("requests_oauthlib", "oauthlib")
    does = frozenset({"mints", "reads", "refreshes", "calls"})
    used = (
        "`OAuth2Session`, with `BackendApplicationClient` and a new `fetch_token` on `TokenExpiredError`, "
        "or with `auto_refresh_url`; `token_updater` saves to a file where processes share"
    )

    def load(self) -> None:
        # Plain HTTP, which is for loopback only, has to be allowed.
        os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
        import requests_oauthlib  # noqa: F401

    def open(self, setup: Setup) -> Caller:
        from oauthlib.oauth2 import BackendApplicationClient, TokenExpiredError
        from requests_oauthlib import OAuth2Session

        identity = {"client_id": CLIENT_ID, "client_secret": setup.client_secret}
        token = load_token(setup)
        if setup.grant == "refresh_token":
            session = OAuth2Session(
                CLIENT_ID,
                token=token
                or {"access_token": "old", "refresh_token": SEED, "token_type": "Bearer", "expires_in": -30},
                auto_refresh_url=setup.token_url,
                auto_refresh_kwargs=identity,
                token_updater=lambda token: save_token(setup, token),
            )
        else:
            session = OAuth2Session(client=BackendApplicationClient(CLIENT_ID), token=token)
        session.headers["X-Api-Key"] = setup.key

        def fetch() -> None:
            token = session.fetch_token(
                setup.token_url,
                client_secret=setup.client_secret,
                include_client_id=True,
                timeout=setup.timeout,
            )
            save_token(setup, token)

        def send(method: str, path: str) -> Any:
            if not session.authorized:
                fetch()
            try:
                return session.request(method, setup.api_url + path)
            except TokenExpiredError:
                fetch()
                return session.request(method, setup.api_url + path)

        return Caller(send, (session, session._client, session.auth))
