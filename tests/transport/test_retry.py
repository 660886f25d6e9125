from __future__ import annotations

import itertools
from typing import Any

import pytest

from airflow_provider_finauth.exceptions import ApiError, FinauthError, RateLimitedError
from airflow_provider_finauth.transport.retry import Again, Tries
from tests.client.support import FakeClock


def failing(error: FinauthError, *waits: float | None) -> Any:
    calls = itertools.count()

    def attempt() -> str:
        number = next(calls)
        if number < len(waits):
            raise Again(error, retry_after=waits[number])
        return f"after {number}"

    return attempt


class TestTries:
    def test_pauses_grow_with_full_jitter(self) -> None:
        clock = FakeClock()
        tries = Tries(clock, deadline=1000, attempts=9, draw=lambda: 1.0)
        tries.run(failing(ApiError("x"), *[None] * 8))

        assert clock.slept == [1, 2, 4, 8, 16, 30, 30, 30]

    def test_jitter_reaches_down_to_nothing(self) -> None:
        clock = FakeClock()
        Tries(clock, deadline=1000, attempts=9, draw=lambda: 0.0).run(failing(ApiError("x"), None, None))

        assert clock.slept == [0, 0]

    def test_the_last_error_is_raised_alone(self) -> None:
        error = ApiError("x")
        with pytest.raises(ApiError) as caught:
            Tries(FakeClock(), deadline=1000, attempts=3).run(failing(error, *[None] * 99))

        assert caught.value is error
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None

    def test_a_named_wait_is_kept_and_a_little_more(self) -> None:
        clock = FakeClock()
        Tries(clock, deadline=1000, attempts=2, draw=lambda: 1.0).run(failing(ApiError("x"), 3.0, 60.0))

        assert clock.slept == [3.3, 61.0]

    def test_named_waits_use_up_no_attempts_but_the_deadline(self) -> None:
        clock = FakeClock()
        tries = Tries(clock, deadline=100, attempts=2, draw=lambda: 0.0)

        with pytest.raises(ApiError):
            tries.run(failing(ApiError("x"), *[10.0] * 99))
        assert clock.slept == [10.0] * 10

    def test_no_wait_at_all_can_be_named_and_uses_up_attempts(self) -> None:
        clock = FakeClock()
        tries = Tries(clock, deadline=100, attempts=4, draw=lambda: 1.0)

        with pytest.raises(ApiError):
            tries.run(failing(ApiError("x"), *[0.0] * 99))
        assert clock.slept == [0.0] * 3

    def test_a_wait_beyond_the_deadline_is_not_begun(self) -> None:
        clock = FakeClock()
        with pytest.raises(RateLimitedError):
            Tries(clock, deadline=100, attempts=5).run(failing(RateLimitedError("x"), 101.0))

        assert clock.slept == []

    def test_other_errors_pass(self) -> None:
        def attempt() -> None:
            raise ApiError("for good")

        clock = FakeClock()
        with pytest.raises(ApiError, match="for good"):
            Tries(clock, deadline=100, attempts=5).run(attempt)
        assert clock.slept == []
