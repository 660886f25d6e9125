"""Authlib: its session for requests."""

from __future__ import annotations

from typing import Any

from benchmarks.matrix.peers.base import Caller, Peer, Setup
from benchmarks.matrix.peers.saved import load_token, save_token
from benchmarks.matrix.server import CLIENT_ID, SEED


class Authlib(Peer):
    key = "authlib"
    title = "authlib"
    distributions = ("authlib",)
    packages = ("authlib",)
    does = frozenset({"mints", "reads", "early", "refreshes", "calls"})
    used = (
        "`OAuth2Session` for requests; `update_token` saves to a file where processes share. Its "
        "asynchronous client, which is not measured here, does have a lock"
    )
    window = 60.0

    def load(self) -> None:
        import authlib.integrations.requests_client  # noqa: F401

    def open(self, setup: Setup) -> Caller:
        from authlib.integrations.requests_client import OAuth2Session

        token = load_token(setup)
        if token is None and setup.grant == "refresh_token":
            token = {"access_token": "old", "refresh_token": SEED, "token_type": "Bearer", "expires_at": 1}

        def update(token: Any, refresh_token: Any = None, access_token: Any = None) -> None:
            save_token(setup, token)

        session = OAuth2Session(
            CLIENT_ID,
            setup.client_secret,
            token_endpoint=setup.token_url,
            token_endpoint_auth_method="client_secret_post",
            grant_type="client_credentials" if setup.grant == "client_credentials" else None,
            token=token,
            update_token=update,
            default_timeout=setup.timeout,
        )
        session.headers["X-Api-Key"] = setup.key

        def send(method: str, path: str) -> Any:
            if not session.token:
                save_token(setup, session.fetch_token())
            return session.request(method, setup.api_url + path)

        return Caller(send, (session, session.token_auth))
