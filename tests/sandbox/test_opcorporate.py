from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import requests

if TYPE_CHECKING:
    from airflow_provider_finauth.sandbox import RunningSandbox
    from tests.sandbox.asking import Vendors

OP = "opcorporate_default"
DATA = "/corporate-account-data"


def _transactions(version: str, account: dict[str, str]) -> str:
    return f"{DATA}/{version}/accounts/{quote(account['surrogateId'], safe='')}/transactions"


@pytest.mark.parametrize("files", [None, ("stranger.pem", "stranger.key")])
def test_nobody_gets_in_without_the_right_certificate(
    sandbox: RunningSandbox, http: requests.Session, files: tuple[str, str] | None
) -> None:
    cert = tuple(str(sandbox.folder / name) for name in files) if files else None
    with pytest.raises(requests.ConnectionError):
        http.post(f"{sandbox.tls_url}/corporate-oidc/v1/token", cert=cert, verify=sandbox.ca_file, data={})
    assert sandbox.stats("opcorporate")["token_requests"] == 0


def test_the_token_is_long_and_lives_900_seconds(vendors: Vendors) -> None:
    answer = vendors.client_credentials(OP).json()
    assert (answer["expires_in"], answer["token_type"]) == (900, "Bearer")
    assert answer["access_token"].count(".") == 4
    assert len(answer["access_token"]) == 1212


@pytest.mark.parametrize(
    ("changes", "status"),
    [({"scope": "x"}, 400), ({"client_secret": None}, 400), ({"client_secret": "wrong"}, 403)],
)
def test_a_token_is_refused(vendors: Vendors, changes: dict[str, Any], status: int) -> None:
    assert vendors.client_credentials(OP, **changes).status_code == status


def test_accounts(vendors: Vendors) -> None:
    headers = vendors.headers(OP)
    accounts = vendors.get(OP, f"{DATA}/v1/accounts", headers).json()
    assert len(accounts) == 4
    assert "/" in accounts[0]["surrogateId"]
    one = f"{DATA}/v1/accounts/{quote(accounts[0]['surrogateId'], safe='')}"
    assert vendors.get(OP, one, headers).json()["iban"] == accounts[0]["iban"]
    unescaped = f"{DATA}/v1/accounts/{accounts[0]['surrogateId']}"
    assert vendors.get(OP, unescaped, headers).status_code == 404


def test_an_iban_has_the_right_check_digits(vendors: Vendors) -> None:
    for account in vendors.get(OP, f"{DATA}/v1/accounts", vendors.headers(OP)).json():
        text = account["iban"][4:] + account["iban"][:4]
        assert int("".join(str(int(letter, 36)) for letter in text)) % 97 == 1
        assert len(account["iban"]) == 18


def test_a_request_id_must_be_a_uuid(vendors: Vendors) -> None:
    headers = vendors.headers(OP)
    path = f"{DATA}/v1/accounts"
    assert vendors.get(OP, path, {**headers, "X-Request-ID": "17"}).status_code == 400
    good = "6f2c8a54-5b0b-4b53-9d8e-0d3a7f1f9c11"
    assert vendors.get(OP, path, {**headers, "X-Request-ID": good}).status_code == 200


@pytest.mark.parametrize(("version", "limit"), [("v2", 150), ("v3", 1000)])
def test_transactions_have_the_versions_limit_and_names(vendors: Vendors, version: str, limit: int) -> None:
    headers = vendors.headers(OP)
    path = _transactions(version, vendors.get(OP, f"{DATA}/v1/accounts", headers).json()[0])
    page = vendors.get(OP, path, headers, fromTimestamp=0, maxPast=0, maxFuture=limit).json()
    assert len(page) == limit
    assert ("bookingCode" in page[0]) == (version == "v3")
    assert ("transactionTypeDescription" in page[0]) == (version == "v2")
    assert vendors.get(OP, path, headers, fromTimestamp=0, maxFuture=limit + 1).status_code == 400
    assert vendors.get(OP, path, headers, fromTimestamp=0, maxPast=1, maxFuture=limit).status_code == 400
    assert vendors.get(OP, path, headers, maxFuture=limit).status_code == 400
    assert vendors.get(OP, path, headers, fromTimestamp="2026-01-01").status_code == 400


@pytest.mark.parametrize("limit", [150, 1000])
def test_equal_timestamps_lie_across_the_end_of_a_page(vendors: Vendors, limit: int) -> None:
    headers = vendors.headers(OP)
    path = _transactions("v3", vendors.get(OP, f"{DATA}/v1/accounts", headers).json()[0])
    first = vendors.get(OP, path, headers, fromTimestamp=0, maxPast=0, maxFuture=limit).json()
    last = first[-1]["timestamp"]
    after = vendors.get(OP, path, headers, fromTimestamp=last, maxPast=0, maxFuture=10).json()
    seen = {row["objectId"] for row in first}
    missed = [row for row in after if row["timestamp"] == last and row["objectId"] not in seen]
    # Whoever goes on with the last timestamp plus one never sees these.
    assert missed


