"""Ours, through its hook."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Callable
from typing import Any, ClassVar

from benchmarks.speed.subjects.base import Order, Style, Subject

_CONN_ID = "bench_finauth"


class Finauth(Subject):
    """Records, decoded one by one."""

    key = "finauth"
    title = "**finauth**, records in memory"
    distributions = ("airflow-provider-finauth", "apache-airflow", "msgspec", "requests")
    used = "`OAuth2ApiHook.records`, with key and total: iterated, decoded, all guards"
    styles: ClassVar[frozenset[Style]] = frozenset({"index", "cursor", "links"})

    def load(self) -> None:
        from airflow_provider_finauth.hooks.oauth2api import OAuth2ApiHook
        from airflow_provider_finauth.runtime import landing  # noqa: F401

        # Where there is no task's supervisor, as here, Airflow's models are asked for the connection, all of
        # which are loaded when the first is made. A task loads none.
        importlib.import_module("airflow.models").import_all_models()

        self._hook_class = OAuth2ApiHook

    def open(self, address: str) -> None:
        os.environ["AIRFLOW__FINAUTH__TOKEN_STORE"] = "memory"
        os.environ[f"AIRFLOW_CONN_{_CONN_ID.upper()}"] = json.dumps(
            {
                "conn_type": "oauth2api",
                "host": address,
                "login": "client",
                "password": "a secret of the benchmark",
                "extra": {
                    "grant": "client_credentials",
                    "oauth_endpoint": f"{address}/token",
                    "max_concurrency": 8,
                },
            }
        )

    def pull(self, order: Order) -> int:
        records = self._hook_class(_CONN_ID).records(order.path, **described(order, guarded=True))
        return sum(1 for _ in records)


def described(order: Order, *, guarded: bool) -> dict[str, Any]:
    """Describe a pull.

    :param guarded: look for repeated records and hold the pull to the total
    """
    options: dict[str, Any]
    if order.style == "index":
        options = {"index_param": "page", "size_param": "size", "size": order.records, "first": 1}
        paging = "page_index"
        if not guarded:
            options["page_count"] = "pages"
    elif order.style == "cursor":
        paging, options = "cursor", {"cursor_path": "next", "param": "cursor"}
    else:
        paging, options = "next_link", {}
    guards = {"key": "id", "total": "total"} if guarded else {}
    return {"paging": paging, "paging_options": options, "records_path": "value", **guards}


class FinauthSession(Finauth):
    """Calls with the session by itself."""

    key = "finauth-session"
    title = "**finauth**, session"
    used = "`OAuth2ApiHook.get_conn().get`"

    def caller(self, address: str) -> Callable[[], Any]:
        session = self._hook_class(_CONN_ID).get_conn()
        return lambda: session.get(f"{address}/small")


class FinauthHook(Finauth):
    """Calls with the hook, which checks and retries."""

    key = "finauth-hook"
    title = "**finauth**, hook"
    used = "`OAuth2ApiHook.request`"

    def caller(self, address: str) -> Callable[[], Any]:
        hook = self._hook_class(_CONN_ID)
        return lambda: hook.request("GET", "/small")


class _ToFile(Finauth):
    suffix: ClassVar[str]
    guarded: ClassVar[bool] = True

    def pull(self, order: Order) -> int:
        records = self._hook_class(_CONN_ID).records(order.path, **described(order, guarded=self.guarded))
        manifest = records.write_to(f"file://{order.file}{self.suffix}")
        return int(manifest["records"])


class FinauthLines(_ToFile):
    """To JSON Lines, without looking into records."""

    key = "finauth-lines"
    title = "**finauth**, JSON Lines, not looking into records"
    used = '`OAuth2ApiHook.records(…).write_to("….jsonl")`, without key and total; fsync included'
    suffix = ".jsonl"
    guarded = False


class FinauthGuarded(_ToFile):
    """To JSON Lines, with key and total."""

    key = "finauth-guarded"
    title = "**finauth**, JSON Lines, all guards"
    used = "the same with key and total"
    suffix = ".jsonl"


class FinauthParquet(_ToFile):
    """To Parquet."""

    key = "finauth-parquet"
    title = "**finauth**, Parquet"
    used = "the same to `….parquet`; pyarrow is counted as imported"
    suffix = ".parquet"

    def load(self) -> None:
        super().load()
        import pyarrow.parquet

        # Its first array loads pandas where there is one.
        pyarrow.array([1])
