"""A token endpoint that takes each refresh token once, in a process of its own.

``StrictServer`` starts it and asks it, from the test's side. A refresh token that comes a second time
revokes its whole family, as OAuth 2.1 servers do, and is written down with who sent it and when. The server's
log says of each refresh token whether it is live, and what replaced it, so that a test can ask what an
authorisation still hangs on.

The server may be told to keep back, delay or lose its answers, and a client may ask it by a header to be
killed or stopped at a moment that only the server knows: when its request is there, when its refresh token is
spent, when the answer is sent.

It imports nothing but the standard library, since it is started often.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import secrets
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

# What a client says about itself: its name, and what it wants to have done to it.
WHO = "X-Test-Who"
FAULT = "X-Test-Fault"

RECEIVED, SPENT, ANSWERED = "received", "spent", "answered"
MOMENTS = (RECEIVED, SPENT, ANSWERED)


@dataclass
class Token:
    """A refresh token.

    :param state: live, spent or revoked
    :param spent_by: who sent it first
    """

    family: int
    state: str = "live"
    spent_by: str = ""
    spent_at: float = 0.0
    successor: str = ""


@dataclass
class Asked:
    """One token request, as it was judged.

    :param at: by the system's monotonic clock, which all processes share
    :param outcome: rotated, replayed, leeway, revoked, unknown, minted, wrong client, lost, or a status
    :param answered: whether the whole answer was handed to the network
    """

    at: float
    who: str
    grant: str
    number: int = 0
    token: str = ""
    family: int = 0
    outcome: str = ""
    successor: str = ""
    answered: bool = False


@dataclass
class State:
    """All that the server knows.

    :param leeway: seconds in which a spent refresh token is taken once more and gives the same answer
    :param lifetime: of access tokens
    :param secret: what clients must send; None for any
    :param api_status: what the API answers
    :param script: what happens to the next token requests
    """

    leeway: float = 0.0
    lifetime: float = 1.0
    secret: str | None = None
    api_status: int = 200
    script: list[dict[str, Any]] = field(default_factory=list)
    tokens: dict[str, Token] = field(default_factory=dict)
    access: dict[str, str] = field(default_factory=dict)
    log: list[Asked] = field(default_factory=list)
    families: dict[int, dict[str, Token]] = field(default_factory=dict)
    log_of: dict[int, list[Asked]] = field(default_factory=dict)
    revoked: set[int] = field(default_factory=set)
    api_requests: int = 0
    guard: threading.Lock = field(default_factory=threading.Lock)

    def consent(self) -> dict[str, Any]:
        """Begin a family, as an exchanged authorization code does."""
        with self.guard:
            family = len(self.families) + 1
            self.families[family], self.log_of[family] = {}, []
            return self._issue(family)

    def note(self, asked: Asked, outcome: str) -> None:
        """Write a request down, as soon as it is judged."""
        asked.outcome = outcome
        asked.number = len(self.log) + 1
        self.log.append(asked)
        if asked.family:
            self.log_of[asked.family].append(asked)

    def judge(self, asked: Asked, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """Judge a token request and give the answer's status and members."""
        with self.guard:
            if self.secret is not None and form.get("client_secret") != self.secret:
                self.note(asked, "wrong client")
                return 401, {"error": "invalid_client"}
            if asked.grant != "refresh_token":
                self.note(asked, "minted")
                return 200, self._issue(0)
            token = self.tokens.get(asked.token)
            if token is None:
                self.note(asked, "unknown")
                return 400, {"error": "invalid_grant"}
            if token.state == "live":
                answer = self._issue(token.family)
                token.state, token.spent_by, token.spent_at = "spent", asked.who, asked.at
                token.successor = asked.successor = answer["refresh_token"]
                self.note(asked, "rotated")
                return 200, answer
            if token.state == "spent" and asked.at - token.spent_at < self.leeway:
                successor = self.tokens[token.successor]
                if successor.state == "live":
                    asked.successor = token.successor
                    self.note(asked, "leeway")
                    return 200, self._answer(token.successor)
            if token.family in self.revoked:
                self.note(asked, "revoked")
            else:
                asked.successor = token.successor
                self.note(asked, "replayed")
                self.revoked.add(token.family)
                for other in self.families[token.family].values():
                    if other.state == "live":
                        other.state = "revoked"
            return 400, {"error": "invalid_grant", "error_description": "the authorisation has ended"}

    def _issue(self, family: int) -> dict[str, Any]:
        if not family:
            return self._answer(None)
        name = f"refresh-{family}-{secrets.token_hex(8)}"
        self.tokens[name] = self.families[family][name] = Token(family)
        return self._answer(name)

    def _answer(self, refresh_token: str | None) -> dict[str, Any]:
        access = f"access-{secrets.token_hex(8)}"
        answer = {"access_token": access, "token_type": "Bearer", "expires_in": self.lifetime}
        if refresh_token is not None:
            answer["refresh_token"] = self.access[access] = refresh_token
        return answer


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512
    state: State

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Killed clients are what it is there for."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    server: _Server

    def do_GET(self) -> None:
        state = self.server.state
        if self.path == "/log":
            with state.guard:
                log = [asdict(asked) for asked in state.log]
            self._send(200, {"log": log, "api_requests": state.api_requests})
        elif self.path.startswith("/family/"):
            family = int(self.path.rpartition("/")[2])
            with state.guard:
                mine = {name: asdict(token) for name, token in state.families[family].items()}
                log = [asdict(asked) for asked in state.log_of[family]]
            self._send(200, {"tokens": mine, "log": log})
        else:
            with state.guard:
                state.api_requests += 1
            self._send(state.api_status, {})

    def do_POST(self) -> None:
        state = self.server.state
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        if self.path == "/consent":
            self._send(200, state.consent())
        elif self.path == "/settings":
            with state.guard:
                for name, value in json.loads(body).items():
                    setattr(state, name, value)
            self._send(200, {})
        else:
            self._token(dict(parse_qsl(body)))

    def _token(self, form: dict[str, str]) -> None:
        state = self.server.state
        token = form.get("refresh_token", "")
        with state.guard:
            known = state.tokens.get(token)
            asked = Asked(
                at=time.monotonic(),
                who=self.headers.get(WHO, ""),
                grant=form.get("grant_type", ""),
                token=token,
                family=known.family if known else 0,
            )
            scripted = state.script.pop(0) if state.script else {}
        self._act(asked, form, scripted)

    def _act(self, asked: Asked, form: dict[str, str], scripted: dict[str, Any]) -> None:
        if self._strikes(RECEIVED) or scripted.get("do") == "lose":
            with self.server.state.guard:
                self.server.state.note(asked, "lost")
            self._break()
            return
        if scripted.get("do") == "status":
            with self.server.state.guard:
                self.server.state.note(asked, str(scripted["status"]))
            self._send(scripted["status"], {}, scripted.get("headers"))
            asked.answered = True
            return
        status, answer = self.server.state.judge(asked, form)
        self._strikes(SPENT)
        if scripted.get("do") == "drop":
            self._break()
            return
        if scripted.get("do") == "delay":
            time.sleep(scripted["seconds"])
        with contextlib.suppress(OSError):
            self._send(status, answer)
            self.wfile.flush()
            asked.answered = True
        self._strikes(ANSWERED)

    def _strikes(self, moment: str) -> bool:
        """Do to the client what it has asked for, if this is the moment."""
        how, _, rest = self.headers.get(FAULT, "").partition("@")
        asked, _, process = rest.partition("@")
        if asked != moment:
            return False
        os.kill(int(process), signal.Signals[how])
        return how == "SIGKILL"

    def _break(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def _send(self, status: int, members: Any, headers: dict[str, str] | None = None) -> None:
        content = json.dumps(members).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: Any) -> None:
        pass


