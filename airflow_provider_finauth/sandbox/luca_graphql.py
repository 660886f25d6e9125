"""Luca's GraphQL: a real schema over the made-up books."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from graphql import GraphQLError, GraphQLSchema, build_schema, execute, parse, validate

from airflow_provider_finauth.sandbox import luca_data as data

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graphql import DocumentNode

MAX_PAGE = 100
PAGING = "first: Int, last: Int, after: String, before: String"
NODES = ("Company", "SaleInvoice", "SaleCustomer", "SaleProduct", "BookkeepingJournal")

SDL = f"""
type Query {{
  companies({PAGING}): CompanyConnection
  company(id: ID!): Company
  saleInvoices(companyId: ID, {PAGING}): SaleInvoiceConnection
  saleInvoice(companyId: ID, id: ID!): SaleInvoice
  saleCustomers(companyId: ID, {PAGING}): SaleCustomerConnection
  saleProducts(companyId: ID, {PAGING}): SaleProductConnection
  bookkeepingJournals(companyId: ID, {PAGING}): BookkeepingJournalConnection
  bookkeepingJournal(companyId: ID, id: ID!): BookkeepingJournal
}}
type Mutation {{
  saleInvoiceCreate(companyId: ID, input: SaleInvoiceInput!): SaleInvoicePayload
  saleInvoiceSend(companyId: ID, id: ID!): SaleInvoicePayload
}}
input SaleInvoiceInput {{ saleCustomerId: ID! invoiceDate: String! paymentDays: Int }}
type SaleInvoicePayload {{ saleInvoice: SaleInvoice }}
type PageInfo {{ hasPreviousPage: Boolean! hasNextPage: Boolean! startCursor: String endCursor: String }}
type Company {{ id: ID! name: String! organisationNumber: Int! }}
type SaleInvoice {{
  id: ID! invoiceNumber: Int draft: Boolean! finalized: Boolean! invoiceDate: String dueDate: String
  paymentDays: Int sentAt: String paid: Boolean! totalCents: Int! bookkeepingJournal: BookkeepingJournal
  saleCustomer: SaleCustomer saleInvoiceLineItems: [SaleInvoiceLineItem!]!
}}
type SaleInvoiceLineItem {{
  id: ID! name: String quantity: Int unit: String unitPriceCents: Int saleProduct: SaleProduct
}}
type SaleCustomer {{
  id: ID! name: String email: String comment: String active: Boolean! organisationNumber: Int
}}
type SaleProduct {{ id: ID! name: String active: Boolean! unitPriceCents: Int }}
type BookkeepingJournal {{ id: ID! journalDate: String description: String postings: [Posting!]! }}
type Posting {{ id: ID! postingLines: [PostingLine!]! }}
type PostingLine {{ id: ID! amountCents: Int! debitAccount: Account creditAccount: Account }}
type Account {{ id: ID! code: Int! subCode: String name: String }}
""" + "".join(
    f"type {node}Connection {{ nodes: [{node}] edges: [{node}Edge] pageInfo: PageInfo! }}\n"
    f"type {node}Edge {{ cursor: String! node: {node} }}\n"
    for node in NODES
)


@dataclass
class Visitor:
    """Who asks, what for, and what was served.

    :param companies: positions of the companies that the consent or key covers
    :param bound: the company of a personal key, which may leave ``companyId`` out
    :param arriving: invoices that come in before the next list is read
    """

    companies: list[int]
    bound: int | None
    may_write: bool
    refuse_large_pages: bool
    arriving: int = 0
    served: list[tuple[str, str]] = field(default_factory=list)

    def company(self, company_id: str | None) -> int:
        """The company that is asked about, by id or organisation number."""
        if company_id is None:
            if self.bound is None:
                raise problem("companyId is required", "BAD_REQUEST")
            return self.bound
        for number in self.companies:
            row = data.COMPANIES.rows[number]
            if company_id in (row["id"], str(row["organisationNumber"])):
                return number
        raise problem("There is no access to this company", "FORBIDDEN")


def add_invoice(company: int, **values: Any) -> dict[str, Any]:
    """Take in a new invoice."""
    table = data.INVOICES[company]
    row = {**table.kept[0], "id": f"new{company}{len(table):x}", **values}
    table.insert(row)
    return row


def problem(message: str, code: str, **extensions: Any) -> GraphQLError:
    """An error with Luca's code."""
    return GraphQLError(message, extensions={"code": code, **extensions})


def to_cursor(position: int) -> str:
    """A cursor is a position, in base64 without padding."""
    return base64.b64encode(str(position).encode()).decode().rstrip("=")


def _position(cursor: str) -> int:
    try:
        return int(base64.b64decode(cursor + "=" * (-len(cursor) % 4), validate=True))
    except (ValueError, binascii.Error):
        raise problem("The cursor is not valid", "BAD_REQUEST") from None


