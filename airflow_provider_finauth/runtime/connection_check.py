"""The connection test: one token and one cheap read, with nothing kept."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from airflow_provider_finauth.auth.credentials import FixedCredentials
from airflow_provider_finauth.exceptions import StoreUnavailableError
from airflow_provider_finauth.runtime.brokers import broker, memory_broker

if TYPE_CHECKING:
    from airflow_provider_finauth.apis.base import Api
    from airflow_provider_finauth.auth.broker import Broker
    from airflow_provider_finauth.client.client import ApiClient
    from airflow_provider_finauth.client.profile import Profile


def try_connection(api: Api, make_client: Callable[[Profile, Broker], ApiClient]) -> str:
    """Try a connection.

    What a person has authorised is not spent on a test: its refresh token may be good for one use only.

    :param make_client: makes a client that takes its tokens from a broker
    :return: what was found, as a sentence
    :raises FinauthError: it cannot be used
    """
    credentials = api.profile.credentials
    if isinstance(credentials, FixedCredentials) or credentials.starts_over_alone:
        client = make_client(api.profile, memory_broker())
        try:
            api.probe(client)
        finally:
            client.close()
        if not isinstance(credentials, FixedCredentials):
            # What tasks have met before need not be waited out any more.
            with suppress(StoreUnavailableError):
                broker().lift(credentials)
        return "The API has accepted the credentials."
    if broker().is_authorised(credentials):
        return "The fields are complete and the connection is authorised. A test spends no refresh token."
    return (
        "The fields are complete, but nobody has authorised the connection under this name yet: "
        f"run `finauth authorize {credentials.conn_id}`."
    )
