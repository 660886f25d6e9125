"""OP Corporate Banking: accounts and transactions, on a server that wants a client certificate."""

from __future__ import annotations

import base64
import bisect
import secrets
import uuid
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_finauth.sandbox import credentials
from airflow_provider_finauth.sandbox import opcorporate_data as data
from airflow_provider_finauth.sandbox.answer import Answer, Refusal
from airflow_provider_finauth.sandbox.api import Api
from airflow_provider_finauth.sandbox.call import Call, Query, check_members
from airflow_provider_finauth.sandbox.tokens import Grant, Office

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PAGE_LIMITS = {"v2": 150, "v3": 1000}


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
    growing = data.GROWING
    largest = ("transactions/0",)

    def make_office(self) -> Office:
        return Office(_encrypted_token)

    def endpoints(self) -> Iterator[tuple[str, str, str, Callable[[Call], Answer]]]:
        base = "/corporate-account-data"
        yield "token", "POST", "/corporate-oidc/v1/token", self.token
        yield "api", "GET", f"{base}/v1/accounts", self.accounts
        yield "api", "GET", f"{base}/v1/accounts/{{surrogate}}", self.account
        for version in PAGE_LIMITS:
            yield "api", "GET", f"{base}/{version}/accounts/{{surrogate}}/transactions", self.transactions

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
        for number, account in enumerate(data.ACCOUNT_TABLE.rows):
            if account["surrogateId"] == surrogate:
                return number
        raise Refusal(404, {"error": "NOT_FOUND", "message": "No such account"})

    def accounts(self, call: Call) -> Answer:
        """All accounts, as a bare array."""
        self._enter(call)
        Query(call, self._bad, ())
        rows = list(data.ACCOUNT_TABLE.raw)
        return Answer(body=rows, rows=rows)

    def account(self, call: Call) -> Answer:
        """One account."""
        number = self._account(call)
        Query(call, self._bad, ())
        row = data.ACCOUNT_TABLE.rows[number]
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
        together = self.settings["equal_timestamps"] if number == len(data.ACCOUNTS) - 1 else 0
        table = data.transactions(number, version, together)
        if object_id is not None:
            found = data.place_of(number, object_id)
            if found is None:
                raise Refusal(404, {"error": "NOT_FOUND", "message": "No such transaction"})
            at = found
        else:
            at = bisect.bisect_left(table.rows, query.integer("fromTimestamp"), key=data.by_time)
        rows = list(table.raw[max(0, at - past) : at + future])
        return Answer(body=rows, rows=rows)
