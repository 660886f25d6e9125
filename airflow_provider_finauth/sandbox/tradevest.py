"""Tradevest's Partner API: two token endpoints, cursors, and a Requestor-ID on commands."""

from __future__ import annotations

import base64
import binascii
import uuid
from datetime import datetime
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_finauth.sandbox import credentials
from airflow_provider_finauth.sandbox import tradevest_data as data
from airflow_provider_finauth.sandbox.answer import Answer, Refusal
from airflow_provider_finauth.sandbox.api import Api
from airflow_provider_finauth.sandbox.call import Call, Query, check_members
from airflow_provider_finauth.sandbox.table import Table
from airflow_provider_finauth.sandbox.tokens import Grant
from airflow_provider_finauth.sandbox.values import seeded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ENTITY_NAMES = ("searchText", "entityType", "entityStatus", "role", "limit", "cursor")
CHANGELOG_NAMES = ("limit", "cursor", "orderDirection", "startDate", "endDate")


@lru_cache(maxsize=64)
def _orders(product: str) -> Table:
    return Table(lambda: data.orders(product))


class Tradevest(Api):
    """Tradevest's authentication host and API in one.

    Settings: ``end`` is how the last page says so: ``null``, ``missing``, ``empty`` or ``repeat`` (the same
    cursor again, with a page without data behind it).
    """

    name = "tradevest"
    prefix = "/tradevest"
    defaults: ClassVar[dict[str, Any]] = {"expires_in": 3600, "end": "null"}
    growing = data.GROWING
    largest = ("transactions", "entities-changelog")

    def __init__(self, control: Any) -> None:
        super().__init__(control)
        self.reset()

    def reset(self) -> None:
        super().reset()
        self._external_ids: set[str] = set()

    def endpoints(self) -> Iterator[tuple[str, str, str, Callable[[Call], Answer]]]:
        yield "token", "POST", "/oauth2/token", self.token
        yield "token", "POST", "/connect/token", self.token
        yield "api", "GET", "/prices", partial(self.plain, rows=data.PRICES)
        yield "api", "GET", "/products", partial(self.plain, rows=data.PRODUCTS)
        yield "api", "GET", "/transactions", self.transactions
        yield "api", "GET", "/transactions/{id}", self.transaction
        yield "api", "GET", "/customers/{id}/products", self.customer_products
        yield "api", "GET", "/products/{id}/digital/orders", self.orders
        yield "api", "GET", "/entities", partial(self.entities, kind=None)
        yield "api", "GET", "/entities/natural-persons", partial(self.entities, kind="NATURAL_PERSON")
        yield "api", "GET", "/entities/legal-entities", partial(self.entities, kind="LEGAL_ENTITY")
        yield "api", "GET", "/entities/identification-verifications", self.verifications
        for kind in data.CHANGELOGS:
            yield "api", "GET", f"/{kind}-changelog", partial(self.changelog, kind=kind)
        # The commands that need no Requestor-ID: there may be nobody yet to request them.
        for path in (
            "natural-persons",
            "natural-persons/wizards",
            "legal-entities",
            "legal-entities/prepare",
        ):
            yield "api", "POST", f"/entities/{path}", partial(self.command, exempt=True)
        for path in ("/products/{id}/digital/orders", "/transfers", "/webhooks", "/entities/{id}/addresses"):
            yield "api", "POST", path, self.command
        yield "api", "DELETE", "/webhooks/{id}", self.command

    def token(self, call: Call) -> Answer:
        """Client credentials as a form: without scope on one path, with it on the other."""
        connect = call.path.endswith("/connect/token")
        names = ["grant_type", "client_id", "client_secret", *(["scope"] if connect else [])]
        try:
            if call.query:
                raise ValueError("no query is expected")
            members = check_members(call.form(), names)
        except ValueError:
            raise Refusal(400, {"error": "invalid_request"}) from None
        if members["grant_type"] != "client_credentials":
            raise Refusal(400, {"error": "unsupported_grant_type"})
        client = (members["client_id"], members["client_secret"])
        if client != (credentials.TRADEVEST_CLIENT, credentials.TRADEVEST_SECRET):
            # 400, not 401: so the vendor's reference says.
            raise Refusal(400, {"error": "invalid_client"})
        if connect and members["scope"] != credentials.TRADEVEST_SCOPE:
            raise Refusal(400, {"error": "invalid_request"})
        lifetime = self.settings["expires_in"]
        token = self.office.new_access(Grant(client[0]), lifetime)
        return Answer(body={"access_token": token.value, "token_type": "Bearer", "expires_in": lifetime})

    @staticmethod
    def _message(sentence: str, status: int = 400, field: str | None = None) -> Refusal:
        """The vendor's ``ErrorMessage``."""
        details = [{"field": field, "errors": [{"code": "INVALID", "parameter": None, "message": sentence}]}]
        return Refusal(
            status,
            {
                "message": sentence,
                "responseType": {404: "NOT_FOUND", 409: "CONFLICT"}.get(status, "BAD_REQUEST"),
                "requestId": str(uuid.UUID(int=seeded(sentence).getrandbits(128))),
                "validationString": None,
                "errorCode": None,
                "errorDetails": details if field else [],
            },
        )

    def _enter(self, call: Call, *, requestor: bool = False) -> None:
        if self.office.bearer(call.headers.get("authorization")) is None:
            raise Refusal(401, {"message": "Unauthorized"})
        if requestor and not call.headers.get("requestor-id"):
            raise self._message("The header Requestor-ID is missing", field="Requestor-ID")

    def not_found(self, call: Call) -> Answer:
        self._enter(call)
        raise self._message("No such resource", 404)

    def plain(self, call: Call, rows: list[dict[str, Any]]) -> Answer:
        """A list without pages."""
        self._enter(call)
        Query(call, self._message, ())
        kept = list(rows)
        return Answer(body={"data": kept}, rows=kept)

    def _page(
        self, query: Query, table: Table, chosen: Sequence[int] | None, required: bool = False
    ) -> Answer:
        """One page and the cursor of the next."""
        size = query.integer("limit", 20, minimum=1, maximum=1000, required=required)
        start = self._position(query.text("cursor"))
        numbers: Sequence[int] = range(len(table)) if chosen is None else chosen
        raw = table.raw
        rows = [raw[number] for number in numbers[start : start + size]]
        pagination: dict[str, Any] = {"cursor": _cursor(start + size), "limit": size}
        if start + size >= len(numbers):
            end = self.settings["end"]
            if end == "missing":
                del pagination["cursor"]
            elif end == "repeat":
                pagination["cursor"] = _cursor(len(numbers))
            else:
                pagination["cursor"] = None if end == "null" else ""
        return Answer(body={"data": rows, "pagination": pagination}, rows=rows)

    def _position(self, cursor: str | None) -> int:
        if cursor is None:
            return 0
        try:
            return int(base64.urlsafe_b64decode(cursor).decode().removeprefix("after:"))
        except (ValueError, binascii.Error):
            raise self._message("The cursor is not valid", field="cursor") from None

    def transactions(self, call: Call) -> Answer:
        """All transactions."""
        self._enter(call)
        return self._page(Query(call, self._message, ("cursor", "limit")), data.TRANSACTIONS, None)

    def transaction(self, call: Call) -> Answer:
        """One transaction."""
        self._enter(call)
        for row in data.TRANSACTIONS.rows:
            if row["transactionId"] == call.params["id"]:
                return Answer(body=row)
        raise self._message("No such transaction", 404)

    def customer_products(self, call: Call) -> Answer:
        """A customer's products, as a bare array."""
        self._enter(call)
        for number, row in enumerate(data.ENTITIES.rows):
            if row["id"] == call.params["id"]:
                rows = data.customer_products(number)
                return Answer(body=rows, rows=rows, keys=[row["customerProductId"] for row in rows])
        raise self._message("No such customer", 404)

    def orders(self, call: Call) -> Answer:
        """Digital orders of one customer product."""
        self._enter(call)
        product = call.params["id"]
        if product not in data.PRODUCT_IDS:
            raise self._message("No such product", 404)
        names = ("cursor", "limit", "externalId", "startCreatedOn", "endCreatedOn")
        query = Query(call, self._message, names)
        external = query.text("externalId")
        since, until = query.moments("startCreatedOn", "endCreatedOn")
        table = _orders(product)
        chosen = table.select(
            (external, since, until),
            lambda row: external in (None, row["externalId"]) and _created_within(row, since, until),
        )
        return self._page(query, table, chosen)

    def entities(self, call: Call, kind: str | None) -> Answer:
        """Persons and companies."""
        self._enter(call)
        query = Query(call, self._message, ENTITY_NAMES)
        text = (query.text("searchText") or "").lower()
        kind = kind or query.choice("entityType", ("NATURAL_PERSON", "LEGAL_ENTITY"))
        status = query.choice("entityStatus", ("ACTIVE", "PENDING", "CLOSED"))
        role = query.text("role")
        chosen = data.ENTITIES.select(
            (text, kind, status, role),
            lambda row: (
                text in row["name"].lower()
                and kind in (None, row["entityType"])
                and status in (None, row["entityStatus"])
                and (role is None or role in row["roles"])
            ),
        )
        return self._page(query, data.ENTITIES, chosen)

    def verifications(self, call: Call) -> Answer:
        """A read that names its requestor."""
        self._enter(call, requestor=True)
        rows = [{"entityId": row["id"], "status": "VERIFIED"} for row in data.ENTITIES.rows[:50]]
        return Answer(body={"data": rows}, rows=rows, keys=[row["entityId"] for row in rows])

    def changelog(self, call: Call, kind: str) -> Answer:
        """What changed, oldest first unless asked otherwise."""
        self._enter(call)
        query = Query(call, self._message, CHANGELOG_NAMES)
        since, until = query.moments("startDate", "endDate")
        table = data.CHANGELOG_TABLES[kind]
        chosen = table.select((since, until), lambda row: _created_within(row, since, until))
        if query.choice("orderDirection", ("ASC", "DESC"), "ASC") == "DESC":
            chosen = chosen[::-1]
        return self._page(query, table, chosen, required=True)

    def command(self, call: Call, *, exempt: bool = False) -> Answer:
        """Something to be done, later; an ``externalId`` serves once."""
        self._enter(call, requestor=not exempt)
        if call.method == "DELETE":
            return Answer(204)
        try:
            members = call.json_object()
        except ValueError as error:
            raise self._message(str(error)) from None
        external = members.get("externalId")
        if external is not None:
            if external in self._external_ids:
                raise self._message("The externalId was used before", 409, "externalId")
            self._external_ids.add(external)
        number = uuid.UUID(int=seeded(f"{call.path}{call.body!r}").getrandbits(128))
        return Answer(201, {"id": str(number), "externalId": external, "status": "RECEIVED"})


def _created_within(row: dict[str, Any], since: datetime | None, until: datetime | None) -> bool:
    """Both ends count in: "on or after", "on or before"."""
    created = datetime.fromisoformat(row["createdOn"])
    return (since is None or created >= since) and (until is None or created <= until)


def _cursor(position: int) -> str:
    return base64.urlsafe_b64encode(f"after:{position}".encode()).decode()
