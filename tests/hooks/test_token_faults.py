"""What goes wrong at a token endpoint, as hooks meet it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import requests
import requests_mock
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_finauth.exceptions import (
    FinauthError,
    InvalidClientError,
    RateLimitedError,
    ReauthorizationRequiredError,
    TokenEndpointError,
)
from airflow_provider_finauth.hooks.luca import LucaHook
from airflow_provider_finauth.hooks.talenom import TalenomHook
from tests.airflow_harness import free_port
from tests.connections import use
from tests.hooks.pulls import PULLS
from tests.hooks.support import authorise

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_finauth.sandbox import RunningSandbox
    from tests.hooks.support import SandboxConnections
    from tests.passing_time import PassingTime

# One of each grant that starts over alone; the reading of answers knows no difference.
WITH_TOKEN = ["talenom", "landax"]
TALENOM_TOKEN = "https://id.talenom.com/api/b2b/oauth2/v1.0/token"
LUCA_TOKEN = "https://go.lucaregnskap.no/oauth/token"
# How often a token is asked for in vain.
TRIES = 4


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> Iterator[requests_mock.Mocker]:
    """The vendors' own addresses."""
    use(monkeypatch, "talenom")
    use(
        monkeypatch,
        "luca",
        login="luca-client",
        password="luca-client-secret",
        extra={"auth_method": "oauth21", "refresh_token": "luca-refresh-token"},
    )
    with requests_mock.Mocker() as mocker:
        yield mocker


class Token:
    """What is asked of a token endpoint of the sandbox."""

    def __init__(self, name: str, sandbox: RunningSandbox) -> None:
        self.pulled = PULLS[name]
        self._sandbox = sandbox
        self.hook = self.pulled.hook_class()

    def fault(self, kind: str, **options: Any) -> None:
        self._sandbox.faults(self.pulled.sandbox_name, kind, where="token", **options)

    def pull(self) -> None:
        assert len(list(self.pulled.begin(self.pulled.hook_class()))) == self.pulled.records

    @property
    def asked(self) -> int:
        count: int = self._sandbox.stats(self.pulled.sandbox_name)["token_requests"]
        return count

    @property
    def used(self) -> int:
        count: int = self._sandbox.stats(self.pulled.sandbox_name)["api_requests"]
        return count


@pytest.fixture(params=WITH_TOKEN)
def token(
    request: pytest.FixtureRequest,
    connections: SandboxConnections,
    sandbox: RunningSandbox,
    passing_time: PassingTime,
) -> Token:
    return Token(request.param, sandbox)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("status", {"status": 500}),
        ("status", {"status": 503, "headers": {"Retry-After": "5"}}),
        ("status", {"status": 429, "headers": {"Retry-After": "5"}}),
        ("reset", {}),
        ("truncate", {}),
        # The token was made and its answer lost: it is asked for again.
        ("status", {"status": 502, "when": "after"}),
        ("reset", {"when": "after"}),
    ],
)
def test_a_passing_failure_is_asked_again(token: Token, kind: str, options: dict[str, Any]) -> None:
    token.fault(kind, **options)
    token.pull()
    assert token.asked == 2


@pytest.mark.parametrize(
    ("kind", "options", "tries"),
    [
        ("status", {"status": 500, "body": "an inner secret"}, TRIES),
        ("reset", {}, TRIES),
        ("status", {"status": 404}, 1),
        ("redirect", {}, 1),
        ("html", {}, 1),
        ("empty", {}, 1),
        ("invalid_json", {}, 1),
        ("no_token", {}, 1),
        ("token_answer", {"members": {"access_token": ""}}, 1),
        ("token_answer", {"members": {"access_token": 4711}}, 1),
        ("token_answer", {"members": {"access_token": ["a"]}}, 1),
        ("token_answer", {"members": {"access_token": "two words"}}, 1),
        ("token_answer", {"members": {"access_token": "lines\r\nX-Injected: 1"}}, 1),
        ("token_answer", {"members": {"token_type": "mac"}}, 1),
    ],
)
def test_a_failure_that_stays_may_be_tried_later(
    token: Token, kind: str, options: dict[str, Any], tries: int
) -> None:
    token.fault(kind, count=None, **options)
    with pytest.raises(TokenEndpointError, match="token endpoint") as caught:
        token.pull()
    assert not isinstance(caught.value, AirflowFailException)
    assert token.asked == tries
    # Nothing was sent to the API, above all no "Bearer None".
    assert token.used == 0
    text = str(caught.value)
    assert token.hook.conn_id in text
    assert "inner secret" not in text
    assert "maintenance" not in text


def test_what_fails_today_works_tomorrow(token: Token) -> None:
    """A failure that is no refusal is not remembered."""
    token.fault("html")
    with pytest.raises(TokenEndpointError, match="text/html"):
        token.pull()
    token.pull()
    assert token.asked == 2


