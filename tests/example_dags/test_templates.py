"""A vendor's text is data: mapped by ``expand()`` it is never run as a template."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.airflow_harness import AirflowHome, make_home

pytestmark = pytest.mark.airflow

TEXT = "{{ conn.vendor.login }}"

DAG = '''
import json, os
from datetime import datetime
from pathlib import Path
from airflow.providers.common.compat.sdk import dag, task
from airflow_provider_finauth.operators.opcorporate import OPCorporateTransactionsOperator

class Mapped(OPCorporateTransactionsOperator):
    """Notes what it was mapped over, and what its own template has become."""

    def execute(self, context):
        note(self.task_id, [self.surrogate_id, self.since])

def note(name, value):
    Path(os.environ["AIRFLOW_HOME"], f"{name}.json").write_text(json.dumps(value))

@dag(schedule=None, start_date=datetime(2026, 1, 1))
def vendors_text():
    @task
    def pulled():
        return [{"name": "{{ conn.vendor.login }}"}]

    @task
    def function(record, own):
        note("function", [record["name"], own])

    @task
    def arguments():
        return [{"surrogate_id": "{{ conn.vendor.login }}"}]

    own = "{{ conn.vendor.login }}"
    records = pulled()
    by = Mapped.partial(since=own, task_id="by_expand")
    by.expand(surrogate_id=records.map(lambda record: record["name"]))
    function.partial(own=own).expand(record=records)
    Mapped.partial(since=own, task_id="by_expand_kwargs").expand_kwargs(arguments())

vendors_text()
'''


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    vendor = json.dumps({"conn_type": "opcorporate", "login": "the-login"})
    home: AirflowHome = make_home(
        tmp_path_factory.mktemp("text") / "airflow", {"AIRFLOW_CONN_VENDOR": vendor}
    )
    home.add_dag("vendors_text", DAG)
    home.test_dag("vendors_text")
    return home.path


@pytest.mark.parametrize("task", ["by_expand", "function"])
def test_expand_leaves_it_as_it_is(notes: Path, task: str) -> None:
    mapped, own = json.loads((notes / f"{task}.json").read_text())
    assert mapped == TEXT
    # What the DAG's author wrote is a template all the same.
    assert own == "the-login"


def test_why_expand_kwargs_is_not_used(notes: Path) -> None:
    mapped, _ = json.loads((notes / "by_expand_kwargs.json").read_text())
    assert mapped == "the-login"
