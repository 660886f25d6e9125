from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_finauth.transport import origins
from airflow_provider_finauth.transport.origins import Origin, is_loopback, origin_of, require_secure

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://API.example.com", "https://api.example.com:443/path?x=1"),
        ("https://api.example.com.", "https://api.example.com"),
        ("HTTP://localhost:80", "http://localhost"),
        ("https://[::1]:8443/a", "https://[::1]:8443"),
    ],
)
def test_same_origin_however_it_is_written(one: str, other: str) -> None:
    assert origin_of(one) == origin_of(other)


@pytest.mark.parametrize(
    "other",
    [
        "http://api.example.com",
        "https://api.example.com:8443",
        "https://api.example.com.evil",
        "https://evil.api.example.com",
    ],
)
def test_another_origin(other: str) -> None:
    assert origin_of(other) != origin_of("https://api.example.com")


@pytest.mark.parametrize(
    "url",
    [
        "api.example.com",
        "//api.example.com",
        "ftp://api.example.com",
        "https://",
        "https://host:99999",
        "https://user:pw@host",
        "",
    ],
)
def test_what_is_no_origin(url: str) -> None:
    with pytest.raises(ValueError, match="the address"):
        origin_of(url)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "::1"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["localhost.evil", "128.0.0.1", "10.0.0.1", "example.com"])
def test_not_loopback(host: str) -> None:
    assert not is_loopback(host)


def test_plain_http_is_for_loopback_only() -> None:
    assert require_secure("http://127.0.0.1:8080/x") == Origin("http", "127.0.0.1", 8080)
    with pytest.raises(ValueError, match="https://"):
        require_secure("http://api.example.com")


@given(st.from_regex(r"[a-z][a-z0-9-]{0,20}(\.[a-z]{2,5}){1,2}", fullmatch=True), st.integers(1, 65535))
def test_prefix_matches_no_longer_host(host: str, port: int) -> None:
    prefix = origin_of(f"https://{host}:{port}").prefix
    assert origin_of(prefix + "x") == Origin("https", host, port)
    assert not f"https://{host}.evil/".startswith(prefix)
    assert not f"https://{host}:{port}0/".startswith(prefix)


def outcome(read: Callable[[str], Origin], url: str) -> Origin | str:
    try:
        return read(url)
    except ValueError as error:
        return str(error)


PIECES = [
    *(
        "https:",
        "http:",
        "HTTPS:",
        "ftp:",
        "/",
        "//",
        "\\",
        "?",
        "#",
        "@",
        ":",
        ".",
        " ",
        "\t",
        "\n",
        "\u2100",
    ),
    *("api.example.com", "evil", "user:pw@", "[::1]", "[", ":443", ":8443", ":x", ":99999", "localhost"),
]


@given(st.lists(st.sampled_from(PIECES), max_size=9).map("".join) | st.text())
def test_what_is_remembered_of_a_url_is_all_that_tells_its_origin(url: str) -> None:
    whole = origins._read.__wrapped__
    assert outcome(origin_of, url) == outcome(whole, url)
    assert outcome(origin_of, f"https://{url}") == outcome(whole, f"https://{url}")


def test_an_origin_that_is_remembered_lets_no_other_pass() -> None:
    for _ in range(2):
        ours = require_secure("https://api.example.com/x?y=https://evil/")
        for other in (
            "https://api.example.com.evil/x",
            "https://api.example.com:444/x",
            "https://evil/https://api.example.com/x",
            "https://evil?https://api.example.com/x",
            "https://evil#https://api.example.com/x",
        ):
            assert require_secure(other) != ours
        for bad in (
            "http://api.example.com/x",
            "https://api.example.com@evil/x",
            "https://user:pw@api.example.com/x",
            "https://api.example.com:x/x",
        ):
            with pytest.raises(ValueError, match="address|plain"):
                require_secure(bad)


def test_no_password_is_remembered() -> None:
    origins._read.cache_clear()
    with pytest.raises(ValueError, match="user name"):
        origin_of("https://user:pw@host/x")
    assert origins._read.cache_info().currsize == 0
