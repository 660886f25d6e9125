"""What is read as a number or a flag in one place is read as the same in all others, or refused by all."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from airflow_provider_finauth import values
from airflow_provider_finauth.apis.talenom import Talenom
from airflow_provider_finauth.client.paging.named import pull_of
from airflow_provider_finauth.exceptions import ConfigurationError
from airflow_provider_finauth.runtime.config import Config, read_config
from airflow_provider_finauth.runtime.store_connections import server_store
from airflow_provider_finauth.settings import Settings, parse
from tests.connections import connection

# The range that all of the places allow.
LEAST, MOST = 61, 256

NUMBERS = (
    st.integers(LEAST, MOST).map(str)
    | st.from_regex(r"\s?[+-]?[0-9]{1,3}(\.[0-9]{0,2})?(e[0-9])?\s?", fullmatch=True)
    | st.text("0123456789.+-_eE \u0663ainf", min_size=1)
)
WORDS = st.sampled_from(
    ["true", "false", "yes", "no", "on", "off", "y", "n", "t", "f", "1", "0", "None", "2"]
)
FLAGS = st.tuples(WORDS, st.sampled_from([str, str.upper, str.title, " {} ".format, "{}.".format])).map(
    lambda pair: pair[1](pair[0])
)


def settings_of(field: str, value: str) -> Settings:
    given = connection("talenom", extra={field: value})
    del given["conn_type"]
    return parse("talenom", "my_conn", **given)


def argument_of(name: str, value: Any) -> Any:
    given = connection("talenom")
    del given["conn_type"]
    return Talenom(parse("talenom", "my_conn", **given)).vouchers(14222, **{name: value})


def option_of(name: str, value: str) -> Any:
    return getattr(pull_of("/", paging="page_index", paging_options={name: value}).paging, name)


def config_of(option: str, value: str) -> Config:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(f"AIRFLOW__FINAUTH__{option.upper()}", value)
        return read_config()


def store_of(member: str, value: str) -> Any:
    found = {"conn_type": "redis", "host": "redis.example.com", "extra": {member: value}}
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AIRFLOW_CONN_FINAUTH_TOKENS", json.dumps(found))
        environment.setenv("AIRFLOW__FINAUTH__TOKEN_STORE", "redis")
        environment.setenv("AIRFLOW__FINAUTH__TOKEN_STORE_CONN_ID", "finauth_tokens")
        environment.setenv("AIRFLOW__FINAUTH__STORE_KEY", "the-store-key-of-these-tests")
        return server_store(read_config())._client.address  # type: ignore[attr-defined]


def readings(value: str, *readers: Callable[[str], Any]) -> list[Any]:
    """Read a value in several places; None where it is refused."""
    found = []
    for read in readers:
        try:
            found.append(read(value))
        except ConfigurationError:
            found.append(None)
    return found


def assume_within_all_ranges(value: str) -> None:
    assume(value.strip())  # where nothing is said, each place has a default of its own
    with suppress(values.Unreadable):
        assume(LEAST <= values.number(value) <= MOST)


@settings(deadline=None)  # the first reading loads much of Airflow
@given(NUMBERS)
def test_whole_numbers(value: str) -> None:
    assume_within_all_ranges(value)
    first, *others = readings(
        value,
        lambda value: settings_of("max_concurrency", value).integer("max_concurrency"),
        lambda value: argument_of("page_size", value).paging.size,
        lambda value: option_of("size", value),
        lambda value: config_of("max_xcom_records", value).max_xcom_records,
        lambda value: store_of("db", value).database,
    )
    assert others == [first] * 4


@settings(deadline=None)  # the first reading loads much of Airflow
@given(NUMBERS)
def test_numbers(value: str) -> None:
    assume_within_all_ranges(value)
    field, option = readings(
        value,
        lambda value: settings_of("request_timeout", value).number("request_timeout"),
        lambda value: config_of("lock_timeout", value).lock_timeout,
    )
    assert field == option


@settings(deadline=None)  # the first reading loads much of Airflow
@given(FLAGS)
def test_flags(value: str) -> None:
    first, *others = readings(
        value,
        lambda value: settings_of("tls_verify", value).flag("tls_verify"),
        lambda value: argument_of("include_postings", value).request.params["includePostings"],
        lambda value: option_of("offset", value),
        lambda value: store_of("ssl", value).tls,
    )
    assert others == [first] * 3


def test_yes_is_a_flag_everywhere() -> None:
    assert settings_of("tls_verify", "yes").flag("tls_verify") is True
    assert argument_of("include_postings", "yes").request.params["includePostings"] is True
    assert option_of("offset", "yes") is True
    assert store_of("ssl", "yes").tls is True
