"""Airflow's HttpHook."""

from __future__ import annotations

import json
import os
from typing import Any
from urllib.parse import urlsplit

from benchmarks.matrix.peers.base import Caller, Peer, Setup


class HttpHook(Peer):
    key = "http-hook"
    title = "HttpHook"
    distributions = ("apache-airflow-providers-http", "apache-airflow")
    packages = ("airflow",)
    does = frozenset({"calls"})
    used = "`HttpHook` with a token and a key in the headers of its connection's extra field"

    def load(self) -> None:
        from airflow.providers.http.hooks.http import HttpHook  # noqa: F401

    def open(self, setup: Setup) -> Caller:
        from airflow.providers.http.hooks.http import HttpHook

        parts = urlsplit(setup.api_url)
        headers = {"Authorization": f"Bearer {setup.static_token}", "X-Api-Key": setup.key}
        os.environ["AIRFLOW_CONN_MATRIX"] = json.dumps(
            {"conn_type": "http", "host": f"http://{parts.hostname}", "port": parts.port, "extra": headers}
        )
        hooks = {method: HttpHook(method, http_conn_id="matrix") for method in ("GET", "POST")}

        def send(method: str, path: str) -> Any:
            return hooks[method].run(path)

        connection = hooks["GET"].get_connection("matrix")
        return Caller(send, (hooks["GET"], hooks["GET"].get_conn(), connection))
