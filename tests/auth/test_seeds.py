from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_finauth.auth.answer import PassingError
from airflow_provider_finauth.auth.endpoint import NeverSentError
from airflow_provider_finauth.exceptions import (
    FinauthError,
    RateLimitedError,
    ReauthorizationRequiredError,
    StoreUnavailableError,
)
from tests.auth.support import (
    FakeClock,
    FakeEndpoint,
    access,
    authorised_credentials,
    form,
    make_broker,
    refuse,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_finauth.auth.broker import Broker
    from airflow_provider_finauth.auth.credentials import Credentials
    from airflow_provider_finauth.auth.stores.base import Hold
    from airflow_provider_finauth.auth.stores.memory import MemoryStore

ELSEWHERE = "https://id.example.com/another"


@pytest.fixture
def endpoint(clock: FakeClock) -> FakeEndpoint:
    return FakeEndpoint(clock, refresh_tokens=True)


def sent(endpoint: FakeEndpoint) -> list[str]:
    return [form(request)["refresh_token"] for request in endpoint.requests]


def second(**changes: Any) -> Credentials:
    members = {"conn_id": "luca_two", "reauthorize": "Run `finauth authorize luca_two`."}
    return authorised_credentials(**{**members, **changes})


def claims(store: MemoryStore) -> list[str]:
    return [key for key in store.list() if key.startswith("seed-")]


def test_a_second_connection_does_not_replay_the_firsts_seed(
    broker: Broker, endpoint: FakeEndpoint, clock: FakeClock
) -> None:
    broker.token(authorised_credentials())
    with pytest.raises(
        ReauthorizationRequiredError,
        match="'luca_two'.* used by connection 'luca_default'.* of its own.*finauth authorize luca_two",
    ) as caught:
        broker.token(second())
    assert "seed-1" not in str(caught.value)
    clock.advance(3600)
    assert access(broker.token(authorised_credentials())) == "access-2"
    assert sent(endpoint) == ["seed-1", "refresh-1"]


def test_another_process_looks_before_it_uses_a_seed(
    store: MemoryStore, endpoint: FakeEndpoint, clock: FakeClock
) -> None:
    make_broker(store, endpoint, clock).token(authorised_credentials())
    with pytest.raises(ReauthorizationRequiredError):
        make_broker(store, endpoint, clock).token(second())
    assert endpoint.count == 1


def test_of_many_connections_with_one_seed_one_sends_it(
    store: MemoryStore, endpoint: FakeEndpoint, clock: FakeClock
) -> None:
    def ask(number: int) -> str | None:
        try:
            return access(make_broker(store, endpoint, clock).token(second(conn_id=f"luca_{number}")))
        except ReauthorizationRequiredError:
            return None

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(24)))
    assert [answer for answer in answers if answer] == ["access-1"]
    assert sent(endpoint) == ["seed-1"]


@pytest.mark.parametrize("winner", ["luca_default", "luca_two"])
def test_a_claim_written_meanwhile_is_seen(
    broker: Broker,
    store: MemoryStore,
    endpoint: FakeEndpoint,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
    winner: str,
) -> None:
    write = store.write
    others = iter([make_broker(store, endpoint, clock)])

    def overtaken(key: str, payload: bytes, *, follows: int, under: Hold | None = None) -> int:
        if key.startswith("seed-") and (other := next(others, None)):
            other._mint.rotation.seeds._claim(
                second(), second(conn_id=winner).lineage_key(store.sealer.digest), second().refresh_token
            )
        return write(key, payload, follows=follows, under=under)

    monkeypatch.setattr(store, "write", overtaken)
    if winner == "luca_default":
        assert access(broker.token(authorised_credentials())) == "access-1"
    else:
        with pytest.raises(ReauthorizationRequiredError, match="luca_two"):
            broker.token(authorised_credentials())
        assert endpoint.count == 0


