from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

from tests.sandbox.asking import location

if TYPE_CHECKING:
    from airflow_provider_finauth.sandbox import RunningSandbox
    from tests.sandbox.asking import Vendors

COMPANIES = "{ companies { nodes { id name organisationNumber } } }"
LEGACY = "luca_oauth"
OAUTH21 = "luca_oauth21"


def _all_companies(vendors: Vendors) -> list[dict[str, Any]]:
    answer = vendors.graphql(COMPANIES, vendors.tokens(LEGACY)["access_token"]).json()
    found: list[dict[str, Any]] = answer["data"]["companies"]["nodes"]
    return found


# The first OAuth.


def test_legacy_consent_gives_code_and_scope(vendors: Vendors) -> None:
    assert set(location(vendors.authorize(LEGACY))) == {"code", "scope"}


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "s"},
        {"scope": "accounting.read"},
        {"response_type": "token"},
        {"redirect_uri": "https://elsewhere.invalid/"},
        {"redirect_uri": None},
        {"client_id": "unknown"},
        {"organisation_number": "nine"},
        {"locale": "fi"},
    ],
)
def test_legacy_consent_is_refused(vendors: Vendors, changes: dict[str, str]) -> None:
    assert vendors.authorize(LEGACY, **changes).status_code == 400


def test_legacy_tokens(vendors: Vendors) -> None:
    tokens = vendors.tokens(LEGACY)
    assert set(tokens) == {"status", "access_token", "refresh_token", "token_type", "expires_in"}
    assert (tokens["status"], tokens["expires_in"]) == ("ok", "3600")
    again = vendors.refresh(LEGACY, tokens["refresh_token"]).json()
    assert again["refresh_token"] == tokens["refresh_token"]
    assert again["access_token"] != tokens["access_token"]
    for token in (tokens, again):
        assert vendors.graphql(COMPANIES, token["access_token"]).status_code == 200


def test_legacy_refusals_are_200(vendors: Vendors) -> None:
    code = location(vendors.authorize(LEGACY))["code"]
    for answer in (
        vendors.exchange(LEGACY, "wrong"),
        vendors.exchange(LEGACY, code, client_secret="wrong"),
        vendors.exchange(LEGACY, code, scope="accounting"),
        vendors.refresh(LEGACY, "wrong"),
    ):
        assert answer.status_code == 200
        assert set(answer.json()) == {"status", "error_descriptions"}
    assert "access_token" in vendors.exchange(LEGACY, code).json()
    assert "access_token" not in vendors.exchange(LEGACY, code).json()


def test_a_legacy_code_ends(vendors: Vendors, sandbox: RunningSandbox) -> None:
    sandbox.settings("luca", code_lifetime=0)
    assert "access_token" not in vendors.tokens(LEGACY)


def test_both_legacy_paths_serve(vendors: Vendors) -> None:
    connection, extra = vendors.connection(LEGACY)
    refresh_token = vendors.tokens(LEGACY)["refresh_token"]
    body = {
        "grant_type": "refresh_token",
        "refresh_token": refresh_token,
        "client_id": connection["login"],
        "client_secret": connection["password"],
    }
    older = extra["oauth_endpoint"].replace("/v2/", "/v1/")
    assert vendors.http.post(older, data=body).json()["refresh_token"] == refresh_token


def test_legacy_consent_for_one_company(vendors: Vendors) -> None:
    wanted = _all_companies(vendors)[1]
    tokens = vendors.tokens(LEGACY, organisation_number=str(wanted["organisationNumber"]))
    answer = vendors.graphql(COMPANIES, tokens["access_token"]).json()
    assert answer["data"]["companies"]["nodes"] == [wanted]


@pytest.mark.parametrize("conn_id", [LEGACY, OAUTH21])
def test_consent_may_be_denied(vendors: Vendors, sandbox: RunningSandbox, conn_id: str) -> None:
    sandbox.settings("luca", deny=True)
    assert location(vendors.authorize(conn_id))["error"] == "access_denied"


def test_a_token_answer_is_labelled_html_unless_json_is_asked_for(vendors: Vendors) -> None:
    url = vendors.connection(LEGACY)[1]["oauth_endpoint"]
    assert vendors.http.post(url, data={"grant_type": "x"}).headers["content-type"].startswith("text/html")


# OAuth 2.1.


