"""Operators in a real Airflow: files and templates are rendered, arguments mapped, errors end tasks."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.airflow_harness import make_home

if TYPE_CHECKING:
    from airflow_provider_finauth.sandbox import RunningSandbox

pytestmark = pytest.mark.airflow

DOCUMENT = """
query Customers($companyId: ID, $first: Int, $after: String) {
  saleCustomers(companyId: $companyId, first: $first, after: $after) {
    nodes { id {{ params.member }} }
    pageInfo { hasNextPage endCursor }
  }
}
"""
DAG = """
import json, os
from datetime import datetime, timedelta
from pathlib import Path

from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_finauth.operators.landax import LandaxEntitiesOperator, LandaxRequestOperator
from airflow_provider_finauth.operators.luca import LucaGraphQLOperator, LucaNodesOperator
from airflow_provider_finauth.operators.talenom import (
    TalenomAccountingPeriodsOperator,
    TalenomSalesInvoicesOperator,
    TalenomVouchersOperator,
)
from airflow_provider_finauth.operators.tradevest import TradevestTransactionsOperator

AGAIN = {"retries": 1, "retry_delay": timedelta(0)}

@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    params={"member": "name", "organization": 14224, "nothing": "", "conn_id": "talenom_default"},
)
def operators():
    rendered = [
        LucaGraphQLOperator(task_id="document", query="customers.graphql", variables={"first": 2}),
        LucaNodesOperator(
            task_id="nodes",
            query="customers.graphql",
            connection_path="saleCustomers",
            page_size="{{ 10 * 10 }}",
            destination="{{ var.value.get('folder', '') }}" + os.environ["AIRFLOW_HOME"] + "/landed/",
        ),
        TalenomVouchersOperator(
            task_id="vouchers",
            talenom_conn_id="{{ params.conn_id }}",
            organization_number="{{ params.organization }}",
            since="{{ params.nothing }}",
            until="{{ '2022-01-31' }}",
            include_postings="{{ 1 == 1 }}",
            states=["{{ 'Locked' }}"],
            limit="{{ params.nothing }}",
        ),
    ]
    mapped = [
        TalenomAccountingPeriodsOperator.partial(task_id="periods", limit=2).expand(
            organization_number=[14222, 14223, 14224]
        ),
        LandaxEntitiesOperator.partial(task_id="departments", entity_set="Departments").expand(
            landax_conn_id=["landax_default", "landax_basic"]
        ),
        TalenomAccountingPeriodsOperator.partial(task_id="both").expand_kwargs(
            [{"organization_number": 14222, "limit": 1}, {"organization_number": 14223, "limit": 3}]
        ),
        TalenomSalesInvoicesOperator.partial(
            task_id="incremental",
            incremental="{{ 'night' ~ 'ly' }}",
            overlap="{{ 12 * 2 }}h",
            destination=os.environ["AIRFLOW_HOME"] + "/landed/",
        ).expand(organization_number=[14223, 14224]),
    ]

    @task
    def function():
        from airflow_provider_finauth.hooks.tradevest import TradevestHook

        list(TradevestHook("tradevest_wrong_function").transactions())

    @task
    def session():
        from airflow_provider_finauth.hooks.tradevest import TradevestHook

        hook = TradevestHook("tradevest_wrong_session")
        hook.get_conn().get(hook.client.url("/prices"))

    failing = [
        TradevestTransactionsOperator(
            task_id="wrong_secret", tradevest_conn_id="tradevest_wrong_operator", **AGAIN
        ),
        function.override(**AGAIN)(),
        session.override(**AGAIN)(),
        LandaxRequestOperator(task_id="not_found", path="/api/v32/Nowhere", **AGAIN),
    ]

    @task(trigger_rule="all_done")
    def collect(ti=None):
        found = {name: ti.xcom_pull(task_ids=name) for name in ("document", "nodes", "vouchers")}
        for name, length in (("periods", 3), ("departments", 2), ("both", 2), ("incremental", 2)):
            found[name] = list(ti.xcom_pull(task_ids=name, map_indexes=list(range(length))))

        from airflow_provider_finauth.runtime import door

        names = door.variable_keys("finauth_incremental_")
        found["variables"] = {name: json.loads(door.variable_get(name)) for name in names}
        Path(os.environ["AIRFLOW_HOME"], "found.json").write_text(json.dumps(found))

    [*rendered, *mapped, *failing] >> collect()

