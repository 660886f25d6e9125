from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_finauth.client.retry import LONGEST_WAIT, Again, Tries, parse_retry_after
from airflow_provider_finauth.exceptions import ApiError, FinauthError, RateLimitedError
from tests.client.support import BASE, JSON, FakeAuthorizer, FakeClock, make_client

if TYPE_CHECKING:
    import requests_mock

NOW = 1_700_000_000.0


class TestRetryAfter:
    @pytest.mark.parametrize(
        ("value", "seconds"),
        [
            ("0", 0),
            ("120", 120),
            (" 3 ", 3),
            ("1.5", 1.5),
            (7, 7),
            ("9999999999", LONGEST_WAIT),
            ("9" * 5000, LONGEST_WAIT),
            ("Tue, 14 Nov 2023 22:14:20 GMT", 60),
            ("Tuesday, 14-Nov-23 22:14:20 GMT", 60),
            ("Tue Nov 14 22:14:20 2023", 60),
            ("Tue, 14 Nov 2023 22:12:00 GMT", 0),
            ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_WAIT),
        ],
    )
    def test_seconds_and_dates(self, value: Any, seconds: float) -> None:
        assert parse_retry_after(value, now=NOW) == seconds

    @pytest.mark.parametrize(
        "value",
        [
            None,
            "",
            "soon",
            "nan",
            "inf",
            "-inf",
            "-1",
            "1e3",
            "0x10",
            "1,5",
            "٣",
            True,
            [],
            "Tue, 99 Nov 2023",
        ],
    )
    def test_what_says_nothing(self, value: Any) -> None:
        assert parse_retry_after(value, now=NOW) is None

    @given(st.one_of(st.text(), st.floats(), st.integers(), st.none(), st.booleans(), st.binary()))
    def test_anything_is_survived_and_clamped(self, value: Any) -> None:
        seconds = parse_retry_after(value, now=NOW)
        assert seconds is None or 0 <= seconds <= LONGEST_WAIT

    @given(st.integers(-(10**6), 10**6))
    def test_dates_count_from_now(self, offset: int) -> None:
        date = datetime.fromtimestamp(NOW, UTC) + timedelta(seconds=offset)

        text = format_datetime(date, usegmt=True)

        assert parse_retry_after(text, now=NOW) == min(max(0, offset), LONGEST_WAIT)


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


OK: dict[str, Any] = {"json": {"ok": 1}, "headers": JSON}


class TestStatuses:
    @pytest.mark.parametrize("status", [408, 500, 502, 503, 504, 599])
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_safe_requests_are_repeated(
        self, status: int, method: str, requests_mock: requests_mock.Mocker
    ) -> None:
        mock = requests_mock.request(
            method, f"{BASE}/x", [{"status_code": status}, {"status_code": status}, OK]
        )

        assert make_client().request(method, "/x").status_code == 200
        assert mock.call_count == 3

    @pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
    def test_others_are_not(self, status: int, method: str, requests_mock: requests_mock.Mocker) -> None:
        mock = requests_mock.request(method, f"{BASE}/x", [{"status_code": status}, OK])

        with pytest.raises(ApiError) as caught:
            make_client().request(method, "/x", json={})
        assert mock.call_count == 1
        assert caught.value.status == status

    def test_what_the_caller_calls_idempotent_is_repeated(self, requests_mock: requests_mock.Mocker) -> None:
        mock = requests_mock.post(f"{BASE}/x", [{"status_code": 503}, OK])

        make_client().request("POST", "/x", json={"a": 1}, idempotent=True)
        assert mock.call_count == 2
        assert {call.body for call in mock.request_history} == {b'{"a":1}'}

    def test_a_get_that_is_not_idempotent_is_not(self, requests_mock: requests_mock.Mocker) -> None:
        mock = requests_mock.get(f"{BASE}/x", [{"status_code": 503}, OK])

        with pytest.raises(ApiError):
            make_client().request("GET", "/x", idempotent=False)
        assert mock.call_count == 1

    @pytest.mark.parametrize("status", [400, 404, 405, 409, 410, 422, 501, 505])
    def test_refusals_are_not_repeated(self, status: int, requests_mock: requests_mock.Mocker) -> None:
        mock = requests_mock.get(f"{BASE}/x", [{"status_code": status}, OK])

        with pytest.raises(ApiError):
            make_client().request("GET", "/x")
        assert mock.call_count == 1

    def test_attempts_are_bounded(self, requests_mock: requests_mock.Mocker) -> None:
        mock = requests_mock.get(f"{BASE}/x", status_code=500)

        with pytest.raises(ApiError, match="answered 500.*try again later"):
            make_client(max_attempts=3).request("GET", "/x")
        assert mock.call_count == 3

    def test_each_retry_asks_for_the_token(self, requests_mock: requests_mock.Mocker) -> None:
        requests_mock.get(f"{BASE}/x", [{"status_code": 500}, {"status_code": 500}, OK])
        authorizer = FakeAuthorizer()

        make_client(authorizer=authorizer).request("GET", "/x")
        assert authorizer.asked == 3


