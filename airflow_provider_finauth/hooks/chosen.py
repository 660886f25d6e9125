"""The hook that fits a connection, whichever of our types it has."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow_provider_finauth.connections import CONNECTION_TYPES
from airflow_provider_finauth.exceptions import ConfigurationError
from airflow_provider_finauth.runtime import door
from airflow_provider_finauth.runtime.errors import airflow_errors

if TYPE_CHECKING:
    from airflow_provider_finauth.hooks.base import FinauthHook


def hook_of(conn_id: str) -> FinauthHook[Any]:
    """Give the hook of a connection, by its type.

    :raises ConfigurationError: it is of another type
    :raises FinauthError: Airflow does not find it, or cannot be asked
    """
    with airflow_errors():
        found = door.get_connection(conn_id)
        declared = CONNECTION_TYPES.get(found.conn_type)
        if declared is None:
            raise ConfigurationError(
                f"Connection '{conn_id}' is of type '{found.conn_type}', and not one of "
                f"{', '.join(CONNECTION_TYPES)}.",
                conn_id=conn_id,
                field="conn_type",
            )
    module, _, name = declared.hook_class.rpartition(".")
    hook: FinauthHook[Any] = getattr(import_module(module), name)(conn_id)
    return hook
