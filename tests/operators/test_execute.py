"""What operators return, over real sockets."""

from __future__ import annotations

import json
from decimal import Decimal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_finauth.exceptions import ConfigurationError, ForbiddenError, ResultTooLargeError
from airflow_provider_finauth.hooks.opcorporate import OPCorporateHook
from airflow_provider_finauth.operators.landax import LandaxEntitiesOperator, LandaxRequestOperator
from airflow_provider_finauth.operators.luca import (
    LucaGraphQLOperator,
    LucaNodesOperator,
    LucaRequestOperator,
)
from airflow_provider_finauth.operators.oauth2api import OAuth2ApiRecordsOperator, OAuth2ApiRequestOperator
from airflow_provider_finauth.operators.opcorporate import (
    OPCorporateAccountsOperator,
    OPCorporateRequestOperator,
    OPCorporateTransactionsOperator,
)
from airflow_provider_finauth.operators.talenom import (
    TalenomAccountingPeriodsOperator,
    TalenomGeneralLedgerEventsOperator,
    TalenomRequestOperator,
    TalenomSalesInvoicesOperator,
    TalenomVouchersOperator,
)
from airflow_provider_finauth.operators.tradevest import (
    TradevestChangelogOperator,
    TradevestRequestOperator,
    TradevestTransactionsOperator,
)
from airflow_provider_finauth.runtime import read_records
from tests.hooks.pulls import CUSTOMERS
from tests.hooks.support import AT_ONCE
from tests.runtime.variables import FakeVariables

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_finauth.sandbox import RunningSandbox
    from tests.hooks.support import SandboxConnections

CONTEXT: Any = {
    "ti": SimpleNamespace(dag_id="the_dag", task_id="the_task", run_id="manual__2026", map_index=-1)
}
ORGANIZATION = 14224
YEAR = {"since": "2024-01-01", "until": "2025-01-01"}

# Operator, arguments, what it is called in the manifest, how many records.
PULLS: dict[str, tuple[type[Any], dict[str, Any], tuple[str, str], int]] = {
    "TalenomAccountingPeriods": (
        TalenomAccountingPeriodsOperator,
        {
            "organization_number": ORGANIZATION,
            "include_bookkeeping_periods": "True",
            "page_size": "4",
        },
        ("talenom", "accounting_periods"),
        6,
    ),
    "TalenomVouchers": (
        TalenomVouchersOperator,
        {
            "organization_number": str(ORGANIZATION),
            **YEAR,
            "states": ["Locked", "Draft"],
            "categories": ("Bank",),
            "include_postings": True,
            "page_size": "100",
        },
        ("talenom", "vouchers"),
        109,
    ),
    "TalenomGeneralLedgerEvents": (
        TalenomGeneralLedgerEventsOperator,
        {
            "organization_number": ORGANIZATION,
            **YEAR,
            "account_numbers": "3000, 1910",
            "category": "Bank",
            "page_size": 50,
        },
        ("talenom", "general_ledger_events"),
        70,
    ),
    "TalenomSalesInvoices": (
        TalenomSalesInvoicesOperator,
        {
            "organization_number": ORGANIZATION,
            **YEAR,
            "date_type": "dueDate",
            "status": "Paid",
            "page_size": 50,
        },
        ("talenom", "sales_invoices"),
        67,
    ),
    "OPCorporateAccounts": (OPCorporateAccountsOperator, {}, ("opcorporate", "accounts"), 4),
    "LandaxEntities": (
        LandaxEntitiesOperator,
        {
            "entity_set": "Incidents",
            "select": "Id,Severity",
            "filter": "Severity eq 5",
            "orderby": ["Id desc"],
            "expand": (),
            "since": "2026-01-01",
            "until": "2026-02-01",
            "page_size": "10",
        },
        ("landax", "Incidents"),
        52,
    ),
    "TradevestTransactions": (
        TradevestTransactionsOperator,
        {"page_size": "50", "limit": "120", "requestor_id": ""},
        ("tradevest", "transactions"),
        120,
    ),
    "TradevestChangelog": (
        TradevestChangelogOperator,
        {
            "kind": "roles",
            "since": "2026-01-01",
            "until": "2026-02-01",
            "page_size": 20,
            "requestor_id": "another",
        },
        ("tradevest", "roles_changelog"),
        68,
    ),
    "LucaNodes": (
        LucaNodesOperator,
        {"query": CUSTOMERS, "connection_path": "saleCustomers", "page_size": "60", "verify": "False"},
        ("luca", "saleCustomers"),
        160,
    ),
    "OAuth2ApiRecords": (
        OAuth2ApiRecordsOperator,
        {
            "path": "/offsets",
            "query": {},
            "paging": "limit_offset",
            "paging_options": {"size": "1000"},
            "records_path": "items",
            "key": "id",
            "total": "total",
            "headers": {"X-Own": "1"},
        },
        ("oauth2api", "offsets"),
        2500,
    ),
}


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeVariables:
    monkeypatch.setenv("AIRFLOW__FINAUTH__LOCK_DIR", str(tmp_path / "locks"))
    found = FakeVariables()
    found.install(monkeypatch)
    return found


