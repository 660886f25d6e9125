"""Lists as long as one asks for, and rows that come in and change."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import psutil
import pytest

from airflow_provider_finauth.sandbox import running_sandbox
from airflow_provider_finauth.sandbox.table import Table, View
from airflow_provider_finauth.sandbox.values import ENCODER
from tests.sandbox.asking import Vendors

if TYPE_CHECKING:
    from collections.abc import Callable

    import requests

    from airflow_provider_finauth.sandbox import RunningSandbox

TALENOM, LANDAX, TRADEVEST, GENERIC = (
    "talenom_default",
    "landax_default",
    "tradevest_default",
    "oauth2api_default",
)
OP = "opcorporate_default"
VOUCHERS = "/fi/general-ledger/v2/vouchers/14222"
LATE = "2026-10-31T10:00:00Z"


def table(**more: Any) -> Table:
    return Table(
        lambda: [{"id": n, "at": f"2026-01-0{n + 1}", "name": "kept"} for n in range(5)],
        vary=lambda row, n, count: {"id": n, "at": f"2026-01-{1 + 28 * n // count:02d}"},
        touch=lambda at, new: {"at": at.isoformat()[:10]},
        **more,
    )


def ids(table: Table) -> list[int]:
    return [row["id"] for row in table.rows]


def at(day: int) -> datetime:
    return datetime(2026, 1, day, tzinfo=UTC)


def test_a_table_keeps_its_rows_until_it_is_told_to_grow() -> None:
    rows = table()
    assert rows.rows is rows.rows
    assert rows.raw[0] is rows.raw[0]
    rows.reset(1_000_000)
    assert len(rows) == len(rows.rows) == len(rows.raw) == 1_000_000
    assert rows.row(999_999) == {"id": 999_999, "at": "2026-01-28", "name": "kept"}
    assert [row["id"] for row in rows.rows[10:13]] == [10, 11, 12]
    assert [bytes(raw) for raw in rows.raw[10:12]] == [ENCODER.encode(rows.row(n)) for n in (10, 11)]
    assert rows.rows[-1] == rows.row(999_999)
    with pytest.raises(IndexError):
        rows.rows[1_000_000]
    rows.reset()
    assert ids(rows) == [0, 1, 2, 3, 4]


def test_what_comes_in_stands_at_the_end_or_at_the_front_or_in_order() -> None:
    plain, front, ordered = table(), table(newest_first=True), table(order=lambda row: row["at"])
    for rows in (plain, front, ordered):
        assert [row["id"] for row in rows.add(2, at(3), {"name": "new"})] == [5, 6]
    assert ids(plain) == [0, 1, 2, 3, 4, 5, 6]
    assert ids(front) == [6, 5, 0, 1, 2, 3, 4]
    assert ids(ordered) == [0, 1, 2, 5, 6, 3, 4]
    assert ordered.row(3) == {"id": 5, "at": "2026-01-03", "name": "new"}
    assert [ordered.place(number) for number in range(7)] == [0, 1, 2, 5, 6, 3, 4]
    with pytest.raises(ValueError, match="7"):
        ordered.place(7)


def test_a_change_moves_a_row_to_where_it_belongs_now() -> None:
    rows = table(order=lambda row: row["at"])
    assert rows.select("kept", lambda row: row["name"] == "kept")[:] != []
    (changed,) = rows.change([0], at(4), {"name": "changed"})
    assert changed == {"id": 0, "at": "2026-01-04", "name": "changed"}
    assert ids(rows) == [1, 2, 3, 0, 4]
    # A selection does not outlive what it was made of.
    assert list(rows.select("kept", lambda row: row["name"] == "kept")) == [0, 1, 2, 4]
    (again,) = rows.change([3], at(1), {})
    assert (again["name"], ids(rows)) == ("changed", [0, 1, 2, 3, 4])


def test_a_view_follows_its_table() -> None:
    rows = table()
    view = View(rows, lambda place, row: {"place": place, "id": row["id"]})
    assert list(view.rows) == [{"place": n, "id": n} for n in range(5)]
    assert list(view.select(None, lambda row: row["id"] > 3)) == [4]
    rows.add(1, None, {})
    assert (len(view), view.rows[5]) == (6, {"place": 5, "id": 5})
    assert list(view.select(None, lambda row: row["id"] > 3)) == [4, 5]


def test_a_list_without_a_rule_for_more_rows_stays_as_it_is() -> None:
    rows = Table(lambda: [{"id": 1}])
    for attempt in (lambda: rows.reset(5), lambda: rows.add(1, None, {}), lambda: rows.change([0], None, {})):
        with pytest.raises(ValueError, match="does not grow|do not change"):
            attempt()
    with pytest.raises(ValueError, match="There are 5 rows"):
        table().change([5], None, {})


def _pages(get: Callable[[int], list[Any]], size: int, total: int) -> set[Any]:
    """Fetch the first page, one from the middle, and the last, and give the keys in them."""
    seen: set[Any] = set()
    for start in (0, total // 2, total - size):
        page = get(start)
        assert len(page) == size
        seen |= set(page)
    assert len(seen) == 3 * size
    assert not get(total)
    return seen


# One server of many records a module; each test asks it for little.
TOTAL = 100_000


@pytest.fixture(scope="module")
def large() -> Any:
    with running_sandbox(records=TOTAL) as sandbox:
        yield sandbox


@pytest.fixture
def asked(large: RunningSandbox, http: requests.Session) -> Vendors:
    large.reset()
    return Vendors(large, http)


def test_a_hundred_thousand_records_of_each_api(asked: Vendors, large: RunningSandbox) -> None:
    (server,) = (
        process
        for process in psutil.Process(os.getpid()).children()
        if f"--records={TOTAL}" in process.cmdline()
    )
    headers = {conn_id: asked.headers(conn_id) for conn_id in (TALENOM, LANDAX, TRADEVEST, GENERIC, OP)}

    def get(conn_id: str, path: str, **params: Any) -> Any:
        answer = asked.get(conn_id, path, headers[conn_id], **params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def talenom(path: str) -> Callable[[int], list[Any]]:
        def page(start: int) -> list[Any]:
            found = get(TALENOM, path, pageIndex=start // 1000, pageSize=1000)
            assert (found["rowCount"], found["pageCount"]) == (TOTAL, 100)
            return [row["id"] for row in found["results"]]

        return page

    _pages(talenom(VOUCHERS), 1000, TOTAL)
    _pages(talenom("/fi/general-ledger/v1/general-ledger-events/14222"), 1000, TOTAL)
    invoices = "/fi/sales/v1/14222/invoices"
    _pages(lambda start: [row["id"] for row in get(TALENOM, invoices, limit=1000, offset=start)], 1000, TOTAL)
    incidents = "/api/v32/Incidents"
    _pages(
        lambda start: [row["Id"] for row in get(LANDAX, incidents, skip=start, top=1000)["value"]],
        1000,
        TOTAL,
    )
    _pages(
        lambda start: [row["id"] for row in get(GENERIC, "/offsets", limit=1000, offset=start)["items"]],
        1000,
        TOTAL,
    )
    memory = server.memory_info().rss
    # The same again takes none: nothing is kept of what was served but what tells it apart.
    for _ in range(3):
        _pages(talenom(VOUCHERS), 1000, TOTAL)
    assert server.memory_info().rss - memory < 5 * 2**20


def test_op_counts_on_without_a_gap(asked: Vendors) -> None:
    headers = asked.headers(OP)
    (surrogate, *_) = (
        row["surrogateId"] for row in asked.get(OP, "/corporate-account-data/v1/accounts", headers).json()
    )
    path = f"/corporate-account-data/v3/accounts/{quote(surrogate, safe='')}/transactions"
    first = asked.get(OP, path, headers, fromTimestamp=0, maxPast=0, maxFuture=1000).json()
    last = asked.get(OP, path, headers, fromTimestamp=10**17, maxPast=1000, maxFuture=0).json()
    for page in (first, last):
        assert len(page) == 1000
        stamps = [row["timestamp"] for row in page]
        assert stamps == sorted(stamps)
        # Some share a microsecond, and all are told apart.
        assert len(set(stamps)) < len({row["objectId"] for row in page}) == 1000
        for one, following in pairwise(page):
            assert one["balanceAfter"] == following["balanceBefore"]
    place = last[500]["objectId"]
    around = asked.get(OP, path, headers, objectId=place, maxPast=1, maxFuture=1).json()
    assert [row["objectId"] for row in around] == [last[499]["objectId"], place]


def test_luca_walks_to_the_end_of_many(asked: Vendors) -> None:
    query = """query Q($after: String) { saleInvoices(first: 100, after: $after) {
        nodes { id invoiceNumber } pageInfo { hasNextPage endCursor } } }"""
    first = asked.graphql(query).json()["data"]["saleInvoices"]
    assert first["pageInfo"]["hasNextPage"]
    # Luca's cursors are positions.
    last = asked.graphql(query, variables={"after": "OTk5MDA"}).json()["data"]["saleInvoices"]
    assert len(last["nodes"]) == 100
    assert not last["pageInfo"]["hasNextPage"]
    assert last["nodes"][-1]["invoiceNumber"] == 1001
    assert not {row["id"] for row in first["nodes"]} & {row["id"] for row in last["nodes"]}


def test_a_changed_row_is_found_by_its_time(vendors: Vendors, sandbox: RunningSandbox) -> None:
    headers = vendors.headers(LANDAX)

    def since(moment: str) -> dict[int, str]:
        filter_ = f"ChangedDateTime ge {moment}"
        rows = vendors.get(LANDAX, "/api/v32/Incidents", headers, filter=filter_).json()["value"]
        return {row["Id"]: row["ChangedDateTime"] for row in rows}

    assert since("2026-11-01T00:00:00Z") == {}
    before = datetime.now(UTC) - timedelta(seconds=2)
    done = sandbox.records("landax", "Incidents", change=1, add=2, members={"Subject": "Ny"})
    assert done["records"] == 12_502
    assert [row["Id"] for row in done["changed"] + done["added"]] == [1, 12_501, 12_502]
    assert {row["Subject"] for row in done["changed"] + done["added"]} == {"Ny"}
    found = since(before.strftime("%Y-%m-%dT%H:%M:%SZ"))
    assert set(found) == {1, 12_501, 12_502}
    # A row that comes late, and one of a clock that goes fast.
    sandbox.records("landax", "Incidents", places=[4], at=LATE)
    sandbox.records("landax", "Incidents", places=[5], at="2999-01-01T00:00:00Z")
    assert (5, LATE) in since(LATE).items()
    assert since("2998-01-01T00:00:00Z") == {6: "2999-01-01T00:00:00Z"}
    sandbox.reset()
    headers = vendors.headers(LANDAX)
    assert since("2026-11-01T00:00:00Z") == {}


def test_what_came_in_counts_in_totals_and_a_deleted_voucher_says_so(
    vendors: Vendors, sandbox: RunningSandbox
) -> None:
    headers = vendors.headers(TALENOM)
    deleted = {"voucherState": "Deleted", "deletedDateUtc": LATE}
    sandbox.records("talenom", "vouchers/14222", places=[3], at=LATE, members=deleted)
    (new,) = sandbox.records("talenom", "vouchers/14222", add=1, at=LATE)["added"]
    page = vendors.get(TALENOM, VOUCHERS, headers, pageIndex=0, pageSize=10).json()
    assert page["rowCount"] == 15_001
    assert page["results"][3] == {**page["results"][3], **deleted, "updatedDateUtc": LATE}
    assert "postings" not in page["results"][3]
    day = vendors.get(TALENOM, VOUCHERS, headers, dateFrom="2026-10-31", includePostings="true").json()
    assert day["results"][-1]["id"] == new["id"]
    assert len(day["results"][-1]["postings"]) == 3
    # A changed record is another one to whoever counts what was served.
    unique = sandbox.stats("talenom")["unique_records_served"]
    sandbox.records("talenom", "vouchers/14222", places=[3], members={"description": "Muutettu"})
    vendors.get(TALENOM, VOUCHERS, headers, pageIndex=0, pageSize=10)
    assert sandbox.stats("talenom")["unique_records_served"] == unique + 1


def test_a_late_transaction_stands_where_its_time_says(vendors: Vendors, sandbox: RunningSandbox) -> None:
    headers = vendors.headers(OP)
    accounts = vendors.get(OP, "/corporate-account-data/v1/accounts", headers).json()
    path = f"/corporate-account-data/v3/accounts/{quote(accounts[0]['surrogateId'], safe='')}/transactions"
    (late,) = sandbox.records("op", "transactions/0", add=1, at=LATE)["added"]
    stamp = late["timestamp"]
    assert stamp == int(datetime.fromisoformat(LATE).timestamp()) * 1_000_000
    rows = vendors.get(OP, path, headers, objectId=late["objectId"], maxPast=2, maxFuture=3).json()
    stamps = [row["timestamp"] for row in rows]
    assert stamps == sorted(stamps)
    assert stamps[2] == stamp
    with pytest.raises(ValueError, match="does not change"):
        sandbox.records("op", "transactions/0", change=1)


def test_logs_and_items_keep_the_order_of_time(vendors: Vendors, sandbox: RunningSandbox) -> None:
    (entry,) = sandbox.records("tradevest", "roles-changelog", add=1, at=LATE)["added"]
    headers = vendors.headers(TRADEVEST)
    rows = vendors.get(TRADEVEST, "/roles-changelog", headers, limit=1000, startDate=LATE).json()["data"]
    assert rows[0] == entry
    assert entry["createdOn"] == LATE.replace("Z", ".000Z")
    sandbox.records("oauth2api", "items", places=[0], at="2026-06-01T00:00:00Z")
    rows = vendors.get(GENERIC, "/keyset", vendors.headers(GENERIC), since="2026-05-31T00:00:00Z").json()
    assert [row["id"] for row in rows] == [1]


def test_a_transaction_tells_when_it_came_in_and_when_it_was_modified(
    vendors: Vendors, sandbox: RunningSandbox
) -> None:
    headers = vendors.headers(TRADEVEST)
    (before,) = vendors.get(TRADEVEST, "/transactions", headers, limit=1).json()["data"]
    done = sandbox.records("tradevest", "transactions", places=[0], add=1, at="2026-10-31T12:00:00.125+02:00")
    at = {"modifiedOn": "2026-10-31T10:00:00.125Z"}
    (changed,), (added,) = done["changed"], done["added"]
    assert changed == {**before, "transactionStatus": "MODIFIED", **at}
    assert (added["createdOn"], added["bookingDate"]) == (at["modifiedOn"], "2026-10-31")
    assert (added["transactionStatus"], added["modifiedOn"]) == ("COMPLETED", at["modifiedOn"])
    for row in (changed, added):
        path = f"/transactions/{row['transactionId']}"
        assert vendors.get(TRADEVEST, path, headers).json() == row


def test_luca_shows_what_came_in_first(vendors: Vendors, sandbox: RunningSandbox) -> None:
    (new,) = sandbox.records("luca", "saleInvoices/0", add=1, at=LATE)["added"]
    found = vendors.graphql("{ saleInvoices(first: 2) { nodes { id invoiceDate } } }").json()
    assert found["data"]["saleInvoices"]["nodes"][0] == {"id": new["id"], "invoiceDate": LATE[:10]}


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"name": "Departments"}, "No list 'Departments'"),
        ({"add": -1}, "add must be"),
        ({"total": 0}, "total must be"),
        ({"change": True}, "change must be"),
        ({"colour": 1}, "No option colour"),
        ({"at": "yesterday", "add": 1}, "isoformat"),
        ({"places": [99_999]}, "There are"),
        ({"places": "all"}, "places must be"),
        ({"members": 1}, "members must be"),
    ],
)
def test_what_cannot_be_is_refused(sandbox: RunningSandbox, options: dict[str, Any], text: str) -> None:
    given = {"name": "Incidents", **options}
    with pytest.raises(ValueError, match=text):
        sandbox.records("landax", given.pop("name"), **given)
    with pytest.raises(ValueError, match="No API"):
        sandbox.records("nobody", "Incidents")
