"""The messages that docs/errors.md shows are those that a person meets."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_finauth import exceptions
from airflow_provider_finauth.auth.sealer import Sealer
from airflow_provider_finauth.auth.stores.file import FileStore
from airflow_provider_finauth.auth.stores.flock import file_lock
from airflow_provider_finauth.hooks.landax import LandaxHook
from airflow_provider_finauth.hooks.luca import LucaHook
from airflow_provider_finauth.hooks.oauth2api import OAuth2ApiHook
from airflow_provider_finauth.hooks.opcorporate import OPCorporateHook
from airflow_provider_finauth.hooks.talenom import TalenomHook
from airflow_provider_finauth.hooks.tradevest import TradevestHook
from airflow_provider_finauth.operators.keep_alive import RefreshTokensOperator
from airflow_provider_finauth.runtime import brokers, door
from tests.airflow_harness import ROOT
from tests.hooks.support import SandboxConnections

if TYPE_CHECKING:
    from airflow_provider_finauth.sandbox import RunningSandbox
    from tests.passing_time import PassingTime

PAGE = (ROOT / "docs" / "errors.md").read_text()
FOLDER = "/var/lib/airflow/finauth"
COMPANIES = "{ companies(first: 1) { nodes { id } } }"


@dataclass(frozen=True)
class Stage:
    """What a message is provoked with."""

    sandbox: RunningSandbox
    connections: SandboxConnections
    folder: Path
    time: PassingTime
    monkeypatch: pytest.MonkeyPatch

    def fault(self, api: str, kind: str, **options: Any) -> None:
        self.sandbox.faults(api, kind, **{"count": None, **options})

    def change(self, conn_id: str, **changes: Any) -> None:
        self.connections.change(conn_id, **changes)

    def said(self, error: Exception) -> str:
        """Give an error's text as the page has it: with the usual addresses, and one time and id for all."""
        text = str(error).replace(self.sandbox.url, "http://127.0.0.1:8765").replace(str(self.folder), FOLDER)
        text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "2026-11-02 09:00:00 UTC", text)
        return re.sub(r"\b\w{8}(-\w{4}){3}-\w{12}\b", "edd151df-1449-b144-014a-329368b57ce3", text)


def periods(organization: int = 14222) -> Any:
    return list(TalenomHook().accounting_periods(organization))


def items() -> Any:
    return OAuth2ApiHook().request("GET", "/items")


def wrong_talenom(stage: Stage, *, times: int = 1, **changes: Any) -> None:
    stage.change("talenom_default", **changes)
    for _ in range(times - 1):
        with pytest.raises(exceptions.InvalidClientError):
            periods()
    periods()


def wrong_op(stage: Stage, conn_id: str, **extra: str) -> None:
    stage.change(conn_id, extra=extra)
    list(OPCorporateHook(conn_id).accounts())


def broken_items(
    stage: Stage, kind: str, *, method: str = "GET", path: str = "/items", **options: Any
) -> None:
    stage.fault("oauth2api", kind, **options)
    hook = OAuth2ApiHook()
    list(hook.records(path)) if method == "GET" else hook.request(method, path)


def broken_luca(stage: Stage, **options: Any) -> None:
    stage.fault("luca", "graphql_error", **options)
    LucaHook().graphql(COMPANIES)


def fixed_key(stage: Stage) -> None:
    stage.change("oauth2api_default", password="another", extra={"grant": "api_key"})
    items()


def counted_as_offset(stage: Stage) -> None:
    stage.sandbox.settings("talenom", page_numbering="offset")
    list(TalenomHook().vouchers(14222))


def dropped_rows(stage: Stage) -> None:
    stage.fault("talenom", "drop_rows", rows=3, skip=1, count=1)
    list(TalenomHook().vouchers(14222))


def foreign_link(stage: Stage) -> None:
    stage.fault("landax", "foreign_next_link")
    list(LandaxHook().entities("Incidents"))


def open_folder(stage: Stage) -> None:
    stage.folder.mkdir(mode=0o755)
    FileStore(stage.folder, Sealer("key")).read("token")


def no_folder(stage: Stage) -> None:
    with file_lock(stage.folder / "token.lock", 0):
        pass


def held_lock(stage: Stage) -> None:
    path = stage.folder.parent / "token.lock"
    with file_lock(path, 0), file_lock(path, 120, clock=stage.time):
        pass


def kept_on_a_server(stage: Stage, store: str, **options: str) -> None:
    for name, value in {"token_store": store, **options}.items():
        stage.monkeypatch.setenv(f"AIRFLOW__FINAUTH__{name.upper()}", value)
    items()


def refreshed(stage: Stage) -> None:
    stage.change("oauth2api_default", password="another")
    RefreshTokensOperator(
        task_id="refresh", conn_ids=["oauth2api_default", "talenom_default"], valid_for=900
    ).execute({})


