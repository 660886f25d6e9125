"""The loopback server of one probe: a token endpoint, an API, and a second origin, all counting.

It runs in the runner's process, never in that of the library under test. What it does is set by a
:class:`Script`, and may be changed in the middle of a probe through :class:`Control`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import struct
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote_plus

if TYPE_CHECKING:
    from collections.abc import Iterator

CLIENT_ID = "matrix-client"
CLIENT_SECRET = "S3cret+of/the=client"
OTHER_SECRET = "0ther+secret/of=it"
SEED = "seed-refresh-4711"
PASSWORD = "pass+word/of=user"
API_KEY = "subscription-key-8bd1"
USER = "matrix-user"

# Sent in place of an answer.
CUT = "cut"
SILENCE = "silence"


@dataclass
class Script:
    """What a probe's server does.

    :param delay: seconds before each token answer, so that callers meet
    :param lifetime: ``expires_in`` of each token
    :param first_lifetime: that of the first token, if it differs
    :param rotates: whether each refresh gives a new refresh token; a spent one ends the whole family
    :param omits: whether a refresh's answer leaves the refresh token out
    :param leeway: seconds in which a spent refresh token is taken once more
    :param answers: what to answer the next token requests with: an object of members that replace or, where
        they are null, remove those of a good answer; a text to send as HTML; ``CUT`` or ``SILENCE``
    :param processed: whether a request whose answer is cut is processed first
    :param api: what to answer the next API requests with: a status, and headers
    :param refuses_all: whether the API answers 401 to everything
    """

    delay: float = 0.05
    lifetime: float = 3600
    first_lifetime: float | None = None
    rotates: bool = False
    omits: bool = False
    leeway: float = 0.0
    answers: list[Any] = field(default_factory=list)
    processed: bool = True
    api: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    refuses_all: bool = False


@dataclass
class Seen:
    """What has happened so far, in a form that goes through JSON."""

    token_requests: list[dict[str, Any]] = field(default_factory=list)
    api_requests: list[dict[str, Any]] = field(default_factory=list)
    foreign_requests: list[dict[str, Any]] = field(default_factory=list)
    replays: int = 0
    revoked: bool = False

    def good_api(self) -> int:
        """Count the API requests that were answered with 200."""
        return sum(1 for request in self.api_requests if request["status"] == 200)


class Site:
    """A probe's servers and their state.

    :param script: what they do
    """

    def __init__(self, script: Script) -> None:
        self.script = script
        self.seen = Seen()
        self.over = threading.Event()
        self._guard = threading.Lock()
        self._number = 0
        self._access: dict[str, float] = {}
        self._current = SEED
        self._spent: dict[str, float] = {}
        self._issued: list[str] = []
        self._servers: list[_Server] = []
        handlers = (_TokenHandler, _ApiHandler, _ForeignHandler, _ControlHandler)
        self.token_port, self.api_port, self.foreign_port, self.control_port = map(self._serve, handlers)

    @property
    def address(self) -> dict[str, str]:
        """Give the addresses, as a probe is told them."""
        host = "http://127.0.0.1"
        return {
            "token_url": f"{host}:{self.token_port}/token",
            "api_url": f"{host}:{self.api_port}",
            "foreign_url": f"{host}:{self.foreign_port}",
            "control_url": f"{host}:{self.control_port}",
        }

    def close(self) -> None:
        """Stop serving."""
        self.over.set()
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def grant(self, form: dict[str, str], secret: str | None) -> tuple[int, Any]:
        """Answer a token request."""
        with self._guard:
            script, seen = self.script, self.seen
            spent = form.get("refresh_token")
            seen.token_requests.append({"at": time.time(), "grant": form.get("grant_type"), "spent": spent})
            special = script.answers.pop(0) if script.answers else None
            if special == SILENCE or (special == CUT and not script.processed):
                return 0, special
            if secret != CLIENT_SECRET:
                # As Entra, Keycloak and others put it.
                return 401, {"error": "invalid_client", "error_description": "Client authentication failed."}
            if spent is not None and not self._take(spent):
                return 400, {"error": "invalid_grant", "error_description": "The refresh token is not valid."}
            answer = self._issue(form)
            if special == CUT or isinstance(special, str):
                return 0 if special == CUT else 200, special
            for name, value in (special or {}).items():
                if value is None:
                    answer.pop(name, None)
                else:
                    answer[name] = value
            return 200, answer

    def call(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, dict[str, str]]:
        """Answer an API request."""
        with self._guard:
            script, now = self.script, time.time()
            token = headers.get("authorization", "").removeprefix("Bearer ")
            ends = self._access.get(token)
            answer: dict[str, str] = {}
            if script.refuses_all or ends is None or now > ends:
                status = 401
                answer["WWW-Authenticate"] = 'Bearer error="invalid_token"'
            elif script.api and path != "/redirect":
                status, answer = script.api.pop(0)
                answer = dict(answer)
                if "Retry-After-Date" in answer:
                    date = now + float(answer.pop("Retry-After-Date"))
                    answer["Retry-After"] = formatdate(date, usegmt=True)
            elif path == "/redirect":
                status, answer = 302, {"Location": f"{self.address['foreign_url']}/landing"}
            else:
                status = 200
            self.seen.api_requests.append(
                {
                    "at": now,
                    "method": method,
                    "path": path,
                    "status": status,
                    "authorization": headers.get("authorization"),
                    "key": headers.get("x-api-key"),
                    "known": ends is not None,
                }
            )
            return status, answer

    def control(self, order: dict[str, Any]) -> Any:
        """Do what a probe asks for in its midst."""
        with self._guard:
            match order["do"]:
                case "revoke":
                    self._access.clear()
                case "end":
                    self.seen.revoked = True
                case "static":
                    self._number += 1
                    token = f"access-static-{self._number}"
                    self._access[token] = time.time() + 3600
                    return token
                case "script":
                    names = {each.name for each in fields(Script)}
                    for name, value in order["changes"].items():
                        assert name in names, name
                        setattr(self.script, name, value)
                case "issued":
                    return self._issued
                case "seen":
                    return vars(self.seen)
                case other:
                    raise ValueError(other)
            return None

    def _take(self, refresh_token: str) -> bool:
        """Take a refresh token; a replay beyond the leeway ends the family, as OAuth 2.1 section 6.1 asks."""
        if self.seen.revoked:
            return False
        if refresh_token == self._current:
            return True
        if time.time() - self._spent.get(refresh_token, 0.0) <= self.script.leeway:
            return True
        if refresh_token in self._spent:
            self.seen.replays += 1
            self.seen.revoked = True
            self._access.clear()
        return False

    def _issue(self, form: dict[str, str]) -> dict[str, Any]:
        script = self.script
        self._number += 1
        access = f"access-{self._number}-e29f1c"
        lifetime = script.lifetime
        if self._number == 1 and script.first_lifetime is not None:
            lifetime = script.first_lifetime
        self._access[access] = time.time() + max(lifetime, 0.0)
        self._issued.append(access)
        # Whole seconds are sent as such: few servers send 3600.0, and that is a scenario of its own.
        sent = int(lifetime) if float(lifetime).is_integer() else lifetime
        answer = {"access_token": access, "token_type": "Bearer", "expires_in": sent}
        if form.get("grant_type") != "client_credentials":
            if script.rotates:
                self._spent[self._current] = time.time()
                self._current = f"refresh-{self._number}-7a41d0"
            if not (script.omits and form.get("grant_type") == "refresh_token"):
                answer["refresh_token"] = self._current
                self._issued.append(self._current)
        if "openid" in form.get("scope", ""):
            answer["id_token"] = _id_token()
            answer["scope"] = form["scope"]
        return answer

    def _serve(self, handler: type[_Handler]) -> int:
        server = _Server(("127.0.0.1", 0), handler)
        server.site = self
        self._servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return int(server.server_port)


@contextmanager
def running(script: Script) -> Iterator[Site]:
    """Run a probe's servers for the length of the block."""
    site = Site(script)
    try:
        yield site
    finally:
        site.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    block_on_close = False
    site: Site

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that gives up is what some scenarios want."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def names(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.headers.items()}

    def answer(
        self,
        status: int,
        content: bytes,
        kind: str = "application/json",
        headers: dict[str, str] | None = None,
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    def log_message(self, *args: Any) -> None:
        pass


class _TokenHandler(_Handler):
    def do_GET(self) -> None:
        """Tell what OpenID Connect's discovery asks for: msal wants it."""
        here = f"https://127.0.0.1:{self.server.server_port}"
        self.answer(
            200,
            json.dumps(
                {
                    "issuer": here,
                    "authorization_endpoint": f"{here}/authorize",
                    "token_endpoint": f"{here}/token",
                }
            ).encode(),
        )

    def do_POST(self) -> None:
        site = self.server.site
        form = {name: values[0] for name, values in parse_qs(self.body().decode()).items()}
        status, answer = site.grant(form, _secret(form, self.names().get("authorization", "")))
        site.over.wait(site.script.delay)
        if answer == SILENCE:
            site.over.wait(120)
            self.close_connection = True
        elif answer == CUT:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        elif isinstance(answer, str):
            self.answer(status, answer.encode(), "text/html")
        else:
            self.answer(status, json.dumps(answer).encode())


class _ApiHandler(_Handler):
    def do_GET(self) -> None:
        self.body()
        if self.path == "/silence":
            self.server.site.seen.api_requests.append({"at": time.time(), "path": "/silence", "status": 0})
            self.server.site.over.wait(120)
            self.close_connection = True
            return
        status, headers = self.server.site.call(self.command, self.path, self.names())
        self.answer(status, b'[{"id": 1}]' if status == 200 else b'{"message": "no"}', headers=headers)

    do_POST = do_GET


class _ForeignHandler(_Handler):
    def do_GET(self) -> None:
        self.server.site.seen.foreign_requests.append(self.names())
        self.answer(200, b'[{"id": 1}]')


class _ControlHandler(_Handler):
    def do_POST(self) -> None:
        self.answer(200, json.dumps(self.server.site.control(json.loads(self.body()))).encode())


def _secret(form: dict[str, str], authorization: str) -> str | None:
    """Read the client's secret from the body or from Basic, form-encoded first or not."""
    if authorization.startswith("Basic "):
        pair = base64.b64decode(authorization.removeprefix("Basic ")).decode()
        secret = pair.partition(":")[2]
        return secret if secret == CLIENT_SECRET else unquote_plus(secret)
    return form.get("client_secret")


def _id_token() -> str:
    """Make an ID token: msal knows whose refresh token it has by nothing else."""
    now = int(time.time())
    claims = {"iss": "https://127.0.0.1", "aud": CLIENT_ID, "sub": USER, "iat": now, "exp": now + 3600}
    parts = ({"alg": "HS256", "typ": "JWT"}, claims)
    signed = ".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts
    )
    signature = base64.urlsafe_b64encode(hashlib.sha256(signed.encode()).digest()).decode().rstrip("=")
    return f"{signed}.{signature}"
