from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_finauth.auth.cooldown import CoolDowns
from airflow_provider_finauth.auth.stores.memory import MemoryStore
from airflow_provider_finauth.client.client import ApiClient
from airflow_provider_finauth.exceptions import ApiError, RateLimitedError, StoreUnavailableError
from airflow_provider_finauth.secret import Secret
from tests.client.support import BASE, JSON, FakeAuthorizer, FakeClock, credentials, fixed, profile

if TYPE_CHECKING:
    from pathlib import Path

    import requests_mock

OK: dict[str, Any] = {"json": {"data": {"ok": 1}}, "headers": JSON}
LIMITED: dict[str, Any] = {"status_code": 429, "headers": {"Retry-After": "30"}}


class Hosts:
    """Processes of one connection, by default all of one host; time passes by sleeping only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.set_clock(FakeClock())

    def set_clock(self, clock: FakeClock) -> None:
        self.clock = clock
        self.store = MemoryStore(clock=clock)

    def cooldowns(self) -> CoolDowns:
        return CoolDowns(self.store, self.folder, self.clock)

    def client(
        self, authorizer: FakeAuthorizer | None = None, cooldowns: CoolDowns | None = None, **changes: Any
    ) -> ApiClient:
        return ApiClient(
            profile(**changes),
            authorizer or FakeAuthorizer(),
            clock=self.clock,
            cooldowns=cooldowns or self.cooldowns(),
        )

    def key(self, **changes: Any) -> str:
        made = profile(**changes)
        return self.cooldowns().api_key(
            made.conn_id, made.base_origin, made.credentials, made.secret_headers, made.transport
        )

    def left(self, **changes: Any) -> float:
        """Say how long a process that has just started would wait."""
        return self.cooldowns().remaining(self.key(**changes))


@pytest.fixture
def hosts(tmp_path: Path) -> Hosts:
    return Hosts(tmp_path)


def begin(hosts: Hosts, mock: requests_mock.Mocker, **changes: Any) -> None:
    """Have a client be told to wait 30 s, and give up."""
    mock.get(f"{BASE}/limited", **LIMITED)
    with pytest.raises(RateLimitedError):
        hosts.client(**{"retry_deadline": 1.0, **changes}).request("GET", "/limited")
    assert hosts.clock.slept == []


class TestKeeping:
    def test_others_wait_and_a_little_more(self, hosts: Hosts, requests_mock: requests_mock.Mocker) -> None:
        begin(hosts, requests_mock)
        mock = requests_mock.get(f"{BASE}/x", **OK)

        hosts.client().request("GET", "/x")
        assert mock.call_count == 1
        assert len(hosts.clock.slept) == 1
        assert 30 <= hosts.clock.slept[0] <= 31

    def test_who_was_told_waits_once(self, hosts: Hosts, requests_mock: requests_mock.Mocker) -> None:
        mock = requests_mock.get(f"{BASE}/x", [LIMITED, OK])

        hosts.client().request("GET", "/x")
        assert mock.call_count == 2
        assert len(hosts.clock.slept) == 1

    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_what_does_not_fit_is_told_at_once(
        self, method: str, hosts: Hosts, requests_mock: requests_mock.Mocker
    ) -> None:
        begin(hosts, requests_mock)
        mock = requests_mock.request(method, f"{BASE}/x", **OK)

        with pytest.raises(RateLimitedError) as caught:
            hosts.client(retry_deadline=29.0).request(method, "/x", params={"name": "confidential"})
        assert mock.call_count == 0
        assert hosts.clock.slept == []
        assert caught.value.retry_after == pytest.approx(30)
        assert re.search(rf"'my_conn': {method} /x was not sent: .* wait, 30 s more", str(caught.value))
        assert "confidential" not in str(caught.value)

    def test_the_deadline_counts_from_the_first_try(
        self, hosts: Hosts, requests_mock: requests_mock.Mocker
    ) -> None:
        """20 s of 40 are over when another task is told to wait 30."""

        class Elsewhere(FakeClock):
            def sleep(self, seconds: float) -> None:
                super().sleep(seconds)
                if len(self.slept) == 1:
                    hosts.cooldowns().note(hosts.key(), 30)

        hosts.set_clock(Elsewhere())
        unwell = {"status_code": 503, "headers": {"Retry-After": "20"}}
        mock = requests_mock.get(f"{BASE}/x", [unwell, OK])

        with pytest.raises(RateLimitedError, match="was not sent"):
            hosts.client(retry_deadline=40.0).request("GET", "/x")
        assert mock.call_count == 1
        assert len(hosts.clock.slept) == 1

    def test_one_that_is_lengthened_meanwhile(
        self, hosts: Hosts, requests_mock: requests_mock.Mocker
    ) -> None:
        class Lengthened(FakeClock):
            def sleep(self, seconds: float) -> None:
                super().sleep(seconds)
                if len(self.slept) < 3:
                    hosts.cooldowns().note(hosts.key(), 10)

        hosts.set_clock(Lengthened())
        hosts.cooldowns().note(hosts.key(), 20)
        requests_mock.get(f"{BASE}/x", **OK)

        hosts.client().request("GET", "/x")
        assert [round(wait, -1) for wait in hosts.clock.slept] == [20, 10, 10]

    def test_one_that_began_while_a_token_was_got(
        self, hosts: Hosts, requests_mock: requests_mock.Mocker
    ) -> None:
        class Slow(FakeAuthorizer):
            def authorization(self) -> Secret:
                if not self.asked:
                    begin(hosts, requests_mock)
                return super().authorization()

        mock = requests_mock.get(f"{BASE}/x", **OK)

        hosts.client(Slow()).request("GET", "/x")
        assert mock.call_count == 1
        assert len(hosts.clock.slept) == 1

    def test_the_token_is_asked_for_again_after_it(
        self, hosts: Hosts, requests_mock: requests_mock.Mocker
    ) -> None:
        begin(hosts, requests_mock)

        class Ended(FakeAuthorizer):
            def authorization(self) -> Secret:
                if self.asked == 1:
                    self.tokens.pop(0)
                return super().authorization()

        mock = requests_mock.get(f"{BASE}/x", **OK)
        hosts.client(Ended()).request("GET", "/x")
        assert mock.request_history[-1].headers["Authorization"] == "Bearer second-token-0002"

    def test_the_pace_is_kept_after_it(self, hosts: Hosts, requests_mock: requests_mock.Mocker) -> None:
        begin(hosts, requests_mock)
        requests_mock.get(f"{BASE}/x", **OK)
        client = hosts.client(requests_per_second=0.1)

        client.request("GET", "/x")
        client.request("GET", "/x")
        wait, turn = hosts.clock.slept
        assert 30 <= wait <= 31
        assert turn == pytest.approx(10)

    def test_a_plain_session_keeps_to_it(self, hosts: Hosts, requests_mock: requests_mock.Mocker) -> None:
        begin(hosts, requests_mock)
        mock = requests_mock.get(f"{BASE}/x", **OK)

        with pytest.raises(RateLimitedError, match="was not sent"):
            hosts.client(retry_deadline=29.0).session.get(f"{BASE}/x")
        assert mock.call_count == 0
        assert hosts.client().session.get(f"{BASE}/x").ok
        assert 30 <= hosts.clock.slept[0] <= 31

    def test_where_nothing_is_shared_nobody_waits(
        self, hosts: Hosts, requests_mock: requests_mock.Mocker
    ) -> None:
        begin(hosts, requests_mock)
        requests_mock.get(f"{BASE}/x", **OK)

        ApiClient(profile(), FakeAuthorizer(), clock=hosts.clock).request("GET", "/x")
        assert hosts.clock.slept == []


class TestNoting:
    def test_a_503_that_names_a_wait(self, hosts: Hosts, requests_mock: requests_mock.Mocker) -> None:
        requests_mock.post(f"{BASE}/x", status_code=503, headers={"Retry-After": "7"})

        with pytest.raises(ApiError):
            hosts.client().request("POST", "/x")
        assert hosts.left() == pytest.approx(7)

    @pytest.mark.parametrize(
        "answer",
        [
            {"status_code": 503},
            {"status_code": 500, "headers": {"Retry-After": "7"}},
            {"status_code": 404, "headers": {"Retry-After": "7"}},
            {"status_code": 503, "headers": {"Retry-After": "soon"}},
        ],
    )
    def test_what_asks_nobody_to_wait(
        self, answer: dict[str, Any], hosts: Hosts, requests_mock: requests_mock.Mocker
    ) -> None:
        requests_mock.get(f"{BASE}/x", **answer)

        with pytest.raises(ApiError):
            hosts.client(max_attempts=2).request("GET", "/x")
        assert hosts.left() == 0

    def test_without_a_named_wait_ours_is_for_all(
        self, hosts: Hosts, requests_mock: requests_mock.Mocker
    ) -> None:
        class Watching(FakeClock):
            def sleep(self, seconds: float) -> None:
                found.append((hosts.left(), seconds))
                super().sleep(seconds)

        found: list[tuple[float, float]] = []
        hosts.set_clock(Watching())
        requests_mock.get(f"{BASE}/x", [{"status_code": 429}, {"status_code": 429}, OK])

        hosts.client().request("GET", "/x")
        # What a float of the wall clock's size rounds away may remain of a wait.
        found = [(left, pause) for left, pause in found if pause > 1e-3]
        assert len(found) == 2
        assert all(left == pytest.approx(pause, abs=0.01) for left, pause in found)

    def test_a_plain_session_notes_it(self, hosts: Hosts, requests_mock: requests_mock.Mocker) -> None:
        requests_mock.get(f"{BASE}/x", **LIMITED)

        assert hosts.client().session.get(f"{BASE}/x").status_code == 429
        assert hosts.left() == pytest.approx(30)

    def test_an_answer_behind_a_redirect_is_noted_once(
        self, hosts: Hosts, requests_mock: requests_mock.Mocker
    ) -> None:
        class Counting(CoolDowns):
            noted: list[float]

            def note(self, key: str, seconds: float) -> None:
                self.noted.append(seconds)

        requests_mock.get(f"{BASE}/x", status_code=302, headers={"Location": "/y"})
        requests_mock.get(f"{BASE}/y", **LIMITED)
        cooldowns = Counting(hosts.store, hosts.folder, hosts.clock)
        cooldowns.noted = []

        with pytest.raises(RateLimitedError):
            hosts.client(cooldowns=cooldowns, retry_deadline=1.0).request("GET", "/x")
        assert cooldowns.noted == [30.0]

    @pytest.mark.parametrize("document", ["{ invoices { id } }", "mutation { pay { id } }"])
    def test_a_graphql_limit(self, document: str, hosts: Hosts, requests_mock: requests_mock.Mocker) -> None:
        limited = {"errors": [{"extensions": {"code": "RATE_LIMITED", "retryAfter": 20}}]}
        requests_mock.post(f"{BASE}/graphql", json=limited, headers=JSON)

        with pytest.raises(RateLimitedError):
            hosts.client(retry_deadline=1.0).graphql(document, path="/graphql")
        assert hosts.left() == pytest.approx(20)

    def test_a_graphql_limit_without_a_wait(self, hosts: Hosts, requests_mock: requests_mock.Mocker) -> None:
        class Watching(FakeClock):
            def sleep(self, seconds: float) -> None:
                assert hosts.left() == pytest.approx(seconds, abs=0.01)
                super().sleep(seconds)

        hosts.set_clock(Watching())
        limited = {"errors": [{"extensions": {"code": "RATE_LIMITED"}}]}
        requests_mock.post(f"{BASE}/graphql", [{"json": limited, "headers": JSON}, OK])

        hosts.client().graphql("{ ok }", path="/graphql")
        assert len(hosts.clock.slept) == 1


class TestMended:
    @pytest.mark.parametrize(
        "changes",
        [
            {"credentials": fixed("another-key-0002")},
            {"secret_headers": {"Ocp-Apim-Subscription-Key": Secret("another")}},
            {"base_url": "https://other.example"},
            {"conn_id": "other_conn"},
        ],
    )
    def test_a_changed_connection_is_free_at_once(
        self, changes: dict[str, Any], hosts: Hosts, requests_mock: requests_mock.Mocker
    ) -> None:
        given: dict[str, Any] = {
            "credentials": fixed(),
            "secret_headers": {"Ocp-Apim-Subscription-Key": Secret("the-subscription-key")},
        }
        begin(hosts, requests_mock, **given)
        assert hosts.left(**given) == pytest.approx(30)
        requests_mock.get(re.compile(".*/x"), **OK)

        hosts.client(**{**given, **changes}).request("GET", "/x")
        assert hosts.clock.slept == []

    def test_a_changed_secret_of_a_client_is_free_at_once(
        self, hosts: Hosts, requests_mock: requests_mock.Mocker
    ) -> None:
        begin(hosts, requests_mock)
        requests_mock.get(f"{BASE}/x", **OK)
        mended = replace(credentials(), client_secret=Secret("another"))

        hosts.client(credentials=mended).request("GET", "/x")
        assert hosts.clock.slept == []

    def test_no_secret_and_no_address_is_kept(
        self, hosts: Hosts, requests_mock: requests_mock.Mocker
    ) -> None:
        begin(hosts, requests_mock, credentials=fixed())

        kept = [path for path in hosts.folder.iterdir() if path.name != "cooldown.lock"]
        assert len(kept) == 1
        assert re.fullmatch(r"cooldown-[0-9a-f]{64}", kept[0].name)
        assert re.fullmatch(r"[0-9.]+", kept[0].read_text())


class TestStoreThatCannotName:
    def test_requests_go_on(
        self, hosts: Hosts, requests_mock: requests_mock.Mocker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = 0

        def unavailable(*args: object) -> str:
            nonlocal asked
            asked += 1
            raise StoreUnavailableError("down")

        requests_mock.get(f"{BASE}/x", [LIMITED, OK])
        cooldowns = hosts.cooldowns()
        client = hosts.client(cooldowns=cooldowns)
        with monkeypatch.context() as patched:
            patched.setattr(cooldowns, "api_key", unavailable)
            for _ in range(5):
                client.request("GET", "/x")
            assert asked == 1
            assert len(hosts.clock.slept) == 1

        hosts.clock.now += 60
        requests_mock.get(f"{BASE}/x", [LIMITED, OK])
        client.request("GET", "/x")
        assert client.session.cooling._key is not None