def full_disk(stage: Stage) -> None:
    def fsync(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    stage.monkeypatch.setattr(os, "fsync", fsync)
    TalenomHook().accounting_periods(14222).write_to(str(stage.folder / "october.jsonl"))


# In the page's order.
PROVOKED: dict[str, list[Callable[[Stage], Any]]] = {
    "ConfigurationError": [
        lambda stage: wrong_talenom(stage, extra={"subscription_api_key": None}),
        lambda stage: wrong_talenom(stage, extra={"max_concurrency": "many"}),
        lambda stage: wrong_talenom(stage, host="http://apim.talenom.fi"),
        lambda stage: wrong_op(
            stage,
            "opcorporate_default",
            private_key=(stage.sandbox.folder / "stranger.key").read_text(),
        ),
        lambda stage: wrong_op(stage, "opcorporate_encrypted", private_key_passphrase="another"),
        lambda stage: TalenomHook("landax_default").vouchers(14222),
        lambda stage: TalenomHook().vouchers("FI123"),
        lambda stage: LandaxHook().entities("Incidents", since="yesterday"),
        lambda stage: TalenomHook().vouchers(14222, since="2026-10-01T09:00:00Z"),
        lambda stage: TalenomHook().vouchers(14222, since="2026-10-01", until="2026-10-01"),
        lambda stage: TalenomHook().vouchers(14222).write_to("vouchers.xml"),
        lambda stage: TalenomHook().accounting_periods(14222).write_to("x.jsonl", incremental="nightly"),
        lambda stage: TradevestHook().request(
            "POST", "/products/1/digital/orders", json={}, headers={"Requestor-ID": ""}
        ),
        lambda stage: kept_on_a_server(stage, "sql"),
        lambda stage: kept_on_a_server(stage, "redis", token_store_conn_id="finauth_store"),
    ],
    "InvalidClientError": [
        lambda stage: wrong_talenom(stage, password="another"),
        lambda stage: wrong_talenom(stage, extra={"scope": "another"}),
        lambda stage: wrong_talenom(stage, password="another", times=2),
    ],
    "ReauthorizationRequiredError": [lambda stage: list(LucaHook("luca_oauth").companies())],
    "SubscriptionKeyError": [lambda stage: wrong_talenom(stage, extra={"subscription_api_key": "another"})],
    "ForbiddenError": [
        lambda stage: periods(14299),
        lambda stage: broken_items(stage, "status", status=403, body={"error": "insufficient_scope"}),
    ],
    "CrossOriginError": [
        foreign_link,
        lambda stage: OAuth2ApiHook().request("GET", "https://example.com/items"),
    ],
    "ResultTooLargeError": [lambda stage: TalenomHook().vouchers(14222).collect()],
    "TokenEndpointError": [
        lambda stage: wrong_talenom(stage, extra={"oauth_endpoint": "http://127.0.0.1:9/token"}),
        lambda stage: broken_items(stage, "html", where="token"),
        lambda stage: broken_items(stage, "no_token", where="token"),
    ],
    "RateLimitedError": [
        lambda stage: broken_items(stage, "status", status=429, headers={"Retry-After": "900"}),
        lambda stage: broken_luca(stage, code="RATE_LIMITED", retryAfter=900),
    ],
    "ApiError": [
        lambda stage: OAuth2ApiHook().request("GET", "/nothing"),
        lambda stage: TradevestHook().request("GET", "/transactions", query={"x": "1"}),
        lambda stage: broken_items(stage, "reset", method="POST", path="/echo"),
        lambda stage: broken_items(stage, "html"),
        lambda stage: LucaHook().graphql("{ nonsense }"),
        lambda stage: broken_items(stage, "status", status=401),
        fixed_key,
    ],
    "PaginationError": [
        counted_as_offset,
        dropped_rows,
        lambda stage: list(OAuth2ApiHook().records("/echo")),
    ],
    "StorageError": [full_disk],
    "StoreUnavailableError": [open_folder, no_folder],
    "LockTimeoutError": [held_lock],
    "ConnectionNotFoundError": [lambda stage: list(TalenomHook("talenom_prod").vouchers(14222))],
    "TokensNotRenewedError": [refreshed],
}


def shown() -> dict[str, list[str]]:
    """Read the page: the messages under each heading, each as one line."""
    found: dict[str, list[str]] = {}
    for section in PAGE.split("\n## ")[1:]:
        texts = re.findall(r"^```text\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
        messages = [" ".join(message.split()) for text in texts for message in text.strip().split("\n\n")]
        found[section.partition("\n")[0]] = messages
    return found


CASES = [(name, number) for name, provoked in PROVOKED.items() for number in range(len(provoked))]


@pytest.fixture
def stage(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, passing_time: PassingTime
) -> Stage:
    monkeypatch.setenv("AIRFLOW__FINAUTH__TOKEN_STORE", "memory")
    monkeypatch.setattr(brokers, "_brokers", {})
    # As if a database were there that knows no connection.
    monkeypatch.setattr(door, "_select_connection", lambda conn_id: None)
    connections = SandboxConnections(sandbox, monkeypatch)
    return Stage(sandbox, connections, tmp_path / "finauth", passing_time, monkeypatch)


@pytest.mark.parametrize(("name", "number"), CASES, ids=str)
def test_message(stage: Stage, name: str, number: int) -> None:
    with pytest.raises(getattr(exceptions, name)) as caught:
        PROVOKED[name][number](stage)
    assert stage.said(caught.value) == shown()[name][number]


def test_every_message_is_provoked() -> None:
    assert {name: len(messages) for name, messages in shown().items()} == {
        name: len(provoked) for name, provoked in PROVOKED.items()
    }
