"""OP Corporate Banking (Finland): accounts and their transactions.

Facts from OP's page "Token management" unless another source is named: client credentials in a form over
mutual TLS, without scope; a token lives 900 seconds and is encrypted, so ``expires_in`` is the only clock.
The client id is to be kept secret like the secret itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_finauth.apis import reading
from airflow_provider_finauth.apis.dates import When, microseconds
from airflow_provider_finauth.auth.credentials import Credentials
from airflow_provider_finauth.client.paging.base import Pull, Request
from airflow_provider_finauth.client.paging.changes import Changes
from airflow_provider_finauth.client.paging.keyset import Keyset
from airflow_provider_finauth.client.paging.single import Single
from airflow_provider_finauth.client.profile import Profile
from airflow_provider_finauth.transport.origins import origin_of

if TYPE_CHECKING:
    from airflow_provider_finauth.client.client import ApiClient
    from airflow_provider_finauth.settings import Settings

_HOSTS = {
    # Since 04/2024 (change log of the Corporate Accounts API); the sandbox as on the page.
    "production": "https://api.corporate-api.op.fi",
    "sandbox": "https://api.corp-api-sandbox.test.aws.op-palvelut.net",
}
_LIFETIME = 900
_DATA = "/corporate-account-data"
# The most rows that a page of transactions holds (change log of the Corporate Accounts API).
_PAGE_SIZES = {"v2": 150, "v3": 1000}


class OPCorporate:
    """What a connection of type ``opcorporate`` makes of OP's APIs.

    :param settings: the connection
    :raises ConfigurationError: names the connection's field that is to be mended
    """

    def __init__(self, settings: Settings) -> None:
        base = reading.address(settings, "host", _HOSTS[settings.text("environment")])
        transport = reading.transport(settings, with_certificate=True)
        if transport.client_certificate is None:
            raise settings.error("tls_certificate", "is empty; OP wants a client certificate with every call")
        self._version = settings.text("transactions_version")
        self.profile = Profile(
            api="opcorporate",
            conn_id=settings.conn_id,
            base_url=base,
            credentials=Credentials(
                conn_id=settings.conn_id,
                api="opcorporate",
                grant="client_credentials",
                token_endpoint=reading.address(settings, "oauth_endpoint", f"{base}/corporate-oidc/v1/token"),
                client_id=settings.text("login"),
                client_secret=settings.secret("password"),
                default_lifetime=min(settings.integer("default_lifetime"), _LIFETIME),
                transport=transport,
            ),
            origins=frozenset({origin_of(base)}),
            request_id_header="X-Request-ID",
            **reading.conversation(settings, transport),
        )

    def probe(self, client: ApiClient) -> None:
        """Read as little as there is: the list of accounts."""
        client.get_json(f"{_DATA}/v1/accounts")

    def accounts(self) -> Pull:
        """Pull the accounts that the contract covers; a bare array."""
        request = Request("GET", f"{_DATA}/v1/accounts")
        return Pull(
            request=request,
            paging=Single(),
            key="surrogateId",
            resource="accounts",
            changes=Changes(why_not="OP's accounts tell no time of change, and are few: pull them all."),
        )

    def account_path(self, surrogate_id: str) -> str:
        """Say where one account is.

        :raises ConfigurationError: the id is empty
        """
        return f"{_DATA}/v1/accounts/{_id(surrogate_id)}"

    def transactions(
        self, surrogate_id: str, *, since: When | None = None, until: When | None = None
    ) -> Pull:
        """Pull an account's transactions, oldest first, walking by their timestamp in microseconds.

        Many transactions may share a microsecond, so each page begins with the last one's timestamp again
        and what was seen before is dropped.

        :param since: the first moment
        :param until: the first moment no longer wanted
        :raises ConfigurationError: an argument is not of its kind
        """
        size = _PAGE_SIZES[self._version]
        return Pull(
            request=Request(
                "GET",
                f"{_DATA}/{self._version}/accounts/{_id(surrogate_id)}/transactions",
                params={"maxPast": 0, "maxFuture": size},
            ),
            paging=Keyset(
                param="fromTimestamp",
                field="timestamp",
                start=microseconds("since", since) if since else 0,
                until=microseconds("until", until) if until else None,
                size=size,
            ),
            key="objectId",
            resource="transactions",
            # Not bookingDate, whose rule has changed once (change log of the Corporate Accounts API).
            changes=Changes(fields=("timestamp",), filtered=True, exact=True),
        )


def _id(surrogate_id: str) -> str:
    # It looks like base64: slashes and plus signs in it are part of the name.
    return reading.path_segment("surrogate_id", surrogate_id)
