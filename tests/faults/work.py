"""What the children of these tests do: begin, refresh, look."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_finauth.auth.answer import Answer
from airflow_provider_finauth.auth.broker import Broker
from airflow_provider_finauth.auth.credentials import Credentials
from airflow_provider_finauth.auth.entry import Record
from airflow_provider_finauth.auth.rescue import Rescue
from airflow_provider_finauth.exceptions import FinauthError
from airflow_provider_finauth.secret import Secret
from tests.faults.steps import SteppingEndpoint, SteppingStore, Steps

if TYPE_CHECKING:
    from tests.faults.children import Work
    from tests.faults.places import Place
    from tests.faults.strict_server import StrictServer


@dataclass(frozen=True)
class Task:
    """One connection, its store and its token endpoint.

    :param seed: the refresh token that the connection brings
    :param lock_timeout: of its broker
    :param credentials: changes to them
    """

    place: Place
    server: StrictServer
    conn_id: str
    seed: str | None = None
    lock_timeout: float = 20.0
    credentials: dict[str, Any] = field(default_factory=dict)

    def made_credentials(self) -> Credentials:
        """Make the connection's credentials."""
        members: dict[str, Any] = {
            "conn_id": self.conn_id,
            "api": "test",
            "grant": "authorization_code",
            "token_endpoint": self.server.url,
            "client_id": "the-client",
            "client_secret": Secret("the-secret"),
            "refresh_token": Secret(self.seed) if self.seed else None,
        }
        return Credentials(**{**members, **self.credentials})

    def broker(self, steps: Steps) -> Broker:
        """Make the broker of a process."""
        return Broker(
            SteppingStore(self.place.open(), steps),
            endpoint=SteppingEndpoint(steps),
            deadline=self.place.deadline,
            lock_timeout=self.lock_timeout,
            rescue_folder=self.place.folder,
        )

    def refresh(self, *, times: int = 1) -> Work:
        """Ask for a new token.

        :param times: so often
        """

        def work(steps: Steps) -> str:
            broker, credentials = self.broker(steps), self.made_credentials()

            def ask() -> list[int]:
                return [broker.renew(credentials, at_least=math.inf).generation for _ in range(times)]

            return outcome(lambda: max(ask()))

        return work

    def token(self) -> Work:
        """Ask for a valid token."""
        return lambda steps: outcome(lambda: self.broker(steps).token(self.made_credentials()).generation)

    def begin(self, consent: dict[str, Any], *, age: float = 0.0) -> Work:
        """Keep a person's consent.

        :param age: seconds since it was given
        """
        answer = Answer(
            access_token=Secret(consent["access_token"]),
            refresh_token=Secret(consent["refresh_token"]),
            lifetime=float(consent["expires_in"]),
            asked_at=time.monotonic() - age,
        )
        return lambda steps: outcome(
            lambda: self.broker(steps).begin(self.made_credentials(), answer).generation
        )

    def look(self) -> Work:
        """Tell which refresh tokens are in the store and in the rescue file."""

        def work(steps: Steps) -> str:
            store = self.place.open()
            key = self.made_credentials().lineage_key(store.sealer.digest)
            entry = store.read(key, surely=True)
            if entry is not None and entry.payload:
                _tell_seen(steps, Record.from_json(entry.payload))
            left = Rescue(self.place.folder, store).load(key)
            if left is not None:
                steps.tell("rescued", "")
                _tell_seen(steps, left.record)
            return "looked"

        return work


def outcome(ask: Callable[[], object]) -> str:
    """Do it, and say what came of it."""
    try:
        return f"token: {ask()}"
    except FinauthError as error:
        return f"error {type(error).__name__}: {error}"


def _tell_seen(steps: Steps, record: Record) -> None:
    if record.tokens.refresh_token is not None:
        steps.tell("seen", record.tokens.refresh_token.reveal())