def run(operator: type[Any], **arguments: Any) -> Any:
    return operator(task_id="the_task", **arguments).execute(CONTEXT)


@pytest.mark.parametrize("name", PULLS)
def test_records_or_a_manifest(
    connections: SandboxConnections, sandbox: RunningSandbox, tmp_path: Path, name: str
) -> None:
    operator, arguments, described, count = PULLS[name]
    records = run(operator, **arguments)
    assert isinstance(records, list)
    assert len(records) == count
    # As they are, they go through XCom and back.
    assert json.loads(json.dumps(records)) == records

    target = tmp_path / "records.jsonl"
    manifest = run(operator, **arguments, destination=str(target))
    assert (manifest["api"], manifest["resource"]) == described
    assert (manifest["records"], manifest["uri"], manifest["format"]) == (count, target.as_uri(), "jsonl")
    assert manifest["bytes"] == target.stat().st_size
    window = {argument: arguments[argument] for argument in ("since", "until") if argument in arguments}
    assert manifest["window"] == (window or None)
    assert json.loads(json.dumps(manifest)) == manifest
    kept = list(read_records(manifest))
    assert json.loads(json.dumps(kept, default=str)) == records
    assert sandbox.stats(described[0])["token_requests"] == (name != "LucaNodes")


def test_transactions_of_an_account(
    connections: SandboxConnections, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    account = list(OPCorporateHook().accounts())[-1]["surrogateId"]
    arguments = {"surrogate_id": account, "since": "2026-06-01", "until": "2026-07-01T00:00:00+00:00"}
    records = run(OPCorporateTransactionsOperator, **arguments)
    assert {record["bookingDate"][:7] for record in records} == {"2026-06"}
    manifest = run(
        OPCorporateTransactionsOperator, **arguments, destination=f"{tmp_path}/", format="jsonl.gz"
    )
    assert manifest["uri"].endswith("/the_dag/the_task/manual__2026/-1.jsonl.gz")
    assert list(read_records(manifest)) == records


def test_what_was_asked(connections: SandboxConnections, sandbox: RunningSandbox) -> None:
    """Every argument arrives."""
    run(TalenomVouchersOperator, **PULLS["TalenomVouchers"][1])
    assert sandbox.log("talenom", "api")[0]["query"] == [
        ["dateFrom", "2024-01-01"],
        ["dateTo", "2024-12-31"],
        ["voucherState", "Locked"],
        ["voucherState", "Draft"],
        ["category", "Bank"],
        ["includePostings", "true"],
        ["pageIndex", "0"],
        ["pageSize", "100"],
    ]
    run(LandaxEntitiesOperator, **PULLS["LandaxEntities"][1])
    assert dict(sandbox.log("landax", "api")[0]["query"]) == {
        "select": "Id,Severity",
        "filter": "(Severity eq 5) and ChangedDateTime ge 2026-01-01T00:00:00Z"
        " and ChangedDateTime lt 2026-02-01T00:00:00Z",
        "orderby": "Id desc",
        "skip": "0",
        "top": "10",
    }
    run(TradevestTransactionsOperator, **PULLS["TradevestTransactions"][1])
    run(TradevestChangelogOperator, **PULLS["TradevestChangelog"][1])
    log = sandbox.log("tradevest", "api")
    assert "requestor-id" not in log[0]["headers"]
    assert log[-1]["headers"]["requestor-id"] == "another"
    run(OAuth2ApiRecordsOperator, **PULLS["OAuth2ApiRecords"][1])
    assert "x-own" in sandbox.log("generic", "api")[0]["header_names"]


# Any request.

REQUESTS: dict[str, tuple[type[Any], dict[str, Any], Callable[[Any], Any]]] = {
    "talenom": (
        TalenomRequestOperator,
        {
            "path": "/fi/general-ledger/v1/chart-of-accounts/used-accounts/14222",
            "query": {"fromDate": "2024-01-01", "toDate": "2024-12-31"},
        },
        lambda answer: len(answer) == 11,
    ),
    "opcorporate": (
        OPCorporateRequestOperator,
        {"path": "/corporate-account-data/v1/accounts"},
        lambda answer: len(answer) == 4,
    ),
    "landax": (
        LandaxRequestOperator,
        {"path": "/api/v32/Incidents(7)", "method": "PUT", "json": {"Severity": 2}, "idempotent": "True"},
        lambda answer: answer["Severity"] == 2,
    ),
    "tradevest": (
        TradevestRequestOperator,
        {
            "path": "/transfers",
            "method": "POST",
            "json": {"externalId": "t-1"},
            "headers": {"Requestor-ID": "another"},
        },
        lambda answer: answer["externalId"] == "t-1",
    ),
    "luca": (
        LucaRequestOperator,
        {"path": "/api/v1/graphql", "method": "POST", "json": {"query": "{ companies { nodes { id } } }"}},
        lambda answer: len(answer["data"]["companies"]["nodes"]) == 1,
    ),
    "oauth2api": (
        OAuth2ApiRequestOperator,
        {"path": "/echo", "method": "PATCH", "data": {"a": "1"}, "headers": {"X-Own": "1"}},
        lambda answer: answer["method"] == "PATCH" and "x-own" in answer["headers"],
    ),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_any_request(connections: SandboxConnections, sandbox: RunningSandbox, name: str) -> None:
    operator, arguments, is_right = REQUESTS[name]
    assert is_right(run(operator, **arguments))
    counts = sandbox.stats({"oauth2api": "generic"}.get(name, name))
    assert counts["api_requests"] == 1
    if name == "tradevest":
        assert counts["log"][-1]["headers"]["requestor-id"] == "another"


@pytest.mark.parametrize("name", REQUESTS)
def test_any_request_ends_the_task_where_it_is_forbidden(
    connections: SandboxConnections, sandbox: RunningSandbox, name: str
) -> None:
    operator, arguments, _ = REQUESTS[name]
    sandbox.faults({"oauth2api": "generic"}.get(name, name), "status", status=403)
    with pytest.raises(ForbiddenError) as caught:
        run(operator, **arguments)
    assert isinstance(caught.value, AirflowFailException)


def test_answers_of_other_kinds(connections: SandboxConnections) -> None:
    assert run(TradevestRequestOperator, path="/webhooks/7", method="DELETE") is None
    content = {"path": "/api/v32/Documents/GetContent", "query": {"documentid": 1}}
    # Not ready yet: 202 and nothing.
    assert [run(LandaxRequestOperator, **content) for _ in range(2)] == [None, None]
    assert run(LandaxRequestOperator, **content).startswith("%PDF")


def test_amounts_go_through_xcom_exactly(connections: SandboxConnections) -> None:
    (price, *_) = run(TradevestRequestOperator, path="/prices")["data"]
    assert price["price"] == "94123.50"
    (event,) = run(TalenomGeneralLedgerEventsOperator, organization_number=ORGANIZATION, limit=1)
    assert {type(event[name]) for name in ("debet", "credit")} == {str}
    assert Decimal(event["debet"]).as_tuple().exponent == -2


def test_graphql(connections: SandboxConnections, sandbox: RunningSandbox) -> None:
    query = (
        "query Some($first: Int) { companies(first: $first) { nodes { id } } saleProducts { nodes { id } } }"
    )
    data = run(LucaGraphQLOperator, query=query, variables={"first": 1})
    assert len(data["companies"]["nodes"]) == 1
    sandbox.faults("luca", "graphql_partial", code="NOT_FOUND", field="saleProducts")
    partial = run(LucaGraphQLOperator, query=query, variables={"first": 1}, allow_partial="True")
    assert partial["data"]["saleProducts"] is None
    assert len(partial["errors"]) == 1
    mutation = "mutation { saleInvoiceSend(id: 1) { saleInvoice { id } } }"
    sandbox.faults("luca", "graphql_error", code="TIMEOUT")
    asked = sandbox.stats("luca")["api_requests"]
    with pytest.raises(Exception, match="TIMEOUT"):
        run(LucaGraphQLOperator, query=mutation, idempotent="False")
    assert sandbox.stats("luca")["api_requests"] == asked + 1


# Landing.


def test_every_landing_option_arrives(connections: SandboxConnections, tmp_path: Path) -> None:
    """As texts, as templates give them."""
    manifest = run(
        LandaxEntitiesOperator,
        entity_set="Incidents",
        since="2026-10-01",
        destination=f"{tmp_path}/incidents",
        format="csv.gz",
        max_records_per_file="100",
        partition_by="ChangedDateTime",
        nested="json",
        on_mismatch="warn",
        incremental="",
        overlap="",
        resumable="False",
        limit="",
    )
    assert manifest["format"] == "csv.gz"
    partitions = {file["partition"] for file in manifest["files"]}
    assert len(partitions) > 5
    assert all(file["records"] <= 100 for file in manifest["files"])
    assert len(list(read_records(manifest))) == manifest["records"] == manifest["checks"]["received"]


def test_an_incremental_operator(
    connections: SandboxConnections, variables: FakeVariables, tmp_path: Path
) -> None:
    arguments = {
        "kind": "roles",
        "since": "2026-10-01",
        "incremental": "nightly",
        "overlap": "2d",
        "destination": f"{tmp_path}/",
    }
    manifest = run(TradevestChangelogOperator, **arguments)
    (value,) = [value for name, value in variables.values.items() if "nightly" in name]
    kept = json.loads(value)
    assert kept["watermark"] == manifest["watermark"]
    assert kept["windows"] == {"the_dag/manual__2026": {"the_task/-1": manifest["window"]}}
    # The same run, cleared.
    assert run(TradevestChangelogOperator, **arguments)["window"] == manifest["window"]


def test_outlets_are_told(connections: SandboxConnections, tmp_path: Path) -> None:
    from airflow.providers.common.compat.sdk import Asset

    asset = Asset(uri="s3://bucket/incidents.jsonl")
    event = SimpleNamespace(extra={})
    context = {**CONTEXT, "outlet_events": {asset: event}}
    arguments: Any = {"task_id": "the_task", "entity_set": "Departments", "outlets": [asset]}
    records = LandaxEntitiesOperator(**arguments).execute(context)
    assert len(records) == 24
    assert event.extra == {}, "what went to XCom is nowhere to be read"
    manifest = LandaxEntitiesOperator(**arguments, destination=f"{tmp_path}/a.jsonl").execute(context)
    assert event.extra == manifest


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("format", "jsonl"),
        ("max_records_per_file", 5),
        ("partition_by", "date"),
        ("nested", "struct"),
        ("resumable", True),
    ],
)
def test_what_needs_a_destination_is_named(
    connections: SandboxConnections, sandbox: RunningSandbox, argument: str, value: Any
) -> None:
    with pytest.raises(ConfigurationError, match="but 'destination' is not") as caught:
        run(LandaxEntitiesOperator, entity_set="Departments", **{argument: value})
    assert caught.value.field == argument
    assert isinstance(caught.value, AirflowFailException)
    assert sandbox.stats("landax")["token_requests"] == 0


