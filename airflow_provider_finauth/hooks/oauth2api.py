"""The hook of connections of type ``oauth2api``."""

from __future__ import annotations

from typing import Any

from airflow_provider_finauth.apis.oauth2api import OAuth2Api
from airflow_provider_finauth.hooks.base import FinauthHook


class OAuth2ApiHook(FinauthHook[OAuth2Api]):
    """Talks to any other API that wants OAuth 2.0, a key, or HTTP Basic.

    :param oauth2api_conn_id: a connection of type ``oauth2api``
    """

    conn_name_attr = "oauth2api_conn_id"
    default_conn_name = "oauth2api_default"
    conn_type = "oauth2api"
    hook_name = "OAuth 2.0 API"
    api_class = OAuth2Api

    def __init__(self, oauth2api_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(oauth2api_conn_id, **kwargs)
