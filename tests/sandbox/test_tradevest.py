from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from airflow_provider_finauth.sandbox import RunningSandbox
    from tests.sandbox.asking import Vendors

TRADEVEST = "tradevest_default"
CONNECT = "tradevest_connect"


@pytest.mark.parametrize(
    ("conn_id", "scope"), [(TRADEVEST, "tradevest.api"), (CONNECT, None), (CONNECT, "x")]
)
def test_the_two_token_endpoints_differ_in_scope(vendors: Vendors, conn_id: str, scope: str | None) -> None:
    assert vendors.client_credentials(conn_id).json()["expires_in"] == 3600
    answer = vendors.client_credentials(conn_id, scope=scope)
    assert (answer.status_code, answer.json()) == (400, {"error": "invalid_request"})


def test_a_wrong_client_is_400(vendors: Vendors) -> None:
    answer = vendors.client_credentials(TRADEVEST, client_secret="wrong")
    assert (answer.status_code, answer.json()) == (400, {"error": "invalid_client"})


def test_a_wrong_token_is_401(vendors: Vendors) -> None:
    answer = vendors.get(TRADEVEST, "/prices", {"Authorization": "Bearer wrong"})
    assert (answer.status_code, answer.json()) == (401, {"message": "Unauthorized"})


def _walk(vendors: Vendors, path: str, **params: Any) -> tuple[list[dict[str, Any]], list[Any]]:
    headers = vendors.headers(TRADEVEST)
    rows: list[dict[str, Any]] = []
    cursors: list[Any] = []
    while True:
        page = vendors.get(TRADEVEST, path, headers, **params).json()
        rows += page["data"]
        cursors.append(page["pagination"].get("cursor", "missing"))
        if not page["data"] or cursors[-1] in (None, "", "missing"):
            return rows, cursors
        params["cursor"] = cursors[-1]


def test_transactions_by_cursor(vendors: Vendors) -> None:
    rows, cursors = _walk(vendors, "/transactions", limit=1000)
    assert len({row["id"] for row in rows}) == 20_000
    assert cursors[-1] is None
    assert {row["transactionStatus"] for row in rows} == {"COMPLETED", "MODIFIED"}
    one = vendors.get(TRADEVEST, f"/transactions/{rows[5]['id']}", vendors.headers(TRADEVEST))
    assert one.json() == rows[5]


@pytest.mark.parametrize(("end", "last"), [("missing", "missing"), ("empty", ""), ("null", None)])
def test_the_end_is_told_in_three_ways(
    vendors: Vendors, sandbox: RunningSandbox, end: str, last: str | None
) -> None:
    sandbox.settings("tradevest", end=end)
    rows, cursors = _walk(vendors, "/entities", limit=500)
    assert (len(rows), cursors[-1]) == (900, last)


def test_the_end_may_repeat_the_cursor_without_data(vendors: Vendors, sandbox: RunningSandbox) -> None:
    sandbox.settings("tradevest", end="repeat")
    rows, cursors = _walk(vendors, "/entities", limit=500)
    assert len(rows) == 900
    assert cursors[-1] == cursors[-2]


def test_the_default_page_is_twenty(vendors: Vendors) -> None:
    page = vendors.get(TRADEVEST, "/transactions", vendors.headers(TRADEVEST)).json()
    assert (len(page["data"]), page["pagination"]["limit"]) == (20, 20)


@pytest.mark.parametrize("params", [{"limit": "0"}, {"limit": "x"}, {"cursor": "!"}, {"pageSize": "5"}])
def test_bad_parameters(vendors: Vendors, params: dict[str, str]) -> None:
    answer = vendors.get(TRADEVEST, "/transactions", vendors.headers(TRADEVEST), **params)
    assert answer.status_code == 400
    assert set(answer.json()) == {
        "message",
        "responseType",
        "requestId",
        "validationString",
        "errorCode",
        "errorDetails",
    }