@pytest.mark.parametrize(
    "refusal",
    [
        {"status": 400, "body": {"error": "invalid_client", "error_description": "No such client"}},
        {"status": 401, "body": {"error": "invalid_client"}},
        {"status": 400, "body": {"error": "unauthorized_client"}},
        {"status": 400, "body": {"error": "invalid_scope"}},
        {"status": 401},
        {"status": 403, "body": "<html>Access denied</html>"},
    ],
)
def test_a_refusal_ends_the_task_and_is_remembered(
    token: Token, passing_time: PassingTime, refusal: dict[str, Any]
) -> None:
    token.fault("status", count=None, **refusal)
    for _ in range(10):
        with pytest.raises(InvalidClientError, match="Mend the connection's") as caught:
            token.pull()
        assert isinstance(caught.value, AirflowFailException)
    assert (token.asked, token.used) == (1, 0)
    # A minute later one request finds out whether the vendor has mended it.
    passing_time.go_on(61)
    for _ in range(10):
        with pytest.raises(InvalidClientError):
            token.pull()
    assert token.asked == 2
    passing_time.go_on(61)
    with pytest.raises(InvalidClientError):
        token.pull()
    assert token.asked == 2


def test_another_secret_is_another_try(connections: SandboxConnections, sandbox: RunningSandbox) -> None:
    connections.change("talenom_default", password="a-wrong-secret")
    for _ in range(3):
        with pytest.raises(InvalidClientError, match="'password'"):
            TalenomHook().get_token()
    connections.change("talenom_default")
    assert TalenomHook().get_token().access_token
    assert sandbox.stats("talenom")["token_requests"] == 2


def test_a_token_endpoint_that_is_down(
    connections: SandboxConnections, sandbox: RunningSandbox, passing_time: PassingTime
) -> None:
    connections.change("talenom_default", extra={"oauth_endpoint": f"http://127.0.0.1:{free_port()}/token"})
    with pytest.raises(TokenEndpointError, match="did not reach the server") as caught:
        list(TalenomHook().accounting_periods(14222))
    assert not isinstance(caught.value, AirflowFailException)
    assert len(passing_time.waits) == TRIES - 1
    assert sandbox.stats("talenom")["api_requests"] == 0


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (requests.exceptions.ReadTimeout("an inner text"), "was not answered in time"),
        (requests.exceptions.ConnectTimeout("an inner text"), "no connection came about in time"),
        (requests.exceptions.SSLError("an inner text"), "failed in TLS"),
        (requests.exceptions.ConnectionError("an inner text"), "lost its connection"),
        (requests.exceptions.ChunkedEncodingError("an inner text"), "lost its connection"),
    ],
)
def test_a_slow_or_broken_token_endpoint(
    vendor: requests_mock.Mocker, passing_time: PassingTime, fault: Exception, said: str
) -> None:
    vendor.post(TALENOM_TOKEN, exc=fault)
    with pytest.raises(TokenEndpointError, match=said) as caught:
        TalenomHook().get_token()
    assert len(vendor.request_history) == TRIES
    assert "an inner text" not in str(caught.value)
    # Each request says how long it waits: to connect, and to be answered, within the time that is left.
    for request in vendor.request_history:
        connect, read = request.timeout
        assert (connect, 50 < read <= 60) == (10, True)


def test_the_time_for_one_token_is_bounded(vendor: requests_mock.Mocker, passing_time: PassingTime) -> None:
    """However slow each try is."""

    def slow(request: Any, context: Any) -> Any:
        passing_time.go_on(40)
        raise requests.exceptions.ReadTimeout

    vendor.post(TALENOM_TOKEN, text=slow)
    with pytest.raises(TokenEndpointError):
        TalenomHook().get_token()
    assert len(vendor.request_history) == 2


LIFETIMES: list[tuple[str, float]] = [
    ("3599", 3599),
    ('"3599"', 3599),
    ('"3599.0"', 3599),
    ('" 3599 "', 3599),
    ("3599.5", 3599.5),
    ("3.599e3", 3599),
    # The connection's default, where the answer says nothing of use.
    ("null", 1234),
    ("0", 1234),
    ('"0"', 1234),
    ("-5", 1234),
    ('"soon"', 1234),
    ('""', 1234),
    ("true", 1234),
    ("[]", 1234),
    ("{}", 1234),
    ("NaN", 1234),
    ('"NaN"', 1234),
    ("Infinity", 1234),
    ('"inf"', 1234),
    # Within a second and thirty days.
    ("0.2", 1),
    ("1e30", 30 * 86_400),
    ("9" * 400, 30 * 86_400),
]


