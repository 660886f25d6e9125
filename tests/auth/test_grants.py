from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

import pytest
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_token_request
from hypothesis import given
from hypothesis import strategies as st
from oauthlib.oauth2 import BackendApplicationClient, LegacyApplicationClient, WebApplicationClient

from airflow_provider_finauth.auth.credentials import Credentials, RequestStyle
from airflow_provider_finauth.auth.grants import (
    TokenRequest,
    basic_header,
    code_request,
    first_request,
    refresh_request,
)
from airflow_provider_finauth.secret import Secret
from tests.auth.support import authorised_credentials, client_credentials, form, password_credentials

text = st.text(st.characters(codec="utf-8"), min_size=1)
LANDAX = RequestStyle(body="json", grant_type_in="query")


def decoded(body: str) -> dict[str, str]:
    return dict(parse_qsl(body, keep_blank_values=True))


def test_client_credentials_as_a_form() -> None:
    request = first_request(client_credentials())
    assert (request.method, request.url, request.params) == ("POST", "https://id.example.com/token", {})
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert request.headers["Accept"] == "application/json"
    assert form(request) == {
        "grant_type": "client_credentials",
        "client_id": "the-client",
        "client_secret": "the-client-secret",
        "scope": "ledger",
    }


@pytest.mark.parametrize("scope", [None, ""])
def test_no_scope_is_sent_where_none_is_set(scope: str | None) -> None:
    assert "scope" not in form(first_request(client_credentials(scope=scope)))


def test_a_login_as_json_with_the_grant_in_the_query() -> None:
    request = first_request(password_credentials(style=LANDAX))
    assert request.params == {"grant_type": "password"}
    assert request.headers["Content-Type"] == "application/json"
    assert json.loads(request.body) == {
        "client_id": "the-client",
        "client_secret": "the-client-secret",
        "username": "user",
        "password": "the-password",
    }


def test_a_refresh_as_json_with_the_grant_in_the_query() -> None:
    request = refresh_request(password_credentials(style=LANDAX), Secret("r"))
    assert request.params == {"grant_type": "refresh_token"}
    assert json.loads(request.body) == {
        "client_id": "the-client",
        "client_secret": "the-client-secret",
        "refresh_token": "r",
    }


def test_a_refresh_repeats_the_scope_only_where_it_should() -> None:
    plain = authorised_credentials(scope="accounting")
    assert "scope" not in form(refresh_request(plain, Secret("r")))
    repeating = authorised_credentials(scope="accounting", style=RequestStyle(refresh_scope=True))
    assert form(refresh_request(repeating, Secret("r")))["scope"] == "accounting"


def test_a_code_without_and_with_redirect_uri_and_verifier() -> None:
    credentials = authorised_credentials()
    assert form(code_request(credentials, Secret("c"), None, None)) == {
        "grant_type": "authorization_code",
        "client_id": "the-client",
        "client_secret": "the-client-secret",
        "code": "c",
    }
    full = form(code_request(credentials, Secret("c"), "http://localhost/", Secret("v")))
    assert full["redirect_uri"] == "http://localhost/"
    assert full["code_verifier"] == "v"


@pytest.mark.parametrize(
    ("request_", "spends"),
    [
        (first_request(client_credentials()), False),
        (first_request(password_credentials()), False),
        (refresh_request(authorised_credentials(), Secret("r")), True),
        (code_request(authorised_credentials(), Secret("c"), None, None), True),
    ],
)
def test_what_must_not_be_replayed_says_so(request_: TokenRequest, spends: bool) -> None:
    assert request_.refreshes is spends


def test_further_members_and_headers_go_out_and_override_nothing() -> None:
    credentials = client_credentials(
        parameters={"audience": "api", "client_id": "another"}, style=RequestStyle(headers={"X-Tenant": "t"})
    )
    request = first_request(credentials)
    assert form(request)["audience"] == "api"
    assert form(request)["client_id"] == "the-client"
    assert request.headers["X-Tenant"] == "t"


def test_a_public_client_sends_no_secret() -> None:
    members = form(refresh_request(authorised_credentials(client_secret=None), Secret("r")))
    assert "client_secret" not in members