def test_a_walk_begins_with_what_is_of_that_microsecond(vendors: Vendors) -> None:
    headers = vendors.headers(OP)
    turn = int(datetime(2026, 10, 1, tzinfo=UTC).timestamp()) * 1_000_000
    for account in vendors.get(OP, f"{DATA}/v1/accounts", headers).json():
        for version in ("v2", "v3"):
            path = _transactions(version, account)
            at = vendors.get(OP, path, headers, fromTimestamp=turn, maxPast=1, maxFuture=3).json()
            stamps = [row["timestamp"] for row in at]
            # The last of September, two of October's first microsecond, and a later one.
            assert stamps[:3] == [turn - 1, turn, turn]
            assert stamps[3] > turn
            assert [row["bookingDate"] for row in at[:3]] == ["2026-09-30", "2026-10-01", "2026-10-01"]
            later = vendors.get(OP, path, headers, fromTimestamp=turn + 1, maxFuture=1).json()
            assert later == at[3:]


@pytest.mark.parametrize("text", ["", "1.5", "-1", "2026-10-01T00:00:00Z", "1" * 20])
def test_a_time_that_is_no_number_of_microseconds_is_refused(vendors: Vendors, text: str) -> None:
    headers = vendors.headers(OP)
    path = _transactions("v3", vendors.get(OP, f"{DATA}/v1/accounts", headers).json()[0])
    assert vendors.get(OP, path, headers, fromTimestamp=text, maxFuture=5).status_code == 400


def _walk(vendors: Vendors, path: str, headers: dict[str, str], limit: int) -> list[dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    since = 0
    while True:
        page = vendors.get(OP, path, headers, fromTimestamp=since, maxPast=0, maxFuture=limit).json()
        new = {row["objectId"]: row for row in page if row["objectId"] not in rows}
        if not new:
            return list(rows.values())
        rows |= new
        since = page[-1]["timestamp"]


def test_an_inclusive_walk_finds_every_transaction_and_the_balances_chain(vendors: Vendors) -> None:
    headers = vendors.headers(OP)
    accounts = vendors.get(OP, f"{DATA}/v1/accounts", headers).json()
    counts = []
    for account in accounts:
        rows = _walk(vendors, _transactions("v3", account), headers, 1000)
        counts.append(len(rows))
        stamps = [row["timestamp"] for row in rows]
        assert stamps == sorted(stamps)
        assert all(a["balanceAfter"] == b["balanceBefore"] for a, b in pairwise(rows))
        assert isinstance(rows[0]["amount"], str)
    assert sum(counts) == 30_000


def test_past_and_object_id(vendors: Vendors) -> None:
    headers = vendors.headers(OP)
    path = _transactions("v2", vendors.get(OP, f"{DATA}/v1/accounts", headers).json()[1])
    rows = vendors.get(OP, path, headers, fromTimestamp=0, maxFuture=150).json()
    middle = rows[75]
    around = vendors.get(OP, path, headers, objectId=middle["objectId"], maxPast=5, maxFuture=5).json()
    assert around == rows[70:80]
    assert vendors.get(OP, path, headers, objectId="nothing", maxFuture=5).status_code == 404
    both = vendors.get(OP, path, headers, objectId=middle["objectId"], fromTimestamp=0)
    assert both.status_code == 400


def test_a_whole_page_can_share_one_timestamp(vendors: Vendors, sandbox: RunningSandbox) -> None:
    sandbox.settings("op", equal_timestamps=160)
    headers = vendors.headers(OP)
    path = _transactions("v2", vendors.get(OP, f"{DATA}/v1/accounts", headers).json()[3])
    page = vendors.get(OP, path, headers, fromTimestamp=0, maxFuture=150).json()
    assert len({row["timestamp"] for row in page}) == 1
    again = vendors.get(OP, path, headers, fromTimestamp=page[-1]["timestamp"], maxFuture=150).json()
    assert again == page
    on = vendors.get(OP, path, headers, objectId=page[-1]["objectId"], maxFuture=150).json()
    assert on[1]["objectId"] not in {row["objectId"] for row in page}


def test_the_bank_is_on_its_own_port_only(sandbox: RunningSandbox, http: requests.Session) -> None:
    assert http.get(f"{sandbox.url}{DATA}/v1/accounts").status_code == 404
