"""Rules 4 and 5 of rotating grants, on the real broker: what is written when, and what is sent."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_finauth.auth.answer import Answer, PassingError
from airflow_provider_finauth.auth.credentials import secret_hash
from airflow_provider_finauth.auth.endpoint import NeverSentError
from airflow_provider_finauth.auth.entry import Intent, Record
from airflow_provider_finauth.auth.stores.base import Entry, Hold, Kept, LockLost
from airflow_provider_finauth.auth.stores.memory import MemoryStore
from airflow_provider_finauth.exceptions import (
    FinauthError,
    LockTimeoutError,
    RateLimitedError,
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
    refuse,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from airflow_provider_finauth.auth.broker import Broker
    from airflow_provider_finauth.auth.credentials import Credentials


class Store(MemoryStore):
    """Shows what it is told, and fails or loses the lock when told so."""

    def __init__(self, *, clock: FakeClock) -> None:
        super().__init__(clock=clock)
        self.before_write: list[Callable[[Record], None]] = []
        self.refuses_writes = False
        self.locks = 0

    def write(self, key: str, payload: bytes, *, follows: int, under: Hold | None = None) -> int:
        if key.startswith("grant-"):
            if self.refuses_writes:
                raise StoreUnavailableError("The store takes no write.")
            if self.before_write:
                self.before_write.pop(0)(Record.from_json(payload))
        return super().write(key, payload, follows=follows, under=under)

    def lock(self, key: str, timeout: float) -> AbstractContextManager[Hold]:
        self.locks += 1
        return super().lock(key, timeout)


@pytest.fixture
def store(clock: FakeClock) -> Store:
    return Store(clock=clock)


@pytest.fixture
def endpoint(clock: FakeClock) -> FakeEndpoint:
    return FakeEndpoint(clock, refresh_tokens=True)


@pytest.fixture
def credentials(broker: Broker, clock: FakeClock) -> Credentials:
    """Credentials whose first token has lapsed."""
    made = authorised_credentials()
    broker.token(made)
    clock.advance(3600)
    return made


def sent(endpoint: FakeEndpoint) -> list[str]:
    return [form(request)["refresh_token"] for request in endpoint.requests]


def entry_of(store: MemoryStore, credentials: Credentials) -> Entry:
    entry = store.read(credentials.lineage_key(store.sealer.digest))
    assert entry is not None
    return entry


def record_of(store: MemoryStore, credentials: Credentials) -> Record:
    return Record.from_json(entry_of(store, credentials).payload)


def put(store: MemoryStore, credentials: Credentials, **changes: Any) -> None:
    record = replace(record_of(store, credentials), **changes)
    key, follows = credentials.lineage_key(store.sealer.digest), entry_of(store, credentials).revision
    MemoryStore.write(store, key, record.to_json(), follows=follows)


def theirs(clock: FakeClock, *, sent: str = "hash", seconds: float = 60.0) -> Intent:
    now = clock.wall()
    return Intent(owner="another", attempt="theirs", sent=sent, begun=now, deadline=now + seconds)


def test_the_intent_stands_before_the_request_and_is_gone_after_it(
    broker: Broker, store: Store, endpoint: FakeEndpoint, credentials: Credentials, clock: FakeClock
) -> None:
    seen: list[Intent | None] = []
    endpoint.script = [lambda: seen.append(record_of(store, credentials).intent)]
    broker.token(credentials)
    assert seen[0] is not None
    assert seen[0].deadline == clock.wall() + 60
    assert record_of(store, credentials).intent is None


@pytest.mark.parametrize("seed", ["seed-1", "seed-2"])
def test_a_seeds_intent_stands_before_it_is_sent(
    broker: Broker, store: Store, endpoint: FakeEndpoint, credentials: Credentials, seed: str
) -> None:
    new, seen = authorised_credentials(seed), []
    endpoint.script = [lambda: seen.append(record_of(store, new))]
    broker.token(new)
    assert seen[0].intent is not None
    # What stood before the new seed has proved itself is not touched.
    assert seen[0].tokens.refresh_token == Secret("refresh-1")
    assert record_of(store, new).tokens.refresh_token == Secret("refresh-2")


def test_a_seed_that_is_refused_does_not_cost_the_old_authorisation(
    broker: Broker, store: Store, endpoint: FakeEndpoint, credentials: Credentials, clock: FakeClock
) -> None:
    wrong = authorised_credentials("wrong")
    endpoint.script = [refuse(wrong, "invalid_grant")]
    with pytest.raises(ReauthorizationRequiredError):
        broker.token(wrong)
    assert access(make_broker(store, endpoint, clock).token(authorised_credentials("seed-1"))) == "access-3"
    assert sent(endpoint) == ["seed-1", "wrong", "refresh-1"]


def test_nothing_is_sent_where_the_intent_is_not_taken(
    broker: Broker, store: Store, endpoint: FakeEndpoint, credentials: Credentials
) -> None:
    store.refuses_writes = True
    with pytest.raises(StoreUnavailableError):
        broker.token(credentials)
    assert endpoint.count == 1


def test_whoever_finds_its_lock_gone_begins_again(
    broker: Broker, store: Store, endpoint: FakeEndpoint, credentials: Credentials
) -> None:
    def lose(record: Record) -> None:
        raise LockLost("it is another's")

    store.before_write = [lose]
    locks = store.locks
    assert access(broker.token(credentials)) == "access-2"
    assert store.locks == locks + 2
    assert endpoint.count == 2


def test_nobody_acts_on_anothers_intent_before_its_deadline(
    broker: Broker, store: Store, endpoint: FakeEndpoint, credentials: Credentials, clock: FakeClock
) -> None:
    put(store, credentials, intent=theirs(clock))
    began = clock.wall()
    seen: list[float] = []
    endpoint.script = [lambda: seen.append(clock.wall())]
    broker.token(credentials)
    assert seen == [began + 60]


def test_anothers_refresh_is_adopted_as_soon_as_it_is_there(
    broker: Broker, store: Store, endpoint: FakeEndpoint, credentials: Credentials, clock: FakeClock
) -> None:
    put(store, credentials, intent=theirs(clock))
    sleep = clock.sleep

    def they_come_to_an_end(seconds: float) -> None:
        sleep(seconds)
        now = record_of(store, credentials).tokens
        tokens = replace(
            now,
            access_token=Secret("their-access"),
            generation=2,
            issued_at=clock.wall(),
            expires_at=clock.wall() + 3600,
        )
        put(store, credentials, intent=None, tokens=tokens)

    clock.sleep = they_come_to_an_end  # type: ignore[method-assign]
    assert access(broker.token(credentials)) == "their-access"
    assert endpoint.count == 1


def test_a_caller_who_cannot_wait_for_another_hears_why(
    store: Store, endpoint: FakeEndpoint, credentials: Credentials, clock: FakeClock
) -> None:
    put(store, credentials, intent=theirs(clock))
    impatient = make_broker(store, endpoint, clock, lock_timeout=50.0, deadline=40.0)
    with pytest.raises(TokenEndpointError, match="another task is refreshing") as caught:
        impatient.token(authorised_credentials())
    assert not caught.value.permanent
    assert endpoint.count == 1


def test_a_new_token_is_written_before_it_is_used_whatever_intent_stands_by_then(
    broker: Broker, store: Store, endpoint: FakeEndpoint, credentials: Credentials, clock: FakeClock
) -> None:
    endpoint.script = [lambda: put(store, credentials, intent=theirs(clock))]
    assert access(broker.token(credentials)) == "access-2"
    record = record_of(store, credentials)
    assert record.tokens.refresh_token == Secret("refresh-2")
    assert record.intent is None


@pytest.mark.parametrize("never_sent", [NeverSentError("down"), RateLimitedError("wait")])
def test_what_certainly_was_not_taken_leaves_nothing_behind(
    broker: Broker, store: Store, endpoint: FakeEndpoint, credentials: Credentials, never_sent: FinauthError
) -> None:
    endpoint.down = never_sent
    with pytest.raises(type(never_sent)):
        broker.token(credentials)
    assert endpoint.count == 2
    record = record_of(store, credentials)
    assert (record.intent, record.unanswered) == (None, None)


@pytest.mark.parametrize("failure", [PassingError("503"), TokenEndpointError("no token")])
def test_a_refresh_without_an_answer_is_repeated_with_pauses(
    broker: Broker,
    store: Store,
    endpoint: FakeEndpoint,
    credentials: Credentials,
    clock: FakeClock,
    failure: FinauthError,
) -> None:
    endpoint.down = failure
    with pytest.raises(type(failure)):
        broker.token(credentials)
    # Each time until a proxy cannot hold the last one any more.
    assert clock.slept == [60.0, 60.0]
    record = record_of(store, credentials)
    assert record.intent is None
    assert record.unanswered is not None
    assert record.unanswered.count == 3
    # Another task does not begin the pauses anew.
    clock.slept.clear()
    endpoint.down = None
    clock.advance(30)
    make_broker(store, endpoint, clock).token(authorised_credentials())
    assert clock.slept == [30.0]
    assert set(sent(endpoint)[1:]) == {"refresh-1"}
    assert record_of(store, credentials).unanswered is None


def test_a_caller_who_cannot_wait_for_the_repetition_hears_why(
    store: Store, endpoint: FakeEndpoint, credentials: Credentials, clock: FakeClock
) -> None:
    endpoint.down = PassingError("503")
    with pytest.raises(PassingError):
        make_broker(store, endpoint, clock).token(authorised_credentials())
    count = endpoint.count
    with pytest.raises(TokenEndpointError, match="got no answer from https://id.example.com"):
        make_broker(store, endpoint, clock, lock_timeout=50.0, deadline=40.0).token(authorised_credentials())
    assert endpoint.count == count


def test_only_the_servers_own_refusal_asks_for_a_person(
    broker: Broker, endpoint: FakeEndpoint, credentials: Credentials, clock: FakeClock
) -> None:
    endpoint.down = PassingError("503")
    for _ in range(5):
        with pytest.raises(PassingError):
            broker.token(credentials)
        clock.advance(400)
    endpoint.down = None
    endpoint.script = [refuse(credentials, "invalid_grant")]
    with pytest.raises(ReauthorizationRequiredError):
        broker.token(credentials)


def test_within_the_leeway_an_unanswered_refresh_is_repeated_at_once(
    broker: Broker, endpoint: FakeEndpoint, clock: FakeClock
) -> None:
    lenient = authorised_credentials(refresh_leeway=30.0)
    broker.token(lenient)
    clock.advance(3600)
    endpoint.script = [PassingError("no answer")]
    assert access(broker.token(lenient)) == "access-3"
    clock.advance(3600 - 300)
    endpoint.script = [PassingError("no answer")]
    assert access(broker.token(lenient)) == "access-5"  # renewed early
    endpoint.script = [PassingError("no answer")]
    assert access(broker.renew(lenient, at_least=float("inf"))) == "access-7"
    assert clock.slept == []


def test_what_goes_by_the_leeway_leaves_while_it_lasts(
    broker: Broker, store: Store, endpoint: FakeEndpoint, clock: FakeClock
) -> None:
    lenient = authorised_credentials(refresh_leeway=30.0)
    broker.token(lenient)
    clock.advance(3600 - 300)
    seen: list[Record] = []

    def lose_the_answer() -> None:
        clock.advance(10)
        raise PassingError("no answer")

    endpoint.script = [lose_the_answer, lambda: seen.append(record_of(store, lenient))]
    began = clock.wall()
    broker.token(lenient)
    (record,) = seen
    assert record.intent is not None
    assert (record.intent.begun, record.intent.deadline) == (began + 10, began + 30)


def test_an_unanswered_early_renewal_rests_while_the_old_token_works(
    broker: Broker, store: Store, endpoint: FakeEndpoint, clock: FakeClock
) -> None:
    made = authorised_credentials()
    broker.token(made)
    clock.advance(3600 - 300)
    endpoint.script = [PassingError("no answer")]
    for _ in range(20):
        assert access(broker.token(made)) == "access-1"
        assert access(make_broker(store, endpoint, clock).token(authorised_credentials())) == "access-1"
        clock.advance(10)
    assert sent(endpoint) == ["seed-1", "refresh-1"]
    clock.advance(300)
    assert access(broker.token(made)) == "access-3"
    assert sent(endpoint) == ["seed-1", "refresh-1", "refresh-1"]


def test_a_dead_owners_refresh_counts_as_unanswered(
    broker: Broker, store: Store, endpoint: FakeEndpoint, clock: FakeClock
) -> None:
    made = authorised_credentials()
    broker.token(made)
    clock.advance(3600 - 300)
    put(store, made, intent=theirs(clock, sent=secret_hash(Secret("refresh-1"))))
    for _ in range(10):
        assert access(broker.token(made)) == "access-1"
        clock.advance(20)
    assert endpoint.count == 1
    clock.advance(300)
    assert access(broker.token(made)) == "access-2"


class TaskTimeout(BaseException):
    """What a signal handler may raise anywhere."""


def test_a_task_that_is_interrupted_tells_that_its_request_may_have_left(
    broker: Broker, store: Store, endpoint: FakeEndpoint, credentials: Credentials
) -> None:
    def interrupt() -> None:
        raise TaskTimeout

    endpoint.script = [interrupt]
    with pytest.raises(TaskTimeout):
        broker.token(credentials)
    record = record_of(store, credentials)
    assert record.intent is None
    assert record.unanswered is not None


def test_a_grant_that_does_not_rotate_needs_no_intent_and_no_rest(
    broker: Broker, store: Store, endpoint: FakeEndpoint, clock: FakeClock
) -> None:
    endpoint.refresh_tokens = False
    made = authorised_credentials(rotates=False)
    broker.token(made)
    clock.advance(3600)
    revision = entry_of(store, made).revision
    seen: list[Record] = []
    endpoint.script = [lambda: seen.append(record_of(store, made))]
    broker.token(made)
    assert seen[0].intent is None
    assert entry_of(store, made).revision == revision + 1
    assert not endpoint.requests[-1].refreshes


def test_that_refresh_tokens_rotate_is_learnt(
    broker: Broker, store: Store, endpoint: FakeEndpoint, clock: FakeClock
) -> None:
    made = authorised_credentials(rotates=False)
    broker.token(made)
    assert record_of(store, made).rotates
    clock.advance(3600)
    seen: list[Record] = []
    endpoint.script = [lambda: seen.append(record_of(store, made))]
    broker.token(made)
    assert seen[0].intent is not None
    clock.advance(3600)
    endpoint.script = [{"refresh_token": None}]
    broker.token(made)
    # One answer without a new refresh token is no proof of the contrary.
    assert record_of(store, made).rotates


def test_only_the_owner_of_the_standing_intent_records_a_refusal(
    broker: Broker, store: Store, endpoint: FakeEndpoint, credentials: Credentials, clock: FakeClock
) -> None:
    def overtaken() -> None:
        put(store, credentials, intent=theirs(clock))
        raise refuse(credentials, "invalid_grant")

    began = clock.wall()
    moments: list[float] = []
    endpoint.script = [overtaken, lambda: moments.append(clock.wall())]
    assert access(broker.token(credentials)) == "access-3"
    assert moments == [began + 60]
    assert not [key for key in store.list() if key.startswith("refused-refresh-")]


def test_a_refusal_is_not_recorded_without_the_lock(
    broker: Broker,
    store: Store,
    endpoint: FakeEndpoint,
    credentials: Credentials,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def lose_the_lock() -> None:
        monkeypatch.setattr(Kept, "is_ours", lambda self: False)
        raise refuse(credentials, "invalid_grant")

    def find_it_again() -> None:
        monkeypatch.undo()

    endpoint.script = [lose_the_lock, find_it_again]
    assert access(broker.token(credentials)) == "access-3"
    assert not [key for key in store.list() if key.startswith("refused-refresh-")]


def test_the_log_says_where_the_lock_does_not_bind_all(
    broker: Broker,
    store: Store,
    endpoint: FakeEndpoint,
    credentials: Credentials,
    caplog: pytest.LogCaptureFixture,
) -> None:
    store.binds_all = False
    with caplog.at_level(logging.INFO):
        broker.token(credentials)
    assert "take the store 'sql'" in caplog.text
    assert "refresh-1" not in caplog.text


def test_renew_gives_a_token_that_lasts(
    broker: Broker, endpoint: FakeEndpoint, clock: FakeClock, credentials: Credentials
) -> None:
    assert access(broker.renew(credentials, at_least=1000)) == "access-2"
    assert access(broker.renew(credentials, at_least=1000)) == "access-2"
    clock.advance(3600 - 60 - 999)
    assert access(broker.renew(credentials, at_least=1000)) == "access-3"
    assert access(broker.renew(credentials, at_least=float("inf"))) == "access-4"
    # An unanswered renewal is no failure while the old token works.
    endpoint.script = [PassingError("no answer")]
    assert access(broker.renew(credentials, at_least=float("inf"))) == "access-4"
    assert endpoint.count == 5


def test_a_masker_that_fails_costs_no_token(
    store: Store,
    endpoint: FakeEndpoint,
    credentials: Credentials,
    clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(secret: Secret) -> None:
        if "2" in secret.reveal():
            raise StoreUnavailableError("Airflow could not be asked for masking.")

    broker = make_broker(store, endpoint, clock, on_secret=fail)
    assert access(broker.token(authorised_credentials())) == "access-2"
    assert record_of(store, credentials).tokens.refresh_token == Secret("refresh-2")
    assert "could not be registered" in caplog.text
    assert "refresh-2" not in caplog.text


def test_a_failed_early_renewal_rests_for_all(
    store: Store, endpoint: FakeEndpoint, broker: Broker, clock: FakeClock
) -> None:
    def another_process() -> None:
        other, theirs = make_broker(store, endpoint, clock), authorised_credentials()
        for _ in range(2):
            other.token(theirs)

    broker.token(authorised_credentials())
    clock.advance(3600 - 300)
    endpoint.down = NeverSentError("down")
    for _ in range(10):
        another_process()
    assert endpoint.count == 2
    clock.advance(30)
    another_process()
    assert endpoint.count == 3


@pytest.mark.parametrize("where", ["on_event", "on_secret"])
def test_an_interruption_after_the_answer_loses_nothing(
    store: Store, endpoint: FakeEndpoint, credentials: Credentials, clock: FakeClock, where: str
) -> None:
    def interrupt(*_: Any) -> None:
        if endpoint.count == 2:
            raise TaskTimeout

    broker = make_broker(store, endpoint, clock, **{where: interrupt})
    with pytest.raises(TaskTimeout):
        broker.token(authorised_credentials())
    record = record_of(store, credentials)
    assert record.tokens.refresh_token == Secret("refresh-2")
    assert (record.intent, record.unanswered) == (None, None)


def test_a_repetition_looks_once_more_whether_the_dead_one_has_come_back(
    broker: Broker, store: Store, endpoint: FakeEndpoint, credentials: Credentials, clock: FakeClock
) -> None:
    put(store, credentials, intent=theirs(clock, sent=secret_hash(Secret("refresh-1")), seconds=0.0))
    write = store.write

    def they_write_at_last(key: str, payload: bytes, **options: Any) -> int:
        revision = write(key, payload, **options)
        if Record.from_json(payload).intent is not None:
            now = record_of(store, credentials).tokens
            tokens = replace(
                now, access_token=Secret("their-access"), generation=2, expires_at=clock.wall() + 3600
            )
            put(store, credentials, intent=None, tokens=tokens)
        return revision

    store.write = they_write_at_last  # type: ignore[method-assign]
    assert access(broker.token(credentials)) == "their-access"
    assert endpoint.count == 1


def test_a_forked_child_takes_no_intent_of_its_parents_for_unsent(
    broker: Broker, credentials: Credentials
) -> None:
    view = broker._memory.known(credentials)
    assert view is not None
    view.slot.never_sent = "of another thread"
    broker._memory.after_fork()
    assert view.slot.never_sent is None


def test_a_consent_waits_for_no_one_who_is_stopped(
    store: Store, endpoint: FakeEndpoint, credentials: Credentials, clock: FakeClock
) -> None:
    class Stopped(Store):
        def lock(self, key: str, timeout: float) -> AbstractContextManager[Hold]:
            clock.advance(timeout)
            raise LockTimeoutError("held")

    held = Stopped(clock=clock)
    consent = Answer(access_token=Secret("consent"), refresh_token=Secret("consented"), lifetime=3600)
    before = clock.wall()
    assert access(make_broker(held, endpoint, clock).begin(credentials, consent)) == "consent"
    assert clock.wall() - before <= 10
    assert record_of(held, credentials).tokens.refresh_token == Secret("consented")
