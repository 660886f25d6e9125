"""Talenom (now also branded Easor): accounting periods, ledger and sales of Finnish companies.

Facts from Talenom's page "Authentication and Authorization" unless another source is named: client
credentials with a scope that Talenom gives, and a fixed subscription key with every call. The key belongs to
the API gateway (Azure API Management), which answers a wrong one with 401 although the token is good.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta

from airflow_provider_finauth import values
from airflow_provider_finauth.apis import profiles
from airflow_provider_finauth.apis.base import Api
from airflow_provider_finauth.apis.resource import RecordField, Since, Until, resource
from airflow_provider_finauth.apis.talenom_periods import seen_locked, spans_to_read
from airflow_provider_finauth.apis.windows import days
from airflow_provider_finauth.client.paging.base import Pull, Read, Request
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
from airflow_provider_finauth.values import When

if TYPE_CHECKING:
    from airflow_provider_finauth.client.client import ApiClient
    from airflow_provider_finauth.settings import Settings

# The organisation API has no region and its own host (the page's example call); the ledger and sales APIs
# are documented at this one, by region (getting-started page of Talenom's developer portal).
_ORGANIZATION_HOST = "https://apim.talenom.fi"
_REGIONAL_HOST = "https://apim.talenom.com"

# Voucher and invoice dates are days of Finnish books, without a zone (the general ledger's OpenAPI document).
_ZONE = "Europe/Helsinki"
_DAY = timedelta(days=1)

VoucherState = Literal["Draft", "Accepted", "Locked", "Deleted"]
OrganizationNumber = Annotated[
    int, Meta(ge=1, description="Talenom's integer customer number, not the business id")
]
# The bounds are those of pageSize in the general ledger's OpenAPI document.
PageSize = Annotated[int, Meta(ge=1, le=10_000, description="records a page")]


class Talenom(Api):
    """What a connection of type ``talenom`` makes of Talenom's APIs.

    :param settings: the connection
    :raises ConfigurationError: names the connection's field that is to be corrected
    """

    def __init__(self, settings: Settings) -> None:
        base = profiles.address(settings, "host")
        region = settings.text("region")
        # Whoever sets an address of their own (a gateway, the sandbox) serves all of Talenom's APIs there.
        regional_host = _REGIONAL_HOST if origin_of(base) == origin_of(_ORGANIZATION_HOST) else base
        self._regional = f"{regional_host}/{region}"
        self._offset = settings.text("page_numbering") == "offset"
        self.profile = Profile(
            api="talenom",
            conn_id=settings.conn_id,
            base_url=base,
            credentials=profiles.client_credentials(settings, profiles.address(settings, "oauth_endpoint")),
            # Content-Type also on a GET, as the page's examples have it.
            headers={"Content-Type": "application/json"},
            secret_headers={"Ocp-Apim-Subscription-Key": settings.secret("subscription_api_key")},
            origins=frozenset({origin_of(base), origin_of(regional_host)}),
            judge=_judge(settings),
            **profiles.conversation(settings),
        )

    def probe(self, client: ApiClient) -> None:
        """Read as little as there is: the periods of an organisation that does not exist.

        Every call of Talenom's names an organisation; one that is not found has passed the gateway and the
        API's own check.
        """
        client.request("GET", "/organization/v2/accounting-periods/0", accept_status=(400, 404))

    @resource(
        changes=Changes(
            why_not="Talenom's accounting periods tell no time of change, and are few: pull them all."
        ),
    )
    def accounting_periods(
        self,
        organization_number: OrganizationNumber,
        *,
        include_bookkeeping_periods: Annotated[
            bool, Meta(description="with the bookkeeping periods of each")
        ] = False,
        page_size: PageSize = 100,
    ) -> Pull:
        """Pull an organisation's accounting periods."""
        return self._paged(
            f"/organization/v2/accounting-periods/{organization_number}",
            {"includeBookkeepingPeriods": include_bookkeeping_periods},
            page_size,
        )

    @resource(
        key="id",
        version="updatedDateUtc",
        window="voucherDate",
        whole_days=True,
        # The general ledger's OpenAPI document has these, and does not say whether an approval or deletion
        # counts as an update: the latest of them tells in any case.
        changes=Changes(
            fields=("updatedDateUtc", "createdDateUtc", "approvedDateUtc", "lockedDateUtc", "deletedDateUtc"),
            deleted=("voucherState", "Deleted"),
        ),
        fields=(
            RecordField("id", "integer"),
            RecordField("number", "integer"),
            RecordField("voucherDate", "date"),
            RecordField("voucherState", "string", "Draft, Accepted, Locked or Deleted"),
            RecordField("category", "string"),
            RecordField("description", "string"),
            RecordField("createdDateUtc", "timestamp"),
            RecordField("updatedDateUtc", "timestamp"),
            RecordField("approvedDateUtc", "timestamp"),
            RecordField("lockedDateUtc", "timestamp"),
            RecordField("deletedDateUtc", "timestamp"),
            RecordField("rowVersion", "string", "Talenom's optimistic lock"),
            RecordField("postings", "json", "with include_postings"),
        ),
    )
    def vouchers(
        self,
        organization_number: OrganizationNumber,
        *,
        since: Since = None,
        until: Until = None,
        states: Annotated[
            Iterable[VoucherState] | str, Meta(description="their states; none means all")
        ] = (),
        categories: Annotated[
            Iterable[str] | str, Meta(description="voucher categories; none means all")
        ] = (),
        include_postings: Annotated[bool, Meta(description="with the postings of each")] = False,
        page_size: PageSize = 1000,
    ) -> Pull:
        """Pull an organisation's vouchers.

        An incremental pull reads those of all accounting periods again that were not locked before its time,
        and keeps what has changed since. ``since`` is the first voucher date then too.
        """

        window = days(since, until, zone=_ZONE)
        pull = self._paged(
            f"{self._regional}/general-ledger/v2/vouchers/{organization_number}",
            {
                "dateFrom": window.first,
                "dateTo": window.last,
                "voucherState": list(states),
                "category": list(categories),
                "includePostings": include_postings,
            },
            page_size,
        )

        def reread(read: Read, changed_since: datetime | None, notes: dict[str, Any]) -> Iterator[Pull]:
            periods = read(self.accounting_periods(organization_number))
            # Now, not the window's end: a run that is cleared later has a window of long ago.
            notes["locked"] = seen_locked(periods, notes.get("locked"), datetime.now(UTC))
            floor = None if window.first is None else date.fromisoformat(window.first)
            for first, last in spans_to_read(notes["locked"], changed_since, floor):
                yield self.vouchers(
                    organization_number,
                    since=first,
                    until=None if last is None else last + _DAY,
                    states=states,
                    categories=categories,
                    include_postings=include_postings,
                    page_size=page_size,
                )

        return replace(pull, reread=reread)

    @resource(
        key="id",
        window="voucherDate",
        whole_days=True,
        changes=Changes(
            why_not="Talenom's ledger events tell no time of change. Pull the vouchers incrementally, with "
            "include_postings=True, or the events of the periods that are not locked, by 'since' and 'until'."
        ),
        fields=(
            RecordField("id", "integer"),
            RecordField("accountNumber", "string"),
            RecordField("voucherId", "integer"),
            RecordField("voucherDate", "date"),
            RecordField("debet", "decimal"),
            RecordField("credit", "decimal"),
            RecordField("vatCode", "string"),
            RecordField("costCenter", "string"),
            RecordField("voucherState", "string", "Draft, Accepted, Locked or Deleted"),
        ),
    )
    def general_ledger_events(
        self,
        organization_number: OrganizationNumber,
        *,
        since: Since = None,
        until: Until = None,
        account_numbers: Annotated[Iterable[str | int] | str, Meta(description="none means all")] = (),
        category: Annotated[str | None, Meta(description="a voucher category")] = None,
        page_size: PageSize = 1000,
    ) -> Pull:
        """Pull an organisation's general ledger events."""
        window = days(since, until, zone=_ZONE)
        return self._paged(
            f"{self._regional}/general-ledger/v1/general-ledger-events/{organization_number}",
            {
                "fromDate": window.first,
                "toDate": window.last,
                "accountNumbers": _joined(account_numbers),
                "category": category,
            },
            page_size,
        )

    @resource(
        key="account",
        changes=Changes(why_not="A balance is of one day: pull it for each day that you want."),
        fields=(RecordField("account", "string"), RecordField("saldo", "decimal", "the balance")),
    )
    def account_balances(
        self,
        organization_number: OrganizationNumber,
        *,
        date: Annotated[When, Meta(description="the day of the balances")],
        account_numbers: Annotated[
            Iterable[str | int] | str, Meta(description="the accounts; Talenom requires one")
        ],
    ) -> Pull:
        """Pull the balances of accounts on a day."""
        accounts = _joined(account_numbers)
        if accounts is None:
            raise ConfigurationError(
                "Argument 'account_numbers' must name an account.", field="account_numbers"
            )
        path = f"{self._regional}/general-ledger/v1/account-balances/{organization_number}"
        day = values.argument("date", values.day, date, _ZONE).isoformat()
        return Pull(
            request=Request("GET", path, params={"date": day, "accountNumbers": accounts}), paging=Single()
        )

    @resource(
        key="id",
        version="updatedDateUtc",
        window="the date that date_type names",
        whole_days=True,
        changes=Changes(fields=("updatedDateUtc", "createdDateUtc")),
        fields=(
            RecordField("id", "integer"),
            RecordField("organizationNumber", "integer", "Talenom's customer number"),
            RecordField("number", "integer", "the invoice's"),
            RecordField("status", "string"),
            RecordField("type", "string"),
            RecordField("voucherNumber", "integer"),
            RecordField("date", "date"),
            RecordField("dueDate", "date"),
            RecordField("referenceNumber", "string"),
            RecordField("createdDateUtc", "timestamp"),
            RecordField("updatedDateUtc", "timestamp"),
            RecordField("approvedDate", "date"),
            RecordField("sentDate", "date"),
            RecordField("rowVersion", "string", "Talenom's optimistic lock"),
        ),
    )
    def sales_invoices(
        self,
        organization_number: OrganizationNumber,
        *,
        since: Since = None,
        until: Until = None,
        date_type: Annotated[
            str | None, Meta(description="which date since and until speak of, in Talenom's words")
        ] = None,
        status: Annotated[str | None, Meta(description="an invoice status, in Talenom's words")] = None,
        page_size: Annotated[int, Meta(ge=1, description="invoices a page")] = 100,
    ) -> Pull:
        """Pull an organisation's sales invoices."""
        window = days(since, until, zone=_ZONE)
        params = {
            "dateType": date_type,
            "dateStart": window.first,
            "dateEnd": window.last,
            "invoiceStatus": status,
        }
        return Pull(
            request=Request(
                "GET", f"{self._regional}/sales/v1/{organization_number}/invoices", params=params
            ),
            paging=LimitOffset(size=page_size),
        )

    def _paged(self, path: str, params: dict[str, Any], page_size: int) -> Pull:
        return Pull(
            request=Request("GET", path, params=params),
            # The ledger's OpenAPI document describes an index and steps it as an offset in its example.
            paging=PageIndex(
                size=page_size, offset=self._offset, switch="the connection's field 'page_numbering'"
            ),
            total="rowCount",
        )


def _joined(numbers: Iterable[str | int]) -> str | None:
    return ",".join(map(str, numbers)) or None


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
