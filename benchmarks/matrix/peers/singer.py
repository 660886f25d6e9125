"""The Singer SDK: a tap with a stream for each path, and one authenticator."""

from __future__ import annotations

from typing import Any

from benchmarks.matrix.peers.base import Caller, Peer, Setup
from benchmarks.matrix.server import CLIENT_ID, SEED


class Singer(Peer):
    key = "singer"
    title = "Singer SDK"
    distributions = ("singer-sdk",)
    packages = ("singer_sdk",)
    # Its python-backoff and the Airbyte CDK's backoff are two versions of the same module.
    environment = "matrix-singer"
    does = frozenset({"mints", "reads", "refreshes", "calls"})
    used = (
        "`OAuthAuthenticator` with the documented request body, shared by the `RESTStream`s of a tap, with "
        "the documented `backoff_wait_generator` for `Retry-After`"
    )

    def load(self) -> None:
        import singer_sdk.authenticators
        import singer_sdk.streams  # noqa: F401

    def open(self, setup: Setup) -> Caller:
        from singer_sdk import Tap
        from singer_sdk.authenticators import OAuthAuthenticator
        from singer_sdk.streams import RESTStream

        class Authenticator(OAuthAuthenticator):
            @property
            def oauth_request_body(self) -> dict[str, Any]:
                body = {"client_id": self.client_id, "client_secret": self.client_secret}
                if setup.grant == "refresh_token":
                    return {
                        **body,
                        "grant_type": "refresh_token",
                        "refresh_token": self.refresh_token or SEED,
                    }
                return {**body, "grant_type": "client_credentials"}

        authenticator = Authenticator(
            auth_endpoint=setup.token_url, client_id=CLIENT_ID, client_secret=setup.client_secret
        )

        class Items(RESTStream[Any]):
            name = "items"
            path = "/items"
            url_base = setup.api_url
            schema = {"type": "object", "properties": {"id": {"type": "integer"}}}  # noqa: RUF012

            def backoff_wait_generator(self) -> Any:
                def told(error: Any) -> int:
                    return int(error.response.headers.get("Retry-After", 0))

                return self.backoff_runtime(value=told)

            @property
            def http_headers(self) -> dict[str, str]:
                return {"X-Api-Key": setup.key}

            @property
            def authenticator(self) -> Any:
                return authenticator

        class MatrixTap(Tap):
            name = "tap-matrix"
            config_jsonschema = {"type": "object", "properties": {}}  # noqa: RUF012

            def discover_streams(self) -> list[Any]:
                return [Items(self)]

        tap = MatrixTap(config={}, parse_env_config=False)
        streams = {}
        for method, path in [
            ("GET", "/items"),
            ("POST", "/items"),
            ("GET", "/redirect"),
            ("GET", "/silence"),
        ]:
            stream = Items(tap, path=path)
            stream.http_method = method
            streams[method, path] = stream

        def send(method: str, path: str) -> Any:
            return list(streams[method, path].request_records(None))

        return Caller(send, (tap, authenticator, streams["GET", "/items"]))
