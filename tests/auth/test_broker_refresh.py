from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_finauth.auth.answer import Answer
from airflow_provider_finauth.auth.endpoint import NeverSentError
from airflow_provider_finauth.auth.entry import Record
from airflow_provider_finauth.auth.stores.memory import MemoryStore
from airflow_provider_finauth.exceptions import (
    FinauthError,
    InvalidClientError,
    ReauthorizationRequiredError,
    StoreUnavailableError,
    TokenEndpointError,
)
from airflow_provider_finauth.secret import Secret
from tests.auth.support import (
    FakeClock,
    FakeEndpoint,
    access,
    authorised_credentials,
    form,
    make_broker,
    password_credentials,
    refuse,
)

if TYPE_CHECKING:
    from airflow_provider_finauth.auth.broker import Broker
    from airflow_provider_finauth.auth.credentials import Credentials
    from airflow_provider_finauth.auth.stores.base import Hold


@pytest.fixture
def endpoint(clock: FakeClock) -> FakeEndpoint:
    return FakeEndpoint(clock, refresh_tokens=True)


def sent(endpoint: FakeEndpoint) -> list[str | None]:
    """Give the refresh tokens sent so far, None for a request without one."""
    return [form(request).get("refresh_token") for request in endpoint.requests]


def record_of(store: MemoryStore, credentials: Credentials) -> Record:
    entry = store.read(credentials.lineage_key(store.sealer.digest))
    assert entry is not None
    return Record.from_json(entry.payload)


# Landax: a password login, then refresh tokens.


def test_a_password_login_is_followed_by_refreshes(
    broker: Broker, endpoint: FakeEndpoint, clock: FakeClock
) -> None:
    credentials = password_credentials()
    for number in (1, 2, 3):
        assert access(broker.token(credentials)) == f"access-{number}"
        clock.advance(3600)
    assert [form(request)["grant_type"] for request in endpoint.requests] == [
        "password",
        "refresh_token",
        "refresh_token",
    ]
    assert sent(endpoint) == [None, "refresh-1", "refresh-2"]


@pytest.mark.parametrize(
    "failure",
    [
        refuse(password_credentials(), "invalid_grant"),
        refuse(password_credentials(), None, 401),
        refuse(password_credentials(), "invalid_request"),
        refuse(password_credentials(), None, 404),
        refuse(password_credentials(), None, 500),
        refuse(password_credentials(), None, 200),
    ],
)
def test_a_refused_refresh_is_followed_by_a_login(
    broker: Broker, endpoint: FakeEndpoint, clock: FakeClock, failure: FinauthError
) -> None:
    credentials = password_credentials()
    broker.token(credentials)
    clock.advance(3600)
    endpoint.script = [failure, {"refresh_token": None}]
    assert access(broker.token(credentials)) == "access-3"
    clock.advance(3600)
    # The refused refresh token is gone with the login, so the next one is a login again.
    assert access(broker.token(credentials)) == "access-4"
    assert sent(endpoint) == [None, "refresh-1", None, None]


@pytest.mark.parametrize(
    "failure", [refuse(password_credentials(), "invalid_client"), NeverSentError("down")]
)
def test_no_login_where_the_refresh_token_was_not_at_fault(
    broker: Broker, endpoint: FakeEndpoint, clock: FakeClock, failure: FinauthError
) -> None:
    credentials = password_credentials()
    broker.token(credentials)
    clock.advance(3600)
    endpoint.script = [failure]
    with pytest.raises(type(failure)):
        broker.token(credentials)
    assert endpoint.count == 2


def test_talenoms_refresh_token_is_not_used(broker: Broker, endpoint: FakeEndpoint, clock: FakeClock) -> None:
    credentials = password_credentials(uses_refresh_token=False)
    broker.token(credentials)
    clock.advance(3600)
    broker.token(credentials)
    assert sent(endpoint) == [None, None]


# Luca: a refresh token that only a person can replace.


