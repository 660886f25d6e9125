"""A task that hands the authenticated session to plain ``requests`` code, which need not know of Airflow."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import dag, task

if TYPE_CHECKING:
    import requests


def read_items(session: requests.Session, url: str) -> Iterator[dict[str, Any]]:
    """Read a list that links each page to the next: code as it could come from any library."""
    following: str | None = url
    while following:
        response = session.get(following)
        response.raise_for_status()
        page = response.json()
        yield from page["value"]
        following = page.get("next")


@dag(schedule="@daily", start_date=datetime(2026, 1, 1), catchup=False, tags=["finauth", "oauth2api"])
def plain_requests():
    @task
    def items() -> dict[str, Any]:
        from airflow_provider_finauth.hooks.oauth2api import OAuth2ApiHook

        hook = OAuth2ApiHook("oauth2api_default")
        host = hook.get_connection("oauth2api_default").host
        moments = [item["updatedAt"] for item in read_items(hook.get_conn(), f"{host}/links?limit=500")]
        return {"records": len(moments), "newest": max(moments, default=None)}

    items()


plain_requests()
