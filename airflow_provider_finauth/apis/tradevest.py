"""Tradevest (Germany; Wawex): the Partner API for brokerage.

Facts from Tradevest's page "Partner API Authentication" unless another source is named: client credentials
in a form. Its documents name two token endpoints, ``/oauth2/token`` without a scope, which is the default
here, and ``/connect/token`` with the scope ``tradevest.api``; the connection's fields reach both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta

from airflow_provider_finauth.apis import profiles
from airflow_provider_finauth.apis.base import Api
from airflow_provider_finauth.apis.resource import RecordField, Since, Until, resource
from airflow_provider_finauth.apis.windows import moments
from airflow_provider_finauth.client.paging.base import Pull, Request
from airflow_provider_finauth.client.paging.changes import Changes, Cut
from airflow_provider_finauth.client.paging.cursor import Cursor
from airflow_provider_finauth.client.paging.single import Single
from airflow_provider_finauth.client.profile import Profile
from airflow_provider_finauth.exceptions import ConfigurationError
from airflow_provider_finauth.transport.origins import origin_of

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from airflow_provider_finauth.client.client import ApiClient
    from airflow_provider_finauth.settings import Settings

# Both from Tradevest's documentation, page 2_authentication.
_HOSTS = {
    "production": "https://tvda-api.platform-prod.tradevest.ai",
    "test": "https://tvda-api.platform-test.tradevest.ai",
}
_AUTH_HOSTS = {
    "production": "https://b2b.auth.platform-prod.tradevest.ai",
    "test": "https://b2b.auth.platform-test.tradevest.ai",
}
_REQUESTOR_ID = "Requestor-ID"

# "All commands except the commands listed below must contain the header Requestor-ID": create natural person
# and its wizards, create legal entity customer and prepare legal entity. Their person does not exist yet.
# The page names no paths; these are those of the entities in the API reference.
EXEMPT_COMMANDS = (
    "/entities/natural-persons",
    "/entities/natural-persons/wizards",
    "/entities/legal-entities",
    "/entities/legal-entities/customers",
    "/entities/legal-entities/prepare",
)
_READS = frozenset({"GET", "HEAD"})

# "customers" is left out: its changelog is deprecated.
Changelog = Literal["entities", "digital", "roles", "products"]
# The API reference names a default of 20 and no maximum.
PageSize = Annotated[int, Meta(ge=1, description="records a page")]
RequestorId = Annotated[
    str | None,
    Meta(
        description="the natural person to ask for, instead of the connection's; an empty string sends none",
        extra={"takes_blank": True},
    ),
]


class Tradevest(Api):
    """What a connection of type ``tradevest`` makes of Tradevest's API.

    :param settings: the connection
    :raises ConfigurationError: names the connection's field that is to be corrected
    """

    def __init__(self, settings: Settings) -> None:
        environment = settings.text("environment")
        base = profiles.address(settings, "host", _HOSTS[environment])
        token_endpoint = profiles.address(
            settings, "oauth_endpoint", f"{_AUTH_HOSTS[environment]}/oauth2/token"
        )
        self._settings = settings
        self.profile = Profile(
            api="tradevest",
            conn_id=settings.conn_id,
            base_url=base,
            credentials=profiles.client_credentials(settings, token_endpoint),
            origins=frozenset({origin_of(base)}),
            prepare=self._identify_requestor,
            **profiles.conversation(settings),
        )

    def probe(self, client: ApiClient) -> None:
        """Read the prices: the first call that Tradevest's documentation suggests."""
        client.request("GET", "/prices")

    @resource(
        key="transactionId",
        version="modifiedOn",
        # Page "Transaction History" of the API reference: `modifiedOn` tells what became MODIFIED. The API
        # filters the list by nothing.
        changes=Changes(fields=("modifiedOn", "createdOn")),
        fields=(
            RecordField("transactionId", "string"),
            RecordField("customerId", "string"),
            RecordField("transactionType", "string"),
            RecordField("transactionStatus", "string", "COMPLETED, or MODIFIED later"),
            RecordField("bookingDate", "date"),
            RecordField("valueDate", "date"),
            RecordField("createdOn", "timestamp"),
            RecordField("modifiedOn", "timestamp"),
            RecordField("digitalTradingTransaction", "json", "one of the three"),
            RecordField("traditionalTradingTransaction", "json", "one of the three"),
            RecordField("cashTransaction", "json", "one of the three"),
        ),
    )
    def transactions(self, *, page_size: PageSize = 100, requestor_id: RequestorId = None) -> Pull:
        """Pull the transactions."""
        return _paged("/transactions", {}, page_size, requestor_id)

    @resource(
        key="entryId",
        window="createdOn",
        # Pages "Changelogs v2" and "Digital assets: General" of the API reference.
        changes=Changes(fields=("createdOn",), filtered=True),
        fields=(
            RecordField("entryId", "string", "names the change; an item may change more than once"),
            RecordField("itemId", "string", "names what changed"),
            RecordField("createdOn", "timestamp"),
        ),
    )
    def changelog(
        self,
        kind: Annotated[Changelog, Meta(description="which of them")],
        *,
        since: Since = None,
        until: Until = None,
        page_size: PageSize = 100,
        requestor_id: RequestorId = None,
    ) -> Pull:
        """Pull a changelog, oldest change first: the natural incremental feed."""
        window = moments(since, until)
        params = {"orderDirection": "ASC", "startDate": window.since_text, "endDate": window.until_text}
        return _paged(
            f"/{kind}-changelog",
            params,
            page_size,
            requestor_id,
            resource=f"{kind}_changelog",
            # The API counts its last moment in.
            cut=window.cut_by("createdOn"),
        )

    @resource(
        key="id",
        changes=Changes(
            why_not="Tradevest's entities tell no time of change. Pull them all, or pull the changelog "
            "'entities' incrementally."
        ),
    )
    def entities(
        self,
        *,
        search_text: Annotated[str | None, Meta(description="in a name")] = None,
        entity_type: Annotated[str | None, Meta(description="in Tradevest's words")] = None,
        entity_status: Annotated[str | None, Meta(description="in Tradevest's words")] = None,
        role: Annotated[str | None, Meta(description="in Tradevest's words")] = None,
        page_size: PageSize = 100,
        requestor_id: RequestorId = None,
    ) -> Pull:
        """Pull natural persons and legal entities."""
        params = {
            "searchText": search_text,
            "entityType": entity_type,
            "entityStatus": entity_status,
            "role": role,
        }
        return _paged("/entities", params, page_size, requestor_id)

    @resource(
        key="customerProductId",
        changes=Changes(
            why_not="A customer's products tell no time of change. Pull them all, or pull the changelog "
            "'products' incrementally."
        ),
        fields=(
            RecordField("customerProductId", "string"),
            RecordField(
                "productCode", "string", "WALLET, BALANCE_ACCOUNT, DEPOSITORY_ACCOUNT or CURRENCY_WALLET"
            ),
            RecordField("productType", "string"),
            RecordField("status", "string"),
            RecordField("accountData", "json", "iban, bic, and balances"),
            RecordField("cryptoAssets", "json", "positions"),
            RecordField("traditionalAssets", "json", "positions"),
        ),
    )
    def customer_products(
        self,
        customer_id: Annotated[str, Meta(description="the customer")],
        *,
        requestor_id: RequestorId = None,
    ) -> Pull:
        """Pull a customer's products."""
        path = f"/customers/{profiles.path_segment('customer_id', customer_id)}/products"
        return Pull(request=Request("GET", path, headers=_requestor(requestor_id)), paging=Single())

    @resource(
        key="orderId",
        version="modifiedOn",
        window="createdOn",
        # The schema DigitalAssetsOrder: `modifiedOn` is when the status changed. The filter is by creation
        # only.
        changes=Changes(fields=("modifiedOn", "createdOn")),
        fields=(
            RecordField("orderId", "string"),
            RecordField("externalId", "string", "the client's own"),
            RecordField("createdOn", "timestamp"),
            RecordField("modifiedOn", "timestamp", "when the status changed"),
        ),
    )
    def orders(
        self,
        customer_product_id: Annotated[
            str, Meta(description="a product that holds digital assets, as in the customer's products")
        ],
        *,
        since: Since = None,
        until: Until = None,
        external_id: Annotated[str | None, Meta(description="of one order")] = None,
        page_size: PageSize = 100,
        requestor_id: RequestorId = None,
    ) -> Pull:
        """Pull the digital orders of a customer's product."""
        window = moments(since, until)
        params = {
            "externalId": external_id,
            "startCreatedOn": window.since_text,
            "endCreatedOn": window.until_text,
        }
        product = profiles.path_segment("customer_product_id", customer_product_id)
        # The API counts its last moment in.
        cut = window.cut_by("createdOn")
        return _paged(f"/products/{product}/digital/orders", params, page_size, requestor_id, cut=cut)

    def _identify_requestor(self, method: str, path: str, headers: MutableMapping[str, str]) -> None:
        """Add the connection's Requestor-ID, unless the caller set one or removed it by an empty string.

        :raises ConfigurationError: a command without one; it is not sent
        """
        command = method.upper() not in _READS
        exempt = command and path.rstrip("/") in EXEMPT_COMMANDS
        default = None if exempt else self._settings.optional("requestor_id")
        requestor = headers.pop(_REQUESTOR_ID, default)
        if requestor:
            headers[_REQUESTOR_ID] = requestor
        elif command and not exempt:
            raise ConfigurationError(
                f"The command {method} {path} was not sent: Tradevest expects a Requestor-ID with it. Set "
                f"'requestor_id' in connection '{self._settings.conn_id}', or the header {_REQUESTOR_ID} "
                "in the call.",
                conn_id=self._settings.conn_id,
                field="requestor_id",
            )


def _paged(
    path: str,
    params: dict[str, Any],
    page_size: int,
    requestor_id: str | None,
    *,
    resource: str = "",
    cut: Cut | None = None,
) -> Pull:
    return Pull(
        request=Request("GET", path, params=params, headers=_requestor(requestor_id)),
        paging=Cursor(cursor_path="pagination.cursor", param="cursor", size_param="limit", size=page_size),
        records_path="data",
        resource=resource,
        cut=cut,
    )


def _requestor(requestor_id: str | None) -> dict[str, str] | None:
    return None if requestor_id is None else {_REQUESTOR_ID: requestor_id}
