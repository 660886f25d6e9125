"""Airflow's HttpOperator and HttpHook."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

from benchmarks.speed.subjects.bare import next_params
from benchmarks.speed.subjects.base import TOKEN, Order, Subject


class HttpOperator(Subject):
    key = "http-operator"
    title = "Airflow HttpOperator"
    distributions = ("apache-airflow-providers-http", "apache-airflow")
    used = (
        "`HttpOperator.execute` with a `pagination_function` that parses the page; it gives the pages' texts "
        "back, their records not looked at"
    )

    def load(self) -> None:
        from airflow.providers.http.operators.http import HttpOperator  # noqa: F401

    def open(self, address: str) -> None:
        os.environ["AIRFLOW_CONN_BENCH_HTTP"] = json.dumps(
            {"conn_type": "http", "host": address, "extra": {"Authorization": f"Bearer {TOKEN}"}}
        )

    def pull(self, order: Order) -> int:
        from airflow.providers.http.operators.http import HttpOperator

        count = 0

        def following(response: Any) -> dict[str, Any] | None:
            nonlocal count
            page = response.json()
            count += len(page["value"])
            params = next_params(order, page)
            return {"data": params} if params else None

        operator = HttpOperator(
            task_id="pull",
            http_conn_id="bench_http",
            method="GET",
            endpoint=order.path,
            pagination_function=following,
        )
        texts = operator.execute({})
        assert len(texts) == order.pages
        return count

    def caller(self, address: str) -> Callable[[], Any]:
        from airflow.providers.http.hooks.http import HttpHook

        hook = HttpHook("GET", http_conn_id="bench_http")
        return lambda: hook.run("small")
