"""``finauth tokens`` against the sandbox, with a token store of the test's own."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from airflow_provider_finauth.auth.entry import Intent, Unanswered
from airflow_provider_finauth.auth.inventory import Inventory, Lineage, Refused
from airflow_provider_finauth.cli import listing
from airflow_provider_finauth.cli.app import app
from airflow_provider_finauth.exceptions import InvalidClientError, ReauthorizationRequiredError
from airflow_provider_finauth.hooks.landax import LandaxHook
from airflow_provider_finauth.hooks.luca import LucaHook
from airflow_provider_finauth.hooks.talenom import TalenomHook
from airflow_provider_finauth.runtime import brokers
from tests.hooks.support import SandboxConnections, authorise

if TYPE_CHECKING:
    from airflow_provider_finauth.sandbox import RunningSandbox

Command = Callable[..., Any]


@pytest.fixture(autouse=True)
def connections(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> SandboxConnections:
    monkeypatch.setenv("AIRFLOW__FINAUTH__TOKEN_STORE", f"file://{tmp_path}/tokens")
    monkeypatch.setenv("AIRFLOW__FINAUTH__STORE_KEY", "a key of these tests")
    monkeypatch.setattr(brokers, "_brokers", {})
    return SandboxConnections(sandbox, monkeypatch)


@pytest.fixture
def finauth(monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run the command; its parts may be given as one text."""

    def run(command: str, *, typed: str = "") -> Any:
        # Each command is a process of its own, which remembers nothing.
        monkeypatch.setattr(brokers, "_brokers", {})
        return CliRunner().invoke(app, command.split(), input=typed)

    return run


def rows(output: str) -> list[list[str]]:
    """Give the cells of a listing, two blanks apart."""
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in output.splitlines()]


