"""Tradevest's hook, over real sockets."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_finauth.exceptions import ApiError, ConfigurationError
from airflow_provider_finauth.hooks.tradevest import TradevestHook
from tests.hooks.support import ids

if TYPE_CHECKING:
    from airflow_provider_finauth.sandbox import RunningSandbox
    from tests.hooks.support import SandboxConnections

ANOTHER = "another-requestor"


@pytest.fixture
def hook(connections: SandboxConnections) -> TradevestHook:
    return TradevestHook()


def requestors(sandbox: RunningSandbox) -> list[str | None]:
    return [entry["headers"].get("requestor-id") for entry in sandbox.log("tradevest", "api")]


@pytest.fixture
def ours(sandbox: RunningSandbox) -> str:
    requestor: str = sandbox.connections["tradevest_default"]["extra"]["requestor_id"]
    return requestor


@pytest.mark.parametrize("end", ["null", "missing", "empty", "repeat"])
def test_transactions_are_those_that_were_served(
    hook: TradevestHook, sandbox: RunningSandbox, end: str
) -> None:
    """However the last page says that it is the last."""
    sandbox.settings("tradevest", end=end)
    transactions = list(hook.transactions(page_size=1000))
    stats = sandbox.stats("tradevest")
    assert len(transactions) == 20_000 == stats["unique_records_served"]
    assert len(set(ids(transactions, "transactionId"))) == 20_000
    assert stats["token_requests"] == 1
    assert stats["api_requests"] == (21 if end == "repeat" else 20)


def test_amounts_stay_as_the_vendor_wrote_them(hook: TradevestHook) -> None:
    rows = list(hook.transactions().limit(99))
    details = [row["digitalTradingTransaction"] for row in rows if row["digitalTradingTransaction"]]
    assert len(details) == 33
    for detail in details:
        assert isinstance(detail["amount"], Decimal)
        assert detail["amount"].as_tuple().exponent == -2
        # Eight digits behind the point, as coins have.
        assert isinstance(detail["quantity"], Decimal)
        assert detail["quantity"].as_tuple().exponent == -8


@pytest.mark.parametrize("conn_id", ["tradevest_default", "tradevest_connect"])
def test_both_token_endpoints(connections: SandboxConnections, sandbox: RunningSandbox, conn_id: str) -> None:
    assert len(list(TradevestHook(conn_id).transactions().limit(1))) == 1
    (token,) = sandbox.log("tradevest", "token")
    assert ("scope" in token["body_members"]) == (conn_id == "tradevest_connect")
    assert token["path"].endswith("/connect/token" if conn_id == "tradevest_connect" else "/oauth2/token")


def test_changelog_oldest_first_within_its_dates(hook: TradevestHook, sandbox: RunningSandbox) -> None:
    everything = list(hook.changelog("roles", page_size=1000))
    assert len(set(ids(everything, "entryId"))) == 1500
    moments = [row["createdOn"] for row in everything]
    assert moments == sorted(moments)
    since, until = moments[301], moments[1203]
    wanted = [row["entryId"] for row in everything if since <= row["createdOn"] < until]
    assert ids(hook.changelog("roles", since=since, until=until), "entryId") == wanted
    assert (
        ids(hook.changelog("roles", since=since, until="", page_size=1000), "entryId")[-1]
        == everything[-1]["entryId"]
    )
    asked = dict(sandbox.log("tradevest", "api")[0]["query"])
    assert asked == {"orderDirection": "ASC", "limit": "1000"}


@pytest.mark.parametrize(("kind", "count"), [("entities", 12_000), ("digital", 6000), ("products", 2000)])
def test_other_changelogs(hook: TradevestHook, kind: str, count: int) -> None:
    assert len(set(ids(hook.changelog(kind, page_size=1000), "entryId"))) == count


def test_entities(hook: TradevestHook) -> None:
    everything = list(hook.entities())
    assert len(set(ids(everything))) == 900
    found = list(
        hook.entities(
            search_text="schneider", entity_type="NATURAL_PERSON", entity_status="ACTIVE", role="CUSTOMER"
        )
    )
    assert found == [
        row
        for row in everything
        if "Schneider" in row["name"]
        and (row["entityType"], row["entityStatus"]) == ("NATURAL_PERSON", "ACTIVE")
        and "CUSTOMER" in row["roles"]
    ]
    assert len(found) > 5
    # What a template gives where there is nothing to give.
    assert len(list(hook.entities(search_text="", role="", page_size="1000"))) == 900


def test_products_and_orders(hook: TradevestHook, ours: str) -> None:
    products = list(hook.customer_products(ours))
    assert [product["productCode"] for product in products] == ["WALLET", "BALANCE_ACCOUNT"]
    assert isinstance(products[1]["accountData"]["availableBalance"], Decimal)
    assert list(hook.customer_products(ours).limit(1)) == products[:1]
    wallet = products[0]["customerProductId"]
    orders = list(hook.orders(wallet, page_size=20))
    assert len(set(ids(orders, "orderId"))) == len(orders) > 40
    since, until = orders[10]["createdOn"], orders[30]["createdOn"]
    wanted = [row for row in orders if since <= row["createdOn"] < until]
    assert list(hook.orders(wallet, since=since, until=until)) == wanted
    assert list(hook.orders(wallet, external_id=orders[7]["externalId"])) == [orders[7]]


def test_nothing_is_asked_before_it_is_read(hook: TradevestHook, sandbox: RunningSandbox) -> None:
    transactions = hook.transactions()
    assert sandbox.stats("tradevest")["token_requests"] == 0
    next(transactions)
    # By cursors no more than one page ahead.
    assert 1 <= sandbox.stats("tradevest")["api_requests"] <= 2


def test_limit(hook: TradevestHook, sandbox: RunningSandbox) -> None:
    assert len(list(hook.transactions(page_size=10).limit(25))) == 25
    assert sandbox.stats("tradevest")["api_requests"] == 3


def test_requestor_of_each_list(hook: TradevestHook, sandbox: RunningSandbox, ours: str) -> None:
    """The connection's, another, or none, call by call."""
    wallet = next(hook.customer_products(ours))["customerProductId"]
    lists: list[Any] = [
        lambda **who: hook.transactions(**who).limit(1),
        lambda **who: hook.changelog("roles", **who).limit(1),
        lambda **who: hook.entities(**who).limit(1),
        lambda **who: hook.customer_products(ours, **who).limit(1),
        lambda **who: hook.orders(wallet, **who).limit(1),
    ]
    for begin in lists:
        asked = len(requestors(sandbox))
        for who in ({}, {"requestor_id": ANOTHER}, {"requestor_id": ""}):
            assert len(list(begin(**who))) == 1
        assert requestors(sandbox)[asked:] == [ours, ANOTHER, None]


