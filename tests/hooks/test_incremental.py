"""Incremental pulls by each hook, over real sockets; Airflow's Variables are a dict."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_finauth.client.client import ApiClient
from airflow_provider_finauth.exceptions import ApiError, ConfigurationError, StoreUnavailableError
from airflow_provider_finauth.hooks.landax import LandaxHook
from airflow_provider_finauth.hooks.luca import LucaHook
from airflow_provider_finauth.hooks.oauth2api import OAuth2ApiHook
from airflow_provider_finauth.hooks.opcorporate import OPCorporateHook
from airflow_provider_finauth.hooks.talenom import TalenomHook
from airflow_provider_finauth.hooks.tradevest import TradevestHook
from airflow_provider_finauth.runtime import door, read_records
from tests.hooks.pulls import CUSTOMERS
from tests.hooks.support import ids
from tests.runtime.variables import FakeVariables

if TYPE_CHECKING:
    from airflow_provider_finauth.client.paging.base import Page, Pull
    from airflow_provider_finauth.pulls.records import Records
    from airflow_provider_finauth.sandbox import RunningSandbox
    from tests.hooks.support import SandboxConnections

ORGANIZATION = 14224
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeVariables:
    monkeypatch.setenv("AIRFLOW__FINAUTH__LOCK_DIR", str(tmp_path / "locks"))
    found = FakeVariables()
    found.install(monkeypatch)
    return found


@pytest.fixture
def ours(sandbox: RunningSandbox) -> Iterator[RunningSandbox]:
    """The sandbox, whose records are what they were when the test is over."""
    yield sandbox
    sandbox.reset()


def context(run: int = 1, map_index: int = -1) -> dict[str, Any]:
    return {
        "ti": SimpleNamespace(
            dag_id="the_dag", task_id="pull", run_id=f"scheduled__{run}", map_index=map_index
        )
    }


def ago(**how_long: float) -> str:
    """A moment so long ago, as the vendors write it."""
    return (datetime.now(UTC) - timedelta(**how_long)).strftime("%Y-%m-%dT%H:%M:%SZ")


def land(records: Records, run: int = 1, **options: Any) -> list[Any]:
    landed = records.collect(incremental="nightly", context=context(run), **options)
    assert isinstance(landed, list)
    return landed


def content(variables: FakeVariables, name: str = "nightly") -> dict[str, Any]:
    (found,) = [key for key in variables.values if key.startswith(f"finauth_incremental_{name}_")]
    read: dict[str, Any] = json.loads(variables.values[found])
    return read


def watermark(variables: FakeVariables) -> datetime:
    """How far the pull has come, as a moment: the vendors write it with fewer digits."""
    return datetime.fromisoformat(content(variables)["watermark"])


def pin(variables: FakeVariables, run: int, **window: str) -> None:
    """Give a run a window, as if it had begun before."""
    (name,) = [key for key in variables.values if key.startswith("finauth_incremental_")]
    known = json.loads(variables.values[name])
    known["windows"][f"the_dag/scheduled__{run}"] = {"pull/-1": window}
    variables.values[name] = json.dumps(known)


# Landax: the API filters, and its pages are told apart by positions.


def test_landax_loses_nothing_to_a_change_during_the_pull(
    connections: SandboxConnections, ours: RunningSandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A row that left the list would let others move up into pages that have been read."""
    walk = ApiClient.pages

    def pages(client: ApiClient, pull: Pull, **how: Any) -> Iterator[Page]:
        for page in walk(client, pull, **how):
            if page.number == 1:
                ours.records("landax", "Incidents", places=[0, 1, 2], at=ago(hours=-1))
            yield page

    incidents = LandaxHook().entities("Incidents", select="Id,ChangedDateTime")
    everything = set(ids(incidents, "Id"))
    monkeypatch.setattr(ApiClient, "pages", pages)
    first = LandaxHook().entities("Incidents", select="Id,ChangedDateTime")
    manifest = first.write_to(f"{tmp_path}/i.jsonl", incremental="nightly", context=context())
    assert set(ids(read_records(manifest), "Id")) == everything


