"""The hooks' list methods: typed, and with the signature and the words of what ``apis/`` declares."""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_finauth.apis.resource import resource, resource_of
from airflow_provider_finauth.apis.talenom import Talenom
from airflow_provider_finauth.client.paging.base import Pull, Request
from airflow_provider_finauth.client.paging.single import Single
from airflow_provider_finauth.exceptions import ConfigurationError
from airflow_provider_finauth.hooks.talenom import TalenomHook
from airflow_provider_finauth.pulls.records import Records
from tests.airflow_harness import AIRFLOW_3, ROOT
from tests.connections import use
from tests.declared import RESOURCES, Declared

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
from airflow_provider_finauth.hooks.talenom import TalenomHook
from airflow_provider_finauth.hooks.landax import LandaxHook

hook = TalenomHook()
reveal_type(hook.vouchers(1, since="2026-01-01", states=["Draft"]).limit(5))
reveal_type(LandaxHook().records("/x", paging="cursor"))
hook.vouchers(1, sinse="2026-01-01")
hook.vouchers()
hook.vouchers("FI12345678")
hook.vouchers(1, states=["Lost"])
hook.records("/x", paging="guessing")
hook.request("GET", "/x", params={})
"""
SAID = [
    'Revealed type is "airflow_provider_finauth.pulls.records.Records"',
    'Revealed type is "airflow_provider_finauth.pulls.records.Records"',
    'Unexpected keyword argument "sinse"; did you mean "since"?',
    "Too few arguments",
    'Argument 1 has incompatible type "str"; expected "int"',
    """List item 0 has incompatible type "Literal['Lost']\"""",
    """Argument "paging" has incompatible type "Literal['guessing']\"""",
    'Unexpected keyword argument "params" for "request"',
]


@pytest.mark.skipif(not AIRFLOW_3, reason="the type checker is in the environment of Airflow 3 alone")
def test_a_type_checker_tells_what_is_misspelt_and_what_is_missing(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    command = [sys.executable, "-m", "mypy", "--config-file", ROOT / "pyproject.toml", program]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    first_line = len(PROGRAM.partition("reveal_type")[0].splitlines()) + 1
    for number, expected in enumerate(SAID, first_line):
        [said] = [
            line
            for line in run.stdout.splitlines()
            if f"program.py:{number}:" in line and "defined in" not in line
        ]
        assert expected in said


@pytest.mark.parametrize("declared", RESOURCES, ids=str)
def test_a_method_has_the_arguments_and_words_of_its_resource(declared: Declared) -> None:
    resource = declared.resource
    method = getattr(declared.hook, resource.name)
    signature = inspect.signature(method)
    assert signature.return_annotation is Records
    own, *parameters = signature.parameters.values()
    assert own.name == "self"
    assert [(each.name, each.default) for each in parameters] == [
        (each.name, each.default) for each in resource.arguments
    ]
    assert method.__name__ == resource.name
    documented = method.__doc__ or ""
    assert documented.startswith(resource.summary)
    for each in resource.arguments:
        assert each.description, "every argument says what it means"
        assert f":param {each.name}: {each.description}" in documented


@pytest.mark.parametrize("declared", RESOURCES, ids=str)
def test_summaries_are_sentences_in_the_imperative(declared: Declared) -> None:
    assert declared.resource.summary.endswith(".")
    assert declared.resource.summary.partition(" ")[0] in ("Pull", "Walk")
    assert "\n" not in declared.resource.summary


@pytest.mark.parametrize("argument", ["headers", "query", "paging_options"])
def test_what_may_hold_a_secret_is_not_repeated(monkeypatch: pytest.MonkeyPatch, argument: str) -> None:
    use(monkeypatch, "talenom")
    hook: Any = TalenomHook()
    with pytest.raises(ConfigurationError, match=f"Argument '{argument}' must be a JSON object") as caught:
        hook.records("/x", **{argument: "X-Api-Key: a-secret-key"})
    assert "a-secret-key" not in str(caught.value)


def test_a_request_takes_nothing_that_would_be_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `params`, which requests calls what is `query` here."""
    use(monkeypatch, "talenom")
    hook: Any = TalenomHook()
    for call in (hook.request, hook.request_json):
        with pytest.raises(ConfigurationError, match="takes no 'params'. It takes query, json"):
            call("GET", "/x", params={"a": "1"})


@pytest.mark.parametrize(
    ("arguments", "field"),
    [({"path": None}, "path"), ({"headers": "X: secret"}, "headers"), ({"headers": 5}, "headers")],
)
def test_what_no_request_can_be_made_of_is_named(
    monkeypatch: pytest.MonkeyPatch, arguments: dict[str, Any], field: str
) -> None:
    use(monkeypatch, "talenom")
    hook: Any = TalenomHook()
    for call in (hook.request, hook.request_json):
        with pytest.raises(ConfigurationError, match=f"Argument '{field}' must be a") as caught:
            call(**{"method": "GET", "path": "/x", **arguments})
        assert caught.value.field == field
        assert "secret" not in str(caught.value)


def test_relay_needs_its_document(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, "talenom")
    for json in (None, [], "{ x }", {"query": None}):
        with pytest.raises(ConfigurationError, match="GraphQL document") as caught:
            TalenomHook().records(
                "/x", paging="relay", paging_options={"connection_path": "x"}, method="POST", json=json
            )
        assert caught.value.field == "json"


def test_a_value_that_cannot_be_shown_is_named_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, "talenom")
    hook: Any = TalenomHook()
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    for value in (10**5000, nested):
        with pytest.raises(ConfigurationError, match="Argument 'organization_number' must be a whole number"):
            hook.vouchers(value)


def test_an_api_may_declare_a_resource_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    class Another(Talenom):
        @resource(key="number")
        def vouchers(self, organization_number: int) -> Pull:  # type: ignore[override]
            """Pull the vouchers of another version."""
            return Pull(request=Request("GET", f"/v9/{organization_number}"), paging=Single())

    class AnotherHook(TalenomHook):
        api_class = Another

    use(monkeypatch, "talenom")
    with pytest.raises(ConfigurationError, match="It takes organization_number"):
        AnotherHook().vouchers(1, since="2026-01-01")
    assert repr(AnotherHook().vouchers(1)) == "<Records of vouchers over 'talenom_default'>"


def test_an_argument_of_a_type_that_cannot_be_read_is_no_declaration() -> None:
    class Odd(Talenom):
        @resource()
        def odd(self, ratio: float) -> Pull:
            """Pull what is odd."""
            raise NotImplementedError

    with pytest.raises(TypeError, match="cannot be of type .*float"):
        assert resource_of(Odd.odd).arguments


def test_a_long_value_is_not_repeated_at_length(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, "talenom")
    hook: Any = TalenomHook()
    with pytest.raises(ConfigurationError, match="'since' must be a date") as caught:
        hook.vouchers(1, since="x" * 10_000)
    assert len(str(caught.value)) < 400


def test_arguments_that_do_not_fit_say_what_does(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, "talenom")
    hook = TalenomHook()
    for wrong in (lambda: hook.vouchers(1, sinse="x"), lambda: hook.vouchers()):  # type: ignore[call-arg]
        with pytest.raises(ConfigurationError, match="'vouchers': .* It takes organization_number, since"):
            wrong()
