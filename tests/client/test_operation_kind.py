from __future__ import annotations

import pytest
from graphql import OperationDefinitionNode, parse
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_finauth.client.graphql import operation_kind

TWO = "query A { a } mutation B { b }"


@pytest.mark.parametrize(
    ("document", "name", "kind"),
    [
        ("{ a }", None, "query"),
        ("query { a }", None, "query"),
        ('query A($x: I = {y: 1}, $s: String = "mutation { x }") @d(a: {b: [1]}) { a { b } }', None, "query"),
        ("mutation { a }", None, "mutation"),
        ("mutation M { a }", "M", "mutation"),
        ("subscription { a }", None, "subscription"),
        ("# mutation { x }\nquery { a }", None, "query"),
        ("# query { x }\r\nmutation { a }", None, "mutation"),
        ("#\nmutation#{\n{a}", None, "mutation"),
        ("\ufeff,, mutation,{ a }", None, "mutation"),
        ("fragment mutation on X { a } query { ...mutation }", None, "query"),
        ("fragment F on X { a } mutation { a }", None, "mutation"),
        ("query mutation { a }", "mutation", "query"),
        ("mutation query { a }", None, "mutation"),
        ('query { a(x: "} mutation { \\" b") }', None, "query"),
        ('query { a(x: """ " } mutation { \\""" """) }', None, "query"),
        ('mutation { a(x: """#""") }', None, "mutation"),
        ('query { a(x: "") }', None, "query"),
        ("query { mutation }", None, "query"),
        (TWO, "A", "query"),
        (TWO, "B", "mutation"),
        (TWO, "C", None),
        (TWO, None, None),
        ("", None, None),
        ("query", None, None),
        ("query { a", None, None),
        ("query { a }}", None, None),
        ("type Query { a: Int }", None, None),
        ('query { a(x: "b) }', None, None),
        ('"text" { a }', None, "query"),
    ],
)
def test_kinds(document: str, name: str | None, kind: str | None) -> None:
    assert operation_kind(document, name) == kind


names = st.sampled_from(["a", "query", "mutation", "fragment", "on", "subscription", "_x1"])
comments = st.sampled_from(["", " ", "\n", "# mutation { x }\n", '#"\n', ",", "\t", "\ufeff"])
strings = st.sampled_from(
    ['""', '"{"', '"\\""', '"mutation { a }"', '""" { \\""" } # """', '"""\n"x"\n"""', '"#"']
)
values = st.one_of(strings, st.just("1"), st.just('[1, {a: "}"}]'), st.just("{a: {b: 2}}"), st.just("$v"))


@st.composite
def operations(draw: st.DrawFn) -> tuple[str, str]:
    word = draw(st.sampled_from(["query", "mutation", "subscription"]))
    name = draw(st.one_of(st.just(""), names))
    variables = draw(
        st.one_of(st.just(""), st.just('($v: In = {a: "mutation {"})'), st.just("($v: [Int!]!)"))
    )
    gaps = [draw(comments) for _ in range(5)]
    directive = draw(st.sampled_from(["", "@include(if: true)"]))
    field = f"f{gaps[0]}(x:{gaps[1]} {draw(values)}) {{ {draw(names)} ...on T {{ a }} }}"
    return f"{gaps[2]}{word} {name} {variables}{gaps[3]} {directive} {{{gaps[4]} {field} }}", word


@given(
    operations(), st.lists(st.sampled_from(["fragment F on T { a }", 'fragment mutation on T { b(x: "}") }']))
)
def test_the_scan_agrees_with_a_real_parser(operation: tuple[str, str], fragments: list[str]) -> None:
    document = " ".join([*fragments, operation[0], *fragments])
    parsed = [node for node in parse(document).definitions if isinstance(node, OperationDefinitionNode)]

    assert operation_kind(document) == parsed[0].operation.value == operation[1]


@given(st.text(alphabet='{}()"#\\ \nquerymtaionsb', max_size=60))
def test_whatever_is_not_a_document_is_survived(text: str) -> None:
    kind = operation_kind(text)
    try:
        definitions = parse(text).definitions
    except Exception:
        return
    found = [node.operation.value for node in definitions if isinstance(node, OperationDefinitionNode)]
    assert kind == (found[0] if len(found) == 1 else None)