class TestList:
    @pytest.mark.parametrize("command", ["tokens", "tokens list"])
    def test_nothing(self, finauth: Command, command: str) -> None:
        result = finauth(command)
        assert (result.exit_code, result.stdout) == (0, "The token store 'file' keeps no tokens.\n")

    @pytest.mark.parametrize("command", ["tokens", "tokens list"])
    def test_says_whose_how_old_and_until_when(self, finauth: Command, command: str) -> None:
        tokens = [TalenomHook().get_token(), LandaxHook().get_token()]
        authorise(LucaHook("luca_oauth21"))
        tokens.append(LucaHook("luca_oauth21").get_token())

        result = finauth(command)

        assert result.exit_code == 0
        title, _, head, *found = rows(result.stdout)
        assert title[0].startswith("Token store 'file'")
        assert head == ["connection", "API", "kind", "generation", "age", "expires in"]
        assert [row[:4] for row in found] == [
            ["landax_default", "landax", "starts over alone", "1"],
            ["luca_oauth21", "luca", "authorised", "1"],
            ["talenom_default", "talenom", "starts over alone", "1"],
        ]
        for token in tokens:
            for secret in filter(None, (token.access_token, token.refresh_token)):
                assert secret.reveal() not in result.output

    @pytest.mark.parametrize("command", ["tokens --json", "tokens list --json"])
    def test_as_json(self, finauth: Command, command: str) -> None:
        token = TalenomHook().get_token()
        result = finauth(command)
        found = json.loads(result.stdout)
        assert found["store"] == "file"
        (lineage,) = found["lineages"]
        assert (lineage["conn_id"], lineage["kind"], lineage["generation"]) == (
            "talenom_default",
            "starts over alone",
            1,
        )
        left = datetime.fromisoformat(lineage["expires_at"]) - datetime.fromisoformat(found["now"])
        assert timedelta(minutes=55) < left <= timedelta(hours=1)
        assert token.access_token is not None
        assert token.access_token.reveal() not in result.stdout

    def test_a_refusal(self, finauth: Command, connections: SandboxConnections) -> None:
        connections.change("talenom_default", password="wrong-secret-8")
        with pytest.raises(InvalidClientError):
            TalenomHook().get_token()
        result = finauth("tokens")
        assert "Refused credentials:" in result.stdout
        assert "talenom_default was refused (invalid_client), until " in result.stdout
        assert "wrong-secret-8" not in result.output

    def test_what_cannot_be_read(self, finauth: Command, monkeypatch: pytest.MonkeyPatch) -> None:
        TalenomHook().get_token()
        monkeypatch.setenv("AIRFLOW__FINAUTH__STORE_KEY", "another key of these tests")
        result = finauth("tokens")
        assert result.exit_code == 0
        assert "cannot be read: " in result.stdout
        assert "[finauth] store_key" in result.stdout
        assert json.loads(finauth("tokens --json").stdout)["lineages"][0]["problem"]

    @pytest.mark.usefixtures("metadata_database")
    def test_in_variables(self, finauth: Command, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AIRFLOW__FINAUTH__TOKEN_STORE", "variable")
        monkeypatch.setattr(brokers, "_brokers", {})
        TalenomHook().get_token()
        authorise(LucaHook("luca_oauth21"))
        assert [row[0] for row in rows(finauth("tokens").stdout)[3:]] == ["luca_oauth21", "talenom_default"]
        for conn_id in ("luca_oauth21", "talenom_default"):
            assert finauth(f"tokens forget {conn_id} --yes").exit_code == 0
        assert finauth("tokens").stdout == "The token store 'variable' keeps no tokens.\n"

    def test_a_store_that_cannot_be_asked(self, finauth: Command, tmp_path: Path) -> None:
        (tmp_path / "tokens").write_text("no folder")
        result = finauth("tokens")
        assert result.exit_code == 1
        assert result.stderr.startswith("Error: The token store's folder")


class TestLines:
    """What stands in a token's way, in words."""

    def shown(self, now: float = 1000.0, **members: Any) -> list[str]:
        lineage = Lineage(
            **{
                "key": "grant-1",
                "authorised": True,
                "conn_id": "luca",
                "api": "luca",
                "generation": 7,
                "minted_at": 400.0,
                "expires_at": 4000.0,
                "renewable": True,
                **members,
            }
        )
        inventory = Inventory(now=now, lineages=(lineage,), refusals=())
        json.loads(listing.as_json(inventory, "sql"))
        return [line for line, _ in listing.lines(inventory, "sql")][3:]

    def test_nothing_does(self) -> None:
        (line,) = self.shown()
        assert rows(line) == [["luca", "luca", "authorised", "7", "10 min", "50 min"]]

    def test_the_access_token_has_ended(self) -> None:
        assert self.shown(now=4000.0)[0].endswith("ended")
        assert self.shown(expires_at=None)[0].endswith("no access token")

    def test_there_is_nothing_to_renew_it_with(self) -> None:
        assert "a person has to authorise it again" in self.shown(renewable=False)[1]

    def test_a_renewal(self) -> None:
        intent = Intent(owner="host/1", attempt="1", sent="the-hash", begun=990.0, deadline=1050.0)
        assert self.shown(intent=intent)[1] == "  is being renewed, until 1970-01-01 00:17:30 UTC at most"
        assert "was cut off" in self.shown(now=1051.0, intent=intent)[1]

    def test_renewals_without_an_answer(self) -> None:
        unanswered = Unanswered(sent="the-hash", count=3, since=900.0, retry_at=1004.0)
        (_, line) = self.shown(unanswered=unanswered)
        assert "did not answer 3 times since 1970-01-01 00:15:00 UTC" in line
        assert "when its token ends, 1970-01-01 01:06:40 UTC" in line
        (_, line) = self.shown(unanswered=unanswered, expires_at=990.0)
        assert "asked again from 1970-01-01 00:16:44 UTC" in line

    @pytest.mark.parametrize(
        ("until", "told"),
        [(None, "until the connection changes"), (1060.0, "00:17:40 UTC"), (900.0, "by the next task")],
    )
    def test_a_refusal(self, until: float | None, told: str) -> None:
        refusal = Refused(
            key="k", conn_id=None, count=1, until=until, code="invalid_grant", message="The reason."
        )
        (_, line) = self.shown(refusals=(refusal,))
        assert "(invalid_grant)" in line
        assert told in line
        assert line.endswith(": The reason.")

    def test_a_refusal_of_other_credentials(self) -> None:
        refusal = Refused(
            key="k", conn_id="luca", count=1, until=1060.0, code="invalid_client", message="The reason."
        )
        inventory = Inventory(now=1000.0, lineages=(), refusals=(refusal,))
        *_, line = [line for line, _ in listing.lines(inventory, "sql")]
        assert line.startswith("luca was refused (invalid_client), until ")
        # Afterwards it is in nobody's way.
        (line,) = [line for line, _ in listing.lines(replace(inventory, now=1061.0), "sql")]
        assert "keeps no tokens" in line

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [
            (-1, "0 s"),
            (0, "0 s"),
            (59.6, "1 min"),
            (61, "1 min 1 s"),
            (3600, "1 h"),
            (3661, "1 h 1 min"),
            (86400 * 40 + 7200, "40 d 2 h"),
        ],
    )
    def test_spans(self, seconds: float, text: str) -> None:
        assert listing.span(seconds) == text


