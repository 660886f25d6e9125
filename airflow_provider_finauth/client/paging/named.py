"""Paging styles by name: how a DAG or a template says which one it wants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Literal, cast, get_args

from airflow_provider_finauth import values
from airflow_provider_finauth.client.paging.base import PagingStyle, Pull, Request
from airflow_provider_finauth.client.paging.cursor import Cursor
from airflow_provider_finauth.client.paging.keyset import Keyset
from airflow_provider_finauth.client.paging.limit_offset import LimitOffset
from airflow_provider_finauth.client.paging.next_link import NextLink
from airflow_provider_finauth.client.paging.page_index import PageIndex
from airflow_provider_finauth.client.paging.relay import Relay
from airflow_provider_finauth.client.paging.single import Single
from airflow_provider_finauth.client.paging.skip_top import SkipTop
from airflow_provider_finauth.exceptions import ConfigurationError

PagingName = Literal[
    "none", "page_index", "limit_offset", "skip_top", "next_link", "cursor", "relay", "keyset"
]
PAGING_STYLES: dict[PagingName, type[PagingStyle]] = {
    "none": Single,
    "page_index": PageIndex,
    "limit_offset": LimitOffset,
    "skip_top": SkipTop,
    "next_link": NextLink,
    "cursor": Cursor,
    "relay": Relay,
    "keyset": Keyset,
}


def pull_of(
    path: str,
    *,
    query: Mapping[str, Any] | None = None,
    paging: PagingName = "none",
    paging_options: Mapping[str, Any] | None = None,
    records_path: str | None = None,
    key: str | None = None,
    total: str | None = None,
    method: str = "GET",
    json: Any = None,
    headers: Mapping[str, str] | None = None,
    idempotent: bool | None = None,
) -> Pull:
    """Describe a pull of any list.

    :param path: below the connection's address
    :param query: parameters of the query
    :param paging: a name of :data:`PAGING_STYLES`
    :param paging_options: what the style takes, for example ``{"param": "cursor", "size": 100}``
    :param records_path: where the list lies in the answer, for example ``result.items``
    :param key: the member that names a record, for the guards
    :param total: where the answer tells the number of all records
    :param idempotent: whether a request other than a GET may be repeated when its answer is lost
    :raises ConfigurationError: no such style, or it takes no such option
    """
    name = cast("PagingName", values.argument("paging", values.choice, paging, get_args(PagingName)))
    options = values.argument("paging_options", values.mapping, paging_options or {})
    return Pull(
        request=Request(method, path, dict(query or {}), json, dict(headers or {}), idempotent),
        paging=_style(name, options),
        records_path=records_path,
        key=key,
        total=total,
        resource=path.strip("/"),
    )


def _style(paging: PagingName, options: Mapping[str, Any]) -> PagingStyle:
    declared = {field.name: str(field.type) for field in fields(PAGING_STYLES[paging])}  # type: ignore[arg-type]
    try:
        return PAGING_STYLES[paging](
            **{name: _option(name, declared[name], value) for name, value in options.items()}
        )
    except (TypeError, KeyError):
        raise ConfigurationError(
            f"Argument 'paging_options' does not fit the paging '{paging}', which takes "
            f"{', '.join(declared) or 'none'}; see 'Paging styles' in docs/pulling.md.",
            field="paging_options",
        ) from None


def _option(name: str, declared: str, value: Any) -> Any:
    """Read an option by the type that its style declares.

    :raises ConfigurationError: it is of another kind
    """
    kind, _, optional = declared.partition(" | ")
    if optional and (value is None or value == ""):
        return None
    try:
        if kind == "int":
            return values.integer(value, minimum=0)
        if kind == "bool":
            return values.flag(value)
        if kind == "str":
            return values.string(value)
        return values.strings(value) if kind.startswith("tuple") else value
    except values.Unreadable as error:
        raise ConfigurationError(
            f"Argument 'paging_options': '{name}' must be {error.expected}, not {value!r}.",
            field="paging_options",
        ) from None
