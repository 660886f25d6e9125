"""Many who want a token at the same moment: one asks for it, whatever they are and wherever they run."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_finauth.auth.authorizer import make_authorizer
from airflow_provider_finauth.client.client import ApiClient
from airflow_provider_finauth.client.profile import Profile
from airflow_provider_finauth.exceptions import FinauthError
from airflow_provider_finauth.secret import Secret
from tests.airflow_harness import needs_airflow_3
from tests.faults import strict_server
from tests.faults.hosts import Host, host
from tests.faults.places import file_place, redis_place, sql_place
from tests.faults.work import Task

if TYPE_CHECKING:
    from airflow_provider_finauth.auth.broker import Broker
    from tests.faults.children import Child, Lane, Nursery, Work
    from tests.faults.places import Place
    from tests.faults.steps import Steps
    from tests.faults.strict_server import StrictServer

# They do not depend on Airflow, so once is enough.
pytestmark = needs_airflow_3

ALONE: dict[str, Any] = {"grant": "client_credentials"}


class Gate:
    """Holds children back until all are there."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()

    def open(self) -> None:
        os.close(self._writer)

    def pass_through(self) -> None:
        """Wait for it, in a child."""
        os.close(self._writer)
        os.read(self._reader, 1)


def together(nursery: Nursery, works: list[Work]) -> list[str]:
    """Let children work at the same moment, and give what came of it."""
    gate = Gate()
    children: list[Child] = []

    def held_back(work: Work) -> Work:
        def behind_the_gate(steps: Steps) -> str:
            gate.pass_through()
            return work(steps)

        return behind_the_gate

    def lane() -> Lane:
        children.extend(nursery.start(held_back(work)) for work in works)
        gate.open()
        yield children

    nursery.run([lane()])
    return [child.result or "nothing" for child in children]


def expired(nursery: Nursery, task: Task, server: StrictServer) -> None:
    """Let the store hold a token that has come to its end."""
    (result,) = together(nursery, [task.begin(server.consent(), age=7200)])
    assert result == "token: 1"


@pytest.mark.parametrize("place", ["file", "redis", "sql"], indirect=True)
def test_sixty_four_processes_at_the_moment_of_expiry(
    place: Place, server: StrictServer, nursery: Nursery
) -> None:
    task = Task(replace(place, deadline=30.0), server, "c", lock_timeout=60.0)
    expired(nursery, task, server)
    assert together(nursery, [task.token()] * 64) == ["token: 2"] * 64
    assert [asked.outcome for asked in server.log()] == ["rotated"]


