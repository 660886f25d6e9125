"""Drives real brokers, one for each simulated process, one step at a time.

Each call of a broker runs in a thread that stops before every outside effect (a store's read, write and
lock, a request, its answer, a pause) until the test lets it go on. So the test decides who does what when,
who is killed, and what is lost.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import requests
import urllib3

from airflow_provider_finauth.auth import endpoint
from airflow_provider_finauth.auth.answer import Answer
from airflow_provider_finauth.auth.broker import Broker
from airflow_provider_finauth.auth.entry import Record
from airflow_provider_finauth.auth.stores.base import Entry, Hold, LockLost
from airflow_provider_finauth.auth.stores.memory import MemoryStore
from airflow_provider_finauth.exceptions import LockTimeoutError, StoreUnavailableError
from airflow_provider_finauth.secret import Secret
from tests.auth.support import FakeClock, authorised_credentials

if TYPE_CHECKING:
    from tests.model.rules import Server

LIFETIME = 3600.0
LEEWAY = 90.0
_running = threading.local()


class Killed(BaseException):
    """The process is no more."""


class Call:
    """A call of a broker, in a thread of its own.

    :param process: whose broker is called
    :param action: the call
    """

    def __init__(self, process: Process, action: Callable[[], Any]) -> None:
        self.process = process
        self.point = "start"
        self.done = False
        self.result: Any = None
        self.error: BaseException | None = None
        self._action = action
        self._go, self._stopped = threading.Semaphore(0), threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop_at(self, point: str) -> None:
        """Stop before a step; called by the thread."""
        if self.process.dead:
            raise Killed
        self.point = point
        self._stopped.release()
        self._go.acquire()
        if self.process.dead:
            raise Killed

    def step(self) -> str:
        """Let the call make its step, and give the one that it stops at next."""
        assert not self.done
        self._go.release()
        self._wait()
        return self.point

    def until(self, point: str) -> Call:
        """Let the call go on until it stops at ``point``."""
        while self.point != point:
            assert not self.done, f"it ended without {point}: {self.error or self.result}"
            self.step()
        return self

    def finish(self) -> Any:
        """Let the call come to its end, and give its result or raise its error."""
        while not self.done:
            self.step()
        if self.error is not None:
            raise self.error
        return self.result

    def can_go(self) -> bool:
        """Tell whether a step would come to an end: nobody gets a lock that another holds."""
        return not self.done and (self.point != "lock" or self.process.world.is_free())

    def _wait(self) -> None:
        assert self._stopped.acquire(timeout=60), f"stuck at {self.point}"

    def _run(self) -> None:
        _running.call = self
        self._go.acquire()
        try:
            if not self.process.dead:
                self.result = self._action()
        except BaseException as error:
            self.error = error
        self.done = True
        self.point = "done"
        self._stopped.release()


def _stop_at(point: str) -> Call:
    call: Call = _running.call
    call.stop_at(point)
    return call


@dataclass(eq=False)
class World:
    """What the processes share: time, store, server, and a host's folder.

    :param folder: of rescue files
    :param server: how the token endpoint treats refresh tokens
    :param lease: locks may be lost, as redis's
    """

    folder: Path
    server: Server
    lease: bool = False
    clock: FakeClock = field(default_factory=FakeClock)

    def __post_init__(self) -> None:
        self.backend = MemoryStore(clock=self.clock)
        self.holder: Any = None
        self.store_is_down = False
        self.wrong: list[str] = []
        self.residual = False
        self.edges: set[tuple[Any, Any]] = set()
        self.sent: list[str] = []
        self.grace_ends = 0.0
        self.families: list[dict[str, Any]] = []
        self.processes: list[Process] = []
        self.key = ""
        self.consent()

    def process(self, **changes: Any) -> Process:
        """Start a process."""
        made = Process(self, **changes)
        self.processes.append(made)
        return made

    def consent(self) -> None:
        """Let a person authorise, whatever is under way."""
        if self.families and self.server.revokes:
            self.families[-1]["revoked"] = True
        self.families.append({"issued": 1, "honoured": {0}, "grace": set(), "revoked": False})
        broker = Broker(self.backend, clock=self.clock, repeat=lambda attempt: None)
        before = self.standing()
        holder, self.holder = self.holder, None
        credentials = authorised_credentials(None)
        broker.begin(
            credentials,
            Answer(
                access_token=Secret(f"access-{len(self.families) - 1}-0"),
                refresh_token=Secret(f"refresh-{len(self.families) - 1}-0"),
                lifetime=LIFETIME,
            ),
        )
        self.holder = holder
        self.key = next(key for key in self.backend.list() if key.startswith("grant-"))
        if before is not None:
            self.edges.add((before, self.standing()))

    def expire(self) -> None:
        """Let the standing access token end."""
        self.clock.advance(LIFETIME)

    def record(self) -> Record | None:
        entry = self.backend.read(self.key) if self.key else None
        return Record.from_json(entry.payload) if entry is not None and entry.payload else None

    def standing(self) -> tuple[int, int, int, bool, bool] | None:
        """Give what the model knows of the store: family, generation, refresh token, unanswered, intent."""
        record = self.record()
        if record is None:
            return None
        token = record.tokens.refresh_token
        family, number = (int(part) for part in token.reveal().split("-")[1:]) if token else (0, -1)
        return family, record.tokens.generation, number, bool(record.unanswered), bool(record.intent)

    def is_free(self) -> bool:
        return self.holder is None

    def knows_token(self) -> bool:
        """Tell whether the store has a refresh token that is honoured."""
        return not self.families[-1]["revoked"] and self._is_known(len(self.families) - 1)

    def answers_at_risk(self) -> bool:
        """Tell whether an honoured answer is with a process that has lost its lock before writing it."""
        family = len(self.families) - 1
        tokens = {f"refresh-{family}-{number}" for number in self.families[family]["honoured"]}
        record = self.record()
        if record is not None and record.tokens.refresh_token is not None:
            tokens.discard(record.tokens.refresh_token.reveal())
        return any(process.answered in tokens and not process.dead for process in self.processes)

    def end_lease(self) -> None:
        """End the lease under its holder."""
        assert self.lease
        self.holder = None

    def serve(self, token: str) -> tuple[int, dict[str, Any]]:
        """Answer a refresh as the server does."""
        self.sent.append(token)
        family, number = (int(part) for part in token.split("-")[1:])
        known = self.families[family]
        newest = family == len(self.families) - 1
        honoured = set(known["honoured"])
        if self.server.leeway and self.clock.wall() < self.grace_ends:
            honoured |= known["grace"]
        if known["revoked"]:
            return 400, {"error": "invalid_grant"}
        if not self.server.rotates:
            return 200, {"access_token": f"access-{len(self.sent)}", "expires_in": LIFETIME}
        if number not in honoured:
            if newest and self._is_known(family) and not self.residual:
                self.wrong.append(f"{token} is replayed although its successor is known")
            known["revoked"] = self.server.revokes
            return 400, {"error": "invalid_grant"}
        successor = known["issued"]
        known["issued"] += 1
        known["honoured"] = (known["honoured"] - {number}) | {successor}
        known["grace"] = {number}
        self.grace_ends = self.clock.wall() + LEEWAY
        members = {"expires_in": LIFETIME, "refresh_token": f"refresh-{family}-{successor}"}
        return 200, {"access_token": f"access-{family}-{successor}", **members}

    def _is_known(self, family: int) -> bool:
        """Tell whether the store or a process that holds the lock has a refresh token that is honoured."""
        tokens = {f"refresh-{family}-{number}" for number in self.families[family]["honoured"]}
        record = self.record()
        standing = record.tokens.refresh_token if record is not None else None
        if standing is not None and standing.reveal() in tokens:
            return True
        return any(
            not process.dead
            and process.answered in tokens
            and (not self.lease or self.holder is process.call)
            for process in self.processes
        ) or any(self.folder.glob("*.rescue"))


class Process:
    """A process: a broker with a memory of its own.

    :param world: what it shares
    :param changes: to its credentials
    """

    def __init__(self, world: World, **changes: Any) -> None:
        self.world = world
        self.dead = False
        self.call: Call | None = None
        self.answered = ""
        self.lose = ""
        self.turned_away = False
        self.repeats: list[Callable[[], bool]] = []
        changes.setdefault("refresh_leeway", LEEWAY if world.server.leeway else 0.0)
        self.credentials = authorised_credentials(None, **changes)
        self.store = SteppedStore(world, self)
        self.broker = Broker(
            self.store,
            endpoint=endpoint.TokenEndpoint(clock=SteppedClock(world)),
            clock=SteppedClock(world),
            rescue_folder=world.folder,
            repeat=self.repeats.append,
        )
        self.broker._memory._jitter = 0.0
        # A process that is killed leaves nothing.
        rescue = self.broker._keeping.rescue
        save = rescue.save
        rescue.save = lambda key, unwritten: not self.dead and save(key, unwritten)  # type: ignore[method-assign]

    def begin(self, action: Callable[[], Any] | None = None) -> Call:
        """Begin a call, by default for a token."""
        self.call = Call(self, action or (lambda: self.broker.token(self.credentials)))
        return self.call

    def token(self) -> str:
        """Get a token without stopping."""
        return str(self.begin().finish().access_token.reveal())

    def kill(self) -> None:
        """End the process where it stands."""
        self.dead = True
        call = self.call
        if call is not None and not call.done:
            call.step()
            assert call.done
        if self.world.holder is call and not self.world.lease:
            self.world.holder = None


class SteppedClock(FakeClock):
    """The world's time. Who sleeps stops, and wakes when it is let go on."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def wall(self) -> float:
        return self._world.clock.wall()

    def monotonic(self) -> float:
        return self._world.clock.monotonic()

    def sleep(self, seconds: float) -> None:
        wakes = self.monotonic() + seconds
        _stop_at("sleep")
        self._world.clock.advance(max(wakes - self.monotonic(), 0.0))


