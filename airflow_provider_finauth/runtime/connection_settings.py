"""A connection of Airflow's, read and checked."""

from __future__ import annotations

from airflow_provider_finauth.exceptions import ConfigurationError
from airflow_provider_finauth.runtime import door
from airflow_provider_finauth.settings import Settings, parse


def read_settings(conn_id: str, conn_type: str, reader: str) -> Settings:
    """Read what a connection says, and let Airflow mask its secrets.

    :param conn_type: the type that it has to be of
    :param reader: who reads it, for the message
    :raises ConfigurationError: names the field that is to be corrected
    :raises FinauthError: Airflow does not find it, or cannot be asked
    """
    found = door.get_connection(conn_id)
    if found.conn_type and found.conn_type != conn_type:
        raise ConfigurationError(
            f"Connection '{conn_id}' is of type '{found.conn_type}', and {reader} expects one of type "
            f"'{conn_type}'.",
            conn_id=conn_id,
            field="conn_type",
        )
    settings = parse(
        conn_type,
        conn_id,
        host=found.host,
        login=found.login,
        password=found.password,
        port=found.port,
        extra=found.extra,
    )
    door.mask(*settings.secrets())
    return settings