def test_a_seed_is_spent_once_and_its_successors_after_it(
    broker: Broker, store: MemoryStore, endpoint: FakeEndpoint, clock: FakeClock
) -> None:
    for _ in range(3):
        make_broker(store, endpoint, clock).token(authorised_credentials())
        clock.advance(3600)
    assert sent(endpoint) == ["seed-1", "refresh-1", "refresh-2"]


def test_an_answer_without_a_refresh_token_keeps_the_old_one(
    broker: Broker, endpoint: FakeEndpoint, clock: FakeClock
) -> None:
    endpoint.refresh_tokens = False
    credentials = authorised_credentials()
    for _ in range(3):
        broker.token(credentials)
        clock.advance(3600)
    assert sent(endpoint) == ["seed-1", "seed-1", "seed-1"]


def test_generations_count_up_within_a_lineage(
    broker: Broker, endpoint: FakeEndpoint, clock: FakeClock
) -> None:
    credentials = authorised_credentials()
    first = broker.token(credentials)
    clock.advance(3600)
    second = broker.token(credentials)
    assert (first.generation, second.generation) == (1, 2)
    assert first.lineage == second.lineage


@pytest.mark.parametrize(
    "changes",
    [
        {"client_secret": Secret("renewed")},
        {"scope": "other"},
        {"parameters": {"audience": "other"}},
        {"client_id": "other"},
    ],
)
def test_a_changed_field_neither_loses_the_lineage_nor_replays_the_seed(
    broker: Broker, endpoint: FakeEndpoint, clock: FakeClock, changes: dict[str, object]
) -> None:
    broker.token(authorised_credentials())
    clock.advance(3600)
    broker.token(authorised_credentials(**changes))
    assert sent(endpoint) == ["seed-1", "refresh-1"]


def test_a_seed_never_seen_begins_a_new_lineage_at_once(
    broker: Broker, store: MemoryStore, endpoint: FakeEndpoint, clock: FakeClock
) -> None:
    old, new = authorised_credentials("seed-1"), authorised_credentials("seed-2")
    first = broker.token(old)
    second = broker.token(new)
    assert sent(endpoint) == ["seed-1", "seed-2"]
    assert first.lineage != second.lineage
    assert second.generation == 1
    # Whoever still holds the old seed goes on in the new lineage, here and in another process.
    assert broker.token(old) is second
    assert access(make_broker(store, endpoint, clock).token(authorised_credentials("seed-1"))) == access(
        second
    )
    clock.advance(3600)
    broker.token(old)
    assert sent(endpoint) == ["seed-1", "seed-2", "refresh-2"]


def test_a_process_that_starts_with_a_new_seed_does_not_take_the_old_lineage(
    broker: Broker, store: MemoryStore, endpoint: FakeEndpoint, clock: FakeClock
) -> None:
    broker.token(authorised_credentials("seed-1"))
    assert access(make_broker(store, endpoint, clock).token(authorised_credentials("seed-2"))) == "access-2"
    assert sent(endpoint) == ["seed-1", "seed-2"]


def test_two_connections_never_share_a_lineage(broker: Broker, endpoint: FakeEndpoint) -> None:
    broker.token(authorised_credentials("seed-1", conn_id="one"))
    broker.token(authorised_credentials("seed-2", conn_id="two"))
    assert sent(endpoint) == ["seed-1", "seed-2"]
    assert len([key for key in broker.store.list() if key.startswith("grant-")]) == 2


def test_without_seed_or_consent_a_person_is_asked_for(broker: Broker, endpoint: FakeEndpoint) -> None:
    with pytest.raises(ReauthorizationRequiredError, match="finauth authorize luca_default"):
        broker.token(authorised_credentials(seed=None))
    assert endpoint.count == 0


def test_a_refused_refresh_token_asks_for_a_person_and_is_remembered(
    broker: Broker, store: MemoryStore, endpoint: FakeEndpoint, clock: FakeClock
) -> None:
    endpoint.script = [refuse(authorised_credentials(), "invalid_grant")] * 2
    for _ in range(5):
        with pytest.raises(ReauthorizationRequiredError, match="finauth authorize luca_default") as caught:
            make_broker(store, endpoint, clock).token(authorised_credentials())
    assert caught.value.permanent
    assert "invalid_grant" in str(caught.value)
    assert endpoint.count == 1
    clock.advance(60)
    with pytest.raises(ReauthorizationRequiredError):
        broker.token(authorised_credentials())
    assert endpoint.count == 2
    # Under the refresh token's hash: another one is not held back.
    assert access(broker.token(authorised_credentials("seed-2"))) == "access-3"


