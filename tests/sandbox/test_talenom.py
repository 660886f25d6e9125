from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from airflow_provider_finauth.sandbox import RunningSandbox
    from tests.sandbox.asking import Vendors

TALENOM = "talenom_default"
PERIODS = "/organization/v2/accounting-periods/14222"
VOUCHERS = "/fi/general-ledger/v2/vouchers/14222"
EVENTS = "/fi/general-ledger/v1/general-ledger-events/14222"
INVOICES = "/fi/sales/v1/14222/invoices"


def test_a_token_is_given_for_the_documented_form(vendors: Vendors) -> None:
    answer = vendors.client_credentials(TALENOM)
    assert answer.status_code == 200
    assert set(answer.json()) == {"access_token", "token_type", "expires_in"}


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"scope": None}, 400, "invalid_request"),
        ({"scope": "b2b.payroll.read"}, 400, "invalid_scope"),
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"audience": "x"}, 400, "invalid_request"),
    ],
)
def test_a_token_is_refused(vendors: Vendors, changes: dict[str, str], status: int, error: str) -> None:
    answer = vendors.client_credentials(TALENOM, **changes)
    assert (answer.status_code, answer.json()["error"]) == (status, error)


def test_a_json_body_and_a_query_are_refused(vendors: Vendors) -> None:
    connection, extra = vendors.connection(TALENOM)
    members = {
        "grant_type": "client_credentials",
        "client_id": connection["login"],
        "client_secret": connection["password"],
        "scope": extra["scope"],
    }
    assert vendors.http.post(extra["oauth_endpoint"], json=members).status_code == 400
    assert vendors.http.post(extra["oauth_endpoint"] + "?a=1", data=members).status_code == 400


@pytest.mark.parametrize("key", [None, "0" * 32])
def test_the_gateway_refuses_a_wrong_key_with_a_good_token(vendors: Vendors, key: str | None) -> None:
    headers = vendors.headers(TALENOM)
    del headers["Ocp-Apim-Subscription-Key"]
    if key:
        headers["Ocp-Apim-Subscription-Key"] = key
    answer = vendors.get(TALENOM, PERIODS, headers)
    assert answer.status_code == 401
    assert set(answer.json()) == {"statusCode", "message"}
    assert answer.json()["statusCode"] == 401


def test_the_api_refuses_a_stale_token_without_a_body(vendors: Vendors, sandbox: RunningSandbox) -> None:
    headers = vendors.headers(TALENOM)
    sandbox.faults("talenom", "expire_tokens")
    answer = vendors.get(TALENOM, PERIODS, headers)
    assert (answer.status_code, answer.content) == (401, b"")


def test_a_token_ends_with_its_lifetime(vendors: Vendors, sandbox: RunningSandbox) -> None:
    sandbox.settings("talenom", expires_in=0)
    assert vendors.get(TALENOM, PERIODS, vendors.headers(TALENOM)).status_code == 401


def test_a_scope_opens_its_own_api_only(vendors: Vendors) -> None:
    headers = vendors.headers(TALENOM)
    narrow = vendors.client_credentials(TALENOM, scope="b2b.organization.read").json()["access_token"]
    headers["Authorization"] = f"Bearer {narrow}"
    assert vendors.get(TALENOM, PERIODS, headers).status_code == 200
    assert vendors.get(TALENOM, VOUCHERS, headers).status_code == 403
    assert vendors.get(TALENOM, INVOICES, headers).status_code == 403


@pytest.mark.parametrize(("organization", "status"), [("14299", 403), ("99999", 404), ("1422x", 400)])
def test_organisations(vendors: Vendors, organization: str, status: int) -> None:
    path = f"/organization/v2/accounting-periods/{organization}"
    assert vendors.get(TALENOM, path, vendors.headers(TALENOM)).status_code == status


