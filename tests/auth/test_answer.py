from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_finauth.auth.answer import (
    LONGEST_LIFETIME,
    SHORTEST_LIFETIME,
    Answer,
    PassingError,
    parse_lifetime,
    read_answer,
)
from airflow_provider_finauth.auth.credentials import Refusal
from airflow_provider_finauth.exceptions import (
    FinauthError,
    InvalidClientError,
    RateLimitedError,
    TokenEndpointError,
)
from airflow_provider_finauth.secret import Secret
from tests.auth.support import authorised_credentials, client_credentials, password_credentials

CREDENTIALS = client_credentials()


def read(body: Any, status: int = 200, **kwargs: Any) -> Answer | FinauthError:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_answer(CREDENTIALS, status, "application/json", content, **kwargs)


def token(**members: Any) -> Answer:
    answer = read({"access_token": "a-token", **members})
    assert isinstance(answer, Answer)
    return answer


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (900, 900),
        ("3600", 3600),
        ("3600.0", 3600),
        (" 3600 ", 3600),
        (3599.5, 3599.5),
        (0.1, SHORTEST_LIFETIME),
        ("1e3", 1000),
        (10**9, LONGEST_LIFETIME),
        (10**400, LONGEST_LIFETIME),
        (1e300, LONGEST_LIFETIME),
    ],
)
def test_lifetimes_that_are_numbers(value: Any, seconds: float) -> None:
    assert parse_lifetime(value, 1234) == seconds


@pytest.mark.parametrize(
    "value",
    [
        None,
        0,
        "0",
        -1,
        -(10**400),
        "-5",
        "",
        "soon",
        True,
        False,
        [],
        [3600],
        {},
        math.nan,
        math.inf,
        "nan",
        "inf",
        "-inf",
        -math.inf,
        "1h",
        "0x10",
    ],
)
def test_lifetimes_that_are_none(value: Any) -> None:
    assert parse_lifetime(value, 1234) == 1234


@given(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(),
        st.lists(st.integers()),
        st.integers().map(str),
        st.floats().map(str),
    )
)
def test_any_lifetime_gives_a_sane_one(value: Any) -> None:
    assert SHORTEST_LIFETIME <= parse_lifetime(value, 3600) <= LONGEST_LIFETIME


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e999", "null", "9" * 5000])
def test_a_token_survives_an_odd_lifetime(literal: str) -> None:
    answer = read(f'{{"access_token": "a", "expires_in": {literal}}}'.encode())
    # A number of more than 4300 digits is no JSON that Python reads; it is an error, not a crash.
    assert isinstance(answer, TokenEndpointError) if len(literal) > 4000 else isinstance(answer, Answer)


def test_the_members_of_a_good_answer() -> None:
    answer = token(
        token_type="bearer",
        expires_in="3600",
        refresh_token="r",
        scope="ledger sales",
        unknown=[1],
        status="ok",
    )
    assert answer.access_token == Secret("a-token")
    assert answer.refresh_token == Secret("r")
    assert (answer.lifetime, answer.scope, answer.token_type) == (3600, "ledger sales", "bearer")


@pytest.mark.parametrize("status", [200, 201, 202, 299])
def test_any_2xx_may_bring_a_token(status: int) -> None:
    assert isinstance(read({"access_token": "a"}, status), Answer)


@pytest.mark.parametrize("status", [100, 199, 300, 302, 400, 401, 403, 404, 500, 503])
def test_no_other_status_brings_a_token(status: int) -> None:
    assert isinstance(read({"access_token": "a", "expires_in": 3600}, status), FinauthError)


@pytest.mark.parametrize(
    "access_token", [None, "", " ", "a b", "a\nb", "é", 5, True, ["a"], {"a": 1}, "\ud800"]
)
def test_only_a_string_that_fits_into_a_header_is_a_token(access_token: Any) -> None:
    assert isinstance(read({"access_token": access_token}), TokenEndpointError)


@pytest.mark.parametrize("token_type", ["Bearer", "bearer", "BEARER", "BearerToken", None, "", 5])
def test_token_types_that_mean_bearer(token_type: Any) -> None:
    assert token(token_type=token_type).access_token == Secret("a-token")


@pytest.mark.parametrize("token_type", ["mac", "DPoP", "N_A"])
def test_token_types_that_do_not(token_type: str) -> None:
    assert isinstance(read({"access_token": "a", "token_type": token_type}), TokenEndpointError)


@pytest.mark.parametrize("refresh_token", [None, "", 5, ["r"], "\ud800", "a\nb"])
def test_what_is_no_refresh_token_counts_as_missing(refresh_token: Any) -> None:
    assert token(refresh_token=refresh_token).refresh_token is None


@pytest.mark.parametrize(
    ("scope", "read_as"), [("a b", "a b"), (["a", "b", 3], "a b"), (None, None), ("", None), (7, None)]
)
def test_scopes(scope: Any, read_as: str | None) -> None:
    assert token(scope=scope).scope == read_as


def test_a_missing_lifetime_is_the_connections_default() -> None:
    answer = read_answer(client_credentials(default_lifetime=77), 200, None, b'{"access_token": "a"}')
    assert isinstance(answer, Answer)
    assert answer.lifetime == 77


def test_json_counts_whatever_its_content_type_and_with_a_byte_order_mark() -> None:
    answer = read_answer(CREDENTIALS, 200, "text/html", b'\xef\xbb\xbf{"access_token": "a"}')
    assert isinstance(answer, Answer)


NO_TOKENS = [
    b"",
    b"<html>Sign in</html>",
    b"null",
    b"[]",
    b'["access_token"]',
    b'"a"',
    b"\xff\xfe\x00",
    b"{",
    b"{}",
]
NO_TOKENS += [b"[" * 99999, b'{"access_token": null}', b"access_token=a&expires_in=5"]


