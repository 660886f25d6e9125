from __future__ import annotations

import math
import os
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_finauth.auth.entry import Intent, Record, Unanswered
from airflow_provider_finauth.auth.intents import (
    Watch,
    after_no_answer,
    leeway_left,
    new_intent,
    settled,
    wait_to_repeat,
)
from airflow_provider_finauth.auth.tokens import TokenSet
from airflow_provider_finauth.secret import Secret

INTENT = Intent(owner="host/boot/7/99", attempt="theirs", sent="hash", begun=100.0, deadline=160.0)


def record(**changes: Any) -> Record:
    made = Record(
        conn_id="c",
        api="luca",
        token_origin="https://id.example.com",
        fingerprint="f",
        tokens=TokenSet(
            access_token=Secret("access"),
            refresh_token=Secret("refresh"),
            issued_at=0,
            expires_at=200,
            lifetime=200,
            generation=3,
            lineage="consent-1",
        ),
        minted_at=0,
    )
    return replace(made, **changes)


# Seen for the first time, by a clock that all share.
FRESH = Watch(0.0, one_clock=True)


def unanswered(**changes: Any) -> Unanswered:
    return replace(Unanswered(sent="hash", count=1, since=100.0, retry_at=130.0), **changes)


def test_an_intent_names_this_process_and_ends() -> None:
    first, second = (new_intent("hash", now=100.0, seconds=60.0) for _ in range(2))
    assert f"/{os.getpid()}/" in first.owner
    assert first.owner == second.owner
    assert first.attempt != second.attempt
    assert (first.begun, first.deadline, first.sent) == (100.0, 160.0, "hash")


def test_where_nothing_is_under_way_the_record_stands() -> None:
    assert settled(record(), now=100.0, never_sent=None, watch=FRESH) == record()


@pytest.mark.parametrize(("now", "left"), [(100.0, 60.0), (130.0, 30.0), (159.5, 0.5)])
def test_anothers_intent_is_waited_for(now: float, left: float) -> None:
    assert settled(record(intent=INTENT), now=now, never_sent="ours", watch=FRESH) == left


def test_a_clock_that_was_set_back_lengthens_no_wait() -> None:
    assert settled(record(intent=INTENT), now=-5_000.0, never_sent=None, watch=FRESH) == 60.0


def test_where_the_clock_was_set_back_what_was_watched_counts() -> None:
    watch = Watch(59.0, one_clock=True)
    assert settled(record(intent=INTENT), now=-5_000.0, never_sent=None, watch=watch) == 1.0
    over = settled(record(intent=INTENT), now=-5_000.0, never_sent=None, watch=Watch(60.0, one_clock=True))
    assert isinstance(over, Record)
    assert over.unanswered is not None


def test_another_machines_clock_says_nothing() -> None:
    watch = Watch(10.0, one_clock=False)
    assert settled(record(intent=INTENT), now=5_000.0, never_sent=None, watch=watch) == 50.0
    ours = new_intent("hash", now=100.0, seconds=60.0)
    assert settled(record(intent=ours), now=130.0, never_sent=None, watch=watch) == 30.0


def test_an_intent_that_outlived_its_deadline_counts_as_unanswered() -> None:
    found = settled(record(intent=INTENT), now=160.0, never_sent=None, watch=FRESH)
    assert found == record(unanswered=Unanswered(sent="hash", count=1, since=100.0, retry_at=0.0))


def test_unanswered_refreshes_of_one_token_are_counted_from_the_first() -> None:
    before = record(intent=INTENT, unanswered=unanswered(count=2, since=20.0))
    found = settled(before, now=200.0, never_sent=None, watch=FRESH)
    assert isinstance(found, Record)
    assert found.unanswered == Unanswered(sent="hash", count=3, since=20.0, retry_at=0.0)
    # Another refresh token's say nothing of this one.
    other = settled(
        replace(before, unanswered=unanswered(sent="old", count=9)), now=200.0, never_sent=None, watch=FRESH
    )
    assert isinstance(other, Record)
    assert other.unanswered == Unanswered(sent="hash", count=1, since=100.0, retry_at=0.0)


def test_an_intent_of_ours_that_no_request_followed_is_nothing() -> None:
    assert settled(record(intent=INTENT), now=101.0, never_sent="theirs", watch=FRESH) == record()


@pytest.mark.parametrize(
    ("count", "pause"), [(0, 1.0), (1, 2.0), (2, 4.0), (8, 256.0), (9, 300.0), (10_000, 300.0)]
)
def test_repetitions_back_off(count: int, pause: float) -> None:
    known = unanswered(count=count) if count else None
    after = after_no_answer(record(unanswered=known), INTENT, now=170.0, leeway=0.0)
    assert (after.count, after.retry_at) == (count + 1, 170.0 + pause)


def test_what_a_proxy_may_still_hold_is_not_repeated_before_its_deadline() -> None:
    assert after_no_answer(record(), INTENT, now=101.0, leeway=0.0).retry_at == INTENT.deadline


def test_within_a_leeway_the_first_repetition_does_not_wait() -> None:
    assert after_no_answer(record(), INTENT, now=101.0, leeway=30.0).retry_at == 101.0
    assert after_no_answer(record(), INTENT, now=131.0, leeway=30.0).retry_at == INTENT.deadline
    known = unanswered()
    assert after_no_answer(record(unanswered=known), INTENT, now=101.0, leeway=30.0).retry_at == 103.0
    # It would come when the leeway is over.
    assert after_no_answer(record(unanswered=known), INTENT, now=129.0, leeway=30.0).retry_at == 160.0


@pytest.mark.parametrize(("now", "left"), [(99.0, 0.0), (100.0, 30.0), (129.0, 1.0), (130.0, 0.0)])
def test_a_leeway_counts_from_the_first_that_got_no_answer(now: float, left: float) -> None:
    assert leeway_left(record(unanswered=unanswered(count=3)), "hash", now=now, leeway=30.0) == left


def test_without_an_unanswered_refresh_there_is_no_leeway() -> None:
    assert leeway_left(record(), "hash", now=100.0, leeway=30.0) == 0.0
    assert leeway_left(record(unanswered=unanswered(sent="old")), "hash", now=100.0, leeway=30.0) == 0.0


def wait(known: Unanswered | None, *, now: float, leeway: float = 0.0, usable: bool = False) -> float:
    return wait_to_repeat(record(unanswered=known), "hash", now=now, leeway=leeway, usable=usable)


def test_what_was_never_tried_does_not_wait() -> None:
    assert wait(None, now=100.0, usable=True) == 0.0
    assert wait(unanswered(sent="old"), now=100.0, usable=True) == 0.0


def test_an_unanswered_refresh_rests_while_the_old_token_works() -> None:
    assert wait(unanswered(), now=150.0, usable=True) == math.inf
    assert wait(unanswered(), now=150.0, usable=False) == 0.0
    assert wait(unanswered(), now=125.0, usable=False) == 5.0


def test_within_a_leeway_it_does_not_rest() -> None:
    assert wait(unanswered(retry_at=0.0), now=110.0, leeway=30.0, usable=True) == 0.0
    assert wait(unanswered(retry_at=0.0), now=131.0, leeway=30.0, usable=True) == math.inf
    # A clock that was set back is no leeway.
    assert wait(unanswered(retry_at=0.0), now=90.0, leeway=30.0, usable=True) == math.inf


def test_a_clock_that_was_set_back_lengthens_no_back_off() -> None:
    assert wait(unanswered(), now=-5_000.0) == 0.0