def test_strings_of_templates_that_say_nothing_of_files(connections: SandboxConnections) -> None:
    nothing = {"format": "", "max_records_per_file": "", "partition_by": None, "resumable": "False"}
    assert len(run(LandaxEntitiesOperator, entity_set="Departments", **nothing)) == 24


# Limits.


@pytest.mark.parametrize(
    ("option", "value", "fits"),
    [
        ("MAX_XCOM_RECORDS", "5", False),
        ("MAX_XCOM_RECORDS", "6", True),
        ("MAX_XCOM_BYTES", "500", False),
        ("MAX_XCOM_BYTES", "100000", True),
    ],
)
def test_what_does_not_fit_into_xcom(
    connections: SandboxConnections,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    option: str,
    value: str,
    fits: bool,
) -> None:
    monkeypatch.setenv(f"AIRFLOW__FINAUTH__{option}", value)
    arguments = {"organization_number": ORGANIZATION}
    if fits:
        assert len(run(TalenomAccountingPeriodsOperator, **arguments)) == 6
        return
    with pytest.raises(ResultTooLargeError, match=rf"Set 'destination'.*{option.lower()}") as caught:
        run(TalenomAccountingPeriodsOperator, **arguments)
    assert isinstance(caught.value, AirflowFailException)
    # A file takes it.
    assert (
        run(TalenomAccountingPeriodsOperator, **arguments, destination=str(tmp_path / "a.jsonl"))["records"]
        == 6
    )


