from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import requests

from airflow_provider_finauth.sandbox.faults import Fault, Faults

if TYPE_CHECKING:
    from airflow_provider_finauth.sandbox import RunningSandbox
    from tests.sandbox.asking import Vendors

TALENOM = "talenom_default"
LANDAX = "landax_default"
GENERIC = "oauth2api_default"
PERIODS = "/organization/v2/accounting-periods/14222"
VOUCHERS = "/fi/general-ledger/v2/vouchers/14222"


def test_status_with_headers_and_body_count_times_after_skip(
    vendors: Vendors, sandbox: RunningSandbox
) -> None:
    headers = vendors.headers(TALENOM)
    body = {"statusCode": 429, "message": "slow down"}
    sandbox.faults("talenom", "status", status=429, headers={"Retry-After": "7"}, body=body, count=2, skip=1)
    answers = [vendors.get(TALENOM, PERIODS, headers) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 429, 429, 200]
    assert answers[1].headers["Retry-After"] == "7"
    assert answers[1].json() == body
    assert sandbox.stats("talenom")["faults"] == 2


def test_a_fault_can_be_aimed(vendors: Vendors, sandbox: RunningSandbox) -> None:
    sandbox.faults("talenom", "status", status=500, path_contains="pageIndex=1", count=None)
    sandbox.faults("talenom", "status", status=503, where="token", body="busy")
    refused = vendors.client_credentials(TALENOM)
    assert (refused.status_code, refused.text) == (503, "busy")
    headers = vendors.headers(TALENOM)
    status = [vendors.get(TALENOM, VOUCHERS, headers, pageIndex=n).status_code for n in (0, 1, 2, 1)]
    assert status == [200, 500, 200, 500]
    assert vendors.client_credentials(GENERIC).status_code == 200


def test_a_body_can_be_aimed_at(vendors: Vendors, sandbox: RunningSandbox) -> None:
    sandbox.faults("luca", "status", status=500, body_contains="saleProducts")
    assert vendors.graphql("{ companies { nodes { id } } }").status_code == 200
    assert vendors.graphql("{ saleProducts(first: 1) { nodes { id } } }").status_code == 500


@pytest.mark.parametrize(
    ("conn_id", "api", "path"),
    [
        (TALENOM, "talenom", PERIODS),
        ("opcorporate_default", "opcorporate", "/corporate-account-data/v1/accounts"),
    ],
)
def test_a_connection_is_reset(
    vendors: Vendors, sandbox: RunningSandbox, conn_id: str, api: str, path: str
) -> None:
    headers = vendors.headers(conn_id)
    sandbox.faults(api, "reset")
    with pytest.raises(requests.ConnectionError):
        vendors.get(conn_id, path, headers)
    assert vendors.get(conn_id, path, headers).status_code == 200


def test_no_answer_at_all(vendors: Vendors, sandbox: RunningSandbox) -> None:
    headers = vendors.headers(TALENOM)
    sandbox.faults("talenom", "hang")
    url = vendors.connection(TALENOM)[0]["host"] + PERIODS
    with pytest.raises(requests.ReadTimeout):
        vendors.http.get(url, headers=headers, timeout=0.3)
    assert vendors.get(TALENOM, PERIODS, headers).status_code == 200


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_late_answer(vendors: Vendors, sandbox: RunningSandbox, when: str) -> None:
    headers = vendors.headers(TALENOM)
    url = vendors.connection(TALENOM)[0]["host"] + PERIODS
    sandbox.faults("talenom", "slow", seconds=60, when=when)
    with pytest.raises(requests.ReadTimeout):
        vendors.http.get(url, headers=headers, timeout=0.3)
    sandbox.faults("talenom", "slow", seconds=0.01, when=when)
    assert vendors.get(TALENOM, PERIODS, headers).json()["rowCount"] == 6


def test_an_answer_cut_short(vendors: Vendors, sandbox: RunningSandbox) -> None:
    headers = vendors.headers(TALENOM)
    sandbox.faults("talenom", "truncate")
    with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.ConnectionError)):
        vendors.get(TALENOM, VOUCHERS, headers)
    assert sandbox.stats("talenom")["records_served"] == 0


def test_bodies_that_are_wrong(vendors: Vendors, sandbox: RunningSandbox) -> None:
    headers = vendors.headers(TALENOM)
    sandbox.faults("talenom", "invalid_json")
    sandbox.faults("talenom", "wrong_content_type", content_type="text/csv")
    sandbox.faults("talenom", "html")
    sandbox.faults("talenom", "empty")
    cut, label, page, empty = (vendors.get(TALENOM, PERIODS, headers) for _ in range(4))
    with pytest.raises(requests.exceptions.JSONDecodeError):
        cut.json()
    assert label.headers["content-type"] == "text/csv"
    assert label.json()["rowCount"] == 6
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert (empty.status_code, empty.content) == (200, b"")


@pytest.mark.parametrize("value", ["3600", "3600.0", 0, -5, "Infinity", "soon", None, {}])
def test_token_members_are_replaced(vendors: Vendors, sandbox: RunningSandbox, value: Any) -> None:
    sandbox.faults("talenom", "token_answer", where="token", members={"expires_in": value})
    answer = vendors.client_credentials(TALENOM).json()
    assert answer.get("expires_in") == value
    assert ("expires_in" in answer) == (value is not None)