@pytest.mark.parametrize(
    "params",
    [
        {"includeBookkeepingPeriods": "True"},
        {"pageIndex": "-1"},
        {"pageSize": "0"},
        {"pageSize": "1.5"},
        {"page_size": "10"},
    ],
)
def test_a_parameter_of_the_wrong_type_is_refused(vendors: Vendors, params: dict[str, str]) -> None:
    answer = vendors.get(TALENOM, PERIODS, vendors.headers(TALENOM), **params)
    assert answer.status_code == 400
    assert set(answer.json()) == {"error", "code", "telemetryId"}


def test_accounting_periods(vendors: Vendors) -> None:
    headers = vendors.headers(TALENOM)
    plain = vendors.get(
        TALENOM, PERIODS, headers, pageIndex=0, pageSize=10, includeBookkeepingPeriods="false"
    ).json()
    assert (plain["rowCount"], plain["pageCount"], plain["currentPage"]) == (6, 1, 0)
    assert all(period["bookkeepingPeriods"] is None for period in plain["results"])
    nested = vendors.get(TALENOM, PERIODS, headers, includeBookkeepingPeriods="true", pageSize=4, pageIndex=1)
    assert len(nested.json()["results"]) == 2
    for period in nested.json()["results"]:
        months = period["bookkeepingPeriods"]
        assert len(months) == 12
        assert months[0]["startDate"] == period["startDate"]
        assert months[-1]["endDate"] == period["endDate"]


def test_vouchers_come_in_pages_and_keep_their_cents(vendors: Vendors) -> None:
    headers = vendors.headers(TALENOM)
    seen = []
    for index in range(4):
        answer = vendors.get(
            TALENOM, VOUCHERS, headers, pageIndex=index, pageSize=5000, includePostings="true"
        )
        page = json.loads(answer.text, parse_float=Decimal)
        assert (page["rowCount"], page["pageCount"]) == (15_000, 3)
        seen += page["results"]
    assert len({voucher["id"] for voucher in seen}) == 15_000
    for voucher in seen[:500]:
        balance = sum(posting["debet"] - posting["credit"] for posting in voucher["postings"])
        assert balance == 0
        assert all(posting["debet"].as_tuple().exponent == -2 for posting in voucher["postings"])


def test_vouchers_are_chosen_by_date_and_state(vendors: Vendors) -> None:
    headers = vendors.headers(TALENOM)
    page = vendors.get(
        TALENOM,
        VOUCHERS,
        headers,
        dateFrom="2025-03-01",
        dateTo="2025-03-31",
        voucherState=["Draft", "Locked"],
        pageSize=1000,
    ).json()
    assert page["rowCount"] == len(page["results"]) > 10
    assert {voucher["voucherState"] for voucher in page["results"]} == {"Draft", "Locked"}
    assert all("2025-03-01" <= voucher["voucherDate"] <= "2025-03-31" for voucher in page["results"])


# A list that is filtered by days: its path, its parameters, and the field that holds the day.
DAYS = {
    "vouchers": (VOUCHERS, ("dateFrom", "dateTo"), "voucherDate"),
    "bare vouchers": (VOUCHERS.replace("v2", "v1"), ("dateFrom", "dateTo"), "voucherDate"),
    "events": (EVENTS, ("fromDate", "toDate"), "voucherDate"),
    "date": (INVOICES, ("dateStart", "dateEnd"), "date"),
    "dueDate": (INVOICES, ("dateStart", "dateEnd"), "dueDate"),
    "createdDateUtc": (INVOICES, ("dateStart", "dateEnd"), "createdDateUtc"),
    "updatedDateUtc": (INVOICES, ("dateStart", "dateEnd"), "updatedDateUtc"),
}


def _days(vendors: Vendors, name: str, since: str, until: str) -> list[dict[str, Any]]:
    path, (first, last), _ = DAYS[name]
    params: dict[str, Any] = {"pageIndex": 0, "pageSize": 1000}
    if path == INVOICES:
        params = {"limit": 1000, "dateType": name}
    found = vendors.get(
        TALENOM, path, vendors.headers(TALENOM), **params, **{first: since, last: until}
    ).json()
    rows: list[dict[str, Any]] = found["results"] if isinstance(found, dict) else found
    return rows


