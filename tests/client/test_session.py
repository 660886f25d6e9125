from __future__ import annotations

import copy
import pickle
import uuid
from typing import TYPE_CHECKING, Any

import pytest
import requests
import requests_mock

from airflow_provider_finauth.auth.credentials import FixedCredentials
from airflow_provider_finauth.client.session import AuthenticatedSession
from airflow_provider_finauth.exceptions import ConfigurationError, CrossOriginError
from airflow_provider_finauth.secret import Secret
from airflow_provider_finauth.transport.origins import origin_of
from airflow_provider_finauth.transport.session import TransportSettings
from tests.client.support import BASE, TOKENS, FakeAuthorizer, FakeClock, profile

if TYPE_CHECKING:
    from collections.abc import MutableMapping


def make(authorizer: FakeAuthorizer | None = None, **changes: Any) -> AuthenticatedSession:
    return AuthenticatedSession(profile(**changes), authorizer or FakeAuthorizer(), clock=FakeClock())


def test_each_request_is_authenticated(requests_mock: requests_mock.Mocker) -> None:
    requests_mock.get(f"{BASE}/x")
    authorizer = FakeAuthorizer()
    session = make(
        authorizer, headers={"DataServiceVersion": "4.0"}, secret_headers={"Key": Secret("subscription")}
    )
    session.get(f"{BASE}/x")
    authorizer.tokens.pop(0)
    session.get(f"{BASE}/x", headers={"A": "b"})

    first, second = (call.headers for call in requests_mock.request_history)
    assert first["Authorization"] == f"Bearer {TOKENS[0]}"
    assert second["Authorization"] == f"Bearer {TOKENS[1]}"
    assert first["Key"] == second["Key"] == "subscription"
    assert first["DataServiceVersion"] == "4.0"
    assert first["Accept"] == "application/json"
    assert second["A"] == "b"


@pytest.mark.parametrize("name", ["Authorization", "authorization", "KEY"])
def test_our_credentials_win(name: str, requests_mock: requests_mock.Mocker) -> None:
    requests_mock.get(f"{BASE}/x")
    session = make(secret_headers={"Key": Secret("subscription")})
    session.get(f"{BASE}/x", headers={name: "theirs"}, auth=("user", "password"))

    headers = requests_mock.last_request.headers
    assert headers["Authorization"] == f"Bearer {TOKENS[0]}"
    assert headers["Key"] == "subscription"


def test_public_headers_are_the_callers_to_change_and_remove(requests_mock: requests_mock.Mocker) -> None:
    requests_mock.get(f"{BASE}/x")
    session = make(headers={"One": "1", "Two": "2"})
    session.get(f"{BASE}/x", headers={"one": "mine", "Two": None, "Accept": "text/csv"})

    headers = requests_mock.last_request.headers
    assert headers["One"] == "mine"
    assert "Two" not in headers
    assert headers["Accept"] == "text/csv"


class NoToken(FakeAuthorizer):
    def authorization(self) -> Secret:
        return Secret("")


@pytest.mark.parametrize(("name", "expected"), [("Authorization", "Token abcdef"), ("X-Api-Key", None)])
def test_other_headers_may_authenticate_alone(
    name: str, expected: str | None, requests_mock: requests_mock.Mocker
) -> None:
    requests_mock.get(f"{BASE}/x")
    credentials = FixedCredentials("my_conn", Secret(""))
    session = make(NoToken(), credentials=credentials, secret_headers={name: Secret("Token abcdef")})
    session.get(f"{BASE}/x", headers={"Authorization": "theirs"})

    assert requests_mock.last_request.headers[name] == "Token abcdef"
    assert requests_mock.last_request.headers.get("Authorization") == expected


@pytest.mark.parametrize("origin", [BASE, "https://id.example", "https://listed.example:8443"])
def test_known_origins(origin: str, requests_mock: requests_mock.Mocker) -> None:
    requests_mock.get(f"{origin}/x")
    session = make(origins=frozenset({origin_of("https://listed.example:8443")}))

    assert session.get(f"{origin}/x").status_code == 200


@pytest.mark.parametrize(
    "url",
    [
        "https://other.example/x",
        "http://api.example/x",
        "https://api.example:444/x",
        "https://api.example.evil/x",
        "https://api.example@evil/x",
    ],
)
def test_other_origins_get_nothing(url: str, requests_mock: requests_mock.Mocker) -> None:
    requests_mock.get(requests_mock_any(), text="")
    authorizer = FakeAuthorizer()

    with pytest.raises(CrossOriginError):
        make(authorizer).get(url)
    with pytest.raises(CrossOriginError):
        make(authorizer).send(requests.Request("GET", url).prepare())
    assert requests_mock.call_count == 0
    assert authorizer.asked == 0


def requests_mock_any() -> Any:
    return requests_mock.ANY


