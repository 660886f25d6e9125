"""What the demo shows: progress while it works, and a table at its end."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table

if TYPE_CHECKING:
    from demo.examples import Example, Pulled

STYLES = {"success": "green", "failed": "red", "running": "cyan"}


@dataclass
class Run:
    """A run of an example DAG, as far as it has come."""

    example: Example
    run_id: str
    state: str = "queued"
    done: int = 0
    tasks: int = 0
    pulled: list[Pulled] = field(default_factory=list)

    @property
    def records(self) -> int:
        """How many records there are, by the files themselves."""
        return sum(pulled.written() for pulled in self.pulled)

    @property
    def progress(self) -> str:
        """Its state in a few words."""
        return f"{self.example.dag_id}: {self.state}, {self.done} of {self.tasks} tasks"


def progress_table(runs: Iterable[Run], stats: Mapping[str, Any]) -> Table:
    """Show how far the runs have come."""
    table = Table(box=None, pad_edge=False)
    table.add_column("DAG")
    table.add_column("State")
    table.add_column("Tasks", justify="right")
    table.add_column("Served to its connection", justify="right")
    for run in runs:
        served = stats[run.example.api]["records_served"]
        table.add_row(run.example.dag_id, _state(run.state), f"{run.done}/{run.tasks}", f"{served:,}")
    return table


def final_table(runs: Iterable[Run], stats: Mapping[str, Any], output: Path) -> Table:
    """Show what has become of the runs.

    Where DAGs share a connection, its token requests stand with the first of them.

    :param output: the folder that holds a folder of each DAG
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="What the example DAGs brought")
    table.add_column("DAG")
    table.add_column("State")
    table.add_column("Records", justify="right")
    table.add_column("Where", overflow="fold")
    table.add_column("Token\nrequests", justify="right")
    seen: set[str] = set()
    for run in runs:
        api, name = run.example.api, run.example.dag_id
        folder = os.path.relpath(output / name) if any(pulled.files for pulled in run.pulled) else "XCom"
        tokens = "shared" if api in seen else str(stats[api]["token_requests"])
        seen.add(api)
        table.add_row(name, _state(run.state), f"{run.records:,}", folder, tokens)
    return table


def differences(runs: Iterable[Run], stats: Mapping[str, Any]) -> list[str]:
    """Compare what arrived with what the sandbox says it served, each record once, and count the tokens."""
    runs = list(runs)
    found = [f"{run.example.dag_id} ended as {run.state}." for run in runs if run.state != "success"]
    records = {run.example.dag_id: run.records for run in runs}
    arrived: Counter[str] = Counter()
    for run in runs:
        if run.example.pulls and not run.pulled:
            found.append(f"{run.example.dag_id} returned nothing.")
        if run.example.started_by is None:
            arrived[run.example.api] += run.records
        elif run.records != (given := records[run.example.started_by]):
            found.append(f"{run.example.dag_id} was given {given:,} records, and took on {run.records:,}.")
        for pulled in run.pulled:
            if pulled.written() != pulled.records:
                where = pulled.files[0].parent if len(pulled.files) > 1 else pulled.files[0]
                found.append(f"{where} holds {pulled.written()} records and should {pulled.records}.")
    for api, records in arrived.items():
        served = stats[api]["unique_records_served"]
        if records != served:
            found.append(f"{api}: {served:,} records were served, and {records:,} arrived.")
        # All tasks of a connection share one token.
        tokens = stats[api]["token_requests"]
        if tokens != 1:
            found.append(f"{api}: {tokens} token requests instead of 1.")
    return found


def _state(state: str) -> str:
    style = STYLES.get(state)
    return f"[{style}]{state}[/]" if style else state