def test_discovery(vendors: Vendors, sandbox: RunningSandbox) -> None:
    base = f"{sandbox.url}/luca"
    server = vendors.http.get(f"{base}/.well-known/oauth-authorization-server").json()
    assert server["issuer"] == base
    extra = sandbox.connections[OAUTH21]["extra"]
    assert server["token_endpoint"] == extra["oauth_endpoint"]
    assert server["authorization_endpoint"] == extra["authorize_endpoint"]
    resource = vendors.http.get(f"{base}/.well-known/oauth-protected-resource").json()
    assert resource["authorization_servers"] == [base]


def test_consent_returns_state_and_issuer(vendors: Vendors, sandbox: RunningSandbox) -> None:
    back = location(vendors.authorize(OAUTH21, state="st-7"))
    assert (back["state"], back["iss"]) == ("st-7", f"{sandbox.url}/luca")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"state": None}, "invalid_request"),
        ({"scope": "accounting"}, "invalid_scope"),
        ({"response_type": "token"}, "unsupported_response_type"),
    ],
)
def test_consent_is_refused(vendors: Vendors, changes: dict[str, Any], error: str) -> None:
    assert location(vendors.authorize(OAUTH21, **changes))["error"] == error


def test_nobody_is_sent_to_an_unknown_address(vendors: Vendors) -> None:
    assert vendors.authorize(OAUTH21, redirect_uri="https://elsewhere.invalid/").status_code == 400


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"code_verifier": "another-verifier"}, 400, "invalid_grant"),
        ({"code_verifier": None}, 400, "invalid_request"),
        ({"redirect_uri": "http://127.0.0.1:1/"}, 400, "invalid_grant"),
        ({"client_secret": None}, 401, "invalid_client"),
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"grant_type": "client_credentials"}, 400, "unsupported_grant_type"),
    ],
)
def test_an_exchange_is_refused(vendors: Vendors, changes: dict[str, Any], status: int, error: str) -> None:
    code = location(vendors.authorize(OAUTH21))["code"]
    answer = vendors.exchange(OAUTH21, code, **changes)
    assert (answer.status_code, answer.json()["error"]) == (status, error)


def test_a_code_serves_once(vendors: Vendors) -> None:
    code = location(vendors.authorize(OAUTH21))["code"]
    assert vendors.exchange(OAUTH21, code).status_code == 200
    assert vendors.exchange(OAUTH21, code).json()["error"] == "invalid_grant"


def test_the_client_may_authenticate_by_basic(vendors: Vendors) -> None:
    connection, extra = vendors.connection(OAUTH21)
    token = vendors.tokens(OAUTH21)["refresh_token"]
    answer = vendors.http.post(
        extra["oauth_endpoint"],
        data={"grant_type": "refresh_token", "refresh_token": token},
        auth=(connection["login"], connection["password"]),
    )
    assert answer.status_code == 200


def test_a_refresh_rotates_and_ends_the_old_access_token(vendors: Vendors, sandbox: RunningSandbox) -> None:
    first = vendors.tokens(OAUTH21)
    second = vendors.refresh(OAUTH21, first["refresh_token"]).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert vendors.graphql(COMPANIES, first["access_token"]).status_code == 401
    assert vendors.graphql(COMPANIES, second["access_token"]).status_code == 200
    sandbox.settings("luca", refresh_ends_access=False)
    third = vendors.refresh(OAUTH21, second["refresh_token"]).json()
    assert vendors.graphql(COMPANIES, second["access_token"]).status_code == 200
    assert vendors.graphql(COMPANIES, third["access_token"]).status_code == 200


def test_a_replay_revokes_everything(vendors: Vendors, sandbox: RunningSandbox) -> None:
    first = vendors.tokens(OAUTH21)
    bystander = vendors.tokens(OAUTH21)
    second = vendors.refresh(OAUTH21, first["refresh_token"]).json()
    assert sandbox.stats("luca")["replays"] == 0
    replay = vendors.refresh(OAUTH21, first["refresh_token"])
    assert (replay.status_code, replay.json()["error"]) == (400, "invalid_grant")
    assert sandbox.stats("luca")["replays"] == 1
    assert vendors.graphql(COMPANIES, second["access_token"]).status_code == 401
    assert vendors.refresh(OAUTH21, second["refresh_token"]).json()["error"] == "invalid_grant"
    assert vendors.graphql(COMPANIES, bystander["access_token"]).status_code == 200


