"""What a connection may say, and what it is told when it says something else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_finauth.connections import CONNECTION_TYPES
from airflow_provider_finauth.exceptions import ConfigurationError
from airflow_provider_finauth.secret import Secret
from airflow_provider_finauth.settings import Settings, parse

COMPLETE: dict[str, dict[str, Any]] = {
    "talenom": {"login": "id", "password": "pw", "extra": {"subscription_api_key": "key", "scope": "s"}},
    "opcorporate": {"login": "id", "password": "pw"},
    "landax": {
        "host": "https://c.landax.no",
        "login": "u",
        "password": "pw",
        "extra": {"client_id": "a", "client_secret": "b", "api_version": "32"},
    },
    "tradevest": {"login": "id", "password": "pw"},
    "luca": {"password": "key"},
    "oauth2api": {"host": "https://api.example.com"},
}


def read(conn_type: str, **changes: Any) -> Settings:
    given = dict(COMPLETE[conn_type])
    extra = {**given.get("extra", {}), **changes.pop("extra", {})}
    return parse(conn_type, "my_conn", **{**given, **changes, "extra": extra})


@pytest.mark.parametrize("conn_type", CONNECTION_TYPES)
def test_a_complete_connection_is_read(conn_type: str) -> None:
    settings = read(conn_type)
    assert settings.conn_id == "my_conn"
    assert settings.integer("default_lifetime") == 3600
    assert settings.number("requests_per_second") is None
    assert settings.flag("tls_verify") is True


@pytest.mark.parametrize(
    ("conn_type", "field"),
    [(item.name, field.name) for item in CONNECTION_TYPES.values() for field in item if field.required],
)
@pytest.mark.parametrize("empty", [None, "", "   "])
def test_a_required_field_is_named(conn_type: str, field: str, empty: str | None) -> None:
    if field == "password" and empty == "   ":
        return  # white space may be a password
    changes = {field: empty} if field in ("host", "login", "password") else {"extra": {field: empty}}
    if CONNECTION_TYPES[conn_type][field].kind.is_secret and empty == "   ":
        return
    with pytest.raises(
        ConfigurationError, match=f"Connection 'my_conn' .*field '{field}'.* is empty"
    ) as caught:
        read(conn_type, **changes)
    assert (caught.value.conn_id, caught.value.field) == ("my_conn", field)
    assert caught.value.permanent


@pytest.mark.parametrize(
    ("conn_type", "field", "value", "says"),
    [
        ("talenom", "request_timeout", "soon", "must be a number"),
        ("talenom", "request_timeout", True, "must be a number"),
        ("talenom", "request_timeout", "nan", "must be a number"),
        ("talenom", "request_timeout", "inf", "must be a number"),
        ("talenom", "request_timeout", 0, "must be at least 1"),
        ("talenom", "request_timeout", 99999, "must be at most 3600"),
        ("talenom", "max_concurrency", "2.5", "must be a whole number"),
        ("talenom", "max_concurrency", "many", "must be a number"),
        ("talenom", "tls_verify", "perhaps", "must be true or false"),
        ("talenom", "page_numbering", "pages", "must be one of index, offset"),
        ("talenom", "scope", {"a": 1}, "must be a string"),
        ("talenom", "subscription_api_key", ["a"], "must be a string"),
        ("opcorporate", "environment", "staging", "must be one of production, sandbox"),
        ("luca", "auth_method", "oauth3", "must be one of api_key, oauth2, oauth21"),
        ("luca", "company_ids", "[1, 2", "comma-separated"),
        ("luca", "company_ids", [{"id": 1}], "comma-separated"),
        ("luca", "organisation_number", "NO 123", "must be a number"),
        ("oauth2api", "api_headers", "Accept: x", "must be a JSON object"),
        ("oauth2api", "api_headers", ["x"], "must be a JSON object"),
        ("oauth2api", "secret_headers", {"X": {"y": 1}}, "must be a JSON object"),
    ],
)
def test_what_is_wrong_is_named(conn_type: str, field: str, value: object, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as caught:
        read(conn_type, extra={field: value})
    assert caught.value.field == field
    assert f"field '{field}'" in str(caught.value)


@pytest.mark.parametrize(
    ("conn_type", "field", "value"),
    [
        ("oauth2api", "secret_headers", '{"X-Key": "hunter22",}'),
        ("oauth2api", "secret_headers", ["hunter22"]),
        ("talenom", "max_concurrency", "hunter22"),
        ("talenom", "tls_verify", "hunter22"),
        ("luca", "company_ids", "[hunter22"),
    ],
)
def test_what_is_wrong_is_not_repeated(conn_type: str, field: str, value: object) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(conn_type, extra={field: value})
    assert "hunter22" not in str(caught.value)
    # What was raised on the way has frames, and members, that hold the value.
    assert caught.value.__context__ is None


def test_strings_are_read_for_what_they_hold() -> None:
    settings = read(
        "luca",
        extra={
            "request_timeout": " 30 ",
            "max_concurrency": "4.0",
            "tls_verify": "False",
            "company_ids": " a, b ,,c",
            "requests_per_second": None,
        },
    )
    assert settings.number("request_timeout") == 30
    assert settings.integer("max_concurrency") == 4
    assert settings.flag("tls_verify") is False
    assert settings.strings("company_ids") == ("a", "b", "c")
    assert settings.number("requests_per_second") is None
    assert read("luca", extra={"company_ids": '["x", 2]'}).strings("company_ids") == ("x", "2")
    assert read("luca", extra={"company_ids": 912345678}).strings("company_ids") == ("912345678",)
    assert read("oauth2api", extra={"api_headers": '{"A": 1}'}).mapping("api_headers") == {"A": "1"}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
def test_a_secret_read_from_a_file_loses_its_line_break(end: str) -> None:
    assert read("talenom", password="secret " + end).secret("password") == Secret("secret ")


@pytest.mark.parametrize("sign", ["\u200b", "\n", "\x00", "\ufeff"])
def test_a_secret_with_a_sign_that_cannot_be_seen_is_named(sign: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be seen") as caught:
        read("talenom", extra={"subscription_api_key": f"abc{sign}def"})
    assert caught.value.field == "subscription_api_key"
    assert "abc" not in str(caught.value)


def test_older_forms_prefix_their_extras() -> None:
    assert read("luca", extra={"extra__luca__auth_method": "oauth2"}).text("auth_method") == "oauth2"


def test_port_of_the_connection() -> None:
    assert read("oauth2api", port=8443).text("host") == "https://api.example.com:8443"
    assert read("oauth2api", host="https://[::1]/x", port=8443).text("host") == "https://[::1]:8443/x"
    assert read("oauth2api", host="https://a:1/x/", port=8443).text("host") == "https://a:1/x"


def test_every_secret_is_given_to_the_masker() -> None:
    settings = read(
        "oauth2api",
        login="app",
        password="client-secret",
        extra={
            "secret_headers": {"X-Key": "header-secret"},
            "user_password": "user-secret",
            "api_headers": {"A": "b"},
        },
    )
    assert set(settings.secrets()) == {
        Secret("client-secret"),
        Secret("header-secret"),
        Secret("user-secret"),
    }


def test_op_keeps_the_client_id_secret_too() -> None:
    assert Secret("id") in read("opcorporate").secrets()
    assert Secret("id") not in read("talenom").secrets()


@given(
    st.text(st.characters(exclude_categories=["C"]), min_size=6).filter(
        lambda text: text.strip() == text and text != "my_conn"
    )
)
def test_no_secret_shows(value: str) -> None:
    settings = read("luca", password=value, extra={"refresh_token": value})
    assert repr(settings) == "Settings(conn_id='my_conn', conn_type='luca')"
    assert str(settings.get("password")) == "***"


@given(
    st.dictionaries(
        st.text(max_size=8), st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text())
    )
)
def test_unknown_members_are_passed_over(extra: dict[str, Any]) -> None:
    known = {field.name for field in CONNECTION_TYPES["luca"]}
    assert read("luca", extra={name: value for name, value in extra.items() if name not in known})
