"""Talenom: client credentials plus a gateway key, both looked at on each call."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_finauth.sandbox import credentials
from airflow_provider_finauth.sandbox import talenom_data as data
from airflow_provider_finauth.sandbox.answer import Answer, Refusal
from airflow_provider_finauth.sandbox.api import Api
from airflow_provider_finauth.sandbox.call import Call, Query, check_members
from airflow_provider_finauth.sandbox.tokens import Grant
from airflow_provider_finauth.sandbox.values import cents, seeded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import msgspec

    from airflow_provider_finauth.sandbox.table import Table

VOUCHER_NAMES = (
    "id", "dateFrom", "dateTo", "category", "voucherState", "pageIndex", "pageSize", "includePostings",
)  # fmt: skip
INVOICE_NAMES = (
    "limit", "offset", "dateType", "dateStart", "dateEnd", "sortType", "sortDirect", "contactId", "invoiceId",
    "invoiceNumber", "invoiceStatus",
)  # fmt: skip


class Talenom(Api):
    """Talenom's identity provider and API gateway.

    Settings: ``page_numbering`` is ``index`` (pages) or ``offset`` (rows): Talenom's documents say both.
    """

    name = "talenom"
    prefix = "/talenom"
    defaults: ClassVar[dict[str, Any]] = {"expires_in": 3600, "page_numbering": "index"}
    growing = data.GROWING
    largest = ("vouchers/14222", "general-ledger-events/14222", "invoices/14222")

    def endpoints(self) -> Iterator[tuple[str, str, str, Callable[[Call], Answer]]]:
        yield "token", "POST", "/api/b2b/oauth2/v1.0/token", self.token
        # The organisation API has no region.
        yield "api", "GET", "/organization/v2/accounting-periods/{organization}", self.periods
        ledger = "/{region}/general-ledger"
        yield "api", "GET", f"{ledger}/v2/vouchers/{{organization}}", self.vouchers
        yield "api", "GET", f"{ledger}/v1/vouchers/{{organization}}", self.bare_vouchers
        yield "api", "GET", f"{ledger}/v1/general-ledger-events/{{organization}}", self.events
        yield "api", "GET", f"{ledger}/v1/account-balances/{{organization}}", self.balances
        yield "api", "GET", f"{ledger}/v1/chart-of-accounts/used-accounts/{{organization}}", self.accounts
        yield "api", "GET", "/{region}/sales/v1/{organization}/invoices", self.invoices
        yield "api", "GET", "/{region}/sales/v1/{organization}/contacts", self.contacts
        yield "api", "POST", "/{region}/sales/v1/{organization}/contacts", self.new_contact

    def token(self, call: Call) -> Answer:
        """Client credentials as a form, with the scope that Talenom has given."""
        try:
            if call.query:
                raise ValueError("no query is expected")
            names = ("grant_type", "client_id", "client_secret", "scope")
            members = check_members(call.form(), names)
        except ValueError as error:
            raise Refusal(400, {"error": "invalid_request", "error_description": str(error)}) from None
        if members["grant_type"] != "client_credentials":
            raise Refusal(400, {"error": "unsupported_grant_type"})
        client = (members["client_id"], members["client_secret"])
        if client != (credentials.TALENOM_CLIENT, credentials.TALENOM_SECRET):
            raise Refusal(401, {"error": "invalid_client"})
        if not set(members["scope"].split()) <= set(credentials.TALENOM_SCOPE.split()):
            raise Refusal(400, {"error": "invalid_scope"})
        lifetime = self.settings["expires_in"]
        token = self.office.new_access(Grant(client[0], members["scope"]), lifetime)
        return Answer(
            body={"access_token": token.value, "token_type": "Bearer", "expires_in": lifetime},
            headers={"Cache-Control": "no-store"},
        )

    def _enter(self, call: Call) -> int:
        """Pass the gateway, then the API, and return the organisation's number."""
        key = call.headers.get("ocp-apim-subscription-key")
        if key != credentials.TALENOM_SUBSCRIPTION_KEY:
            fault = "invalid" if key else "missing"
            # The gateway's 401 looks like a stale token's, but for its body.
            raise Refusal(
                401,
                {"statusCode": 401, "message": f"Access denied: the subscription key is {fault}."},
                headers={"WWW-Authenticate": 'AzureApiManagementKey realm="sandbox",type="header"'},
            )
        token = self.office.bearer(call.headers.get("authorization"))
        if token is None:
            raise Refusal(401, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
        need = "b2b.organization.read"
        if "/general-ledger/" in call.path:
            need = "b2b.ledger.read"
        elif "/sales/" in call.path:
            need = "b2b.sales.read"
        if need not in token.grant.scope.split():
            raise Refusal(403)
        if call.params.get("region", "fi") not in ("fi", "se"):
            raise Refusal(404, {"statusCode": 404, "message": "Resource not found"})
        text = call.params["organization"]
        if not (text.isascii() and text.isdigit()):
            raise self._bad("organizationNumber must be an integer")
        if int(text) == data.FORBIDDEN_ORGANIZATION:
            raise Refusal(403)
        if int(text) not in data.ORGANIZATIONS:
            raise Refusal(404)
        return int(text)

    @staticmethod
    def _bad(sentence: str) -> Refusal:
        telemetry = uuid.UUID(int=seeded(sentence).getrandbits(128)).hex
        return Refusal(400, {"error": sentence, "code": "BadRequest", "telemetryId": telemetry})

    def _page(
        self, query: Query, table: Table, chosen: Sequence[int] | None, required: bool = False
    ) -> Answer:
        """One page in Talenom's envelope."""
        size = query.integer("pageSize", 100, minimum=1, maximum=10_000, required=required)
        index = query.integer("pageIndex", required=required)
        offset = self.settings["page_numbering"] == "offset"
        start = index if offset else index * size
        total = len(table.rows) if chosen is None else len(chosen)
        rows = _rows(table, chosen, start, size)
        body = {
            "currentPage": index,
            "pageCount": -(-total // size),
            "pageSize": size,
            "rowCount": total,
            "results": rows,
        }
        return Answer(body=body, rows=rows)

    def periods(self, call: Call) -> Answer:
        """Accounting periods, with their bookkeeping periods if asked for."""
        organization = self._enter(call)
        names = ("pageIndex", "pageSize", "includeBookkeepingPeriods", "locked", "sortByDateAscending")
        query = Query(call, self._bad, names)
        nested = query.boolean("includeBookkeepingPeriods")
        table = (data.PERIODS if nested else data.PLAIN_PERIODS)[organization]
        locked = None if query.text("locked") is None else query.boolean("locked")
        chosen = table.select(locked, lambda row: locked in (None, row["locked"]))
        if query.boolean("sortByDateAscending"):
            chosen = chosen[::-1]
        return self._page(query, table, chosen)

    def _voucher_choice(self, call: Call) -> tuple[Query, Table, Sequence[int] | None]:
        organization = self._enter(call)
        query = Query(call, self._bad, VOUCHER_NAMES)
        since, until = query.days("dateFrom", "dateTo")
        states, categories = set(query.many("voucherState")), set(query.many("category"))
        if unknown := states - set(data.STATES) or categories - set(data.CATEGORIES):
            raise self._bad(f"unknown value {min(unknown)}")
        if not all(value.isdigit() for value in query.many("id")):
            raise self._bad("id must be integers")
        ids = set(map(int, query.many("id")))
        tables = data.VOUCHERS if query.boolean("includePostings") else data.PLAIN_VOUCHERS
        table = tables[organization]
        if not (since or until or states or categories or ids):
            return query, table, None

        def wanted(row: dict[str, Any]) -> bool:
            return (
                (since is None or row["voucherDate"] >= since)
                and (until is None or row["voucherDate"] <= until)
                and (not states or row["voucherState"] in states)
                and (not categories or row["category"] in categories)
                and (not ids or row["id"] in ids)
            )

        key = (since, until, frozenset(states), frozenset(categories), frozenset(ids))
        return query, table, table.select(key, wanted)

    def vouchers(self, call: Call) -> Answer:
        """Vouchers, in an envelope."""
        query, table, chosen = self._voucher_choice(call)
        return self._page(query, table, chosen)

    def bare_vouchers(self, call: Call) -> Answer:
        """Vouchers, as a bare array."""
        query, table, chosen = self._voucher_choice(call)
        answer = self._page(query, table, chosen)
        return Answer(body=answer.rows, rows=answer.rows)

    def events(self, call: Call) -> Answer:
        """Ledger events; page and size must be given."""
        organization = self._enter(call)
        names = ("pageIndex", "pageSize", "fromDate", "toDate", "accountNumbers", "category")
        query = Query(call, self._bad, names)
        since, until = query.days("fromDate", "toDate")
        accounts = frozenset(filter(None, (query.text("accountNumbers") or "").split(",")))
        category = query.choice("category", data.CATEGORIES)
        table = data.EVENTS[organization]
        chosen = None
        if since or until or accounts or category:
            chosen = table.select(
                (since, until, accounts, category),
                lambda row: (
                    (since is None or row["voucherDate"] >= since)
                    and (until is None or row["voucherDate"] <= until)
                    and (not accounts or row["accountNumber"] in accounts)
                    and category in (None, row["category"])
                ),
            )
        return self._page(query, table, chosen, required=True)

    def balances(self, call: Call) -> Answer:
        """Balances of some accounts on a day."""
        organization = self._enter(call)
        query = Query(call, self._bad, ("date", "accountNumbers"))
        until = query.day("date", required=True)
        accounts = (query.text("accountNumbers", required=True) or "").split(",")
        totals = dict.fromkeys(accounts, cents(0))
        for row in data.EVENTS[organization].rows:
            if row["voucherDate"] <= until and row["accountNumber"] in totals:
                totals[row["accountNumber"]] += row["debet"] - row["credit"]
        rows = [{"account": account, "saldo": total} for account, total in totals.items()]
        return Answer(body=rows, rows=rows, keys=[(organization, account) for account in totals])

    def accounts(self, call: Call) -> Answer:
        """Accounts in use between two days."""
        organization = self._enter(call)
        query = Query(call, self._bad, ("fromDate", "toDate"))
        query.days("fromDate", "toDate", required=True)
        rows = [{"number": number, "name": name} for number, name in data.ACCOUNTS.items()]
        return Answer(body=rows, rows=rows, keys=[(organization, number) for number in data.ACCOUNTS])

    def invoices(self, call: Call) -> Answer:
        """Sales invoices, as a bare array, by limit and offset."""
        organization = self._enter(call)
        query = Query(call, self._bad, INVOICE_NAMES)
        kind = query.choice("dateType", ("date", "dueDate", "createdDateUtc", "updatedDateUtc"), "date") or ""
        since, until = query.days("dateStart", "dateEnd")
        status = query.text("invoiceStatus")
        numbers = {
            "contactId": query.text("contactId") and query.integer("contactId"),
            "id": query.text("invoiceId") and query.integer("invoiceId"),
            "number": query.text("invoiceNumber") and query.integer("invoiceNumber"),
        }
        table = data.INVOICES[organization]
        chosen: Sequence[int] = table.select(
            (kind, since, until, status, *numbers.values()),
            lambda row: (
                (since is None or row[kind][:10] >= since)
                and (until is None or row[kind][:10] <= until)
                and status in (None, row["status"])
                and all(value is None or row[name] == value for name, value in numbers.items())
            ),
        )
        order = query.choice("sortType", ("number", "date", "updatedDateUtc"))
        descending = query.choice("sortDirect", ("asc", "desc"), "asc") == "desc"
        if order is not None:
            chosen = sorted(chosen, key=lambda number: (table.rows[number][order], number))
        return self._limited(query, table, chosen[::-1] if descending else chosen)

    def contacts(self, call: Call) -> Answer:
        """Customers, as a bare array, by limit and offset."""
        organization = self._enter(call)
        return self._limited(Query(call, self._bad, ("limit", "offset")), data.CONTACTS[organization], None)

    def new_contact(self, call: Call) -> Answer:
        """Take a new customer, and keep it no longer than the answer."""
        organization = self._enter(call)
        try:
            members = call.json_object()
        except ValueError as error:
            raise self._bad(str(error)) from None
        if not members.get("name"):
            raise self._bad("name is required")
        return Answer(201, {**members, "id": organization * 1000 + 999, "rowVersion": "AAAAAAAC000003E7"})

    @staticmethod
    def _limited(query: Query, table: Table, chosen: Sequence[int] | None) -> Answer:
        limit = query.integer("limit", 100, minimum=1, maximum=1000)
        rows = _rows(table, chosen, query.integer("offset"), limit)
        return Answer(body=rows, rows=rows)


def _rows(table: Table, chosen: Sequence[int] | None, start: int, size: int) -> list[msgspec.Raw]:
    raw = table.raw
    if chosen is None:
        return list(raw[start : start + size])
    return [raw[number] for number in chosen[start : start + size]]
