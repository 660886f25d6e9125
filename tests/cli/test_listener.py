from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping

import pytest
import requests

from airflow_provider_finauth.cli.listener import Listener, is_loopback_redirect
from airflow_provider_finauth.exceptions import ConfigurationError, FinauthError
from tests.airflow_harness import free_port
from tests.cli.terminal import get


def is_ours(members: Mapping[str, str]) -> bool:
    return members.get("state") == "ours"


@pytest.fixture
def reports() -> list[str]:
    return []


@pytest.fixture
def address() -> str:
    return f"http://127.0.0.1:{free_port()}/back/here"


@pytest.fixture
def listener(address: str, reports: list[str]) -> Iterator[Listener]:
    with Listener(address, belongs=is_ours, report=reports.append) as listening:
        yield listening


def test_gives_the_address_that_the_browser_came_back_to(listener: Listener, address: str) -> None:
    answer = get(f"{address}?code=a%2Bb&state=ours")

    assert listener.wait(10) == f"{address}?code=a%2Bb&state=ours"
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "You may close this window" in answer.text
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_refusal_counts_as_an_answer(listener: Listener, address: str) -> None:
    get(f"{address}?error=access_denied&state=ours")

    assert listener.wait(10) == f"{address}?error=access_denied&state=ours"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/favicon.ico", 404),
        ("/?code=x&state=ours", 404),
        ("/back/here/?code=x&state=ours", 404),
        ("/back/here", 400),
        ("/back/here?state=ours", 400),
    ],
)
def test_strays_do_not_end_the_wait(
    listener: Listener, address: str, reports: list[str], path: str, status: int
) -> None:
    assert get(address.replace("/back/here", path)).status_code == status
    assert listener.wait(0) is None
    assert reports == []

    get(f"{address}?code=real&state=ours")
    assert listener.wait(10) == f"{address}?code=real&state=ours"


def test_another_state_is_reported_and_does_not_end_the_wait(
    listener: Listener, address: str, reports: list[str]
) -> None:
    answer = get(f"{address}?code=stolen&state=theirs")

    assert answer.status_code == 400
    assert "close this window" not in answer.text
    assert listener.wait(0) is None
    assert len(reports) == 1
    assert "state" in reports[0]
    assert "stolen" not in reports[0]
    assert "theirs" not in reports[0]

    get(f"{address}?code=real&state=ours")
    assert listener.wait(10) == f"{address}?code=real&state=ours"


@pytest.mark.parametrize("method", ["POST", "HEAD", "PUT", "OPTIONS"])
def test_only_a_get_counts(listener: Listener, address: str, method: str) -> None:
    with requests.Session() as session:
        session.trust_env = False
        answer = session.request(method, f"{address}?code=x&state=ours", timeout=10)

    assert answer.status_code == 501
    assert listener.wait(0) is None


def test_a_page_that_loads_us_in_the_background_does_not_count(listener: Listener, address: str) -> None:
    assert get(f"{address}?code=x&state=ours", **{"Sec-Fetch-Mode": "no-cors"}).status_code == 400
    assert listener.wait(0) is None
    assert get(f"{address}?code=x&state=ours", **{"Sec-Fetch-Mode": "navigate"}).status_code == 200
    assert listener.wait(10) is not None


@pytest.mark.parametrize(
    "host", ["rebound.example.com:{port}", "127.0.0.1", "127.0.0.1:1", "localhost.:{port}", ""]
)
def test_a_request_meant_for_another_host_is_reported_and_does_not_end_the_wait(
    listener: Listener, address: str, reports: list[str], host: str
) -> None:
    port = address.split(":")[2].split("/")[0]
    answer = get(f"{address}?code=x&state=ours", Host=host.format(port=port))

    assert answer.status_code == 403
    assert listener.wait(0) is None
    assert len(reports) == 1
    assert "another host" in reports[0]
    assert "rebound" not in reports[0]

    get(f"{address}?code=real&state=ours")
    assert listener.wait(10) == f"{address}?code=real&state=ours"


