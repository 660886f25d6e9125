from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_finauth.client.errors import describe
from airflow_provider_finauth.exceptions import (
    ApiError,
    FinauthError,
    ForbiddenError,
    RateLimitedError,
    SubscriptionKeyError,
)
from airflow_provider_finauth.secret import Secret
from tests.client.support import BASE, TOKENS, FakeAuthorizer, make_client

if TYPE_CHECKING:
    import requests_mock

    from airflow_provider_finauth.client.profile import Failure

TRADEVEST = {
    "message": "Validation failed",
    "responseType": "ERROR",
    "requestId": "tv-1",
    "validationString": None,
    "errorCode": "E42",
    "errorDetails": [
        {"field": "amount", "errors": [{"code": "TOO_SMALL", "parameter": "1", "message": "too small"}]},
        {"field": "isin", "errors": []},
    ],
}


@pytest.mark.parametrize(
    ("body", "code", "sentence"),
    [
        ({"error": "invalid_request"}, "invalid_request", "invalid_request"),
        ({"error": "invalid_grant", "error_description": "It is spent."}, "invalid_grant", "It is spent."),
        ({"error_descriptions": ["No such code", "Try again"]}, None, "No such code; Try again"),
        ({"errors": "The grant is invalid"}, None, "The grant is invalid"),
        ({"statusCode": 401, "message": "Access denied."}, None, "Access denied."),
        ({"error": "Bad date", "code": "GL-7", "telemetryId": "t"}, "GL-7", "Bad date"),
        (TRADEVEST, "E42", "Validation failed (amount: too small, isin)"),
        ({"error": {"code": "501", "message": "No $filter"}}, "501", "No $filter"),
        ({"odata.error": {"code": "X", "message": {"lang": "en", "value": "No"}}}, "X", "No"),
        ({"title": "Bad", "detail": "The date is wrong.", "status": 400}, None, "The date is wrong."),
        ({"title": "Bad", "errors": {"date": ["wrong", "odd"]}}, None, "Bad (date: wrong; odd)"),
        (
            {"errors": [{"message": "No", "extensions": {"code": "BAD", "details": [{"field": "id"}]}}]},
            "BAD",
            "No (id)",
        ),
        ({"code": 17, "message": "x"}, "17", "x"),
        ("a text", None, "a text"),
        (None, None, ""),
        (17, None, ""),
        ([], None, ""),
        ({"error": None, "message": True}, None, ""),
    ],
)
def test_shapes(body: Any, code: str | None, sentence: str) -> None:
    assert describe(body) == (code, sentence)


def test_depth_is_bounded() -> None:
    body: Any = "deep"
    for _ in range(900):
        body = {"error": body}

    assert describe(body) == (None, "")


def error_of(mock: requests_mock.Mocker, *, method: str = "GET", **answer: Any) -> Any:
    changes = answer.pop("profile", {})
    authorizer = answer.pop("authorizer", None)
    mock.request(method, f"{BASE}/things/7", **answer)
    with pytest.raises(FinauthError) as caught:
        make_client(max_attempts=1, authorizer=authorizer, **changes).request(
            method, "/things/7", params={"q": "the-query"}
        )
    return caught.value


def test_an_error_tells_all_that_helps(requests_mock: requests_mock.Mocker) -> None:
    error = error_of(requests_mock, status_code=409, json=TRADEVEST)

    assert isinstance(error, ApiError)
    assert (error.status, error.code, error.request_id) == (409, "E42", "tv-1")
    assert str(error) == (
        "Connection 'my_conn': GET /things/7 answered 409 (E42): Validation failed "
        "(amount: too small, isin). "
        "Request id: tv-1. It exists already, or has changed since it was read: read it again before writing."
    )


@pytest.mark.parametrize(
    ("status", "kind", "permanent"),
    [
        (400, ApiError, False),
        (403, ForbiddenError, True),
        (404, ApiError, False),
        (429, RateLimitedError, False),
    ],
)
def test_kinds(
    status: int, kind: type[FinauthError], permanent: bool, requests_mock: requests_mock.Mocker
) -> None:
    error = error_of(requests_mock, status_code=status)

    assert type(error) is kind
    assert error.permanent is permanent
    assert f"answered {status}" in str(error)


