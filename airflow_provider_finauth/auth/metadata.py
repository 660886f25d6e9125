"""What an authorization server says about itself (RFC 8414)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import requests

from airflow_provider_finauth.exceptions import TokenEndpointError
from airflow_provider_finauth.transport.origins import origin_of
from airflow_provider_finauth.transport.reading import TransportFault, read_bounded
from airflow_provider_finauth.transport.session import OriginSession

if TYPE_CHECKING:
    from airflow_provider_finauth.auth.credentials import Credentials

_MAX_BYTES = 256 * 1024


@dataclass(frozen=True)
class ServerMetadata:
    """The members that a client needs.

    :param issuer: the server's name for itself
    :param authorization_endpoint: the page where a person gives consent
    :param token_endpoint: where tokens are asked for
    """

    issuer: str
    authorization_endpoint: str
    token_endpoint: str


def fetch_metadata(url: str, credentials: Credentials) -> ServerMetadata | None:
    """Read a server's metadata; None if it has none (404).

    :raises TokenEndpointError: it could not be asked, or names addresses of another server
    """
    origin = origin_of(url)
    where = f"Connection {credentials.conn_id!r}: the metadata of {origin}"
    status, body = None, b""
    with OriginSession(credentials.transport, {origin}, pool_size=1) as session:
        try:
            response = session.get(url, headers={"Accept": "application/json"}, stream=True)
            status, body = response.status_code, read_bounded(response, _MAX_BYTES)
        except (requests.RequestException, TransportFault):
            status = None
    if status is None:
        raise TokenEndpointError(f"{where} could not be read.")
    if status == 404:
        return None
    members = _members(body)
    values = [members.get(name) for name in ("issuer", "authorization_endpoint", "token_endpoint")]
    if status != 200 or not all(isinstance(value, str) and _is_of(value, origin) for value in values):
        # Else a tampered document could send a person's consent, or the client secret, elsewhere.
        raise TokenEndpointError(
            f"{where} does not name an issuer, an authorize page and a token endpoint of that same address.",
            status=status,
        )
    return ServerMetadata(*map(str, values))


def _members(body: bytes) -> dict[str, Any]:
    try:
        members = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return members if isinstance(members, dict) else {}


def _is_of(url: str, origin: object) -> bool:
    try:
        return origin_of(url) == origin
    except ValueError:
        return False
