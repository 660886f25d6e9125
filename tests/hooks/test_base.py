"""What all hooks have in common, over real sockets."""

from __future__ import annotations

import copy
import json
import pickle
from typing import TYPE_CHECKING, Any

import pytest
import requests
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_finauth.exceptions import ConfigurationError, ConnectionNotFoundError, FinauthError
from airflow_provider_finauth.hooks.landax import LandaxHook
from airflow_provider_finauth.hooks.luca import LucaHook
from airflow_provider_finauth.hooks.oauth2api import OAuth2ApiHook
from airflow_provider_finauth.hooks.opcorporate import OPCorporateHook
from airflow_provider_finauth.hooks.talenom import TalenomHook
from airflow_provider_finauth.hooks.tradevest import TradevestHook
from airflow_provider_finauth.runtime import door
from airflow_provider_finauth.runtime.brokers import broker
from tests.hooks.support import authorise, consent

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_finauth.hooks.base import FinauthHook
    from airflow_provider_finauth.sandbox import RunningSandbox
    from tests.hooks.support import SandboxConnections

HOOKS: dict[str, type[FinauthHook[Any]]] = {
    "talenom": TalenomHook,
    "opcorporate": OPCorporateHook,
    "landax": LandaxHook,
    "tradevest": TradevestHook,
    "luca": LucaHook,
    "oauth2api": OAuth2ApiHook,
}
# A path of each that gives something.
PATHS = {
    "talenom": "/organization/v2/accounting-periods/14222",
    "opcorporate": "/corporate-account-data/v1/accounts",
    "landax": "/api/v32/Departments",
    "tradevest": "/prices",
    "luca": "/api/v1/graphql",
    "oauth2api": "/items",
}


@pytest.fixture(params=HOOKS)
def api(request: pytest.FixtureRequest, connections: SandboxConnections) -> str:
    name: str = request.param
    return name


def counted(sandbox: RunningSandbox, api: str) -> dict[str, Any]:
    return sandbox.stats({"oauth2api": "generic"}.get(api, api))


def arguments(api: str) -> tuple[str, dict[str, Any]]:
    if api == "luca":
        return "POST", {"json": {"query": "{ companies { nodes { id } } }"}}
    return "GET", {}


def test_the_session_authenticates_itself(api: str, sandbox: RunningSandbox) -> None:
    """Plain requests code, which knows nothing of us."""
    hook = HOOKS[api]()
    session = hook.get_conn()
    assert isinstance(session, requests.Session)
    assert session is hook.get_conn()
    method, more = arguments(api)
    for _ in range(3):
        response = session.request(method, hook.client.url(PATHS[api]), **more)
        response.raise_for_status()
        assert response.json()
    counts = counted(sandbox, api)
    assert counts["api_requests"] == 3
    assert counts["token_requests"] == (api != "luca")
    # One connection, kept alive.
    log = [entry["connection"] for entry in counts["log"] if entry["where"] == "api"]
    assert len(set(log)) == 1


def test_plain_code_pages_by_itself(connections: SandboxConnections) -> None:
    hook = OAuth2ApiHook()
    session = hook.get_conn()
    url: str | None = hook.client.url("/links?limit=500")
    found: list[int] = []
    while url:
        page = session.get(url).json()
        found += [item["id"] for item in page["value"]]
        url = page.get("next")
    assert found == list(range(1, 2501))
    # A prepared request works too, and never carries the token itself.
    prepared = session.prepare_request(requests.Request("GET", hook.client.url("/echo")))
    assert session.send(prepared).json()["method"] == "GET"
    assert "Authorization" not in prepared.headers


def test_the_session_keeps_to_its_origins(api: str, sandbox: RunningSandbox) -> None:
    hook = HOOKS[api]()
    port = sandbox.url.rpartition(":")[2]
    for url in (
        f"http://localhost:{port}{PATHS[api]}",
        "http://api.example.com/",
        "https://api.example.com/",
    ):
        with pytest.raises(FinauthError, match="was not sent") as caught:
            hook.get_conn().get(url)
        assert isinstance(caught.value, AirflowFailException)
        with pytest.raises(AirflowFailException, match="was not sent"):
            hook.request("GET", url)
    counts = counted(sandbox, api)
    assert (counts["token_requests"], counts["api_requests"]) == (0, 0)


def test_nothing_of_a_hook_shows_or_leaves_the_process(api: str) -> None:
    hook = HOOKS[api]()
    session = hook.get_conn()
    for copied in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="not pickled"):
            copied(session)


def test_requests_and_answers(api: str, sandbox: RunningSandbox) -> None:
    hook = HOOKS[api]()
    method, more = arguments(api)
    response = hook.request(method, PATHS[api], **more)
    assert response.status_code == 200
    assert hook.request_json(method, hook.client.url(PATHS[api]), **more) == hook.request_json(
        method, PATHS[api], **more
    )
    assert counted(sandbox, api)["api_requests"] == 3