def test_landax(connections: SandboxConnections, ours: RunningSandbox, variables: FakeVariables) -> None:
    def incidents() -> Records:
        return LandaxHook().entities("Incidents", select="Id,ChangedDateTime", since="2026-10-25")

    first = land(incidents())
    assert 0 < len(first) < 500
    newest = max(row["ChangedDateTime"] for row in first)
    assert content(variables)["watermark"] == newest
    (filtered,) = {dict(asked["query"])["filter"] for asked in ours.log("landax", "api")}
    assert filtered == "ChangedDateTime ge 2026-10-25T00:00:00Z"

    new = ours.records("landax", "Incidents", add=2, at=ago(minutes=5))["added"]
    changed = ours.records("landax", "Incidents", change=1, at=ago(minutes=4))["changed"]
    late = ours.records("landax", "Incidents", add=1, at="2026-10-31T20:00:00Z")["added"]
    future = ours.records("landax", "Incidents", add=1, at=ago(days=-3))["added"]
    found = {row["Id"] for row in land(incidents(), 2)}
    assert found >= {row["Id"] for row in (*new, *changed, *late)}
    assert not found & {row["Id"] for row in future}
    assert content(variables)["watermark"] == changed[0]["ChangedDateTime"]
    # Within the overlap what came before comes again.
    assert found & set(ids(first, "Id"))
    assert ids(land(incidents(), 3, overlap=0), "Id") == ids(changed, "Id")


def test_landax_tells_nothing_without_its_moment(connections: SandboxConnections) -> None:
    incidents = LandaxHook().entities("Incidents", select=["Id", "Subject"])
    with pytest.raises(ConfigurationError, match="'select' leaves out ChangedDateTime.*add it"):
        land(incidents)


# OP: keyset, exactly.


def test_op_transactions(
    connections: SandboxConnections, ours: RunningSandbox, variables: FakeVariables
) -> None:
    hook = OPCorporateHook()
    accounts = list(hook.accounts())

    def transactions(run: int, account: int = len(accounts) - 1, **options: Any) -> list[Any]:
        pulled = hook.transactions(accounts[account]["surrogateId"], since="2026-10-01")
        return land(pulled, run, **options)

    first = transactions(1)
    assert first
    list_name = f"transactions/{len(accounts) - 1}"
    (new,) = ours.records("op", list_name, add=1, at=ago(hours=1))["added"]
    ours.records("op", list_name, add=1, at=ago(days=-2))
    second = transactions(2)
    assert second[-1]["objectId"] == new["objectId"], "what bears a time to come is left to a later run"
    read = datetime.fromisoformat(content(variables)["watermark"])
    assert (read - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) == new["timestamp"]
    assert ids(transactions(3, overlap="0s"), "objectId") == [new["objectId"]]
    # Each account has a watermark of its own.
    before = len(variables.values)
    assert transactions(1, 0)
    assert len(variables.values) == before + 1


# Tradevest: the API's end is counted in, ours is not.


def test_tradevest_changelog(
    connections: SandboxConnections, ours: RunningSandbox, variables: FakeVariables
) -> None:
    hook = TradevestHook()
    first = land(hook.changelog("roles", since="2026-10-20", page_size=1000))
    assert watermark(variables) == datetime.fromisoformat(first[-1]["createdOn"])
    (new,) = ours.records("tradevest", "roles-changelog", add=1, at=ago(hours=3))["added"]
    second = land(hook.changelog("roles", page_size=1000), 2)
    assert second[-1]["entryId"] == new["entryId"]
    asked = dict(ours.log("tradevest", "api")[-1]["query"])
    # A row at the window's very end belongs to the next one.
    ours.records("tradevest", "roles-changelog", add=1, at=asked["endDate"])
    assert land(hook.changelog("roles", page_size=1000), 2) == second
    pin(variables, 3, since=asked["startDate"], until=ago(days=-1))
    assert len(land(hook.changelog("roles", page_size=1000), 3)) == len(second) + 1


