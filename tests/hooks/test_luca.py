"""Luca's hook, over real sockets, by each of the three ways in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_finauth.apis.luca import nodes_of_company
from airflow_provider_finauth.client.paging.rows import Rows
from airflow_provider_finauth.exceptions import (
    ApiError,
    ConfigurationError,
    ForbiddenError,
    PaginationError,
    RateLimitedError,
    ReauthorizationRequiredError,
)
from airflow_provider_finauth.hooks.luca import LucaHook
from airflow_provider_finauth.runtime.brokers import broker
from tests.hooks.support import authorise, consent, ids

if TYPE_CHECKING:
    from airflow_provider_finauth.sandbox import RunningSandbox
    from tests.hooks.support import SandboxConnections
    from tests.passing_time import PassingTime

OAUTH = ["luca_oauth", "luca_oauth21"]
CUSTOMERS = """
query Customers($companyId: ID, $first: Int, $after: String) {
  saleCustomers(companyId: $companyId, first: $first, after: $after) {
    nodes { id name }
    pageInfo { hasNextPage endCursor }
  }
}
"""
INVOICES = """
query Invoices($companyId: ID, $first: Int, $after: String) {
  saleInvoices(companyId: $companyId, first: $first, after: $after) {
    nodes { id totalCents saleCustomer { name } }
    pageInfo { hasNextPage endCursor }
  }
}
"""
CREATE = """
mutation Create($id: ID!) {
  saleInvoiceCreate(input: {saleCustomerId: $id, invoiceDate: "2026-11-01"}) { saleInvoice { id draft } }
}
"""


@pytest.fixture
def hook(connections: SandboxConnections) -> LucaHook:
    return LucaHook()


@pytest.fixture(params=OAUTH)
def authorised(request: pytest.FixtureRequest, connections: SandboxConnections) -> LucaHook:
    hook = LucaHook(request.param)
    authorise(hook)
    return hook


def api_requests(sandbox: RunningSandbox) -> int:
    count: int = sandbox.stats("luca")["api_requests"]
    return count


def test_invoices_are_those_that_were_served(hook: LucaHook, sandbox: RunningSandbox) -> None:
    invoices = list(hook.nodes(INVOICES, "saleInvoices"))
    stats = sandbox.stats("luca")
    assert len(set(ids(invoices))) == len(invoices) == 3000 == stats["unique_records_served"]
    assert (stats["token_requests"], stats["api_requests"]) == (0, 30)
    assert {type(invoice["totalCents"]) for invoice in invoices} == {int}
    # A personal key is bound to one company: nothing is added to a node.
    assert set(invoices[0]) == {"id", "totalCents", "saleCustomer"}


def test_nodes_of_all_companies(authorised: LucaHook, sandbox: RunningSandbox) -> None:
    companies = ids(authorised.companies())
    assert len(companies) == 3
    customers = list(authorised.nodes(CUSTOMERS, "saleCustomers"))
    assert [customer["companyId"] for customer in customers] == [c for c in companies for _ in range(160)]
    stats = sandbox.stats("luca")
    # The exchange of the code is the one token request.
    assert stats["token_requests"] == 1
    assert stats["unique_records_served"] == 3 * 160 + 3
    assert len({(customer["companyId"], customer["id"]) for customer in customers}) == 3 * 160


def test_nodes_of_some_companies(authorised: LucaHook, connections: SandboxConnections) -> None:
    companies = list(authorised.companies())
    number = str(companies[2]["organisationNumber"])
    for chosen in ([companies[0]["id"], number], f"{companies[0]['id']}, {number}"):
        found = authorised.nodes(CUSTOMERS, "saleCustomers", company_ids=chosen)
        assert {customer["companyId"] for customer in found} == {companies[0]["id"], number}
    connections.change(authorised.conn_id, extra={"company_ids": f"{companies[1]['id']}"})
    hook = LucaHook(authorised.conn_id)
    assert {c["companyId"] for c in hook.nodes(CUSTOMERS, "saleCustomers")} == {companies[1]["id"]}


def test_a_consent_for_one_company(connections: SandboxConnections, sandbox: RunningSandbox) -> None:
    sandbox.settings("luca", consent_companies=[1])
    hook = LucaHook("luca_oauth21")
    authorise(hook)
    assert len(list(hook.companies())) == 1
    assert len(list(hook.nodes(CUSTOMERS, "saleCustomers"))) == 160
    with pytest.raises(ForbiddenError, match="no access to this company") as caught:
        list(hook.nodes(CUSTOMERS, "saleCustomers", company_ids="elsewhere"))
    assert isinstance(caught.value, AirflowFailException)


def test_limit_over_several_companies(authorised: LucaHook, sandbox: RunningSandbox) -> None:
    companies = ids(authorised.companies())
    asked = api_requests(sandbox)
    found = list(authorised.nodes(CUSTOMERS, "saleCustomers", company_ids=companies).limit(170))
    assert [customer["companyId"] for customer in found] == [companies[0]] * 160 + [companies[1]] * 10
    assert api_requests(sandbox) == asked + 3
    assert len(list(authorised.companies().limit(2))) == 2


def test_pages_come_when_they_are_read_and_one_ahead(hook: LucaHook, sandbox: RunningSandbox) -> None:
    invoices = hook.nodes(INVOICES, "saleInvoices")
    assert api_requests(sandbox) == 0
    for _ in range(100):
        next(invoices)
    assert 1 <= api_requests(sandbox) <= 2
    next(invoices)
    assert 2 <= api_requests(sandbox) <= 3


def test_a_row_that_comes_in_shifts_the_pages(hook: LucaHook, sandbox: RunningSandbox) -> None:
    """Luca's cursors are positions: the last of a page comes again at the beginning of the next."""
    sandbox.faults("luca", "insert_row", skip=3, rows=2)
    pages = list(hook.nodes(INVOICES, "saleInvoices", page_size=50).pages())
    assert sum(page.duplicates for page in pages) == 2
    records = [record["id"] for page in pages for record in page.records]
    assert len(set(records)) == len(records) == 3000
    sandbox.reset()
    sandbox.faults("luca", "insert_row", skip=3, rows=2)
    verified = ids(hook.nodes(INVOICES, "saleInvoices", verify="true"))
    assert len(set(verified)) == len(verified) == 3002