class _SteppedHold:
    def __init__(self, world: World, call: Call) -> None:
        self._world, self._call = world, call

    def is_ours(self) -> bool:
        return self._world.holder is self._call


class SteppedStore:
    """A process's way to the common store: each effect is a step."""

    name, durable, reach, binds_all = "stepped", True, "everybody", True

    def __init__(self, world: World, process: Process) -> None:
        self._world, self._process = world, process
        self.sealer = world.backend.sealer

    def init(self) -> None:
        pass

    def problems(self) -> list[str]:
        return []

    def now(self) -> float:
        return self._world.clock.wall()

    def read(self, key: str, *, surely: bool = False) -> Entry | None:
        if key == self._world.key:
            _stop_at("read")
        self._reach()
        return self._world.backend.read(key, surely=surely)

    def write(self, key: str, payload: bytes, *, follows: int, under: Hold | None = None) -> int:
        if key != self._world.key:
            self._reach()
            return self._world.backend.write(key, payload, follows=follows)
        record = json.loads(payload)
        _stop_at("claim" if record["intent"] else "write")
        self._reach()
        if under is not None and not under.is_ours():
            raise LockLost("the lease is over")
        if record["intent"] and self._world.lease and self._world.answers_at_risk():
            # The documented risk of a lease: what comes of it is not judged.
            self._world.residual = True
        before = self._world.standing()
        revision = self._world.backend.write(key, payload, follows=follows)
        after = self._world.standing()
        self._world.edges.add((before, after))
        if before and after and (after[0] < before[0] or (after[0] == before[0] and after[1] < before[1])):
            self._world.wrong.append(f"{before} is overwritten by {after}")
        return revision

    def list(self) -> list[str]:
        return self._world.backend.list()

    def delete(self, key: str) -> None:
        self._reach()
        self._world.backend.delete(key)

    @contextmanager
    def lock(self, key: str, timeout: float) -> Iterator[Hold]:
        call = _stop_at("lock")
        self._reach()
        if self._world.holder is not None:
            raise LockTimeoutError("Another task holds the lock.")
        self._world.holder = call
        try:
            yield _SteppedHold(self._world, call)
        finally:
            if self._world.holder is call and not (self._process.dead and self._world.lease):
                self._world.holder = None

    def _reach(self) -> None:
        if self._process.dead:
            raise Killed
        if self._world.store_is_down:
            raise StoreUnavailableError("The store is away.")


class SteppedSession:
    """Stands in for the session of a token request, below the endpoint's own deadline."""

    def __enter__(self) -> SteppedSession:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def request(self, method: str, url: str, *, data: Any, **others: Any) -> requests.Response:
        process = _stop_at("send").process
        world = process.world
        # Whoever is too late is told so when the body is read.
        form = dict(parse_qsl(data.read().decode()))
        if process.lose == "request":
            process.lose = ""
            world.sent.append("lost")
            raise requests.ConnectionError("lost")
        if process.turned_away:
            status, members = 429, {}
        else:
            status, members = world.serve(form["refresh_token"])
        process.answered = members.get("refresh_token", "")
        _stop_at("answer")
        if process.lose == "answer":
            process.lose = process.answered = ""
            raise requests.ReadTimeout("lost")
        response = requests.Response()
        response.status_code = status
        response.headers["Content-Type"] = "application/json"
        body = BytesIO(json.dumps(members).encode())
        response.raw = urllib3.HTTPResponse(body, preload_content=False)
        return response


def stepped_session(credentials: object) -> SteppedSession:
    """Take the place of the endpoint's session."""
    return SteppedSession()