def test_tradevest_orders_are_read_whole_and_told_apart_by_their_change(
    connections: SandboxConnections, sandbox: RunningSandbox, variables: FakeVariables
) -> None:
    hook = TradevestHook()
    person = sandbox.connections["tradevest_default"]["extra"]["requestor_id"]
    (wallet, *_) = [product["customerProductId"] for product in hook.customer_products(person)]
    everything = land(hook.orders(wallet))
    newest = max(row["modifiedOn"] for row in everything)
    assert watermark(variables) == datetime.fromisoformat(newest)
    again = land(hook.orders(wallet), 2, overlap="1d")
    lately = datetime.fromisoformat(newest) - DAY
    assert again == [row for row in everything if datetime.fromisoformat(row["modifiedOn"]) >= lately]
    assert 0 < len(again) < len(everything)


def test_tradevest_transactions_are_read_whole_and_told_apart_by_their_modification(
    connections: SandboxConnections, ours: RunningSandbox, variables: FakeVariables, tmp_path: Path
) -> None:
    hook = TradevestHook()
    manifest = hook.transactions(page_size=1000).write_to(
        f"{tmp_path}/all.jsonl", incremental="nightly", context=context()
    )
    everything = list(read_records(manifest))
    assert len(everything) == 20_000
    newest = max(row["modifiedOn"] for row in everything)
    assert watermark(variables) == datetime.fromisoformat(newest)
    done = ours.records("tradevest", "transactions", places=[0], add=1, at=ago(hours=3))
    again = land(hook.transactions(page_size=1000), 2, overlap="0s")
    lately = [row["transactionId"] for row in everything if row["modifiedOn"] == newest]
    new = [row["transactionId"] for row in done["changed"] + done["added"]]
    assert sorted(ids(again, "transactionId")) == sorted(lately + new)
    assert {row["transactionStatus"] for row in again if row["transactionId"] == new[0]} == {"MODIFIED"}


# Talenom: all periods but those that have been locked for long.


def test_talenom_vouchers(
    connections: SandboxConnections, ours: RunningSandbox, variables: FakeVariables, tmp_path: Path
) -> None:
    def pull(run: int) -> dict[str, Any]:
        vouchers = TalenomHook().vouchers(ORGANIZATION)
        manifest = vouchers.write_to(f"{tmp_path}/{run}.jsonl", incremental="nightly", context=context(run))
        assert isinstance(manifest, dict)
        return manifest

    def asked() -> list[dict[str, str]]:
        log = [dict(each["query"]) for each in ours.log("talenom", "api") if "/vouchers/" in each["path"]]
        return [each for each in log if each["pageIndex"] == "0"]

    first = pull(1)
    assert first["records"] == 5500
    assert asked() == [{"includePostings": "false", "pageIndex": "0", "pageSize": "1000"}]
    kept = list(read_records(first))
    assert first["checks"]["deleted"] == sum(row["voucherState"] == "Deleted" for row in kept) > 0
    assert first["watermark"] == max(row["updatedDateUtc"] for row in kept)
    assert set(first["window"]) == {"until"}
    locked = content(variables)["notes"]["locked"]
    # Of this organisation's years, which begin in April.
    assert set(locked) == {f"{year}-04-01/{year + 1}-03-31" for year in range(2021, 2025)}

    open_one = ours.records("talenom", f"vouchers/{ORGANIZATION}", places=[5400], at=ago(days=2))["changed"]
    deleted = ours.records(
        "talenom",
        f"vouchers/{ORGANIZATION}",
        places=[5401],
        at=ago(days=2),
        members={"voucherState": "Deleted", "updatedDateUtc": "2026-01-01T00:00:00Z",
                 "deletedDateUtc": ago(days=2)},
    )["changed"]  # fmt: skip
    second = pull(2)
    found = list(read_records(second))
    assert {row["id"] for row in found} >= {row["id"] for row in (*open_one, *deleted)}
    assert len(found) < 200
    assert second["checks"]["deleted"] >= 1
    # The window begins before the periods were first seen locked, so that they are read once more.
    assert len(asked()) == 2
    assert "dateFrom" not in asked()[-1]

    # They were seen locked long ago by now.
    name = next(name for name in variables.values if name.startswith("finauth_incremental"))
    known = content(variables)
    known["notes"]["locked"] = dict.fromkeys(known["notes"]["locked"], "2026-06-01T00:00:00Z")
    variables.values[name] = json.dumps(known)
    third = pull(3)
    assert [(each.get("dateFrom"), each.get("dateTo")) for each in asked()[2:]] == [
        (None, "2021-03-31"),
        ("2025-04-01", None),
    ]
    assert set(ids(read_records(third))) >= {row["id"] for row in (*open_one, *deleted)}
    assert third["checks"]["received"] < 2500


