"""The short way of preparing a request comes to the same as that of ``requests``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_finauth.exceptions import ConfigurationError
from airflow_provider_finauth.transport.origins import origin_of
from airflow_provider_finauth.transport.preparing import is_plain
from airflow_provider_finauth.transport.session import OriginSession, TransportSettings

if TYPE_CHECKING:
    from collections.abc import Callable

BASE = "https://api.example.com"

texts = st.text(alphabet="aZ0 &=+%/?#éæ€'\"", max_size=6)
names = st.sampled_from(
    ["X-One", "x-one", b"X-Two", "Accept", "USER-AGENT", "Content-Type", "Content-Length"]
)
headers = st.dictionaries(names, st.none() | st.sampled_from(["1", "text/csv", b"abc", "Ærlig"]), max_size=4)
pairs = st.lists(st.tuples(texts, texts), max_size=3)
params = (
    st.none()
    | pairs
    | texts
    | st.dictionaries(texts, st.none() | texts | st.integers() | st.lists(texts, max_size=2), max_size=3)
    | st.lists(st.tuples(texts, st.none() | texts | st.lists(texts, max_size=2)), max_size=3)
)
bodies = st.sampled_from(
    [None, b"", b"abc", "Ærlig", {"a": "b c"}, {"a": ["1", "2"]}, [("a", "b")], iter([b"x"])]
)


def session() -> OriginSession:
    made = OriginSession(TransportSettings(), [origin_of(BASE)])
    made.headers.update({"Accept": "application/json", "X-One": "ours"})
    return made


def outcome(prepare: Callable[[], requests.PreparedRequest]) -> Any:
    try:
        made = prepare()
    except (requests.RequestException, ValueError) as error:
        return type(error)
    sent = [(name, value) for name, value in made.headers.items()]
    return made.method, made.url, sent, made.body, made.hooks, made._cookies.get_dict()  # type: ignore[attr-defined]


@given(
    method=st.sampled_from(["GET", "get", "POST", "DELETE", "Patch", b"PUT"]),
    path=texts,
    params=params,
    headers=headers,
    data=bodies,
    json=st.sampled_from([None, {}, {"a": 1}]),
    cookies=st.dictionaries(st.sampled_from(["a", "b"]), st.just("1")),
)
def test_a_plain_request(cookies: dict[str, str], path: str, **of_it: Any) -> None:
    ours = session()
    ours.cookies.update(cookies)
    request = requests.Request(url=f"{BASE}/{path}", **of_it)
    assert is_plain(request, ours)
    assert outcome(lambda: ours.prepare_request(request)) == outcome(
        lambda: requests.Session.prepare_request(ours, request)
    )


@pytest.mark.parametrize(
    "url", ["", "no address", "https://", "https://*.example.com", "https://a\ud800.example/"]
)
def test_no_address(url: str) -> None:
    ours = session()
    request = requests.Request("GET", url)
    expected = outcome(lambda: requests.Session.prepare_request(ours, request))
    assert outcome(lambda: ours.prepare_request(request)) == expected
    assert isinstance(expected, type)


def note(*_: Any, **__: Any) -> None: ...


@pytest.mark.parametrize(
    "of_the_session",
    [
        {"params": {"a": "1"}},
        {"auth": ("user", "word")},
        {"hooks": {"response": [note]}},
        {"cookies": {"c": "1"}},
    ],
)
def test_what_is_set_on_the_session_goes_out(of_the_session: dict[str, Any]) -> None:
    ours = session()
    for name, value in of_the_session.items():
        setattr(ours, name, requests.cookies.cookiejar_from_dict(value) if name == "cookies" else value)
    request = requests.Request("GET", f"{BASE}/x", params={"b": "2"})
    bare = outcome(lambda: session().prepare_request(request))
    made = outcome(lambda: ours.prepare_request(request))
    assert made == outcome(lambda: requests.Session.prepare_request(ours, request))
    assert made != bare


@pytest.mark.parametrize(
    "of_its_own", [{"auth": ("user", "word")}, {"cookies": {"c": "1"}}, {"hooks": {"response": note}}]
)
def test_what_a_request_brings_goes_out(of_its_own: dict[str, Any]) -> None:
    ours = session()
    made = outcome(lambda: ours.prepare_request(requests.Request("GET", f"{BASE}/x", **of_its_own)))
    assert made == outcome(
        lambda: requests.Session.prepare_request(ours, requests.Request("GET", f"{BASE}/x", **of_its_own))
    )
    assert made != outcome(lambda: ours.prepare_request(requests.Request("GET", f"{BASE}/x")))


def test_files_go_out() -> None:
    made = session().prepare_request(requests.Request("POST", f"{BASE}/x", files={"name": b"content"}))
    assert b"content" in made.body  # type: ignore[operator]
    assert made.headers["Content-Type"].startswith("multipart/form-data")


@pytest.mark.parametrize("auth", [None, ("user", "word")])
def test_headers_are_looked_at_either_way(auth: Any) -> None:
    ours = session()
    for of_session, of_request in (
        ({"X-Key": "geheim\n"}, {}),
        ({}, {"X-Key": "geheim\n"}),
        ({}, {b"X-Key": "geheim\n"}),
    ):
        ours.headers = requests.structures.CaseInsensitiveDict(of_session)
        with pytest.raises(ConfigurationError, match="X-Key") as caught:
            ours.prepare_request(requests.Request("GET", f"{BASE}/x", headers=of_request, auth=auth))
        assert "geheim" not in str(caught.value)
        assert caught.value.__context__ is None


def test_what_was_sendable_once_is_looked_at_again() -> None:
    """Names are remembered; whether their values can be sent is not."""
    ours = session()
    ours.prepare_request(requests.Request("GET", f"{BASE}/x", headers={"X-Key": "good"}))
    with pytest.raises(ConfigurationError):
        ours.prepare_request(requests.Request("GET", f"{BASE}/x", headers={"X-Key": "bad\r\nX: y"}))
    with pytest.raises(ConfigurationError):
        ours.prepare_request(requests.Request("GET", f"{BASE}/x", headers={"X-Key\r\nX": "good"}))