def test_a_respelt_endpoint_goes_on_with_what_stands(
    store: MemoryStore, endpoint: FakeEndpoint, clock: FakeClock
) -> None:
    for spelling in ("https://id.example.com/token", "https://ID.example.com:443/token?"):
        make_broker(store, endpoint, clock).token(authorised_credentials(token_endpoint=spelling))
        clock.advance(3600)
    assert sent(endpoint) == ["seed-1", "refresh-1"]


def test_a_changed_endpoint_does_not_replay_the_seed(broker: Broker, endpoint: FakeEndpoint) -> None:
    broker.token(authorised_credentials())
    with pytest.raises(ReauthorizationRequiredError, match="with another token endpoint.*finauth authorize"):
        broker.token(authorised_credentials(token_endpoint=ELSEWHERE))
    assert endpoint.count == 1


def test_a_seed_that_does_not_rotate_may_be_shared(
    broker: Broker, store: MemoryStore, endpoint: FakeEndpoint
) -> None:
    endpoint.refresh_tokens = False
    broker.token(authorised_credentials(rotates=False))
    broker.token(second(rotates=False))
    assert sent(endpoint) == ["seed-1", "seed-1"]
    assert claims(store) == []


@pytest.mark.parametrize("failure", [NeverSentError("down"), PassingError("broken")])
def test_the_own_claim_is_no_obstacle(broker: Broker, endpoint: FakeEndpoint, failure: FinauthError) -> None:
    endpoint.down = failure
    with pytest.raises(PassingError):
        broker.token(authorised_credentials())
    endpoint.down = None
    assert broker.token(authorised_credentials()).generation == 1
    assert set(sent(endpoint)) == {"seed-1"}


@pytest.mark.parametrize(
    "failure",
    [
        NeverSentError("down"),
        RateLimitedError("wait"),
        refuse(authorised_credentials(), "invalid_client"),
    ],
)
def test_a_seed_that_was_not_taken_is_free_for_the_corrected_connection(
    broker: Broker, store: MemoryStore, endpoint: FakeEndpoint, failure: FinauthError
) -> None:
    endpoint.script = [failure]
    with pytest.raises(type(failure)):
        broker.token(authorised_credentials(token_endpoint=ELSEWHERE))
    assert claims(store) == []
    assert access(broker.token(authorised_credentials())) == "access-2"


@pytest.mark.parametrize(
    "failure", [PassingError("broken"), refuse(authorised_credentials(), "invalid_grant")]
)
def test_a_seed_that_may_have_been_taken_is_not_sent_elsewhere(
    broker: Broker, endpoint: FakeEndpoint, failure: FinauthError
) -> None:
    # The second failure says nothing of the first request.
    for endpoint.down in (failure, NeverSentError("down")):
        with pytest.raises(FinauthError):
            broker.token(authorised_credentials())
    count = endpoint.count
    with pytest.raises(ReauthorizationRequiredError):
        broker.token(second())
    assert endpoint.count == count


def _fail(*_: Any, **__: Any) -> Any:
    raise StoreUnavailableError("The store is away.")


@pytest.mark.parametrize("broken", ["write", "read"])
def test_a_seed_that_cannot_be_claimed_is_not_sent(
    broker: Broker, store: MemoryStore, endpoint: FakeEndpoint, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    method: Callable[..., Any] = getattr(store, broken)

    def fail_for_seeds(key: str, *args: Any, **options: Any) -> Any:
        return (_fail if key.startswith("seed-") else method)(key, *args, **options)

    monkeypatch.setattr(store, broken, fail_for_seeds)
    with pytest.raises(StoreUnavailableError, match="away"):
        broker.token(authorised_credentials())
    assert endpoint.count == 0


def test_a_damaged_claim_is_not_taken_for_none(
    broker: Broker, store: MemoryStore, endpoint: FakeEndpoint
) -> None:
    broker.token(authorised_credentials())
    (key,) = claims(store)
    store.write(key, b"damaged", follows=1)
    with pytest.raises(StoreUnavailableError, match="store_key.*finauth authorize luca_two"):
        broker.token(second())
    assert endpoint.count == 1
