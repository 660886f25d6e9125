from __future__ import annotations

import base64
import hashlib
import json
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from airflow_provider_finauth.auth.authorize import AuthorizationFlow, Started
from airflow_provider_finauth.exceptions import (
    ConfigurationError,
    InvalidClientError,
    ReauthorizationRequiredError,
    TokenEndpointError,
)
from airflow_provider_finauth.secret import Secret
from tests.auth.support import FakeClock, FakeEndpoint, authorised_credentials, form, refuse

PAGE = "https://id.example.com/authorize"
BACK = "http://localhost:8765/callback"


def flow(**changes: Any) -> AuthorizationFlow:
    members: dict[str, Any] = {
        "authorize_endpoint": PAGE,
        "credentials": authorised_credentials(seed=None, scope="accounting.read accounting.write"),
        "redirect_uri": BACK,
    }
    return AuthorizationFlow(**{**members, **changes})


def legacy(**changes: Any) -> AuthorizationFlow:
    credentials = authorised_credentials(seed=None, scope="accounting")
    return flow(
        **{"credentials": credentials, "pkce": False, "state": False, "send_redirect_uri": False, **changes}
    )


def query(started: Started) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(started.url).query, strict_parsing=True))


def back(started: Started, **members: str) -> str:
    state = {"state": started.state.reveal()} if started.state else {}
    return f"{BACK}?{urlencode({'code': 'the-code', **state, **members})}"


