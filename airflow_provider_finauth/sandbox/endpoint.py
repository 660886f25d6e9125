"""An endpoint as ASGI sees it: counting, failing as told, sending."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_finauth.sandbox.answer import Answer, Refusal
from airflow_provider_finauth.sandbox.call import FORM, Call, read_call
from airflow_provider_finauth.sandbox.control import PUBLIC_HEADERS, SECRET_MEMBERS, digest
from airflow_provider_finauth.sandbox.faults import ALTERING, INSTEAD, Fault

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from airflow_provider_finauth.sandbox.control import Control
    from airflow_provider_finauth.sandbox.tokens import Office

NEXT_KEYS = ("@odata.nextLink", "nextLink", "next")


class Endpoint:
    """One endpoint as an ASGI application.

    :param where: ``token``, ``api`` or ``other``: how requests are counted
    """

    def __init__(
        self,
        control: Control,
        office: Office,
        api: str,
        where: str,
        template: str,
        handler: Callable[[Call], Answer],
    ) -> None:
        self._control = control
        self._office = office
        self._api = api
        self._where = where
        self._template = template
        self._handler = handler
        self._previous: Answer | None = None
        control.resets.append(self._forget)

    def _forget(self) -> None:
        self._previous = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        call = await read_call(scope, receive)
        stats = self._control.stats[self._api]
        endpoint = f"{call.method} {self._template}"
        stats.requests[self._where] += 1
        stats.endpoints[endpoint] += 1
        entry = _describe(call, self._where, self._template)
        stats.log.append(entry)

        target = f"{call.path}?{call.query_string}"
        fault = self._control.faults.take(self._api, self._where, call.method, target, call.body)
        if fault is not None:
            stats.faults += 1
            entry["fault"] = fault.kind
        call.fault = fault

        if self._where == "api" and (latency := self._control.settings[self._api]["latency"]):
            await asyncio.sleep(latency)
        answer = await self._outcome(call, fault, receive, send)
        if answer is None:
            return

        entry["status"] = answer.status
        if answer.status >= 400:
            stats.refusals += 1
        broken = fault is not None and fault.kind in ("truncate", "invalid_json")
        if answer.rows is not None and answer.status == 200 and not broken:
            keys = map(_key, answer.rows) if answer.keys is None else answer.keys
            stats.count_records(endpoint, keys, len(answer.rows))
        await _send(send, answer, call.method, truncated=fault is not None and fault.kind == "truncate")

    async def _outcome(self, call: Call, fault: Fault | None, receive: Any, send: Any) -> Answer | None:
        """The answer, or what a fault makes of it; None if nothing is to be sent."""
        if fault is not None and fault.kind in INSTEAD:
            done = self._answer(call) if fault.when == "after" else None
            instead = await _fail_instead(fault, receive, send)
            return (done or self._answer(call)) if fault.kind == "slow" else instead
        if fault is not None and fault.kind == "expire_tokens":
            self._office.expire_all()
        answer = self._answer(call)
        if fault is not None and fault.kind in ALTERING:
            return self._alter(fault, call, answer)
        if answer.status == 200 and answer.rows is not None:
            self._previous = answer
        return answer

    def _answer(self, call: Call) -> Answer:
        before = len(self._office.access)
        try:
            answer = self._handler(call)
        except Refusal as refusal:
            answer = refusal.answer
        except Exception as error:
            # A mistake of the sandbox, not of its caller: say so where a test will see it.
            answer = Answer(500, {"sandbox_failed": repr(error)})
        self._control.stats[self._api].tokens_issued += len(self._office.access) - before
        return answer

    def _alter(self, fault: Fault, call: Call, answer: Answer) -> Answer:
        body = answer.body if isinstance(answer.body, dict) else {}
        if fault.kind == "redirect":
            location = fault.url or _foreign(call)
            return Answer(fault.status or 302, headers={"Location": location})
        if fault.kind == "cycle":
            return self._previous or answer
        if fault.kind == "wrong_content_type":
            answer.content_type = fault.content_type
        elif fault.kind == "invalid_json":
            encoded = answer.encoded()
            answer.body = encoded[: len(encoded) // 2]
        elif fault.kind == "no_token":
            body.pop("access_token", None)
        elif fault.kind == "token_answer":
            for name, value in fault.members.items():
                if value is None:
                    body.pop(name, None)
                else:
                    body[name] = value
        elif fault.kind == "drop_rows" and answer.rows:
            del answer.rows[-fault.rows :]
            if answer.keys is not None:
                del answer.keys[-fault.rows :]
        elif fault.kind == "foreign_next_link":
            key = next((key for key in NEXT_KEYS if body.get(key)), "nextLink")
            link = body.get(key) or f"{call.origin}{call.path}?{call.query_string}"
            body[key] = fault.url or link.replace(call.origin, _foreign(call, path=""), 1)
        elif fault.kind == "graphql_partial":
            data = body.get("data") or {}
            name = fault.field or next(iter(data), "data")
            data[name] = None
            error: dict[str, Any] = {"message": "This part is not available.", "path": [name]}
            if fault.code:
                error["extensions"] = {"code": fault.code}
            body["errors"] = [error]
        return answer


def _foreign(call: Call, path: str | None = None) -> str:
    """The same address under another name of this machine: another origin, yet our own server."""
    port = call.headers.get("host", "").rpartition(":")[2]
    name = "127.0.0.1" if call.headers.get("host", "").startswith("localhost") else "localhost"
    return f"{call.scheme}://{name}:{port}{call.path if path is None else path}"


def _key(row: Any) -> int:
    """What tells a record from others; one that has changed is another."""
    return hash(bytes(row)) if isinstance(row, msgspec.Raw) else id(row)


def _members(call: Call) -> dict[str, Any]:
    if not call.body:
        return {}
    try:
        found = call.form() if call.media_type == FORM else json.loads(call.body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _veil(name: str, value: Any) -> Any:
    return digest(str(value)) if name in SECRET_MEMBERS else value


def _describe(call: Call, where: str, template: str) -> dict[str, Any]:
    """What the log keeps of a request: enough to check it exactly, and no secret."""
    headers = {}
    for name, value in call.headers.items():
        scheme, space, rest = value.partition(" ")
        if name in PUBLIC_HEADERS:
            headers[name] = value
        elif name == "authorization" and space:
            headers[name] = f"{scheme} {digest(rest)}"
        else:
            headers[name] = digest(value)
    members = _members(call)
    return {
        "where": where,
        "method": call.method,
        "path": call.path,
        "template": template,
        "query": [[name, _veil(name, value)] for name, value in call.query],
        "content_type": call.headers.get("content-type"),
        "body_members": sorted(members),
        "body": {name: _veil(name, value) for name, value in members.items()},
        "header_names": sorted(call.headers),
        "headers": headers,
        "connection": call.client[1],
        "status": None,
        "fault": None,
    }


async def _fail_instead(fault: Fault, receive: Any, send: Any) -> Answer | None:
    """Do what the fault says before any answer, and return the answer, or None if there is to be none."""
    if fault.kind == "slow":
        await asyncio.sleep(fault.seconds)
    elif fault.kind == "hang":
        while (await receive())["type"] != "http.disconnect":
            pass
        return None
    elif fault.kind == "reset":
        _reset(send)
        return None
    elif fault.kind == "html":
        page = "<!DOCTYPE html><html><body><h1>Under maintenance</h1></body></html>"
        return Answer(200, page, dict(fault.headers), "text/html; charset=utf-8")
    elif fault.kind == "status":
        kind = "text/plain; charset=utf-8" if isinstance(fault.body, str) else "application/json"
        return Answer(fault.status or 500, fault.body, dict(fault.headers), kind)
    return Answer(200)


def _transport(send: Any) -> Any:
    # uvicorn hands over a bound method of the exchange, which knows its connection.
    return send.__self__.transport


def _reset(send: Any) -> None:
    transport = _transport(send)
    number = transport.get_extra_info("socket").fileno()
    copy = socket.fromfd(number, socket.AF_INET, socket.SOCK_STREAM)
    with copy:
        # Closing without lingering sends RST: what a proxy that dies looks like.
        copy.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def _send(send: Callable[[Any], Awaitable[None]], answer: Answer, method: str, truncated: bool) -> None:
    body = answer.encoded()
    headers = {"content-length": str(len(body))}
    if body and answer.content_type:
        headers["content-type"] = answer.content_type
    headers.update({name.lower(): value for name, value in answer.headers.items()})
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": raw})
    if truncated:
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        with suppress(OSError):
            _transport(send).close()
        return
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})
