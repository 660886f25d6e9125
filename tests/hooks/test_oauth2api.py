"""The hook for any other API, over real sockets: every grant, every way to page."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_finauth.exceptions import ConfigurationError, PaginationError
from airflow_provider_finauth.hooks.oauth2api import OAuth2ApiHook
from airflow_provider_finauth.sandbox import credentials as known
from tests.hooks.support import authorise, ids

if TYPE_CHECKING:
    from airflow_provider_finauth.sandbox import RunningSandbox
    from tests.hooks.support import SandboxConnections
    from tests.passing_time import PassingTime

CONNECTION = "oauth2api_default"
PAGINGS: dict[str, dict[str, Any]] = {
    "/items": {
        "paging": "cursor",
        "paging_options": {"size_param": "limit", "size": 700},
    },
    "/pages": {"paging": "page_index", "paging_options": {"size": 700}, "total": "rowCount"},
    "/offsets": {"paging": "limit_offset", "paging_options": {"size": 700}, "total": "total"},
    "/links": {
        "paging": "next_link",
        "paging_options": {"keys": ["next"]},
        "query": {"limit": 700},
    },
    "/keyset": {
        "paging": "keyset",
        "paging_options": {"param": "since", "field": "updatedAt", "size": 700, "start": "2026-01-01"},
        "query": {"limit": 700},
    },
}


@pytest.fixture
def hook(connections: SandboxConnections) -> OAuth2ApiHook:
    return OAuth2ApiHook()


@pytest.mark.parametrize("path", PAGINGS)
def test_each_paging_gives_what_was_served(hook: OAuth2ApiHook, sandbox: RunningSandbox, path: str) -> None:
    items = list(hook.records(path, key="id", **PAGINGS[path]))
    stats = sandbox.stats("generic")
    assert ids(items) == list(range(1, 2501))
    assert stats["unique_records_served"] == 2500
    assert stats["token_requests"] == 1
    assert 4 <= stats["api_requests"] <= 5
    assert {type(item["amount"]) for item in items} == {Decimal}


@pytest.mark.parametrize("path", PAGINGS)
def test_nothing_is_asked_before_it_is_read(hook: OAuth2ApiHook, sandbox: RunningSandbox, path: str) -> None:
    items = hook.records(path, key="id", **PAGINGS[path])
    assert sandbox.stats("generic")["token_requests"] == 0
    assert next(items)["id"] == 1
    # One, and those that are fetched ahead of the reader.
    assert 1 <= sandbox.stats("generic")["api_requests"] <= 5


@pytest.mark.parametrize("path", PAGINGS)
def test_limit(hook: OAuth2ApiHook, sandbox: RunningSandbox, path: str) -> None:
    assert ids(hook.records(path, key="id", **PAGINGS[path]).limit("705")) == list(range(1, 706))
    assert 2 <= sandbox.stats("generic")["api_requests"] <= 5
    pages = list(hook.records(path, key="id", **PAGINGS[path]).limit(705).pages())
    assert [len(page.records) for page in pages] == [700, 5]


def test_options_as_templates_give_them(hook: OAuth2ApiHook) -> None:
    links = hook.records(
        "/links", paging="next_link", paging_options={"keys": "next"}, query={"limit": 500}, key="id"
    )
    assert len(list(links)) == 2500
    options = {"size": "700", "first": "0", "offset": "False"}
    pages = hook.records("/pages", paging="page_index", paging_options=options, total="rowCount", key="id")
    assert len(list(pages)) == 2500


def test_pull_to_memory_and_to_a_file(hook: OAuth2ApiHook, tmp_path: Any) -> None:
    plain = hook.records("/items").limit(3).collect()
    assert isinstance(plain, list)
    # XCom would make floats of them.
    assert [type(item["amount"]) for item in plain] == [str] * 3
    items = hook.records("/items", key="id", **PAGINGS["/items"])
    manifest = items.write_to(str(tmp_path / "items.jsonl.gz"))
    assert (manifest["records"], manifest["pages"], manifest["api"]) == (2500, 4, "oauth2api")


def test_any_request(hook: OAuth2ApiHook) -> None:
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        answer = hook.request_json(method, "/echo", query={"a": True, "b": None, "c": [1, 2]})
        assert answer["method"] == method
        assert answer["query"] == [["a", "true"], ["c", "1"], ["c", "2"]]
    assert hook.request("HEAD", "/echo").content == b""
    assert hook.request_json("POST", "/echo", json={"x": Decimal("1.10")}, headers={"X-Own": "1"})["headers"][
        -1
    ] == ("x-own")
    with pytest.raises(ConfigurationError, match="idempotent"):
        hook.request("POST", "/echo", idempotent="perhaps")


GRANTS: dict[str, dict[str, Any]] = {
    "client credentials": {},
    "client by Basic": {"extra": {"client_auth": "basic"}},
    "with a scope and an audience": {
        "extra": {"scope": "read", "oauth_parameters": {"audience": "https://api.example.com"}}
    },
    "password": {
        "extra": {
            "grant": "password",
            "username": known.GENERIC_USER,
            "user_password": known.GENERIC_PASSWORD,
        }
    },
}


@pytest.mark.parametrize("grant", GRANTS)
@pytest.mark.parametrize("encoding", ["form", "json"])
def test_grants_that_start_over_alone(
    connections: SandboxConnections,
    sandbox: RunningSandbox,
    passing_time: PassingTime,
    grant: str,
    encoding: str,
) -> None:
    sandbox.settings("generic", body_encoding=encoding)
    changes = GRANTS[grant]
    extra = {**changes.get("extra", {}), "body_encoding": encoding}
    connections.change(CONNECTION, **{**changes, "extra": extra})
    hook = OAuth2ApiHook()
    assert len(list(hook.records("/items").limit(1))) == 1
    passing_time.go_on(3600)
    assert len(list(hook.records("/items").limit(1))) == 1
    first, second = sandbox.log("generic", "token")
    assert (first["status"], second["status"]) == (200, 200)
    assert first["content_type"].startswith("application/json") == (encoding == "json")
    again = "refresh_token" if grant == "password" else "client_credentials"
    assert second["body"]["grant_type"] == again


@pytest.mark.parametrize("rotates", [True, False])
def test_an_authorised_grant(
    connections: SandboxConnections, sandbox: RunningSandbox, passing_time: PassingTime, rotates: bool
) -> None:
    sandbox.settings("generic", rotate_refresh=rotates)
    connections.change(CONNECTION, extra={"grant": "authorization_code", "scope": "read"})
    hook = OAuth2ApiHook()
    authorise(hook)
    for mints in range(1, 4):
        assert len(list(hook.records("/items").limit(1))) == 1
        assert sandbox.stats("generic")["token_requests"] == mints
        passing_time.go_on(3600)
    assert sandbox.stats("generic")["replays"] == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"password": known.GENERIC_KEY, "extra": {"grant": "api_key"}},
        {
            "password": None,
            "extra": {"grant": "api_key", "secret_headers": {"X-Api-Key": known.GENERIC_KEY}},
        },
        {"login": known.GENERIC_USER, "password": known.GENERIC_PASSWORD, "extra": {"grant": "basic"}},
    ],
)
def test_fixed_keys(
    connections: SandboxConnections, sandbox: RunningSandbox, changes: dict[str, Any], masked: list[str]
) -> None:
    connections.change(CONNECTION, **changes)
    hook = OAuth2ApiHook()
    assert len(list(hook.records("/items").limit(1))) == 1
    assert sandbox.stats("generic")["token_requests"] == 0
    assert known.GENERIC_KEY in masked or known.GENERIC_PASSWORD in masked
    with pytest.raises(ConfigurationError, match="fixed key") as caught:
        hook.get_token()
    assert isinstance(caught.value, AirflowFailException)


def test_headers_of_the_connection(connections: SandboxConnections, sandbox: RunningSandbox) -> None:
    connections.change(CONNECTION, extra={"api_headers": {"Accept-Language": "fi", "X-Tenant": "7"}})
    hook = OAuth2ApiHook()
    assert {"accept-language", "x-tenant"} <= set(hook.request_json("GET", "/echo")["headers"])
    # The caller may take one out.
    assert "x-tenant" not in hook.request_json("GET", "/echo", headers={"X-Tenant": None})["headers"]
    assert sandbox.log("generic", "api")[0]["headers"]["accept-language"] == "fi"


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"paging": "guessing"}, "paging"),
        ({"paging": "cursor", "paging_options": {"colour": "red"}}, "paging_options"),
        ({"paging": "cursor", "paging_options": {"size": "many", "size_param": "limit"}}, "paging_options"),
        ({"paging": "page_index", "paging_options": {"offset": "perhaps"}}, "paging_options"),
        ({"paging": "relay", "paging_options": {}}, "paging_options"),
        ({"until": "2026-01-01"}, "until_param"),
        ({"until": "2026-01-01", "until_param": "to"}, "changed_field"),
    ],
)
def test_arguments_are_named(
    hook: OAuth2ApiHook, sandbox: RunningSandbox, arguments: dict[str, Any], name: str
) -> None:
    with pytest.raises(ConfigurationError, match=name) as caught:
        hook.records("/items", **arguments)
    assert isinstance(caught.value, AirflowFailException)
    assert sandbox.stats("generic")["token_requests"] == 0


def test_a_list_that_is_not_where_it_is_looked_for(hook: OAuth2ApiHook) -> None:
    with pytest.raises(PaginationError, match="records_path"):
        list(hook.records("/items", records_path="result.items"))
