"""Landax: a JSON token request with ``grant_type`` in the query, and lists in four dialects."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode

from airflow_provider_finauth.sandbox import credentials
from airflow_provider_finauth.sandbox.answer import Answer, Refusal
from airflow_provider_finauth.sandbox.api import Api
from airflow_provider_finauth.sandbox.call import Call, Query, check_members
from airflow_provider_finauth.sandbox.landax_data import EXPANSIONS, GROWING, MODELS
from airflow_provider_finauth.sandbox.odata import ODataError, parse_filter, parse_names, parse_order
from airflow_provider_finauth.sandbox.tokens import Grant, read_basic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from airflow_provider_finauth.sandbox.table import Table

CAP = 1000
VERSIONS = (20, 24, 25, 28, 32)
CLIENT = {"client_id": credentials.LANDAX_CLIENT, "client_secret": credentials.LANDAX_SECRET}
USER = {"username": credentials.LANDAX_USER, "password": credentials.LANDAX_PASSWORD}
BASIC = (credentials.LANDAX_BASIC_USER, credentials.LANDAX_BASIC_PASSWORD)


class Landax(Api):
    """A Landax tenant.

    Settings: ``rotate_refresh`` gives another refresh token with each refresh, else none comes back;
    ``refuse_refresh`` refuses every refresh; ``plain_errors`` makes the token errors plain text;
    ``content_polls`` is how often a document is not ready yet; ``honour_skip`` can be switched off, and each
    page is then the first.
    """

    name = "landax"
    prefix = "/landax"
    defaults: ClassVar[dict[str, Any]] = {
        "expires_in": 86400,
        "rotate_refresh": True,
        "refuse_refresh": False,
        "plain_errors": False,
        "content_polls": 2,
        "honour_skip": True,
    }
    growing = GROWING
    largest = ("Incidents",)

    def __init__(self, control: Any) -> None:
        super().__init__(control)
        self.reset()

    def reset(self) -> None:
        super().reset()
        self._polls: dict[str, int] = {}

    def endpoints(self) -> Iterator[tuple[str, str, str, Callable[[Call], Answer]]]:
        yield "token", "POST", "/authenticate/token", self.token
        yield "other", "GET", "/api/v{version}/openapi.json", self.openapi
        yield "api", "GET", "/api/v{version}/Documents/GetContent", self.content
        for method in ("GET", "POST", "PUT"):
            yield "api", method, "/api/v{version}/{model}", self.model
        yield "api", "GET", "/odata/v{version}/{model}", self.model

    def token(self, call: Call) -> Answer:
        """A login by password, or a refresh."""
        try:
            if [name for name, _ in call.query] != ["grant_type"]:
                raise ValueError("grant_type, and nothing else, belongs into the query")
            kind = call.query[0][1]
            if kind not in ("password", "refresh_token"):
                raise self._refuse(400, "unsupported_grant_type")
            names = (*CLIENT, *USER) if kind == "password" else (*CLIENT, "refresh_token")
            members = check_members(call.json_object(), names)
        except ValueError as error:
            raise self._refuse(400, "invalid_request", str(error)) from None
        if any(members[name] != value for name, value in CLIENT.items()):
            raise self._refuse(401, "invalid_client")
        if kind == "password":
            if any(members[name] != value for name, value in USER.items()):
                raise self._refuse(400, "invalid_grant", "user name or password is wrong")
            grant = Grant(members["username"], "api")
            return self._tokens(grant, with_refresh=True)
        spent = self.office.refresh.get(members["refresh_token"])
        if spent is None or not spent.good or self.settings["refuse_refresh"]:
            self.control.stats[self.name].replays += spent is not None and spent.revoked
            raise self._refuse(400, "invalid_grant", "the refresh token is not valid")
        rotate = self.settings["rotate_refresh"]
        spent.revoked = rotate
        return self._tokens(spent.grant, with_refresh=rotate)

    def _tokens(self, grant: Grant, *, with_refresh: bool) -> Answer:
        lifetime = self.settings["expires_in"]
        body = {
            "access_token": self.office.new_access(grant, lifetime).value,
            "expires_in": lifetime,
            "token_type": "Bearer",
            "scope": "api",
        }
        if with_refresh:
            body["refresh_token"] = self.office.new_refresh(grant).value
        return Answer(body=body)

    def _refuse(self, status: int, code: str, sentence: str = "") -> Refusal:
        if self.settings["plain_errors"]:
            return Refusal(status, "Login failed", content_type="text/plain; charset=utf-8")
        return Refusal(status, {"error": code, "error_description": sentence or code})

    def _enter(self, call: Call) -> int:
        authorization = call.headers.get("authorization")
        if self.office.bearer(authorization) is None and read_basic(authorization) != BASIC:
            raise Refusal(401, headers={"WWW-Authenticate": "Bearer"})
        return self._version(call)

    def _version(self, call: Call) -> int:
        text = call.params["version"]
        if not (text.isascii() and text.isdigit() and int(text) in VERSIONS):
            raise Refusal(404)
        return int(text)

    @staticmethod
    def _bad(sentence: str) -> Refusal:
        return Refusal(400, {"error": {"code": "BadRequest", "message": sentence}})

    def openapi(self, call: Call) -> Answer:
        """The API's description, for anyone."""
        version = self._version(call)
        return Answer(
            body={
                "openapi": "3.0.1",
                "info": {"title": "Landax", "version": f"v{version}"},
                "paths": {
                    f"/api/v{version}/{model}": {"get": {"responses": {"200": {"description": "OK"}}}}
                    for model in MODELS
                },
            }
        )

    def content(self, call: Call) -> Answer:
        """A document's content, once it has been made."""
        self._enter(call)
        number = Query(call, self._bad).text("documentid", required=True) or ""
        if not number.isdigit() or not 1 <= int(number) <= len(MODELS["Documents"].rows):
            raise Refusal(404)
        self._polls[number] = self._polls.get(number, 0) + 1
        if self._polls[number] <= self.settings["content_polls"]:
            return Answer(202)
        return Answer(body=f"%PDF-1.4\n% document {number}\n%%EOF\n".encode(), content_type="application/pdf")

    def model(self, call: Call) -> Answer:
        """A list, or one record of it by ``Model(key)``."""
        version = self._enter(call)
        found = re.fullmatch(r"([A-Za-z]+)(?:\((\d+)\))?", call.params["model"])
        if found is None or found[1] not in MODELS:
            raise Refusal(404, {"error": {"code": "NotFound", "message": "There is no such resource"}})
        table = MODELS[found[1]]
        try:
            if call.method in ("POST", "PUT"):
                return self._write(call, table, found[2])
            if found[2] is None:
                return self._list(call, version, found[1], table)
            row = self._row(table, found[2])
        except ODataError as error:
            raise self._bad(str(error)) from None
        # Older versions wrap the row, newer ones do not.
        return Answer(body={"value": row} if version < 28 else row)

    @staticmethod
    def _row(table: Table, key: str) -> dict[str, Any]:
        if not 1 <= int(key) <= len(table):
            raise Refusal(404)
        return table.rows[int(key) - 1]

    def _write(self, call: Call, table: Table, key: str | None) -> Answer:
        """Take a new or changed record, and keep it no longer than the answer."""
        try:
            members = call.json_object()
        except ValueError as error:
            raise self._bad(str(error)) from None
        parse_names(",".join(members) or "Id", table.rows[0], "property")
        if (call.method == "PUT") != (key is not None):
            raise Refusal(405)
        if key is not None:
            return Answer(body={**self._row(table, key), **members})
        return Answer(201, {**dict.fromkeys(table.rows[0]), **members, "Id": len(table) + 1})

    def _list(self, call: Call, version: int, model: str, table: Table) -> Answer:
        # The other dialect's names are not refused but overlooked, which is how pulls came to end at 1000.
        standard = "/odata/" in call.path
        dollar = "$" if standard or version <= 25 else ""
        query = Query(call, self._bad)
        everything, fields = table.rows, table.rows[0]
        condition = query.text(f"{dollar}filter")
        order = query.text(f"{dollar}orderby")
        select = query.text(f"{dollar}select")
        expand = query.text(f"{dollar}expand")
        chosen: Sequence[int] | None = None
        if condition is not None:
            test = parse_filter(condition, fields)
            chosen = table.select(condition, test)
        if order is not None:
            chosen = range(len(table)) if chosen is None else chosen
            for name, descending in reversed(parse_order(order, fields)):
                chosen = sorted(
                    chosen,
                    # Empty values come first; the key is used before the loop goes on.
                    key=lambda n: ((value := everything[n][name]) is not None, value or 0),
                    reverse=descending,
                )
        total = len(table) if chosen is None else len(chosen)

        other = dollar == "" and (query.text("from") or query.text("count"))
        skip_name, top_name = ("from", "count") if other else (f"{dollar}skip", f"{dollar}top")
        skip = query.integer(skip_name) if self.settings["honour_skip"] else 0
        top = query.integer(top_name, total)
        size = min(top, CAP)
        places = range(skip, min(skip + size, total))
        numbers = [place if chosen is None else chosen[place] for place in places]
        if select is None and expand is None:
            raw = table.raw
            rows: list[Any] = [raw[number] for number in numbers]
        else:
            rows = [self._shape(everything[number], select, expand) for number in numbers]

        body: dict[str, Any] = {"value": rows}
        if standard:
            body = {"@odata.context": f"{call.origin}/landax/odata/v{version}/$metadata#{model}", **body}
        more = top - size > 0 and skip + size < total
        if more and not other and (standard or version != 28):
            kept = [(name, value) for name, value in call.query if name not in (skip_name, top_name)]
            kept.append((skip_name, str(skip + size)))
            if query.text(top_name) is not None:
                kept.append((top_name, str(top - size)))
            key = "@odata.nextLink" if standard or version < 32 else "nextLink"
            body[key] = f"{call.origin}{call.path}?{urlencode(kept)}"
        return Answer(body=body, rows=rows, keys=[(model, number) for number in numbers])

    @staticmethod
    def _shape(row: dict[str, Any], select: str | None, expand: str | None) -> dict[str, Any]:
        shaped = row
        if select is not None:
            shaped = {name: row[name] for name in parse_names(select, row, "property")}
        if expand is not None:
            known = [name for name, (field, _) in EXPANSIONS.items() if field in row]
            shaped = dict(shaped)
            for name in parse_names(expand, known, "navigation property"):
                field, model = EXPANSIONS[name]
                number = row[field]
                shaped[name] = None if number is None else MODELS[model].rows[number - 1]
        return shaped
