from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

import pytest

from tests.sandbox.asking import REDIRECT, VERIFIER, location

if TYPE_CHECKING:
    import requests

    from airflow_provider_finauth.sandbox import RunningSandbox
    from tests.sandbox.asking import Vendors

GENERIC = "oauth2api_default"
USER = {"username": "generic.user", "password": "generic+user&password"}


def _basic(vendors: Vendors, quoted: bool, **members: str) -> requests.Response:
    connection, extra = vendors.connection(GENERIC)
    pair = [connection["login"], connection["password"]]
    value = ":".join(map(quote_plus, pair) if quoted else pair)
    header = {"Authorization": f"Basic {base64.b64encode(value.encode()).decode()}"}
    body = {"grant_type": "client_credentials", **members}
    return vendors.http.post(extra["oauth_endpoint"], data=body, headers=header)


def test_the_client_authenticates_in_the_body_or_by_basic(vendors: Vendors) -> None:
    assert vendors.client_credentials(GENERIC).status_code == 200
    assert _basic(vendors, quoted=True).status_code == 200
    # The id holds a colon, which Basic cannot carry unless it is quoted.
    assert _basic(vendors, quoted=False).status_code == 401
    assert _basic(vendors, quoted=True, client_secret="x").status_code == 400
    assert vendors.client_credentials(GENERIC, client_secret="wrong").status_code == 401


def test_the_body_is_a_form_unless_set_otherwise(vendors: Vendors, sandbox: RunningSandbox) -> None:
    connection, extra = vendors.connection(GENERIC)
    members = {
        "grant_type": "client_credentials",
        "client_id": connection["login"],
        "client_secret": connection["password"],
    }
    assert vendors.http.post(extra["oauth_endpoint"], json=members).status_code == 400
    sandbox.settings("oauth2api", body_encoding="json")
    assert vendors.http.post(extra["oauth_endpoint"], json=members).status_code == 200
    assert vendors.http.post(extra["oauth_endpoint"], data=members).status_code == 400


def test_password_and_rotation(vendors: Vendors, sandbox: RunningSandbox) -> None:
    assert vendors.token(GENERIC, grant_type="password", **{**USER, "password": "x"}).status_code == 400
    first = vendors.token(GENERIC, grant_type="password", **USER).json()
    second = vendors.refresh(GENERIC, first["refresh_token"]).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert vendors.refresh(GENERIC, first["refresh_token"]).json() == {"error": "invalid_grant"}
    assert sandbox.stats("oauth2api")["replays"] == 1
    sandbox.settings("generic", rotate_refresh=False)
    assert "refresh_token" not in vendors.refresh(GENERIC, second["refresh_token"]).json()
    assert vendors.refresh(GENERIC, second["refresh_token"]).status_code == 200


@pytest.mark.parametrize(("verifier", "status"), [(VERIFIER, 200), ("another-verifier", 400), (None, 400)])
def test_authorization_code_with_pkce(vendors: Vendors, verifier: str | None, status: int) -> None:
    back = location(vendors.authorize(GENERIC))
    assert back["state"] == "st-1"
    answer = vendors.token(
        GENERIC,
        grant_type="authorization_code",
        code=back["code"],
        redirect_uri=REDIRECT,
        code_verifier=verifier,
    )
    assert answer.status_code == status


def test_authorization_code_without_pkce(vendors: Vendors) -> None:
    code = location(vendors.authorize(GENERIC, code_challenge=None, code_challenge_method=None))["code"]
    members = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT}
    assert vendors.token(GENERIC, **members).status_code == 200
    assert vendors.token(GENERIC, **members).status_code == 400


@pytest.mark.parametrize("changes", [{"redirect_uri": "https://elsewhere.invalid/"}, {"client_id": "x"}])
def test_consent_is_refused(vendors: Vendors, changes: dict[str, str]) -> None:
    assert vendors.authorize(GENERIC, **changes).status_code == 400


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": "Bearer generic-api-key-5f2e"}, 200),
        ({"X-Api-Key": "generic-api-key-5f2e"}, 200),
        ({"Authorization": "Basic " + base64.b64encode(b"generic.user:generic+user&password").decode()}, 200),
        ({"Authorization": "Basic ???"}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({}, 401),
    ],
)
def test_fixed_keys(vendors: Vendors, headers: dict[str, str], status: int) -> None:
    assert vendors.get(GENERIC, "/echo", headers).status_code == status


def _items(vendors: Vendors, style: str) -> list[dict[str, Any]]:
    headers = vendors.headers(GENERIC)
    rows: list[dict[str, Any]] = []
    params: dict[str, Any] = {"pageSize" if style == "pages" else "limit": 1000}
    url = f"/{style}"
    while True:
        body = vendors.get(GENERIC, url, headers, **params).json()
        if style == "items":
            rows += body["data"]
            params["cursor"] = body["cursor"]
            done = body["cursor"] is None
        elif style == "pages":
            rows += body["results"]
            params["pageIndex"] = params.get("pageIndex", 0) + 1
            done = params["pageIndex"] == body["pageCount"]
        elif style == "offsets":
            rows += body["items"]
            params["offset"] = len(rows)
            done = len(rows) == body["total"]
        elif style == "links":
            rows += body["value"]
            done = "next" not in body
            if not done:
                url, params = body["next"].removeprefix(vendors.connection(GENERIC)[0]["host"]), {}
        else:
            known = {row["id"] for row in rows}
            new = [row for row in body if row["id"] not in known]
            rows += new
            params["since"] = rows[-1]["updatedAt"]
            done = not new
        if done:
            return rows


@pytest.mark.parametrize("style", ["items", "pages", "offsets", "links", "keyset"])
def test_every_way_to_page_gives_all(vendors: Vendors, style: str) -> None:
    assert [row["id"] for row in _items(vendors, style)] == list(range(1, 2501))


def test_a_walk_by_time_begins_with_what_is_of_that_moment(vendors: Vendors) -> None:
    headers = vendors.headers(GENERIC)

    def first(since: str) -> tuple[int, str]:
        row = vendors.get(GENERIC, "/keyset", headers, since=since, limit=1).json()[0]
        return row["id"], row["updatedAt"]

    # Three items share each moment.
    midnight = (433, "2026-01-02T00:00:00Z")
    for since in ("2026-01-02", "2026-01-02T02:00:00+02:00", "2026-01-01T23:59:59.999999Z"):
        assert first(since) == midnight
    for since in ("2026-01-02T00:00:00.000001Z", "2026-01-02T00:10:00.000Z"):
        assert first(since) == (436, "2026-01-02T00:10:00Z")
    for since in ("2026-02-30", "20260102", "2026-01-02T00:00:00", "then", ""):
        assert vendors.get(GENERIC, "/keyset", headers, since=since).status_code == 400


def test_echo_names_what_came_and_no_value_of_a_header(vendors: Vendors) -> None:
    headers = vendors.headers(GENERIC)
    found = vendors.get(GENERIC, "/echo", {**headers, "X-Extra": "hidden"}, a="1").json()
    assert found["method"] == "GET"
    assert found["query"] == [["a", "1"]]
    assert "x-extra" in found["headers"]
    assert "hidden" not in str(found)
