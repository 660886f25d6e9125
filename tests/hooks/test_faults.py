"""What goes wrong between us and an API: what is repeated, what leaves the hook, what it costs."""

from __future__ import annotations

import email.utils
import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_finauth.exceptions import (
    ApiError,
    CrossOriginError,
    ForbiddenError,
    InvalidClientError,
    PaginationError,
    RateLimitedError,
    SubscriptionKeyError,
)
from airflow_provider_finauth.hooks.landax import LandaxHook
from airflow_provider_finauth.hooks.oauth2api import OAuth2ApiHook
from airflow_provider_finauth.hooks.talenom import TalenomHook
from airflow_provider_finauth.hooks.tradevest import TradevestHook
from tests.hooks.pulls import PULLS, Pulled

if TYPE_CHECKING:
    from airflow_provider_finauth.sandbox import RunningSandbox
    from tests.hooks.support import SandboxConnections
    from tests.passing_time import PassingTime

# Each exercises a rule of the client, whatever the API; those without a token of their own are left out where
# the rule is about tokens.
WITH_TOKEN = [name for name in PULLS if name != "luca"]


class Case:
    """A pull, and what it costs."""

    def __init__(self, pulled: Pulled, sandbox: RunningSandbox, passing_time: PassingTime) -> None:
        self.name = pulled.sandbox_name
        self.pages = pulled.pages
        self.count = pulled.records
        self.time = passing_time
        self.hook = pulled.hook_class()
        self._pulled = pulled
        self._sandbox = sandbox
        # What a pull needs to know before is known.
        pulled.begin(self.hook)
        self._asked, self._minted = self._counts()

    def _counts(self) -> tuple[int, int]:
        stats = self._sandbox.stats(self.name)
        return stats["api_requests"], stats["token_requests"]

    def begin(self) -> Any:
        return self._pulled.begin(self.hook)

    def fault(self, kind: str, **options: Any) -> None:
        self._sandbox.faults(self.name, kind, **options)

    @property
    def asked(self) -> int:
        """Requests to the API."""
        return self._counts()[0] - self._asked

    @property
    def minted(self) -> int:
        """Requests to the token endpoint."""
        return self._counts()[1] - self._minted


def one_at_a_time(connections: SandboxConnections) -> None:
    """Which request fails, and what follows it, is to be counted: no other is to be under way beside it."""
    connections.change("talenom_default", extra={"max_concurrency": 1})


@pytest.fixture(params=PULLS)
def case(
    request: pytest.FixtureRequest,
    connections: SandboxConnections,
    sandbox: RunningSandbox,
    passing_time: PassingTime,
) -> Case:
    one_at_a_time(connections)
    return Case(PULLS[request.param], sandbox, passing_time)


@pytest.fixture(params=WITH_TOKEN)
def token_case(
    request: pytest.FixtureRequest,
    connections: SandboxConnections,
    sandbox: RunningSandbox,
    passing_time: PassingTime,
) -> Case:
    one_at_a_time(connections)
    case = Case(PULLS[request.param], sandbox, passing_time)
    case.hook.get_token()
    # Far enough from the mint that a 401 may cause another.
    passing_time.go_on(90)
    return case


def is_passing(error: BaseException) -> bool:
    """Whether Airflow's own retries may help."""
    return not isinstance(error, AirflowFailException)


def test_a_good_day(case: Case) -> None:
    assert len(list(case.begin())) == case.count
    assert case.asked == case.pages
    assert case.time.waits == []