class StrictServer:
    """The running server, from the test's side.

    :param port: where it listens
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.origin = f"http://127.0.0.1:{port}"
        self.url = f"{self.origin}/token"

    def consent(self) -> dict[str, Any]:
        """Have a person consent: the members of the answer to the authorization code."""
        answer: dict[str, Any] = self._call("POST", "/consent", {})
        return answer

    def settings(self, **settings: Any) -> None:
        """Change members of :class:`State`, its script too."""
        self._call("POST", "/settings", settings)

    def log(self) -> list[Asked]:
        """Give all token requests so far, in the order in which they were judged."""
        return [Asked(**members) for members in self._call("GET", "/log")["log"]]

    def api_requests(self) -> int:
        """Count the requests to the API."""
        return int(self._call("GET", "/log")["api_requests"])

    def family(self, family: int) -> tuple[dict[str, Token], list[Asked]]:
        """Give the refresh tokens of a family, the oldest first, and the requests with them."""
        members = self._call("GET", f"/family/{family}")
        tokens = {name: Token(**token) for name, token in members["tokens"].items()}
        return tokens, [Asked(**asked) for asked in members["log"]]

    def live(self, family: int) -> str | None:
        """Give the refresh token that the server would take, None where the family is revoked."""
        live = [name for name, token in self.family(family)[0].items() if token.state == "live"]
        assert len(live) <= 1, "a family has one live refresh token at most"
        return live[0] if live else None

    def _call(self, method: str, path: str, members: Any = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, None if members is None else json.dumps(members).encode())
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()


def family_of(refresh_token: str) -> int:
    """Say which family a refresh token belongs to."""
    return int(refresh_token.split("-")[1])


@contextmanager
def running(**settings: Any) -> Iterator[StrictServer]:
    """Run a server for the length of the block.

    :param settings: members of :class:`State`
    """
    command = [sys.executable, "-I", str(Path(__file__).resolve()), json.dumps(settings)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield StrictServer(int(process.stdout.readline()))
        finally:
            process.kill()


def main() -> None:
    """Serve until the parent is gone."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.state = State(**json.loads(sys.argv[1]))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 1}, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.buffer.read()


if __name__ == "__main__":
    main()