def test_talenom_periods_are_seen_locked_when_they_are_looked_at(
    connections: SandboxConnections, sandbox: RunningSandbox, variables: FakeVariables
) -> None:
    """Not when the window of a run ends that is cleared later: what changed between would never be read."""
    vouchers = TalenomHook().vouchers
    land(vouchers(ORGANIZATION, since="2026-09-01"))
    known = content(variables)
    del known["notes"]
    known["windows"]["the_dag/scheduled__1"]["pull/-1"]["until"] = ago(days=60)
    (name,) = [key for key in variables.values if key.startswith("finauth_incremental")]
    variables.values[name] = json.dumps(known)
    land(vouchers(ORGANIZATION, since="2026-09-01"))
    assert min(content(variables)["notes"]["locked"].values()) > ago(days=1)


def test_talenom_vouchers_from_a_date_on(
    connections: SandboxConnections, sandbox: RunningSandbox, variables: FakeVariables
) -> None:
    """The date is the voucher's: it narrows each pull, and has a watermark of its own."""
    hook = TalenomHook()
    some = land(hook.vouchers(ORGANIZATION, since="2026-09-01"))
    assert {row["voucherDate"] >= "2026-09-01" for row in some} == {True}
    assert len(some) == len(list(hook.vouchers(ORGANIZATION, since="2026-09-01")))
    assert land(hook.vouchers(ORGANIZATION, since="2026-09-15", states=iter(["Locked"])))
    assert len([name for name in variables.values if name.startswith("finauth_incremental")]) == 2
    assert len(land(hook.vouchers(ORGANIZATION, since="2026-09-01"), 2)) < len(some)


def test_talenom_invoices(connections: SandboxConnections, ours: RunningSandbox) -> None:
    hook = TalenomHook()
    assert len(land(hook.sales_invoices(ORGANIZATION))) == 800
    changed = ours.records("talenom", f"invoices/{ORGANIZATION}", change=3, at=ago(days=1))["changed"]
    found = land(hook.sales_invoices(ORGANIZATION), 2)
    assert set(ids(changed)) <= set(ids(found))
    assert len(found) < 50


# Any other API.


def test_any_list_that_tells_of_changes(
    connections: SandboxConnections, ours: RunningSandbox, variables: FakeVariables
) -> None:
    def items() -> Records:
        return OAuth2ApiHook().records(
            "/pages",
            paging="page_index",
            paging_options={"size": 1000},
            key="id",
            changed_field="updatedAt",
        )

    assert len(land(items())) == 2500
    (new,) = ours.records("generic", "items", add=1, at=ago(days=1))["added"]
    found = land(items(), 2)
    assert new["id"] in ids(found)
    assert len(found) < 500


def test_any_list_that_is_filtered(connections: SandboxConnections, sandbox: RunningSandbox) -> None:
    hook = OAuth2ApiHook()
    described = {"since_param": "from", "until_param": "to", "changed_field": "at", "records_path": "query"}
    land(hook.records("/echo", since="2026-10-01", **described))
    asked = dict(sandbox.log("generic", "api")[0]["query"])
    assert asked["from"] == "2026-10-01T00:00:00Z"
    assert asked["to"] <= ago()
    list(hook.records("/echo", since="2026-10-01", until="2026-10-02", **described))
    assert dict(sandbox.log("generic", "api")[1]["query"]) == {
        "from": "2026-10-01T00:00:00Z",
        "to": "2026-10-02T00:00:00Z",
    }
    for argument in ("since", "until"):
        with pytest.raises(ConfigurationError, match=f"'{argument}_param'"):
            hook.records("/echo", changed_field="at", **{argument: "2026-10-01"})


