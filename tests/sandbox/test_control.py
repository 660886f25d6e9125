from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import requests

from airflow_provider_finauth.sandbox.control import digest

if TYPE_CHECKING:
    from airflow_provider_finauth.sandbox import RunningSandbox
    from tests.sandbox.asking import Vendors

TALENOM = "talenom_default"
PERIODS = "/organization/v2/accounting-periods/14222"
VOUCHERS = "/fi/general-ledger/v2/vouchers/14222"


def test_requests_and_records_are_counted(vendors: Vendors, sandbox: RunningSandbox) -> None:
    headers = vendors.headers(TALENOM)
    for index in (0, 0, 1):
        vendors.get(TALENOM, VOUCHERS, headers, pageIndex=index, pageSize=10)
    vendors.get(TALENOM, "/nothing", headers)
    stats = sandbox.stats("talenom")
    template = "GET /talenom/{region}/general-ledger/v2/vouchers/{organization}"
    assert (stats["token_requests"], stats["tokens_issued"], stats["api_requests"]) == (1, 1, 4)
    assert (stats["records_served"], stats["unique_records_served"]) == (30, 20)
    assert stats["endpoints"][template] == 3
    assert stats["records_by_endpoint"] == {template: 30}
    assert stats["unique_records_by_endpoint"] == {template: 20}
    assert stats["refusals"] == 1
    assert sandbox.stats()["landax"]["api_requests"] == 0


def test_shaped_rows_are_told_apart_too(vendors: Vendors, sandbox: RunningSandbox) -> None:
    headers = vendors.headers("landax_default")
    for _ in range(2):
        vendors.get("landax_default", "/api/v32/Projects", headers, select="Id", top=5)
    stats = sandbox.stats("landax")
    assert (stats["records_served"], stats["unique_records_served"]) == (10, 5)


def test_graphql_nodes_are_counted(vendors: Vendors, sandbox: RunningSandbox) -> None:
    for _ in range(2):
        vendors.graphql("{ companies { nodes { id } } saleProducts(first: 7) { nodes { id } } }")
    stats = sandbox.stats("luca")
    assert (stats["records_served"], stats["unique_records_served"]) == (16, 8)


def test_the_log_shows_a_request_and_no_secret(vendors: Vendors, sandbox: RunningSandbox) -> None:
    connection, extra = vendors.connection(TALENOM)
    headers = vendors.headers(TALENOM)
    vendors.get(TALENOM, PERIODS, headers, pageSize=5)
    (token,) = sandbox.log("talenom", "token")
    assert (token["method"], token["path"]) == ("POST", urlsplit(extra["oauth_endpoint"]).path)
    assert token["content_type"] == "application/x-www-form-urlencoded"
    assert token["body_members"] == ["client_id", "client_secret", "grant_type", "scope"]
    assert token["body"]["client_secret"] == digest(connection["password"])
    (asked,) = sandbox.log("talenom", "api")
    assert asked["query"] == [["pageSize", "5"]]
    assert asked["headers"]["ocp-apim-subscription-key"] == digest(extra["subscription_api_key"])
    bearer = headers["Authorization"].removeprefix("Bearer ")
    assert asked["headers"]["authorization"] == f"Bearer {digest(bearer)}"
    assert asked["status"] == 200
    text = str(sandbox.stats())
    for secret in (connection["password"], extra["subscription_api_key"], bearer):
        assert secret not in text


def test_the_log_keeps_two_hundred_requests(vendors: Vendors, sandbox: RunningSandbox) -> None:
    headers = vendors.headers(TALENOM)
    for _ in range(205):
        vendors.get(TALENOM, PERIODS, headers)
    assert len(sandbox.log("talenom")) == 200


def test_a_reset_forgets_all(vendors: Vendors, sandbox: RunningSandbox) -> None:
    headers = vendors.headers(TALENOM)
    sandbox.faults("talenom", "status", status=503, count=None)
    sandbox.settings("talenom", expires_in=5)
    sandbox.reset()
    assert sandbox.settings("talenom")["expires_in"] == 3600
    assert sandbox.stats("talenom")["token_requests"] == 0
    assert vendors.get(TALENOM, PERIODS, headers).status_code == 401
    assert vendors.get(TALENOM, PERIODS, vendors.headers(TALENOM)).status_code == 200


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ({"api": "nobody", "kind": "html"}, "No API"),
        ({"kind": "html"}, "No API"),
        ({"api": "luca", "kind": "fire"}, "No kind"),
        ({"api": "luca", "kind": "status"}, "needs a status"),
        ({"api": "luca", "kind": "html", "colour": 1}, "No option colour"),
        ({"api": "luca", "kind": "html", "where": "moon"}, "where"),
        ({"api": "luca", "kind": "truncate", "when": "after"}, "when"),
        ({"api": "talenom", "kind": "insert_row"}, "does not go"),
        ({"api": "luca", "kind": "drop_rows"}, "does not go"),
        ([], ""),
    ],
)
def test_a_fault_that_cannot_be_is_refused(sandbox: RunningSandbox, fault: Any, text: str) -> None:
    answer = requests.post(f"{sandbox.url}/_sandbox/faults", json=fault, timeout=10)
    assert answer.status_code == 400
    assert text in answer.json()["error"]


def test_a_setting_that_cannot_be_is_refused(sandbox: RunningSandbox) -> None:
    with pytest.raises(ValueError, match="No setting 'colour'"):
        sandbox.settings("luca", colour=1)
    with pytest.raises(ValueError, match="is of type bool"):
        sandbox.settings("luca", deny="yes")
    with pytest.raises(ValueError, match="No API"):
        sandbox.settings("nobody", expires_in=1)


def test_the_control_plane_is_on_the_plain_port_only(sandbox: RunningSandbox, vendors: Vendors) -> None:
    answer = vendors.http.get(f"{sandbox.tls_url}/_sandbox/stats", **vendors.tls("opcorporate_default"))
    assert answer.status_code == 404


def test_latency_holds_data_answers_back(vendors: Vendors, sandbox: RunningSandbox) -> None:
    headers = vendors.headers(TALENOM)
    sandbox.settings("talenom", latency=60)
    assert vendors.client_credentials(TALENOM).status_code == 200
    url = vendors.connection(TALENOM)[0]["host"] + PERIODS
    with pytest.raises(requests.ReadTimeout):
        vendors.http.get(url, headers=headers, timeout=0.3)
    sandbox.settings("talenom", latency=0.01)
    assert vendors.get(TALENOM, PERIODS, headers).status_code == 200
