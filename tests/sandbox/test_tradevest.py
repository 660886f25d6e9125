from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from airflow_provider_finauth.sandbox import RunningSandbox
    from tests.sandbox.asking import Vendors

TRADEVEST = "tradevest_default"
CONNECT = "tradevest_connect"
# A moment that several records share, and the last one before it.
TURN, BEFORE = "2026-02-01T00:00:00.000Z", "2026-01-31T23:59:59.999Z"
MILLISECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


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
    assert len({row["transactionId"] for row in rows}) == 20_000
    assert cursors[-1] is None
    assert {row["transactionStatus"] for row in rows} == {"COMPLETED", "MODIFIED"}
    one = vendors.get(TRADEVEST, f"/transactions/{rows[5]['transactionId']}", vendors.headers(TRADEVEST))
    assert one.json() == rows[5]


def test_transactions_tell_when_they_came_and_when_they_were_modified(vendors: Vendors) -> None:
    rows, _ = _walk(vendors, "/transactions", limit=1000)
    for row in rows:
        assert set(row) == {
            "transactionId",
            "customerId",
            "createdOn",
            "modifiedOn",
            "transactionType",
            "transactionStatus",
            "bookingDate",
            "valueDate",
            "digitalTradingTransaction",
            "traditionalTradingTransaction",
            "cashTransaction",
        }
        assert MILLISECONDS.fullmatch(row["createdOn"])
        assert MILLISECONDS.fullmatch(row["modifiedOn"])
        assert row["createdOn"][:10] == row["bookingDate"]
        later = row["modifiedOn"] > row["createdOn"]
        assert later == (row["transactionStatus"] == "MODIFIED")
        assert later or row["modifiedOn"] == row["createdOn"]
    stamps = [row["createdOn"] for row in rows]
    assert stamps == sorted(stamps)
    # At the turn of a month some share a moment, and some were modified in it.
    assert [stamps.count(moment) for moment in (BEFORE, TURN)] == [1, 2]
    assert sum(row["modifiedOn"] == TURN > row["createdOn"] for row in rows) > 1
    person = rows[0]["customerId"]
    (wallet, *_) = vendors.get(TRADEVEST, f"/customers/{person}/products", vendors.headers(TRADEVEST)).json()
    assert rows[0]["digitalTradingTransaction"]["walletCustomerProductId"] == wallet["customerProductId"]


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
    window = {"startDate": "2026-01-01T00:00:00Z", "endDate": "2026-02-01T00:00:00Z", "limit": 1000}
    rows, _ = _walk(vendors, path, **window)
    stamps = [row["createdOn"] for row in rows]
    assert stamps == sorted(stamps)
    assert "2026-01-01" <= stamps[0] <= stamps[-1] <= "2026-02-01T00:00:00Z"
    backwards, _ = _walk(vendors, path, orderDirection="DESC", **window)
    assert backwards == rows[::-1]


def _orders_path(vendors: Vendors) -> str:
    person = vendors.sandbox.connections[TRADEVEST]["extra"]["requestor_id"]
    products = vendors.get(TRADEVEST, f"/customers/{person}/products", vendors.headers(TRADEVEST)).json()
    return f"/products/{products[0]['customerProductId']}/digital/orders"


def _windowed(vendors: Vendors, name: str) -> tuple[str, str, str]:
    """A list that is filtered by time, and the parameters of its first and last moment."""
    if name == "orders":
        return _orders_path(vendors), "startCreatedOn", "endCreatedOn"
    return f"/{name}-changelog", "startDate", "endDate"


WINDOWED = ("entities", "digital", "roles", "products", "customers", "orders")


@pytest.mark.parametrize("name", WINDOWED)
@pytest.mark.parametrize("turn", [TURN, "2026-02-01T00:00:00Z", "2026-02-01T02:30:00+02:30"])
def test_both_ends_of_a_window_count_in(vendors: Vendors, name: str, turn: str) -> None:
    path, first, last = _windowed(vendors, name)
    everything, _ = _walk(vendors, path, limit=1000)
    stamps = [row["createdOn"] for row in everything]
    assert all(MILLISECONDS.fullmatch(stamp) for stamp in stamps)
    assert stamps == sorted(stamps)
    assert (stamps.count(TURN) > 1, stamps.count(BEFORE) > 0) == (True, True)
    # Some are of whole seconds, most are not.
    assert 0 < sum(stamp.endswith(".000Z") for stamp in stamps) < len(stamps) / 1.5
    until, _ = _walk(vendors, path, limit=1000, **{last: turn})
    since, _ = _walk(vendors, path, limit=1000, **{first: turn})
    assert [row["createdOn"] for row in until] == [stamp for stamp in stamps if stamp <= TURN]
    assert [row["createdOn"] for row in since] == [stamp for stamp in stamps if stamp >= TURN]
    # Two windows that share an end have what lies on it twice.
    assert len(until) + len(since) == len(stamps) + stamps.count(TURN)
    at, _ = _walk(vendors, path, limit=1000, **{first: turn, last: turn})
    assert [row["createdOn"] for row in at] == [TURN] * stamps.count(TURN)


@pytest.mark.parametrize("name", WINDOWED)
def test_an_end_is_compared_to_its_last_digit(vendors: Vendors, name: str) -> None:
    path, first, last = _windowed(vendors, name)

    def found(**window: str) -> list[str]:
        rows, _ = _walk(vendors, path, limit=1000, **window)
        return [row["createdOn"] for row in rows]

    shared = found(**{first: TURN, last: TURN})
    before = found(**{first: BEFORE, last: BEFORE})
    assert found(**{first: BEFORE, last: "2026-01-31T23:59:59.999999Z"}) == before
    assert found(**{first: "2026-01-31T23:59:59.9990001Z", last: TURN}) == [*before, *shared]
    assert found(**{first: "2026-01-31T23:59:59.999001Z", last: TURN}) == shared
    assert found(**{first: "2026-01-31T23:59:59Z", last: "2026-01-31T23:59:59.998999Z"}) == []


@pytest.mark.parametrize(
    "window",
    [
        ("2026-01-01", None),
        (None, "20260101T000000Z"),
        ("2026-01-01T00:00:00", None),
        (None, "2026-01-01T00:00Z"),
        ("2026-02-30T00:00:00Z", None),
        (None, "1767225600"),
        ("0001-01-01T00:00:00+02:00", None),
        ("", None),
        # The first after the last, by a microsecond.
        ("2026-01-01T00:00:00.000001Z", "2026-01-01T01:00:00+01:00"),
    ],
)
@pytest.mark.parametrize("name", ["roles", "orders"])
def test_a_window_that_is_none_is_refused(
    vendors: Vendors, name: str, window: tuple[str | None, str | None]
) -> None:
    path, first, last = _windowed(vendors, name)
    params = {first: window[0], last: window[1]}
    answer = vendors.get(TRADEVEST, path, vendors.headers(TRADEVEST), limit=5, **params)
    assert answer.status_code == 400
    assert first in answer.json()["message"] or last in answer.json()["message"]


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
    path = _orders_path(vendors)
    orders, _ = _walk(vendors, path, limit=7)
    assert len(orders) >= 40
    some, _ = _walk(vendors, path, startCreatedOn="2026-01-01T00:00:00Z", limit=7)
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