# What passes by itself.


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("status", {"status": 500}),
        ("status", {"status": 502, "body": "<html>", "headers": {"Content-Type": "text/html"}}),
        ("status", {"status": 503}),
        ("status", {"status": 504}),
        ("status", {"status": 408}),
        ("reset", {}),
        ("truncate", {}),
        ("invalid_json", {}),
        ("empty", {}),
    ],
    ids=lambda value: value if isinstance(value, str) else str(value.get("status", "")),
)
def test_a_failure_in_the_middle_of_a_pull_is_asked_again(
    case: Case, kind: str, options: dict[str, Any]
) -> None:
    case.fault(kind, skip=1, count=2, **options)
    assert len(list(case.begin())) == case.count
    assert case.asked == case.pages + 2
    assert len(case.time.waits) == 2


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        ("status", {"status": 500, "body": {"message": "Out of order"}}, "answered 500: Out of order"),
        ("reset", {}, "lost its connection before the answer was whole"),
        ("truncate", {}, "lost its connection before the answer was whole"),
        ("invalid_json", {}, "not with JSON: it does not read as JSON"),
        ("empty", {}, "not with JSON: it is empty"),
    ],
)
def test_a_failure_that_stays_ends_the_try(case: Case, kind: str, options: dict[str, Any], said: str) -> None:
    case.fault(kind, skip=1, count=None, **options)
    with pytest.raises(ApiError, match=said) as caught:
        list(case.begin())
    assert is_passing(caught.value)
    # The first page, then five tries of the second.
    assert case.asked == 1 + 5
    assert case.hook.conn_id in str(caught.value)
    # Nothing of the query, however harmless.
    assert "?" not in str(caught.value)


def test_waits_grow_and_end(case: Case) -> None:
    case.fault("status", status=503, count=None)
    with pytest.raises(ApiError):
        list(case.begin())
    assert len(case.time.waits) == 4
    for wait, longest in zip(case.time.waits, (1, 2, 4, 8), strict=True):
        assert 0 <= wait <= longest


# A limit.


@pytest.mark.parametrize("form", ["seconds", "date", "decimal"])
def test_a_named_wait_is_waited(case: Case, form: str) -> None:
    named = {
        "seconds": "40",
        "date": email.utils.formatdate(time.time() + 40, usegmt=True),
        "decimal": "40.0",
    }[form]
    case.fault("status", status=429, headers={"Retry-After": named}, skip=1)
    assert len(list(case.begin())) == case.count
    (wait,) = case.time.waits
    # A date has whole seconds, and some time has passed since it was written; up to a second is added, so
    # that those who were told the same do not come together.
    assert 30 <= wait <= 43
    assert case.asked == case.pages + 1


def test_a_limit_without_a_wait_is_asked_again_a_few_times(case: Case) -> None:
    case.fault("status", status=429, count=None)
    with pytest.raises(RateLimitedError, match="requests_per_second") as caught:
        list(case.begin())
    assert is_passing(caught.value)
    assert caught.value.retry_after is None
    assert case.asked == 5


@pytest.mark.parametrize("named", ["3600", "99999999999", "Fri, 01 Jan 2100 00:00:00 GMT"])
def test_a_long_wait_is_left_to_airflow(case: Case, named: str) -> None:
    case.fault("status", status=429, headers={"Retry-After": named}, count=None)
    with pytest.raises(RateLimitedError) as caught:
        list(case.begin())
    assert caught.value.retry_after == (3600 if named == "3600" else 86_400)
    assert case.time.waits == []
    assert case.asked == 1


@pytest.mark.parametrize("named", ["soon", "-5", "Thu, 01 Jan 1970 00:00:00 GMT", ""])
def test_a_wait_that_says_nothing(case: Case, named: str) -> None:
    case.fault("status", status=429, headers={"Retry-After": named})
    assert len(list(case.begin())) == case.count
    assert len(case.time.waits) == 1
    assert case.time.waits[0] <= 1


# 401.


def test_one_401_costs_one_token(token_case: Case) -> None:
    case = token_case
    case.fault("expire_tokens", skip=1)
    assert len(list(case.begin())) == case.count
    assert case.minted == 2
    assert case.asked == case.pages + 1


