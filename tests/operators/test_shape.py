"""What every operator has in common, looked at without running one."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_finauth import operators
from airflow_provider_finauth.apis.resource import resources_of
from airflow_provider_finauth.connections import CONNECTION_TYPES
from airflow_provider_finauth.hooks.graphql import GraphQLHook
from airflow_provider_finauth.operators.base import GraphQLOperator, PullOperator, RequestOperator
from airflow_provider_finauth.pulls.records import Records
from tests.airflow_harness import AIRFLOW_3, ROOT
from tests.declared import HOOKS, RESOURCES, Declared

if TYPE_CHECKING:
    from airflow_provider_finauth.hooks.base import FinauthHook

BASES = (PullOperator, RequestOperator, GraphQLOperator)


def _operators() -> dict[str, type[BaseOperator]]:
    found: dict[str, type[BaseOperator]] = {}
    for module in pkgutil.iter_modules(operators.__path__, f"{operators.__name__}."):
        for name, value in vars(importlib.import_module(module.name)).items():
            public = isinstance(value, type) and issubclass(value, BaseOperator) and not name.startswith("_")
            if public and value.__module__ == module.name and value not in BASES:
                found[name] = value
    return found


OPERATORS = _operators()
# Of connections of any type.
ANY_CONNECTION = {"RefreshTokensOperator"}


def own_arguments(operator: type[BaseOperator]) -> dict[str, inspect.Parameter]:
    """The arguments that are ours: of the class and of the classes of ours above it."""
    found: dict[str, inspect.Parameter] = {}
    for base in operator.__mro__:
        if base.__module__.startswith(operators.__name__) and "__init__" in vars(base):
            # Airflow wraps constructors.
            parameters = inspect.signature(inspect.unwrap(vars(base)["__init__"])).parameters
            found |= {
                name: parameter
                for name, parameter in parameters.items()
                if name != "self" and parameter.kind is not inspect.Parameter.VAR_KEYWORD
            }
    return found


def names_of(hook: type[FinauthHook[Any]]) -> set[str]:
    """The operators that a connection type has."""
    api = hook.api_class
    kinds = ["Request", *(["GraphQL"] if api.graphql_path is not None else [])]
    return {f"{api.__name__}{kind}Operator" for kind in kinds} | {
        Declared(hook, resource).operator_name for resource in resources_of(api).values()
    }


def test_all_are_there() -> None:
    assert set(OPERATORS) == ANY_CONNECTION.union(*map(names_of, HOOKS))
    for hook in HOOKS:
        assert f"{hook.api_class.__name__}RecordsOperator" in names_of(hook)
    assert {
        "TalenomAccountBalancesOperator",
        "TradevestEntitiesOperator",
        "TradevestCustomerProductsOperator",
        "TradevestOrdersOperator",
        "LucaCompaniesOperator",
    } < set(OPERATORS)


@pytest.mark.skipif(not AIRFLOW_3, reason="the formatter is in the environment of Airflow 3 alone")
def test_the_files_are_what_would_be_written() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tools.write_operators", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_every_argument_is_a_template_field(name: str) -> None:
    """Airflow's own rule: a template field bears the name of its argument, and the constructor assigns it."""
    operator = OPERATORS[name]
    arguments = set(own_arguments(operator))
    assert set(operator.template_fields) == arguments
    assert len(operator.template_fields) == len(arguments)
    assert set(operator.template_fields_renderers) <= arguments


@pytest.mark.parametrize("name", [*sorted(OPERATORS), *(base.__name__ for base in BASES)])
def test_a_constructor_assigns_and_does_nothing_else(name: str) -> None:
    """A DAG file is parsed all day, and mapped arguments are known only later."""
    operator = {**OPERATORS, **{base.__name__: base for base in BASES}}[name]
    source = textwrap.dedent(inspect.getsource(inspect.unwrap(vars(operator)["__init__"])))
    (definition,) = ast.parse(source).body
    assert isinstance(definition, ast.FunctionDef)
    assert [argument.arg for argument in definition.args.args] == ["self"], "arguments are given by name"
    first, *assignments = [ast.unparse(statement) for statement in definition.body]
    assert first == "super().__init__(**kwargs)"
    assert assignments == [f"self.{argument.arg} = {argument.arg}" for argument in definition.args.kwonlyargs]


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook.conn_type)
def test_the_connection_has_the_hooks_default(hook: type[FinauthHook[Any]]) -> None:
    for name in names_of(hook):
        conn_ids = [each for each in own_arguments(OPERATORS[name]) if each.endswith("_conn_id")]
        assert conn_ids == [hook.conn_name_attr]
        assert own_arguments(OPERATORS[name])[hook.conn_name_attr].default == hook.default_conn_name
        assert OPERATORS[name].__module__.rpartition(".")[2] == hook.conn_type
    assert set(CONNECTION_TYPES) == {each.conn_type for each in HOOKS}


@pytest.mark.parametrize("declared", RESOURCES, ids=str)
def test_arguments_are_those_that_are_declared(declared: Declared) -> None:
    operator = OPERATORS[declared.operator_name]
    ours = own_arguments(operator)
    assert set(ours) - set(own_arguments(PullOperator)) == {
        declared.hook.conn_name_attr,
        *(each.name for each in declared.resource.arguments),
    }
    documented = " ".join((operator.__doc__ or "").split())
    assert declared.resource.summary in documented
    for each in declared.resource.arguments:
        assert ours[each.name].default == each.default
        assert f":param {each.name}: {each.description}" in documented


def test_options_of_the_destination_are_those_of_the_records() -> None:
    known = dict(inspect.signature(Records.write_to).parameters)
    ours = own_arguments(PullOperator)
    del ours["limit"], known["self"], known["context"]
    assert set(known) == set(ours)
    # Without a destination the records are collected.
    del ours["destination"]
    for argument, parameter in ours.items():
        assert parameter.default == known[argument].default
        assert parameter.annotation == known[argument].annotation
    collected = set(inspect.signature(Records.collect).parameters) - {"self", "context"}
    assert collected < set(known)


def test_a_document_has_the_arguments_of_the_hook() -> None:
    known = dict(inspect.signature(GraphQLHook.graphql).parameters)
    del known["self"]
    ours = own_arguments(GraphQLOperator)
    assert set(ours) == set(known)
    for argument, parameter in ours.items():
        assert parameter.default == known[argument].default


@pytest.mark.parametrize("name", ["LucaGraphQLOperator", "LucaNodesOperator"])
def test_documents_may_lie_in_files(name: str) -> None:
    assert list(OPERATORS[name].template_ext) == [".graphql"]
    assert OPERATORS[name].template_fields_renderers["query"] == "graphql"


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_no_name_is_taken_by_airflow(name: str) -> None:
    """A member that Airflow has for something else would be overwritten in silence."""
    airflows = set(dir(BaseOperator)) | set(
        inspect.signature(inspect.unwrap(BaseOperator.__init__)).parameters
    )
    assert {"output", "retries", "params"} <= airflows
    assert not airflows & set(own_arguments(OPERATORS[name]))
