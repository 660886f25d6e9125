"""google-auth: user credentials and its session for requests."""

from __future__ import annotations

from typing import Any

from benchmarks.matrix.peers.base import Caller, Peer, Setup
from benchmarks.matrix.server import CLIENT_ID, SEED


class GoogleAuth(Peer):
    key = "google-auth"
    title = "google-auth"
    distributions = ("google-auth",)
    packages = ("google.auth", "google.oauth2")
    does = frozenset({"mints", "reads", "early", "refreshes", "calls"})
    used = (
        "`google.oauth2.credentials.Credentials` (it has no client credentials, so a refresh token always); "
        "`AuthorizedSession`"
    )
    grant = "refresh_token"
    window = 225.0

    def load(self) -> None:
        import google.auth.transport.requests
        import google.oauth2.credentials  # noqa: F401

    def open(self, setup: Setup) -> Caller:
        from google.auth.transport.requests import AuthorizedSession
        from google.oauth2.credentials import Credentials

        credentials = Credentials(
            token=None,
            refresh_token=SEED,
            token_uri=setup.token_url,
            client_id=CLIENT_ID,
            client_secret=setup.client_secret,
        )
        session = AuthorizedSession(credentials)
        # It bounds the token request too.
        timeout = {} if setup.timeout is None else {"timeout": setup.timeout}
        session.headers["X-Api-Key"] = setup.key

        def send(method: str, path: str) -> Any:
            return session.request(method, setup.api_url + path, **timeout)

        return Caller(send, (session, credentials))
