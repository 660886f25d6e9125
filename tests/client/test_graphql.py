from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_finauth.client.paging.base import Pull, Request
from airflow_provider_finauth.client.paging.relay import Relay
from airflow_provider_finauth.client.profile import GRAPHQL_CODES, Failure
from airflow_provider_finauth.exceptions import (
    ApiError,
    ConfigurationError,
    FinauthError,
    ForbiddenError,
    RateLimitedError,
)
from tests.client.support import BASE, JSON, TOKENS, FakeAuthorizer, FakeClock, make_client

if TYPE_CHECKING:
    import requests_mock

QUERY = "query ($a: Int) { things(a: $a) { id } }"
MUTATION = "mutation { thingCreate { id } }"
DATA = {"data": {"things": [{"id": "1", "amount": 1}]}}


ABSENT = object()


def failed(code: str | None, *, data: Any = ABSENT, **extensions: Any) -> dict[str, Any]:
    error: dict[str, Any] = {"message": "Ikke nå"}
    if code is not None:
        error["extensions"] = {"code": code, **extensions}
    return {"errors": [error]} if data is ABSENT else {"data": data, "errors": [error]}


def answers(mock: requests_mock.Mocker, *bodies: Any) -> Any:
    return mock.post(f"{BASE}/graphql", [{"json": body, "headers": JSON} for body in bodies])


def run(document: str = QUERY, **options: Any) -> Any:
    made = {
        name: options.pop(name)
        for name in ("clock", "authorizer", "judge", "graphql_codes", "max_attempts")
        if name in options
    }
    return make_client(**made).graphql(document, {"a": 1}, path="/graphql", **options)


def test_it_gives_the_data(requests_mock: requests_mock.Mocker) -> None:
    mock = requests_mock.post(f"{BASE}/graphql", text='{"data": {"amount": 1.10}}', headers=JSON)

    assert run() == {"amount": Decimal("1.10")}
    assert mock.last_request.json() == {"query": QUERY, "variables": {"a": 1}}
    assert mock.last_request.headers["Accept"] == "application/json"


def test_an_operation_may_be_named(requests_mock: requests_mock.Mocker) -> None:
    mock = answers(requests_mock, failed("TIMEOUT"), DATA)
    document = "query A { a } mutation B { b }"

    run(document, operation_name="A")
    assert mock.last_request.json()["operationName"] == "A"
    assert mock.call_count == 2


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (None, ApiError),
        ("BAD_REQUEST", ApiError),
        ("PLAN_REQUIRED", ApiError),
        ("VALIDATION_FAILED", ApiError),
        ("NOT_FOUND", ApiError),
        ("FORBIDDEN", ForbiddenError),
    ],
)
def test_a_200_with_errors_is_a_failure(
    code: str | None, kind: type[FinauthError], requests_mock: requests_mock.Mocker
) -> None:
    mock = answers(requests_mock, failed(code, data={"things": []}), DATA)

    with pytest.raises(kind, match="POST /graphql answered with errors.*Ikke nå") as caught:
        run()
    assert type(caught.value) is kind
    assert caught.value.code == code  # type: ignore[attr-defined]
    assert mock.call_count == 1


def test_validation_errors_name_their_fields(requests_mock: requests_mock.Mocker) -> None:
    answers(requests_mock, failed("VALIDATION_FAILED", details=[{"field": "dueDate", "message": "is past"}]))

    with pytest.raises(ApiError, match=r"\(VALIDATION_FAILED\): Ikke nå \(dueDate: is past\)"):
        run()


class TestPartial:
    BODY = failed("FORBIDDEN", data={"first": 1, "second": None})

    def test_it_is_given_where_it_is_allowed(self, requests_mock: requests_mock.Mocker) -> None:
        answers(requests_mock, self.BODY)

        assert run(allow_partial=True) == self.BODY

    def test_a_whole_answer_has_the_same_form(self, requests_mock: requests_mock.Mocker) -> None:
        answers(requests_mock, DATA)

        assert run(allow_partial=True) == {**DATA, "errors": []}

    def test_it_fails_otherwise(self, requests_mock: requests_mock.Mocker) -> None:
        answers(requests_mock, self.BODY)

        with pytest.raises(ForbiddenError):
            run()

    @pytest.mark.parametrize("body", [failed("FORBIDDEN", data=None), {"errors": [{"message": "no"}]}])
    def test_without_data_it_fails_all_the_same(self, body: Any, requests_mock: requests_mock.Mocker) -> None:
        answers(requests_mock, body)

        with pytest.raises(FinauthError):
            run(allow_partial=True)

    def test_what_another_try_mends_is_tried_again(self, requests_mock: requests_mock.Mocker) -> None:
        answers(requests_mock, failed("TIMEOUT", data={"a": None}), DATA)

        assert run(allow_partial=True)["data"] == DATA["data"]


