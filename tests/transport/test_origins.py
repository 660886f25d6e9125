from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_finauth.transport.origins import Origin, is_loopback, origin_of, require_secure


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
