"""A store's server that fails in the middle of a mint, and a token endpoint whose answers get lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_finauth.auth.entry import Record
from airflow_provider_finauth.exceptions import (
    ConfigurationError,
    FinauthError,
    LockTimeoutError,
    ReauthorizationRequiredError,
    StoreUnavailableError,
)
from tests.airflow_harness import needs_airflow_3
from tests.faults import proxy
from tests.faults.places import Place, file_place, redis_place, sql_place
from tests.faults.steps import Plan, Steps
from tests.faults.strict_server import StrictServer, family_of
from tests.faults.work import Task
from tests.postgres_server import PostgresServer, running_postgres
from tests.servers import RedisServer, running_redis, wait_until

if TYPE_CHECKING:
    from airflow_provider_finauth.auth.broker import Broker
    from tests.faults.proxy import Proxy

# They do not depend on Airflow, so once is enough.
pytestmark = needs_airflow_3

ALONE: dict[str, Any] = {"grant": "client_credentials"}


class Acting(Steps):
    """Does something when a step is reached for the first time, in the process itself."""

    def __init__(self, **deeds: Callable[[], object]) -> None:
        super().__init__("test", Plan())
        self._deeds = {name.replace("_", " "): deed for name, deed in deeds.items()}

    def reach(self, name: str) -> None:
        if deed := self._deeds.pop(name, None):
            deed()


@dataclass
class Fault:
    """A way for a server to fail.

    :param strike: lets it fail
    :param mend: lets it be well again
    :param comes_back: it is well again by itself at once
    """

    name: str
    strike: Callable[[], object]
    mend: Callable[[], object]
    comes_back: bool = False


def _redis_faults(server: RedisServer, before: Proxy) -> list[Fault]:
    def refuse_login() -> None:
        with server.client() as client:
            client.config_set("requirepass", "another password")
            client.client_kill_filter(_type="normal", skipme=True)

    def accept_login() -> None:
        right, server.password = server.password, "another password"
        server.config_set("requirepass", right)
        server.password = right

    return [
        Fault("restarted", server.restart, lambda: None, comes_back=True),
        Fault("crashed", server.kill, server.start),
        Fault("cut off", before.cut, before.mend),
        Fault("silent", before.fall_silent, before.mend),
        Fault(
            "full", lambda: server.config_set("maxmemory", "1"), lambda: server.config_set("maxmemory", "0")
        ),
        Fault("wrong password", refuse_login, accept_login),
    ]


def _postgres_faults(server: PostgresServer, before: Proxy) -> list[Fault]:
    def set_read_only(state: str) -> None:
        server.execute(f"ALTER SYSTEM SET default_transaction_read_only = {state}")
        server.execute("SELECT pg_reload_conf()")
        wait_until(lambda: server.execute("SHOW default_transaction_read_only")[0][0] == state)

    def set_password(password: str) -> None:
        server.execute(f"ALTER USER {server.user} PASSWORD '{password}'")
        server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", server.user
        )

    return [
        Fault("restarted", server.restart, lambda: None, comes_back=True),
        Fault("crashed", server.kill, server.start),
        Fault("cut off", before.cut, before.mend),
        Fault("silent", before.fall_silent, before.mend),
        Fault("read-only", lambda: set_read_only("on"), lambda: set_read_only("off")),
        Fault("wrong password", lambda: set_password("another"), lambda: set_password(server.password)),
    ]


@pytest.fixture(scope="module")
def servers() -> Iterator[Callable[[str], Any]]:
    """Servers of this module's own, which its tests disturb, each started when it is asked for."""
    running: dict[str, Any] = {}
    with ExitStack() as stack:

        def give(name: str) -> Any:
            if name not in running:
                running[name] = stack.enter_context(
                    # By default a Redis that is killed forgets what it has confirmed in the last seconds.
                    running_redis({"appendfsync": "always"}) if name == "redis" else running_postgres()
                )
            return running[name]

        yield give


# What fails in the same way at each step, and what has to be waited for, is tried at one of them.
SWIFT = ("restarted", "crashed", "wrong password")
FAULTS = {"redis": ("cut off", "full", *SWIFT, "silent"), "sql": ("cut off", "read-only", *SWIFT, "silent")}