@pytest.mark.parametrize(("written", "seconds"), [*LIFETIMES, (None, 1234)])
def test_lifetimes_in_every_form(
    monkeypatch: pytest.MonkeyPatch, vendor: requests_mock.Mocker, written: str | None, seconds: float
) -> None:
    use(monkeypatch, "talenom", extra={"default_lifetime": "1234"})
    said = "" if written is None else f', "expires_in": {written}'
    vendor.post(TALENOM_TOKEN, text='{"access_token": "an-access-token", "token_type": "Bearer"' + said + "}")
    tokens = TalenomHook().get_token()
    assert tokens.lifetime == seconds
    assert tokens.expires_at - tokens.issued_at == pytest.approx(seconds)


def test_a_short_life_does_not_cost_a_token_a_request(
    vendor: requests_mock.Mocker, passing_time: PassingTime
) -> None:
    """Windows scale with the lifetime: a fixed one would be as long as the life."""
    vendor.post(
        TALENOM_TOKEN, json={"access_token": "an-access-token", "token_type": "Bearer", "expires_in": 30}
    )
    for _ in range(14):
        TalenomHook().get_token()
        passing_time.go_on(1)
    assert len(vendor.request_history) == 1
    passing_time.go_on(20)
    TalenomHook().get_token()
    assert len(vendor.request_history) == 2


def test_unknown_members_are_overlooked(vendor: requests_mock.Mocker) -> None:
    answer = {
        "access_token": "an-access-token",
        "token_type": "BearerToken",
        "error": None,
        "scope": ["a", "b"],
    }
    vendor.post(TALENOM_TOKEN, text="\ufeff" + json.dumps(answer), headers={"Content-Type": "text/html"})
    tokens = TalenomHook().get_token()
    assert (tokens.scope, tokens.lifetime) == ("a b", 3600)


# What a person has authorised.


@pytest.mark.parametrize(
    "answers",
    [
        [{"status_code": 500}],
        [{"exc": requests.exceptions.ReadTimeout}],
        [{"text": "<html>"}],
        [{"json": {"token_type": "Bearer"}}],
    ],
)
def test_a_refresh_that_may_have_arrived_is_not_repeated_at_once(
    vendor: requests_mock.Mocker, passing_time: PassingTime, answers: list[dict[str, Any]]
) -> None:
    """A server that rotates takes a replay for theft, and a proxy may still hold the first request."""
    vendor.post(LUCA_TOKEN, answers)
    with pytest.raises(TokenEndpointError) as caught:
        LucaHook().get_token()
    assert not isinstance(caught.value, AirflowFailException)
    assert len(vendor.request_history) == len(passing_time.waits) + 1
    assert min(passing_time.waits) > 50
    assert "luca-refresh-token" not in str(caught.value)


def test_a_refresh_that_was_not_sent_is_repeated(
    vendor: requests_mock.Mocker, passing_time: PassingTime
) -> None:
    good = {"access_token": "an-access-token", "token_type": "Bearer", "refresh_token": "the-next-one"}
    vendor.post(
        LUCA_TOKEN,
        [
            {"exc": requests.exceptions.ConnectTimeout},
            {"status_code": 429, "headers": {"Retry-After": "7"}},
            {"json": good},
        ],
    )
    assert LucaHook().get_token().access_token
    assert len(vendor.request_history) == 3
    assert 7 <= passing_time.waits[1] <= 9


def test_a_limit_of_the_token_endpoint(vendor: requests_mock.Mocker, passing_time: PassingTime) -> None:
    vendor.post(TALENOM_TOKEN, status_code=429, headers={"Retry-After": "1"})
    with pytest.raises(RateLimitedError) as caught:
        TalenomHook().get_token()
    assert caught.value.retry_after == 1
    assert not isinstance(caught.value, AirflowFailException)
    assert len(vendor.request_history) == TRIES
    # A wait that is longer than all the time there is.
    vendor.reset_mock()
    vendor.post(TALENOM_TOKEN, status_code=429, headers={"Retry-After": "4000"})
    with pytest.raises(RateLimitedError):
        TalenomHook().get_token()
    assert len(vendor.request_history) == 1


@pytest.mark.parametrize("conn_id", ["luca_oauth", "luca_oauth21"])
def test_luca_says_200_and_refuses(
    connections: SandboxConnections, sandbox: RunningSandbox, passing_time: PassingTime, conn_id: str
) -> None:
    hook = LucaHook(conn_id)
    authorise(hook)
    passing_time.go_on(3600)
    sandbox.faults(
        "luca",
        "status",
        where="token",
        status=200,
        body={"status": "error", "error_descriptions": ["refresh_token is not valid"]},
    )
    with pytest.raises(FinauthError) as caught:
        list(hook.companies())
    if conn_id == "luca_oauth":
        assert isinstance(caught.value, ReauthorizationRequiredError)
        assert isinstance(caught.value, AirflowFailException)
    assert "refresh_token is not valid" in str(caught.value)
    assert sandbox.stats("luca")["api_requests"] == 0
