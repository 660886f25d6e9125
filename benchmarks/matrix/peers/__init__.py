"""The libraries of the matrix, one module each. None is imported before it is wanted."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.matrix.peers.base import Peer

_CLASSES = {
    "finauth": "finauth.Finauth",
    "authlib": "authlib.Authlib",
    "requests-oauthlib": "requests_oauthlib.RequestsOauthlib",
    "google-auth": "google_auth.GoogleAuth",
    "msal": "msal.Msal",
    "azure-core": "azure_core.AzureCore",
    "httpx-auth": "httpx_auth.HttpxAuth",
    "requests-oauth2client": "requests_oauth2client.RequestsOAuth2Client",
    "dlt": "dlt.Dlt",
    "singer": "singer.Singer",
    "airbyte": "airbyte.Airbyte",
    "http-hook": "http_hook.HttpHook",
}

KEYS = tuple(_CLASSES)


def make_peer(key: str) -> Peer:
    """Make the one that is called ``key``."""
    module, _, name = _CLASSES[key].partition(".")
    peer: Peer = getattr(import_module(f"{__name__}.{module}"), name)()
    return peer
