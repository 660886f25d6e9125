from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from airflow_provider_finauth.exceptions import InvalidClientError
from airflow_provider_finauth.secret import Secret
from tests.auth.support import (
    FakeClock,
    FakeEndpoint,
    access,
    client_credentials,
    make_broker,
    password_credentials,
    refuse,
)

if TYPE_CHECKING:
    from airflow_provider_finauth.auth.broker import Broker
    from airflow_provider_finauth.auth.stores.memory import MemoryStore


class RefusingEndpoint(FakeEndpoint):
    """Refuses always, in one way."""

    code: str | None = "invalid_client"
    status = 401

    def ask(self, credentials, request, deadline):  # type: ignore[no-untyped-def]
        self.script = [refuse(credentials, self.code, self.status)]
        return super().ask(credentials, request, deadline)


@pytest.fixture
def refusing(clock: FakeClock) -> RefusingEndpoint:
    return RefusingEndpoint(clock)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("invalid_client", 401),
        ("invalid_client", 400),
        ("unauthorized_client", 400),
        ("invalid_scope", 400),
        (None, 400),
        (None, 401),
        (None, 403),
    ],
)
def test_a_refusal_is_remembered_for_all(
    store: MemoryStore, refusing: RefusingEndpoint, clock: FakeClock, code: str | None, status: int
) -> None:
    refusing.code, refusing.status = code, status
    with pytest.raises(InvalidClientError) as first:
        make_broker(store, refusing, clock).token(client_credentials())
    for _ in range(5):
        with pytest.raises(InvalidClientError) as remembered:
            make_broker(store, refusing, clock).token(client_credentials())
        assert remembered.value.code == first.value.code == code
        assert remembered.value.status == first.value.status == status
    assert refusing.count == 1
    # It tells when it is tried again, and which field to mend.
    text = str(remembered.value)
    assert "asked again after 2027-01-15 08:01:00 UTC" in text
    assert "'scope'" in text if code == "invalid_scope" else "'login'" in text
    assert "the-client-secret" not in text


def test_other_failures_are_not_remembered(
    store: MemoryStore, refusing: RefusingEndpoint, clock: FakeClock
) -> None:
    refusing.code, refusing.status = None, 404
    for number in range(1, 4):
        with pytest.raises(Exception, match="404"):
            make_broker(store, refusing, clock).token(client_credentials())
        assert refusing.count == number


def test_the_rest_doubles_up_to_a_quarter_of_an_hour(
    store: MemoryStore, refusing: RefusingEndpoint, clock: FakeClock
) -> None:
    broker, credentials = make_broker(store, refusing, clock), client_credentials()
    for number, rest in enumerate([60, 120, 240, 480, 900, 900, 900], start=1):
        with pytest.raises(InvalidClientError):
            broker.token(credentials)
        assert refusing.count == number
        clock.advance(rest - 1)
        with pytest.raises(InvalidClientError):
            broker.token(credentials)
        assert refusing.count == number
        clock.advance(1)


def test_a_clock_that_was_set_back_does_not_lengthen_a_rest(
    store: MemoryStore, refusing: RefusingEndpoint, clock: FakeClock
) -> None:
    broker, credentials = make_broker(store, refusing, clock), client_credentials()
    with pytest.raises(InvalidClientError):
        broker.token(credentials)
    clock.wall_time -= 100_000
    with pytest.raises(InvalidClientError):
        broker.token(credentials)
    assert refusing.count == 2


@pytest.mark.parametrize("field", ["client_secret", "scope", "client_id", "parameters", "token_endpoint"])
def test_any_changed_field_lifts_a_refusal(
    store: MemoryStore, endpoint: FakeEndpoint, clock: FakeClock, field: str
) -> None:
    changes = {
        "client_secret": Secret("mended"),
        "scope": "mended",
        "client_id": "mended",
        "parameters": {"audience": "mended"},
        "token_endpoint": "https://id.example.com/mended",
    }
    broker = make_broker(store, endpoint, clock)
    endpoint.script = [refuse(client_credentials(), "invalid_client", 401)]
    with pytest.raises(InvalidClientError):
        broker.token(client_credentials())
    assert access(broker.token(client_credentials(**{field: changes[field]}))) == "access-2"


def test_a_mint_lifts_a_refusal(broker: Broker, endpoint: FakeEndpoint, clock: FakeClock) -> None:
    credentials = client_credentials()
    error = refuse(credentials, "invalid_client", 401)
    endpoint.script = [error, {"lifetime": 10}, error]
    with pytest.raises(InvalidClientError):
        broker.token(credentials)
    clock.advance(61)
    broker.token(credentials)
    clock.advance(61)
    with pytest.raises(InvalidClientError):
        broker.token(credentials)
    # The rest begins with a minute again.
    clock.advance(61)
    assert access(broker.token(credentials)) == "access-4"


def test_a_good_test_lifts_a_refusal(broker: Broker, endpoint: FakeEndpoint) -> None:
    credentials = client_credentials()
    endpoint.script = [refuse(credentials, "invalid_client", 401)]
    with pytest.raises(InvalidClientError):
        broker.token(credentials)
    broker.lift(credentials)
    assert access(broker.token(credentials)) == "access-2"


def test_lifting_what_was_never_refused_changes_nothing(broker: Broker) -> None:
    broker.lift(client_credentials())
    assert broker.store.list() == []


@pytest.mark.parametrize(("code", "status"), [("invalid_grant", 400), (None, 400), (None, 401)])
def test_a_password_is_tried_twice_at_most(
    store: MemoryStore, refusing: RefusingEndpoint, clock: FakeClock, code: str | None, status: int
) -> None:
    refusing.code, refusing.status = code, status
    broker, credentials = make_broker(store, refusing, clock), password_credentials()
    for _ in range(50):
        with pytest.raises(InvalidClientError) as caught:
            broker.token(credentials)
        clock.advance(3600)
    assert refusing.count == 2
    assert "until the connection changes" in str(caught.value)
    with pytest.raises(InvalidClientError):
        broker.token(password_credentials(password=Secret("another")))
    assert refusing.count == 3


def test_a_client_refused_before_its_password_was_looked_at_goes_on(
    store: MemoryStore, refusing: RefusingEndpoint, clock: FakeClock
) -> None:
    broker, credentials = make_broker(store, refusing, clock), password_credentials()
    for _ in range(5):
        with pytest.raises(InvalidClientError):
            broker.token(credentials)
        clock.advance(3600)
    assert refusing.count == 5


def test_sixty_four_threads_with_a_wrong_secret_ask_twice_at_most(
    store: MemoryStore, refusing: RefusingEndpoint, clock: FakeClock
) -> None:
    broker = make_broker(store, refusing, clock)
    barrier = threading.Barrier(64)

    def task(_: int) -> str:
        credentials = client_credentials()
        barrier.wait(20)
        with pytest.raises(InvalidClientError):
            broker.token(credentials)
        return "refused"

    with ThreadPoolExecutor(64) as pool:
        assert list(pool.map(task, range(64))) == ["refused"] * 64
    assert 1 <= refusing.count <= 2


def test_a_damaged_refusal_counts_as_none(broker: Broker, store: MemoryStore, endpoint: FakeEndpoint) -> None:
    credentials = client_credentials()
    key = broker._refusals._client_key(credentials)
    store.write(key, b"[1, 2", follows=0)
    assert access(broker.token(credentials)) == "access-1"
