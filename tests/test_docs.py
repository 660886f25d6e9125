"""The README and the pages of docs/ say what is so: their programs run, their links lead somewhere."""

from __future__ import annotations

import dataclasses
import inspect
import json
import os
import pkgutil
import re
import runpy
import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_finauth import exceptions, operators
from airflow_provider_finauth.apis.base import Api
from airflow_provider_finauth.apis.resource import resource_of
from airflow_provider_finauth.client.paging.named import PAGING_STYLES
from airflow_provider_finauth.configuration import CONFIG_OPTIONS
from airflow_provider_finauth.connections import CONNECTION_TYPES
from airflow_provider_finauth.hooks.talenom import TalenomHook
from airflow_provider_finauth.runtime import brokers, read_records
from airflow_provider_finauth.sandbox.faults import KINDS
from tests.airflow_harness import AIRFLOW_3, ROOT, AirflowHome, make_home
from tests.declared import RESOURCES, Declared
from tools import resource_docs

if TYPE_CHECKING:
    from airflow_provider_finauth.sandbox import RunningSandbox

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
# What only Airflow does: rendering, mapping, functions as tasks.
_AIRFLOWS = ("{{", ".expand(", "@task")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"

    @property
    def dag_id(self) -> str | None:
        found = re.search(r'\bDAG\("(\w+)"', self.text)
        return found and found[1]

    @property
    def needs_airflow(self) -> bool:
        return any(mark in self.text for mark in _AIRFLOWS)


def blocks(page: Path, language: str) -> list[Block]:
    text = page.read_text()
    return [
        Block(page, text.count("\n", 0, found.start()) + 1, found[1], found[2])
        for found in _FENCE.finditer(text)
        if found[1] == language
    ]


def only(blocks: list[Block]) -> Block:
    (block,) = blocks
    return block


def prose(page: Path) -> str:
    return _FENCE.sub("", page.read_text())


def row(page: Path, first_cell: str) -> str:
    """Give the row of a table that begins with a cell."""
    (found,) = [line for line in prose(page).splitlines() if line.startswith(f"| {first_cell} ")]
    return found


PYTHON = [block for page in PAGES for block in blocks(page, "python")]
PROGRAMS = [block for block in PYTHON if block.dag_id is None]
DAGS = [block for block in PYTHON if block.dag_id is not None and not block.needs_airflow]
IN_AIRFLOW = [block for block in PYTHON if block.dag_id is not None and block.needs_airflow]


@pytest.fixture
def surroundings(
    sandbox: RunningSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RunningSandbox]:
    """What the pages ask for: the sandbox's connections, and those that a page makes of them."""
    environment, types = dict(os.environ), dict(CONNECTION_TYPES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(brokers, "_brokers", {})
    os.environ.update(sandbox.environment)
    os.environ["AIRFLOW__FINAUTH__TOKEN_STORE"] = "memory"
    os.environ["AIRFLOW_CONN_ACME_DEFAULT"] = sandbox.environment["AIRFLOW_CONN_OAUTH2API_DEFAULT"].replace(
        "oauth2api", "acme", 1
    )
    yield sandbox
    os.environ.clear()
    os.environ.update(environment)
    CONNECTION_TYPES.clear()
    CONNECTION_TYPES.update(types)


def check_result(result: Any) -> None:
    """See that a task has brought records, or a manifest that holds."""
    assert result
    if isinstance(result, dict) and "uri" in result:
        assert sum(1 for _ in read_records(result)) == result["records"] > 0


@pytest.mark.usefixtures("surroundings")
@pytest.mark.parametrize("block", PROGRAMS, ids=str)
def test_program(block: Block, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(block.text, str(block), "exec"), {"__name__": "__main__"})
    assert "print(" in block.text
    assert capsys.readouterr().out.strip()


@pytest.mark.usefixtures("surroundings")
@pytest.mark.parametrize("block", DAGS, ids=str)
def test_dag(block: Block, tmp_path: Path) -> None:
    if AIRFLOW_3:
        from airflow.dag_processing.dagbag import DagBag
    else:
        from airflow.models.dagbag import DagBag
    file = tmp_path / "block.py"
    file.write_text(block.text)
    bag = DagBag(file)
    assert not bag.import_errors
    for task in bag.dags[block.dag_id].tasks:
        instance = SimpleNamespace(
            dag_id=block.dag_id, task_id=task.task_id, run_id="manual__2026-11-01", map_index=-1
        )
        check_result(task.execute({"ti": instance}))


_COMMANDS = """
import sys
from airflow.__main__ import main

for arguments in sys.argv[1:]:
    sys.argv[1:] = arguments.split()
    try:
        main()
    except SystemExit as ended:
        if ended.code:
            raise
"""


@pytest.mark.airflow
def test_dags_in_airflow(sandbox: RunningSandbox, tmp_path: Path) -> None:
    """By `airflow dags test`, with the options as they are after installation: one of the README's, and all
    that need Airflow."""
    chosen = [next(block for block in DAGS if block.page.name == "README.md"), *IN_AIRFLOW]
    if not AIRFLOW_3:
        # What goes on after a crash needs Airflow's task state store.
        chosen = [block for block in chosen if "resumable=True" not in block.text]
    assert len(chosen) > 1
    home: AirflowHome = make_home(tmp_path / "airflow", sandbox.environment)
    for block in chosen:
        home.add_dag(str(block.dag_id), block.text)
    commands = [f"dags test {block.dag_id}" for block in chosen]
    home.python(_COMMANDS, *commands)
    with closing(sqlite3.connect(home.path / "airflow.db")) as database:
        states = database.execute("SELECT dag_id, state FROM task_instance").fetchall()
        values = database.execute("SELECT dag_id, value FROM xcom WHERE key = 'return_value'").fetchall()
    assert {dag_id for dag_id, _ in states} == {block.dag_id for block in chosen}
    assert {state for _, state in states} == {"success"}
    # SQLite makes a number of a text that is one; none of the results that count is one.
    loaded = [(dag_id, value if isinstance(value, int) else json.loads(value)) for dag_id, value in values]
    manifests = [(dag_id, value) for dag_id, value in loaded if isinstance(value, dict)]
    assert {dag_id for dag_id, _ in manifests} == {block.dag_id for block in chosen}
    for _, manifest in manifests:
        assert "uri" in manifest
        check_result(manifest)


def test_connections_page_is_that_of_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(ROOT / "tools" / "connection_docs.py"), run_name="__main__")
    assert capsys.readouterr().out == (DOCS / "connections.md").read_text(), "run `make docs`"


