"""The example DAGs in a real Airflow, against the sandbox: what arrives is what was served."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import duckdb
import pytest

from airflow_provider_finauth.sandbox import RunningSandbox, running_sandbox
from demo.examples import EXAMPLES, LOGICAL_DATE, Example, Pulled, connections
from tests.airflow_harness import AIRFLOW_3, ROOT, AirflowHome, make_home, needs_airflow_3

pytestmark = pytest.mark.airflow

# A personal key is not asked for.
WITHOUT_TOKEN = {"luca"}

# One process for all, since most of the time of `airflow dags test` goes into starting it.
PROGRAM = """
import json, os, sys, traceback
from pathlib import Path
from airflow.cli.cli_parser import get_parser

def test(dag_id, date=None):
    if date is None:
        # The command would take the time of day.
        from airflow.utils.cli import get_bagged_dag

        assert get_bagged_dag(None, dag_id).test(logical_date=None).state == "success"
    else:
        parsed = get_parser().parse_args(["dags", "test", dag_id, date])
        parsed.func(parsed)

failures = {}
for arguments in json.loads(sys.argv[1]):
    try:
        test(*arguments)
    except (Exception, SystemExit):
        failures[" ".join(arguments)] = traceback.format_exc()
Path(os.environ["AIRFLOW_HOME"], "failures.json").write_text(json.dumps(failures))
"""


# What the scheduler does when it starts a run for an asset's event, for runs that `dags test` starts.
STARTED_BY_AN_ASSET = """
CREATE TRIGGER started_by_an_asset AFTER INSERT ON dag_run WHEN NEW.dag_id = 'landax_incidents_to_sql'
BEGIN
    INSERT INTO dagrun_asset_event (dag_run_id, event_id) SELECT NEW.id, id FROM asset_event;
END
""".replace("asset_event", "asset_event" if AIRFLOW_3 else "dataset_event")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with running_sandbox() as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def home(sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> AirflowHome:
    folder = tmp_path_factory.mktemp("examples")
    home = make_home(
        folder / "airflow",
        {
            **sandbox.environment,
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "example_dags"),
            "AIRFLOW_VAR_FINAUTH_OUTPUT": str(folder / "output"),
            **connections(folder / "output"),
        },
    )
    home.airflow("dags", "reserialize")
    with closing(sqlite3.connect(home.path / "airflow.db")) as database:
        database.executescript(STARTED_BY_AN_ASSET)
    return home


@pytest.fixture(scope="module")
def output(home: AirflowHome) -> Path:
    return Path(home.environment["AIRFLOW_VAR_FINAUTH_OUTPUT"])


@pytest.fixture(scope="module")
def failures(home: AirflowHome) -> dict[str, str]:
    """Run all examples, and give what went wrong, by the arguments of ``dags test``."""
    runs = [[example.dag_id, LOGICAL_DATE] for example in EXAMPLES]
    again = ["landax_incidents", "2026-11-02"]
    # In Airflow 2 there is no run without a logical date.
    by_hand = [["op_transactions"], ["custom_operator"], ["talenom_vouchers_to_duckdb"]] if AIRFLOW_3 else []
    done = home.python(PROGRAM, json.dumps([*runs, again, *by_hand]))
    found: dict[str, str] = json.loads((home.path / "failures.json").read_text())
    return {arguments: f"{failure}\n{done.stdout}\n{done.stderr}" for arguments, failure in found.items()}


def results(home: AirflowHome, dag_id: str, day: str) -> dict[str, list[Any]]:
    """Give what the tasks of a DAG returned on a day, by map index."""
    date = "logical_date" if AIRFLOW_3 else "execution_date"
    query = (
        "SELECT x.task_id, x.value FROM xcom x JOIN dag_run r ON r.dag_id = x.dag_id AND r.run_id = x.run_id "
        f"WHERE x.dag_id = ? AND x.key = 'return_value' AND r.{date} LIKE ? ORDER BY x.map_index"
    )
    with closing(sqlite3.connect(home.path / "airflow.db")) as database:
        rows = database.execute(query, [dag_id, f"{day}%"]).fetchall()
    found: dict[str, list[Any]] = {}
    for task_id, value in rows:
        found.setdefault(task_id, []).append(json.loads(value))
    return found


def pulled_by(home: AirflowHome, example: Example) -> list[Pulled]:
    found = results(home, example.dag_id, LOGICAL_DATE[:10])
    return [Pulled.of(result) for task_id in example.pulls for result in found[task_id]]


def test_airflow_imports_them_all(home: AirflowHome) -> None:
    with closing(sqlite3.connect(home.path / "airflow.db")) as database:
        assert database.execute("SELECT filename, stacktrace FROM import_error").fetchall() == []
        listed = {dag_id for (dag_id,) in database.execute("SELECT dag_id FROM serialized_dag")}
    assert listed == {example.dag_id for example in EXAMPLES}


def test_parsing_asks_nobody(home: AirflowHome) -> None:
    """Not a connection is opened, and no HTTP library is loaded for what a task does later."""
    program = """
import runpy, socket, sys

def refuse(*_):
    raise AssertionError("a connection was opened while parsing")

import airflow.providers.common.compat.sdk as sdk
sdk.dag, sdk.task, sdk.BaseOperator
before = set(sys.modules)
socket.socket.connect = refuse
for file in sys.argv[1:]:
    runpy.run_path(file)
