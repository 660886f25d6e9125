"""The operator that renews tokens, against the sandbox."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_finauth.exceptions import (
    ConfigurationError,
    InvalidClientError,
    ReauthorizationRequiredError,
    TokenEndpointError,
    TokensNotRenewedError,
)
from airflow_provider_finauth.hooks.landax import LandaxHook
from airflow_provider_finauth.hooks.luca import LucaHook
from airflow_provider_finauth.hooks.talenom import TalenomHook
from airflow_provider_finauth.operators.keep_alive import RefreshTokensOperator
from tests.hooks.support import authorise

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_finauth.sandbox import RunningSandbox
    from tests.hooks.support import SandboxConnections

WELL = ["talenom_default", "landax_default"]


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """What was logged: Airflow 3's operators print, those of Airflow 2 log."""
    caplog.set_level("INFO")
    return lambda: caplog.text + capsys.readouterr().out


def refresh(conn_ids: Any = WELL, valid_for: Any = timedelta(minutes=30)) -> list[dict[str, Any]]:
    operator = RefreshTokensOperator(task_id="refresh", conn_ids=conn_ids, valid_for=valid_for)
    found: list[dict[str, Any]] = operator.execute({})
    return found


def test_obtains_what_is_not_there_yet(sandbox: RunningSandbox, connections: SandboxConnections) -> None:
    found = refresh()
    assert [(entry["conn_id"], entry["generation"], entry["refreshed"]) for entry in found] == [
        ("talenom_default", 1, True),
        ("landax_default", 1, True),
    ]
    for entry in found:
        ends = datetime.fromisoformat(entry["expires_at"])
        assert timedelta(minutes=30) < ends - datetime.now(UTC) <= timedelta(days=1)
    assert LandaxHook().get_token().generation == 1
    assert sandbox.stats("landax")["token_requests"] == 1


def test_leaves_what_lasts(sandbox: RunningSandbox, connections: SandboxConnections) -> None:
    TalenomHook().get_token()
    (entry,) = refresh(["talenom_default"])
    assert (entry["generation"], entry["refreshed"]) == (1, False)
    assert sandbox.stats("talenom")["token_requests"] == 1


@pytest.mark.parametrize("valid_for", [7200, "7200", 7200.5, timedelta(hours=2)])
def test_renews_what_does_not(connections: SandboxConnections, valid_for: Any) -> None:
    TalenomHook().get_token()
    (entry,) = refresh("talenom_default", valid_for)
    assert (entry["generation"], entry["refreshed"]) == (2, True)
    assert TalenomHook().get_token().generation == 2


def test_renews_what_a_person_has_authorised(connections: SandboxConnections) -> None:
    authorise(LucaHook("luca_oauth21"))
    (entry,) = refresh(["luca_oauth21"], 7200)
    assert (entry["conn_id"], entry["generation"], entry["refreshed"]) == ("luca_oauth21", 2, True)


def test_warns_where_a_token_does_not_last_as_long_as_asked(
    sandbox: RunningSandbox, connections: SandboxConnections, logged: Callable[[], str]
) -> None:
    authorise(LucaHook("luca_oauth21"))
    LucaHook("luca_oauth21").get_token()
    sandbox.faults("luca", "reset", where="token")
    for _ in range(2):
        (entry,) = refresh(["luca_oauth21"], 7200)
        assert (entry["generation"], entry["refreshed"]) == (1, False)
    shown = logged()
    assert "could not be renewed" in shown
    assert "instead of 7200 s" in shown
    assert "needed no renewal" not in shown


def test_a_fixed_key_is_passed_over(connections: SandboxConnections, logged: Callable[[], str]) -> None:
    found = refresh(["luca_default", "talenom_default"])
    assert [entry["conn_id"] for entry in found] == ["talenom_default"]
    assert "'luca_default' authenticates with a fixed key" in logged()


def test_templates_give_texts(connections: SandboxConnections) -> None:
    found = refresh(" talenom_default, landax_default,talenom_default,")
    assert [entry["conn_id"] for entry in found] == WELL


def test_nothing_secret_is_returned_or_logged(
    sandbox: RunningSandbox, connections: SandboxConnections, logged: Callable[[], str]
) -> None:
    shown = repr(refresh()) + logged()
    assert "was renewed" in shown
    tokens = [TalenomHook().get_token(), LandaxHook().get_token()]
    for token in tokens:
        for secret in filter(None, (token.access_token, token.refresh_token)):
            assert secret.reveal() not in shown
    for conn_id in WELL:
        assert sandbox.connections[conn_id]["password"] not in shown


class TestFailures:
    def test_the_others_are_renewed(self, connections: SandboxConnections) -> None:
        connections.change("wrong", of="talenom_default", password="wrong-secret-8")
        with pytest.raises(TokensNotRenewedError, match="1 of 3 connections.*wrong:") as caught:
            refresh(["talenom_default", "wrong", "landax_default"])
        assert set(caught.value.failures) == {"wrong"}
        assert isinstance(caught.value.failures["wrong"], InvalidClientError)
        assert LandaxHook().get_token().generation == 1

    def test_another_try_does_not_help_where_none_can_be_mended(
        self, connections: SandboxConnections
    ) -> None:
        connections.change("wrong", of="talenom_default", password="wrong-secret-8")
        with pytest.raises(TokensNotRenewedError) as caught:
            refresh(["wrong", "luca_oauth21"])
        assert isinstance(caught.value, AirflowFailException)
        assert isinstance(caught.value.failures["luca_oauth21"], ReauthorizationRequiredError)
        assert caught.value.permanent

    def test_another_try_helps_where_it_may_help_one(
        self, sandbox: RunningSandbox, connections: SandboxConnections
    ) -> None:
        connections.change("wrong", of="talenom_default", password="wrong-secret-8")
        sandbox.faults("landax", "status", status=503, where="token", count=20)
        with pytest.raises(TokensNotRenewedError) as caught:
            refresh(["wrong", "landax_default"])
        assert not isinstance(caught.value, AirflowFailException)
        assert not caught.value.permanent
        assert isinstance(caught.value.failures["landax_default"], TokenEndpointError)

    @pytest.mark.usefixtures("metadata_database")
    def test_a_connection_that_is_not_ours_or_not_there(
        self, connections: SandboxConnections, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_WEB", "http://www.example.com")
        with pytest.raises(TokensNotRenewedError, match="web: .*'http'.* missing: ") as caught:
            refresh(["web", "missing"])
        # What Airflow does not find now it may find later.
        assert not isinstance(caught.value, AirflowFailException)

    @pytest.mark.parametrize(
        ("conn_ids", "valid_for", "field"),
        [
            ([], 60, "conn_ids"),
            (" , ", 60, "conn_ids"),
            (WELL, 0, "valid_for"),
            (WELL, "soon", "valid_for"),
            (WELL, timedelta(seconds=-1), "valid_for"),
            (WELL, float("nan"), "valid_for"),
            (WELL, None, "valid_for"),
        ],
    )
    def test_arguments_are_named(self, conn_ids: Any, valid_for: Any, field: str) -> None:
        with pytest.raises(ConfigurationError, match=f"'{field}'") as caught:
            refresh(conn_ids, valid_for)
        assert caught.value.field == field
        assert isinstance(caught.value, AirflowFailException)
