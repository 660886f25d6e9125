"""A 401 drops the token it was given for, by value, and replays once."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_finauth.auth.authorizer import FixedAuthorizer
from airflow_provider_finauth.client.client import ApiClient
from airflow_provider_finauth.exceptions import ApiError, FinauthError, SubscriptionKeyError
from tests.client.support import BASE, JSON, TOKENS, FakeAuthorizer, FakeClock, fixed, make_client, profile

if TYPE_CHECKING:
    import requests
    import requests_mock

    from airflow_provider_finauth.client.profile import Failure

OK: dict[str, Any] = {"json": [{"id": 1}], "headers": JSON}
STALE: dict[str, Any] = {"status_code": 401, "json": {"message": "expired"}}


def sent(mock: requests_mock.Mocker) -> list[str]:
    return [call.headers.get("Authorization") for call in mock.request_history]


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_it_is_replayed_once_with_another_token(method: str, requests_mock: requests_mock.Mocker) -> None:
    requests_mock.request(method, f"{BASE}/x", [STALE, OK])
    authorizer = FakeAuthorizer()

    assert make_client(authorizer=authorizer).request(method, "/x", json={"a": 1}).status_code == 200
    assert sent(requests_mock) == [f"Bearer {TOKENS[0]}", f"Bearer {TOKENS[1]}"]
    assert authorizer.replaced == [TOKENS[0]]
    assert {call.body for call in requests_mock.request_history} == {b'{"a":1}'}


def test_a_second_401_fails_and_tells_what_to_do(requests_mock: requests_mock.Mocker) -> None:
    requests_mock.get(f"{BASE}/x", **STALE)
    authorizer = FakeAuthorizer()

    with pytest.raises(ApiError, match="answered 401: expired.*client may use this API") as caught:
        make_client(authorizer=authorizer).request("GET", "/x")
    assert caught.value.status == 401
    assert requests_mock.call_count == 2
    assert authorizer.replaced == [TOKENS[0]]


def test_where_no_other_token_can_be_had_it_fails_at_once(requests_mock: requests_mock.Mocker) -> None:
    requests_mock.get(f"{BASE}/x", **STALE)

    with pytest.raises(ApiError, match="answered 401"):
        make_client(authorizer=FakeAuthorizer(["only-token-0001"])).request("GET", "/x")
    assert requests_mock.call_count == 1


def test_one_replacement_for_all_tries_of_a_request(requests_mock: requests_mock.Mocker) -> None:
    requests_mock.get(f"{BASE}/x", [STALE, {"status_code": 500}, STALE, OK])
    authorizer = FakeAuthorizer()

    with pytest.raises(ApiError) as caught:
        make_client(authorizer=authorizer).request("GET", "/x")
    assert caught.value.status == 401
    assert len(authorizer.replaced) == 1


def test_each_request_may_replace_again(requests_mock: requests_mock.Mocker) -> None:
    requests_mock.get(f"{BASE}/x", [STALE, OK, STALE, OK])
    client = make_client()
    client.request("GET", "/x")
    client.request("GET", "/x")

    assert sent(requests_mock) == [f"Bearer {TOKENS[n]}" for n in (0, 1, 1, 2)]


def test_a_fixed_key_is_not_replayed(requests_mock: requests_mock.Mocker) -> None:
    requests_mock.get(f"{BASE}/x", **STALE)
    key = fixed()
    client = ApiClient(profile(credentials=key), FixedAuthorizer(key), clock=FakeClock())

    with pytest.raises(ApiError, match="fixed key cannot be refreshed: renew it"):
        client.request("GET", "/x")
    assert requests_mock.call_count == 1


def test_a_fixed_key_is_never_replaced(requests_mock: requests_mock.Mocker) -> None:
    requests_mock.get(f"{BASE}/x", **STALE)
    authorizer = FakeAuthorizer()
    client = ApiClient(profile(credentials=fixed()), authorizer, clock=FakeClock())

    with pytest.raises(ApiError):
        client.request("GET", "/x")
    assert client.session.get(f"{BASE}/x").status_code == 401
    assert authorizer.replaced == []


def test_a_redirected_401_is_replayed_once(requests_mock: requests_mock.Mocker) -> None:
    requests_mock.get(f"{BASE}/x", status_code=302, headers={"Location": f"{BASE}/y"})
    final = requests_mock.get(f"{BASE}/y", **STALE)
    authorizer = FakeAuthorizer()

    with pytest.raises(ApiError):
        make_client(authorizer=authorizer).request("GET", "/x")
    assert final.call_count == 2
    assert len(authorizer.replaced) == 1


def test_a_subscription_key_is_not_replayed(requests_mock: requests_mock.Mocker) -> None:
    def judge(failure: Failure) -> FinauthError | None:
        return SubscriptionKeyError(failure.text, status=401)

    requests_mock.get(f"{BASE}/x", **STALE)
    authorizer = FakeAuthorizer()

    with pytest.raises(SubscriptionKeyError):
        make_client(authorizer=authorizer, judge=judge).request("GET", "/x")
    assert requests_mock.call_count == 1
    assert authorizer.replaced == []


def test_an_accepted_401_is_an_answer(requests_mock: requests_mock.Mocker) -> None:
    requests_mock.get(f"{BASE}/x", **STALE)

    assert make_client().request("GET", "/x", accept_status=(401,)).status_code == 401
    assert requests_mock.call_count == 1


class TestSession:
    """The same for whoever uses the session by itself."""

    def test_it_is_replayed_once(self, requests_mock: requests_mock.Mocker) -> None:
        requests_mock.post(f"{BASE}/x", [STALE, OK])
        session = make_client().session

        assert session.post(f"{BASE}/x", data=b"body").json() == [{"id": 1}]
        assert sent(requests_mock) == [f"Bearer {TOKENS[0]}", f"Bearer {TOKENS[1]}"]
        assert [call.body for call in requests_mock.request_history] == [b"body", b"body"]

    def test_a_second_401_is_the_answer(self, requests_mock: requests_mock.Mocker) -> None:
        requests_mock.get(f"{BASE}/x", **STALE)

        assert make_client().session.get(f"{BASE}/x").status_code == 401
        assert requests_mock.call_count == 2

    def test_a_fixed_key_is_not_replayed(self, requests_mock: requests_mock.Mocker) -> None:
        requests_mock.get(f"{BASE}/x", **STALE)
        key = fixed()
        client = ApiClient(profile(credentials=key), FixedAuthorizer(key), clock=FakeClock())

        assert client.session.get(f"{BASE}/x").status_code == 401
        assert requests_mock.call_count == 1

    def test_a_subscription_key_is_not_replayed_and_the_answer_stays_readable(
        self, requests_mock: requests_mock.Mocker
    ) -> None:
        def judge(failure: Failure) -> FinauthError | None:
            return SubscriptionKeyError(failure.text, status=401)

        requests_mock.get(f"{BASE}/x", **STALE)
        response = make_client(judge=judge).session.get(f"{BASE}/x", stream=True)

        assert requests_mock.call_count == 1
        assert response.json() == {"message": "expired"}

    def test_a_file_is_sent_again_from_its_beginning(self, requests_mock: requests_mock.Mocker) -> None:
        bodies = []

        def answer(request: requests.PreparedRequest, context: Any) -> str:
            body: Any = request.body
            bodies.append(body.read())
            context.status_code = 401 if len(bodies) == 1 else 200
            return ""

        requests_mock.post(f"{BASE}/x", text=answer)
        make_client().session.post(f"{BASE}/x", data=io.BytesIO(b"content"))

        assert bodies == [b"content", b"content"]

    def test_a_stream_that_cannot_be_sent_again_is_not(self, requests_mock: requests_mock.Mocker) -> None:
        requests_mock.post(f"{BASE}/x", **STALE)
        authorizer = FakeAuthorizer()

        response = make_client(authorizer=authorizer).session.post(f"{BASE}/x", data=iter([b"a"]))
        assert response.status_code == 401
        assert requests_mock.call_count == 1
        assert authorizer.replaced == []
