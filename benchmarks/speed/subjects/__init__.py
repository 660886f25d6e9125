"""The subjects, each in a module that imports its library only when it is told to."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.speed.subjects.base import Subject

_PLACES = {
    "finauth": "finauth:Finauth",
    "finauth-session": "finauth:FinauthSession",
    "finauth-hook": "finauth:FinauthHook",
    "finauth-lines": "finauth:FinauthLines",
    "finauth-guarded": "finauth:FinauthGuarded",
    "finauth-parquet": "finauth:FinauthParquet",
    "http-operator": "airflow_http:HttpOperator",
    "msgraph": "airflow_msgraph:Msgraph",
    "dlt": "dlt:Dlt",
    "singer": "singer:Singer",
    "airbyte": "airbyte:Airbyte",
    "requests-json": "bare:RequestsJson",
    "requests-msgspec": "bare:RequestsMsgspec",
    "aiohttp": "bare:Aiohttp",
    "drain": "bare:Drain",
}
KEYS = tuple(_PLACES)


def make_subject(key: str) -> Subject:
    """Make a subject; its library is not imported yet."""
    module, _, name = _PLACES[key].partition(":")
    subject: Subject = getattr(import_module(f"benchmarks.speed.subjects.{module}"), name)()
    return subject
