"""The only door to Airflow: connections, Variables, configuration, masking, metrics and object storage.

Light on purpose: operators import from here while Airflow parses DAG files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_finauth.runtime.landing import read_records as read_records

__all__ = ["read_records"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from airflow_provider_finauth.runtime import landing

        return getattr(landing, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