def test_a_replay_within_the_leeway_is_forgiven(vendors: Vendors, sandbox: RunningSandbox) -> None:
    sandbox.settings("luca", refresh_leeway=60)
    first = vendors.tokens(OAUTH21)["refresh_token"]
    assert vendors.refresh(OAUTH21, first).status_code == 200
    assert vendors.refresh(OAUTH21, first).status_code == 200
    assert sandbox.stats("luca")["replays"] == 0


def test_a_lost_answer_has_still_used_up_the_token(vendors: Vendors, sandbox: RunningSandbox) -> None:
    first = vendors.tokens(OAUTH21)["refresh_token"]
    sandbox.faults("luca", "status", where="token", status=502, when="after")
    assert vendors.refresh(OAUTH21, first).status_code == 502
    assert vendors.refresh(OAUTH21, first).json()["error"] == "invalid_grant"
    assert sandbox.stats("luca")["replays"] == 1


def test_scopes(vendors: Vendors, sandbox: RunningSandbox) -> None:
    assert vendors.tokens(OAUTH21)["scope"] == "accounting.read"
    both = "accounting.read accounting.write"
    assert vendors.tokens(OAUTH21, scope=both)["scope"] == both
    sandbox.settings("luca", grant_scope="accounting.read")
    assert vendors.tokens(OAUTH21, scope=both)["scope"] == "accounting.read"


def test_revoking_needs_the_secret(vendors: Vendors, sandbox: RunningSandbox) -> None:
    connection, _ = vendors.connection(OAUTH21)
    tokens = vendors.tokens(OAUTH21)
    url = f"{sandbox.url}/luca/oauth/revoke"
    secret = {"client_id": connection["login"], "client_secret": connection["password"]}
    assert vendors.http.post(url, data={"token": tokens["refresh_token"]}).status_code == 403
    assert vendors.graphql(COMPANIES, tokens["access_token"]).status_code == 200
    asked = f"{sandbox.url}/luca/oauth/introspect"
    inspect = {**secret, "token": tokens["access_token"]}
    assert vendors.http.post(asked, data=inspect).json()["active"] is True
    assert vendors.http.post(url, data={**secret, "token": tokens["refresh_token"]}).status_code == 200
    assert vendors.graphql(COMPANIES, tokens["access_token"]).status_code == 401
    assert vendors.http.post(asked, data=inspect).json() == {"active": False}
    assert vendors.http.post(asked, data={"token": tokens["access_token"]}).status_code == 401


# GraphQL.


def test_without_a_token_the_way_to_one_is_shown(vendors: Vendors) -> None:
    answer = vendors.graphql(COMPANIES, "wrong")
    assert answer.status_code == 401
    assert answer.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    found = answer.headers["www-authenticate"].split('"')[1]
    assert vendors.http.get(found).json()["authorization_servers"]


def test_json_is_labelled_html_unless_asked_for(vendors: Vendors) -> None:
    plain = vendors.graphql(COMPANIES, headers={"Accept": "*/*"})
    assert plain.headers["content-type"].startswith("text/html")
    assert plain.json() == vendors.graphql(COMPANIES).json()
    assert vendors.graphql(COMPANIES).headers["content-type"].startswith("application/json")


def test_a_personal_key_is_bound_to_one_company(vendors: Vendors) -> None:
    companies = _all_companies(vendors)
    assert len(companies) == 3
    own = vendors.graphql(COMPANIES).json()["data"]["companies"]["nodes"]
    assert own == companies[:1]
    assert vendors.graphql("{ saleInvoices(first: 1) { nodes { id } } }").json()["data"]["saleInvoices"]
    other = f'{{ saleInvoices(companyId: "{companies[1]["id"]}", first: 1) {{ nodes {{ id }} }} }}'
    assert vendors.graphql(other).json()["errors"][0]["extensions"]["code"] == "FORBIDDEN"


def test_an_oauth_token_needs_company_id(vendors: Vendors) -> None:
    token = vendors.tokens(OAUTH21)["access_token"]
    answer = vendors.graphql("{ saleInvoices(first: 1) { nodes { id } } }", token)
    assert answer.status_code == 200
    assert answer.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"
    number = _all_companies(vendors)[2]["organisationNumber"]
    named = f'{{ saleInvoices(companyId: "{number}", first: 1) {{ nodes {{ id }} }} }}'
    assert len(vendors.graphql(named, token).json()["data"]["saleInvoices"]["nodes"]) == 1


