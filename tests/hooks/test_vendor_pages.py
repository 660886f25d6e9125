"""Each API's token request, and its first call, are those of the vendor's own page, and nothing more."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

import pytest
import requests_mock

from airflow_provider_finauth.hooks.landax import LandaxHook
from airflow_provider_finauth.hooks.luca import LucaHook
from airflow_provider_finauth.hooks.opcorporate import OPCorporateHook
from airflow_provider_finauth.hooks.talenom import TalenomHook
from airflow_provider_finauth.hooks.tradevest import TradevestHook
from tests.connections import use

# What every HTTP client sends of its own accord.
_TRANSPORT_HEADERS = {"User-Agent", "Accept-Encoding", "Accept", "Connection", "Content-Length"}


def own_headers(request: Any) -> dict[str, str]:
    return {name: value for name, value in request.headers.items() if name not in _TRANSPORT_HEADERS}


def _body(request: Any) -> str:
    # A token request's body is a file, which is read when it is sent.
    return request.body.getvalue().decode()


def form(request: Any) -> dict[str, str]:
    pairs = parse_qsl(_body(request), keep_blank_values=True, strict_parsing=True)
    assert len(pairs) == len(dict(pairs)), "a member was sent twice"
    return dict(pairs)


FORM = {"Content-Type": "application/x-www-form-urlencoded"}
TOKEN = {"access_token": "an-access-token", "token_type": "Bearer", "expires_in": 900}


@pytest.fixture
def vendor():
    with requests_mock.Mocker() as mocker:
        yield mocker


def test_talenom(monkeypatch: pytest.MonkeyPatch, vendor: requests_mock.Mocker) -> None:
    use(monkeypatch, "talenom")
    vendor.post("https://id.talenom.com/api/b2b/oauth2/v1.0/token", json=TOKEN)
    vendor.get(
        "https://apim.talenom.fi/organization/v2/accounting-periods/14222",
        json={"results": [{"id": 1}], "pageCount": 1, "rowCount": 1, "currentPage": 0, "pageSize": 10},
    )
    assert list(TalenomHook().accounting_periods(14222, page_size=10)) == [{"id": 1}]
    token, call = vendor.request_history
    assert (token.method, token.query) == ("POST", "")
    assert own_headers(token) == FORM
    assert form(token) == {
        "grant_type": "client_credentials",
        "client_id": "talenom-client",
        "client_secret": "talenom-client-secret",
        "scope": "organization-api",
    }
    assert call.method == "GET"
    assert call.url == (
        "https://apim.talenom.fi/organization/v2/accounting-periods/14222"
        "?includeBookkeepingPeriods=false&pageIndex=0&pageSize=10"
    )
    assert own_headers(call) == {
        "Authorization": "Bearer an-access-token",
        "Content-Type": "application/json",
        "Ocp-Apim-Subscription-Key": "talenom-subscription-key",
    }


def test_op_corporate(monkeypatch: pytest.MonkeyPatch, vendor: requests_mock.Mocker) -> None:
    use(monkeypatch, "opcorporate")
    host = "https://api.corp-api-sandbox.test.aws.op-palvelut.net"
    vendor.post(f"{host}/corporate-oidc/v1/token", json=TOKEN)
    vendor.get(f"{host}/corporate-account-data/v1/accounts", json=[{"surrogateId": "a"}])
    assert list(OPCorporateHook().accounts()) == [{"surrogateId": "a"}]
    token, call = vendor.request_history
    assert (token.method, token.query) == ("POST", "")
    assert own_headers(token) == FORM
    assert form(token) == {
        "grant_type": "client_credentials",
        "client_id": "op-client-id",
        "client_secret": "op-client-secret",
    }
    assert (call.method, call.query) == ("GET", "")
    headers = own_headers(call)
    assert len(headers.pop("X-Request-ID")) == 36
    assert headers == {"Authorization": "Bearer an-access-token"}


def test_landax(monkeypatch: pytest.MonkeyPatch, vendor: requests_mock.Mocker) -> None:
    use(monkeypatch, "landax")
    vendor.post(
        "https://company.landax.no/authenticate/token",
        json={**TOKEN, "scope": "api", "refresh_token": "a-refresh-token"},
    )
    vendor.get(
        "https://company.landax.no/api/v32/Incidents",
        [{"json": {"value": [{"Id": 1}]}}, {"json": {"value": []}}],
    )
    assert list(LandaxHook().entities("Incidents")) == [{"Id": 1}]
    token, call, _ = vendor.request_history
    assert (token.method, token.url) == (
        "POST",
        "https://company.landax.no/authenticate/token?grant_type=password",
    )
    assert own_headers(token) == {"Content-Type": "application/json"}
    assert json.loads(_body(token)) == {
        "client_id": "application-key",
        "client_secret": "landax-client-key",
        "username": "api.user",
        "password": "landax-password",
    }
    assert own_headers(call) == {"Authorization": "Bearer an-access-token"}


def test_landax_refresh(monkeypatch: pytest.MonkeyPatch, vendor: requests_mock.Mocker) -> None:
    use(monkeypatch, "landax")
    vendor.post(
        "https://company.landax.no/authenticate/token",
        [
            {"json": {**TOKEN, "expires_in": 2, "refresh_token": "a-refresh-token"}},
            {"json": {**TOKEN, "refresh_token": "a-refresh-token"}},
        ],
    )
    hook = LandaxHook()
    first = hook.get_token()
    # The token is within its last quarter at once if the server says that it lives no time to speak of.
    while hook.get_token().generation == first.generation:
        pass
    _, refresh = vendor.request_history
    assert refresh.url == "https://company.landax.no/authenticate/token?grant_type=refresh_token"
    assert own_headers(refresh) == {"Content-Type": "application/json"}
    assert json.loads(_body(refresh)) == {
        "client_id": "application-key",
        "client_secret": "landax-client-key",
        "refresh_token": "a-refresh-token",
    }


def test_landax_basic_is_utf_8(monkeypatch: pytest.MonkeyPatch, vendor: requests_mock.Mocker) -> None:
    use(monkeypatch, "landax", login="Øyvind", password="blåbær", extra={"auth_method": "basic"})
    vendor.get("https://company.landax.no/api/v32/Incidents", json={"value": []})
    assert list(LandaxHook().entities("Incidents")) == []
    (call,) = vendor.request_history
    assert own_headers(call) == {"Authorization": "Basic w5h5dmluZDpibMOlYsOmcg=="}


def test_tradevest(monkeypatch: pytest.MonkeyPatch, vendor: requests_mock.Mocker) -> None:
    use(monkeypatch, "tradevest")
    vendor.post("https://b2b.auth.platform-test.tradevest.ai/oauth2/token", json=TOKEN)
    vendor.get(
        "https://tvda-api.platform-test.tradevest.ai/transactions",
        json={"data": [{"transactionId": "t"}], "pagination": {"cursor": None, "limit": 100}},
    )
    assert list(TradevestHook().transactions(requestor_id="")) == [{"transactionId": "t"}]
    token, call = vendor.request_history
    assert (token.method, token.query) == ("POST", "")
    assert own_headers(token) == FORM
    assert form(token) == {
        "grant_type": "client_credentials",
        "client_id": "tradevest-client",
        "client_secret": "tradevest-client-secret",
    }
    assert own_headers(call) == {"Authorization": "Bearer an-access-token"}


def test_tradevest_commands_name_their_requestor(
    monkeypatch: pytest.MonkeyPatch, vendor: requests_mock.Mocker
) -> None:
    use(monkeypatch, "tradevest")
    vendor.post("https://b2b.auth.platform-test.tradevest.ai/oauth2/token", json=TOKEN)
    vendor.post("https://tvda-api.platform-test.tradevest.ai/orders", json={})
    TradevestHook().request("POST", "/orders", json={"a": 1})
    assert own_headers(vendor.last_request) == {
        "Authorization": "Bearer an-access-token",
        "Content-Type": "application/json",
        "Requestor-ID": "person-1",
    }


def test_luca_personal_key(monkeypatch: pytest.MonkeyPatch, vendor: requests_mock.Mocker) -> None:
    use(monkeypatch, "luca")
    vendor.post("https://go.lucaregnskap.no/api/v1/graphql", json={"data": {"saleInvoices": {"nodes": []}}})
    query = "{ saleInvoices { nodes { id } } }"
    assert LucaHook().graphql(query) == {"saleInvoices": {"nodes": []}}
    (call,) = vendor.request_history
    assert (call.method, call.query) == ("POST", "")
    assert call.headers["Accept"] == "application/json"
    assert own_headers(call) == {
        "Authorization": "Bearer luca-personal-key",
        "Content-Type": "application/json",
    }
    assert json.loads(call.text) == {"query": query}


@pytest.mark.parametrize(
    ("auth_method", "path"), [("oauth2", "/api/v2/oauth2/token"), ("oauth21", "/oauth/token")]
)
def test_luca_refresh(
    monkeypatch: pytest.MonkeyPatch, vendor: requests_mock.Mocker, auth_method: str, path: str
) -> None:
    use(
        monkeypatch,
        "luca",
        login="luca-client",
        password="luca-client-secret",
        extra={"auth_method": auth_method, "refresh_token": "luca-refresh-token"},
    )
    vendor.post(
        f"https://go.lucaregnskap.no{path}",
        json={**TOKEN, "refresh_token": "luca-refresh-token", "expires_in": "3600"},
    )
    vendor.post("https://go.lucaregnskap.no/api/v1/graphql", json={"data": {"companies": {"nodes": []}}})
    LucaHook().graphql("{ companies { nodes { id } } }")
    token, call = vendor.request_history
    assert (token.method, token.query) == ("POST", "")
    assert token.headers["Accept"] == "application/json"
    assert own_headers(token) == FORM
    assert form(token) == {
        "grant_type": "refresh_token",
        "refresh_token": "luca-refresh-token",
        "client_id": "luca-client",
        "client_secret": "luca-client-secret",
    }
    assert own_headers(call)["Authorization"] == "Bearer an-access-token"
