from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
import requests_mock

from airflow_provider_finauth.client.paging.base import Pull, Request
from airflow_provider_finauth.client.paging.cursor import Cursor
from airflow_provider_finauth.client.paging.limit_offset import LimitOffset
from airflow_provider_finauth.client.paging.next_link import NextLink
from airflow_provider_finauth.client.paging.single import Single
from airflow_provider_finauth.exceptions import ApiError, ConfigurationError, CrossOriginError
from airflow_provider_finauth.transport.origins import origin_of
from tests.client.support import BASE, JSON, TOKENS, FakeAuthorizer, FakeClock, make_client


class TestRequest:
    @pytest.mark.parametrize(
        ("base", "path", "url"),
        [
            (BASE, "/x/y", f"{BASE}/x/y"),
            (BASE, "x", f"{BASE}/x"),
            (f"{BASE}/landax", "/x", f"{BASE}/landax/x"),
            (BASE, f"{BASE}/z", f"{BASE}/z"),
            (BASE, "/a%2Fb('c')", f"{BASE}/a%2Fb('c')"),
        ],
    )
    def test_paths(self, base: str, path: str, url: str, requests_mock: requests_mock.Mocker) -> None:
        requests_mock.get(url)
        make_client(base_url=base).request("GET", path)

        assert requests_mock.last_request.url == url

    @pytest.mark.parametrize(
        "path", ["https://evil.example/x", "HTTPS://evil.example", "http://api.example/x"]
    )
    def test_absolute_urls_of_other_origins_are_refused(
        self, path: str, requests_mock: requests_mock.Mocker
    ) -> None:
        with pytest.raises(CrossOriginError):
            make_client().request("GET", path)
        assert requests_mock.call_count == 0

    @pytest.mark.parametrize("path", ["//evil.example/x", "@evil.example/x", "\\\\evil.example", "/../x"])
    def test_no_path_leads_to_another_host(self, path: str, requests_mock: requests_mock.Mocker) -> None:
        requests_mock.get(requests_mock_any(), text="")
        make_client().request("GET", path)

        assert requests_mock.last_request.hostname == "api.example"

    def test_params(self, requests_mock: requests_mock.Mocker) -> None:
        requests_mock.get(f"{BASE}/x")
        make_client().request("GET", "/x", params={"a": True, "b": None, "c": [1, 2]})

        assert requests_mock.last_request.query == "a=true&c=1&c=2"

    def test_json_and_form_are_labelled_whatever_the_connection_says(
        self, requests_mock: requests_mock.Mocker
    ) -> None:
        requests_mock.post(f"{BASE}/x")
        client = make_client(headers={"Content-Type": "application/json"})
        client.request("POST", "/x", json={"amount": Decimal("1.10")})
        client.request("POST", "/x", data={"a": "b c"})
        client.request("POST", "/x", data=b"<x/>", headers={"content-type": "application/xml"})

        given = [(call.headers["Content-Type"], call.body) for call in requests_mock.request_history]
        assert given == [
            ("application/json", b'{"amount":1.10}'),
            ("application/x-www-form-urlencoded", "a=b+c"),
            ("application/xml", b"<x/>"),
        ]

    def test_the_answer_has_been_read(self, requests_mock: requests_mock.Mocker) -> None:
        requests_mock.get(f"{BASE}/x", content=b"bytes")
        response = make_client().request("GET", "/x")

        assert response.content == b"bytes"
        assert response._content_consumed  # type: ignore[attr-defined]

    def test_no_content_and_pending_are_fine(self, requests_mock: requests_mock.Mocker) -> None:
        requests_mock.get(f"{BASE}/x", [{"status_code": 204}, {"status_code": 202}])
        client = make_client()

        assert [client.request("GET", "/x").status_code for _ in range(2)] == [204, 202]

    def test_accepted_statuses(self, requests_mock: requests_mock.Mocker) -> None:
        requests_mock.get(f"{BASE}/x", status_code=404, text="no")

        assert make_client().request("GET", "/x", accept_status=(404,)).text == "no"
        with pytest.raises(ApiError, match="answered 404.*Check the path"):
            make_client().request("GET", "/x", accept_status=(409,))

    def test_a_header_that_cannot_be_sent_is_not_shown(self, requests_mock: requests_mock.Mocker) -> None:
        authorizer = FakeAuthorizer()
        with pytest.raises(ConfigurationError, match="header 'Key' cannot be sent") as caught:
            make_client(authorizer=authorizer).request("GET", "/x", headers={"Key": "secret\nvalue"})
        assert "secret" not in str(caught.value)
        assert caught.value.field == "Key"
        assert caught.value.__context__ is None
        assert authorizer.asked == 0

    @pytest.mark.parametrize("method", ["GET /", "", "GÉT", "A\r\nB", ("GET",)])
    def test_a_method_that_is_none(self, method: Any) -> None:
        with pytest.raises(ConfigurationError, match="'method'") as caught:
            make_client().request(method, "/x")
        assert caught.value.field == "method"

    @pytest.mark.parametrize("params", ["a=b", "ab", b"a=b", ["ab="], [1], 7])
    def test_params_that_are_no_pairs(self, params: Any, requests_mock: requests_mock.Mocker) -> None:
        with pytest.raises(ConfigurationError, match="'query'") as caught:
            make_client().request("GET", "/x", params=params)
        assert caught.value.field == "query"

    @pytest.mark.parametrize(
        "body",
        [
            {"a": object()},
            [Decimal("NaN")],
            {"a": [Decimal("-Infinity")]},
            (Decimal("sNaN"),),
            {"a": float("nan")},
            float("inf"),
            {(1, 2): 3},
            "\ud800",
        ],
    )
    def test_a_body_that_json_has_no_form_for(self, body: Any, requests_mock: requests_mock.Mocker) -> None:
        with pytest.raises(ConfigurationError, match="'json'") as caught:
            make_client().request("POST", "/x", json=body)
        assert caught.value.field == "json"
        assert caught.value.__context__ is None