def test_resources_page_and_the_table_of_resources_are_those_of_the_declarations() -> None:
    assert resource_docs.page() == (DOCS / "resources.md").read_text(), "run `make docs`"
    pulling = (DOCS / "pulling.md").read_text()
    assert resource_docs.BEGIN in pulling
    assert resource_docs.with_table(pulling) == pulling, "run `make docs`"


def told_arguments(declared: Declared) -> dict[str, str]:
    """Read which arguments docs/resources.md tells of a resource, with their defaults."""
    is_own = declared.resource is not resource_of(Api.records)
    title = CONNECTION_TYPES[declared.hook.conn_type].title if is_own else "Any other path"
    chapter = (DOCS / "resources.md").read_text().partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    section = chapter.partition(f"\n### {declared.resource.name}\n")[2].partition("\n### ")[0]
    assert f"`{declared.operator_name}`" in section
    assert not is_own or f"`{declared.hook.__name__}.{declared.resource.name}`" in section
    table = section.partition("| argument |")[2].partition("\n\n")[0]
    rows = [line.split(" | ") for line in table.splitlines()[2:]]
    return {cells[0].strip("|` "): cells[2].strip(" `") for cells in rows}


@pytest.mark.parametrize("declared", RESOURCES, ids=str)
def test_resources_page_has_each_resource_with_its_arguments(declared: Declared) -> None:
    method = getattr(declared.hook, declared.resource.name)
    parameters = list(inspect.signature(method).parameters.values())[1:]
    expected = {
        each.name: "**required**"
        if each.default is inspect.Parameter.empty
        else ("" if each.default in (None, ()) else repr(each.default))
        for each in parameters
    }
    assert told_arguments(declared) == expected


@pytest.mark.parametrize("declared", RESOURCES, ids=str)
def test_pulling_page_has_a_row_for_each_resource(declared: Declared) -> None:
    resource = declared.resource
    if resource is resource_of(Api.records):
        assert f"`{declared.operator_name}`" in row(DOCS / "pulling.md", "any hook's `.records(path)`")
        return
    required = [
        each.name if each.positional else f"{each.name}=…" for each in resource.arguments if each.required
    ]
    call = f"`{declared.hook.__name__}.{resource.name}({', '.join(required)})`"
    _, _, operator, times, change, _ = row(DOCS / "pulling.md", call).split("|")
    assert operator.strip() == f"`{declared.operator_name}`"
    assert (resource.window or "") in times
    assert bool(times.strip()) == resource.has_window
    assert change.strip()


def anchors(page: Path) -> set[str]:
    """Give the anchors of a page's headings, as GitHub makes them."""
    found: list[str] = []
    for heading in _HEADING.findall(prose(page)):
        anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.append(anchor if anchor not in found else f"{anchor}-{found.count(anchor)}")
    return set(found)


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=lambda page: page.name)
def test_links(page: Path) -> None:
    for link in _LINK.findall(prose(page)):
        if link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_page_is_reached_from_the_readme(page: Path) -> None:
    links = _LINK.findall(prose(ROOT / "README.md"))
    assert page.name == "README.md" or f"docs/{page.name}" in links


