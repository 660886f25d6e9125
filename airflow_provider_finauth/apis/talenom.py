"""Talenom (now also branded Easor): accounting periods, ledger and sales of Finnish companies.

Facts from Talenom's page "Authentication and Authorization" unless another source is named: client
credentials with a scope that Talenom gives, and a fixed subscription key with every call. The key belongs to
the API gateway (Azure API Management), which answers a wrong one with 401 although the token is good.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_finauth.apis import reading
from airflow_provider_finauth.apis.dates import When, day
from airflow_provider_finauth.auth.credentials import Credentials
from airflow_provider_finauth.client.paging.base import Pull, Request
from airflow_provider_finauth.client.paging.changes import Changes
from airflow_provider_finauth.client.paging.limit_offset import LimitOffset
from airflow_provider_finauth.client.paging.page_index import PageIndex
from airflow_provider_finauth.client.paging.single import Single
from airflow_provider_finauth.client.profile import Failure, Profile
from airflow_provider_finauth.exceptions import (
    ConfigurationError,
    FinauthError,
    ForbiddenError,
    SubscriptionKeyError,
)
from airflow_provider_finauth.transport.origins import origin_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_finauth.client.client import ApiClient
    from airflow_provider_finauth.settings import Settings

# The organisation API has no region and its own host (the page's example call); the ledger and sales APIs
# are documented at this one, by region (getting-started page of Talenom's developer portal).
_ORGANIZATION_HOST = "https://apim.talenom.fi"
_REGIONAL_HOST = "https://apim.talenom.com"

# Of pageSize in the general ledger's OpenAPI document.
_LARGEST_LEDGER_PAGE = 10_000
_VOUCHER_STATES = ("Draft", "Accepted", "Locked", "Deleted")

# The general ledger's OpenAPI document has these, and does not say whether an approval or deletion counts as
# an update: the latest of them tells in any case.
_VOUCHER_CHANGES = Changes(
    fields=("updatedDateUtc", "createdDateUtc", "approvedDateUtc", "lockedDateUtc", "deletedDateUtc"),
    deleted=("voucherState", "Deleted"),
)
_INVOICE_CHANGES = Changes(fields=("updatedDateUtc", "createdDateUtc"))
_NO_PERIOD_CHANGES = Changes(
    why_not="Talenom's accounting periods tell no time of change, and are few: pull them all."
)
_NO_EVENT_CHANGES = Changes(
    why_not="Talenom's ledger events tell no time of change. Pull the vouchers incrementally, with "
    "include_postings=True, or the events of the periods that are not locked, by 'since' and 'until'."
)
_NO_BALANCE_CHANGES = Changes(why_not="A balance is of one day: pull it for each day that you want.")


class Talenom:
    """What a connection of type ``talenom`` makes of Talenom's APIs.

    :param settings: the connection
    :raises ConfigurationError: names the connection's field that is to be mended
    """

    def __init__(self, settings: Settings) -> None:
        base = reading.address(settings, "host")
        region = settings.text("region")
        # Whoever sets an address of their own (a gateway, the sandbox) serves all of Talenom's APIs there.
        regional_host = _REGIONAL_HOST if origin_of(base) == origin_of(_ORGANIZATION_HOST) else base
        self._regional = f"{regional_host}/{region}"
        self._offset = settings.text("page_numbering") == "offset"
        self.profile = Profile(
            api="talenom",
            conn_id=settings.conn_id,
            base_url=base,
            credentials=Credentials(
                conn_id=settings.conn_id,
                api="talenom",
                grant="client_credentials",
                token_endpoint=reading.address(settings, "oauth_endpoint"),
                client_id=settings.text("login"),
                client_secret=settings.secret("password"),
                scope=settings.text("scope"),
                default_lifetime=settings.integer("default_lifetime"),
                transport=reading.transport(settings),
            ),
            # Content-Type also on a GET, as the page's examples have it.
            headers={"Content-Type": "application/json"},
            secret_headers={"Ocp-Apim-Subscription-Key": settings.secret("subscription_api_key")},
            origins=frozenset({origin_of(base), origin_of(regional_host)}),
            judge=_judge(settings),
            **reading.conversation(settings),
        )

    def probe(self, client: ApiClient) -> None:
        """Read as little as there is: the periods of an organisation that does not exist.

        Every call of Talenom's names an organisation; one that is not found has passed the gateway and the
        API's own check.
        """
        client.request("GET", "/organization/v2/accounting-periods/0", accept_status=(400, 404))

    def accounting_periods(
        self,
        organization_number: int | str,
        *,
        include_bookkeeping_periods: bool | str = False,
        page_size: int | str = 100,
    ) -> Pull:
        """Pull an organisation's accounting periods.

        :param organization_number: Talenom's integer customer number, not the business id
        :param include_bookkeeping_periods: with the bookkeeping periods of each
        :param page_size: periods a page
        :raises ConfigurationError: an argument is not of its kind
        """
        number = _organization(organization_number)
        params = {
            "includeBookkeepingPeriods": reading.flag(
                "include_bookkeeping_periods", include_bookkeeping_periods
            )
        }
        path = f"/organization/v2/accounting-periods/{number}"
        return self._paged(
            "accounting_periods", path, params, page_size, key=None, changes=_NO_PERIOD_CHANGES
        )

    def vouchers(
        self,
        organization_number: int | str,
        *,
        since: When | None = None,
        until: When | None = None,
        states: Iterable[str] = (),
        categories: Iterable[str] = (),
        include_postings: bool | str = False,
        page_size: int | str = 1000,
    ) -> Pull:
        """Pull an organisation's vouchers.

        :param since: first voucher date
        :param until: last voucher date
        :param states: of Draft, Accepted, Locked, Deleted; none means all
        :param categories: voucher categories; none means all
        :param include_postings: with the postings of each
        :param page_size: vouchers a page
        :raises ConfigurationError: an argument is not of its kind
        """
        path = f"{self._regional}/general-ledger/v2/vouchers/{_organization(organization_number)}"
        params: dict[str, Any] = {
            "dateFrom": day("since", since) if since else None,
            "dateTo": day("until", until) if until else None,
            "voucherState": [reading.choice("states", state, _VOUCHER_STATES) for state in _several(states)],
            "category": _several(categories),
            "includePostings": reading.flag("include_postings", include_postings),
        }
        return self._paged(
            "vouchers",
            path,
            params,
            page_size,
            key="id",
            version="updatedDateUtc",
            changes=_VOUCHER_CHANGES,
        )

    def general_ledger_events(
        self,
        organization_number: int | str,
        *,
        since: When | None = None,
        until: When | None = None,
        account_numbers: Iterable[str | int] = (),
        category: str | None = None,
        page_size: int | str = 1000,
    ) -> Pull:
        """Pull an organisation's general ledger events.

        :param since: first voucher date
        :param until: last voucher date
        :param account_numbers: none means all
        :param category: a voucher category
        :param page_size: events a page, at most 10,000
        :raises ConfigurationError: an argument is not of its kind
        """
        path = (
            f"{self._regional}/general-ledger/v1/general-ledger-events/{_organization(organization_number)}"
        )
        params: dict[str, Any] = {
            "fromDate": day("since", since) if since else None,
            "toDate": day("until", until) if until else None,
            "accountNumbers": ",".join(_several(account_numbers)) or None,
            "category": category or None,
        }
        return self._paged(
            "general_ledger_events", path, params, page_size, key="id", changes=_NO_EVENT_CHANGES
        )

    def account_balances(
        self, organization_number: int | str, *, date: When, account_numbers: Iterable[str | int]
    ) -> Pull:
        """Pull the balances (``{account, saldo}``) of accounts on a day.

        :raises ConfigurationError: an argument is not of its kind; Talenom requires both
        """
        accounts = _several(account_numbers)
        if not accounts:
            raise ConfigurationError(
                "Argument 'account_numbers' must name an account.", field="account_numbers"
            )
        path = f"{self._regional}/general-ledger/v1/account-balances/{_organization(organization_number)}"
        params = {"date": day("date", date), "accountNumbers": ",".join(accounts)}
        return Pull(
            request=Request("GET", path, params=params),
            paging=Single(),
            key="account",
            resource="account_balances",
            changes=_NO_BALANCE_CHANGES,
        )

    def sales_invoices(
        self,
        organization_number: int | str,
        *,
        since: When | None = None,
        until: When | None = None,
        date_type: str | None = None,
        status: str | None = None,
        page_size: int | str = 100,
    ) -> Pull:
        """Pull an organisation's sales invoices.

        :param since: first day
        :param until: last day
        :param date_type: which date ``since`` and ``until`` speak of, in Talenom's words
        :param status: an invoice status, in Talenom's words
        :param page_size: invoices a page
        :raises ConfigurationError: an argument is not of its kind
        """
        path = f"{self._regional}/sales/v1/{_organization(organization_number)}/invoices"
        params = {
            "dateType": date_type or None,
            "dateStart": day("since", since) if since else None,
            "dateEnd": day("until", until) if until else None,
            "invoiceStatus": status or None,
        }
        size = reading.integer("page_size", page_size, minimum=1)
        return Pull(
            request=Request("GET", path, params=params),
            paging=LimitOffset(size=size),
            key="id",
            version="updatedDateUtc",
            resource="sales_invoices",
            changes=_INVOICE_CHANGES,
        )

    def _paged(
        self,
        resource: str,
        path: str,
        params: dict[str, Any],
        page_size: int | str,
        *,
        key: str | None,
        version: str | None = None,
        changes: Changes,
    ) -> Pull:
        size = reading.integer("page_size", page_size, minimum=1)
        if size > _LARGEST_LEDGER_PAGE:
            raise ConfigurationError(
                f"Argument 'page_size' must be at most {_LARGEST_LEDGER_PAGE}.", field="page_size"
            )
        return Pull(
            request=Request("GET", path, params=params),
            # The ledger's OpenAPI document describes an index and steps it as an offset in its example.
            paging=PageIndex(
                size=size, offset=self._offset, switch="the connection's field 'page_numbering'"
            ),
            key=key,
            version=version,
            total="rowCount",
            resource=resource,
            changes=changes,
        )


def _organization(value: int | str) -> int:
    return reading.integer("organization_number", value, minimum=1)


def _several(values: Iterable[str | int] | None) -> list[str]:
    if isinstance(values, str):
        values = values.split(",")
    return [text for value in values or () if (text := str(value).strip())]


def _judge(settings: Settings) -> Any:
    def judge(failure: Failure) -> FinauthError | None:
        body = failure.body if isinstance(failure.body, dict) else {}
        if failure.status == 401 and "subscription" in str(body.get("message", "")).lower():
            # The gateway's own refusal (Azure API Management): the token is not at fault.
            problem = settings.error("subscription_api_key", "is refused by Talenom's API gateway")
            return SubscriptionKeyError(str(problem), status=401, request_id=failure.request_id)
        if failure.status == 403:
            return ForbiddenError(
                f"Talenom does not allow {failure.method} {failure.path} (403) for connection "
                f"'{settings.conn_id}'. Either the subscription does not include this API, or the client "
                "has not been granted it: Talenom's integration support gives both, separately.",
                status=403,
                request_id=failure.request_id,
            )
        return None

    return judge