@given(client_id=text, secret=text)
def test_basic_form_encodes_id_and_secret(client_id: str, secret: str) -> None:
    credentials = client_credentials(
        client_id=client_id, client_secret=Secret(secret), style=RequestStyle(client_auth="basic")
    )
    request = first_request(credentials)
    scheme, _, value = request.headers["Authorization"].partition(" ")
    user, _, password = base64.b64decode(value).decode("ascii").partition(":")
    assert scheme == "Basic"
    assert (unquote_plus(user), unquote_plus(password)) == (client_id, secret)
    assert form(request).keys() == {"grant_type", "scope"}


def test_basic_encodes_as_rfc_6749_says() -> None:
    style = RequestStyle(client_auth="basic")
    request = first_request(
        client_credentials(client_id="a:b", client_secret=Secret("p@ss w%20+"), style=style)
    )
    pair = base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")).decode()
    assert pair == "a%3Ab:p%40ss+w%2520%2B"


def test_a_users_basic_header_is_utf8() -> None:
    # RFC 7617 section 2.1 has this example.
    assert basic_header("test", Secret("123£")) == Secret("Basic dGVzdDoxMjPCow==")
    assert basic_header("test", Secret("123£"), charset="latin-1") == Secret("Basic dGVzdDoxMjOj")


@given(client_id=text, secret=text, scope=text)
def test_client_credentials_agree_with_authlib_and_oauthlib(client_id: str, secret: str, scope: str) -> None:
    credentials = client_credentials(client_id=client_id, client_secret=Secret(secret), scope=scope)
    ours = form(first_request(credentials))
    assert ours == _by_authlib(credentials, "client_credentials", scope=scope)
    theirs = BackendApplicationClient(client_id).prepare_request_body(
        scope=scope, include_client_id=True, client_secret=secret
    )
    assert ours == decoded(theirs)


@given(username=text, password=text)
def test_logins_agree_with_authlib_and_oauthlib(username: str, password: str) -> None:
    credentials = password_credentials(username=username, password=Secret(password))
    ours = form(first_request(credentials))
    assert ours == _by_authlib(credentials, "password", username=username, password=password)
    theirs = LegacyApplicationClient("the-client").prepare_request_body(
        username, password, include_client_id=True, client_secret="the-client-secret"
    )
    assert ours == decoded(theirs)


@given(refresh_token=text)
def test_refreshes_agree_with_authlib_and_oauthlib(refresh_token: str) -> None:
    credentials = authorised_credentials()
    ours = form(refresh_request(credentials, Secret(refresh_token)))
    assert ours == _by_authlib(credentials, "refresh_token", refresh_token=refresh_token)
    theirs = WebApplicationClient("the-client").prepare_refresh_body(
        refresh_token=refresh_token, client_id="the-client", client_secret="the-client-secret"
    )
    assert ours == decoded(theirs)


@given(code=text)
def test_codes_agree_with_authlib_and_oauthlib(code: str) -> None:
    credentials = authorised_credentials()
    uri, verifier = "http://localhost:1/x?y=1", "v" * 43
    ours = form(code_request(credentials, Secret(code), uri, Secret(verifier)))
    assert ours == _by_authlib(
        credentials, "authorization_code", code=code, redirect_uri=uri, code_verifier=verifier
    )
    theirs = WebApplicationClient("the-client").prepare_request_body(
        code=code, redirect_uri=uri, code_verifier=verifier, client_secret="the-client-secret"
    )
    assert ours == decoded(theirs)


def test_no_repr_shows_a_secret() -> None:
    for style in (RequestStyle(), RequestStyle(client_auth="basic"), LANDAX):
        request = first_request(password_credentials(style=style))
        assert "the-password" not in repr(request)
        assert "the-client-secret" not in repr(request)
        assert "Basic" not in repr(request)


def _by_authlib(credentials: Credentials, grant: str, **members: Any) -> dict[str, str]:
    secret = credentials.client_secret
    auth = ClientAuth(credentials.client_id, secret.reveal() if secret else None, "client_secret_post")
    body = prepare_token_request(grant, **members)
    return decoded(auth.prepare("POST", credentials.token_endpoint, {}, body)[2])
