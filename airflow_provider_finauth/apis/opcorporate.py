"""OP Corporate Banking (Finland): accounts and their transactions.

Facts from OP's page "Token management" unless another source is named: client credentials in a form over
mutual TLS, without scope; a token lives 900 seconds and is encrypted, so ``expires_in`` is the only clock.
The client id is to be kept secret like the secret itself.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from airflow_provider_finauth import values
from airflow_provider_finauth.apis import profiles
from airflow_provider_finauth.apis.base import Api
from airflow_provider_finauth.apis.resource import RecordField, Since, Until, resource
from airflow_provider_finauth.apis.windows import moments
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

# Public client code of OP's APIs; `bookingCode` is v3's (change log of the Corporate Accounts API).
_TRANSACTION = (
    RecordField("objectId", "string", "names the transaction"),
    RecordField("timestamp", "integer", "microseconds since 1970"),
    RecordField("archiveId", "string"),
    RecordField("amount", "decimal", "sent as a string"),
    RecordField("currency", "string"),
    RecordField("balanceBefore", "decimal", "sent as a string"),
    RecordField("balanceAfter", "decimal", "sent as a string"),
    RecordField("bookingDate", "date"),
    RecordField("valueDate", "date"),
    RecordField("paymentDate", "date"),
    RecordField("message", "string"),
    RecordField("reference", "string"),
    RecordField("rfReference", "string"),
    RecordField("debtorName", "string"),
    RecordField("debtorAccount", "string"),
    RecordField("debtorBic", "string"),
    RecordField("creditorName", "string"),
    RecordField("creditorAccount", "string"),
    RecordField("creditorBic", "string"),
    RecordField("endToEndId", "string"),
    RecordField("uetr", "string"),
    RecordField("transactionTypeCode", "string"),
    RecordField("transactionTypeDescription", "string", "v2 only"),
    RecordField("bookingCode", "string", "v3 only"),
    RecordField("bookingCodeDescription", "string", "v3 only"),
)


class OPCorporate(Api):
    """What a connection of type ``opcorporate`` makes of OP's APIs.

    :param settings: the connection
    :raises ConfigurationError: names the connection's field that is to be corrected
    """

    def __init__(self, settings: Settings) -> None:
        base = profiles.address(settings, "host", _HOSTS[settings.text("environment")])
        transport = profiles.transport(settings, with_certificate=True)
        if transport.client_certificate is None:
            raise settings.error(
                "tls_certificate", "is empty; OP expects a client certificate with every call"
            )
        self._version = settings.text("transactions_version")
        token_endpoint = profiles.address(settings, "oauth_endpoint", f"{base}/corporate-oidc/v1/token")
        credentials = profiles.client_credentials(settings, token_endpoint, transport)
        self.profile = Profile(
            api="opcorporate",
            conn_id=settings.conn_id,
            base_url=base,
            credentials=replace(credentials, default_lifetime=min(credentials.default_lifetime, _LIFETIME)),
            origins=frozenset({origin_of(base)}),
            request_id_header="X-Request-ID",
            **profiles.conversation(settings, transport),
        )

    def probe(self, client: ApiClient) -> None:
        """Read as little as there is: the list of accounts."""
        client.get_json(f"{_DATA}/v1/accounts")

    @resource(
        key="surrogateId",
        changes=Changes(why_not="OP's accounts tell no time of change, and are few: pull them all."),
        fields=(
            RecordField("surrogateId", "string", "names the account in other calls"),
            RecordField("iban", "string"),
            RecordField("bic", "string"),
            RecordField("name", "string"),
            RecordField("balance", "decimal", "sent as a string"),
            RecordField("currency", "string"),
            RecordField("productNames", "json", "by language"),
        ),
    )
    def accounts(self) -> Pull:
        """Pull the accounts that the contract covers."""
        return Pull(request=Request("GET", f"{_DATA}/v1/accounts"), paging=Single())

    def account_path(self, surrogate_id: str) -> str:
        """Return the path of one account.

        :raises ConfigurationError: the id is empty
        """
        return f"{_DATA}/v1/accounts/{_id(surrogate_id)}"

    @resource(
        key="objectId",
        window="timestamp",
        # Not bookingDate, whose rule has changed once (change log of the Corporate Accounts API).
        changes=Changes(fields=("timestamp",), filtered=True, exact=True),
        fields=_TRANSACTION,
    )
    def transactions(
        self,
        surrogate_id: Annotated[str, Meta(description="the account, as in the list of accounts")],
        *,
        since: Since = None,
        until: Until = None,
    ) -> Pull:
        """Pull an account's transactions, oldest first.

        They are walked by their timestamp in microseconds. Many may share one, so each page begins with the
        last one's timestamp again, and what was seen before is dropped.
        """
        window = moments(since, until)
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
                start=0 if window.since is None else values.microseconds(window.since),
                until=None if window.until is None else values.microseconds(window.until),
                size=size,
            ),
        )


def _id(surrogate_id: str) -> str:
    # It looks like base64: slashes and plus signs in it are part of the name.
    return profiles.path_segment("surrogate_id", surrogate_id)
