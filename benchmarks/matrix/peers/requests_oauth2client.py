"""requests-oauth2client."""

from __future__ import annotations

from typing import Any

from benchmarks.matrix.peers.base import Caller, Peer, Setup
from benchmarks.matrix.server import CLIENT_ID, SEED


class RequestsOAuth2Client(Peer):
    key = "requests-oauth2client"
    title = "requests-oauth2client"
    distributions = ("requests-oauth2client",)
    packages = ("requests_oauth2client",)
    does = frozenset({"mints", "reads", "early", "refreshes", "calls"})
    used = (
        "`OAuth2ClientCredentialsAuth`, or `OAuth2AccessTokenAuth` with a refresh token, on its `ApiClient`"
    )
    window = 20.0

    def load(self) -> None:
        import requests_oauth2client  # noqa: F401

    def open(self, setup: Setup) -> Caller:
        from requests_oauth2client import (
            ApiClient,
            BearerToken,
            OAuth2AccessTokenAuth,
            OAuth2Client,
            OAuth2ClientCredentialsAuth,
        )

        timeout = {} if setup.timeout is None else {"timeout": setup.timeout}
        # ``testing`` allows plain HTTP.
        client = OAuth2Client(setup.token_url, (CLIENT_ID, setup.client_secret), testing=True, **timeout)
        auth: Any
        if setup.grant == "refresh_token":
            auth = OAuth2AccessTokenAuth(
                client, BearerToken(access_token="old", expires_in=-30, refresh_token=SEED)
            )
        else:
            auth = OAuth2ClientCredentialsAuth(client)
        api = ApiClient(setup.api_url, auth=auth, raise_for_status=False)
        api.session.headers["X-Api-Key"] = setup.key

        def send(method: str, path: str) -> Any:
            return api.request(method, path.removeprefix("/"))

        return Caller(send, (api, auth, client, api.session))