def test_a_401_that_stays_costs_one_token(token_case: Case) -> None:
    case = token_case
    case.fault("status", status=401, count=None)
    for _ in range(10):
        with pytest.raises(ApiError, match="answered 401") as caught:
            list(case.begin())
        assert is_passing(caught.value)
    # One replay with the one new token; after that none is to be had for a while.
    assert case.minted == 2
    assert case.asked == 1 + 10
    # The session that is handed out counts in the same way.
    for _ in range(10):
        assert case.hook.get_conn().get(case.hook.client.url("/")).status_code == 401
    assert case.minted == 2


def test_a_401_right_after_a_mint_costs_nothing(case: Case) -> None:
    case.fault("status", status=401, count=None)
    with pytest.raises(ApiError, match="answered 401") as caught:
        list(case.begin())
    assert case.minted == (case.name != "luca")
    assert case.asked == 1
    hint = "fixed key cannot be refreshed" if case.name == "luca" else "host and token endpoint"
    assert hint in str(caught.value)


def test_a_wrong_subscription_key_costs_no_token(
    connections: SandboxConnections, sandbox: RunningSandbox, passing_time: PassingTime
) -> None:
    """Talenom's gateway answers with the status of a stale token."""
    connections.change("talenom_default", extra={"subscription_api_key": "0123456789abcdef"})
    hook = TalenomHook()
    hook.get_token()
    for _ in range(3):
        passing_time.go_on(90)
        with pytest.raises(SubscriptionKeyError, match="subscription_api_key") as caught:
            list(hook.accounting_periods(14222))
        assert isinstance(caught.value, AirflowFailException)
        assert (
            hook.get_conn().get(hook.client.url("/organization/v2/accounting-periods/1")).status_code == 401
        )
    stats = sandbox.stats("talenom")
    assert (stats["token_requests"], stats["api_requests"]) == (1, 6)


# Refusals for good.


@pytest.mark.parametrize("status", [400, 404, 405, 409, 410, 422, 501])
def test_a_refusal_is_not_repeated(case: Case, status: int) -> None:
    body = {"error": {"code": "Odd", "message": "This is not possible"}}
    case.fault("status", status=status, body=body, skip=1, headers={"X-Request-ID": "r-4711"})
    with pytest.raises(ApiError, match=rf"answered {status} \(Odd\): This is not possible.*r-4711") as caught:
        list(case.begin())
    assert (caught.value.status, caught.value.code, caught.value.request_id) == (status, "Odd", "r-4711")
    # Whether a corrected path or an hour later helps is not ours to say.
    assert is_passing(caught.value)
    assert case.asked == 2
    assert case.time.waits == []


def test_a_403_ends_the_task(case: Case) -> None:
    case.fault("status", status=403, count=None)
    with pytest.raises(ForbiddenError) as caught:
        list(case.begin())
    assert isinstance(caught.value, AirflowFailException)
    assert case.asked == 1
    assert case.hook.conn_id in str(caught.value)


def test_a_403_of_talenom_names_both_causes(connections: SandboxConnections) -> None:
    with pytest.raises(ForbiddenError, match=r"subscription.*client has not been granted"):
        list(TalenomHook().accounting_periods(14299))


def test_an_accepted_status_is_no_error(connections: SandboxConnections) -> None:
    assert (
        TalenomHook()
        .request("GET", "/organization/v2/accounting-periods/1", accept_status=(404,))
        .status_code
        == 404
    )


# Answers that are none.


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("html", {}),
        ("wrong_content_type", {}),
        ("wrong_content_type", {"content_type": "text/html; charset=utf-8"}),
        ("status", {"status": 200, "body": "plainly", "headers": {}}),
    ],
)
def test_an_answer_of_another_kind(case: Case, kind: str, options: dict[str, Any]) -> None:
    case.fault(kind, skip=1, **options)
    with pytest.raises(ApiError, match="but not with JSON: it is labelled") as caught:
        list(case.begin())
    assert "maintenance" not in str(caught.value)
    assert case.asked == 2


