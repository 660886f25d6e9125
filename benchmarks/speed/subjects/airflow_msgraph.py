"""Airflow's hook for Microsoft Graph, which follows the links of any OData service."""

from __future__ import annotations

import asyncio
import json
import os
import time
from typing import Any, ClassVar

from benchmarks.speed.subjects.base import TOKEN, Order, Style, Subject


class Msgraph(Subject):
    key = "msgraph"
    title = "Airflow msgraph hook"
    distributions = ("apache-airflow-providers-microsoft-azure", "microsoft-kiota-http", "httpx")
    used = (
        "`KiotaRequestAdapterHook.paginated_run`, following next-links. Its credential is replaced by one "
        "that gives a fixed token, since Azure's asks an authority on https only. `MSGraphAsyncOperator`, "
        "which defers to the triggerer and goes through XCom for each page, is not run"
    )
    styles: ClassVar[frozenset[Style]] = frozenset({"links"})

    def load(self) -> None:
        from airflow.providers.microsoft.azure.hooks.msgraph import KiotaRequestAdapterHook  # noqa: F401

    def open(self, address: str) -> None:
        os.environ["AIRFLOW_CONN_BENCH_MSGRAPH"] = json.dumps(
            {
                "conn_type": "msgraph",
                "schema": "http",
                "host": address.removeprefix("http://"),
                "login": "client",
                "password": "secret",
                "extra": {"tenant_id": "tenant", "base_url": address, "allowed_hosts": "127.0.0.1"},
            }
        )

    def pull(self, order: Order) -> int:
        return asyncio.run(self._pull(order))

    async def _pull(self, order: Order) -> int:
        from airflow.providers.microsoft.azure.hooks.msgraph import KiotaRequestAdapterHook
        from azure.core.credentials import AccessToken

        class FixedCredential:
            closed = False

            async def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
                return AccessToken(TOKEN, int(time.time()) + 86400)

            async def close(self) -> None:
                self.closed = True

        class Hook(KiotaRequestAdapterHook):
            def get_credentials(self, **kwargs: Any) -> Any:
                return FixedCredential()

        hook = Hook(conn_id="bench_msgraph", timeout=60)
        try:
            pages = await hook.paginated_run(url=order.path)
        finally:
            # An event loop of the next pull cannot use this one's client.
            Hook.cached_request_adapters.clear()
        return sum(1 for page in pages for _ in page["value"])