def test_a_refused_client_is_remembered_as_such(
    broker: Broker, endpoint: FakeEndpoint, clock: FakeClock
) -> None:
    endpoint.script = [refuse(authorised_credentials(), "invalid_client", 401)]
    for _ in range(3):
        with pytest.raises(InvalidClientError):
            broker.token(authorised_credentials())
    assert endpoint.count == 1
    # A renewed client secret lifts it, and the seed was not spent.
    broker.token(authorised_credentials(client_secret=Secret("renewed")))
    assert sent(endpoint) == ["seed-1", "seed-1"]


def test_a_loser_adopts_what_the_winner_has_written(
    broker: Broker, store: MemoryStore, endpoint: FakeEndpoint, clock: FakeClock
) -> None:
    credentials = authorised_credentials()
    broker.token(credentials)
    clock.advance(3600)

    def another_host_refreshes_first() -> None:
        # Its lock does not reach us; the server then refuses our refresh token.
        key = credentials.lineage_key(store.sealer.digest)
        entry = store.read(key)
        assert entry is not None
        theirs = FakeEndpoint(clock)
        theirs.script = [{"access_token": "theirs", "refresh_token": "their-refresh"}]
        other = make_broker(MemoryStore(clock=clock), theirs, clock)
        other.store.write(key, entry.payload, follows=0)
        other.token(authorised_credentials())
        newer = other.store.read(key)
        assert newer is not None
        store.write(key, newer.payload, follows=entry.revision)
        raise refuse(credentials, "invalid_grant")

    endpoint.script = [another_host_refreshes_first]
    assert access(broker.token(credentials)) == "theirs"
    clock.advance(3600)
    broker.token(credentials)
    assert sent(endpoint)[-1] == "their-refresh"


def test_a_failed_refresh_loses_nothing(broker: Broker, endpoint: FakeEndpoint, clock: FakeClock) -> None:
    credentials = authorised_credentials()
    broker.token(credentials)
    clock.advance(3600)
    endpoint.down = TokenEndpointError("down")
    with pytest.raises(TokenEndpointError):
        broker.token(credentials)
    endpoint.down = None
    number = endpoint.count + 1
    assert access(broker.token(credentials)) == f"access-{number}"
    assert set(sent(endpoint)) == {"seed-1", "refresh-1"}


# What a rotation leaves in the store.


class StubbornStore(MemoryStore):
    """Takes no write while it is stubborn."""

    stubborn = False

    def write(self, key: str, payload: bytes, *, follows: int, under: Hold | None = None) -> int:
        if self.stubborn:
            raise StoreUnavailableError("no write")
        return super().write(key, payload, follows=follows, under=under)


def test_a_rotated_set_is_written_before_it_is_used(endpoint: FakeEndpoint, clock: FakeClock) -> None:
    store = StubbornStore(clock=clock)
    broker, credentials = make_broker(store, endpoint, clock), authorised_credentials()
    broker.token(credentials)
    clock.advance(3600)
    store.stubborn = True
    with pytest.raises(StoreUnavailableError, match="no write"):
        broker.token(credentials)
    assert record_of(store, credentials).tokens.refresh_token == Secret("refresh-1")
    # It is not lost either: the next caller writes it, and asks for no other.
    store.stubborn = False
    assert access(broker.token(credentials)) == "access-2"
    assert record_of(store, credentials).tokens.refresh_token == Secret("refresh-2")
    assert endpoint.count == 2