@pytest.mark.parametrize("body", NO_TOKENS)
def test_a_200_without_a_token(body: bytes) -> None:
    error = read_answer(CREDENTIALS, 200, "text/html; charset=utf-8", body)
    assert isinstance(error, TokenEndpointError)
    assert error.status == 200
    assert "https://id.example.com" in str(error)
    assert "text/html" in str(error)
    assert "Sign in" not in str(error)
    assert "/token" not in str(error)


def test_a_200_with_an_error_inside() -> None:
    error = read({"error": "invalid_client", "error_description": "No such client"})
    assert isinstance(error, InvalidClientError)
    assert error.code == "invalid_client"
    assert "No such client" in str(error)


def test_a_vendors_own_shape_is_asked_first() -> None:
    def refusal(status: int, body: Any) -> Refusal | None:
        return (
            Refusal("invalid_grant", body["error_descriptions"][0]) if "error_descriptions" in body else None
        )

    credentials = authorised_credentials(read_refusal=refusal)
    error = read_answer(credentials, 200, None, b'{"error_descriptions": ["Used already"], "error": "x"}')
    assert isinstance(error, InvalidClientError)
    assert error.code == "invalid_grant"
    assert "Used already" in str(error)
    standard = read_answer(credentials, 400, None, b'{"error": "invalid_scope"}')
    assert isinstance(standard, InvalidClientError)
    assert standard.code == "invalid_scope"


@pytest.mark.parametrize(
    ("code", "fields"),
    [
        ("invalid_client", "'login', 'password'"),
        ("unauthorized_client", "'login', 'password'"),
        ("invalid_scope", "'scope'"),
        ("invalid_request", "'oauth_endpoint', 'scope'"),
        ("unsupported_grant_type", "'oauth_endpoint', 'scope'"),
        (None, "'login', 'password'"),
    ],
)
@pytest.mark.parametrize("status", [400, 401, 403])
def test_refusals_name_the_fields_to_mend(code: str | None, fields: str, status: int) -> None:
    error = read({"error": code} if code else b"<html>", status)
    assert isinstance(error, InvalidClientError)
    assert (error.code, error.status) == (code, status)
    assert str(error).endswith(f"Mend the connection's {fields}.")
    assert "'talenom_default'" in str(error)


def test_a_password_logins_refusal_names_its_own_fields() -> None:
    names = {
        "client_id": "client_id",
        "client_secret": "client_secret",
        "username": "login",
        "password": "password",
    }
    credentials = password_credentials(field_names=names)
    wrong_password = read_answer(credentials, 400, None, b'{"error": "invalid_grant"}')
    assert str(wrong_password).endswith("Mend the connection's 'login', 'password'.")
    unclear = read_answer(credentials, 401, None, b"")
    assert str(unclear).endswith("Mend the connection's 'client_id', 'client_secret', 'login', 'password'.")


@pytest.mark.parametrize("status", [500, 502, 503, 504, 599, 408])
def test_passing_statuses(status: int) -> None:
    error = read({"error": "invalid_client"}, status, retry_after=9.0)
    assert isinstance(error, PassingError)
    assert not error.permanent
    assert (error.status, error.retry_after) == (status, 9.0)


@pytest.mark.parametrize("code", ["server_error", "temporarily_unavailable"])
def test_passing_codes(code: str) -> None:
    assert isinstance(read({"error": code}, 400), PassingError)


def test_429_says_how_long_to_wait() -> None:
    error = read({"error": "slow_down"}, 429, retry_after=12.0)
    assert isinstance(error, RateLimitedError)
    assert error.retry_after == 12.0


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_names_the_field(status: int) -> None:
    error = read(b"", status)
    assert isinstance(error, TokenEndpointError)
    assert "'oauth_endpoint'" in str(error)


def test_a_servers_sentence_is_redacted_and_short() -> None:
    description = "client the-client-secret sent the%2Dclient%2Dsecret " + "x" * 1000
    error = read({"error": "invalid_client", "error_description": description}, 401)
    assert isinstance(error, InvalidClientError)
    assert "the-client-secret" not in str(error)
    assert "x" * 301 not in str(error)
    assert "x" * 100 in str(error)


@pytest.mark.parametrize("error", ["Bad Request: the-client-secret", "a b c", "x" * 100])
def test_a_sentence_in_place_of_a_code_is_no_code(error: str) -> None:
    read_as = read({"error": error}, 400)
    assert isinstance(read_as, InvalidClientError)
    assert read_as.code is None
    assert "the-client-secret" not in str(read_as)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
NAMES = ["access_token", "token_type", "expires_in", "refresh_token", "scope", "error", "error_description"]
members = st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, json_values))


@given(body=st.binary() | members.map(lambda value: json.dumps(value).encode()), status=st.integers(100, 599))
def test_any_answer_is_a_token_or_a_typed_error(body: bytes, status: int) -> None:
    answer = read_answer(CREDENTIALS, status, None, body)
    if isinstance(answer, Answer):
        value = answer.access_token.reveal()
        assert 200 <= status < 300
        assert json.loads(body)["access_token"] == value
        value.encode("latin-1")
    else:
        assert isinstance(answer, FinauthError)
        str(answer).encode()
        assert len(str(answer)) < 700


def test_no_error_shows_the_body_in_its_traceback() -> None:
    error = read(b'{"token_type": "mac", "access_token": "abcdefgh-secret"}')
    assert isinstance(error, TokenEndpointError)
    assert error.__traceback__ is None
    assert "abcdefgh" not in str(error)