def test_requestor_of_requests(hook: TradevestHook, sandbox: RunningSandbox, ours: str) -> None:
    path = "/entities/identification-verifications"
    hook.request("GET", path)
    hook.request("GET", path, headers={"Requestor-ID": ANOTHER})
    with pytest.raises(ApiError, match="Requestor-ID"):
        hook.request("GET", path, headers={"Requestor-ID": ""})
    hook.request("POST", "/transfers", json={"externalId": "t-1"})
    hook.request("POST", "/transfers", json={"externalId": "t-2"}, headers={"Requestor-ID": ANOTHER})
    for who in (ANOTHER, ""):
        assert len(list(hook.records("/prices", headers={"Requestor-ID": who}).limit(1))) == 1
    assert requestors(sandbox) == [ours, ANOTHER, None, ours, ANOTHER, ANOTHER, None]


def test_a_command_without_requestor_is_not_sent(
    connections: SandboxConnections, sandbox: RunningSandbox
) -> None:
    connections.change("tradevest_default", extra={"requestor_id": None})
    hook = TradevestHook()
    for method, path in (("POST", "/transfers"), ("POST", "/webhooks"), ("DELETE", "/webhooks/7")):
        with pytest.raises(ConfigurationError, match="requestor_id") as caught:
            hook.request(method, path, json={})
        assert isinstance(caught.value, AirflowFailException)
        # A session handed to other code ends the task in the same way.
        with pytest.raises(AirflowFailException, match="requestor_id"):
            hook.get_conn().request(method, hook.client.url(path), json={})
    assert sandbox.stats("tradevest")["api_requests"] == 0
    # A read needs none.
    assert len(list(hook.transactions().limit(1))) == 1


def test_exempt_commands_carry_none(hook: TradevestHook, sandbox: RunningSandbox) -> None:
    for path in ("natural-persons", "natural-persons/wizards", "legal-entities", "legal-entities/prepare"):
        assert hook.request_json("POST", f"/entities/{path}", json={"name": "Neu"})["status"] == "RECEIVED"
    assert requestors(sandbox) == [None] * 4


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda hook: hook.changelog("customers"), "kind"),
        (lambda hook: hook.changelog("roles", since="then"), "since"),
        (lambda hook: hook.orders("p", until="then"), "until"),
        (lambda hook: hook.orders(" "), "customer_product_id"),
        (lambda hook: hook.customer_products(""), "customer_id"),
        (lambda hook: hook.transactions(page_size=0), "page_size"),
    ],
)
def test_arguments_are_named(hook: TradevestHook, sandbox: RunningSandbox, call: Any, name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"'{name}'") as caught:
        call(hook)
    assert isinstance(caught.value, AirflowFailException)
    assert sandbox.stats("tradevest")["token_requests"] == 0


def test_an_external_id_serves_once(hook: TradevestHook) -> None:
    hook.request("POST", "/transfers", json={"externalId": "t-1", "amount": Decimal("12.50")})
    with pytest.raises(ApiError, match=r"409.*The externalId was used before.*read it again") as caught:
        hook.request("POST", "/transfers", json={"externalId": "t-1"})
    assert caught.value.status == 409
    assert caught.value.request_id