def test_graphql(hook: LucaHook) -> None:
    data = hook.graphql(CUSTOMERS, {"first": 1})
    (customer,) = data["saleCustomers"]["nodes"]
    created = hook.graphql(CREATE, {"id": customer["id"]})
    assert created["saleInvoiceCreate"]["saleInvoice"]["draft"] is True


def test_graphql_partial(hook: LucaHook, sandbox: RunningSandbox) -> None:
    query = "{ companies { nodes { id } } saleProducts(first: 1) { nodes { id } } }"
    for _ in range(2):
        sandbox.faults("luca", "graphql_partial", code="NOT_FOUND", field="saleProducts")
    with pytest.raises(ApiError, match=r"answered with errors \(NOT_FOUND\): This part is not available"):
        hook.graphql(query)
    partial = hook.graphql(query, allow_partial=True)
    assert partial["data"]["saleProducts"] is None
    assert len(partial["data"]["companies"]["nodes"]) == 1
    assert partial["errors"][0]["extensions"]["code"] == "NOT_FOUND"
    assert hook.graphql(query, allow_partial="True")["errors"] == []


def test_graphql_errors_by_their_codes(
    hook: LucaHook, sandbox: RunningSandbox, passing_time: PassingTime
) -> None:
    query = "{ companies { nodes { id } } }"
    # What passes by itself is asked again.
    for code in ("TIMEOUT", "INTERNAL_SERVER_ERROR"):
        sandbox.faults("luca", "graphql_error", code=code)
    assert hook.graphql(query)["companies"]["nodes"]
    assert api_requests(sandbox) == 3
    # The wait is the one that was named.
    passing_time.waits.clear()
    sandbox.faults("luca", "graphql_error", code="RATE_LIMITED", retryAfter=17)
    assert hook.graphql(query)["companies"]["nodes"]
    (wait,) = passing_time.waits
    assert 17 <= wait <= 18
    # The rest fails at once.
    asked = api_requests(sandbox)
    for code, kind in (("FORBIDDEN", ForbiddenError), ("VALIDATION_FAILED", ApiError), (None, ApiError)):
        sandbox.faults("luca", "graphql_error", code=code or "WHATEVER", count=1)
        with pytest.raises(kind):
            hook.graphql(query)
    assert api_requests(sandbox) == asked + 3
    # One that is too long is told, and kept to.
    sandbox.faults("luca", "graphql_error", code="RATE_LIMITED", retryAfter=100_000)
    with pytest.raises(RateLimitedError) as limited:
        hook.graphql(query)
    assert limited.value.retry_after == 86_400
    assert not isinstance(limited.value, AirflowFailException)
    with pytest.raises(RateLimitedError, match="was not sent"):
        hook.graphql(query)
    assert api_requests(sandbox) == asked + 4