def test_data_and_errors_come_together(vendors: Vendors, sandbox: RunningSandbox) -> None:
    companies = _all_companies(vendors)
    sandbox.settings("luca", consent_companies=[0])
    token = vendors.tokens(OAUTH21)["access_token"]
    query = " ".join(
        f'{alias}: saleInvoices(companyId: "{company["id"]}", first: 2) {{ nodes {{ id }} }}'
        for alias, company in zip(("a", "b"), companies, strict=False)
    )
    answer = vendors.graphql(f"{{ {query} }}", token).json()
    assert len(answer["data"]["a"]["nodes"]) == 2
    assert answer["data"]["b"] is None
    (error,) = answer["errors"]
    assert (error["path"], error["extensions"]["code"]) == (["b"], "FORBIDDEN")


PAGE = """
query ($company: ID, $first: Int, $after: String) {
  saleInvoices(companyId: $company, first: $first, after: $after) {
    nodes { id invoiceNumber invoiceDate totalCents saleInvoiceLineItems { quantity unitPriceCents } }
    edges { cursor node { id } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}"""


def test_a_walk_by_position_cursors(vendors: Vendors) -> None:
    seen: list[dict[str, Any]] = []
    after = None
    while True:
        answer = vendors.graphql(PAGE, variables={"first": 100, "after": after}).json()
        page = answer["data"]["saleInvoices"]
        assert [edge["node"]["id"] for edge in page["edges"]] == [node["id"] for node in page["nodes"]]
        assert page["pageInfo"]["hasPreviousPage"] == (after is not None)
        seen += page["nodes"]
        after = page["pageInfo"]["endCursor"]
        assert base64.b64decode(after + "==").decode() == str(len(seen))
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert len({node["id"] for node in seen}) == len(seen) == 3000
    dates = [node["invoiceDate"] for node in seen]
    assert dates == sorted(dates, reverse=True)
    for node in seen:
        lines = node["saleInvoiceLineItems"]
        assert node["totalCents"] == sum(line["quantity"] * line["unitPriceCents"] for line in lines)


def test_there_are_six_thousand_invoices(vendors: Vendors) -> None:
    token = vendors.tokens(LEGACY)["access_token"]
    last = '{{ saleInvoices(companyId: "{}", last: 1) {{ pageInfo {{ endCursor }} }} }}'
    total = 0
    for company in _all_companies(vendors):
        page = vendors.graphql(last.format(company["id"]), token).json()["data"]["saleInvoices"]
        total += int(base64.b64decode(page["pageInfo"]["endCursor"] + "=="))
    assert total == 6000


