"""What the example DAGs hold to, read off their source."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from demo.examples import EXAMPLES
from tests.airflow_harness import ROOT

FOLDER = ROOT / "example_dags"
FILES = sorted(FOLDER.glob("*.py"))
each_file = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


def names(tree: ast.AST) -> set[str]:
    """Give all names and attributes that occur."""
    return {
        node.attr if isinstance(node, ast.Attribute) else node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute | ast.Name)
    }


def parsed_code(tree: ast.AST) -> list[ast.AST]:
    """Give what runs while the file is parsed: all but the bodies of tasks, methods and plain functions."""

    def is_dag(node: ast.AST) -> bool:
        return isinstance(node, ast.FunctionDef) and any("dag" in names(mark) for mark in node.decorator_list)

    found: list[ast.AST] = []
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        found.append(node)
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.FunctionDef | ast.Lambda) or is_dag(child):
                waiting.append(child)
    return found


def test_all_are_known() -> None:
    assert [file.stem for file in FILES] == sorted(example.dag_id for example in EXAMPLES)


@each_file
def test_maps_by_expand_only(file: Path) -> None:
    """``expand_kwargs()`` renders what it maps over: a vendor's text would be run as a template."""
    assert "expand_kwargs" not in names(ast.parse(file.read_text()))


@each_file
def test_asks_nobody_while_it_is_parsed(file: Path) -> None:
    code = parsed_code(ast.parse(file.read_text()))
    used = {name for node in code if isinstance(node, ast.Call) for name in names(node.func)}
    assert not {name for name in used if name.endswith("Hook")}
    assert not used & {"get", "get_connection", "get_conn"}
    imported = {node.module for node in code if isinstance(node, ast.ImportFrom)}
    assert not {module for module in imported if module and ".hooks" in module}


@each_file
def test_tells_in_one_line_what_it_does_and_where_files_go(file: Path) -> None:
    text = file.read_text()
    docstring = ast.get_docstring(ast.parse(text))
    assert docstring
    assert docstring.splitlines()[0].endswith((".", ":"))
    assert ("finauth_output" in text) == ("``finauth_output``" in docstring)


@each_file
def test_uses_nothing_that_a_run_without_a_logical_date_lacks(file: Path) -> None:
    templates = [
        node.value
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "{{" in node.value
    ]
    for template in templates:
        assert "{{ ds" not in template
        assert "logical_date" not in template
        assert "data_interval_end" not in template.replace(
            "data_interval_end | default(dag_run.run_after, true)", ""
        )