def connection(visitor: Visitor, kind: str, rows: Sequence[dict[str, Any]], paging: dict[str, Any]) -> Any:
    """A page of a Relay connection."""
    first, last = paging.get("first"), paging.get("last")
    for size in (first, last):
        if size is not None and (size < 0 or (size > MAX_PAGE and visitor.refuse_large_pages)):
            raise problem(f"A page has at most {MAX_PAGE} nodes", "BAD_REQUEST")
    start = _position(paging["after"]) if paging.get("after") else 0
    end = min(len(rows), _position(paging["before"]) - 1 if paging.get("before") else len(rows))
    start = min(max(start, 0), len(rows))
    if first is not None or last is None:
        end = min(end, start + min(MAX_PAGE if first is None else first, MAX_PAGE))
    if last is not None:
        start = max(start, end - min(last, MAX_PAGE))
    chosen = rows[start:end]
    visitor.served += [(kind, row["id"]) for row in chosen]
    return {
        "nodes": chosen,
        "edges": [
            {"cursor": to_cursor(place), "node": row} for place, row in enumerate(chosen, start=start + 1)
        ],
        "pageInfo": {
            "hasPreviousPage": start > 0,
            "hasNextPage": end < len(rows),
            "startCursor": to_cursor(start + 1) if chosen else None,
            "endCursor": to_cursor(end) if chosen else None,
        },
    }


def _find(rows: Sequence[dict[str, Any]], wanted: str) -> dict[str, Any]:
    for row in rows:
        if row["id"] == wanted:
            return row
    raise problem("There is no such record", "NOT_FOUND")


def _companies(_: Any, info: Any, **paging: Any) -> Any:
    rows = [data.COMPANIES.rows[number] for number in info.context.companies]
    return connection(info.context, "company", rows, paging)


def _company(_: Any, info: Any, id: str) -> Any:  # the schema's name
    return data.COMPANIES.rows[info.context.company(id)]


def _sale_invoices(_: Any, info: Any, companyId: str | None = None, **paging: Any) -> Any:
    company = info.context.company(companyId)
    while info.context.arriving:
        info.context.arriving -= 1
        add_invoice(company)
    return connection(info.context, "saleInvoice", data.INVOICES[company].rows, paging)


def _sale_invoice(_: Any, info: Any, id: str, companyId: str | None = None) -> Any:
    return _find(data.INVOICES[info.context.company(companyId)].rows, id)


def _list_of(kind: str, tables: Any) -> Any:
    def resolve(_: Any, info: Any, companyId: str | None = None, **paging: Any) -> Any:
        return connection(info.context, kind, tables[info.context.company(companyId)].rows, paging)

    return resolve


def _journal(_: Any, info: Any, id: str, companyId: str | None = None) -> Any:
    return _find(data.JOURNALS[info.context.company(companyId)].rows, id)


def _writable(info: Any, company_id: str | None) -> int:
    company: int = info.context.company(company_id)
    if not info.context.may_write:
        raise problem("This token may only read", "FORBIDDEN")
    return company


def _create(_: Any, info: Any, input: dict[str, Any], companyId: str | None = None) -> Any:
    company = _writable(info, companyId)
    buyers = {row["id"]: row for row in data.CUSTOMERS[company].rows}
    buyer = buyers.get(input["saleCustomerId"])
    if buyer is None:
        details = [{"field": "saleCustomerId", "message": "There is no such customer"}]
        raise problem("The invoice is not valid", "VALIDATION_FAILED", details=details)
    values: dict[str, Any] = {
        "invoiceNumber": None,
        "draft": True,
        "finalized": False,
        "sentAt": None,
        "paid": False,
    }
    values |= {"saleCustomer": buyer, "invoiceDate": input["invoiceDate"], "bookkeepingJournal": None}
    return {"saleInvoice": add_invoice(company, **values)}


def _send(_: Any, info: Any, id: str, companyId: str | None = None) -> Any:
    company = _writable(info, companyId)
    row = _find(data.INVOICES[company].rows, id)
    return {"saleInvoice": {**row, "draft": False, "finalized": True, "sentAt": "2026-11-01T09:00:00Z"}}


@lru_cache(maxsize=1)
def schema() -> GraphQLSchema:
    """The schema with its resolvers."""
    built = build_schema(SDL)
    resolvers = {
        "companies": _companies,
        "company": _company,
        "saleInvoices": _sale_invoices,
        "saleInvoice": _sale_invoice,
        "saleCustomers": _list_of("saleCustomer", data.CUSTOMERS),
        "saleProducts": _list_of("saleProduct", data.PRODUCTS),
        "bookkeepingJournals": _list_of("bookkeepingJournal", data.JOURNALS),
        "bookkeepingJournal": _journal,
    }
    assert built.query_type is not None
    assert built.mutation_type is not None
    for name, resolver in resolvers.items():
        built.query_type.fields[name].resolve = resolver
    built.mutation_type.fields["saleInvoiceCreate"].resolve = _create
    built.mutation_type.fields["saleInvoiceSend"].resolve = _send
    return built


@lru_cache(maxsize=64)
def _document(query: str) -> DocumentNode | list[dict[str, Any]]:
    """The query, parsed and checked, or what is wrong with it."""
    try:
        document = parse(query)
    except GraphQLError as error:
        return [_formatted(error)]
    errors = validate(schema(), document)
    return [_formatted(error) for error in errors] if errors else document


def _formatted(error: GraphQLError) -> dict[str, Any]:
    found: dict[str, Any] = dict(error.formatted)
    return {**found, "extensions": {"code": "BAD_REQUEST", **found.get("extensions", {})}}


def answer(visitor: Visitor, query: str, variables: Any, operation: str | None) -> dict[str, Any]:
    """Execute a document, and return the body of the answer."""
    document = _document(query)
    if isinstance(document, list):
        return {"errors": document}
    result: Any = execute(
        schema(), document, context_value=visitor, variable_values=variables, operation_name=operation
    )
    body: dict[str, Any] = {"data": result.data}
    if result.errors:
        body["errors"] = [_formatted(error) for error in result.errors]
    return body
