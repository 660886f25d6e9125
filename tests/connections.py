"""Connections for tests, as a person would fill them in. The credentials are made up."""

from __future__ import annotations

import copy
import json
from functools import cache
from typing import TYPE_CHECKING, Any

import trustme

if TYPE_CHECKING:
    import pytest


@cache
def op_certificate() -> tuple[str, str]:
    """A certificate and its key, as PEM."""
    issued = trustme.CA().issue_cert("client@example.com")
    return issued.cert_chain_pems[0].bytes().decode(), issued.private_key_pem.bytes().decode()


CONNECTIONS: dict[str, dict[str, Any]] = {
    "talenom": {
        "login": "talenom-client",
        "password": "talenom-client-secret",
        "extra": {"subscription_api_key": "talenom-subscription-key", "scope": "organization-api"},
    },
    "opcorporate": {
        "login": "op-client-id",
        "password": "op-client-secret",
        "extra": {"environment": "sandbox"},
    },
    "landax": {
        "host": "https://company.landax.no",
        "login": "api.user",
        "password": "landax-password",
        "extra": {"client_id": "application-key", "client_secret": "landax-client-key", "api_version": "32"},
    },
    "tradevest": {
        "login": "tradevest-client",
        "password": "tradevest-client-secret",
        "extra": {"environment": "test", "requestor_id": "person-1"},
    },
    "luca": {"password": "luca-personal-key"},
    "oauth2api": {
        "host": "https://api.example.com/v1",
        "login": "app",
        "password": "app-client-secret",
        "extra": {"oauth_endpoint": "https://auth.example.com/token"},
    },
}


def connection(conn_type: str, **changes: Any) -> dict[str, Any]:
    """Give a complete connection; ``extra`` is merged into its own."""
    made = copy.deepcopy(CONNECTIONS[conn_type])
    if conn_type == "opcorporate":
        certificate, key = op_certificate()
        made["extra"] |= {"tls_certificate": certificate, "private_key": key}
    made["conn_type"] = conn_type
    made["extra"] = {**made.get("extra", {}), **changes.pop("extra", {})}
    return {**made, **changes}


def use(monkeypatch: pytest.MonkeyPatch, conn_type: str, conn_id: str | None = None, **changes: Any) -> str:
    """Put a connection into the environment, and give its id."""
    conn_id = conn_id or f"{conn_type}_default"
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection(conn_type, **changes)))
    return conn_id