operators()
"""


@dataclass
class Ran:
    """What came of a run.

    :param found: what each task returned
    :param states: of each task, its state and number of tries, by map index
    :param landax_requests: requests for lists of Landax
    :param tradevest_tokens: token requests of Tradevest
    :param printed: by the run
    """

    found: dict[str, Any]
    states: dict[str, dict[int, tuple[str, int]]]
    landax_requests: int
    tradevest_tokens: int
    printed: str


@pytest.fixture(scope="module")
def ran(sandbox_process: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    sandbox = sandbox_process
    sandbox.reset()
    home = make_home(tmp_path_factory.mktemp("operators") / "airflow", sandbox.environment)
    wrong = {**sandbox.connections["tradevest_default"]}
    for way in ("operator", "function", "session"):
        # Each with a secret of its own: what was refused is not asked for again.
        connection = {**wrong, "password": f"a-wrong-secret-of-the-{way}"}
        home.environment[f"AIRFLOW_CONN_TRADEVEST_WRONG_{way.upper()}"] = json.dumps(connection)
    (home.path / "dags" / "customers.graphql").write_text(DOCUMENT)
    home.add_dag("operators", DAG)
    done = home.test_dag("operators", check=False)
    states: dict[str, dict[int, tuple[str, int]]] = defaultdict(dict)
    with sqlite3.connect(home.path / "airflow.db") as database:
        rows = database.execute("select task_id, map_index, state, try_number from task_instance")
        for task_id, map_index, state, tries in rows:
            states[task_id][map_index] = (state, tries)
    results = home.path / "found.json"
    printed = done.stdout + done.stderr
    assert results.exists(), printed[-5000:]
    return Ran(
        json.loads(results.read_text()),
        states,
        sandbox.stats("landax")["endpoints"].get("GET /landax/api/v{version}/{model}", 0),
        sandbox.stats("tradevest")["token_requests"],
        printed,
    )


def test_a_document_lies_in_a_file(ran: Ran) -> None:
    """And is a template itself."""
    (first, second) = ran.found["document"]["saleCustomers"]["nodes"]
    assert set(first) == set(second) == {"id", "name"}


def test_records_land_where_a_template_says(ran: Ran) -> None:
    manifest = ran.found["nodes"]
    assert manifest["records"] == 160
    assert "/landed/operators/nodes/" in manifest["uri"]
    assert manifest["uri"].endswith("/-1.jsonl")


def test_texts_of_templates_are_read_for_what_they_say(ran: Ran) -> None:
    vouchers = ran.found["vouchers"]
    assert {voucher["voucherState"] for voucher in vouchers} == {"Locked"}
    assert {voucher["voucherDate"][:7] for voucher in vouchers} == {"2022-01"}
    assert {len(voucher["postings"]) for voucher in vouchers} == {3}
    assert {voucher["organizationNumber"] for voucher in vouchers} == {14224}


def test_arguments_are_mapped(ran: Ran) -> None:
    numbers = [[period["organizationNumber"] for period in periods] for periods in ran.found["periods"]]
    assert numbers == [[14222] * 2, [14223] * 2, [14224] * 2]
    assert [len(periods) for periods in ran.found["both"]] == [1, 3]


def test_connections_are_mapped(ran: Ran) -> None:
    assert [len(departments) for departments in ran.found["departments"]] == [24, 24]


def test_an_incremental_pull_keeps_how_far_it_came(ran: Ran) -> None:
    """Each organisation in a Variable of its own."""
    assert len(ran.found["variables"]) == 2
    assert all("_nightly_talenom_default_sales_invoices_" in name for name in ran.found["variables"])
    kept = list(ran.found["variables"].values())
    (run,) = {run for each in kept for run in each["windows"]}
    assert run.startswith("operators/")
    for map_index, manifest in enumerate(ran.found["incremental"]):
        assert manifest["records"] == {0: 1600, 1: 800}[map_index]
        pinned = {run: {f"incremental/{map_index}": manifest["window"]}}
        assert {"watermark": manifest["watermark"], "windows": pinned} in kept


@pytest.mark.parametrize("task_id", ["wrong_secret", "function", "session"])
def test_a_permanent_error_burns_no_retries(ran: Ran, task_id: str) -> None:
    assert ran.states[task_id] == {-1: ("failed", 1)}


def test_a_passing_error_is_tried_again(ran: Ran) -> None:
    assert ran.states["not_found"] == {-1: ("failed", 2)}


def test_what_it_cost(ran: Ran) -> None:
    # One for each wrong secret.
    assert ran.tradevest_tokens == 3
    # Two connections' departments, each a page and a look beyond it, and the two tries that found nothing.
    assert ran.landax_requests == 2 * 2 + 2


def test_no_secret_was_printed(ran: Ran) -> None:
    assert "invalid_client" in ran.printed
    assert "a-wrong-secret-of-the" not in ran.printed


def test_all_others_succeeded(ran: Ran) -> None:
    failing = {"wrong_secret", "function", "session", "not_found"}
    for task_id, states in ran.states.items():
        if task_id not in failing:
            assert {state for state, _ in states.values()} == {"success"}, task_id