def test_an_answer_that_is_too_large(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__FINAUTH__MAX_RESPONSE_BYTES", "100")
    with pytest.raises(ApiError, match=r"more than 100 bytes.*\[finauth\] max_response_bytes"):
        list(PULLS["oauth2api" if case.name == "generic" else case.name].begin(type(case.hook)()))
    assert case.asked == 1


# Pages.


def test_a_cycle_is_noticed(case: Case) -> None:
    """The second page is the first again."""
    case.fault("cycle", skip=1, count=None)
    records = case.begin()
    with pytest.raises(PaginationError) as caught:
        list(records)
    assert is_passing(caught.value)
    assert case.asked <= 4


def test_rows_that_were_promised(connections: SandboxConnections, sandbox: RunningSandbox) -> None:
    sandbox.faults("talenom", "drop_rows", rows=1, skip=2)
    with pytest.raises(PaginationError, match="promised 6 records and gave 5"):
        list(TalenomHook().accounting_periods(14222, page_size=2))


@pytest.mark.parametrize("name", ["landax", "oauth2api"])
def test_a_link_to_another_origin(
    connections: SandboxConnections, sandbox: RunningSandbox, passing_time: PassingTime, name: str
) -> None:
    """It leads to the sandbox's own server under another name, which would count what came."""
    case = Case(PULLS[name], sandbox, passing_time)
    case.fault("foreign_next_link")
    with pytest.raises(CrossOriginError, match="localhost") as caught:
        list(case.begin())
    assert isinstance(caught.value, AirflowFailException)
    assert case.asked == 1


def test_a_redirect_to_another_origin(case: Case) -> None:
    case.fault("redirect", skip=1)
    with pytest.raises(CrossOriginError, match="was not sent") as caught:
        list(case.begin())
    assert isinstance(caught.value, AirflowFailException)
    assert case.asked == 2


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_of_a_session_to_another_origin(case: Case, status: int) -> None:
    case.fault("redirect", status=status)
    with pytest.raises(AirflowFailException, match="was not sent"):
        case.hook.get_conn().get(case.hook.client.url("/organization"))
    assert case.asked == 1


def test_a_redirect_within_the_origin_is_followed(
    connections: SandboxConnections, sandbox: RunningSandbox
) -> None:
    hook = OAuth2ApiHook()
    sandbox.faults("generic", "redirect", url=hook.client.url("/echo?again=1"))
    assert hook.request_json("GET", "/echo")["query"] == [["again", "1"]]
    assert sandbox.stats("generic")["token_requests"] == 1


def test_a_command_follows_no_redirect(connections: SandboxConnections, sandbox: RunningSandbox) -> None:
    """It would be sent again as a GET, without its body."""
    hook = OAuth2ApiHook()
    for status in (301, 302, 303, 307, 308):
        sandbox.faults("generic", "redirect", url=hook.client.url("/echo?again=1"), status=status)
        with pytest.raises(ApiError, match="redirect of such a request is not followed") as caught:
            hook.request("POST", "/echo", json={})
        assert caught.value.status == status
        sandbox.faults("generic", "redirect", url=hook.client.url("/echo?again=1"), status=status)
        assert hook.get_conn().post(hook.client.url("/echo"), json={}).status_code == status
    assert sandbox.stats("generic")["api_requests"] == 10


# Tokens that end.


def test_a_token_that_ends_in_the_middle_of_a_pull(token_case: Case) -> None:
    case = token_case
    records = case.begin()
    next(records)
    case.time.go_on(86_400)
    assert len(list(records)) == case.count - 1
    assert case.minted == 2
    # Nobody had to be told by a 401.
    assert case.asked == case.pages


# What may have been done already.


@pytest.mark.parametrize(
    ("kind", "options"),
    [("status", {"status": 500}), ("status", {"status": 503}), ("reset", {}), ("truncate", {})],
)
def test_a_command_is_not_repeated(
    connections: SandboxConnections,
    sandbox: RunningSandbox,
    passing_time: PassingTime,
    kind: str,
    options: dict[str, Any],
) -> None:
    hook = TradevestHook()
    for method in ("POST", "DELETE"):
        sandbox.faults("tradevest", kind, when="before", count=1, **options)
        with pytest.raises(ApiError) as caught:
            # An answer of nothing cannot be cut short.
            hook.request(
                method, "/webhooks" if method == "POST" else "/webhooks/7", json={"a": Decimal("1.5")}
            )
        assert is_passing(caught.value)
        if kind != "status":
            assert "may have been processed" in str(caught.value)
        if kind == "truncate":
            break
    assert passing_time.waits == []
    assert sandbox.stats("tradevest")["api_requests"] == (1 if kind == "truncate" else 2)
    # The caller knows better.
    sandbox.faults("tradevest", kind, **options)
    hook.request("POST", "/webhooks", json={}, idempotent="true")
    assert len(passing_time.waits) == 1


def test_a_command_is_repeated_where_nothing_was_done(
    connections: SandboxConnections, sandbox: RunningSandbox, passing_time: PassingTime
) -> None:
    hook = TradevestHook()
    sandbox.faults("tradevest", "status", status=429, headers={"Retry-After": "3"})
    assert hook.request("POST", "/transfers", json={"externalId": "once"}).status_code == 201
    # A 401 was not processed either.
    passing_time.go_on(90)
    sandbox.faults("tradevest", "expire_tokens")
    assert hook.request("POST", "/transfers", json={"externalId": "twice"}).status_code == 201
    assert sandbox.stats("tradevest")["token_requests"] == 2


# How an error leaves a hook.

WAYS: dict[str, Any] = {
    "request": lambda hook: hook.request("GET", "/prices"),
    "answer": lambda hook: hook.request_json("GET", "/prices"),
    "records": lambda hook: list(hook.records("/transactions", paging="cursor")),
    "one record": lambda hook: next(hook.transactions()),
    "pages": lambda hook: list(hook.records("/transactions").pages()),
    "pages of records": lambda hook: next(hook.transactions().pages()),
    "pull": lambda hook: hook.records("/transactions").collect(),
    "collect": lambda hook: hook.transactions().collect(),
    "get_token": lambda hook: hook.get_token(),
    "get_conn": lambda hook: hook.get_conn().get(hook.client.url("/prices")),
    "get_conn, prepared": lambda hook: hook.get_conn().send(
        hook.get_conn().prepare_request(__import__("requests").Request("GET", hook.client.url("/prices")))
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_permanent_error_is_airflows_too(
    connections: SandboxConnections, sandbox: RunningSandbox, way: str
) -> None:
    connections.change("tradevest_default", password="a-wrong-secret")
    hook = TradevestHook()
    for _ in range(20):
        with pytest.raises(InvalidClientError, match="invalid_client") as caught:
            WAYS[way](hook)
        assert isinstance(caught.value, AirflowFailException)
        assert "a-wrong-secret" not in str(caught.value)
    # Remembered: two hundred tasks with a wrong secret are not two hundred requests.
    assert sandbox.stats("tradevest")["token_requests"] == 1


@pytest.mark.parametrize("way", WAYS)
def test_a_configuration_error_is_airflows_too(
    connections: SandboxConnections, sandbox: RunningSandbox, way: str
) -> None:
    connections.change("tradevest_default", extra={"max_concurrency": "many"})
    with pytest.raises(AirflowFailException, match="max_concurrency"):
        WAYS[way](TradevestHook())
    assert sandbox.stats("tradevest")["token_requests"] == 0


def test_a_failed_walk_does_not_look_finished(
    connections: SandboxConnections, sandbox: RunningSandbox, passing_time: PassingTime
) -> None:
    """Whoever catches the error and reads on is not told that this was all."""
    sandbox.faults("landax", "status", status=404, skip=1)
    projects = LandaxHook().entities("Projects", page_size=50)
    with pytest.raises(ApiError):
        list(projects)
    with pytest.raises(ApiError):
        next(projects)
