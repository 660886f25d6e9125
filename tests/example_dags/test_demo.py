"""The demo's own judgement: it has to see a difference."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
from pyarrow import table
from pyarrow.parquet import write_table

from demo.examples import EXAMPLES, Example, Pulled
from demo.report import Run, differences


def stats(**served: int) -> dict[str, Any]:
    return {
        example.api: {"unique_records_served": served.get(example.api, 0), "token_requests": 1}
        for example in EXAMPLES
    }


def run(api: str, *pulled: Pulled, state: str = "success") -> Run:
    return Run(Example(f"{api}_dag", api, ("pull",)), "demo", state=state, pulled=list(pulled))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a b.jsonl"
    path.write_text('{"id": 1}\n{"id": 2}\n{"id": 3}\n')
    return path


def test_results_are_read(file: Path) -> None:
    assert Pulled.of([{}, {}]) == Pulled(2)
    assert Pulled.of({"records": 7}) == Pulled(7)
    assert Pulled.of({"records": 3, "uri": file.as_uri(), "files": None}) == Pulled(3, (file,))
    listed = [{"uri": file.as_uri()}, {"uri": file.as_uri()}]
    assert Pulled.of({"records": 6, "uri": "file:///x.manifest.json", "files": listed}).written() == 6


def test_files_are_counted(file: Path, tmp_path: Path) -> None:
    assert Pulled(3, (file,)).written() == 3
    packed = tmp_path / "packed.jsonl.gz"
    packed.write_bytes(gzip.compress(file.read_bytes()))
    assert Pulled(3, (packed,)).written() == 3
    parquet = tmp_path / "rows.parquet"
    write_table(table({"id": [1, 2]}), parquet)
    assert Pulled(2, (parquet,)).written() == 2
    assert Pulled(5).written() == 5


def test_all_is_well(file: Path) -> None:
    runs = [run("luca", Pulled(3, (file,)), Pulled(2)), run("landax", Pulled(4)), run("landax", Pulled(1))]
    assert differences(runs, stats(luca=5, landax=5)) == []


@pytest.mark.parametrize("served", [4, 6])
def test_records_lost_or_too_many(file: Path, served: int) -> None:
    (sentence,) = differences([run("luca", Pulled(3, (file,)), Pulled(2))], stats(luca=served))
    assert sentence == f"luca: {served} records were served, and 5 arrived."


def test_a_file_that_is_not_what_its_manifest_says(file: Path) -> None:
    sentences = differences([run("luca", Pulled(4, (file,)))], stats(luca=4))
    assert sentences == [
        f"{file} holds 3 records and should 4.",
        "luca: 4 records were served, and 3 arrived.",
    ]


def test_a_failed_run() -> None:
    sentences = differences([run("luca", Pulled(1), state="failed")], stats(luca=1))
    assert sentences == ["luca_dag ended as failed."]


def test_a_run_that_brought_nothing() -> None:
    assert differences([run("luca")], stats()) == ["luca_dag returned nothing."]


def test_a_second_token() -> None:
    answer = stats(luca=1)
    answer["luca"]["token_requests"] = 2
    assert differences([run("luca", Pulled(1))], answer) == ["luca: 2 token requests instead of 1."]


@pytest.mark.parametrize(("taken", "well"), [(3, True), (0, False)])
def test_what_another_dag_was_started_for(taken: int, well: bool) -> None:
    pulled = run("landax", Pulled(3))
    later = Run(
        Example("later", "landax", ("load",), started_by="landax_dag"),
        "demo",
        state="success",
        pulled=[Pulled(taken)],
    )
    found = differences([pulled, later], stats(landax=3))
    assert found == ([] if well else ["later was given 3 records, and took on 0."])