def test_an_unwritten_set_gives_way_to_a_consent(endpoint: FakeEndpoint, clock: FakeClock) -> None:
    store = StubbornStore(clock=clock)
    broker, credentials = make_broker(store, endpoint, clock), authorised_credentials()
    broker.token(credentials)
    clock.advance(3600)
    store.stubborn = True
    with pytest.raises(StoreUnavailableError):
        broker.token(credentials)
    store.stubborn = False
    make_broker(store, endpoint, clock).begin(
        authorised_credentials(), Answer(access_token=Secret("consent"), lifetime=3600)
    )
    assert access(broker.token(credentials)) == "consent"


def test_a_token_that_starts_over_alone_is_used_unshared(endpoint: FakeEndpoint, clock: FakeClock) -> None:
    store = StubbornStore(clock=clock)
    store.stubborn = True
    assert access(make_broker(store, endpoint, clock).token(password_credentials())) == "access-1"


def test_a_write_in_between_that_changed_no_token_is_followed(
    broker: Broker, store: MemoryStore, endpoint: FakeEndpoint, clock: FakeClock
) -> None:
    credentials = authorised_credentials()
    broker.token(credentials)
    clock.advance(3600)
    key = credentials.lineage_key(store.sealer.digest)

    def somebody_rests() -> None:
        entry = store.read(key)
        assert entry is not None
        store.write(
            key, entry.payload.replace(b"{", b'{"newer": {"owner": "x"}, ', 1), follows=entry.revision
        )

    endpoint.script = [somebody_rests]
    assert access(broker.token(credentials)) == "access-2"
    record = record_of(store, credentials)
    assert record.tokens.refresh_token == Secret("refresh-2")
    # What a newer version wrote there is kept.
    assert record.others == {"newer": {"owner": "x"}}


def test_a_consent_written_in_between_is_adopted(
    store: MemoryStore, endpoint: FakeEndpoint, clock: FakeClock
) -> None:
    seen: list[str] = []
    broker = make_broker(store, endpoint, clock, on_secret=lambda secret: seen.append(secret.reveal()))
    credentials = authorised_credentials()
    broker.token(credentials)
    clock.advance(3600)
    key = credentials.lineage_key(store.sealer.digest)

    def a_person_consents() -> None:
        entry = store.read(key)
        assert entry is not None
        theirs = make_broker(MemoryStore(clock=clock), endpoint, clock)
        theirs.store.write(key, entry.payload, follows=0)
        theirs.begin(
            authorised_credentials(),
            Answer(access_token=Secret("consent"), refresh_token=Secret("consented"), lifetime=3600),
        )
        newer = theirs.store.read(key)
        assert newer is not None
        store.write(key, newer.payload, follows=entry.revision)

    endpoint.script = [a_person_consents]
    assert access(broker.token(credentials)) == "consent"
    assert record_of(store, credentials).tokens.refresh_token == Secret("consented")
    assert {"consent", "consented"} <= set(seen)


def test_a_damaged_authorisation_is_left_as_it_is(
    broker: Broker, store: MemoryStore, endpoint: FakeEndpoint
) -> None:
    credentials = authorised_credentials()
    key = credentials.lineage_key(store.sealer.digest)
    store.write(key, b"damaged", follows=0)
    with pytest.raises(StoreUnavailableError, match="finauth authorize luca_default"):
        broker.token(credentials)
    entry = store.read(key)
    assert entry is not None
    assert (entry.payload, entry.revision) == (b"damaged", 1)
    assert endpoint.count == 0
    # A person's new consent may replace it.
    broker.begin(credentials, Answer(access_token=Secret("consent"), lifetime=3600))
    assert access(broker.token(credentials)) == "consent"