@pytest.mark.parametrize("lines", ["", "Host: 127.0.0.1:{port}\r\nHost: rebound.example.com\r\n"])
def test_no_host_and_two_hosts_are_none(listener: Listener, address: str, lines: str) -> None:
    port = int(address.split(":")[2].split("/")[0])
    request = f"GET /back/here?code=x&state=ours HTTP/1.0\r\n{lines.format(port=port)}\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request.encode())
        assert b" 403 " in connection.makefile("rb").readline()
    assert listener.wait(0) is None


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "LocalHost:{port}", "[::1]:{port}"])
def test_each_name_of_this_machine_is_meant_for_us(listener: Listener, address: str, host: str) -> None:
    port = address.split(":")[2].split("/")[0]
    assert get(f"{address}?code=x&state=ours", Host=host.format(port=port)).status_code == 200


@pytest.mark.parametrize(
    ("redirect_uri", "host"),
    [("http://127.0.0.2:81/cb", "127.0.0.2:81"), ("http://127.0.0.2/cb", "127.0.0.2")],
)
def test_a_forwarded_request_names_the_redirects_own_host(redirect_uri: str, host: str) -> None:
    port = free_port()
    with Listener(redirect_uri, port=port, belongs=is_ours, report=print) as listener:
        assert get(f"http://127.0.0.2:{port}/cb?code=x&state=ours", Host=host).status_code == 200
        assert listener.wait(10) == f"{redirect_uri}?code=x&state=ours"


def test_who_connects_and_says_nothing_holds_nobody_up(listener: Listener, address: str) -> None:
    port = int(address.split(":")[2].split("/")[0])
    with socket.create_connection(("127.0.0.1", port), timeout=10):
        get(f"{address}?code=x&state=ours")
        assert listener.wait(10) is not None


def test_prints_nothing(
    listener: Listener, address: str, capfd: pytest.CaptureFixture[str], reports: list[str]
) -> None:
    get(f"{address}?code=x&state=theirs")
    get(f"{address}?code=x&state=ours")
    assert listener.wait(10) is not None
    assert capfd.readouterr() == ("", "")


def test_the_port_is_free_afterwards(address: str) -> None:
    running = threading.active_count()
    for _ in range(2):
        with Listener(address, belongs=is_ours, report=print):
            assert get(address).status_code == 400
    port = int(address.split(":")[2].split("/")[0])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=10)
    assert threading.active_count() <= running


def test_localhost_is_listened_at_by_ipv4() -> None:
    port = free_port()
    with Listener(f"http://localhost:{port}/", belongs=is_ours, report=print) as listener:
        get(f"http://127.0.0.1:{port}/?code=x&state=ours")
        assert listener.wait(10) == f"http://localhost:{port}/?code=x&state=ours"


def test_localhost_is_listened_at_by_ipv6_where_there_is_one() -> None:
    port = free_port()
    try:
        with socket.create_server(("::1", port), family=socket.AF_INET6):
            pass
    except OSError:
        pytest.skip("this machine has no IPv6")
    with Listener(f"http://localhost:{port}/", belongs=is_ours, report=print) as listener:
        get(f"http://[::1]:{port}/?code=x&state=ours")
        assert listener.wait(10) == f"http://localhost:{port}/?code=x&state=ours"


def test_a_forwarded_port_is_another_than_that_of_the_redirect() -> None:
    port = free_port()
    with Listener("http://127.0.0.1:1/cb", port=port, belongs=is_ours, report=print) as listener:
        get(f"http://127.0.0.1:{port}/cb?code=x&state=ours")
        assert listener.wait(10) == "http://127.0.0.1:1/cb?code=x&state=ours"


def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(FinauthError, match=f"Port {port} .*--paste"),
            Listener(f"http://127.0.0.1:{port}/", belongs=is_ours, report=print),
        ):
            pass


def test_a_port_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="70000") as caught:
        Listener("http://127.0.0.1:70000/", belongs=is_ours, report=print)
    assert caught.value.field == "redirect_uri"


@pytest.mark.parametrize(
    ("redirect_uri", "ours"),
    [
        ("http://127.0.0.1:8790/callback", True),
        ("http://127.0.0.1/callback", True),
        ("http://localhost:1234", True),
        ("http://[::1]:1234/", True),
        ("https://127.0.0.1:8790/callback", False),
        ("https://company.example.com/callback", False),
        ("http://company.example.com/callback", False),
        ("http://localhost.example.com/callback", False),
        ("com.example.app:/callback", False),
    ],
)
def test_what_can_be_listened_for(redirect_uri: str, ours: bool) -> None:
    assert is_loopback_redirect(redirect_uri) is ours
