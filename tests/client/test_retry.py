from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

from airflow_provider_finauth.exceptions import ApiError, RateLimitedError
from airflow_provider_finauth.transport.retry_after import LONGEST_WAIT
from tests.client.support import BASE, JSON, FakeAuthorizer, FakeClock, make_client

if TYPE_CHECKING:
    import requests_mock

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
            # Of a proxy that broke off, perhaps with the request.
            requests.exceptions.ProxyError("Cannot connect to proxy."),
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

    def test_before_sending_all_are_repeated(self, requests_mock: requests_mock.Mocker) -> None:
        fault = requests.exceptions.ConnectTimeout("x")
        mock = requests_mock.post(f"{BASE}/x", [{"exc": fault}, {"exc": fault}, OK])
        make_client().request("POST", "/x")
        assert mock.call_count == 3

        requests_mock.post(f"{BASE}/x", exc=fault)
        with pytest.raises(ApiError, match="did not reach the server"):
            make_client().request("POST", "/x")