class TestUnauthenticated:
    @pytest.mark.parametrize("document", [QUERY, MUTATION])
    def test_it_is_replayed_once(self, document: str, requests_mock: requests_mock.Mocker) -> None:
        mock = answers(requests_mock, failed("UNAUTHENTICATED"), DATA)
        authorizer = FakeAuthorizer()

        assert run(document, authorizer=authorizer) == DATA["data"]
        assert authorizer.replaced == [TOKENS[0]]
        assert mock.last_request.headers["Authorization"] == f"Bearer {TOKENS[1]}"

    def test_the_second_fails(self, requests_mock: requests_mock.Mocker) -> None:
        mock = answers(requests_mock, failed("UNAUTHENTICATED"))

        with pytest.raises(ApiError, match=r"\(UNAUTHENTICATED\).*client may use this API"):
            run()
        assert mock.call_count == 2

    @pytest.mark.parametrize("data", [{"first": 1}, None])
    def test_a_mutation_that_may_have_run_is_not(
        self, data: Any, requests_mock: requests_mock.Mocker
    ) -> None:
        mock = answers(requests_mock, failed("UNAUTHENTICATED", data=data), DATA)

        with pytest.raises(ApiError):
            run(MUTATION)
        assert mock.call_count == 1


class TestRateLimited:
    @pytest.mark.parametrize("document", [QUERY, MUTATION])
    @pytest.mark.parametrize("wait", [4, 4.0, "4"])
    def test_it_waits(self, document: str, wait: Any, requests_mock: requests_mock.Mocker) -> None:
        answers(requests_mock, failed("RATE_LIMITED", retryAfter=wait), DATA)
        clock = FakeClock()

        assert run(document, clock=clock) == DATA["data"]
        assert 4 <= clock.slept[0] <= 4.4

    def test_too_long_a_wait_is_told(self, requests_mock: requests_mock.Mocker) -> None:
        answers(requests_mock, failed("RATE_LIMITED", retryAfter=3600))

        with pytest.raises(RateLimitedError, match="asks to wait 3600 s") as caught:
            run()
        assert caught.value.retry_after == 3600

    def test_the_header_does_too(self, requests_mock: requests_mock.Mocker) -> None:
        requests_mock.post(
            f"{BASE}/graphql",
            [
                {"json": failed("RATE_LIMITED"), "headers": {**JSON, "Retry-After": "9"}},
                {"json": DATA, "headers": JSON},
            ],
        )
        clock = FakeClock()
        run(clock=clock)

        assert 9 <= clock.slept[0] <= 9.9

    @pytest.mark.parametrize("data", [{"first": 1}, None])
    def test_a_mutation_that_may_have_run_is_not_sent_again(
        self, data: Any, requests_mock: requests_mock.Mocker
    ) -> None:
        mock = answers(requests_mock, failed("RATE_LIMITED", data=data), DATA)

        with pytest.raises(RateLimitedError):
            run(MUTATION)
        assert mock.call_count == 1