def test_more_than_a_hundred_is_clamped_or_refused(vendors: Vendors, sandbox: RunningSandbox) -> None:
    clamped = vendors.graphql(PAGE, variables={"first": 500}).json()["data"]["saleInvoices"]
    assert len(clamped["nodes"]) == 100
    assert clamped["pageInfo"]["hasNextPage"]
    sandbox.settings("luca", over_max="refuse")
    refused = vendors.graphql(PAGE, variables={"first": 500}).json()
    assert refused["data"] == {"saleInvoices": None}
    assert refused["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


def test_last_and_before(vendors: Vendors) -> None:
    query = "{ saleProducts(%s) { nodes { id } pageInfo { hasNextPage hasPreviousPage } } }"
    everything = vendors.graphql(query % "first: 100").json()["data"]["saleProducts"]["nodes"]
    tail = vendors.graphql(query % "last: 5").json()["data"]["saleProducts"]
    assert tail["nodes"] == everything[-5:]
    assert tail["pageInfo"] == {"hasNextPage": False, "hasPreviousPage": True}
    before = base64.b64encode(b"11").decode().rstrip("=")
    middle = vendors.graphql(query % f'last: 3, before: "{before}"').json()["data"]["saleProducts"]
    assert middle["nodes"] == everything[7:10]
    bad = vendors.graphql(query % 'after: "!!"').json()
    assert bad["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


def test_an_invoice_that_comes_in_shifts_the_positions(vendors: Vendors, sandbox: RunningSandbox) -> None:
    first = vendors.graphql(PAGE, variables={"first": 100}).json()["data"]["saleInvoices"]
    sandbox.faults("luca", "insert_row")
    after = first["pageInfo"]["endCursor"]
    second = vendors.graphql(PAGE, variables={"first": 100, "after": after}).json()["data"]["saleInvoices"]
    assert second["nodes"][0] == first["nodes"][-1]
    sandbox.reset()
    again = vendors.graphql(PAGE, variables={"first": 100}).json()["data"]["saleInvoices"]
    assert again == first


def test_single_records_and_journals(vendors: Vendors) -> None:
    query = "{ bookkeepingJournals(first: 3) { nodes { id postings { postingLines { amountCents } } } } }"
    journals = vendors.graphql(query).json()["data"]["bookkeepingJournals"]["nodes"]
    assert isinstance(journals[0]["postings"][0]["postingLines"][0]["amountCents"], int)
    one = vendors.graphql(f'{{ bookkeepingJournal(id: "{journals[0]["id"]}") {{ id }} }}').json()
    assert one["data"]["bookkeepingJournal"]["id"] == journals[0]["id"]
    none = vendors.graphql('{ saleInvoice(id: "nothing") { id } }').json()
    assert none["data"] == {"saleInvoice": None}
    assert none["errors"][0]["extensions"]["code"] == "NOT_FOUND"


CREATE = """
mutation ($company: ID, $customer: ID!) {
  saleInvoiceCreate(companyId: $company, input: {saleCustomerId: $customer, invoiceDate: "2026-11-01"}) {
    saleInvoice { id draft }
  }
}"""


def test_writing_needs_the_scope_and_a_known_customer(vendors: Vendors) -> None:
    company = _all_companies(vendors)[0]["id"]
    customers = "{ saleCustomers(first: 1) { nodes { id } } }"
    customer = vendors.graphql(customers).json()["data"]["saleCustomers"]["nodes"][0]["id"]
    variables = {"company": company, "customer": customer}
    reader = vendors.tokens(OAUTH21)["access_token"]
    refused = vendors.graphql(CREATE, reader, variables=variables).json()
    assert refused["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    writer = vendors.tokens(OAUTH21, scope="accounting.read accounting.write")["access_token"]
    made = vendors.graphql(CREATE, writer, variables=variables).json()["data"]["saleInvoiceCreate"]
    newest = vendors.graphql(PAGE, variables={"first": 1}).json()["data"]["saleInvoices"]["nodes"][0]
    assert newest["id"] == made["saleInvoice"]["id"]
    wrong = vendors.graphql(CREATE, writer, variables={**variables, "customer": "nobody"}).json()
    extensions = wrong["errors"][0]["extensions"]
    assert (extensions["code"], extensions["details"][0]["field"]) == ("VALIDATION_FAILED", "saleCustomerId")


def test_documents_that_are_wrong(vendors: Vendors) -> None:
    for query in ("{ nothing }", "{ saleInvoices( }"):
        answer = vendors.graphql(query)
        assert answer.status_code == 200
        assert answer.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"
        assert "data" not in answer.json()
    url = f"{vendors.connection('luca_default')[0]['host']}/api/v1/graphql"
    headers = {"Authorization": f"Bearer {vendors.connection('luca_default')[0]['password']}"}
    assert vendors.http.post(url, data={"query": COMPANIES}, headers=headers).status_code == 400
    assert vendors.http.get(url, headers=headers).status_code == 404


def test_the_schema_can_be_asked_for(vendors: Vendors) -> None:
    answer = vendors.graphql('{ __type(name: "SaleInvoiceConnection") { fields { name } } }').json()
    assert {field["name"] for field in answer["data"]["__type"]["fields"]} == {"nodes", "edges", "pageInfo"}


def test_errors_as_told(vendors: Vendors, sandbox: RunningSandbox) -> None:
    sandbox.faults("luca", "graphql_error", code="RATE_LIMITED", retryAfter=3)
    limited = vendors.graphql(COMPANIES)
    assert limited.status_code == 200
    assert limited.json()["errors"][0]["extensions"] == {"code": "RATE_LIMITED", "retryAfter": 3}
    sandbox.faults("luca", "graphql_partial", code="TIMEOUT")
    partial = vendors.graphql(COMPANIES).json()
    assert partial["data"] == {"companies": None}
    assert partial["errors"][0]["extensions"]["code"] == "TIMEOUT"
    assert "errors" not in vendors.graphql(COMPANIES).json()
