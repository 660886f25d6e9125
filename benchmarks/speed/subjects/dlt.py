"""dlt's REST client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from benchmarks.speed.subjects.base import TOKEN, Order, Style, Subject


class Dlt(Subject):
    key = "dlt"
    title = "dlt"
    distributions = ("dlt",)
    used = "`RESTClient.paginate` with `PageNumberPaginator` or `JSONResponseCursorPaginator`"
    styles: ClassVar[frozenset[Style]] = frozenset({"index", "cursor"})

    def load(self) -> None:
        import dlt.sources.helpers.rest_client.auth
        import dlt.sources.helpers.rest_client.client
        import dlt.sources.helpers.rest_client.paginators  # noqa: F401

    def _client(self, address: str) -> Any:
        from dlt.sources.helpers.rest_client.auth import BearerTokenAuth
        from dlt.sources.helpers.rest_client.client import RESTClient

        return RESTClient(address, auth=BearerTokenAuth(TOKEN))

    def pull(self, order: Order) -> int:
        from dlt.sources.helpers.rest_client.paginators import (
            JSONResponseCursorPaginator,
            PageNumberPaginator,
        )

        paginator: Any = (
            JSONResponseCursorPaginator(cursor_path="next", cursor_param="cursor")
            if order.style == "cursor"
            else PageNumberPaginator(base_page=1, page_param="page", total_path="pages")
        )
        pages = self._client(order.address).paginate(order.path, paginator=paginator, data_selector="value")
        return sum(1 for page in pages for _ in page)

    def caller(self, address: str) -> Callable[[], Any]:
        client = self._client(address)
        return lambda: client.get("small")