class TestForget:
    def test_a_token_after_a_question(self, finauth: Command, sandbox: RunningSandbox) -> None:
        TalenomHook().get_token()
        result = finauth("tokens forget talenom_default", typed="y\n")
        assert result.exit_code == 0
        assert "Forgotten of 'talenom_default': 1 token." in result.stdout
        assert "keeps no tokens" in finauth("tokens").stdout
        TalenomHook().get_token()
        assert sandbox.stats("talenom")["token_requests"] == 2

    @pytest.mark.parametrize("typed", ["n\n", "\n"])
    def test_the_answer_is_no_unless_it_is_yes(self, finauth: Command, typed: str) -> None:
        TalenomHook().get_token()
        result = finauth("tokens forget talenom_default", typed=typed)
        assert result.exit_code == 1
        assert "Nothing was forgotten" in result.stderr
        assert "talenom_default" in finauth("tokens").stdout

    @pytest.mark.parametrize("typed", ["y\n", "yes\n", "\n"])
    def test_an_authorisation_wants_more_than_a_yes(self, finauth: Command, typed: str) -> None:
        authorise(LucaHook("luca_oauth21"))
        result = finauth("tokens forget luca_oauth21", typed=typed)
        assert result.exit_code == 1
        assert "Nothing was forgotten" in result.stderr
        assert "luca_oauth21" in finauth("tokens").stdout

    @pytest.mark.parametrize(("option", "typed"), [("", "luca_oauth21\n"), ("--yes", "")])
    def test_an_authorisation(self, finauth: Command, option: str, typed: str) -> None:
        authorise(LucaHook("luca_oauth21"))
        result = finauth(f"tokens forget luca_oauth21 {option}", typed=typed)
        assert result.exit_code == 0, result.output
        assert "1 authorisation" in result.stdout
        assert "finauth authorize luca_oauth21" in result.stdout
        assert "keeps no tokens" in finauth("tokens").stdout
        with pytest.raises(ReauthorizationRequiredError):
            LucaHook("luca_oauth21").get_token()
        # And it can be given again.
        authorise(LucaHook("luca_oauth21"))
        assert LucaHook("luca_oauth21").get_token().generation == 1

    def test_refusals_only(self, finauth: Command, connections: SandboxConnections) -> None:
        TalenomHook().get_token()
        connections.change("wrong", of="talenom_default", password="wrong-secret-8")
        with pytest.raises(InvalidClientError):
            TalenomHook("wrong").get_token()
        result = finauth("tokens forget wrong --refusals")
        assert result.stdout == "Forgotten: 1 refusal of 'wrong'. Tokens were left alone.\n"
        shown = finauth("tokens").stdout
        assert "talenom_default" in shown
        assert "refused" not in shown

    def test_nothing_there(self, finauth: Command) -> None:
        result = finauth("tokens forget talenom_default --yes")
        assert (result.exit_code, result.stdout) == (
            0,
            "The token store 'file' keeps nothing of 'talenom_default'.\n",
        )

    @pytest.mark.usefixtures("metadata_database")
    def test_a_connection_that_is_gone(self, finauth: Command, monkeypatch: pytest.MonkeyPatch) -> None:
        TalenomHook().get_token()
        monkeypatch.delenv("AIRFLOW_CONN_TALENOM_DEFAULT")
        result = finauth("tokens forget talenom_default --yes")
        assert result.exit_code == 0
        assert "does not find the connection" in result.stderr
        assert "1 token" in result.stdout

    def test_a_fixed_key(self, finauth: Command) -> None:
        result = finauth("tokens forget luca_default --yes")
        assert result.exit_code == 1
        assert "fixed key" in result.stderr


class TestRefresh:
    def test_renews_for_all(self, finauth: Command) -> None:
        first = TalenomHook().get_token()
        result = finauth("tokens refresh talenom_default")
        assert result.exit_code == 0
        assert "number 2 of its line" in result.stdout
        assert "good until" in result.stdout
        renewed = TalenomHook().get_token()
        assert renewed.generation == 2
        for token in (first, renewed):
            assert token.access_token is not None
            assert token.access_token.reveal() not in result.output

    def test_says_so_where_nothing_was_renewed(self, finauth: Command, sandbox: RunningSandbox) -> None:
        authorise(LucaHook("luca_oauth21"))
        LucaHook("luca_oauth21").get_token()
        sandbox.faults("luca", "reset", where="token")
        for _ in range(2):
            result = finauth("tokens refresh luca_oauth21")
            assert result.exit_code == 1
            assert "keeps its token, number 1 of its line" in result.stderr
            assert "good until" in result.stdout

    def test_what_nobody_has_authorised(self, finauth: Command) -> None:
        result = finauth("tokens refresh luca_oauth21")
        assert result.exit_code == 1
        assert "finauth authorize luca_oauth21" in result.stderr

    def test_a_fixed_key(self, finauth: Command) -> None:
        result = finauth("tokens refresh luca_default")
        assert result.exit_code == 1
        assert "fixed key" in result.stderr