@pytest.mark.parametrize(
    ("store", "grant"),
    [("redis", "client_credentials"), ("redis", "authorization_code"), ("sql", "authorization_code")],
)
def test_two_hosts(
    store: str,
    grant: str,
    server: StrictServer,
    nursery: Nursery,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    """They share the store's server and the token endpoint, and nothing else."""
    its = request.getfixturevalue({"redis": "redis_server", "sql": "postgres_server"}[store])
    seed = server.consent()["refresh_token"] if grant == "authorization_code" else None
    with ExitStack() as stack:
        works: list[Work] = []
        for name in ("first", "second"):
            there = stack.enter_context(host(tmp_path / name, its.port, server.port))
            make = {"redis": redis_place, "sql": sql_place}[store]
            task = Task(
                replace(make(its, there.folder), deadline=30.0),
                server,
                "c",
                seed,
                lock_timeout=60.0,
                credentials={"grant": grant},
            )
            works += [entering(there, task.token())] * 8
        if store == "sql":
            task.place.open().init()
        got = together(nursery, works)
    assert len(server.log()) == 1, got
    assert got == ["token: 1"] * 16


def entering(there: Host, work: Work) -> Work:
    """Do it on a host."""

    def there_then(steps: Steps) -> str:
        there.enter()
        return work(steps)

    return there_then


def crowd(task: Task, ask: Callable[[Broker], object], threads: int) -> Work:
    """Be a process in which many threads ask, each with credentials of its own, as mapped tasks have."""

    def work(steps: Steps) -> str:
        broker = task.broker(steps)
        barrier = threading.Barrier(threads)

        def one(_: int) -> str:
            barrier.wait(60)
            try:
                ask(broker)
            except FinauthError as error:
                return type(error).__name__
            return "well"

        with ThreadPoolExecutor(threads) as pool:
            return " ".join(sorted(set(pool.map(one, range(threads)))))

    return work


# A hundred threads that wait for a PostgreSQL's lock keep two processors busy by logging in alone.
@pytest.mark.parametrize(("place", "threads"), [("file", 20), ("redis", 20), ("sql", 3)], indirect=["place"])
def test_many_with_a_wrong_secret(place: Place, threads: int, server: StrictServer, nursery: Nursery) -> None:
    server.settings(secret="the-new-secret")
    task = Task(replace(place, deadline=30.0), server, "c", lock_timeout=60.0, credentials=ALONE)
    works = [crowd(task, lambda broker: broker.token(task.made_credentials()), threads)] * 10
    assert together(nursery, works) == ["InvalidClientError"] * 10
    assert 1 <= len(server.log()) <= 2
    asked = len(server.log())
    mended = replace(task, credentials={**ALONE, "client_secret": Secret("the-new-secret")})
    assert together(nursery, [mended.token()]) == ["token: 1"]
    assert len(server.log()) == asked + 1


def test_a_wrong_secret_costs_no_refresh_token(
    tmp_path: Path, server: StrictServer, nursery: Nursery
) -> None:
    task = Task(replace(file_place(tmp_path), deadline=30.0), server, "c", lock_timeout=60.0)
    expired(nursery, task, server)
    server.settings(secret="the-new-secret")
    works = [crowd(task, lambda broker: broker.token(task.made_credentials()), 10)] * 4
    assert together(nursery, works) == ["InvalidClientError"] * 4
    assert len(server.log()) <= 2
    mended = replace(task, credentials={"client_secret": Secret("the-new-secret")})
    assert together(nursery, [mended.token()]) == ["token: 2"]
    assert [asked.outcome for asked in server.log()][-1] == "rotated"


@pytest.mark.parametrize(
    ("place", "grant"),
    [
        ("file", "client_credentials"),
        ("file", "authorization_code"),
        ("redis", "authorization_code"),
    ],
    indirect=["place"],
)
def test_an_api_that_refuses_every_token(
    place: Place, grant: str, server: StrictServer, nursery: Nursery
) -> None:
    server.settings(api_status=401)
    seed = server.consent()["refresh_token"] if grant == "authorization_code" else None
    task = Task(
        replace(place, deadline=30.0), server, "c", seed, lock_timeout=60.0, credentials={"grant": grant}
    )

    def ask(broker: Broker) -> object:
        credentials = task.made_credentials()
        profile = Profile(api="test", conn_id="c", base_url=server.origin, credentials=credentials)
        return ApiClient(profile, make_authorizer(broker, credentials)).request("GET", "/things")

    assert together(nursery, [crowd(task, ask, 20)] * 10) == ["ApiError"] * 10
    assert {asked.outcome for asked in server.log()} <= {"minted", "rotated"}
    assert 1 <= len(server.log()) <= 3
    assert server.api_requests() >= 200


def test_a_host_has_a_network_of_its_own_where_that_can_be(tmp_path: Path, nursery: Nursery) -> None:
    """Two hosts in one network would show less than the tests above say they show."""
    with strict_server.running() as one, host(tmp_path / "host", one.port) as there:
        if there.namespace is None:
            assert os.geteuid() != 0 or not Path("/proc/self/ns/net").exists()
            pytest.skip("this machine allows no network namespaces")
        before = Path("/proc/self/ns/net").readlink()

        def work(_: Steps) -> str:
            there.enter()
            network = Path("/proc/thread-self/ns/net").readlink()
            return f"{network != before} {one.consent()['token_type']}"

        assert together(nursery, [work]) == ["True Bearer"]