class TestRepeating:
    @pytest.mark.parametrize("code", ["TIMEOUT", "INTERNAL_SERVER_ERROR", "timeout"])
    def test_queries_are_repeated(self, code: str, requests_mock: requests_mock.Mocker) -> None:
        mock = answers(requests_mock, failed(code), failed(code), DATA)

        assert run() == DATA["data"]
        assert mock.call_count == 3

    @pytest.mark.parametrize("code", ["TIMEOUT", "INTERNAL_SERVER_ERROR"])
    @pytest.mark.parametrize(
        "document", [MUTATION, "subscription { a }", "query A { a } mutation B { b }", "not GraphQL"]
    )
    def test_others_are_not(self, code: str, document: str, requests_mock: requests_mock.Mocker) -> None:
        mock = answers(requests_mock, failed(code), DATA)

        with pytest.raises(ApiError, match=code):
            run(document)
        assert mock.call_count == 1

    def test_the_caller_knows_better(self, requests_mock: requests_mock.Mocker) -> None:
        mock = answers(requests_mock, failed("TIMEOUT"), DATA)
        run(MUTATION, idempotent=True)
        assert mock.call_count == 2

        mock = answers(requests_mock, failed("TIMEOUT"), DATA)
        with pytest.raises(ApiError):
            run(QUERY, idempotent=False)
        assert mock.call_count == 1

    @pytest.mark.parametrize(("document", "calls"), [(QUERY, 2), (MUTATION, 1)])
    def test_a_503_is_repeated_for_queries_only(
        self, document: str, calls: int, requests_mock: requests_mock.Mocker
    ) -> None:
        mock = requests_mock.post(f"{BASE}/graphql", [{"status_code": 503}, {"json": DATA, "headers": JSON}])
        if calls == 2:
            run(document)
        else:
            with pytest.raises(ApiError):
                run(document)
        assert mock.call_count == calls

    def test_what_cannot_be_mended_decides(self, requests_mock: requests_mock.Mocker) -> None:
        body = failed("TIMEOUT")
        body["errors"].append({"message": "bad", "extensions": {"code": "BAD_REQUEST"}})
        mock = answers(requests_mock, body, DATA)

        with pytest.raises(ApiError, match=r"\(BAD_REQUEST\): bad; Ikke nå"):
            run()
        assert mock.call_count == 1


@pytest.mark.parametrize(
    "body",
    [{}, [], "text", 7, {"data": None, "errors": "no"}, {"errors": [None]}, {"errors": {"a": 1}}],
)
def test_what_is_no_graphql_answer_fails(body: Any, requests_mock: requests_mock.Mocker) -> None:
    answers(requests_mock, body)

    with pytest.raises(ApiError, match="answered with"):
        run()


def test_data_that_is_null_without_errors_is_an_answer(requests_mock: requests_mock.Mocker) -> None:
    answers(requests_mock, {"data": None, "errors": []})

    assert run() is None


def test_a_400_tells_its_errors(requests_mock: requests_mock.Mocker) -> None:
    requests_mock.post(f"{BASE}/graphql", status_code=400, json=failed("BAD_REQUEST"), headers=JSON)

    with pytest.raises(ApiError, match=r"answered 400 \(BAD_REQUEST\): Ikke nå"):
        run()


def test_codes_are_the_vendors_to_name(requests_mock: requests_mock.Mocker) -> None:
    mock = answers(requests_mock, failed("SLOW_DOWN"), DATA)

    run(graphql_codes={**GRAPHQL_CODES, "SLOW_DOWN": "wait"})
    assert mock.call_count == 2


def test_the_vendors_reading_comes_first(requests_mock: requests_mock.Mocker) -> None:
    def judge(failure: Failure) -> FinauthError | None:
        return ConfigurationError("another plan") if failure.code == "PLAN_REQUIRED" else None

    answers(requests_mock, failed("PLAN_REQUIRED"))
    with pytest.raises(ConfigurationError, match="another plan"):
        run(judge=judge)


def test_a_connection_is_walked(requests_mock: requests_mock.Mocker) -> None:
    def page(ids: list[int], cursor: str, more: bool) -> Any:
        info = {"hasNextPage": more, "endCursor": cursor}
        return {"data": {"things": {"nodes": [{"id": each} for each in ids], "pageInfo": info}}}

    mock = answers(
        requests_mock,
        page([1, 2], "a", True),
        failed("TIMEOUT"),
        page([2, 3], "b", True),
        page([4], "c", False),
    )
    request = Request("POST", "/graphql", json={"query": QUERY, "variables": {"a": 1}}, headers={"A": "b"})
    pages = list(make_client().pages(Pull(request=request, paging=Relay(connection_path="things"), key="id")))

    assert [record["id"] for each in pages for record in each.records] == [1, 2, 3, 4]
    assert [each.duplicates for each in pages] == [0, 1, 0]
    assert mock.request_history[3].json()["variables"] == {"a": 1, "first": 100, "after": "b"}
    assert mock.last_request.headers["A"] == "b"


def test_a_page_with_errors_stops_the_walk(requests_mock: requests_mock.Mocker) -> None:
    answers(requests_mock, failed("FORBIDDEN", data={"things": {"nodes": [], "pageInfo": {}}}))
    request = Request("POST", "/graphql", json={"query": QUERY})

    with pytest.raises(ForbiddenError):
        list(make_client().pages(Pull(request=request, paging=Relay(connection_path="things"))))