class TestRateLimits:
    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_the_named_wait_is_kept(self, method: str, requests_mock: requests_mock.Mocker) -> None:
        limited = {"status_code": 429, "headers": {"Retry-After": "3"}}
        mock = requests_mock.request(method, f"{BASE}/x", [limited, limited, OK])
        clock = FakeClock()

        make_client(clock=clock).request(method, "/x")
        assert mock.call_count == 3
        assert all(3 <= wait <= 3.3 for wait in clock.slept)

    def test_a_date_is_compared_with_the_servers_clock(self, requests_mock: requests_mock.Mocker) -> None:
        headers = {
            "Retry-After": "Wed, 21 Oct 2015 07:28:20 GMT",
            "Date": "Wed, 21 Oct 2015 07:28:00 GMT",
        }
        requests_mock.get(f"{BASE}/x", [{"status_code": 429, "headers": headers}, OK])
        clock = FakeClock()

        make_client(clock=clock).request("GET", "/x")
        assert 20 <= clock.slept[0] <= 21

    @pytest.mark.parametrize("value", ["nan", "inf", "-5", "later", ""])
    def test_garbage_is_ignored(self, value: str, requests_mock: requests_mock.Mocker) -> None:
        requests_mock.get(f"{BASE}/x", [{"status_code": 429, "headers": {"Retry-After": value}}, OK])
        clock = FakeClock()

        make_client(clock=clock).request("GET", "/x")
        assert 0 <= clock.slept[0] <= 1

    def test_too_long_a_wait_is_told_at_once(self, requests_mock: requests_mock.Mocker) -> None:
        mock = requests_mock.get(f"{BASE}/x", status_code=429, headers={"Retry-After": "9999999999"})
        clock = FakeClock()

        with pytest.raises(RateLimitedError, match="answered 429.*requests_per_second") as caught:
            make_client(clock=clock).request("GET", "/x")
        assert mock.call_count == 1
        assert caught.value.retry_after == LONGEST_WAIT
        assert clock.slept == []

    def test_the_deadline_ends_the_waiting(self, requests_mock: requests_mock.Mocker) -> None:
        mock = requests_mock.get(f"{BASE}/x", status_code=429, headers={"Retry-After": "50"})
        clock = FakeClock()

        with pytest.raises(RateLimitedError) as caught:
            make_client(clock=clock, retry_deadline=120.0).request("GET", "/x")
        assert mock.call_count == 3
        assert sum(clock.slept) <= 120
        assert caught.value.retry_after == 50

    def test_without_a_named_wait_attempts_are_bounded(self, requests_mock: requests_mock.Mocker) -> None:
        mock = requests_mock.get(f"{BASE}/x", status_code=429, headers={"Retry-After": "0"})

        with pytest.raises(RateLimitedError):
            make_client(max_attempts=4).request("GET", "/x")
        assert mock.call_count == 4

    def test_a_503_names_a_wait_too(self, requests_mock: requests_mock.Mocker) -> None:
        requests_mock.get(f"{BASE}/x", [{"status_code": 503, "headers": {"Retry-After": "7"}}, OK])
        clock = FakeClock()

        make_client(clock=clock).request("GET", "/x")
        assert 7 <= clock.slept[0] <= 7.7


class TestFaults:
    @pytest.mark.parametrize(
        "fault",
        [
            requests.exceptions.ReadTimeout("read GET https://api.example/x?secret=1"),
            requests.exceptions.ConnectionError("Connection aborted"),
            requests.exceptions.ChunkedEncodingError("broken"),
        ],
    )
    def test_after_sending_only_safe_requests_are_repeated(
        self, fault: Exception, requests_mock: requests_mock.Mocker
    ) -> None:
        mock = requests_mock.get(f"{BASE}/x", [{"exc": fault}, OK])
        make_client().request("GET", "/x")
        assert mock.call_count == 2

        mock = requests_mock.post(f"{BASE}/x", [{"exc": fault}, OK])
        with pytest.raises(ApiError, match="look before sending it again") as caught:
            make_client().request("POST", "/x", params={"secret": "1"})
        assert mock.call_count == 1
        assert "secret" not in str(caught.value)
        assert caught.value.__context__ is None

    @pytest.mark.parametrize(
        ("fault", "text"),
        [
            (requests.exceptions.ConnectTimeout("x"), "did not reach the server"),
            (requests.exceptions.ProxyError("x"), "did not get through the proxy"),
        ],
    )
    def test_before_sending_all_are_repeated(
        self, fault: Exception, text: str, requests_mock: requests_mock.Mocker
    ) -> None:
        mock = requests_mock.post(f"{BASE}/x", [{"exc": fault}, {"exc": fault}, OK])
        make_client().request("POST", "/x")
        assert mock.call_count == 3

        requests_mock.post(f"{BASE}/x", exc=fault)
        with pytest.raises(ApiError, match=text):
            make_client().request("POST", "/x")