@pytest.mark.parametrize("name", DAYS)
def test_the_first_and_the_last_day_count_in(vendors: Vendors, name: str) -> None:
    field = DAYS[name][2]
    days = {
        month: [row[field][:10] for row in _days(vendors, name, *month)]
        for month in (("2025-02-01", "2025-02-28"), ("2025-03-01", "2025-03-31"))
    }
    for (first, last), found in days.items():
        assert (min(found), max(found)) == (first, last)
    # Two windows that share a day have what is of it twice, and those that adjoin have nothing twice.
    assert len(_days(vendors, name, "2025-02-01", "2025-03-31")) == sum(map(len, days.values()))
    (shared,) = {row[field][:10] for row in _days(vendors, name, "2025-03-31", "2025-03-31")}
    assert shared == "2025-03-31"


def test_some_were_updated_in_the_first_and_the_last_second_of_a_day(vendors: Vendors) -> None:
    for name in ("vouchers", "updatedDateUtc"):
        rows = _days(vendors, name, "2025-02-01", "2025-03-31")
        stamps = [row["updatedDateUtc"] for row in rows]
        assert stamps.count("2025-03-01T00:00:00Z") == 2
        assert "2025-02-28T23:59:59Z" in stamps


@pytest.mark.parametrize("name", ["vouchers", "bare vouchers", "events", "date"])
@pytest.mark.parametrize(
    "window",
    [
        ("2025-03-02", "2025-03-01"),
        ("20250301", "2025-03-31"),
        ("2025-03-01T00:00:00Z", "2025-03-31"),
        ("2025-03-01", "2025-02-30"),
        ("", "2025-03-31"),
    ],
)
def test_days_that_are_none_are_refused(vendors: Vendors, name: str, window: tuple[str, str]) -> None:
    path, (first, last), _ = DAYS[name]
    params: dict[str, Any] = {"pageIndex": 0, "pageSize": 10} if path != INVOICES else {}
    params |= {first: window[0], last: window[1]}
    answer = vendors.get(TALENOM, path, vendors.headers(TALENOM), **params)
    assert answer.status_code == 400
    assert first in answer.json()["error"] or last in answer.json()["error"]


def test_a_balance_counts_its_day_in(vendors: Vendors) -> None:
    headers = vendors.headers(TALENOM)
    path = "/fi/general-ledger/v1/account-balances/14222"

    def saldo(day: str) -> Decimal:
        answer = vendors.get(TALENOM, path, headers, date=day, accountNumbers="3000")
        (row,) = json.loads(answer.text, parse_float=Decimal)
        return Decimal(row["saldo"])

    rows = vendors.get(
        TALENOM,
        EVENTS,
        headers,
        pageIndex=0,
        pageSize=1000,
        fromDate="2025-03-01",
        toDate="2025-03-31",
        accountNumbers="3000",
    )
    booked = json.loads(rows.text, parse_float=Decimal)["results"]
    assert saldo("2025-03-31") - saldo("2025-02-28") == sum(row["debet"] - row["credit"] for row in booked)


def test_version_one_gives_the_same_vouchers_as_a_bare_array(vendors: Vendors) -> None:
    headers = vendors.headers(TALENOM)
    bare = vendors.get(TALENOM, VOUCHERS.replace("v2", "v1"), headers, pageSize=7).json()
    assert bare == vendors.get(TALENOM, VOUCHERS, headers, pageSize=7).json()["results"]


def test_events_want_their_page_and_at_most_ten_thousand_rows(vendors: Vendors) -> None:
    headers = vendors.headers(TALENOM)
    assert vendors.get(TALENOM, EVENTS, headers).status_code == 400
    assert vendors.get(TALENOM, EVENTS, headers, pageIndex=0, pageSize=10_001).status_code == 400
    page = vendors.get(TALENOM, EVENTS, headers, pageIndex=1, pageSize=10_000).json()
    assert (page["rowCount"], len(page["results"])) == (18_000, 8_000)


