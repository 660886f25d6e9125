"""azure-core: its pipeline, in the order that its documentation gives."""

from __future__ import annotations

import time
from typing import Any

import requests

from benchmarks.matrix.peers.base import Caller, Peer, Setup
from benchmarks.matrix.server import CLIENT_ID


class AzureCore(Peer):
    key = "azure-core"
    title = "azure-core"
    distributions = ("azure-core",)
    packages = ("azure.core",)
    does = frozenset({"mints", "early", "calls"})
    used = (
        "`BearerTokenCredentialPolicy` in a `PipelineClient`, with a credential of ten lines, since it "
        "brings none; "
        "`SensitiveHeaderCleanupPolicy` told of the key's header"
    )
    # 300 s less a jitter of up to 60 s.
    window = 240.0

    def load(self) -> None:
        import azure.core.pipeline.policies
        import azure.core.pipeline.transport
        import azure.core.rest  # noqa: F401

    def open(self, setup: Setup) -> Caller:
        from azure.core import PipelineClient
        from azure.core.credentials import AccessToken, AzureKeyCredential
        from azure.core.pipeline import policies
        from azure.core.rest import HttpRequest

        class Credential:
            def get_token(self, *scopes: str, **options: Any) -> AccessToken:
                began = time.time()
                form = {"grant_type": "client_credentials", "client_id": CLIENT_ID}
                form["client_secret"] = setup.client_secret
                answer = requests.post(setup.token_url, data=form, timeout=setup.timeout or 30)
                answer.raise_for_status()
                members = answer.json()
                return AccessToken(members["access_token"], int(began + members["expires_in"]))

        client = PipelineClient(
            setup.api_url,
            policies=[
                policies.RequestIdPolicy(),
                policies.HeadersPolicy(),
                policies.UserAgentPolicy(),
                policies.ProxyPolicy(),
                policies.ContentDecodePolicy(),
                policies.RedirectPolicy(),
                policies.RetryPolicy(),
                policies.BearerTokenCredentialPolicy(Credential(), "items"),
                policies.AzureKeyCredentialPolicy(AzureKeyCredential(setup.key), "X-Api-Key"),
                policies.CustomHookPolicy(),
                policies.NetworkTraceLoggingPolicy(),
                policies.SensitiveHeaderCleanupPolicy(
                    blocked_redirect_headers=["Authorization", "X-Api-Key"]
                ),
                policies.DistributedTracingPolicy(),
                policies.HttpLoggingPolicy(),
            ],
        )

        def send(method: str, path: str) -> Any:
            # Plain HTTP, which is for loopback only, has to be allowed.
            return client.send_request(HttpRequest(method, setup.api_url + path), enforce_https=False)

        return Caller(send, (client, client._pipeline, *client._pipeline._impl_policies))
