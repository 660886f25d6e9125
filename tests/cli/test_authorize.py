"""``finauth authorize`` against the sandbox, in this process and with tokens in files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest

from airflow_provider_finauth.hooks.chosen import hook_of
from airflow_provider_finauth.runtime.brokers import broker
from tests.airflow_harness import free_port
from tests.cli.conftest import FLAVOURS
from tests.cli.terminal import Ended, Terminal, approve, consent, get

if TYPE_CHECKING:
    from pytest_httpserver import HTTPServer

    from airflow_provider_finauth.sandbox import RunningSandbox

Connect = Callable[..., str]

APIS = {"luca_oauth": "luca", "luca_oauth21": "luca", "generic": "generic"}
PAGES = {
    "luca_oauth": {"client_id", "response_type", "redirect_uri", "scope"},
    "luca_oauth21": {
        "client_id",
        "response_type",
        "redirect_uri",
        "scope",
        "state",
        "code_challenge",
        "code_challenge_method",
    },
    "generic": {
        "client_id",
        "response_type",
        "redirect_uri",
        "scope",
        "state",
        "code_challenge",
        "code_challenge_method",
    },
}
EXCHANGES = {
    "luca_oauth": {"grant_type", "code", "client_id", "client_secret"},
    "luca_oauth21": {"grant_type", "code", "client_id", "client_secret", "redirect_uri", "code_verifier"},
    "generic": {"grant_type", "code", "client_id", "client_secret", "redirect_uri", "code_verifier"},
}
SCOPES = {"luca_oauth": "accounting", "luca_oauth21": "accounting.read", "generic": "items.read"}


def credentials_of(conn_id: str) -> Any:
    return hook_of(conn_id).api.profile.credentials


def stored(conn_id: str) -> Any:
    return broker().stored(credentials_of(conn_id))


def shows_no_secret(ended: Ended, conn_id: str) -> None:
    secrets = list(hook_of(conn_id).settings.secrets())
    tokens = stored(conn_id)
    if tokens is not None:
        secrets += [tokens.access_token, tokens.refresh_token]
    for secret in filter(None, secrets):
        assert secret.reveal() not in ended.all
    assert "Traceback" not in ended.all


def fails(ended: Ended, conn_id: str, *words: str) -> None:
    """It failed with one message on the standard error, and nothing was kept."""
    assert ended.code == 1
    last = ended.err.strip().splitlines()[-1]
    assert last.startswith("Error: ")
    for word in words:
        assert word in last
    assert "Error" not in ended.out
    shows_no_secret(ended, conn_id)
    assert stored(conn_id) is None


@pytest.fixture(params=["listening", "pasting"])
def authorise(request: pytest.FixtureRequest, finauth: Terminal) -> Callable[..., Ended]:
    """Authorise in either way, and look that the browser saw no failure."""

    def authorise(conn_id: str, *options: str) -> Ended:
        if request.param == "listening":
            return finauth("authorize", conn_id, *options, browser=approve)
        return finauth("authorize", conn_id, "--paste", *options, person=consent)

    return authorise


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_person_authorises(
    authorise: Callable[..., Ended], sandbox: RunningSandbox, connect: Connect, flavour: str
) -> None:
    conn_id = connect(flavour)
    redirect_uri = hook_of(conn_id).settings.text("redirect_uri")

    ended = authorise(conn_id)

    assert ended.code == 0
    assert "Warning" not in ended.err
    page = dict(parse_qsl(urlsplit(ended.url).query))
    assert set(page) == PAGES[flavour]
    assert page["response_type"] == "code"
    assert page["scope"] == SCOPES[flavour]
    assert page["redirect_uri"] == redirect_uri
    assert page["client_id"] == hook_of(conn_id).settings.text("login")
    assert page.get("code_challenge_method", "S256") == "S256"
    assert "is authorised" in ended.out
    assert SCOPES[flavour] in ended.out.split("is authorised")[1]
    assert "file" in ended.out.split("token store")[1]
    assert "10 min" in ended.out
    shows_no_secret(ended, conn_id)

    (exchange,) = sandbox.log(APIS[flavour], "token")
    assert set(exchange["body_members"]) == EXCHANGES[flavour]
    assert exchange["content_type"] == "application/x-www-form-urlencoded"
    tokens = stored(conn_id)
    assert tokens.refresh_token
    assert tokens.generation == 1
    assert tokens.lineage.startswith("consent")
    assert f"{tokens.scope}" == SCOPES[flavour]


@pytest.mark.parametrize("flavour", ["luca_oauth", "luca_oauth21"])
def test_the_hook_goes_on_from_there(
    finauth: Terminal, sandbox: RunningSandbox, connect: Connect, flavour: str
) -> None:
    conn_id = connect(flavour)
    assert finauth("authorize", conn_id, browser=approve).code == 0

    companies = list(hook_of(conn_id).companies())  # type: ignore[attr-defined]

    assert len(companies) == 3
    assert sandbox.stats("luca")["token_requests"] == 1


@pytest.mark.parametrize("flavour", ["luca_oauth", "luca_oauth21"])
def test_optional_parameters_of_the_page(finauth: Terminal, connect: Connect, flavour: str) -> None:
    conn_id = connect(flavour, organisation_number=999888777, locale="nb")

    ended = finauth("authorize", conn_id, "--paste", person=lambda url: "?error=access_denied")

    query = parse_qs(urlsplit(ended.url).query)
    assert query["organisation_number"] == ["999888777"]
    assert query["locale"] == ["nb"]
    assert set(query) == PAGES[flavour] | {"organisation_number", "locale"}


@pytest.mark.parametrize("flavour", ["luca_oauth", "luca_oauth21"])
def test_consent_that_is_not_given(
    authorise: Callable[..., Ended], sandbox: RunningSandbox, connect: Connect, flavour: str
) -> None:
    sandbox.settings("luca", deny=True)
    conn_id = connect(flavour)

    ended = authorise(conn_id)

    fails(ended, conn_id, conn_id, "consent was not given")
    assert sandbox.stats("luca")["token_requests"] == 0


@pytest.mark.parametrize("flavour", ["luca_oauth", "luca_oauth21"])
def test_a_code_that_has_ended(
    authorise: Callable[..., Ended], sandbox: RunningSandbox, connect: Connect, flavour: str
) -> None:
    sandbox.settings("luca", code_lifetime=0)
    conn_id = connect(flavour)

    fails(authorise(conn_id), conn_id, conn_id, "the code is refused", "Begin again")
    assert sandbox.stats("luca")["token_requests"] == 1


@pytest.mark.parametrize("flavour", ["luca_oauth21", "generic"])
def test_strays_and_another_state_do_not_end_the_wait(
    finauth: Terminal, sandbox: RunningSandbox, connect: Connect, flavour: str
) -> None:
    conn_id = connect(flavour)
    redirect_uri = hook_of(conn_id).settings.text("redirect_uri")

    def browse(url: str) -> None:
        assert get(redirect_uri.replace("/callback", "/favicon.ico")).status_code == 404
        assert get(redirect_uri).status_code == 400
        assert get(f"{redirect_uri}?code=another&state=another").status_code == 400
        assert get(f"{redirect_uri}?error=access_denied").status_code == 400
        approve(url)

    ended = finauth("authorize", conn_id, browser=browse)

    assert ended.code == 0
    assert ended.err.count("Warning: ") == 2
    assert ended.err.count("does not belong to this authorisation") == 2
    assert len(sandbox.log(APIS[flavour], "token")) == 1
    shows_no_secret(ended, conn_id)


@pytest.mark.parametrize("flavour", ["luca_oauth21", "generic"])
def test_another_state_pasted_ends_it(
    finauth: Terminal, sandbox: RunningSandbox, connect: Connect, flavour: str
) -> None:
    conn_id = connect(flavour)

    def paste(url: str) -> str:
        back = urlsplit(consent(url))
        return back._replace(query=urlencode(dict(parse_qsl(back.query)) | {"state": "another"})).geturl()

    fails(finauth("authorize", conn_id, "--paste", person=paste), conn_id, "state")
    assert sandbox.stats(APIS[flavour])["token_requests"] == 0


def test_an_answer_of_another_server_ends_it(
    finauth: Terminal, sandbox: RunningSandbox, connect: Connect
) -> None:
    conn_id = connect("luca_oauth21")

    def browse(url: str) -> None:
        back = urlsplit(consent(url))
        other = dict(parse_qsl(back.query)) | {"iss": "https://go.lucaregnskap.example"}
        get(back._replace(query=urlencode(other)).geturl())

    fails(finauth("authorize", conn_id, browser=browse), conn_id, "another server")
    assert sandbox.stats("luca")["token_requests"] == 0


def test_the_code_alone_does_where_there_is_no_state(finauth: Terminal, connect: Connect) -> None:
    conn_id = connect("luca_oauth")

    def paste(url: str) -> str:
        return parse_qs(urlsplit(consent(url)).query)["code"][0]

    ended = finauth("authorize", conn_id, "--paste", person=paste)

    assert ended.code == 0
    assert "or its code alone" in ended.err
    assert stored(conn_id).refresh_token


def test_the_code_alone_does_not_do_where_there_is_a_state(finauth: Terminal, connect: Connect) -> None:
    conn_id = connect("luca_oauth21")

    def paste(url: str) -> str:
        return parse_qs(urlsplit(consent(url)).query)["code"][0]

    fails(finauth("authorize", conn_id, "--paste", person=paste), conn_id, "paste the whole address")


def test_nothing_pasted_ends_it(finauth: Terminal, connect: Connect) -> None:
    conn_id = connect("luca_oauth")

    ended = finauth("authorize", conn_id, "--paste")

    assert ended.code == 1
    assert "Traceback" not in ended.all
    assert stored(conn_id) is None


def test_less_granted_than_asked_for_is_said(
    authorise: Callable[..., Ended], sandbox: RunningSandbox, connect: Connect
) -> None:
    sandbox.settings("luca", grant_scope="accounting.read")
    conn_id = connect("luca_oauth21", scope="accounting.read accounting.write")

    ended = authorise(conn_id)

    assert ended.code == 0
    assert "Warning: Less was granted than asked for: accounting.write is missing" in ended.err
    assert stored(conn_id).scope == "accounting.read"


def test_without_a_refresh_token_a_person_is_told_to_come_back(
    finauth: Terminal, sandbox: RunningSandbox, connect: Connect
) -> None:
    sandbox.faults("generic", "token_answer", where="token", members={"refresh_token": None})
    conn_id = connect("generic")

    ended = finauth("authorize", conn_id, browser=approve)

    assert ended.code == 0
    assert "no refresh token" in ended.err
    assert "renew it by themselves" not in ended.out


def test_a_new_consent_takes_the_place_of_the_old_one(finauth: Terminal, connect: Connect) -> None:
    conn_id = connect("luca_oauth21")
    assert "already" not in finauth("authorize", conn_id, browser=approve).out
    first = stored(conn_id)

    ended = finauth("authorize", conn_id, browser=approve)

    assert "has an authorisation already" in ended.out
    second = stored(conn_id)
    assert second.lineage != first.lineage
    assert second.refresh_token != first.refresh_token


def test_an_authorisation_that_cannot_be_read_is_replaced(
    finauth: Terminal, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    conn_id = connect("luca_oauth21")
    assert finauth("authorize", conn_id, browser=approve).code == 0
    monkeypatch.setenv("AIRFLOW__FINAUTH__STORE_KEY", "another key of these tests")

    ended = finauth("authorize", conn_id, browser=approve)

    assert ended.code == 0
    assert "cannot be read" in ended.err
    assert stored(conn_id).generation == 1


class TestDiscovery:
    def test_sends_no_credentials(self, finauth: Terminal, sandbox: RunningSandbox, connect: Connect) -> None:
        assert finauth("authorize", connect("luca_oauth21"), browser=approve).code == 0

        (asked,) = [entry for entry in sandbox.log("luca", "other") if ".well-known" in entry["path"]]
        assert asked["path"].endswith("/luca/.well-known/oauth-authorization-server")
        assert "authorization" not in asked["header_names"]
        assert asked["query"] == []

    def test_is_not_asked_of_the_older_server(
        self, finauth: Terminal, sandbox: RunningSandbox, connect: Connect
    ) -> None:
        assert finauth("authorize", connect("luca_oauth"), browser=approve).code == 0
        assert not [entry for entry in sandbox.log("luca", "other") if ".well-known" in entry["path"]]

    @pytest.mark.parametrize(
        "fault",
        [{"kind": "status", "status": 503}, {"kind": "html"}, {"kind": "redirect"}, {"kind": "reset"}],
    )
    def test_that_fails_is_done_without(
        self, finauth: Terminal, sandbox: RunningSandbox, connect: Connect, fault: dict[str, Any]
    ) -> None:
        sandbox.faults("luca", where="other", path_contains=".well-known", **fault)
        conn_id = connect("luca_oauth21", oauth_endpoint=None, authorize_endpoint=None)

        ended = finauth("authorize", conn_id, browser=approve)

        assert ended.code == 0
        assert ended.err.startswith("Warning: ")
        assert "the usual ones, are used" in ended.err

    @pytest.fixture
    def server(self, httpserver: HTTPServer) -> HTTPServer:
        return httpserver

    def told_by(self, server: HTTPServer, **changes: str) -> dict[str, str]:
        base = server.url_for("").rstrip("/")
        return {
            "issuer": base,
            "authorization_endpoint": f"{base}/oauth/authorize",
            "token_endpoint": f"{base}/oauth/token",
        } | changes

    def connection(self, monkeypatch: pytest.MonkeyPatch, server: HTTPServer, **extra: str) -> str:
        made = {
            "conn_type": "luca",
            "host": server.url_for(""),
            "login": "app",
            "password": "app-password-1",
            "extra": {"auth_method": "oauth21", **extra},
        }
        monkeypatch.setenv("AIRFLOW_CONN_TO_AUTHORISE", json.dumps(made))
        return "to_authorise"

    def test_names_another_token_endpoint(
        self, finauth: Terminal, server: HTTPServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told = self.told_by(server, token_endpoint=server.url_for("/oauth2/token"))
        server.expect_request("/.well-known/oauth-authorization-server").respond_with_json(told)
        conn_id = self.connection(monkeypatch, server)

        ended = finauth("authorize", conn_id)

        fails(ended, conn_id, "'oauth_endpoint'", told["token_endpoint"])
        assert "http" not in ended.out

    def test_names_another_page(
        self, finauth: Terminal, server: HTTPServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told = self.told_by(server, authorization_endpoint=server.url_for("/oauth2/authorize"))
        server.expect_request("/.well-known/oauth-authorization-server").respond_with_json(told)
        conn_id = self.connection(monkeypatch, server)

        ended = finauth("authorize", conn_id, "--paste", person=lambda url: "?error=access_denied")

        assert ended.url.startswith(told["authorization_endpoint"])
        assert f"'authorize_endpoint' to {told['authorization_endpoint']}" in ended.err

    @pytest.mark.parametrize("member", ["issuer", "authorization_endpoint", "token_endpoint"])
    def test_that_leads_elsewhere_is_not_followed(
        self, finauth: Terminal, server: HTTPServer, monkeypatch: pytest.MonkeyPatch, member: str
    ) -> None:
        told = self.told_by(server, **{member: "https://elsewhere.example/x"})
        server.expect_request("/.well-known/oauth-authorization-server").respond_with_json(told)
        conn_id = self.connection(monkeypatch, server)

        ended = finauth("authorize", conn_id, "--paste", person=lambda url: "?error=access_denied")

        assert ended.url.startswith(server.url_for("/oauth/authorize?"))
        assert "the usual ones, are used" in ended.err
        assert "elsewhere" not in ended.all


class TestWhereTheBrowserComesBack:
    def test_by_default(self, finauth: Terminal, connect: Connect) -> None:
        conn_id = connect("luca_oauth", redirect_uri=None)

        ended = finauth("authorize", conn_id, "--paste", person=lambda url: "?error=access_denied")

        assert parse_qs(urlsplit(ended.url).query)["redirect_uri"] == ["http://127.0.0.1:8790/callback"]

    def test_at_a_port_that_is_asked_for(self, finauth: Terminal, connect: Connect) -> None:
        conn_id, port = connect("luca_oauth", redirect_uri=None), free_port()

        ended = finauth("authorize", conn_id, "--port", str(port), browser=approve)

        assert ended.code == 0
        assert parse_qs(urlsplit(ended.url).query)["redirect_uri"] == [f"http://127.0.0.1:{port}/callback"]

    def test_at_an_address_that_is_asked_for(self, finauth: Terminal, connect: Connect) -> None:
        asked = f"http://127.0.0.1:{free_port()}/elsewhere"

        ended = finauth("authorize", connect("luca_oauth21"), "--redirect-uri", asked, browser=approve)

        assert ended.code == 0
        assert parse_qs(urlsplit(ended.url).query)["redirect_uri"] == [asked]

    def test_at_a_forwarded_port(self, finauth: Terminal, connect: Connect) -> None:
        registered, port = f"http://127.0.0.1:{free_port()}/callback", free_port()

        def browse(url: str) -> None:
            back = consent(url)
            assert back.startswith(registered)
            assert get(back.replace(registered, f"http://127.0.0.1:{port}/callback")).status_code == 200

        conn_id = connect("luca_oauth21", redirect_uri=registered)
        ended = finauth("authorize", conn_id, "--port", str(port), browser=browse)

        assert ended.code == 0
        assert parse_qs(urlsplit(ended.url).query)["redirect_uri"] == [registered]

    @pytest.mark.parametrize("redirect_uri", ["https://company.example/cb", "https://127.0.0.1:8790/cb"])
    def test_elsewhere_has_to_be_pasted(self, finauth: Terminal, connect: Connect, redirect_uri: str) -> None:
        conn_id = connect("luca_oauth", redirect_uri=redirect_uri)

        ended = finauth("authorize", conn_id, person=lambda url: "?error=access_denied")

        assert "Paste that address" in ended.err
        fails(ended, conn_id, "consent was not given")

    def test_a_taken_port(self, finauth: Terminal, connect: Connect, sandbox: RunningSandbox) -> None:
        conn_id = connect("luca_oauth", redirect_uri=f"{sandbox.url}/callback")

        ended = finauth("authorize", conn_id)

        fails(ended, conn_id, f"Port {urlsplit(sandbox.url).port}", "--port", "--paste")
        assert "http" not in ended.out

    def test_nobody_comes(self, finauth: Terminal, connect: Connect, sandbox: RunningSandbox) -> None:
        conn_id = connect("luca_oauth")

        ended = finauth("authorize", conn_id, "--timeout", "1")

        fails(ended, conn_id, "Nobody came back")
        assert sandbox.stats("luca")["token_requests"] == 0


class TestRefusals:
    def test_a_store_that_keeps_nothing(
        self, finauth: Terminal, connect: Connect, monkeypatch: pytest.MonkeyPatch, sandbox: RunningSandbox
    ) -> None:
        monkeypatch.setenv("AIRFLOW__FINAUTH__TOKEN_STORE", "memory")
        conn_id = connect("luca_oauth21")

        ended = finauth("authorize", conn_id)

        fails(ended, conn_id, "'memory'", "token_store")
        assert "http" not in ended.out
        assert sandbox.log("luca") == []

    def test_a_store_that_cannot_be_used(
        self, finauth: Terminal, connect: Connect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / "no-folder").write_text("")
        monkeypatch.setenv("AIRFLOW__FINAUTH__TOKEN_STORE", f"file://{tmp_path}/no-folder/tokens")

        ended = finauth("authorize", connect("luca_oauth"))

        assert ended.code == 1
        assert ended.err.startswith("Error: ")
        # Nobody is sent to consent to what could not be kept.
        assert "http" not in ended.out

    def test_a_type_that_needs_no_person(
        self, finauth: Terminal, monkeypatch: pytest.MonkeyPatch, sandbox: RunningSandbox
    ) -> None:
        monkeypatch.setenv(
            "AIRFLOW_CONN_TALENOM_DEFAULT", sandbox.environment["AIRFLOW_CONN_TALENOM_DEFAULT"]
        )

        ended = finauth("authorize", "talenom_default")

        assert ended.code == 1
        assert ended.err.startswith("Error: Connection 'talenom_default' is of type 'talenom'")

    def test_a_personal_key(
        self, finauth: Terminal, monkeypatch: pytest.MonkeyPatch, sandbox: RunningSandbox
    ) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_LUCA_DEFAULT", sandbox.environment["AIRFLOW_CONN_LUCA_DEFAULT"])

        ended = finauth("authorize", "luca_default")

        assert ended.code == 1
        assert "'auth_method'" in ended.err
        assert sandbox.connections["luca_default"]["password"] not in ended.all

    def test_another_grant(self, finauth: Terminal, connect: Connect) -> None:
        conn_id = connect("generic", grant="client_credentials")
        ended = finauth("authorize", conn_id)
        assert ended.code == 1
        assert "'grant'" in ended.err

    def test_another_package_s_type(self, finauth: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_POSTGRES", "postgres://user:their-password@db/x")

        ended = finauth("authorize", "postgres")

        assert ended.code == 1
        assert "is of type 'postgres', and not one of talenom" in ended.err
        assert "their-password" not in ended.all

    @pytest.mark.parametrize("field", ["login", "password"])
    def test_a_field_that_is_empty(
        self, finauth: Terminal, monkeypatch: pytest.MonkeyPatch, sandbox: RunningSandbox, field: str
    ) -> None:
        made = {**sandbox.connections["luca_oauth21"], field: ""}
        monkeypatch.setenv("AIRFLOW_CONN_TO_AUTHORISE", json.dumps(made))

        ended = finauth("authorize", "to_authorise")

        assert ended.code == 1
        assert f"'{field}'" in ended.err
        assert "'to_authorise'" in ended.err

    def test_a_connection_that_is_not_there(self, finauth: Terminal, metadata_database: Path) -> None:
        ended = finauth("authorize", "nobody_made_it")

        assert ended.code == 1
        assert "Airflow does not find the connection 'nobody_made_it'" in ended.err


def test_a_wrong_client_secret_is_named(
    finauth: Terminal, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    redirect_uri = f"http://127.0.0.1:{free_port()}/callback"
    made = {**sandbox.connections["luca_oauth21"], "password": "mistyped+secret"}
    made["extra"] = made["extra"] | {"redirect_uri": redirect_uri}
    monkeypatch.setenv("AIRFLOW_CONN_TO_AUTHORISE", json.dumps(made))

    ended = finauth("authorize", "to_authorise", browser=approve)

    fails(ended, "to_authorise", "invalid_client", "'password'")


def test_a_server_s_words_do_not_reach_into_the_terminal(finauth: Terminal, connect: Connect) -> None:
    conn_id = connect("luca_oauth")
    words = urlencode({"error": "server_error", "error_description": "\x1b[2Jgone [bold]x[/bold]"})

    ended = finauth("authorize", conn_id, "--paste", person=lambda url: f"?{words}")

    fails(ended, conn_id, "gone [bold]x[/bold]")
    assert "\x1b[2J" not in ended.all
