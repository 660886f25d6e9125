"""An OAuth 2.0 API of no vendor: every grant, and every way to page."""

from __future__ import annotations

import base64
import binascii
import bisect
from datetime import UTC, datetime
from operator import itemgetter
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode

from airflow_provider_finauth.sandbox import credentials
from airflow_provider_finauth.sandbox.answer import Answer, Refusal
from airflow_provider_finauth.sandbox.api import METHODS, Api
from airflow_provider_finauth.sandbox.call import Call, Query, check_members
from airflow_provider_finauth.sandbox.consent import is_loopback, redirect
from airflow_provider_finauth.sandbox.table import Table
from airflow_provider_finauth.sandbox.tokens import Grant, basic_matches, read_basic, s256
from airflow_provider_finauth.sandbox.values import moment, money, seeded, stamp, utc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CLIENT = (credentials.GENERIC_CLIENT, credentials.GENERIC_SECRET)
USER = (credentials.GENERIC_USER, credentials.GENERIC_PASSWORD)
GRANT_MEMBERS: dict[str, tuple[str, ...]] = {
    "client_credentials": (),
    "password": ("username", "password"),
    "authorization_code": ("code", "redirect_uri", "code_verifier"),
    "refresh_token": ("refresh_token",),
}


def _items() -> list[dict[str, Any]]:
    rng = seeded("generic/items")
    return [
        {
            "id": n + 1,
            "name": f"Item {n + 1}",
            "amount": money(rng, 100, 99_999),
            "updatedAt": moment(utc(2026), (n // 3) * 600),
        }
        for n in range(2500)
    ]


def _another_item(row: dict[str, Any], n: int, count: int) -> dict[str, Any]:
    # However many there are, the last one was changed before October ended.
    apart = min(600, 300 * 86_400 // (count // 3 + 1))
    return {"id": n + 1, "name": f"Item {n + 1}", "updatedAt": moment(utc(2026), (n // 3) * apart)}


def _touched_item(at: datetime, new: bool) -> dict[str, Any]:
    return {"updatedAt": stamp(at)}


ITEMS = Table(_items, vary=_another_item, touch=_touched_item, order=itemgetter("updatedAt"))


class Generic(Api):
    """A generic API.

    Settings: ``body_encoding`` of the token request is ``form``, ``json`` or ``any``; ``rotate_refresh``
    gives another refresh token with each refresh and ends the old one.
    """

    name = "generic"
    prefix = "/generic"
    defaults: ClassVar[dict[str, Any]] = {"expires_in": 3600, "body_encoding": "form", "rotate_refresh": True}
    growing: ClassVar[dict[str, Table]] = {"items": ITEMS}
    largest = ("items",)

    def endpoints(self) -> Iterator[tuple[str, str, str, Callable[[Call], Answer]]]:
        yield "token", "POST", "/oauth2/token", self.token
        yield "other", "GET", "/oauth2/authorize", self.authorize
        for path in ("items", "pages", "offsets", "links", "keyset"):
            yield "api", "GET", f"/{path}", getattr(self, path)
        for method in METHODS:
            yield "api", method, "/echo", self.echo

    def authorize(self, call: Call) -> Answer:
        """Consent at once, with PKCE."""
        asked = dict(call.query)
        redirect_uri = asked.get("redirect_uri")
        if redirect_uri is None or asked.get("client_id") != CLIENT[0] or not is_loopback(redirect_uri):
            raise Refusal(400, {"error": "invalid_request"})
        state = asked.get("state")
        challenge = asked.get("code_challenge")
        if asked.get("response_type") != "code" or (
            challenge and asked.get("code_challenge_method") != "S256"
        ):
            return redirect(redirect_uri, error="invalid_request", state=state)
        details = {"redirect_uri": redirect_uri, "challenge": challenge}
        code = self.office.new_code(Grant("a person", asked.get("scope", ""), details), 600)
        return redirect(redirect_uri, code=code.value, state=state)

    def token(self, call: Call) -> Answer:
        """All grants of RFC 6749 but the implicit one."""
        members = self._members(call)
        kind = members["grant_type"]
        if kind == "client_credentials":
            return self._tokens(Grant(CLIENT[0], members.get("scope", "")), with_refresh=False)
        if kind == "password":
            if (members["username"], members["password"]) != USER:
                raise Refusal(400, {"error": "invalid_grant"})
            return self._tokens(Grant(USER[0], members.get("scope", "")))
        if kind == "authorization_code":
            code = self.office.codes.pop(members["code"], None)
            if code is None or not code.good:
                raise Refusal(400, {"error": "invalid_grant"})
            details = code.grant.details
            challenge = details["challenge"]
            verifier = members.get("code_verifier")
            proven = challenge == (s256(verifier) if verifier else None)
            if details["redirect_uri"] != members.get("redirect_uri") or not proven:
                raise Refusal(400, {"error": "invalid_grant"})
            return self._tokens(code.grant)
        spent = self.office.refresh.get(members["refresh_token"])
        if spent is None or not spent.good:
            self.control.stats[self.name].replays += spent is not None
            raise Refusal(400, {"error": "invalid_grant"})
        spent.revoked = rotate = self.settings["rotate_refresh"]
        return self._tokens(spent.grant, with_refresh=rotate)

    def _members(self, call: Call) -> dict[str, str]:
        encoding = self.settings["body_encoding"]
        try:
            json_body = encoding == "json" or (encoding == "any" and call.media_type == "application/json")
            members = call.json_object() if json_body else call.form()
            kind = members.get("grant_type")
            if kind not in GRANT_MEMBERS:
                raise Refusal(400, {"error": "unsupported_grant_type"})
            authorization = call.headers.get("authorization")
            in_body = authorization is None
            needed = ["grant_type", *(("client_id", "client_secret") if in_body else ())]
            # Of a code's members PKCE may have been left out; its absence is judged with the code.
            needed += [name for name in GRANT_MEMBERS[kind] if name != "code_verifier"]
            extra = {"scope", "audience", "resource", "code_verifier"}
            check_members(
                members, needed, extra if kind == "authorization_code" else extra - {"code_verifier"}
            )
        except ValueError as error:
            raise Refusal(400, {"error": "invalid_request", "error_description": str(error)}) from None
        given = (members.get("client_id"), members.get("client_secret"))
        if not (given == CLIENT if in_body else basic_matches(authorization, *CLIENT)):
            raise Refusal(
                401, {"error": "invalid_client"}, headers={"WWW-Authenticate": 'Basic realm="sandbox"'}
            )
        return members

    def _tokens(self, grant: Grant, *, with_refresh: bool = True) -> Answer:
        lifetime = self.settings["expires_in"]
        body: dict[str, Any] = {
            "access_token": self.office.new_access(grant, lifetime).value,
            "token_type": "Bearer",
            "expires_in": lifetime,
        }
        if grant.scope:
            body["scope"] = grant.scope
        if with_refresh:
            body["refresh_token"] = self.office.new_refresh(grant).value
        return Answer(body=body, headers={"Cache-Control": "no-store"})

    @staticmethod
    def _bad(sentence: str) -> Refusal:
        return Refusal(400, {"error": "bad_request", "error_description": sentence})

    def _enter(self, call: Call) -> None:
        authorization = call.headers.get("authorization")
        allowed = (
            self.office.bearer(authorization) is not None
            or authorization == f"Bearer {credentials.GENERIC_KEY}"
            or call.headers.get("x-api-key") == credentials.GENERIC_KEY
            or read_basic(authorization) == USER
        )
        if not allowed:
            raise Refusal(401, {"error": "invalid_token"}, headers={"WWW-Authenticate": "Bearer"})

    def items(self, call: Call) -> Answer:
        """By cursor."""
        self._enter(call)
        query = Query(call, self._bad, ("cursor", "limit"))
        size = query.integer("limit", 100, minimum=1, maximum=1000)
        cursor = query.text("cursor")
        try:
            start = int(base64.urlsafe_b64decode(cursor)) if cursor else 0
        except (ValueError, binascii.Error):
            raise self._bad("cursor is not valid") from None
        rows = list(ITEMS.raw[start : start + size])
        following = start + size
        after = base64.urlsafe_b64encode(str(following).encode()).decode()
        return Answer(body={"data": rows, "cursor": after if following < len(ITEMS) else None}, rows=rows)

    def pages(self, call: Call) -> Answer:
        """By page number, from 0, with totals."""
        self._enter(call)
        query = Query(call, self._bad, ("pageIndex", "pageSize"))
        size = query.integer("pageSize", 100, minimum=1, maximum=1000)
        index = query.integer("pageIndex")
        rows = list(ITEMS.raw[index * size : (index + 1) * size])
        total = len(ITEMS)
        body = {"results": rows, "pageIndex": index, "pageCount": -(-total // size), "rowCount": total}
        return Answer(body=body, rows=rows)

    def offsets(self, call: Call) -> Answer:
        """By limit and offset, with a total."""
        self._enter(call)
        query = Query(call, self._bad, ("limit", "offset"))
        start = query.integer("offset")
        rows = list(ITEMS.raw[start : start + query.integer("limit", 100, minimum=1, maximum=1000)])
        return Answer(body={"items": rows, "total": len(ITEMS)}, rows=rows)

    def links(self, call: Call) -> Answer:
        """By a link to the next page in the body."""
        self._enter(call)
        query = Query(call, self._bad, ("start", "limit"))
        start = query.integer("start")
        size = query.integer("limit", 100, minimum=1, maximum=1000)
        rows = list(ITEMS.raw[start : start + size])
        body: dict[str, Any] = {"value": rows}
        if start + size < len(ITEMS):
            body["next"] = f"{call.origin}{call.path}?{urlencode({'start': start + size, 'limit': size})}"
        return Answer(body=body, rows=rows)

    def keyset(self, call: Call) -> Answer:
        """By time, from ``since`` on; three items share each moment."""
        self._enter(call)
        query = Query(call, self._bad, ("since", "limit"))
        since = query.moment("since", or_day=True) or datetime.min.replace(tzinfo=UTC)
        size = query.integer("limit", 100, minimum=1, maximum=1000)
        start = bisect.bisect_left(
            ITEMS.rows, since, key=lambda row: datetime.fromisoformat(row["updatedAt"])
        )
        rows = list(ITEMS.raw[start : start + size])
        return Answer(body=rows, rows=rows)

    def echo(self, call: Call) -> Answer:
        """What was asked, without its secrets."""
        self._enter(call)
        return Answer(body={"method": call.method, "headers": sorted(call.headers), "query": call.query})