def test_the_token_set(connections: SandboxConnections, masked: list[str]) -> None:
    for name in ("talenom", "opcorporate", "landax", "tradevest", "oauth2api"):
        tokens = HOOKS[name]().get_token()
        assert tokens.access_token is not None
        value = tokens.access_token.reveal()
        assert value[-10:] not in repr(tokens) + str(tokens) + f"{tokens}"
        assert (tokens.generation, tokens.access_token.reveal()) == (
            1,
            HOOKS[name]().get_token().access_token.reveal(),
        )
        assert any(value.endswith(known) for known in masked)
        with pytest.raises(TypeError):
            pickle.dumps(tokens)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Tokens are kept in files, so that whatever is left behind is seen."""
    tokens = tmp_path / "tokens"
    monkeypatch.setenv("AIRFLOW__FINAUTH__TOKEN_STORE", f"file://{tokens}")
    monkeypatch.setenv("AIRFLOW__FINAUTH__STORE_KEY", "a-key-for-the-token-store")
    return tokens


def test_a_connection_test_leaves_nothing(
    connections: SandboxConnections, sandbox: RunningSandbox, folder: Path
) -> None:
    for name, hook_class in HOOKS.items():
        assert hook_class().test_connection() == (True, "The API has accepted the credentials.")
        counts = counted(sandbox, name)
        assert counts["token_requests"] == (name != "luca")
        assert counts["api_requests"] == 1
    assert broker().store.list() == []
    assert not list(folder.glob("*.json"))


@pytest.mark.parametrize("conn_id", ["luca_oauth", "luca_oauth21"])
def test_a_connection_test_spends_no_refresh_token(
    connections: SandboxConnections, sandbox: RunningSandbox, folder: Path, conn_id: str
) -> None:
    hook = LucaHook(conn_id)
    works, message = hook.test_connection()
    assert works
    assert f"finauth authorize {conn_id}" in message
    seed = consent(hook).answer.refresh_token
    assert seed is not None
    connections.change(conn_id, extra={"refresh_token": seed.reveal()})
    for _ in range(3):
        works, message = LucaHook(conn_id).test_connection()
        assert works
        assert "is authorised" in message
    # The exchange of the code only.
    assert sandbox.stats("luca")["token_requests"] == 1
    assert broker().store.list() == []
    connections.change(conn_id)
    authorise(LucaHook(conn_id))
    assert "is authorised" in LucaHook(conn_id).test_connection()[1]
    assert sandbox.stats("luca")["token_requests"] == 2
    assert sandbox.stats("luca")["api_requests"] == 0


def test_a_connection_test_says_what_is_wrong(
    api: str, connections: SandboxConnections, folder: Path
) -> None:
    secret = "this-is-a-wrong-secret"
    connections.change(f"{api}_default", password=secret)
    works, message = HOOKS[api]().test_connection()
    assert not works
    assert f"{api}_default" in message
    assert secret not in message
    assert len(message) < 600
    connections.change(f"{api}_default", password=None)
    works, message = HOOKS[api]().test_connection()
    assert not works
    assert "'password'" in message
    assert broker().store.list() == []


def test_a_refusal_of_a_test_is_not_remembered(
    connections: SandboxConnections, sandbox: RunningSandbox, folder: Path
) -> None:
    """A test tries whatever it is given; and a wrong secret that tasks have met is tried again by one."""
    connections.change("tradevest_default", password="a-wrong-secret")
    for _ in range(3):
        assert not TradevestHook().test_connection()[0]
    assert sandbox.stats("tradevest")["token_requests"] == 3


def test_a_good_test_lifts_a_refusal(
    connections: SandboxConnections, sandbox: RunningSandbox, folder: Path
) -> None:
    sandbox.faults("tradevest", "status", where="token", status=400, body={"error": "invalid_client"})
    for _ in range(2):
        with pytest.raises(AirflowFailException, match="invalid_client"):
            list(TradevestHook().transactions().limit(1))
    assert sandbox.stats("tradevest")["token_requests"] == 1
    assert TradevestHook().test_connection()[0]
    assert len(list(TradevestHook().transactions().limit(1))) == 1


def test_the_wrong_type_is_named(connections: SandboxConnections) -> None:
    with pytest.raises(ConfigurationError, match="is of type 'landax', and TalenomHook expects"):
        TalenomHook("landax_default").get_conn()
    assert not TalenomHook("landax_default").test_connection()[0]


def test_a_connection_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "_select_connection", lambda conn_id: None)
    with pytest.raises(ConnectionNotFoundError, match="finauth_nowhere") as caught:
        TalenomHook("finauth_nowhere").get_conn()
    # Airflow says the same when it could not look, so another try may help.
    assert not isinstance(caught.value, AirflowFailException)


def test_a_connection_is_read_once_and_late(
    connections: SandboxConnections, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is looked up while a DAG file is parsed, and nothing twice."""
    looked_up: list[str] = []
    real = door.get_connection
    monkeypatch.setattr(door, "get_connection", lambda conn_id: looked_up.append(conn_id) or real(conn_id))
    hook = TalenomHook()
    assert looked_up == []
    list(hook.accounting_periods(14222))
    list(hook.vouchers(14222).limit(1))
    hook.get_conn()
    hook.get_token()
    assert looked_up == ["talenom_default"]


def test_the_masker_learns_all_secrets(connections: SandboxConnections, masked: list[str]) -> None:
    extra = {"secret_headers": {"X-Api-Key": "a-secret-of-a-header"}}
    connections.change("oauth2api_default", extra=extra)
    OAuth2ApiHook().request("GET", "/echo")
    assert "a-secret-of-a-header" in masked
    OPCorporateHook().get_conn()
    # OP wants its client id kept as secret as the secret.
    assert json.loads(json.dumps(masked)).count("b7f2c1de-8a40-4f6e-9c15-3d2a6e0b9f71") == 1