def at(*steps: str, once: tuple[str, ...] = ("silent", *SWIFT)) -> pytest.MarkDecorator:
    """Try all faults at the last of the steps, and all but ``once`` at the others."""
    cases = [
        pytest.param((store, fault), step, id=f"{store} {fault} {step}")
        for store, faults in FAULTS.items()
        for fault in faults
        for step in steps
        if step == steps[-1] or fault not in once
    ]
    return pytest.mark.parametrize(("disturbed", "step"), cases, indirect=["disturbed"])


@pytest.fixture
def disturbed(request: Any, servers: Callable[[str], Any], tmp_path: Path) -> Iterator[tuple[Place, Fault]]:
    store, name = request.param
    server = servers(store)
    with proxy.before(server.port) as before:
        if store == "redis":
            place = redis_place(server, tmp_path, lease=1.0, port=before.port, patience=0.5)
            faults = _redis_faults(server, before)
        else:
            place = sql_place(server, tmp_path, port=before.port, patience=0.5)
            place.open().init()
            faults = _postgres_faults(server, before)
        yield place, next(fault for fault in faults if fault.name == name)


def begun(task: Task, server: StrictServer, *, is_usable: bool = False) -> int:
    """Let the store hold an authorisation, and give its family.

    :param is_usable: its token is not at its end yet
    """
    consent = server.consent()
    assert task.begin(consent, age=0 if is_usable else 7200)(Acting()) == "token: 1"
    return family_of(consent["refresh_token"])


def kept(task: Task) -> str | None:
    """Give the refresh token that the store holds, None where it cannot be asked."""
    store = task.place.open()
    try:
        entry = store.read(task.made_credentials().lineage_key(store.sealer.digest), surely=True)
    except FinauthError:
        return None
    record = Record.from_json(entry.payload) if entry is not None and entry.payload else None
    return record.tokens.refresh_token.reveal() if record and record.tokens.refresh_token else None


def anew(task: Task) -> int:
    """Ask as a process would that starts now, and give the token's generation."""
    return task.broker(Acting()).token(task.made_credentials()).generation


def a_task(place: Place, server: StrictServer, **changes: Any) -> Task:
    return Task(replace(place, deadline=5.0), server, "c", lock_timeout=10.0, **changes)


@at("before the lock", "before writing the intent")
def test_an_authorised_grant_stops_before_it_is_sent(
    disturbed: tuple[Place, Fault], step: str, server: StrictServer
) -> None:
    place, fault = disturbed
    task = a_task(place, server)
    family = begun(task, server)
    broker = task.broker(Acting(**{step: fault.strike}))
    try:
        if fault.comes_back:
            # It may have taken the lock away, and it may not have been noticed at all.
            with suppress(StoreUnavailableError):
                broker.renew(task.made_credentials(), at_least=7200)
        else:
            with pytest.raises((StoreUnavailableError, ConfigurationError)) as caught:
                broker.renew(task.made_credentials(), at_least=7200)
            assert not isinstance(caught.value, LockTimeoutError)
            assert server.log() == []
    finally:
        fault.mend()
    got = len(server.log()) + 1
    assert task.broker(Acting()).renew(task.made_credentials(), at_least=7200).generation == got + 1
    assert {asked.outcome for asked in server.log()} == {"rotated"}
    assert kept(task) == server.live(family)


@at("before asking", "with the answer")
def test_an_answer_outlives_the_store(
    disturbed: tuple[Place, Fault], step: str, server: StrictServer
) -> None:
    """It is used and left on this machine; the next process here finds it."""
    place, fault = disturbed
    task = a_task(place, server)
    family = begun(task, server)
    process = task.broker(Acting(**{step: fault.strike}))
    try:
        assert process.renew(task.made_credentials(), at_least=7200).generation == 2
        left = list(place.folder.glob("*.rescue"))
        assert len(left) == (0 if fault.comes_back else 1)
        assert process.token(task.made_credentials()).generation == 2
    finally:
        fault.mend()
    assert anew(task) == 2
    assert kept(task) == server.live(family)
    assert not list(place.folder.glob("*.rescue"))
    assert [asked.outcome for asked in server.log()] == ["rotated"]


