"""Steps: the moments of a mint at which a process can be killed or stopped.

All that a broker does to the world goes through its store and its token endpoint. Wrapped in
:class:`SteppingStore` and :class:`SteppingEndpoint` each such deed becomes two steps or more, which are
written down, and at one of which the process does to itself what its :class:`Plan` says.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from airflow_provider_finauth.auth.endpoint import TokenEndpoint
from airflow_provider_finauth.exceptions import StoreUnavailableError, TokenEndpointError
from tests.faults import strict_server

if TYPE_CHECKING:
    from airflow_provider_finauth.auth.answer import Answer
    from airflow_provider_finauth.auth.credentials import Credentials
    from airflow_provider_finauth.auth.grants import TokenRequest
    from airflow_provider_finauth.auth.sealer import Sealer
    from airflow_provider_finauth.auth.stores.base import Entry, Hold, Store
    from airflow_provider_finauth.transport.clock import Clock

# Steps that the server strikes at, in the order in which they come.
AT_THE_SERVER = {
    strict_server.RECEIVED: "the request is there",
    strict_server.SPENT: "the refresh token is spent",
    strict_server.ANSWERED: "the answer is sent",
}


@dataclass(frozen=True)
class Plan:
    """What is to happen to a process.

    :param step: at which step, counted from 1; None never
    :param name: at the first step of this name instead
    :param how: SIGKILL or SIGSTOP
    :param after: seconds after the step; somebody else has to send the signal then, see ``on_delay``
    :param refuse_writes: the store takes no write once the token endpoint has answered
    """

    step: int | None = None
    name: str | None = None
    how: str = "SIGKILL"
    after: float = 0.0
    refuse_writes: bool = False


class Steps:
    """Counts steps and strikes at the planned one.

    :param who: this process's name, told to the server
    :param plan: what is to happen
    :param tell: writes down a line about each step: the kind, the time and the step's name
    """

    def __init__(self, who: str, plan: Plan, tell: Callable[[str], None] = lambda line: None) -> None:
        self.who = who
        self.plan = plan
        self.answered = False
        self._tell = tell
        self._count = 0
        self._done = False

    def reach(self, name: str) -> None:
        """Come to a step."""
        self.tell("step", name)
        if self._is_due(name):
            self._strike(name)

    def tell(self, kind: str, what: str) -> None:
        """Write a line about what happens."""
        self._tell(f"{kind}\t{time.monotonic()}\t{what}\n")

    def wish(self) -> str | None:
        """Count the steps that happen at the server, and say what the server is to do."""
        for moment, name in AT_THE_SERVER.items():
            if self._is_due(name):
                if self.plan.after:
                    self._strike(name)
                else:
                    self._done = True
                    self.tell("struck", name)
                    return f"{self.plan.how}@{moment}@{os.getpid()}"
        return None

    def _is_due(self, name: str) -> bool:
        self._count += 1
        if self._done:
            return False
        return name == self.plan.name if self.plan.name else self._count == self.plan.step

    def _strike(self, name: str) -> None:
        self._done = True
        if self.plan.after:
            self.tell("wish", f"{self.plan.after}")
            return
        self.tell("struck", name)
        os.kill(os.getpid(), signal.Signals[self.plan.how])


class SteppingStore:
    """A store whose reads, writes and locks are steps.

    :param store: the real one
    :param steps: what happens
    """

    def __init__(self, store: Store, steps: Steps) -> None:
        self._store = store
        self._steps = steps
        self.name = store.name
        self.durable = store.durable
        self.reach = store.reach
        self.binds_all = store.binds_all

    @property
    def sealer(self) -> Sealer:
        return self._store.sealer

    def init(self) -> None:
        self._store.init()

    def problems(self) -> list[str]:
        return self._store.problems()

    def read(self, key: str, *, surely: bool = False) -> Entry | None:
        self._steps.reach(f"before reading {_kind(key)}")
        entry = self._store.read(key, surely=surely)
        token = _refresh_token(entry.payload) if entry is not None else None
        if token is not None:
            self._steps.tell("seen", token)
        self._steps.reach(f"after reading {_kind(key)}")
        return entry

    def write(self, key: str, payload: bytes, *, follows: int, under: Hold | None = None) -> int:
        what = _kind(key)
        if what == "the grant":
            what = "the intent" if _has_intent(payload) else "the grant"
            if self._steps.answered:
                what = "the answer"
        self._steps.reach(f"before writing {what}")
        if self._steps.plan.refuse_writes and self._steps.answered:
            raise StoreUnavailableError("The store takes no write; the test has said so.")
        revision = self._store.write(key, payload, follows=follows, under=under)
        token = _refresh_token(payload)
        if token is not None:
            self._steps.tell("written", token)
        self._steps.reach(f"after writing {what}")
        return revision

    def list(self) -> list[str]:
        return self._store.list()

    def delete(self, key: str) -> None:
        self._steps.reach(f"before deleting {_kind(key)}")
        self._store.delete(key)
        self._steps.reach(f"after deleting {_kind(key)}")

    @contextmanager
    def lock(self, key: str, timeout: float) -> Iterator[Hold]:
        self._steps.reach("before the lock")
        with self._store.lock(key, timeout) as hold:
            self._steps.reach("with the lock")
            try:
                yield hold
            finally:
                self._steps.reach("before leaving the lock")
        self._steps.reach("after leaving the lock")

    def now(self) -> float:
        return self._store.now()


class SteppingEndpoint(TokenEndpoint):
    """A token endpoint whose requests are steps, some of which the server takes.

    :param steps: what happens
    """

    def __init__(self, steps: Steps, *, clock: Clock | None = None) -> None:
        super().__init__(**({"clock": clock} if clock else {}))
        self._steps = steps

    def ask(self, credentials: Credentials, request: TokenRequest, deadline: float) -> Answer:
        self._steps.answered = False
        self._steps.reach("before asking")
        headers = {**request.headers, strict_server.WHO: self._steps.who}
        if wish := self._steps.wish():
            headers[strict_server.FAULT] = wish
        try:
            answer = super().ask(credentials, replace(request, headers=headers), deadline)
        except TokenEndpointError as error:
            self._steps.tell("unanswered", str(error))
            raise
        self._steps.answered = True
        self._steps.reach("with the answer")
        return answer


def _kind(key: str) -> str:
    return {
        "grant": "the grant",
        "token": "the token",
        "seed": "the seed's claim",
        "refused": "a refusal",
        "cooldown": "a cool-down",
    }.get(key.partition("-")[0], "something")


def _members(payload: bytes) -> dict[str, object]:
    try:
        members = json.loads(payload)
    except ValueError:
        return {}
    return members if isinstance(members, dict) else {}


def _has_intent(payload: bytes) -> bool:
    return bool(_members(payload).get("intent"))


def _refresh_token(payload: bytes) -> str | None:
    tokens = _members(payload).get("tokens")
    token = tokens.get("refresh_token") if isinstance(tokens, dict) else None
    return token if isinstance(token, str) else None