def test_a_mutation_is_not_repeated(
    hook: LucaHook, sandbox: RunningSandbox, passing_time: PassingTime
) -> None:
    for code in ("TIMEOUT", "INTERNAL_SERVER_ERROR"):
        sandbox.faults("luca", "graphql_error", code=code)
        with pytest.raises(ApiError, match=code):
            hook.graphql(CREATE, {"id": "1"})
    assert api_requests(sandbox) == 2
    sandbox.faults("luca", "graphql_error", code="TIMEOUT", count=2)
    with pytest.raises(ApiError, match="no such customer"):
        hook.graphql(CREATE, {"id": "1"}, idempotent=True)
    assert api_requests(sandbox) == 2 + 3
    # Nothing was done about it: a limit is met before the work begins.
    sandbox.faults("luca", "graphql_error", code="RATE_LIMITED", retryAfter=1)
    with pytest.raises(ApiError, match="no such customer"):
        hook.graphql(CREATE, {"id": "1"})


def test_a_refused_variable_names_its_field(hook: LucaHook) -> None:
    with pytest.raises(ApiError, match="saleCustomerId: There is no such customer") as caught:
        hook.graphql(CREATE, {"id": "1"})
    assert caught.value.code == "VALIDATION_FAILED"
    with pytest.raises(ApiError, match="nowhere"):
        hook.graphql("{ nowhere }")


def test_a_stale_token_in_the_middle_of_a_walk(
    authorised: LucaHook, sandbox: RunningSandbox, passing_time: PassingTime
) -> None:
    invoices = authorised.nodes(CUSTOMERS, "saleCustomers")
    next(invoices)
    passing_time.go_on(90)
    sandbox.faults("luca", "expire_tokens")
    assert len(list(invoices)) == 3 * 160 - 1
    stats = sandbox.stats("luca")
    assert stats["token_requests"] == 2
    assert stats["replays"] == 0


def test_a_token_that_ends_is_refreshed(
    authorised: LucaHook, sandbox: RunningSandbox, passing_time: PassingTime
) -> None:
    for mints in range(2, 5):
        passing_time.go_on(3600)
        assert len(list(authorised.companies())) == 3
        assert sandbox.stats("luca")["token_requests"] == mints
    stats = sandbox.stats("luca")
    assert (stats["replays"], stats["refusals"]) == (0, 0)


@pytest.mark.parametrize("conn_id", OAUTH)
def test_a_seed_begins_a_lineage(
    connections: SandboxConnections, sandbox: RunningSandbox, passing_time: PassingTime, conn_id: str
) -> None:
    """The connection's refresh token, taken over from somewhere else."""
    seed = consent(LucaHook(conn_id)).answer.refresh_token
    assert seed is not None
    connections.change(conn_id, extra={"refresh_token": seed.reveal()})
    assert len(list(LucaHook(conn_id).companies())) == 3
    passing_time.go_on(3600)
    # By now a rotated one is in use; the seed is spent, and never sent again.
    assert len(list(LucaHook(conn_id).companies())) == 3
    stats = sandbox.stats("luca")
    assert (stats["token_requests"], stats["replays"]) == (3, 0)


@pytest.mark.parametrize("conn_id", OAUTH)
def test_without_a_consent_a_person_is_asked(
    connections: SandboxConnections, sandbox: RunningSandbox, conn_id: str
) -> None:
    for call in (
        lambda hook: list(hook.companies()),
        lambda hook: list(hook.nodes(CUSTOMERS, "saleCustomers")),
        lambda hook: hook.graphql("{ companies { nodes { id } } }"),
        lambda hook: hook.get_token(),
        lambda hook: hook.get_conn().post(hook.client.url("/api/v1/graphql"), json={}),
    ):
        with pytest.raises(ReauthorizationRequiredError, match=f"finauth authorize {conn_id}") as caught:
            call(LucaHook(conn_id))
        assert isinstance(caught.value, AirflowFailException)
    stats = sandbox.stats("luca")
    assert (stats["token_requests"], stats["api_requests"]) == (0, 0)


@pytest.mark.parametrize("conn_id", OAUTH)
def test_a_refused_refresh_asks_a_person_and_is_remembered(
    connections: SandboxConnections, sandbox: RunningSandbox, conn_id: str
) -> None:
    connections.change(conn_id, extra={"refresh_token": "a-refresh-token-that-is-spent"})
    for _ in range(5):
        with pytest.raises(ReauthorizationRequiredError, match=f"finauth authorize {conn_id}") as caught:
            list(LucaHook(conn_id).companies())
        assert "a-refresh-token" not in str(caught.value)
    assert sandbox.stats("luca")["token_requests"] == 1
    # A new consent lifts it.
    authorise(LucaHook(conn_id))
    assert len(list(LucaHook(conn_id).companies())) == 3