@pytest.mark.parametrize("name", ["X-Request-ID", "Request-Id", "X-Correlation-ID"])
def test_the_request_id_of_a_header(name: str, requests_mock: requests_mock.Mocker) -> None:
    assert error_of(requests_mock, status_code=500, headers={name: "r-9"}).request_id == "r-9"


def test_our_own_request_id_where_the_server_has_none(requests_mock: requests_mock.Mocker) -> None:
    error = error_of(requests_mock, status_code=500, profile={"request_id_header": "X-Request-ID"})

    assert error.request_id == requests_mock.last_request.headers["X-Request-ID"]


@pytest.mark.parametrize(
    "text",
    [
        f"refused {TOKENS[0]} here",
        "refused Bearer unknown-token-12345",
        "the secret the-client-secret is bad",
        "the key sub+key/1==",
        "the key sub%2Bkey%2F1%3D%3D",
    ],
)
def test_secrets_in_the_servers_words_are_taken_out(text: str, requests_mock: requests_mock.Mocker) -> None:
    error = error_of(
        requests_mock,
        status_code=400,
        json={"message": text, "code": TOKENS[0], "requestId": TOKENS[0]},
        profile={"secret_headers": {"Key": Secret("sub+key/1==")}},
    )

    for secret in (TOKENS[0], "unknown-token-12345", "the-client-secret", "sub+key", "sub%2Bkey"):
        assert secret not in str(error)
        assert secret not in f"{error.code} {error.request_id}"
    assert "***" in str(error)


def test_the_servers_words_are_short_and_in_one_line(requests_mock: requests_mock.Mocker) -> None:
    error = error_of(requests_mock, status_code=400, json={"message": "line\nline\x1b[0m\r\n" + "x" * 5000})

    assert len(str(error)) < 500
    assert not any(ord(letter) < 32 for letter in str(error))


def test_no_query_and_no_page_for_people(requests_mock: requests_mock.Mocker) -> None:
    error = error_of(
        requests_mock,
        status_code=502,
        text="<html><body>Proxy at 10.0.0.1</body></html>",
        headers={"Content-Type": "text/html"},
    )

    assert "the-query" not in str(error)
    assert "Proxy" not in str(error)


def test_the_plain_text_of_a_good_answer_is_data(requests_mock: requests_mock.Mocker) -> None:
    requests_mock.get(
        f"{BASE}/things", text="name,iban\nMatti,FI21 1234", headers={"Content-Type": "text/plain"}
    )
    with pytest.raises(ApiError, match="labelled 'text/plain'") as raised:
        make_client().get_json("things")
    assert "Matti" not in str(raised.value)


def test_plain_text_is_a_sentence(requests_mock: requests_mock.Mocker) -> None:
    error = error_of(
        requests_mock, status_code=503, text="Closed for the night", headers={"Content-Type": "text/plain"}
    )

    assert "Closed for the night" in str(error)


def test_the_vendors_reading_comes_first(requests_mock: requests_mock.Mocker) -> None:
    seen: list[Failure] = []

    def judge(failure: Failure) -> FinauthError | None:
        seen.append(failure)
        return ForbiddenError("both causes", status=403) if failure.status == 403 else None

    error = error_of(
        requests_mock, status_code=403, json={"message": "no", "code": "C"}, profile={"judge": judge}
    )

    assert str(error) == "both causes"
    assert (seen[0].method, seen[0].path, seen[0].text, seen[0].code) == ("GET", "/things/7", "no", "C")
    assert seen[0].body == {"message": "no", "code": "C"}
    assert isinstance(error_of(requests_mock, status_code=404, profile={"judge": judge}), ApiError)


def test_a_redirect_that_is_not_followed(requests_mock: requests_mock.Mocker) -> None:
    error = error_of(requests_mock, method="POST", status_code=302, headers={"Location": f"{BASE}/elsewhere"})

    assert "answered 302" in str(error)
    assert "redirect of such a request is not followed" in str(error)


def test_a_subscription_key_is_not_a_stale_token(requests_mock: requests_mock.Mocker) -> None:
    authorizer = FakeAuthorizer()

    def judge(failure: Failure) -> FinauthError | None:
        return SubscriptionKeyError("the key", status=401) if failure.status == 401 else None

    error = error_of(requests_mock, status_code=401, authorizer=authorizer, profile={"judge": judge})

    assert isinstance(error, SubscriptionKeyError)
    assert authorizer.replaced == []
    assert requests_mock.call_count == 1
