"""What a client is handed to authenticate its requests with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from airflow_provider_finauth.auth.credentials import FixedCredentials
from airflow_provider_finauth.secret import Secret

if TYPE_CHECKING:
    from airflow_provider_finauth.auth.broker import Broker
    from airflow_provider_finauth.auth.credentials import Credentials
    from airflow_provider_finauth.auth.tokens import TokenSet

_SCHEME = "Bearer "


class Authorizer(Protocol):
    """Gives the ``Authorization`` header of a request."""

    def authorization(self) -> Secret:
        """Give the header's value; empty where no such header is to be sent."""
        ...

    def replace(self, used: Secret) -> Secret | None:
        """Give another value than ``used``, which was answered with 401; None if there is none now."""
        ...


class FixedAuthorizer:
    """A key that never changes; nothing replaces it.

    :param credentials: the key
    """

    def __init__(self, credentials: FixedCredentials) -> None:
        self._credentials = credentials

    def authorization(self) -> Secret:
        return self._credentials.header

    def replace(self, used: Secret) -> Secret | None:
        return None


class BrokerAuthorizer:
    """Tokens of a broker, asked for anew with each request.

    :param broker: gives the tokens
    :param credentials: whose
    """

    def __init__(self, broker: Broker, credentials: Credentials) -> None:
        self._broker = broker
        self._credentials = credentials

    def authorization(self) -> Secret:
        return _header(self._broker.token(self._credentials))

    def replace(self, used: Secret) -> Secret | None:
        token = Secret(used.reveal().removeprefix(_SCHEME))
        tokens = self._broker.replace(self._credentials, token)
        return _header(tokens) if tokens is not None else None


def make_authorizer(broker: Broker, credentials: Credentials | FixedCredentials) -> Authorizer:
    """Choose the authorizer for a connection's credentials."""
    if isinstance(credentials, FixedCredentials):
        return FixedAuthorizer(credentials)
    return BrokerAuthorizer(broker, credentials)


def _header(tokens: TokenSet) -> Secret:
    return Secret(_SCHEME + tokens.access_token.reveal()) if tokens.access_token else Secret("")