def test_redirects_within_known_origins_are_followed(requests_mock: requests_mock.Mocker) -> None:
    requests_mock.get(f"{BASE}/x", status_code=302, headers={"Location": "https://id.example/y"})
    requests_mock.get("https://id.example/y", text="there")
    authorizer = FakeAuthorizer()
    session = make(authorizer, secret_headers={"Key": Secret("subscription")}, max_concurrency=1)

    assert session.get(f"{BASE}/x").text == "there"
    assert requests_mock.last_request.headers["Authorization"] == f"Bearer {TOKENS[0]}"
    assert requests_mock.last_request.headers["Key"] == "subscription"
    assert authorizer.asked == 2


def test_a_redirect_elsewhere_gets_nothing(requests_mock: requests_mock.Mocker) -> None:
    requests_mock.get(f"{BASE}/x", status_code=302, headers={"Location": "https://evil.example/y"})
    elsewhere = requests_mock.get("https://evil.example/y")

    with pytest.raises(CrossOriginError):
        make(secret_headers={"Key": Secret("subscription")}).get(f"{BASE}/x")
    assert elsewhere.call_count == 0


def test_a_redirected_401_is_replayed_once(requests_mock: requests_mock.Mocker) -> None:
    requests_mock.get(f"{BASE}/x", status_code=302, headers={"Location": f"{BASE}/y"})
    final = requests_mock.get(f"{BASE}/y", status_code=401)
    authorizer = FakeAuthorizer()

    assert make(authorizer).get(f"{BASE}/x").status_code == 401
    assert final.call_count == 2
    assert len(authorizer.replaced) == 1


def test_a_sent_post_follows_no_redirect(requests_mock: requests_mock.Mocker) -> None:
    requests_mock.post(f"{BASE}/x", status_code=302, headers={"Location": f"{BASE}/y"})
    session = make()
    prepared = session.prepare_request(requests.Request("POST", f"{BASE}/x", data=b"a"))

    assert session.send(prepared).status_code == 302
    assert requests_mock.call_count == 1


def test_each_request_has_an_id_of_its_own(requests_mock: requests_mock.Mocker) -> None:
    requests_mock.get(f"{BASE}/x", [{"status_code": 401}, {}, {}])
    session = make(request_id_header="X-Request-ID")
    session.get(f"{BASE}/x")
    session.get(f"{BASE}/x")
    session.get(f"{BASE}/x", headers={"x-request-id": "mine"})

    given = [call.headers["X-Request-ID"] for call in requests_mock.request_history]
    assert len({uuid.UUID(each) for each in given[:3]}) == 3
    assert given[3] == "mine"


def test_the_vendor_has_the_last_word(requests_mock: requests_mock.Mocker) -> None:
    seen = []

    def prepare(method: str, path: str, headers: MutableMapping[str, str]) -> None:
        seen.append((method, path))
        if method == "POST" and "requestor-id" not in headers:
            raise ConfigurationError("wanted")
        headers.pop("REQUESTOR-ID", None)
        headers["Said"] = "yes"

    requests_mock.request(requests_mock_any(), requests_mock_any(), text="")
    session = make(base_url=f"{BASE}/base", headers={"Requestor-ID": "7"}, prepare=prepare)
    session.get(f"{BASE}/base/x?y=z")
    session.get(f"{BASE}/elsewhere")
    with pytest.raises(ConfigurationError):
        session.post(f"{BASE}/base/x", headers={"Requestor-ID": None})

    assert requests_mock.call_count == 2
    assert seen == [("GET", "/x"), ("GET", f"{BASE}/elsewhere"), ("POST", "/x")]
    assert "Requestor-ID" not in requests_mock.request_history[0].headers
    assert requests_mock.request_history[0].headers["Said"] == "yes"


def test_streaming(requests_mock: requests_mock.Mocker) -> None:
    requests_mock.get(f"{BASE}/x", text="a\nb\n")

    with make().get(f"{BASE}/x", stream=True) as response:
        assert list(response.iter_lines()) == [b"a", b"b"]


def test_the_callers_request_carries_no_secret(requests_mock: requests_mock.Mocker) -> None:
    requests_mock.get(f"{BASE}/x")
    session = make(secret_headers={"Key": Secret("subscription")})
    prepared = session.prepare_request(requests.Request("GET", f"{BASE}/x"))
    session.send(prepared)

    assert "Authorization" not in prepared.headers
    assert "Key" not in prepared.headers
    assert TOKENS[0] not in repr(session.headers)


def test_it_shows_and_gives_away_nothing() -> None:
    session = make(secret_headers={"Key": Secret("subscription")})

    assert repr(session) == "<AuthenticatedSession demo 'my_conn'>"
    assert "subscription" not in repr(vars(session))
    for give_away in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="not pickled"):
            give_away(session)


def test_a_certificate_that_cannot_be_used_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="my_conn.*ca_file"):
        make(transport=TransportSettings(ca_file="/nowhere/ca.pem"))


def test_it_keeps_the_pace(requests_mock: requests_mock.Mocker) -> None:
    requests_mock.get(f"{BASE}/x")
    clock = FakeClock()
    session = AuthenticatedSession(profile(requests_per_second=2.0), FakeAuthorizer(), clock=clock)
    for _ in range(3):
        session.get(f"{BASE}/x")

    assert clock.slept == [0.5, 0.5]
