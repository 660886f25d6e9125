"""Tradevest (Germany; Wawex): the Partner API for brokerage.

Facts from Tradevest's page "Partner API Authentication" unless another source is named: client credentials
in a form. Its documents name two token endpoints, ``/oauth2/token`` without a scope, which is the default
here, and ``/connect/token`` with the scope ``tradevest.api``; the connection's fields reach both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_finauth.apis import reading
from airflow_provider_finauth.apis.dates import When, timestamp
from airflow_provider_finauth.auth.credentials import Credentials
from airflow_provider_finauth.client.paging.base import Pull, Request
from airflow_provider_finauth.client.paging.changes import Changes
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
REQUESTOR_ID = "Requestor-ID"

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
CHANGELOGS = {
    "entities": "/entities-changelog",
    "digital": "/digital-changelog",
    "roles": "/roles-changelog",
    "products": "/products-changelog",
}
# Pages "Changelogs v2" and "Digital assets: General" of the API reference.
_ENTRIES = Changes(fields=("createdOn",), filtered=True)
# The schema DigitalAssetsOrder: `modifiedOn` is when the status changed. The filter is by creation only.
_ORDERS = Changes(fields=("modifiedOn", "createdOn"))
# Page "Transaction History" of the API reference: `transactionId`, and `modifiedOn` for what became MODIFIED.
_TRANSACTIONS = Changes(fields=("modifiedOn", "createdOn"))
# The API reference names a default of 20 and no maximum.
_PAGE_SIZE = 100


class Tradevest:
    """What a connection of type ``tradevest`` makes of Tradevest's API.

    :param settings: the connection
    :raises ConfigurationError: names the connection's field that is to be mended
    """

    def __init__(self, settings: Settings) -> None:
        environment = settings.text("environment")
        base = reading.address(settings, "host", _HOSTS[environment])
        self._settings = settings
        self.profile = Profile(
            api="tradevest",
            conn_id=settings.conn_id,
            base_url=base,
            credentials=Credentials(
                conn_id=settings.conn_id,
                api="tradevest",
                grant="client_credentials",
                token_endpoint=reading.address(
                    settings, "oauth_endpoint", f"{_AUTH_HOSTS[environment]}/oauth2/token"
                ),
                client_id=settings.text("login"),
                client_secret=settings.secret("password"),
                scope=settings.optional("scope"),
                default_lifetime=settings.integer("default_lifetime"),
                transport=reading.transport(settings),
            ),
            origins=frozenset({origin_of(base)}),
            prepare=self._identify_requestor,
            **reading.conversation(settings),
        )

    def probe(self, client: ApiClient) -> None:
        """Read the prices: the first call that Tradevest's documentation suggests."""
        client.request("GET", "/prices")

    def transactions(self, *, page_size: int | str = _PAGE_SIZE) -> Pull:
        """Pull the transactions; the API filters them by nothing."""
        return self._paged(
            "transactions",
            "/transactions",
            {},
            page_size,
            key="transactionId",
            version="modifiedOn",
            changes=_TRANSACTIONS,
        )

    def changelog(
        self,
        kind: str,
        *,
        since: When | None = None,
        until: When | None = None,
        page_size: int | str = _PAGE_SIZE,
    ) -> Pull:
        """Pull a changelog, oldest change first: the natural incremental feed.

        :param kind: entities, digital, roles or products
        :param since: the first moment
        :param until: the last moment
        :raises ConfigurationError: an argument is not of its kind
        """
        path = CHANGELOGS[reading.choice("kind", kind, tuple(CHANGELOGS))]
        params = {
            "orderDirection": "ASC",
            "startDate": timestamp("since", since) if since else None,
            "endDate": timestamp("until", until) if until else None,
        }
        # An item may change more than once: its id names no record, but an entry has one of its own.
        return self._paged(f"{kind}_changelog", path, params, page_size, key="entryId", changes=_ENTRIES)

    def entities(
        self,
        *,
        search_text: str | None = None,
        entity_type: str | None = None,
        entity_status: str | None = None,
        role: str | None = None,
        page_size: int | str = _PAGE_SIZE,
    ) -> Pull:
        """Pull natural persons and legal entities, filtered in Tradevest's own words."""
        params = {
            "searchText": search_text or None,
            "entityType": entity_type or None,
            "entityStatus": entity_status or None,
            "role": role or None,
        }
        changes = Changes(
            why_not="Tradevest's entities tell no time of change. Pull them all, or pull the changelog "
            "'entities' incrementally."
        )
        return self._paged("entities", "/entities", params, page_size, changes=changes)

    def customer_products(self, customer_id: str) -> Pull:
        """Pull a customer's products; a bare array."""
        path = f"/customers/{reading.path_segment('customer_id', customer_id)}/products"
        return Pull(
            request=Request("GET", path),
            paging=Single(),
            key="customerProductId",
            resource="customer_products",
            changes=Changes(
                why_not="A customer's products tell no time of change. Pull them all, or pull the changelog "
                "'products' incrementally."
            ),
        )

    def orders(
        self,
        customer_product_id: str,
        *,
        since: When | None = None,
        until: When | None = None,
        external_id: str | None = None,
        page_size: int | str = _PAGE_SIZE,
    ) -> Pull:
        """Pull the digital orders of a customer's product.

        :param since: created on or after
        :param until: created on or before
        :param external_id: of one order
        :raises ConfigurationError: an argument is not of its kind
        """
        product = reading.path_segment("customer_product_id", customer_product_id)
        params = {
            "externalId": external_id or None,
            "startCreatedOn": timestamp("since", since) if since else None,
            "endCreatedOn": timestamp("until", until) if until else None,
        }
        path = f"/products/{product}/digital/orders"
        return self._paged(
            "orders", path, params, page_size, key="orderId", version="modifiedOn", changes=_ORDERS
        )

    def _paged(
        self,
        resource: str,
        path: str,
        params: dict[str, Any],
        page_size: int | str,
        *,
        key: str = "id",
        version: str | None = None,
        changes: Changes,
    ) -> Pull:
        return Pull(
            request=Request("GET", path, params=params),
            paging=Cursor(
                cursor_path="pagination.cursor",
                param="cursor",
                size_param="limit",
                size=reading.integer("page_size", page_size, minimum=1),
            ),
            records_path="data",
            key=key,
            version=version,
            resource=resource,
            changes=changes,
        )

    def _identify_requestor(self, method: str, path: str, headers: MutableMapping[str, str]) -> None:
        """Add the connection's Requestor-ID, unless the caller set one or removed it with an empty text.

        :raises ConfigurationError: a command without one; it is not sent
        """
        command = method.upper() not in _READS
        exempt = command and path.rstrip("/") in EXEMPT_COMMANDS
        default = None if exempt else self._settings.optional("requestor_id")
        requestor = headers.pop(REQUESTOR_ID, default)
        if requestor:
            headers[REQUESTOR_ID] = requestor
        elif command and not exempt:
            raise ConfigurationError(
                f"The command {method} {path} was not sent: Tradevest wants a Requestor-ID with it. Set "
                f"'requestor_id' in connection '{self._settings.conn_id}' or in the call.",
                conn_id=self._settings.conn_id,
                field="requestor_id",
            )
