"""The hook of connections of type ``oauth2api``."""

from __future__ import annotations

from typing import Any

from airflow_provider_finauth.apis.oauth2api import OAuth2Api
from airflow_provider_finauth.hooks.base import FinauthHook


class OAuth2ApiHook(FinauthHook[OAuth2Api]):
    """Talks to any other API that uses OAuth 2.0, a key, or HTTP Basic.

    :param oauth2api_conn_id: a connection of type ``oauth2api``
    """

    conn_type = "oauth2api"

    def __init__(self, oauth2api_conn_id: str = "oauth2api_default", **kwargs: Any) -> None:
        super().__init__(oauth2api_conn_id, **kwargs)