def test_the_granted_scope_is_compared(connections: SandboxConnections, sandbox: RunningSandbox) -> None:
    connections.change("luca_oauth21", extra={"scope": "accounting.read accounting.write"})
    sandbox.settings("luca", grant_scope="accounting.read")
    warning = consent(LucaHook("luca_oauth21")).warning
    assert warning is not None
    assert "accounting.write" in warning
    sandbox.settings("luca", grant_scope="")
    assert consent(LucaHook("luca_oauth21")).warning is None
    assert consent(LucaHook("luca_oauth")).warning is None


def test_a_refused_consent(connections: SandboxConnections, sandbox: RunningSandbox) -> None:
    sandbox.settings("luca", deny=True)
    for conn_id in OAUTH:
        hook = LucaHook(conn_id)
        with pytest.raises(ReauthorizationRequiredError, match="consent was not given"):
            consent(hook)
        assert not broker().is_authorised(hook.api.profile.credentials)


def test_a_personal_key_needs_no_authorisation(hook: LucaHook) -> None:
    with pytest.raises(ConfigurationError, match="auth_method"):
        hook.api.authorization_flow("http://127.0.0.1:8790/callback")


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda hook: hook.nodes("{ saleInvoices { nodes { id } } }", "saleInvoices"), "query"),
        (
            lambda hook: hook.nodes(
                INVOICES.replace("$companyId: ID, ", "").replace("companyId: $companyId, ", ""),
                "saleInvoices",
                company_ids=["a"],
            ),
            "query",
        ),
        (lambda hook: hook.nodes(INVOICES, "saleInvoices", page_size=101), "page_size"),
        (lambda hook: hook.nodes(INVOICES, "saleInvoices", verify="perhaps"), "verify"),
        (lambda hook: hook.graphql(CREATE, idempotent="perhaps"), "idempotent"),
        (lambda hook: hook.graphql(CREATE, allow_partial="perhaps"), "allow_partial"),
        (lambda hook: hook.companies().limit("some"), "limit"),
        (lambda hook: hook.nodes(INVOICES, "saleInvoices").limit("some"), "limit"),
    ],
)
def test_arguments_are_named(hook: LucaHook, sandbox: RunningSandbox, call: Any, name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"'{name}'") as caught:
        call(hook)
    assert isinstance(caught.value, AirflowFailException)
    assert api_requests(sandbox) == 0


def test_a_company_that_is_named_twice_is_walked_once(authorised: LucaHook) -> None:
    company = next(authorised.companies())["id"]
    once = list(authorised.nodes(CUSTOMERS, "saleCustomers", company_ids=company))
    assert list(authorised.nodes(CUSTOMERS, "saleCustomers", company_ids=[company, company])) == once != []


def test_a_variable_of_another_name_does_not_do(hook: LucaHook) -> None:
    for name, other in (("first", "firstOfAll"), ("after", "afterwards"), ("companyId", "companyIds")):
        with pytest.raises(ConfigurationError, match=rf"declare the variable \${name} "):
            hook.nodes(CUSTOMERS.replace(f"${name}", f"${other}"), "saleCustomers", company_ids="c")


def test_a_connection_that_is_not_there(hook: LucaHook) -> None:
    with pytest.raises(PaginationError, match="saleThings"):
        list(hook.nodes(INVOICES, "saleThings"))
    with pytest.raises(PaginationError, match="pageInfo"):
        list(hook.nodes(INVOICES.replace("pageInfo { hasNextPage endCursor }", ""), "saleInvoices"))


@pytest.mark.parametrize(
    ("node", "named"),
    [
        (b'{"id": "a", "total": 1.50}', b'{"companyId":"c\xc3\xb8","id": "a", "total": 1.50}'),
        (b"{}", b'{"companyId":"c\xc3\xb8"}'),
        (b"{ }", b'{"companyId":"c\xc3\xb8"}'),
        (b'{"id":"a","companyId":"own"}', b'{"companyId":"own","id":"a"}'),
        (b'{"customer":{"companyId":"own"}}', b'{"companyId":"c\xc3\xb8","customer":{"companyId":"own"}}'),
        (b"null", b"null"),
    ],
)
def test_a_node_says_whose_it_is(node: bytes, named: bytes) -> None:
    """Nothing else of its text is touched."""
    assert [bytes(text) for text in nodes_of_company(Rows([node]), "c\u00f8").texts] == [named]
