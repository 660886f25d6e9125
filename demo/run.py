"""Run the example DAGs against the sandbox in a real Airflow; compare what arrived with what was served."""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import requests
from rich.console import Console
from rich.live import Live

from airflow_provider_finauth.sandbox import RunningSandbox, running_sandbox
from demo.airflow_api import ENDED, AirflowApi
from demo.airflow_home import ROOT, AirflowHome, DemoError, free_port
from demo.consent import give_consent
from demo.examples import EXAMPLES, LOGICAL_DATE, Pulled, connections
from demo.report import Run, differences, final_table, progress_table

FOLDER = ROOT / ".demo"
OUTPUT = FOLDER / "output"
# Of Airflow's start, and of all runs together. Machines that run demos may be small and busy.
PATIENCE = 300.0
LOG_LINES = 30


def main() -> int:
    """Run the demo and say by the exit code whether all is well."""
    parser = argparse.ArgumentParser(prog="python -m demo.run", description=__doc__)
    parser.add_argument("--records", type=int, help="how many records each API's largest lists hold")
    arguments = parser.parse_args()
    console = Console()
    if not console.is_terminal:
        # What goes to a file need not be broken for a screen.
        console.width = 120
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        with only_one_demo():
            wrong = run_demo(console, arguments.records)
    except KeyboardInterrupt:
        console.print("Interrupted; nothing is left running.")
        return 130
    except DemoError as error:
        console.print(str(error), style="red", markup=False, highlight=False)
        return 1
    for sentence in wrong:
        console.print(sentence, style="red", markup=False, highlight=False)
    if wrong:
        return 1
    console.print("Every record that the sandbox served has arrived. Nothing is left running.", style="green")
    return 0


def run_demo(console: Console, records: int | None) -> list[str]:
    """Run everything once, show it, and say what is wrong with it.

    :param records: how many records each API's largest lists hold
    """
    shutil.rmtree(OUTPUT, ignore_errors=True)
    with step(console, "Starting the sandbox"), contextlib.ExitStack() as starting:
        sandbox = starting.enter_context(running_sandbox(records=records))
        stack = starting.pop_all()
    with stack:
        home = AirflowHome(FOLDER / "airflow", environment(sandbox))
        api = AirflowApi(home.url)
        with step(console, "Making an Airflow home and its database"):
            home.make()
        with home:
            with step(console, "Giving consent to Luca, as a person does once, while Airflow starts"):
                give_consent("luca_default", home.environment)
            with step(console, "Waiting for Airflow's API server, scheduler and DAG processor"):
                until(lambda: api.ready({example.dag_id for example in EXAMPLES}), home, api)
            runs = follow_runs(console, home, api, sandbox)
            show_failures(console, api, runs)
        stats = sandbox.stats()
    console.print(final_table(runs, stats, OUTPUT))
    return differences(runs, stats)


def environment(sandbox: RunningSandbox) -> dict[str, str]:
    """Give the connections, and where the example DAGs write to."""
    luca = json.loads(sandbox.environment["AIRFLOW_CONN_LUCA_OAUTH21"])
    luca["extra"]["redirect_uri"] = f"http://127.0.0.1:{free_port()}/callback"
    return {
        **sandbox.environment,
        # A personal key sees one company; a person's consent covers all.
        "AIRFLOW_CONN_LUCA_DEFAULT": json.dumps(luca),
        "AIRFLOW_VAR_FINAUTH_OUTPUT": str(OUTPUT),
        **connections(OUTPUT),
    }


def follow_runs(console: Console, home: AirflowHome, api: AirflowApi, sandbox: RunningSandbox) -> list[Run]:
    """Start a run of each example, show how they come along, and collect what they return.

    Those that are scheduled on another one's asset are left to Airflow.
    """
    runs = [Run(example, "demo") for example in EXAMPLES if example.started_by is None]
    for run in runs:
        api.trigger(run.example.dag_id, run.run_id, LOGICAL_DATE)
    follow(runs, console, home, api, sandbox)
    for run in runs:
        # Their own schedules are not for today.
        api.pause(run.example.dag_id)
    with step(console, "Letting Airflow start what waits for an asset"):
        home.begin_schedules()
        later = [
            Run(example, until(lambda example=example: api.runs(example.dag_id), home, api)[0])
            for example in EXAMPLES
            if example.started_by is not None
        ]
    follow(later, console, home, api, sandbox)
    return [*runs, *later]


def follow(
    runs: list[Run], console: Console, home: AirflowHome, api: AirflowApi, sandbox: RunningSandbox
) -> None:
    """Show how runs come along until they have ended."""
    with Live(console=console, transient=True) as live:

        def all_ended() -> bool:
            for run in runs:
                if run.state not in ENDED:
                    look_at(run, api)
                    if run.state in ENDED and not console.is_terminal:
                        console.print(run.progress)
            live.update(progress_table(runs, sandbox.stats()))
            return all(run.state in ENDED for run in runs)

        until(all_ended, home, api)


def look_at(run: Run, api: AirflowApi) -> None:
    """See how far a run has come."""
    name = run.example.dag_id
    run.state = api.state(name, run.run_id)
    tasks = api.tasks(name, run.run_id)
    run.tasks, run.done = len(tasks), sum(task.state == "success" for task in tasks)
    if run.state in ENDED:
        run.pulled = [
            Pulled.of(api.result(name, run.run_id, task))
            for task in tasks
            if task.task_id in run.example.pulls and task.state == "success"
        ]


def show_failures(console: Console, api: AirflowApi, runs: list[Run]) -> None:
    """Print the end of the log of each task that failed."""
    for run in runs:
        if run.state != "failed":
            continue
        for task in api.tasks(run.example.dag_id, run.run_id):
            if task.state == "failed":
                console.rule(f"{run.example.dag_id}, task {task.task_id}, map index {task.map_index}")
                lines = api.log(run.example.dag_id, run.run_id, task)[-LOG_LINES:]
                console.print("\n".join(lines), markup=False, highlight=False)


def until(condition: Callable[[], Any], home: AirflowHome, api: AirflowApi) -> Any:
    """Look again and again until a condition holds, and give what it gave.

    :raises DemoError: it does not, or part of Airflow has ended
    """
    ends = time.monotonic() + PATIENCE
    while time.monotonic() < ends:
        # A busy API server may be late to answer; whether it lives is looked at here.
        home.check()
        with contextlib.suppress(requests.RequestException):
            if found := condition():
                return found
            for error in api.import_errors():
                raise DemoError(f"A DAG file cannot be imported:\n{error}")
        time.sleep(0.5)
    raise DemoError(f"Not done within {PATIENCE:.0f} s. Airflow's logs are in {home.folder}.")


@contextlib.contextmanager
def step(console: Console, text: str) -> Iterator[None]:
    """Show that something is under way, and how long it took."""
    began = time.monotonic()
    if not console.is_terminal:
        console.print(f"{text} …")
    with console.status(f"{text} …"):
        yield
    console.print(f"[green]✓[/] {text} [dim]({time.monotonic() - began:.0f} s)[/]", highlight=False)


@contextlib.contextmanager
def only_one_demo() -> Iterator[None]:
    """Keep the folder to ourselves: another demo would remove it from under us.

    :raises DemoError: another one runs
    """
    FOLDER.mkdir(exist_ok=True)
    with Path(FOLDER, "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoError(f"Another demo runs in {FOLDER}.") from None
        yield


def _interrupt(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