def test_changelogs_want_a_limit_and_take_a_window_and_an_order(vendors: Vendors) -> None:
    headers = vendors.headers(TRADEVEST)
    path = "/entities-changelog"
    assert vendors.get(TRADEVEST, path, headers).status_code == 400
    assert vendors.get(TRADEVEST, path, headers, limit=5, orderDirection="down").status_code == 400
    assert vendors.get(TRADEVEST, path, headers, limit=5, startDate="yesterday").status_code == 400
    window = {"startDate": "2026-01-01", "endDate": "2026-02-01T00:00:00Z", "limit": 1000}
    rows, _ = _walk(vendors, path, **window)
    stamps = [row["createdOn"] for row in rows]
    assert stamps == sorted(stamps)
    assert "2026-01-01" <= stamps[0] <= stamps[-1] <= "2026-02-01T00:00:00Z"
    backwards, _ = _walk(vendors, path, orderDirection="DESC", **window)
    assert backwards == rows[::-1]


def test_changelogs_are_long(vendors: Vendors) -> None:
    total = 0
    for kind in ("entities", "digital", "roles", "products", "customers"):
        rows, _ = _walk(vendors, f"/{kind}-changelog", limit=1000)
        assert len({row["entryId"] for row in rows}) == len(rows)
        total += len(rows)
    assert total > 20_000


def test_lists_without_pages(vendors: Vendors, sandbox: RunningSandbox) -> None:
    headers = vendors.headers(TRADEVEST)
    assert set(vendors.get(TRADEVEST, "/products", headers).json()) == {"data"}
    person = sandbox.connections[TRADEVEST]["extra"]["requestor_id"]
    products = vendors.get(TRADEVEST, f"/customers/{person}/products", headers).json()
    assert [product["productCode"] for product in products] == ["WALLET", "BALANCE_ACCOUNT"]
    path = f"/products/{products[0]['customerProductId']}/digital/orders"
    orders, _ = _walk(vendors, path, limit=7)
    assert len(orders) >= 40
    some, _ = _walk(vendors, path, startCreatedOn="2026-01-01", limit=7)
    assert 0 < len(some) < len(orders)
    assert vendors.get(TRADEVEST, "/customers/nobody/products", headers).status_code == 404


def test_entities_are_chosen(vendors: Vendors) -> None:
    rows, _ = _walk(vendors, "/entities", entityType="LEGAL_ENTITY", entityStatus="ACTIVE", limit=1000)
    assert {(row["entityType"], row["entityStatus"]) for row in rows} == {("LEGAL_ENTITY", "ACTIVE")}
    legal, _ = _walk(vendors, "/entities/legal-entities", limit=1000)
    natural, _ = _walk(vendors, "/entities/natural-persons", limit=1000)
    assert len(legal) + len(natural) == 900


def _post(vendors: Vendors, path: str, requestor: str | None, **members: Any) -> int:
    headers = vendors.headers(TRADEVEST)
    if requestor:
        headers["Requestor-ID"] = requestor
    url = vendors.connection(TRADEVEST)[0]["host"] + path
    return vendors.http.post(url, json=members, headers=headers).status_code


@pytest.mark.parametrize(
    ("path", "exempt"),
    [
        ("/entities/natural-persons", True),
        ("/entities/natural-persons/wizards", True),
        ("/entities/legal-entities", True),
        ("/entities/legal-entities/prepare", True),
        ("/transfers", False),
        ("/webhooks", False),
        ("/products/p/digital/orders", False),
    ],
)
def test_commands_name_their_requestor_but_for_four(vendors: Vendors, path: str, exempt: bool) -> None:
    assert _post(vendors, path, None) == (201 if exempt else 400)
    assert _post(vendors, path, "somebody") == 201


def test_one_read_names_its_requestor(vendors: Vendors) -> None:
    headers = vendors.headers(TRADEVEST)
    path = "/entities/identification-verifications"
    assert vendors.get(TRADEVEST, path, headers).status_code == 400
    assert vendors.get(TRADEVEST, path, {**headers, "Requestor-ID": "x"}).status_code == 200


def test_an_external_id_serves_once(vendors: Vendors, sandbox: RunningSandbox) -> None:
    assert _post(vendors, "/transfers", "x", externalId="t-1") == 201
    assert _post(vendors, "/transfers", "x", externalId="t-1") == 409
    sandbox.reset()
    assert _post(vendors, "/transfers", "x", externalId="t-1") == 201
