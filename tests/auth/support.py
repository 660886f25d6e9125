"""What the tests of ``auth`` share: a clock and an endpoint that do as they are told."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_finauth.auth.answer import Answer, read_answer
from airflow_provider_finauth.auth.broker import Broker
from airflow_provider_finauth.auth.credentials import Credentials
from airflow_provider_finauth.auth.endpoint import TokenEndpoint
from airflow_provider_finauth.exceptions import FinauthError
from airflow_provider_finauth.secret import Secret
from airflow_provider_finauth.transport.clock import Clock

if TYPE_CHECKING:
    from airflow_provider_finauth.auth.grants import TokenRequest
    from airflow_provider_finauth.auth.stores.base import Store

TOKEN_URL = "https://id.example.com/token"


class FakeClock(Clock):
    """Stands still until it is told otherwise; its wall clock may be set apart from the monotonic one."""

    def __init__(self) -> None:
        self.wall_time = 1_800_000_000.0
        self.monotonic_time = 5_000.0
        self.slept: list[float] = []

    def wall(self) -> float:
        return self.wall_time

    def monotonic(self) -> float:
        return self.monotonic_time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        self.wall_time += seconds
        self.monotonic_time += seconds


class FakeEndpoint(TokenEndpoint):
    """Answers token requests from a script, then with a new token each time.

    ``down`` is what it fails with as long as it is set.
    """

    def __init__(self, clock: Clock, *, lifetime: float = 3600, refresh_tokens: bool = False) -> None:
        super().__init__(clock=clock)
        self.lifetime = lifetime
        self.refresh_tokens = refresh_tokens
        self.down: FinauthError | None = None
        self.requests: list[TokenRequest] = []
        self.script: list[FinauthError | dict[str, Any] | Callable[[], None]] = []
        self._guard = threading.Lock()

    def ask(self, credentials: Credentials, request: TokenRequest, deadline: float) -> Answer:
        with self._guard:
            began = self._clock.monotonic()
            self.requests.append(request)
            if self.down is not None:
                raise self.down
            step = self.script.pop(0) if self.script else {}
            if callable(step):
                step()
                step = {}
            if isinstance(step, FinauthError):
                raise step
            number = len(self.requests)
            answer = Answer(
                access_token=Secret(step.get("access_token", f"access-{number}")),
                lifetime=step.get("lifetime", self.lifetime),
                refresh_token=_secret(
                    step.get("refresh_token", f"refresh-{number}" if self.refresh_tokens else None)
                ),
                scope=step.get("scope"),
            )
            return replace(answer, asked_at=began)

    @property
    def count(self) -> int:
        return len(self.requests)


def refuse(credentials: Credentials, code: str | None, status: int = 400) -> FinauthError:
    """Make the error of a refusal, as it is read from an answer."""
    body = f'{{"error": "{code}"}}'.encode() if code else b"<html>no</html>"
    error = read_answer(credentials, status, "application/json", body)
    assert isinstance(error, FinauthError)
    return error


def client_credentials(**changes: Any) -> Credentials:
    """Make credentials that start over alone."""
    members: dict[str, Any] = {
        "conn_id": "talenom_default",
        "api": "talenom",
        "grant": "client_credentials",
        "token_endpoint": TOKEN_URL,
        "client_id": "the-client",
        "client_secret": Secret("the-client-secret"),
        "scope": "ledger",
    }
    return Credentials(**{**members, **changes})


def password_credentials(**changes: Any) -> Credentials:
    """Make credentials that log in by password and like to refresh, as Landax's do."""
    members: dict[str, Any] = {
        "conn_id": "landax_default",
        "api": "landax",
        "grant": "password",
        "username": "user",
        "password": Secret("the-password"),
        "uses_refresh_token": True,
        "scope": None,
    }
    return client_credentials(**{**members, **changes})


def authorised_credentials(seed: str | None = "seed-1", **changes: Any) -> Credentials:
    """Make credentials that live by a refresh token, as Luca's do."""
    members: dict[str, Any] = {
        "conn_id": "luca_default",
        "api": "luca",
        "grant": "authorization_code",
        "refresh_token": _secret(seed),
        "reauthorize": "Run `finauth authorize luca_default`.",
        "scope": None,
    }
    return client_credentials(**{**members, **changes})


def make_broker(store: Store, endpoint: TokenEndpoint, clock: Clock, **changes: Any) -> Broker:
    """Make a broker without jitter, as a process of its own would have."""
    broker = Broker(store, endpoint=endpoint, clock=clock, **changes)
    broker._memory._jitter = 0.0
    return broker


def form(request: TokenRequest) -> dict[str, str]:
    """Decode a form body."""
    from urllib.parse import parse_qsl

    pairs = parse_qsl(request.body.decode(), keep_blank_values=True, strict_parsing=True)
    assert len(pairs) == len(dict(pairs))
    return dict(pairs)


def access(tokens: Any) -> str | None:
    """Reveal an access token."""
    return tokens.access_token.reveal() if tokens is not None and tokens.access_token else None


def _secret(value: str | None) -> Secret | None:
    return None if value is None else Secret(value)
