"""The Airbyte CDK: its HTTP client with its authenticators."""

from __future__ import annotations

import logging
from typing import Any

from benchmarks.matrix.peers.base import Caller, Peer, Setup
from benchmarks.matrix.peers.saved import load_token, save_token
from benchmarks.matrix.server import CLIENT_ID, SEED


class Airbyte(Peer):
    key = "airbyte"
    title = "Airbyte CDK"
    distributions = ("airbyte-cdk",)
    packages = ("airbyte_cdk",)
    does = frozenset({"mints", "reads", "refreshes", "calls"})
    used = (
        "`Oauth2Authenticator`, or `SingleUseRefreshTokenOauth2Authenticator` whose changed configuration is "
        "saved to a file after each call, as the platform does; `HttpClient` with "
        "`REFRESH_TOKEN_THEN_RETRY` for 401 and `WaitTimeFromHeaderBackoffStrategy`"
    )

    def load(self) -> None:
        import airbyte_cdk.sources.streams.http.http_client
        import airbyte_cdk.sources.streams.http.requests_native_auth  # noqa: F401

    def open(self, setup: Setup) -> Caller:
        from airbyte_cdk.models import FailureType
        from airbyte_cdk.sources.declarative.requesters.error_handlers.backoff_strategies import (
            WaitTimeFromHeaderBackoffStrategy,
        )
        from airbyte_cdk.sources.streams.http.error_handlers import (
            ErrorResolution,
            HttpStatusErrorHandler,
            ResponseAction,
        )
        from airbyte_cdk.sources.streams.http.error_handlers.default_error_mapping import (
            DEFAULT_ERROR_MAPPING,
        )
        from airbyte_cdk.sources.streams.http.http_client import HttpClient
        from airbyte_cdk.sources.streams.http.requests_native_auth import (
            Oauth2Authenticator,
            SingleUseRefreshTokenOauth2Authenticator,
        )

        logger = logging.getLogger("airbyte")
        config: Any = None
        auth: Any
        if setup.grant == "refresh_token":
            config = load_token(setup) or {
                "credentials": {
                    "client_id": CLIENT_ID,
                    "client_secret": setup.client_secret,
                    "refresh_token": SEED,
                    "access_token": "",
                    "token_expiry_date": "2020-01-01T00:00:00Z",
                }
            }
            auth = SingleUseRefreshTokenOauth2Authenticator(config, setup.token_url)
        else:
            auth = Oauth2Authenticator(
                setup.token_url,
                CLIENT_ID,
                setup.client_secret,
                refresh_token="",
                grant_type="client_credentials",
            )
        refresh = ErrorResolution(
            ResponseAction.REFRESH_TOKEN_THEN_RETRY, FailureType.transient_error, "The token is not valid."
        )
        client = HttpClient(
            "matrix",
            logger,
            error_handler=HttpStatusErrorHandler(
                logger, error_mapping={**DEFAULT_ERROR_MAPPING, 401: refresh}
            ),
            authenticator=auth,
            backoff_strategy=WaitTimeFromHeaderBackoffStrategy("Retry-After", parameters={}, config={}),
        )

        def send(method: str, path: str) -> Any:
            try:
                return client.send_request(
                    method, setup.api_url + path, {}, headers={"X-Api-Key": setup.key}
                )[1]
            finally:
                if config is not None:
                    save_token(setup, config)

        return Caller(send, (client, auth, client._session))
