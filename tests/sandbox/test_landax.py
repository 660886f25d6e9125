from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest

if TYPE_CHECKING:
    import requests

    from airflow_provider_finauth.sandbox import RunningSandbox
    from tests.sandbox.asking import Vendors

LANDAX = "landax_default"


def _url(vendors: Vendors, path: str) -> str:
    return f"{vendors.connection(LANDAX)[0]['host']}{path}"


def _rows(answer: requests.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["value"]
    return found


def test_a_login_gives_what_the_page_says(vendors: Vendors) -> None:
    answer = vendors.landax_login().json()
    assert set(answer) == {"access_token", "expires_in", "token_type", "scope", "refresh_token"}
    assert answer["scope"] == "api"


def test_a_form_body_is_refused(vendors: Vendors) -> None:
    connection, extra = vendors.connection(LANDAX)
    members = {
        "client_id": extra["client_id"],
        "client_secret": extra["client_secret"],
        "username": connection["login"],
        "password": connection["password"],
    }
    url = _url(vendors, "/authenticate/token?grant_type=password")
    assert vendors.http.post(url, data=members).status_code == 400
    assert vendors.http.post(url, json=members).status_code == 200


def test_grant_type_belongs_into_the_query(vendors: Vendors) -> None:
    connection, extra = vendors.connection(LANDAX)
    members = {
        "client_id": extra["client_id"],
        "client_secret": extra["client_secret"],
        "username": connection["login"],
        "password": connection["password"],
    }
    bare = _url(vendors, "/authenticate/token")
    assert vendors.http.post(bare, json={**members, "grant_type": "password"}).status_code == 400
    url = f"{bare}?grant_type=password"
    assert vendors.http.post(url, json={**members, "grant_type": "password"}).status_code == 400
    assert vendors.http.post(f"{bare}?grant_type=client_credentials", json=members).status_code == 400
    assert vendors.http.post(_url(vendors, "/api/authenticate/token?grant_type=password")).status_code == 404


def test_wrong_credentials(vendors: Vendors) -> None:
    assert vendors.landax_login(client_secret="wrong").status_code == 401
    answer = vendors.landax_login(password="wrong")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


def test_a_token_error_may_be_plain_text(vendors: Vendors, sandbox: RunningSandbox) -> None:
    sandbox.settings("landax", plain_errors=True)
    answer = vendors.landax_login(password="wrong")
    assert answer.headers["content-type"].startswith("text/plain")


def test_a_refresh_gives_another_refresh_token_or_none(vendors: Vendors, sandbox: RunningSandbox) -> None:
    first = vendors.landax_login().json()["refresh_token"]
    second = vendors.landax_refresh(first).json()["refresh_token"]
    assert second != first
    assert vendors.landax_refresh(first).status_code == 400
    assert sandbox.stats("landax")["replays"] == 1
    sandbox.settings("landax", rotate_refresh=False)
    assert "refresh_token" not in vendors.landax_refresh(second).json()
    assert vendors.landax_refresh(second).status_code == 200


def test_a_refresh_can_be_refused_and_a_login_still_works(vendors: Vendors, sandbox: RunningSandbox) -> None:
    token = vendors.landax_login().json()["refresh_token"]
    sandbox.settings("landax", refuse_refresh=True)
    assert vendors.landax_refresh(token).json()["error"] == "invalid_grant"
    assert vendors.landax_login().status_code == 200


def test_basic_is_open_for_one_user_in_utf_8(vendors: Vendors, sandbox: RunningSandbox) -> None:
    basic = sandbox.connections["landax_basic"]

    def ask(user: str, password: str, encoding: str) -> int:
        value = base64.b64encode(f"{user}:{password}".encode(encoding)).decode()
        return vendors.get(LANDAX, "/api/v32/Departments", {"Authorization": f"Basic {value}"}).status_code

    assert ask(basic["login"], basic["password"], "utf-8") == 200
    assert ask(basic["login"], basic["password"], "latin-1") == 401
    password_user = sandbox.connections["landax_default"]
    assert ask(password_user["login"], password_user["password"], "utf-8") == 401


@pytest.mark.parametrize(
    ("version", "key"), [("v20", "@odata.nextLink"), ("v24", "@odata.nextLink"), ("v32", "nextLink")]
)
def test_a_walk_by_next_link(vendors: Vendors, version: str, key: str) -> None:
    headers = vendors.headers(LANDAX)
    answer = vendors.get(LANDAX, f"/api/{version}/Incidents", headers)
    seen = {row["Id"] for row in _rows(answer)}
    pages = 1
    while link := answer.json().get(key):
        assert link.startswith(vendors.sandbox.url)
        answer = vendors.http.get(link, headers=headers)
        seen |= {row["Id"] for row in _rows(answer)}
        pages += 1
    assert (pages, len(seen)) == (13, 12_500)


def test_version_28_gives_no_link(vendors: Vendors) -> None:
    headers = vendors.headers(LANDAX)
    first = vendors.get(LANDAX, "/api/v28/Incidents", headers)
    assert list(first.json()) == ["value"]
    assert len(_rows(first)) == 1000
    assert _rows(vendors.get(LANDAX, "/api/v28/Incidents", headers, skip=12_000))[0]["Id"] == 12_001
    assert _rows(vendors.get(LANDAX, "/api/v28/Incidents", headers, skip=12_500)) == []


@pytest.mark.parametrize(("version", "other"), [("v20", ""), ("v28", "$"), ("v32", "$")])
def test_the_other_dialects_names_are_overlooked(vendors: Vendors, version: str, other: str) -> None:
    headers = vendors.headers(LANDAX)
    params = {f"{other}skip": 500, f"{other}top": 5, f"{other}filter": "Id eq 7"}
    rows = _rows(vendors.get(LANDAX, f"/api/{version}/Incidents", headers, **params))
    assert (len(rows), rows[0]["Id"]) == (1000, 1)


def test_the_odata_path_takes_dollar_names_and_says_its_context(vendors: Vendors) -> None:
    answer = vendors.get(LANDAX, "/odata/v32/Projects", vendors.headers(LANDAX), **{"$top": 3})
    assert answer.json()["@odata.context"].endswith("/odata/v32/$metadata#Projects")
    assert len(_rows(answer)) == 3


def test_from_and_count(vendors: Vendors) -> None:
    headers = vendors.headers(LANDAX)
    answer = vendors.get(LANDAX, "/api/v32/Incidents", headers, **{"from": 500, "count": 500})
    assert list(answer.json()) == ["value"]
    assert [row["Id"] for row in _rows(answer)] == list(range(501, 1001))


def test_a_page_never_has_more_than_a_thousand_rows(vendors: Vendors) -> None:
    headers = vendors.headers(LANDAX)
    answer = vendors.get(LANDAX, "/api/v20/Incidents", headers, **{"$top": 1500})
    assert len(_rows(answer)) == 1000
    link = dict(parse_qsl(urlsplit(answer.json()["@odata.nextLink"]).query))
    assert link == {"$skip": "1000", "$top": "500"}


def test_customers_are_exactly_a_page_without_a_link(vendors: Vendors) -> None:
    headers = vendors.headers(LANDAX)
    answer = vendors.get(LANDAX, "/api/v32/Customers", headers)
    assert len(_rows(answer)) == 1000
    assert "nextLink" not in answer.json()
    assert _rows(vendors.get(LANDAX, "/api/v32/Customers", headers, skip=1000)) == []


def test_skip_may_not_be_honoured(vendors: Vendors, sandbox: RunningSandbox) -> None:
    sandbox.settings("landax", honour_skip=False)
    headers = vendors.headers(LANDAX)
    assert _rows(vendors.get(LANDAX, "/api/v28/Incidents", headers, skip=1000))[0]["Id"] == 1


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("ChangedDateTime ge 2026-01-01T00:00:00Z", lambda row: row["ChangedDateTime"] >= "2026-01-01"),
        (
            "ChangedDateTime ge 2026-01-01T01:00:00+01:00 and ChangedDateTime lt 2026-02-01",
            lambda row: "2026-01-01" <= row["ChangedDateTime"] < "2026-02-01",
        ),
        ("IsClosed eq false and Severity gt 3", lambda row: not row["IsClosed"] and row["Severity"] > 3),
        ("not (IsClosed eq true or TypeId ne 2)", lambda row: not row["IsClosed"] and row["TypeId"] == 2),
        ("ProjectId eq null", lambda row: row["ProjectId"] is None),
        ("Subject eq 'Fall fra stige'", lambda row: row["Subject"] == "Fall fra stige"),
        ("contains(Subject, 'stige')", lambda row: "stige" in row["Subject"]),
    ],
)
def test_filters(vendors: Vendors, text: str, wanted: Any) -> None:
    headers = vendors.headers(LANDAX)
    everything: list[dict[str, Any]] = []
    for skip in range(0, 12_500, 1000):
        everything += _rows(vendors.get(LANDAX, "/api/v28/Incidents", headers, skip=skip))
    expected = [row["Id"] for row in everything if wanted(row)]
    found: list[int] = []
    while True:
        page = _rows(vendors.get(LANDAX, "/api/v28/Incidents", headers, filter=text, skip=len(found)))
        if not page:
            break
        found += [row["Id"] for row in page]
    assert found == expected
    assert 0 < len(found) < 12_500


