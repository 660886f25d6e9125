"""What every operator has in common, looked at without running one."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import textwrap
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_finauth import operators
from airflow_provider_finauth.connections import CONNECTION_TYPES
from airflow_provider_finauth.hooks.landax import LandaxHook
from airflow_provider_finauth.hooks.luca import LucaHook
from airflow_provider_finauth.hooks.oauth2api import OAuth2ApiHook
from airflow_provider_finauth.hooks.opcorporate import OPCorporateHook
from airflow_provider_finauth.hooks.records import LandingOptions, Records
from airflow_provider_finauth.hooks.talenom import TalenomHook
from airflow_provider_finauth.hooks.tradevest import TradevestHook
from airflow_provider_finauth.operators.base import PullOperator, RequestOperator

if TYPE_CHECKING:
    from collections.abc import Callable


def _operators() -> dict[str, type[BaseOperator]]:
    found: dict[str, type[BaseOperator]] = {}
    for module in pkgutil.iter_modules(operators.__path__, f"{operators.__name__}."):
        for name, value in vars(importlib.import_module(module.name)).items():
            public = isinstance(value, type) and issubclass(value, BaseOperator) and not name.startswith("_")
            if public and value.__module__ == module.name and value not in (PullOperator, RequestOperator):
                found[name] = value
    return found


OPERATORS = _operators()
NAMES = {
    "TalenomAccountingPeriodsOperator",
    "TalenomVouchersOperator",
    "TalenomGeneralLedgerEventsOperator",
    "TalenomSalesInvoicesOperator",
    "TalenomRequestOperator",
    "OPAccountsOperator",
    "OPTransactionsOperator",
    "OPCorporateRequestOperator",
    "LandaxEntitiesOperator",
    "LandaxRequestOperator",
    "TradevestTransactionsOperator",
    "TradevestChangelogOperator",
    "TradevestRequestOperator",
    "LucaGraphQLOperator",
    "LucaNodesOperator",
    "LucaRequestOperator",
    "OAuth2ApiRecordsOperator",
    "OAuth2ApiRequestOperator",
}
# Of connections of any type.
ANY_CONNECTION = {"RefreshTokensOperator"}
# What an operator does, as a method of its hook.
METHODS: dict[str, Callable[..., Any]] = {
    "TalenomAccountingPeriodsOperator": TalenomHook.accounting_periods,
    "TalenomVouchersOperator": TalenomHook.vouchers,
    "TalenomGeneralLedgerEventsOperator": TalenomHook.general_ledger_events,
    "TalenomSalesInvoicesOperator": TalenomHook.sales_invoices,
    "OPAccountsOperator": OPCorporateHook.accounts,
    "OPTransactionsOperator": OPCorporateHook.transactions,
    "LandaxEntitiesOperator": LandaxHook.entities,
    "TradevestTransactionsOperator": TradevestHook.transactions,
    "TradevestChangelogOperator": TradevestHook.changelog,
    "LucaGraphQLOperator": LucaHook.graphql,
    "LucaNodesOperator": LucaHook.nodes,
}
LANDING = set(LandingOptions.__annotations__)
# Kept under another name, since Airflow's operators have a property ``output`` of their own.
KEPT_AS = {"output": "destination"}


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


def test_all_are_there() -> None:
    assert set(OPERATORS) == NAMES | ANY_CONNECTION


@pytest.mark.parametrize("name", sorted(NAMES | ANY_CONNECTION))
def test_every_argument_is_a_template_field(name: str) -> None:
    operator = OPERATORS[name]
    arguments = {KEPT_AS.get(argument, argument) for argument in own_arguments(operator)}
    assert set(operator.template_fields) == arguments
    assert len(operator.template_fields) == len(arguments)
    assert set(operator.template_fields_renderers) <= arguments


@pytest.mark.parametrize("name", [*sorted(NAMES | ANY_CONNECTION), "PullOperator", "RequestOperator"])
def test_a_constructor_assigns_and_does_nothing_else(name: str) -> None:
    """A DAG file is parsed all day, and mapped arguments are known only later."""
    operator = {**OPERATORS, "PullOperator": PullOperator, "RequestOperator": RequestOperator}[name]
    source = textwrap.dedent(inspect.getsource(inspect.unwrap(vars(operator)["__init__"])))
    (definition,) = ast.parse(source).body
    assert isinstance(definition, ast.FunctionDef)
    assert [argument.arg for argument in definition.args.args] == ["self"], "arguments are given by name"
    first, *assignments = [ast.unparse(statement) for statement in definition.body]
    assert first == "super().__init__(**kwargs)"
    wanted = [
        f"self.{KEPT_AS.get(argument.arg, argument.arg)} = {argument.arg}"
        for argument in definition.args.kwonlyargs
    ]
    assert assignments == wanted


@pytest.mark.parametrize("name", sorted(NAMES))
def test_the_connection_has_the_hooks_default(name: str) -> None:
    arguments = own_arguments(OPERATORS[name])
    (conn_type,) = [item for item in CONNECTION_TYPES if f"{item}_conn_id" in arguments]
    assert arguments[f"{conn_type}_conn_id"].default == f"{conn_type}_default"
    kept = {arguments[argument].default for argument in arguments if argument.endswith("_conn_id")}
    assert kept == {f"{conn_type}_default"}


@pytest.mark.parametrize("name", METHODS)
def test_arguments_are_those_of_the_hooks_method(name: str) -> None:
    method = dict(inspect.signature(METHODS[name]).parameters)
    del method["self"]
    ours = {
        argument: parameter
        for argument, parameter in own_arguments(OPERATORS[name]).items()
        if argument not in LANDING and not argument.endswith("_conn_id")
    }
    assert set(ours) == set(method)
    for argument, parameter in ours.items():
        assert parameter.default == method[argument].default


def test_landing_options_are_those_of_the_records() -> None:
    """And the hooks' ``pull`` tells them from the list's own by the same names."""
    known = dict(inspect.signature(Records.land).parameters)
    ours = {**own_arguments(PullOperator)}
    del ours["limit"], known["self"], known["context"]
    assert set(known) == set(ours) == LANDING
    for argument, parameter in ours.items():
        assert parameter.default == known[argument].default
        assert parameter.annotation == known[argument].annotation


def test_arguments_of_any_list_are_those_of_the_hook() -> None:
    from airflow_provider_finauth.client.paging.named import pull_of

    known = dict(inspect.signature(pull_of).parameters)
    own = inspect.signature(OAuth2ApiHook.records).parameters
    known |= {
        name: parameter
        for name, parameter in own.items()
        if name not in ("self", "path", "limit") and parameter.kind is parameter.KEYWORD_ONLY
    }
    ours = own_arguments(OPERATORS["OAuth2ApiRecordsOperator"])
    # Airflow's operators have an argument ``params`` of their own.
    known["query_params"] = known.pop("params")
    for argument, parameter in known.items():
        assert ours[argument].default == parameter.default
    assert set(ours) - set(known) == {*LANDING, "limit", "oauth2api_conn_id"}
    assert OAuth2ApiHook.conn_type == "oauth2api"


@pytest.mark.parametrize("name", ["LucaGraphQLOperator", "LucaNodesOperator"])
def test_documents_may_lie_in_files(name: str) -> None:
    assert list(OPERATORS[name].template_ext) == [".graphql"]


@pytest.mark.parametrize("name", sorted(NAMES | ANY_CONNECTION))
def test_no_name_is_taken_by_airflow(name: str) -> None:
    """A member that Airflow has for something else would be overwritten in silence."""
    airflows = set(dir(BaseOperator)) | set(
        inspect.signature(inspect.unwrap(BaseOperator.__init__)).parameters
    )
    assert {"output", "retries", "params"} <= airflows
    assert airflows & set(own_arguments(OPERATORS[name])) <= set(KEPT_AS)
