"""The sandbox's own credentials, and the Airflow connections that carry them.

None of them is secret. They hold the characters that break careless encodings: ``&``, ``+``, ``%``, ``ø``.
"""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow_provider_finauth.sandbox.certificates import Certificates

TALENOM_CLIENT = "sandbox-talenom-client"
TALENOM_SECRET = "tal+enom/se&cr=et%20one"
TALENOM_SUBSCRIPTION_KEY = "4f1d7b0c2a9e4c58b6d3e07f5a81c926"
TALENOM_SCOPE = "b2b.organization.read b2b.ledger.read b2b.sales.read"

OP_CLIENT = "b7f2c1de-8a40-4f6e-9c15-3d2a6e0b9f71"
OP_SECRET = "op~corporate+sec/ret=7Q"
OP_PASSPHRASE = "ne pas plier"

LANDAX_CLIENT = "applikasjon-7731"
LANDAX_SECRET = "klient+nøkkel/91"
LANDAX_USER = "api.integrasjon"
LANDAX_PASSWORD = "blåbær&syltetøy%3D1"
LANDAX_BASIC_USER = "api.powerbi"
LANDAX_BASIC_PASSWORD = "rømme:grøt+2"

TRADEVEST_CLIENT = "3q8v5m2n7c1x9z4k6j0h"
TRADEVEST_SECRET = "trade+vest/secret&value=1"
TRADEVEST_SCOPE = "tradevest.api"
TRADEVEST_REQUESTOR = "0c9e6f0a-51b7-4d0e-a3c2-7f8e2b1d4a60"

# A personal key is a JWT to look at; nobody reads it.
LUCA_API_KEY = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJzYW5kYm94LXVzZXIifQ.c2FuZGJveC1zaWduYXR1cmUtb2YtYS1rZXk"
LUCA_CLIENT = "sandbox-luca-app"
LUCA_SECRET = "luca+legacy/secret&9"
LUCA21_CLIENT = "sandbox-luca-app-21"
LUCA21_SECRET = "luca+two.one/secret%41"
REDIRECT_URI = "http://127.0.0.1:8790/callback"

GENERIC_CLIENT = "generic client:one"
GENERIC_SECRET = "generic+secret:with/odd&chars%7E"
GENERIC_USER = "generic.user"
GENERIC_PASSWORD = "generic+user&password"
GENERIC_KEY = "generic-api-key-5f2e"


def connections(url: str, tls_url: str, certificates: Certificates) -> dict[str, dict[str, Any]]:
    """The connections of all six types, by connection id.

    :param url: the plain address
    :param tls_url: OP Corporate's address
    """
    opcorporate = {
        "tls_certificate": certificates.client_certificate,
        "private_key": certificates.client_key,
        "tls_ca_file": str(certificates.ca_file),
        "oauth_endpoint": f"{tls_url}/corporate-oidc/v1/token",
    }
    encrypted = {
        **opcorporate,
        "private_key": certificates.encrypted_client_key,
        "private_key_passphrase": OP_PASSPHRASE,
    }
    landax = {"client_id": LANDAX_CLIENT, "client_secret": LANDAX_SECRET, "api_version": "32"}
    tradevest = f"{url}/tradevest"
    luca = f"{url}/luca"
    generic = f"{url}/generic"
    return {
        "talenom_default": _connection(
            "talenom",
            f"{url}/talenom",
            TALENOM_CLIENT,
            TALENOM_SECRET,
            subscription_api_key=TALENOM_SUBSCRIPTION_KEY,
            scope=TALENOM_SCOPE,
            region="fi",
            oauth_endpoint=f"{url}/talenom/api/b2b/oauth2/v1.0/token",
        ),
        "opcorporate_default": _connection("opcorporate", tls_url, OP_CLIENT, OP_SECRET, **opcorporate),
        "opcorporate_encrypted": _connection("opcorporate", tls_url, OP_CLIENT, OP_SECRET, **encrypted),
        "landax_default": _connection(
            "landax", f"{url}/landax", LANDAX_USER, LANDAX_PASSWORD, **landax, auth_method="oauth2"
        ),
        "landax_basic": _connection(
            "landax",
            f"{url}/landax",
            LANDAX_BASIC_USER,
            LANDAX_BASIC_PASSWORD,
            api_version="32",
            auth_method="basic",
        ),
        "tradevest_default": _connection(
            "tradevest",
            tradevest,
            TRADEVEST_CLIENT,
            TRADEVEST_SECRET,
            requestor_id=TRADEVEST_REQUESTOR,
            oauth_endpoint=f"{tradevest}/oauth2/token",
        ),
        "tradevest_connect": _connection(
            "tradevest",
            tradevest,
            TRADEVEST_CLIENT,
            TRADEVEST_SECRET,
            requestor_id=TRADEVEST_REQUESTOR,
            scope=TRADEVEST_SCOPE,
            oauth_endpoint=f"{tradevest}/connect/token",
        ),
        "luca_default": _connection("luca", luca, None, LUCA_API_KEY, auth_method="api_key"),
        "luca_oauth": _connection(
            "luca",
            luca,
            LUCA_CLIENT,
            LUCA_SECRET,
            auth_method="oauth2",
            redirect_uri=REDIRECT_URI,
            oauth_endpoint=f"{luca}/api/v2/oauth2/token",
            authorize_endpoint=f"{luca}/api/v1/oauth2/authorize",
        ),
        "luca_oauth21": _connection(
            "luca",
            luca,
            LUCA21_CLIENT,
            LUCA21_SECRET,
            auth_method="oauth21",
            redirect_uri=REDIRECT_URI,
            oauth_endpoint=f"{luca}/oauth/token",
            authorize_endpoint=f"{luca}/oauth/authorize",
        ),
        "oauth2api_default": _connection(
            "oauth2api",
            generic,
            GENERIC_CLIENT,
            GENERIC_SECRET,
            grant="client_credentials",
            oauth_endpoint=f"{generic}/oauth2/token",
            authorize_endpoint=f"{generic}/oauth2/authorize",
        ),
    }


def _connection(conn_type: str, host: str, login: str | None, password: str, **extra: str) -> dict[str, Any]:
    connection: dict[str, Any] = {"conn_type": conn_type, "host": host, "password": password, "extra": extra}
    if login is not None:
        connection["login"] = login
    return connection


def environment_lines(found: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Lines for ``source``, one a connection."""
    for conn_id, connection in found.items():
        value = shlex.quote(json.dumps(connection))
        yield f"export AIRFLOW_CONN_{conn_id.upper()}={value}\n"


def write_environment(path: Path, found: dict[str, dict[str, Any]]) -> None:
    """Write the env file, readable by its owner alone."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text("".join(environment_lines(found)), encoding="utf-8")