def requests_mock_any() -> Any:
    return requests_mock.ANY


class TestBounds:
    def test_a_large_answer_is_refused_by_the_name_of_the_setting(
        self, requests_mock: requests_mock.Mocker
    ) -> None:
        mock = requests_mock.get(f"{BASE}/x", content=b"x" * 1001)

        with pytest.raises(ApiError, match=r"more than 1000 bytes.*\[finauth\] max_response_bytes"):
            make_client(max_response_bytes=1000).request("GET", "/x")
        assert mock.call_count == 1

    def test_one_that_just_fits_is_not(self, requests_mock: requests_mock.Mocker) -> None:
        requests_mock.get(f"{BASE}/x", content=b"x" * 1000)

        assert len(make_client(max_response_bytes=1000).request("GET", "/x").content) == 1000


class TestJson:
    def test_amounts_are_decimals(self, requests_mock: requests_mock.Mocker) -> None:
        requests_mock.get(f"{BASE}/x", text='{"saldo": 0.10, "n": 7}', headers=JSON)

        assert make_client().get_json("/x") == {"saldo": Decimal("0.10"), "n": 7}

    def test_no_content(self, requests_mock: requests_mock.Mocker) -> None:
        requests_mock.get(f"{BASE}/x", status_code=204)

        assert make_client().get_json("/x") is None

    def test_a_page_for_people_is_no_answer(self, requests_mock: requests_mock.Mocker) -> None:
        mock = requests_mock.get(
            f"{BASE}/x", text="<html>Log in</html>", headers={"Content-Type": "text/html"}
        )

        with pytest.raises(ApiError, match="not with JSON: it is labelled 'text/html'.*host") as caught:
            make_client().get_json("/x")
        assert mock.call_count == 1
        assert "Log in" not in str(caught.value)

    def test_a_key_in_the_content_type_is_not_shown(self, requests_mock: requests_mock.Mocker) -> None:
        kinds = [f"text/{TOKENS[0]}", f"{'x' * 50}/the-client-secret"]
        requests_mock.get(f"{BASE}/x", [{"headers": {"Content-Type": kind}} for kind in kinds])
        client = make_client()

        for _ in kinds:
            with pytest.raises(ApiError, match="it is labelled") as caught:
                client.get_json("/x")
            assert TOKENS[0] not in str(caught.value)
            assert "the-cli" not in str(caught.value)

    def test_what_looks_cut_short_is_asked_for_again(self, requests_mock: requests_mock.Mocker) -> None:
        mock = requests_mock.get(
            f"{BASE}/x", [{"text": '{"a": [1, 2', "headers": JSON}, {"text": '{"a": [1]}', "headers": JSON}]
        )

        assert make_client().get_json("/x") == {"a": [1]}
        assert mock.call_count == 2

    def test_what_stays_broken_fails(self, requests_mock: requests_mock.Mocker) -> None:
        mock = requests_mock.get(f"{BASE}/x", content=b'{"a": "\xff"}', headers=JSON)

        with pytest.raises(ApiError, match="not valid UTF-8"):
            make_client(max_attempts=2).get_json("/x")
        assert mock.call_count == 2


def offsets(count: int) -> Any:
    def serve(request: Any, context: Any) -> Any:
        context.headers.update(JSON)
        offset, limit = (int(request.qs[name][0]) for name in ("offset", "limit"))
        return [{"id": number} for number in range(count)][offset : offset + limit]

    return serve


