"""The Airbyte CDK: a stream over HTTP."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from benchmarks.speed.subjects.bare import next_params
from benchmarks.speed.subjects.base import TOKEN, Order, Subject


class Airbyte(Subject):
    key = "airbyte"
    title = "Airbyte CDK"
    distributions = ("airbyte-cdk",)
    used = "`HttpStream.read_records` with `TokenAuthenticator`"

    def load(self) -> None:
        import airbyte_cdk.sources.streams.http.http
        import airbyte_cdk.sources.streams.http.http_client
        import airbyte_cdk.sources.streams.http.requests_native_auth  # noqa: F401

    def pull(self, order: Order) -> int:
        from airbyte_cdk.models import SyncMode
        from airbyte_cdk.sources.streams.http.http import HttpStream
        from airbyte_cdk.sources.streams.http.requests_native_auth import TokenAuthenticator

        class Records(HttpStream):
            url_base = f"{order.address}/"
            primary_key = "id"
            # Without one, the platform calls for each page by itself.
            cursor_field = "date"

            def path(self, **kwargs: Any) -> str:
                return order.path

            def next_page_token(self, response: Any) -> Mapping[str, Any] | None:
                return next_params(order, response.json())

            def request_params(self, next_page_token: Any = None, **kwargs: Any) -> Mapping[str, Any]:
                return next_page_token or {}

            def parse_response(self, response: Any, **kwargs: Any) -> Iterable[Any]:
                return response.json()["value"]  # type: ignore[no-any-return]

        stream = Records(authenticator=TokenAuthenticator(TOKEN))
        return sum(1 for _ in stream.read_records(SyncMode.full_refresh))

    def caller(self, address: str) -> Callable[[], Any]:
        from airbyte_cdk.sources.streams.http.http_client import HttpClient
        from airbyte_cdk.sources.streams.http.requests_native_auth import TokenAuthenticator

        client = HttpClient("bench", logging.getLogger("airbyte"), authenticator=TokenAuthenticator(TOKEN))
        return lambda: client.send_request("GET", f"{address}/small", {})
