"""The Singer SDK: a stream of a tap."""

from __future__ import annotations

from typing import Any

from benchmarks.speed.subjects.base import TOKEN, Order, Subject


class Singer(Subject):
    key = "singer"
    title = "Singer SDK"
    distributions = ("singer-sdk",)
    # Its python-backoff and the Airbyte CDK's backoff are two versions of the same module.
    environment = "matrix-singer"
    used = "`RESTStream.get_records` with `PageNumberPaginator` or `JSONPathPaginator`; no message is written"

    def load(self) -> None:
        import singer_sdk.pagination
        import singer_sdk.streams  # noqa: F401

    def pull(self, order: Order) -> int:
        from singer_sdk import Tap
        from singer_sdk.pagination import JSONPathPaginator, PageNumberPaginator
        from singer_sdk.streams import RESTStream

        class Pages(PageNumberPaginator):
            def has_more(self, response: Any) -> bool:
                page = response.json()
                return bool(page["page"] < page["pages"])

        class Records(RESTStream[Any]):
            name = "records"
            path = f"/{order.path}"
            url_base = order.address
            schema = {"type": "object", "properties": {"id": {"type": "integer"}}}  # noqa: RUF012
            records_jsonpath = "$.value[*]"

            @property
            def http_headers(self) -> dict[str, str]:
                return {"Authorization": f"Bearer {TOKEN}"}

            def get_new_paginator(self) -> Any:
                return JSONPathPaginator("$.next") if order.style == "cursor" else Pages(start_value=1)

            def get_url_params(self, context: Any, next_page_token: Any) -> dict[str, Any]:
                name = "cursor" if order.style == "cursor" else "page"
                return {name: next_page_token} if next_page_token else {}

        class BenchTap(Tap):
            name = "tap-bench"
            config_jsonschema = {"type": "object", "properties": {}}  # noqa: RUF012

            def discover_streams(self) -> list[Any]:
                return [Records(self)]

        stream = Records(BenchTap(config={}, parse_env_config=False))
        return sum(1 for _ in stream.get_records(None))