def test_a_200_without_a_token(vendors: Vendors, sandbox: RunningSandbox) -> None:
    for conn_id, api in ((TALENOM, "talenom"), ("tradevest_default", "tradevest")):
        sandbox.faults(api, "no_token", where="token")
        answer = vendors.client_credentials(conn_id)
        assert answer.status_code == 200
        assert "access_token" not in answer.json()


def test_tokens_end_at_once_or_in_the_middle(vendors: Vendors, sandbox: RunningSandbox) -> None:
    headers = vendors.headers(TALENOM)
    sandbox.faults("talenom", "expire_tokens", skip=1)
    assert [vendors.get(TALENOM, PERIODS, headers).status_code for _ in range(3)] == [200, 401, 401]
    headers = vendors.headers(TALENOM)
    sandbox.faults("talenom", "expire_tokens")
    assert vendors.get(TALENOM, PERIODS, headers).status_code == 401


def test_a_redirect_to_another_origin(vendors: Vendors, sandbox: RunningSandbox) -> None:
    headers = vendors.headers(TALENOM)
    sandbox.faults("talenom", "redirect")
    answer = vendors.get(TALENOM, PERIODS, headers)
    assert answer.status_code == 302
    target = urlsplit(answer.headers["Location"])
    assert (target.hostname, target.path) == ("localhost", f"/talenom{PERIODS}")
    sandbox.faults("talenom", "redirect", url="http://127.0.0.1:1/x", status=307)
    answer = vendors.get(TALENOM, PERIODS, headers)
    assert (answer.status_code, answer.headers["Location"]) == (307, "http://127.0.0.1:1/x")


@pytest.mark.parametrize(
    ("conn_id", "api", "path", "key"),
    [
        (LANDAX, "landax", "/api/v32/Incidents", "nextLink"),
        (LANDAX, "landax", "/api/v20/Incidents", "@odata.nextLink"),
        (GENERIC, "generic", "/links", "next"),
    ],
)
def test_a_next_link_to_another_origin(
    vendors: Vendors, sandbox: RunningSandbox, conn_id: str, api: str, path: str, key: str
) -> None:
    headers = vendors.headers(conn_id)
    own = vendors.get(conn_id, path, headers).json()[key]
    sandbox.faults(api, "foreign_next_link")
    foreign = vendors.get(conn_id, path, headers).json()[key]
    assert foreign == own.replace("127.0.0.1", "localhost")


@pytest.mark.parametrize(
    ("conn_id", "api", "path"),
    [
        (TALENOM, "talenom", VOUCHERS),
        ("tradevest_default", "tradevest", "/transactions"),
        (GENERIC, "generic", "/links"),
    ],
)
def test_the_same_page_again(
    vendors: Vendors, sandbox: RunningSandbox, conn_id: str, api: str, path: str
) -> None:
    headers = vendors.headers(conn_id)
    first = vendors.get(conn_id, path, headers).json()
    sandbox.faults(api, "cycle")
    following = {"talenom": {"pageIndex": 1}, "generic": {"start": 100}}.get(api)
    if following is None:
        following = {"cursor": first["pagination"]["cursor"]}
    assert vendors.get(conn_id, path, headers, **following).json() == first
    assert vendors.get(conn_id, path, headers, **following).json() != first


def test_a_relay_cursor_again(vendors: Vendors, sandbox: RunningSandbox) -> None:
    query = "{ saleInvoices(first: 5%s) { nodes { id } pageInfo { endCursor } } }"
    first = vendors.graphql(query % "").json()
    sandbox.faults("luca", "cycle")
    after = first["data"]["saleInvoices"]["pageInfo"]["endCursor"]
    assert vendors.graphql(query % f', after: "{after}"').json() == first


def test_totals_that_lie(vendors: Vendors, sandbox: RunningSandbox) -> None:
    headers = vendors.headers(TALENOM)
    sandbox.faults("talenom", "drop_rows", rows=3)
    page = vendors.get(TALENOM, VOUCHERS, headers, pageSize=10).json()
    assert (len(page["results"]), page["rowCount"]) == (7, 15_000)
    assert sandbox.stats("talenom")["records_served"] == 7


def test_a_lost_answer_has_minted_all_the_same(vendors: Vendors, sandbox: RunningSandbox) -> None:
    sandbox.faults("talenom", "reset", where="token", when="after")
    sandbox.faults("talenom", "reset", where="token", when="before")
    for _ in range(2):
        with pytest.raises(requests.ConnectionError):
            vendors.client_credentials(TALENOM)
    stats = sandbox.stats("talenom")
    assert (stats["token_requests"], stats["tokens_issued"]) == (2, 1)


def test_faults_are_taken_oldest_first_and_each_skips_for_itself() -> None:
    faults = Faults()
    faults.add(Fault.read({"api": "a", "kind": "html", "skip": 1}))
    faults.add(Fault.read({"api": "a", "kind": "empty", "where": "any", "count": 2}))
    faults.add(Fault.read({"api": "a", "kind": "hang", "count": 0}))

    def take(where: str) -> str | None:
        fault = faults.take("a", where, "GET", "/", b"")
        return fault.kind if fault else None

    assert [take("api"), take("api"), take("token"), take("api")] == ["empty", "html", "empty", None]
