"""OP Corporate Banking: accounts and transactions, on a server that wants a client certificate."""

from __future__ import annotations

import base64
import bisect
import secrets
import uuid
from datetime import date, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_finauth.sandbox import credentials
from airflow_provider_finauth.sandbox.answer import Answer, Refusal
from airflow_provider_finauth.sandbox.api import Api
from airflow_provider_finauth.sandbox.call import Call, Query, check_members
from airflow_provider_finauth.sandbox.tokens import Grant, Office
from airflow_provider_finauth.sandbox.values import (
    FINNISH_COMPANIES,
    TODAY,
    Table,
    cents,
    iban,
    seeded,
    utc,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Name, transactions. The first account's rows fill many pages of either version.
ACCOUNTS = (("Käyttötili", 16_000), ("Verotili", 8_000), ("Valuuttatili", 4_500), ("Talletustili", 1_500))
PAGE_LIMITS = {"v2": 150, "v3": 1000}
FIRST_DAY = date(2024, 1, 1)
FIRST = int(utc(2024).timestamp()) * 1_000_000
SPAN = (TODAY - FIRST_DAY).days * 86_400 * 1_000_000


def _encrypted_token() -> str:
    """Five segments and some 1,200 characters, as an encrypted JWT: nobody can read its end."""
    header = base64.urlsafe_b64encode(b'{"alg":"RSA-OAEP","enc":"A256CBC-HS512","cty":"JWT"}').rstrip(b"=")
    lengths = (256, 16, 548, 32)
    return ".".join([header.decode(), *(secrets.token_urlsafe(length) for length in lengths)])


class OPCorporate(Api):
    """OP's token service and account data API.

    Settings: ``equal_timestamps`` gives the first so many transactions of the last account one timestamp.
    """

    name = "opcorporate"
    prefix = ""
    defaults: ClassVar[dict[str, Any]] = {"expires_in": 900, "equal_timestamps": 0}

    def make_office(self) -> Office:
        return Office(_encrypted_token)

    def endpoints(self) -> Iterator[tuple[str, str, str, Callable[[Call], Answer]]]:
        data = "/corporate-account-data"
        yield "token", "POST", "/corporate-oidc/v1/token", self.token
        yield "api", "GET", f"{data}/v1/accounts", self.accounts
        yield "api", "GET", f"{data}/v1/accounts/{{surrogate}}", self.account
        for version in PAGE_LIMITS:
            yield "api", "GET", f"{data}/{version}/accounts/{{surrogate}}/transactions", self.transactions

    def token(self, call: Call) -> Answer:
        """Client credentials as a form: three members, no scope."""
        try:
            if call.query:
                raise ValueError("no query is expected")
            members = check_members(call.form(), ("grant_type", "client_id", "client_secret"))
        except ValueError as error:
            raise Refusal(400, {"error": "invalid_request", "error_description": str(error)}) from None
        if members["grant_type"] != "client_credentials":
            raise Refusal(400, {"error": "unsupported_grant_type"})
        client = (members["client_id"], members["client_secret"])
        if client != (credentials.OP_CLIENT, credentials.OP_SECRET):
            raise Refusal(403, {"error": "invalid_client"})
        lifetime = self.settings["expires_in"]
        token = self.office.new_access(Grant(client[0]), lifetime)
        return Answer(body={"access_token": token.value, "token_type": "Bearer", "expires_in": lifetime})

    def _enter(self, call: Call) -> None:
        if self.office.bearer(call.headers.get("authorization")) is None:
            raise Refusal(401, {"error": "invalid_token"}, headers={"WWW-Authenticate": "Bearer"})
        request_id = call.headers.get("x-request-id")
        if request_id is not None:
            try:
                uuid.UUID(request_id)
            except ValueError:
                raise self._bad("X-Request-ID must be a UUID") from None

    @staticmethod
    def _bad(sentence: str) -> Refusal:
        return Refusal(400, {"error": "BAD_REQUEST", "message": sentence})

    def _account(self, call: Call) -> int:
        self._enter(call)
        surrogate = call.params["surrogate"]
        for number, account in enumerate(ACCOUNT_TABLE.rows):
            if account["surrogateId"] == surrogate:
                return number
        raise Refusal(404, {"error": "NOT_FOUND", "message": "No such account"})

    def accounts(self, call: Call) -> Answer:
        """All accounts, as a bare array."""
        self._enter(call)
        Query(call, self._bad, ())
        rows = list(ACCOUNT_TABLE.raw)
        return Answer(body=rows, rows=rows)

    def account(self, call: Call) -> Answer:
        """One account."""
        number = self._account(call)
        Query(call, self._bad, ())
        row = ACCOUNT_TABLE.rows[number]
        return Answer(
            body={
                "bic": row["bic"],
                "iban": row["iban"],
                "dueDate": None,
                "ownerId": "2345678-1",
                "currency": "EUR",
                "netBalance": row["balance"],
                "grossBalance": row["balance"],
                "accountName": row["name"],
                "creditLimit": "0.00",
                "intraDayLimit": "0.00",
                "surrogateId": row["surrogateId"],
                "accountOwner": "Esimerkki Oy",
                "creationDate": f"0{number + 1}.02.2019",
            }
        )

    def transactions(self, call: Call) -> Answer:
        """Up to ``maxPast`` rows before a point, and up to ``maxFuture`` from it on, by time.

        The point is a time in microseconds or the ``objectId`` of a transaction, itself included.
        """
        number = self._account(call)
        version = call.path.split("/")[2]
        query = Query(call, self._bad, ("fromTimestamp", "objectId", "maxPast", "maxFuture"))
        limit = PAGE_LIMITS[version]
        past = query.integer("maxPast", 0, maximum=limit)
        future = query.integer("maxFuture", limit - past, maximum=limit)
        if past + future > limit:
            raise self._bad(f"maxPast and maxFuture together are at most {limit}")
        object_id = query.text("objectId")
        if (object_id is None) == (query.text("fromTimestamp") is None):
            raise self._bad("exactly one of fromTimestamp and objectId is needed")
        together = self.settings["equal_timestamps"] if number == len(ACCOUNTS) - 1 else 0
        table, stamps, places = _transactions(number, version, together)
        if object_id is not None:
            if object_id not in places:
                raise Refusal(404, {"error": "NOT_FOUND", "message": "No such transaction"})
            at = places[object_id]
        else:
            at = bisect.bisect_left(stamps, query.integer("fromTimestamp"))
        rows = table.raw[max(0, at - past) : at + future]
        return Answer(body=rows, rows=rows)


def _accounts() -> list[dict[str, Any]]:
    rng = seeded("op/accounts")
    found = []
    for number, (name, _) in enumerate(ACCOUNTS):
        # The bytes are chosen so that the text holds "+" and "/": it must be escaped in a path.
        surrogate = base64.b64encode(b"\xfb\xff\xbe" + rng.randbytes(20) + bytes([number])).decode()
        found.append(
            {
                "bic": "OKOYFIHH",
                "iban": iban("FI", f"5{rng.randrange(10**13):013d}"),
                "name": name,
                "balance": str(cents(rng.randint(10_000, 90_000_000))),
                "currency": "EUR",
                "surrogateId": surrogate,
                "productNames": {"fi": name, "sv": "Konto", "en": "Account"},
                "accountTypeCode": "110",
            }
        )
    return found


ACCOUNT_TABLE = Table(_accounts)


@lru_cache(maxsize=16)
def _transactions(account: int, version: str, together: int) -> tuple[Table, list[int], dict[str, int]]:
    table = Table(lambda: _make_transactions(account, version, together))
    stamps = [row["timestamp"] for row in table.rows]
    return table, stamps, {row["objectId"]: place for place, row in enumerate(table.rows)}


def _make_transactions(account: int, version: str, together: int) -> list[dict[str, Any]]:
    rng = seeded(f"op/transactions/{account}")
    count = ACCOUNTS[account][1]
    own = ACCOUNT_TABLE.rows[account]["iban"]
    partners = [iban("FI", f"1{rng.randrange(10**13):013d}") for _ in FINNISH_COMPANIES]
    balance = 25_000_000
    found = []
    stamp = FIRST
    for n in range(count):
        drawn = FIRST + n * SPAN // count + rng.randrange(SPAN // count)
        # Batches are booked within one microsecond, and some of them lie across the end of a page.
        if 0 < n < together or n % 50 in (48, 49, 0, 1):
            drawn = stamp if n else drawn
        stamp = drawn
        amount = rng.randint(-2_500_000, 2_600_000) or 1
        partner = rng.randrange(len(partners))
        name = FINNISH_COMPANIES[partner]
        booked = (FIRST_DAY + timedelta(microseconds=stamp - FIRST)).isoformat()
        reference = None
        if n % 3 == 0:
            digits = f"{100_000 + n}"
            check = -sum(int(d) * (7, 3, 1)[i % 3] for i, d in enumerate(reversed(digits))) % 10
            reference = f"{digits}{check}"
        row: dict[str, Any] = {
            "amount": str(cents(amount)),
            "balanceBefore": str(cents(balance)),
            "balanceAfter": str(cents(balance + amount)),
            "currency": "EUR",
            "objectId": f"{account + 1}{n:07d}{rng.getrandbits(48):012x}",
            # Longer than a float can hold.
            "archiveId": f"{booked.replace('-', '')}5{rng.randrange(10**11):011d}",
            "bookingDate": booked,
            "valueDate": booked,
            "paymentDate": booked,
            "timestamp": stamp,
            "reference": reference,
            "rfReference": None,
            "message": None if reference else f"Lasku {n + 1}",
            "debtorName": name if amount > 0 else "Esimerkki Oy",
            "debtorAccount": partners[partner] if amount > 0 else own,
            "debtorBic": "NDEAFIHH" if amount > 0 else "OKOYFIHH",
            "creditorName": "Esimerkki Oy" if amount > 0 else name,
            "creditorAccount": own if amount > 0 else partners[partner],
            "creditorBic": "OKOYFIHH" if amount > 0 else "NDEAFIHH",
            "endToEndId": f"E2E{n:08d}" if n % 4 == 0 else None,
            "uetr": None,
            "transactionTypeCode": "710" if amount > 0 else "720",
        }
        if version == "v2":
            row["transactionTypeDescription"] = "Viitesiirto" if reference else "Tilisiirto"
        else:
            row["bookingCode"] = "PMNT"
            row["bookingCodeDescription"] = "Viitesiirto" if reference else "Tilisiirto"
        balance += amount
        found.append(row)
    return found