def test_a_damaged_token_that_starts_over_alone_is_replaced(
    broker: Broker, store: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    credentials = password_credentials()
    store.write(credentials.lineage_key(store.sealer.digest), b"damaged", follows=0)
    assert access(broker.token(credentials)) == "access-1"
    assert record_of(store, credentials).tokens.access_token == Secret("access-1")
    assert "landax_default" in caplog.text


# A person's consent.


def consent(number: int) -> Answer:
    return Answer(
        access_token=Secret(f"consent-{number}"), refresh_token=Secret(f"consented-{number}"), lifetime=3600
    )


def test_a_consent_begins_a_lineage_from_which_tasks_refresh(
    broker: Broker, store: MemoryStore, endpoint: FakeEndpoint, clock: FakeClock
) -> None:
    credentials = authorised_credentials(seed=None)
    assert not broker.is_authorised(credentials)
    assert access(broker.begin(credentials, consent(1))) == "consent-1"
    other, theirs = make_broker(store, endpoint, clock), authorised_credentials(seed=None)
    assert other.is_authorised(theirs)
    assert access(other.token(theirs)) == "consent-1"
    clock.advance(3600)
    other.token(theirs)
    assert sent(endpoint) == ["consented-1"]


def test_a_seed_cannot_win_over_a_consent(
    broker: Broker, store: MemoryStore, endpoint: FakeEndpoint, clock: FakeClock
) -> None:
    broker.begin(authorised_credentials("seed-1"), consent(1))
    clock.advance(3600)
    make_broker(store, endpoint, clock).token(authorised_credentials("seed-1"))
    assert sent(endpoint) == ["consented-1"]


def test_a_consents_own_refresh_token_pasted_as_a_seed_begins_nothing(
    broker: Broker, store: MemoryStore, endpoint: FakeEndpoint, clock: FakeClock
) -> None:
    broker.begin(authorised_credentials(seed=None), consent(1))
    clock.advance(3600)
    broker.token(authorised_credentials(seed=None))
    clock.advance(3600)
    # By now it is spent; sent again it would revoke everything.
    broker.token(authorised_credentials("consented-1"))
    assert sent(endpoint) == ["consented-1", "refresh-1"]


def test_the_standing_refresh_token_pasted_as_a_seed_begins_nothing(
    broker: Broker, endpoint: FakeEndpoint, clock: FakeClock
) -> None:
    first = broker.token(authorised_credentials("seed-1"))
    assert broker.token(authorised_credentials("refresh-1")) is first


def test_a_new_consent_replaces_the_old_one_and_keeps_the_spent_seeds(
    broker: Broker, endpoint: FakeEndpoint, clock: FakeClock
) -> None:
    broker.token(authorised_credentials("seed-1"))
    first = broker.begin(authorised_credentials(seed=None), consent(1))
    second = broker.begin(authorised_credentials(seed=None), consent(2))
    assert first.lineage != second.lineage
    assert access(broker.token(authorised_credentials("seed-1"))) == "consent-2"
    assert sent(endpoint) == ["seed-1"]


def test_a_consent_lifts_a_refusal(broker: Broker, endpoint: FakeEndpoint, clock: FakeClock) -> None:
    credentials = authorised_credentials()
    endpoint.script = [refuse(credentials, "unauthorized_client")]
    with pytest.raises(InvalidClientError):
        broker.token(credentials)
    broker.begin(
        credentials, Answer(access_token=Secret("short"), refresh_token=Secret("consented"), lifetime=10)
    )
    clock.advance(10)
    assert access(broker.token(credentials)) == "access-2"


def test_a_consent_that_the_store_does_not_take_is_an_error(endpoint: FakeEndpoint, clock: FakeClock) -> None:
    store = StubbornStore(clock=clock)
    store.stubborn = True
    with pytest.raises(StoreUnavailableError):
        make_broker(store, endpoint, clock).begin(authorised_credentials(), consent(1))


def test_what_is_stored_can_be_seen_without_spending_anything(
    broker: Broker, store: MemoryStore, endpoint: FakeEndpoint, clock: FakeClock
) -> None:
    credentials = authorised_credentials()
    assert broker.stored(credentials) is None
    assert broker.is_authorised(credentials)
    broker.token(credentials)
    seen: list[str] = []
    other = make_broker(store, endpoint, clock, on_secret=lambda secret: seen.append(secret.reveal()))
    kept = other.stored(authorised_credentials())
    assert kept is not None
    assert access(kept) == "access-1"
    assert seen == ["access-1", "refresh-1"]
    assert other.usable(kept)
    clock.advance(3600)
    assert not other.usable(kept)
    # A seed that began nothing yet has nothing stored.
    assert other.stored(authorised_credentials("seed-2")) is None
    assert endpoint.count == 1
