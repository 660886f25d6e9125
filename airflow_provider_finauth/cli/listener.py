"""Waiting on this machine for the browser to come back (RFC 8252 section 7.3)."""

from __future__ import annotations

import contextlib
import queue
import socket
import socketserver
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Self
from urllib.parse import parse_qsl, urlsplit

from airflow_provider_finauth.exceptions import ConfigurationError, FinauthError
from airflow_provider_finauth.transport.origins import is_loopback

_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>finauth</title></head>
<body><p>{sentence}</p></body>
</html>
"""
_DONE = "The answer has arrived. You may close this window; the terminal tells how it went."
_STRAY = "This is not the answer that the terminal waits for."

# A browser that opens a connection and sends nothing is let go of.
_REQUEST_SECONDS = 15.0


def is_loopback_redirect(redirect_uri: str) -> bool:
    """Tell whether a redirect comes to this machine by plain HTTP, so that it can be listened for."""
    parts = urlsplit(redirect_uri)
    return parts.scheme == "http" and is_loopback(parts.hostname or "")


class Listener:
    """Listens at a redirect URI for the length of a ``with`` block.

    Only a GET of its very path, at a name of this machine, that brings a code or an error counts. Others, a
    browser's favicon, another program's probe, are turned away and do not end the wait.

    :param redirect_uri: plain HTTP on a loopback address
    :param belongs: whether parameters belong to the flow that is waited for; others are reported and ignored
    :param report: told of them in a sentence, from another thread
    :param port: where to listen, if not at the redirect URI's own port: for a port that is forwarded
    :raises FinauthError: the port is taken
    """

    def __init__(
        self,
        redirect_uri: str,
        *,
        belongs: Callable[[Mapping[str, str]], bool],
        report: Callable[[str], None],
        port: int | None = None,
    ) -> None:
        parts = urlsplit(redirect_uri)
        try:
            named = parts.port
        except ValueError:
            raise ConfigurationError(
                f"The redirect URI {redirect_uri} has a port that is no number up to 65535.",
                field="redirect_uri",
            ) from None
        self._port = port if port is not None else named or 80
        self._hosts = _spellings(parts.hostname or "", named or 80)
        for name in ("127.0.0.1", "localhost", "::1"):
            self._hosts |= _spellings(name, self._port)
        self._base = f"{parts.scheme}://{parts.netloc}"
        self._path = parts.path or "/"
        self._belongs = belongs
        self._report = report
        self._arrived: queue.SimpleQueue[str] = queue.SimpleQueue()
        host = parts.hostname or ""
        # Which of the two a browser takes for the name is its own choice.
        self._addresses = ("127.0.0.1", "::1") if host == "localhost" else (host,)
        self._servers: list[_Server] = []

    def __enter__(self) -> Self:
        for address in self._addresses:
            try:
                self._servers.append(_Server(address, self._port, self._judge, self._arrive))
            except OSError as error:
                if self._servers:
                    # IPv6 is not everywhere.
                    continue
                raise FinauthError(
                    f"Port {self._port} of this machine ({address}) cannot be listened at: {error.strerror}. "
                    "Free it, choose another with --port if the application allows any, or use --paste."
                ) from None
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def wait(self, seconds: float) -> str | None:
        """Give the address, with its query, that the browser came back to; None if it did not in time."""
        with contextlib.suppress(queue.Empty):
            return self._arrived.get(timeout=seconds)
        return None

    def _judge(self, target: str, hosts: list[str], fetch_mode: str | None) -> tuple[HTTPStatus, str]:
        # A page of another site can have its own name lead here (DNS rebinding) and then read our answers.
        if len(hosts) != 1 or hosts[0].strip().lower() not in self._hosts:
            self._report(
                "A request came that was meant for another host than the redirect URI's. "
                "It was ignored; still waiting."
            )
            return HTTPStatus.FORBIDDEN, _STRAY
        path, _, query = target.partition("?")
        if path != self._path:
            return HTTPStatus.NOT_FOUND, _STRAY
        members = dict(parse_qsl(query))
        # A flow without a state would take any code: at least a page that loads us in the background, as an
        # image or a script, which a browser tells us of, does not count.
        if not ("code" in members or "error" in members) or fetch_mode not in (None, "navigate"):
            return HTTPStatus.BAD_REQUEST, _STRAY
        if not self._belongs(members):
            self._report(
                "A request came that does not belong to this authorisation (its state is missing or "
                "another's). It was ignored; still waiting."
            )
            return HTTPStatus.BAD_REQUEST, _STRAY
        return HTTPStatus.OK, _DONE

    def _arrive(self, target: str) -> None:
        self._arrived.put(f"{self._base}{target}")


def _spellings(host: str, port: int) -> set[str]:
    """Give what a browser may write into ``Host`` for a host and port."""
    name = f"[{host}]" if ":" in host else host
    return {f"{name}:{port}", name} if port == 80 else {f"{name}:{port}"}


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(
        self,
        address: str,
        port: int,
        judge: Callable[[str, list[str], str | None], tuple[HTTPStatus, str]],
        arrive: Callable[[str], None],
    ) -> None:
        self.judge = judge
        self.arrive = arrive
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        super().__init__((address, port), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a browser that hangs up early."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _REQUEST_SECONDS
    server_version = "finauth"
    sys_version = ""

    def do_GET(self) -> None:
        status, sentence = self.server.judge(
            self.path, self.headers.get_all("Host", []), self.headers.get("Sec-Fetch-Mode")
        )
        body = _PAGE.format(sentence=sentence).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", "default-src 'none'")
        # The page's address holds the code.
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()
        if status is HTTPStatus.OK:
            # Only now, since the command may end at once.
            self.server.arrive(self.path)

    def log_message(self, *_: object) -> None:
        """Log nothing: the address holds the code."""
