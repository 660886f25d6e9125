"""Talenom's hook, over real sockets."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_finauth.exceptions import ConfigurationError, PaginationError
from airflow_provider_finauth.hooks.talenom import TalenomHook
from tests.hooks.support import AT_ONCE, ids

if TYPE_CHECKING:
    from airflow_provider_finauth.sandbox import RunningSandbox
    from tests.hooks.support import SandboxConnections

ORGANIZATION = 14224
VOUCHERS = "GET /talenom/{region}/general-ledger/v2/vouchers/{organization}"


@pytest.fixture
def hook(connections: SandboxConnections) -> TalenomHook:
    return TalenomHook()


def test_vouchers_are_those_that_were_served(hook: TalenomHook, sandbox: RunningSandbox) -> None:
    vouchers = list(hook.vouchers(ORGANIZATION))
    stats = sandbox.stats("talenom")
    assert len(vouchers) == 5500 == stats["unique_records_served"] == stats["records_served"]
    assert len(set(ids(vouchers))) == 5500
    assert stats["token_requests"] == 1
    assert stats["endpoints"][VOUCHERS] == 6
    # A vendor's own JSON, complete.
    assert vouchers[0]["voucherDate"] == "2022-01-01"
    assert "postings" not in vouchers[0]


def test_amounts_stay_as_the_vendor_wrote_them(hook: TalenomHook) -> None:
    """The server sums the same events by itself, in cents."""
    events = list(
        hook.general_ledger_events(ORGANIZATION, until="2025-01-01", account_numbers=["3000", 1910])
    )
    amounts = [amount for event in events for amount in (event["debet"], event["credit"])]
    assert {type(amount) for amount in amounts} == {Decimal}
    # 1234.50 is not 1234.5 to an accountant.
    assert {-amount.as_tuple().exponent for amount in amounts} == {2}
    assert {event["accountNumber"] for event in events} == {"3000", "1910"}
    balances = hook.account_balances(ORGANIZATION, date="2024-12-31", account_numbers=["3000", 1910])
    sums = {
        number: sum((e["debet"] - e["credit"] for e in events if e["accountNumber"] == number), Decimal(0))
        for number in ("3000", "1910")
    }
    assert {row["account"]: row["saldo"] for row in balances} == sums
    assert all(sums.values())


def test_accounting_periods(hook: TalenomHook, sandbox: RunningSandbox) -> None:
    plain = list(hook.accounting_periods(ORGANIZATION, page_size=4))
    assert ids(plain) == ids(hook.accounting_periods(str(ORGANIZATION), page_size="100"))
    assert [period["bookkeepingPeriods"] for period in plain] == [None] * 6
    nested = list(hook.accounting_periods(ORGANIZATION, include_bookkeeping_periods=True))
    assert [len(period["bookkeepingPeriods"]) for period in nested] == [12] * 6
    sent = [dict(entry["query"])["includeBookkeepingPeriods"] for entry in sandbox.log("talenom", "api")]
    assert sent == ["false", "false", "false", "true"]


@pytest.mark.parametrize(
    ("since", "until"),
    [
        ("2023-02-01", "2023-05-01"),
        (date(2023, 2, 1), date(2023, 5, 1)),
        (datetime(2023, 2, 1, tzinfo=UTC), "2023-05-01T00:00:00+03:00"),
        # Midnights in Helsinki, as Airflow hands them over.
        (datetime(2023, 1, 31, 22, tzinfo=UTC), "2023-04-30T21:00:00+00:00"),
        ("2023-02-01", None),
        # What a template gives where there is nothing to give.
        ("", "2023-05-01"),
    ],
)
def test_dates(hook: TalenomHook, since: Any, until: Any) -> None:
    everything = list(hook.vouchers(ORGANIZATION, page_size=10_000))
    wanted = [
        voucher["id"]
        for voucher in everything
        if (not since or voucher["voucherDate"] >= "2023-02-01")
        and (not until or voucher["voucherDate"] <= "2023-04-30")
    ]
    assert 0 < len(wanted) < len(everything)
    assert ids(hook.vouchers(ORGANIZATION, since=since, until=until)) == wanted
    events = list(hook.general_ledger_events(ORGANIZATION, since=since, until=until, page_size=10_000))
    invoices = hook.sales_invoices(ORGANIZATION, since=since, until=until, page_size=1000)
    for days in ({event["voucherDate"] for event in events}, {invoice["date"] for invoice in invoices}):
        assert not since or min(days) >= "2023-02-01"
        assert not until or max(days) <= "2023-04-30"


def test_choices_of_vouchers(hook: TalenomHook) -> None:
    chosen = list(
        hook.vouchers(
            ORGANIZATION,
            since="2026-01-01",
            states=["Locked", "Draft"],
            categories="Bank,Payroll",
            include_postings="true",
        )
    )
    assert {voucher["voucherState"] for voucher in chosen} == {"Locked", "Draft"}
    assert {voucher["category"] for voucher in chosen} == {"Bank", "Payroll"}
    assert {len(voucher["postings"]) for voucher in chosen} == {3}
    for voucher in chosen:
        assert sum(line["debet"] - line["credit"] for line in voucher["postings"]) == 0


def test_sales_invoices_by_limit_and_offset(hook: TalenomHook, sandbox: RunningSandbox) -> None:
    invoices = list(hook.sales_invoices(ORGANIZATION))
    assert (
        len(invoices) == len(set(ids(invoices))) == 800 == sandbox.stats("talenom")["unique_records_served"]
    )
    paid = list(hook.sales_invoices(ORGANIZATION, status="Paid", date_type="dueDate", since="2026-01-01"))
    assert ids(paid) == [
        invoice["id"]
        for invoice in invoices
        if invoice["status"] == "Paid" and invoice["dueDate"] >= "2026-01-01"
    ]


def test_nothing_is_asked_before_it_is_read(hook: TalenomHook, sandbox: RunningSandbox) -> None:
    vouchers = hook.vouchers(ORGANIZATION, page_size=100)
    assert sandbox.stats("talenom")["token_requests"] == 0
    next(vouchers)
    # One, and no more ahead of the reader than may be under way at once.
    assert 1 <= sandbox.stats("talenom")["api_requests"] <= 1 + AT_ONCE


def test_limit_stops_asking(hook: TalenomHook, sandbox: RunningSandbox) -> None:
    assert len(list(hook.vouchers(ORGANIZATION, page_size=100).limit(150))) == 150
    assert len(list(hook.general_ledger_events(ORGANIZATION, page_size=100).limit("100"))) == 100
    assert len(list(hook.sales_invoices(ORGANIZATION, page_size=100).limit(1))) == 1
    assert list(hook.accounting_periods(ORGANIZATION).limit(0)) == []
    assert sandbox.stats("talenom")["api_requests"] == 2 + 1 + 1


@pytest.mark.parametrize("numbering", ["index", "offset"])
def test_both_page_numberings(
    connections: SandboxConnections, sandbox: RunningSandbox, numbering: str
) -> None:
    sandbox.settings("talenom", page_numbering=numbering)
    connections.change("talenom_default", extra={"page_numbering": numbering})
    assert len(set(ids(TalenomHook().vouchers(ORGANIZATION)))) == 5500


@pytest.mark.parametrize(("ours", "theirs"), [("index", "offset"), ("offset", "index")])
def test_the_wrong_page_numbering_is_noticed(
    connections: SandboxConnections, sandbox: RunningSandbox, ours: str, theirs: str
) -> None:
    sandbox.settings("talenom", page_numbering=theirs)
    connections.change("talenom_default", extra={"page_numbering": ours})
    with pytest.raises(PaginationError, match="page_numbering"):
        list(TalenomHook().vouchers(ORGANIZATION))


def test_gateway_and_regional_apis_share_one_token(hook: TalenomHook, sandbox: RunningSandbox) -> None:
    next(hook.accounting_periods(ORGANIZATION))
    next(hook.vouchers(ORGANIZATION).limit(1))
    next(hook.sales_invoices(ORGANIZATION).limit(1))
    stats = sandbox.stats("talenom")
    assert (stats["token_requests"], stats["api_requests"]) == (1, 3)


@pytest.mark.parametrize("number", ["FI12345678", "", 0, -1, 1.5, True, None])
def test_an_organisation_number_is_a_whole_number(
    hook: TalenomHook, sandbox: RunningSandbox, number: Any
) -> None:
    for method in (hook.accounting_periods, hook.vouchers, hook.general_ledger_events, hook.sales_invoices):
        with pytest.raises(ConfigurationError, match="organization_number") as caught:
            method(number)
        assert isinstance(caught.value, AirflowFailException)
    assert sandbox.stats("talenom")["token_requests"] == 0


@pytest.mark.parametrize(
    "arguments",
    [
        {"since": "yesterday"},
        {"until": 20260101},
        {"page_size": "many"},
        {"page_size": 10_001},
        {"include_postings": 2},
        {"states": ["Lost"]},
        {"since": "2026-01-01T09:00:00Z"},
        {"until": datetime(2026, 1, 1, 12, tzinfo=UTC)},
    ],
)
def test_arguments_are_named(hook: TalenomHook, sandbox: RunningSandbox, arguments: dict[str, Any]) -> None:
    (name,) = arguments
    with pytest.raises(ConfigurationError, match=f"'{name}'") as caught:
        hook.vouchers(ORGANIZATION, **arguments)
    assert isinstance(caught.value, AirflowFailException)
    assert sandbox.stats("talenom")["api_requests"] == 0


def test_balances_want_accounts(hook: TalenomHook) -> None:
    with pytest.raises(ConfigurationError, match="account_numbers"):
        hook.account_balances(ORGANIZATION, date="2024-12-31", account_numbers=[])