@pytest.mark.parametrize("store", ["redis", "sql"])
def test_a_write_is_repeated_when_the_server_is_back(
    store: str, servers: Callable[[str], Any], server: StrictServer, tmp_path: Path
) -> None:
    """The process that has the answer writes it, without anybody asking for a token."""
    its = servers(store)
    with proxy.before(its.port) as before:
        if store == "redis":
            place = redis_place(its, tmp_path, lease=1.0, port=before.port, patience=0.5)
        else:
            place = sql_place(its, tmp_path, port=before.port, patience=0.5)
            place.open().init()
        task = a_task(place, server)
        family = begun(task, server)
        process = task.broker(Acting(with_the_answer=before.cut))
        assert process.renew(task.made_credentials(), at_least=7200).generation == 2
        before.mend()
        wait_until(lambda: kept(task) == server.live(family), what="the repeated write")
        wait_until(lambda: not list(tmp_path.glob("*.rescue")), what="the rescue file's end")


@at("with the answer", "before the lock")
def test_a_grant_that_starts_over_alone_goes_on_without_its_store(
    disturbed: tuple[Place, Fault], step: str, server: StrictServer
) -> None:
    place, fault = disturbed
    task = a_task(place, server, credentials=ALONE)
    process: Broker = task.broker(Acting(**{step: fault.strike}))
    try:
        tokens = process.token(task.made_credentials())
        assert tokens.access_token
        assert process.token(task.made_credentials()) == tokens
    finally:
        fault.mend()
    assert len(server.log()) == 1
    anew(task)
    assert anew(task)
    assert len(server.log()) <= 2


LOST = {"do": "lose"}
DROPPED = {"do": "drop"}
LATE = {"do": "delay", "seconds": 1.5}
BUSY = {"do": "status", "status": 503}
each_fault = pytest.mark.parametrize("fault", [LOST, DROPPED, LATE, BUSY], ids=lambda fault: str(fault["do"]))


def hasty(folder: Path, server: StrictServer, **credentials: Any) -> Task:
    """A task that waits half a second for an answer."""
    return Task(file_place(folder), server, "c", lock_timeout=20.0, credentials=credentials)


def ask(task: Task) -> int:
    return task.broker(Acting()).renew(task.made_credentials(), at_least=7200).generation


@each_fault
def test_an_unanswered_refresh_rests_while_the_old_token_serves(
    fault: dict[str, Any], tmp_path: Path, server: StrictServer
) -> None:
    task = hasty(tmp_path, server)
    begun(task, server, is_usable=True)
    server.settings(script=[fault])
    assert [ask(task), ask(task), anew(task)] == [1, 1, 1]
    assert len(server.log()) == 1


@pytest.mark.parametrize("is_usable", [True, False])
@each_fault
def test_an_unanswered_refresh_is_repeated_at_once_within_the_leeway(
    fault: dict[str, Any], is_usable: bool, tmp_path: Path, server: StrictServer
) -> None:
    task = hasty(tmp_path, server, refresh_leeway=30.0)
    family = begun(task, server, is_usable=is_usable)
    server.settings(script=[fault], leeway=30.0)
    assert ask(task) == 2
    first, second = (asked.outcome for asked in server.log())
    assert second == ("leeway" if first == "rotated" else "rotated")
    assert kept(task) == server.live(family)


@each_fault
def test_an_unanswered_refresh_is_repeated_until_the_server_itself_refuses(
    fault: dict[str, Any], tmp_path: Path, server: StrictServer
) -> None:
    task = hasty(tmp_path, server)
    family = begun(task, server)
    server.settings(script=[fault])
    if fault in (LOST, BUSY):
        assert ask(task) == 2
        assert kept(task) == server.live(family)
    else:
        with pytest.raises(ReauthorizationRequiredError):
            ask(task)
        assert [asked.outcome for asked in server.log()] == ["rotated", "replayed"]
        with pytest.raises(ReauthorizationRequiredError):
            ask(task)
        assert len(server.log()) == 2