def _changed(vendors: Vendors, text: str) -> list[str]:
    """When those were changed that a filter lets through."""
    rows = _rows(vendors.get(LANDAX, "/api/v28/Incidents", vendors.headers(LANDAX), filter=text))
    return sorted(row["ChangedDateTime"] for row in rows)


def test_an_expression_says_whether_its_end_counts_in(vendors: Vendors) -> None:
    name, before, turn = "ChangedDateTime", "2026-01-31T23:59:59Z", "2026-02-01T00:00:00Z"
    # Two share the moment, and one is of the second before.
    assert _changed(vendors, f"{name} ge {before} and {name} le {turn}") == [before, turn, turn]
    assert _changed(vendors, f"{name} ge {before} and {name} lt {turn}") == [before]
    assert _changed(vendors, f"{name} gt {before} and {name} le {turn}") == [turn, turn]
    assert _changed(vendors, f"{name} ge 2026-02-01T01:00:00+01:00 and {name} le {turn}") == [turn, turn]
    assert _changed(vendors, f"{name} ge 2026-02-01T00:00:00.000001Z and {name} le {turn}") == []
    months = [
        _changed(vendors, f"{name} ge 2026-{month}-01T00:00:00Z and {name} lt 2026-{after}-01T00:00:00Z")
        for month, after in (("01", "02"), ("02", "03"), ("01", "03"))
    ]
    assert months[0] + months[1] == months[2]