new = set(sys.modules) - before
print(sorted(name for name in new if name.startswith("airflow_provider_finauth.hooks") or name == "requests"))
"""
    files = sorted((ROOT / "example_dags").glob("*.py"))
    assert home.python(program, *map(str, files)).stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.dag_id)
def test_succeeds_and_writes_what_it_says(
    example: Example, failures: dict[str, str], home: AirflowHome, output: Path
) -> None:
    failure = failures.get(f"{example.dag_id} {LOGICAL_DATE}")
    assert failure is None, failure
    pulled = pulled_by(home, example)
    assert len(pulled) >= len(example.pulls)
    for each in pulled:
        assert each.written() == each.records
        assert all(file.is_relative_to(output / example.dag_id) for file in each.files)


@pytest.mark.parametrize("api", sorted({example.api for example in EXAMPLES}))
@pytest.mark.usefixtures("failures")
def test_what_arrives_is_what_was_served(api: str, sandbox: RunningSandbox, home: AirflowHome) -> None:
    examples = [example for example in EXAMPLES if example.api == api and example.started_by is None]
    arrived = [each for example in examples for each in pulled_by(home, example)]
    stats = sandbox.stats(api)
    assert sum(each.written() for each in arrived) == stats["unique_records_served"] > 0
    # However many tasks and DAGs: they share it.
    assert stats["token_requests"] == (0 if api in WITHOUT_TOKEN else 1)


@pytest.mark.usefixtures("failures")
def test_open_invoices_are_those_of_the_file(home: AirflowHome) -> None:
    found = results(home, "luca_open_invoices", LOGICAL_DATE[:10])
    (manifest,) = found["invoices"]
    lines = Path(unquote(urlsplit(manifest["uri"]).path)).read_text().splitlines()
    due = [row["totalCents"] for row in map(json.loads, lines) if row["finalized"] and not row["paid"]]
    assert 0 < len(due) < len(lines)
    assert found["open_invoices"] == [{"invoices": len(due), "cents": sum(due)}]


def test_an_asset_hands_on_what_was_pulled(failures: dict[str, str], home: AirflowHome, output: Path) -> None:
    assert not failures
    (manifest,) = results(home, "landax_incidents", LOGICAL_DATE[:10])["incidents"]
    (loaded,) = results(home, "landax_incidents_to_sql", LOGICAL_DATE[:10])["load"]
    with closing(sqlite3.connect(output / "warehouse.db")) as warehouse:
        table = warehouse.execute("SELECT count(*), count(DISTINCT Id), max(Id) FROM incidents").fetchone()
        row = warehouse.execute(
            "SELECT Id, Severity, Cost, ChangedDateTime FROM incidents LIMIT 1"
        ).fetchone()
    assert table == (manifest["records"],) * 3 == (loaded["records"],) * 3
    assert [type(value) for value in row[:3]] == [int, int, int]
    assert datetime.fromisoformat(row[3]).tzinfo is not None


def test_vouchers_are_merged(failures: dict[str, str], output: Path) -> None:
    assert not failures
    database = str(output / "talenom_vouchers_to_duckdb" / "ledger.duckdb")
    with closing(duckdb.connect(database, read_only=True)) as ledger:

        def asked(query: str) -> Any:
            (row,) = ledger.execute(query).fetchall()
            return row

        vouchers, ids = asked("SELECT count(*), count(DISTINCT id) FROM talenom.vouchers")
        assert vouchers == ids == 5500
        assert asked("SELECT count(*) FROM talenom.vouchers WHERE voucher_state = 'Deleted'")[0] > 0
        # In each voucher debit and credit are the same, to the cent.
        postings = "FROM talenom.vouchers__postings"
        assert asked(f"SELECT count(*), sum(debet) - sum(credit) {postings}") == (3 * vouchers, 0)
        assert asked(f"SELECT typeof(any_value(debet)) {postings}")[0].startswith("DECIMAL")
        loads = ledger.sql(
            "SELECT count(*) FROM talenom.vouchers GROUP BY _dlt_load_id ORDER BY _dlt_load_id"
        )
        by_run = [count for (count,) in loads.fetchall()]
    if AIRFLOW_3:
        # The second run has read all, and merged those of the last day.
        first, second = by_run
        assert first + second == 5500
        assert 0 < second < 100


def test_the_second_run_asks_for_what_has_changed_since_the_first(
    failures: dict[str, str], home: AirflowHome
) -> None:
    assert not failures
    first, second = (
        results(home, "landax_incidents", day)["incidents"][0] for day in ("2026-11-01", "2026-11-02")
    )
    assert "since" not in first["window"]
    # What comes in late is found within a day.
    watermark = datetime.fromisoformat(first["watermark"])
    assert datetime.fromisoformat(second["window"]["since"]) == watermark - timedelta(days=1)
    assert 0 < second["records"] < first["records"] / 10
    assert second["watermark"] == first["watermark"]


@needs_airflow_3
def test_a_run_without_a_logical_date(failures: dict[str, str], home: AirflowHome) -> None:
    """As someone starts it by hand."""
    assert not failures
    with closing(sqlite3.connect(home.path / "airflow.db")) as database:
        dag_ids = database.execute("SELECT dag_id FROM dag_run WHERE logical_date IS NULL ORDER BY dag_id")
        assert [dag_id for (dag_id,) in dag_ids] == [
            "custom_operator",
            "op_transactions",
            "talenom_vouchers_to_duckdb",
        ]
