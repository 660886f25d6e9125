"""Each resource as a command has what its declaration says, no more and no less."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import click
import pytest

from airflow_provider_finauth.apis.resource import Argument, Resource, resources_of
from airflow_provider_finauth.cli.resources import command, help_of, plain, usage
from airflow_provider_finauth.connections import CONNECTION_TYPES


def _declared() -> Iterator[Any]:
    for conn_type, declared in CONNECTION_TYPES.items():
        module, _, name = declared.hook_class.rpartition(".")
        hook_class = getattr(import_module(module), name)
        for resource in resources_of(hook_class.api_class).values():
            assert callable(getattr(hook_class, resource.name))
            yield pytest.param(resource, id=f"{conn_type}-{resource.name}")


every_resource = pytest.mark.parametrize("resource", list(_declared()))


def shown(resource: Resource) -> str:
    """Take the layout out of a resource's help."""
    return " ".join(help_of(resource, "finauth pull it").split())


def words_of(documentation: str) -> str:
    """Take the layout out of what a declaration says."""
    return " ".join(plain(documentation).split())


def sample(argument: Argument) -> str:
    """Write a value that an argument takes."""
    values = {"integer": "1", "flag": "true", "object": "{}", "json": "[]"}
    return argument.choices[0] if argument.choices else values.get(argument.kind, "x")


@every_resource
def test_the_arguments_are_the_declared_ones_in_their_order(resource: Resource) -> None:
    parameters = command(resource).params
    assert [(each.name, each.required, isinstance(each, click.Argument)) for each in parameters] == [
        (each.name, each.required, each.positional) for each in resource.arguments
    ]


@every_resource
def test_the_defaults_are_the_declared_ones(resource: Resource) -> None:
    words = [
        f"--{argument.name.replace('_', '-')}={sample(argument)}"
        for argument in resource.arguments
        if argument.required
    ]
    found = command(resource, words).make_context("it", words).params
    for argument in resource.arguments:
        if not argument.required:
            expected = argument.default
            if argument.kind == "strings" and expected is None:
                expected = ()
            assert found[argument.name] == expected


@every_resource
def test_the_help_has_the_words_of_the_declaration(resource: Resource) -> None:
    told = shown(resource)
    for words in (resource.summary, resource.notes, *(each.description for each in resource.arguments)):
        assert words_of(words) in told
    for argument in resource.arguments:
        name = argument.name.upper() if argument.positional else f"--{argument.name.replace('_', '-')}"
        [line] = re.findall(
            rf" {re.escape(name)} (\S+) {re.escape(words_of(argument.description))}(?:  ?\[(.*?)\])?", told
        )
        kind, extra = line
        if argument.choices:
            assert kind == f"[{'|'.join(argument.choices)}]"
        assert ("required" in extra) is argument.required
        if not argument.required and argument.default not in (None, ()):
            default = argument.default
            written = str(default).lower() if isinstance(default, bool) else str(default)
            assert f"default: {written}" in extra
        for bound in (argument.minimum, argument.maximum):
            assert bound is None or str(bound) in extra


@every_resource
def test_no_words_are_left_as_documentation_writes_them(resource: Resource) -> None:
    assert resource.summary.endswith(".")
    assert not re.search(r":\w+:|``", shown(resource))
    assert not {"self", "limit", "kwargs", "destination"} & {each.name for each in resource.arguments}


@every_resource
def test_a_line_tells_which_arguments_are_required(resource: Resource) -> None:
    labels = usage(resource).split()[1:]
    assert [not each.startswith("[") for each in labels] == [each.required for each in resource.arguments]