def test_the_page_of_oauth_2_1() -> None:
    started = flow(parameters={"locale": "nb"}).start()
    members = query(started)
    assert started.url.startswith(f"{PAGE}?")
    assert started.state is not None
    assert started.code_verifier is not None
    challenge = create_s256_code_challenge(started.code_verifier.reveal())
    digest = hashlib.sha256(started.code_verifier.reveal().encode()).digest()
    assert challenge == base64.urlsafe_b64encode(digest).decode().rstrip("=")
    assert members == {
        "client_id": "the-client",
        "response_type": "code",
        "redirect_uri": BACK,
        "scope": "accounting.read accounting.write",
        "locale": "nb",
        "state": started.state.reveal(),
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    # RFC 7636 section 4.1: 43 to 128 characters of this alphabet.
    verifier = started.code_verifier.reveal()
    assert 43 <= len(verifier) <= 128
    assert verifier.replace("-", "").replace("_", "").isalnum()


def test_the_page_of_lucas_older_server_gets_no_state_and_no_pkce() -> None:
    started = legacy(parameters={"organisation_number": "123"}).start()
    assert query(started) == {
        "client_id": "the-client",
        "response_type": "code",
        "redirect_uri": BACK,
        "scope": "accounting",
        "organisation_number": "123",
    }
    assert started.state is started.code_verifier is None


def test_the_pages_own_query_is_kept() -> None:
    assert query(legacy(authorize_endpoint=f"{PAGE}?tenant=t").start())["tenant"] == "t"


def test_each_start_is_another() -> None:
    one, two = flow().start(), flow().start()
    assert one.state != two.state
    assert one.code_verifier != two.code_verifier
    assert "state" not in repr(one.state)


def test_the_exchange_of_oauth_2_1(endpoint: FakeEndpoint, clock: FakeClock) -> None:
    started = flow().start()
    endpoint.script = [{"scope": "accounting.write accounting.read", "refresh_token": "r"}]
    consent = flow().finish(started, back(started), endpoint, clock=clock)
    assert consent.answer.refresh_token == Secret("r")
    assert consent.warning is None
    assert started.code_verifier is not None
    assert form(endpoint.requests[0]) == {
        "grant_type": "authorization_code",
        "client_id": "the-client",
        "client_secret": "the-client-secret",
        "code": "the-code",
        "redirect_uri": BACK,
        "code_verifier": started.code_verifier.reveal(),
    }


@pytest.mark.parametrize(
    "pasted", [f"{BACK}?code=the-code&scope=accounting", "code=the-code", "?code=the-code", " the-code\n"]
)
def test_the_exchange_of_lucas_older_server(endpoint: FakeEndpoint, clock: FakeClock, pasted: str) -> None:
    consent = legacy().finish(legacy().start(), pasted, endpoint, clock=clock)
    assert consent.warning is None
    assert form(endpoint.requests[0]) == {
        "grant_type": "authorization_code",
        "client_id": "the-client",
        "client_secret": "the-client-secret",
        "code": "the-code",
    }


@pytest.mark.parametrize(
    "pasted",
    ["the-code", f"{BACK}?code=the-code", f"{BACK}?code=the-code&state=other", f"{BACK}?code=a&state=é"],
)
def test_another_state_exchanges_nothing(endpoint: FakeEndpoint, clock: FakeClock, pasted: str) -> None:
    with pytest.raises(ReauthorizationRequiredError, match="state"):
        flow().finish(flow().start(), pasted, endpoint, clock=clock)
    assert endpoint.count == 0


def test_another_issuer_exchanges_nothing(endpoint: FakeEndpoint, clock: FakeClock) -> None:
    named = flow(issuer="https://id.example.com")
    started = named.start()
    with pytest.raises(ReauthorizationRequiredError, match="another server"):
        named.finish(started, back(started, iss="https://evil.example"), endpoint, clock=clock)
    assert endpoint.count == 0
    named.finish(started, back(started, iss="https://id.example.com"), endpoint, clock=clock)
    named.finish(started, back(started), endpoint, clock=clock)


@pytest.mark.parametrize(
    ("members", "match"),
    [
        ({"error": "access_denied"}, "consent was not given"),
        ({"error": "invalid_scope", "error_description": "No such scope"}, "No such scope"),
        ({"code": ""}, "no code"),
    ],
)
def test_a_page_that_says_no(
    endpoint: FakeEndpoint, clock: FakeClock, members: dict[str, str], match: str
) -> None:
    started = flow().start()
    with pytest.raises(ReauthorizationRequiredError, match=match):
        flow().finish(started, back(started, **members), endpoint, clock=clock)
    assert endpoint.count == 0


def test_a_code_that_has_ended_says_to_begin_again(endpoint: FakeEndpoint, clock: FakeClock) -> None:
    started = flow().start()
    endpoint.script = [refuse(authorised_credentials(), "invalid_grant")]
    with pytest.raises(ReauthorizationRequiredError, match="code is refused.*Begin again"):
        flow().finish(started, back(started), endpoint, clock=clock)


def test_a_refused_client_is_told_as_such(endpoint: FakeEndpoint, clock: FakeClock) -> None:
    started = flow().start()
    endpoint.script = [refuse(authorised_credentials(), "invalid_client", 401)]
    with pytest.raises(InvalidClientError):
        flow().finish(started, back(started), endpoint, clock=clock)


def test_a_narrower_scope_is_warned_of(endpoint: FakeEndpoint, clock: FakeClock) -> None:
    started = flow().start()
    endpoint.script = [{"scope": "accounting.read"}]
    consent = flow().finish(started, back(started), endpoint, clock=clock)
    assert consent.warning == (
        "Less was granted than asked for: accounting.write is missing, granted is accounting.read."
    )


def test_the_scope_may_come_with_the_code(endpoint: FakeEndpoint, clock: FakeClock) -> None:
    started = flow().start()
    consent = flow().finish(started, back(started, scope="accounting.write"), endpoint, clock=clock)
    assert consent.answer.scope == "accounting.write"
    assert consent.warning is not None
    assert "accounting.read is missing" in consent.warning


@pytest.mark.parametrize("page", ["http://id.example.com/authorize", "/authorize", ""])
def test_a_page_that_cannot_be_used(page: str) -> None:
    with pytest.raises(ConfigurationError, match="authorize_endpoint"):
        flow(authorize_endpoint=page)


def served(httpserver: Any, **changes: Any) -> AuthorizationFlow:
    url = httpserver.url_for("/token")
    httpserver.expect_request("/meta").respond_with_json(
        {
            "issuer": httpserver.url_for("").rstrip("/"),
            "authorization_endpoint": httpserver.url_for("/page"),
            "token_endpoint": url,
            **changes,
        }
    )
    credentials = authorised_credentials(seed=None, token_endpoint=url)
    return flow(credentials=credentials, metadata_url=httpserver.url_for("/meta"))


def test_a_servers_metadata_is_gone_by(httpserver: Any) -> None:
    found = served(httpserver).discover()
    assert found.authorize_endpoint == httpserver.url_for("/page")
    assert found.issuer == httpserver.url_for("").rstrip("/")


def test_no_metadata_changes_nothing(httpserver: Any) -> None:
    plain = flow()
    assert plain.discover() is plain
    credentials = authorised_credentials(seed=None, token_endpoint=httpserver.url_for("/token"))
    absent = flow(credentials=credentials, metadata_url=httpserver.url_for("/meta"))
    httpserver.expect_request("/meta").respond_with_data("no", status=404)
    assert absent.discover() is absent


@pytest.mark.parametrize("member", ["issuer", "authorization_endpoint", "token_endpoint"])
@pytest.mark.parametrize("value", ["https://evil.example/x", None, 5, "nonsense"])
def test_metadata_that_leads_elsewhere_is_refused(httpserver: Any, member: str, value: Any) -> None:
    with pytest.raises(TokenEndpointError, match="same address"):
        served(httpserver, **{member: value}).discover()


@pytest.mark.parametrize("body", ["<html>", "[]", "null", json.dumps("x")])
def test_metadata_that_is_none_is_refused(httpserver: Any, body: str) -> None:
    httpserver.expect_request("/meta").respond_with_data(body)
    with pytest.raises(TokenEndpointError):
        flow(metadata_url=httpserver.url_for("/meta")).discover()


def test_another_token_endpoint_names_the_field(httpserver: Any) -> None:
    with pytest.raises(ConfigurationError, match="'oauth_endpoint' to .*/other") as caught:
        served(httpserver, token_endpoint=httpserver.url_for("/other")).discover()
    assert caught.value.field == "oauth_endpoint"


def test_a_server_that_is_down_says_so() -> None:
    with pytest.raises(TokenEndpointError, match="could not be read"):
        flow(metadata_url="http://127.0.0.1:9/meta").discover()