def test_one_answer_that_does_not_fit_into_xcom(
    connections: SandboxConnections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__FINAUTH__MAX_XCOM_BYTES", "100")
    with pytest.raises(ResultTooLargeError) as caught:
        run(TradevestRequestOperator, path="/prices")
    assert isinstance(caught.value, AirflowFailException)
    query = "{ companies { nodes { id name organisationNumber } } saleProducts { nodes { id name } } }"
    with pytest.raises(ResultTooLargeError):
        run(LucaGraphQLOperator, query=query)


def test_a_limit_stops_asking_before_xcom_is_full(
    connections: SandboxConnections, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__FINAUTH__MAX_XCOM_RECORDS", "150")
    assert len(run(TalenomVouchersOperator, organization_number=14222, page_size=100, limit="150")) == 150
    with pytest.raises(ResultTooLargeError):
        run(TalenomVouchersOperator, organization_number=14222, page_size=100)
    # Nobody reads fifteen thousand to find out.
    assert sandbox.stats("talenom")["api_requests"] <= 4 + 2 * AT_ONCE


def test_a_target_is_looked_at_before_anything_is_asked(
    connections: SandboxConnections, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    for destination in (str(tmp_path / "a.xlsx"), "nowhere://bucket/a.jsonl"):
        with pytest.raises(ConfigurationError) as caught:
            run(TalenomAccountingPeriodsOperator, organization_number=ORGANIZATION, destination=destination)
        assert isinstance(caught.value, AirflowFailException)
    assert sandbox.stats("talenom")["token_requests"] == 0


def test_a_failed_pull_leaves_no_file(
    connections: SandboxConnections, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    target = tmp_path / "a.jsonl"
    arguments = {"organization_number": 14222, "page_size": 2, "destination": str(target)}
    run(TalenomAccountingPeriodsOperator, **arguments)
    before = target.read_bytes()
    sandbox.faults("talenom", "status", status=404, skip=2)
    with pytest.raises(Exception, match="404"):
        run(TalenomAccountingPeriodsOperator, **arguments)
    assert target.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.jsonl"]


@pytest.mark.parametrize("name", ["TalenomVouchers", "TalenomGeneralLedgerEvents", "LandaxEntities"])
def test_lists_may_be_left_open(connections: SandboxConnections, name: str) -> None:
    """As `render_template_as_native_obj` and `params` leave them."""
    operator, arguments, *_ = PULLS[name]
    lists = {"states", "categories", "account_numbers", "select", "expand", "orderby"}
    left_open = dict.fromkeys(lists & set(operator.template_fields))
    found = operator(task_id="t", **{**arguments, **left_open, "limit": 1}).execute(CONTEXT)
    assert len(found) == 1


@pytest.mark.parametrize("entity_set", [None, 5])
def test_an_entity_set_that_is_no_text_is_refused(connections: SandboxConnections, entity_set: Any) -> None:
    with pytest.raises(ConfigurationError, match="Argument 'entity_set' must be a"):
        LandaxEntitiesOperator(task_id="t", entity_set=entity_set).execute(CONTEXT)