def test_the_page_number_can_be_an_offset(vendors: Vendors, sandbox: RunningSandbox) -> None:
    headers = vendors.headers(TALENOM)
    by_index = vendors.get(TALENOM, EVENTS, headers, pageIndex=1, pageSize=50).json()["results"]
    sandbox.settings("talenom", page_numbering="offset")
    by_offset = vendors.get(TALENOM, EVENTS, headers, pageIndex=50, pageSize=50).json()["results"]
    assert by_index == by_offset
    again = vendors.get(TALENOM, EVENTS, headers, pageIndex=1, pageSize=50).json()["results"]
    assert again[:-1] == vendors.get(TALENOM, EVENTS, headers, pageIndex=0, pageSize=50).json()["results"][1:]


def test_balances_and_accounts_want_their_parameters(vendors: Vendors) -> None:
    headers = vendors.headers(TALENOM)
    ledger = "/fi/general-ledger/v1"
    balances = f"{ledger}/account-balances/14222"
    accounts = f"{ledger}/chart-of-accounts/used-accounts/14222"
    assert vendors.get(TALENOM, balances, headers, date="2026-01-01").status_code == 400
    assert vendors.get(TALENOM, accounts, headers).status_code == 400
    reversed_ = {"fromDate": "2025-12-31", "toDate": "2025-01-01"}
    assert vendors.get(TALENOM, accounts, headers, **reversed_).status_code == 400
    found = vendors.get(TALENOM, balances, headers, date="2026-01-01", accountNumbers="3000,4000").json()
    assert [row["account"] for row in found] == ["3000", "4000"]
    named = vendors.get(TALENOM, accounts, headers, fromDate="2025-01-01", toDate="2025-12-31").json()
    assert {"number": "3000", "name": "Myynti 25,5 %"} in named


def test_invoices_come_by_limit_and_offset(vendors: Vendors) -> None:
    headers = vendors.headers(TALENOM)
    first = vendors.get(TALENOM, INVOICES, headers, limit=1000, offset=0).json()
    last = vendors.get(TALENOM, INVOICES, headers, limit=1000, offset=2000).json()
    assert (len(first), len(last)) == (1000, 600)
    assert vendors.get(TALENOM, INVOICES, headers, limit=10, offset=2600).json() == []
    assert vendors.get(TALENOM, INVOICES, headers, pageIndex=0).status_code == 400
    some = vendors.get(
        TALENOM,
        INVOICES,
        headers,
        dateType="updatedDateUtc",
        dateStart="2026-01-01",
        sortType="updatedDateUtc",
        sortDirect="desc",
    ).json()
    stamps = [row["updatedDateUtc"] for row in some]
    assert stamps == sorted(stamps, reverse=True)
    assert stamps[-1] >= "2026-01-01"


def test_contacts_can_be_read_and_made(vendors: Vendors) -> None:
    headers = vendors.headers(TALENOM)
    path = INVOICES.replace("invoices", "contacts")
    assert len(vendors.get(TALENOM, path, headers, limit=1000).json()) == 120
    url = vendors.connection(TALENOM)[0]["host"] + path
    assert vendors.http.post(url, json={"name": "Uusi Oy"}, headers=headers).status_code == 201
    assert vendors.http.post(url, json={}, headers=headers).status_code == 400


def test_there_are_as_many_rows_as_promised(vendors: Vendors) -> None:
    headers = vendors.headers(TALENOM)
    totals = {"vouchers": 0, "events": 0}
    for organization in ("14222", "14223", "14224"):
        vouchers = vendors.get(TALENOM, VOUCHERS.replace("14222", organization), headers, pageSize=1)
        events = vendors.get(TALENOM, EVENTS.replace("14222", organization), headers, pageIndex=0, pageSize=1)
        totals["vouchers"] += vouchers.json()["rowCount"]
        totals["events"] += events.json()["rowCount"]
    assert totals["vouchers"] > 30_000
    assert totals["events"] > 40_000