class TestPulls:
    def test_each_page_asks_for_the_token(self, requests_mock: requests_mock.Mocker) -> None:
        requests_mock.get(f"{BASE}/x", json=offsets(25))
        authorizer = FakeAuthorizer()
        client = make_client(authorizer=authorizer)
        pages = client.pages(Pull(request=Request("GET", "/x"), paging=LimitOffset(size=10)))
        next(pages)
        authorizer.tokens.pop(0)
        next(pages)

        assert [call.headers["Authorization"] for call in requests_mock.request_history] == [
            f"Bearer {TOKENS[0]}",
            f"Bearer {TOKENS[1]}",
        ]

    def test_a_token_that_ends_within_a_pull_is_replaced(self, requests_mock: requests_mock.Mocker) -> None:
        serve = offsets(25)

        def until_stale(request: Any, context: Any) -> Any:
            if requests_mock.call_count == 2:
                context.status_code = 401
                return {}
            return serve(request, context)

        requests_mock.get(f"{BASE}/x", json=until_stale)
        client = make_client()
        pull = Pull(request=Request("GET", "/x"), paging=LimitOffset(size=10), key="id")

        assert [record["id"] for record in client.records(pull)] == list(range(25))

    def test_a_500_in_the_middle_of_a_pull_is_survived(self, requests_mock: requests_mock.Mocker) -> None:
        serve = offsets(25)

        def sometimes(request: Any, context: Any) -> Any:
            if requests_mock.call_count in (2, 4):
                context.status_code = 500
                return {}
            return serve(request, context)

        requests_mock.get(f"{BASE}/x", json=sometimes)
        pull = Pull(request=Request("GET", "/x"), paging=LimitOffset(size=10), key="id")

        assert len(list(make_client().records(pull))) == 25

    def test_records_are_fetched_as_they_are_read(self, requests_mock: requests_mock.Mocker) -> None:
        requests_mock.get(f"{BASE}/x", json=offsets(25))
        found = make_client().records(Pull(request=Request("GET", "/x"), paging=LimitOffset(size=10)))

        assert requests_mock.call_count == 0
        assert [next(found)["id"] for _ in range(10)] == list(range(10))
        assert requests_mock.call_count == 1
        found.close()  # type: ignore[attr-defined]
        assert requests_mock.call_count == 1

    def test_a_limit(self, requests_mock: requests_mock.Mocker) -> None:
        requests_mock.get(f"{BASE}/x", json=offsets(25))
        pull = Pull(request=Request("GET", "/x"), paging=LimitOffset(size=10))

        assert len(list(make_client().records(pull, limit=15))) == 15
        assert requests_mock.call_count == 2

    def test_headers_and_method(self, requests_mock: requests_mock.Mocker) -> None:
        requests_mock.post(f"{BASE}/search", json={"data": [{"id": 1}]}, headers=JSON)
        request = Request("POST", "/search", json={"q": 1}, headers={"A": "b"}, idempotent=True)

        assert list(make_client().records(Pull(request=request, paging=Single()))) == [{"id": 1}]
        assert requests_mock.last_request.json() == {"q": 1}
        assert requests_mock.last_request.headers["A"] == "b"

    def test_no_content_is_an_empty_list(self, requests_mock: requests_mock.Mocker) -> None:
        requests_mock.get(f"{BASE}/x", status_code=204)

        assert list(make_client().records(Pull(request=Request("GET", "/x"), paging=Cursor()))) == []


class TestLinks:
    def pull(self, path: str = "/things") -> Pull:
        return Pull(request=Request("GET", path, params={"top": 2}), paging=NextLink(), key="id")

    @pytest.mark.parametrize(
        "link",
        [
            "http://api.example/things?page=2",
            "http://api.example:8080/things?page=2",
            "/things?page=2",
            "?page=2",
        ],
    )
    def test_our_host_keeps_our_scheme_and_port(self, link: str, requests_mock: requests_mock.Mocker) -> None:
        requests_mock.get(f"{BASE}/things", json={"value": [{"id": 1}], "nextLink": link}, headers=JSON)
        requests_mock.get(f"{BASE}/things?page=2", json={"value": [{"id": 2}]}, headers=JSON)

        assert [record["id"] for record in make_client().records(self.pull())] == [1, 2]
        assert requests_mock.last_request.url == f"{BASE}/things?page=2"

    def test_another_host_gets_nothing(self, requests_mock: requests_mock.Mocker) -> None:
        link = "https://evil.example/things"
        requests_mock.get(f"{BASE}/things", json={"value": [{"id": 1}], "nextLink": link}, headers=JSON)
        elsewhere = requests_mock.get(link)
        found = make_client().records(self.pull())

        assert next(found) == {"id": 1}
        with pytest.raises(CrossOriginError):
            next(found)
        assert elsewhere.call_count == 0

    def test_a_link_is_relative_to_what_answered(self, requests_mock: requests_mock.Mocker) -> None:
        known = frozenset({origin_of("https://regional.example")})
        start = "https://regional.example/fi/v1/things"
        requests_mock.get(start, json={"value": [{"id": 1}], "nextLink": "more"}, headers=JSON)
        requests_mock.get("https://regional.example/fi/v1/more", json={"value": [{"id": 2}]}, headers=JSON)

        assert len(list(make_client(origins=known).records(self.pull(start)))) == 2


def test_threads_share_a_client_and_its_pace(requests_mock: requests_mock.Mocker) -> None:
    requests_mock.get(f"{BASE}/x")
    clock = FakeClock()
    client = make_client(clock=clock, requests_per_second=10.0)
    for _ in range(3):
        client.request("GET", "/x")
    client.session.get(f"{BASE}/x")

    assert clock.slept == pytest.approx([0.1, 0.1, 0.1])