def test_an_expression_that_nothing_can_meet_is_none_the_less_one(vendors: Vendors) -> None:
    window = "ChangedDateTime ge 2026-02-01T00:00:00Z and ChangedDateTime lt 2026-01-01T00:00:00Z"
    assert _changed(vendors, window) == []


@pytest.mark.parametrize(
    "params",
    [
        {"filter": "ChangedDateTime ge 2026-02-30"},
        {"filter": "ChangedDateTime ge 2026-01-01T25:00:00Z"},
        {"filter": "ChangedDateTime ge yesterday"},
        {"filter": "Nothing eq 1"},
        {"filter": "Id eq"},
        {"filter": "Id = 3"},
        {"filter": "Id eq 'text'"},
        {"filter": "IsClosed eq 1"},
        {"filter": "Id eq 1 2"},
        {"filter": "(Id eq 1"},
        {"orderby": "Nothing"},
        {"select": "Id,Nothing"},
        {"expand": "Nothing"},
        {"top": "many"},
        {"skip": "-1"},
    ],
)
def test_what_the_server_does_not_understand(vendors: Vendors, params: dict[str, str]) -> None:
    answer = vendors.get(LANDAX, "/api/v32/Incidents", vendors.headers(LANDAX), **params)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


def test_order_select_and_expand(vendors: Vendors) -> None:
    headers = vendors.headers(LANDAX)
    rows = _rows(
        vendors.get(
            LANDAX,
            "/api/v32/Incidents",
            headers,
            orderby="ClosedDate desc,Id",
            select="Id,ClosedDate,DepartmentId",
            expand="Department,Project",
            top=900,
        )
    )
    keys = [(row["ClosedDate"], -row["Id"]) for row in rows]
    assert keys == sorted(keys, reverse=True)
    assert set(rows[0]) == {"Id", "ClosedDate", "DepartmentId", "Department", "Project"}
    assert rows[0]["Department"]["Id"] == rows[0]["DepartmentId"]
    empty = _rows(vendors.get(LANDAX, "/api/v32/Incidents", headers, orderby="ClosedDate", top=5))
    assert [row["ClosedDate"] for row in empty] == [None] * 5


def test_a_single_record_is_wrapped_or_not(vendors: Vendors) -> None:
    headers = vendors.headers(LANDAX)
    new = vendors.get(LANDAX, "/api/v32/Incidents(41)", headers).json()
    old = vendors.get(LANDAX, "/api/v20/Incidents(41)", headers).json()
    assert old == {"value": new}
    assert new["Id"] == 41
    assert vendors.get(LANDAX, "/api/v32/Incidents(99999)", headers).status_code == 404
    assert vendors.get(LANDAX, "/api/v32/Nothing", headers).status_code == 404
    assert vendors.get(LANDAX, "/api/v99/Incidents", headers).status_code == 404


def test_records_can_be_written(vendors: Vendors) -> None:
    headers = vendors.headers(LANDAX)
    url = _url(vendors, "/api/v32/Departments")
    made = vendors.http.post(url, json={"Name": "Ny"}, headers=headers)
    assert (made.status_code, made.json()["Id"]) == (201, 25)
    changed = vendors.http.put(f"{url}(3)", json={"Name": "Annen"}, headers=headers)
    assert (changed.json()["Id"], changed.json()["Name"]) == (3, "Annen")
    assert vendors.http.post(url, json={"Nothing": 1}, headers=headers).status_code == 400


def test_a_document_takes_its_time(vendors: Vendors, sandbox: RunningSandbox) -> None:
    sandbox.settings("landax", content_polls=2)
    headers = vendors.headers(LANDAX)
    path = "/api/v32/Documents/GetContent"
    answers = [vendors.get(LANDAX, path, headers, documentid=7) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [202, 202, 200]
    assert answers[2].content.startswith(b"%PDF")
    assert vendors.get(LANDAX, path, headers).status_code == 400


def test_the_description_needs_no_token_and_the_rest_does(vendors: Vendors) -> None:
    assert "/api/v32/Incidents" in vendors.get(LANDAX, "/api/v32/openapi.json", {}).json()["paths"]
    assert vendors.get(LANDAX, "/api/v32/Incidents", {}).status_code == 401