@pytest.mark.usefixtures("variables")
def test_any_list_that_is_filtered_from_its_beginning_only(
    connections: SandboxConnections, sandbox: RunningSandbox
) -> None:
    described = {"since_param": "from", "changed_field": "at", "records_path": "query"}
    land(OAuth2ApiHook().records("/echo", since="2026-10-01", **described))
    assert dict(sandbox.log("generic", "api")[0]["query"]) == {"from": "2026-10-01T00:00:00Z"}


def test_a_fraction_of_a_second_is_asked_for_as_the_whole_one(
    connections: SandboxConnections, sandbox: RunningSandbox
) -> None:
    """An API that knows nothing finer would leave out what the records' own time lets in."""
    described = {"since_param": "from", "until_param": "to", "changed_field": "at", "records_path": "query"}
    window = {"since": "2026-10-01T09:00:00.7Z", "until": "2026-10-01T10:00:00.2Z"}
    list(OAuth2ApiHook().records("/echo", **window, **described))
    assert dict(sandbox.log("generic", "api")[0]["query"]) == {
        "from": "2026-10-01T09:00:00Z",
        "to": "2026-10-01T10:00:01Z",
    }


# What cannot be.

IMPOSSIBLE: dict[str, tuple[Any, str]] = {
    "luca": (lambda: LucaHook().nodes(CUSTOMERS, "saleCustomers"), "has no filter by time of change"),
    "companies": (lambda: LucaHook().companies(), "Pull the whole list"),
    "events": (
        lambda: TalenomHook().general_ledger_events(1),
        "Pull the vouchers incrementally, with include_postings=True",
    ),
    "periods": (lambda: TalenomHook().accounting_periods(1), "pull them all"),
    "balances": (
        lambda: TalenomHook().account_balances(1, date="2026-01-01", account_numbers=[1]),
        "for each day that you want",
    ),
    "accounts": (lambda: OPCorporateHook().accounts(), "pull them all"),
    "entities": (lambda: TradevestHook().entities(), "the changelog 'entities'"),
    "products": (lambda: TradevestHook().customer_products("p"), "the changelog 'products'"),
    "any": (lambda: OAuth2ApiHook().records("/items"), "by 'changed_field'"),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_what_tells_of_no_changes_is_refused_and_says_what_to_do(
    connections: SandboxConnections, sandbox: RunningSandbox, variables: FakeVariables, name: str
) -> None:
    begin, text = IMPOSSIBLE[name]
    with pytest.raises(ConfigurationError, match="cannot be pulled incrementally") as caught:
        land(begin())
    assert text in str(caught.value)
    assert isinstance(caught.value, AirflowFailException)
    assert not variables.writes
    assert not any(counts["token_requests"] for counts in sandbox.stats().values())


@pytest.mark.parametrize("argument", ["limit", "until"])
def test_what_does_not_go_with_it(connections: SandboxConnections, argument: str) -> None:
    hook = LandaxHook()
    incidents = {
        "limit": lambda: hook.entities("Incidents").limit("5"),
        "until": lambda: hook.entities("Incidents", until="2026-10-31"),
    }[argument]()
    with pytest.raises(ConfigurationError, match=f"'{argument}' cannot be set together") as caught:
        land(incidents)
    assert caught.value.field == argument


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"incremental": "  "}, "incremental"),
        ({"incremental": 7}, "incremental"),
        ({"overlap": "soon"}, "overlap"),
        ({"overlap": "36h", "incremental": None}, "overlap"),
        ({"on_mismatch": "ignore"}, "on_mismatch"),
        ({"nested": "tree"}, "nested"),
        ({"max_records_per_file": "0"}, "max_records_per_file"),
    ],
)
def test_options_are_looked_at_first(
    connections: SandboxConnections, sandbox: RunningSandbox, options: dict[str, Any], field: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        LandaxHook().entities("Incidents").write_to(
            "x.jsonl", **{"incremental": "nightly", "context": context(), **options}
        )
    assert caught.value.field == field
    assert sandbox.stats("landax")["token_requests"] == 0


def test_empty_strings_of_templates_are_none(connections: SandboxConnections, tmp_path: Path) -> None:
    departments = LandaxHook().records("/api/v32/Departments", since="").limit("")
    assert len(departments.collect(incremental="", overlap="")) == 24
    manifest = departments.write_to(
        str(tmp_path / "x.jsonl"),
        format="",
        max_records_per_file="",
        partition_by="",
        incremental="",
        overlap="",
    )
    assert manifest["records"] == 24


# Files.


def test_a_file_replaced_holds_the_same_window(
    connections: SandboxConnections, ours: RunningSandbox, variables: FakeVariables, tmp_path: Path
) -> None:
    def pull(run: int) -> dict[str, Any]:
        incidents = LandaxHook().entities("Incidents", since="2026-10-25", orderby="Id")
        manifest = incidents.write_to(f"{tmp_path}/{run}.jsonl", incremental="nightly", context=context(run))
        assert isinstance(manifest, dict)
        return manifest

    first = pull(1)
    before = (tmp_path / "1.jsonl").read_bytes()
    assert first["watermark"] == content(variables)["watermark"]
    assert first["window"] == content(variables)["windows"]["the_dag/scheduled__1"]["pull/-1"]
    # A request a run: the same time, whatever has come in since.
    ours.records("landax", "Incidents", add=1, at=ago(days=-1))
    again = pull(1)
    assert (tmp_path / "1.jsonl").read_bytes() == before
    assert (again["window"], again["records"]) == (first["window"], first["records"])


def test_a_watermark_moves_only_when_the_file_is_there(
    connections: SandboxConnections,
    sandbox: RunningSandbox,
    variables: FakeVariables,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    target = tmp_path / "incidents.jsonl"

    def pull() -> Any:
        incidents = LandaxHook().entities("Incidents", since="2026-10-25", page_size=10)
        return incidents.write_to(str(target), incremental="nightly", context=context())

    sandbox.faults("landax", "status", status=404, skip=2)
    with pytest.raises(ApiError):
        pull()
    assert content(variables)["watermark"] is None
    assert not target.exists()

    folder = tmp_path / "a folder"
    target = folder
    folder.mkdir()
    with pytest.raises(Exception, match="folder"):
        pull()
    assert content(variables)["watermark"] is None

    # The file is there, but Airflow is not: the same window comes again.
    target = tmp_path / "incidents.jsonl"
    windows = content(variables)["windows"]
    with monkeypatch.context() as patch:

        def is_down(name: str, value: str, *, description: str) -> None:
            raise StoreUnavailableError("Airflow could not be asked")

        patch.setattr(door, "variable_set", is_down)
        with pytest.raises(StoreUnavailableError):
            pull()
    assert target.exists()
    assert content(variables)["watermark"] is None
    manifest = pull()
    assert content(variables) == {"watermark": manifest["watermark"], "windows": windows}


def test_the_window_is_pinned_before_the_first_request(
    connections: SandboxConnections, sandbox: RunningSandbox, variables: FakeVariables
) -> None:
    sandbox.faults("tradevest", "status", status=404)
    with pytest.raises(ApiError):
        land(TradevestHook().changelog("roles", since="2026-10-20"))
    asked = dict(sandbox.log("tradevest", "api")[0]["query"])["endDate"]
    assert content(variables)["windows"]["the_dag/scheduled__1"]["pull/-1"]["until"] == asked


def test_the_manifest_tells_what_was_held_against_what(
    connections: SandboxConnections, variables: FakeVariables, tmp_path: Path
) -> None:
    records = TradevestHook().changelog("roles", since="2026-10-20")
    manifest = records.write_to(f"{tmp_path}/c.jsonl", incremental="nightly", context=context())
    assert isinstance(manifest, dict)
    checks = manifest["checks"]
    assert checks["received"] == manifest["records"] > 0
    assert checks["outside_window"] == checks["undated"] == checks["cycles"] == 0
    assert json.loads(json.dumps(manifest)) == manifest