def error_classes() -> list[type[exceptions.FinauthError]]:
    return [
        found
        for name, found in vars(exceptions).items()
        if inspect.isclass(found) and found.__module__ == exceptions.__name__ and not name.startswith("_")
    ]


@pytest.mark.parametrize("error", error_classes(), ids=lambda error: error.__name__)
def test_errors_page_has_each_class(error: type[exceptions.FinauthError]) -> None:
    page = DOCS / "errors.md"
    if error is exceptions.FinauthError:
        assert "`FinauthError`" in prose(page)
        return
    name = error.__name__
    ends_the_task = row(page, f"[`{name}`](#{name.lower()})").split("|")[-2].strip()
    assert ends_the_task == ("yes" if error.permanent else "no")
    assert name.lower() in anchors(page)


@pytest.mark.parametrize("option", CONFIG_OPTIONS)
def test_tokens_page_has_each_option(option: str) -> None:
    cells = row(DOCS / "tokens.md", f"`{option}`").split("|")
    default = CONFIG_OPTIONS[option]["default"]
    assert cells[2].strip().strip("`") == default or (not default and option in ("lock_dir", "store_key"))


@pytest.mark.parametrize("name", PAGING_STYLES)
def test_pulling_page_has_each_paging_style_and_option(name: str) -> None:
    style: Any = PAGING_STYLES[name]
    told = row(DOCS / "pulling.md", f"`{name}`" + (" (default)" if name == "none" else ""))
    for option in dataclasses.fields(style):
        if option.name == "switch":  # for the texts of our own APIs
            continue
        assert f"`{option.name}`" in told
        default = option.default
        if isinstance(default, str):
            assert f'"{default}"' in told
        elif isinstance(default, bool | int):
            assert f"({default}" in told


def members(package: Any, base: str) -> Iterator[type]:
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        for name, found in vars(import_module(module.name)).items():
            if inspect.isclass(found) and found.__module__ == module.name and name.endswith(base):
                yield found


def test_pulling_page_has_each_operator() -> None:
    page = prose(DOCS / "pulling.md")
    found = [item.__name__ for item in members(operators, "Operator") if not item.__name__.startswith("_")]
    own = [name for name in found if name not in ("PullOperator", "RequestOperator", "GraphQLOperator")]
    assert len(own) > 10
    assert [name for name in own if f"`{name}`" not in page] == []


def commands(page: Path) -> list[tuple[str, Any]]:
    """Read the commands of a page that tell the sandbox something: path and body."""
    found = []
    for block in blocks(page, "shell"):
        for line in block.text.splitlines():
            if line.startswith("curl "):
                words = shlex.split(line)
                (url,) = [word for word in words if word.startswith("http://127.0.0.1:8765/_sandbox/")]
                body = json.loads(words[words.index("-d") + 1]) if "-d" in words else None
                found.append((url.rpartition("/")[2], body))
    return found


def test_sandbox_page_has_commands_that_the_sandbox_takes(sandbox: RunningSandbox) -> None:
    told = {"faults": 0, "settings": 0, "records": 0, "reset": 0, "stats": 0}
    for path, body in commands(DOCS / "sandbox.md"):
        told[path] += 1
        if path == "faults":
            sandbox.faults(**body)
        elif path == "settings":
            for api, values in body.items():
                sandbox.settings(api, **values)
        elif path == "records":
            done = sandbox.records(body.pop("api"), body.pop("list"), **body)
            assert done["added"] or done["changed"] or done["records"] == body["total"]
        elif path == "reset":
            sandbox.reset()
        else:
            assert sandbox.stats()
    assert all(told.values())


def test_sandbox_page_has_each_kind_of_fault_and_each_setting(sandbox: RunningSandbox) -> None:
    page = prose(DOCS / "sandbox.md")
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    named = {name for cell in rows for name in re.findall(r"`(\w+)`", cell)}
    assert named >= KINDS
    settings = page[page.index("| API | settings") :].splitlines()
    for api in ("talenom", "op", "landax", "tradevest", "luca", "oauth2api"):
        told = next(line for line in settings if line.startswith("| all |"))
        told += next(line for line in settings if line.startswith(f"| `{api}` |"))
        assert [name for name in sandbox.settings(api) if f"`{name}`" not in told] == []


def test_sandbox_page_shows_what_is_counted(surroundings: RunningSandbox) -> None:
    assert sum(1 for _ in TalenomHook().vouchers(14222)) == 15000
    counted = surroundings.stats("talenom")
    del counted["log"]
    assert json.loads(only(blocks(DOCS / "sandbox.md", "json")).text) == counted


def test_sandbox_page_has_each_connection(sandbox: RunningSandbox) -> None:
    page = DOCS / "sandbox.md"
    assert all(row(page, f"`{conn_id}`") for conn_id in sandbox.connections)
