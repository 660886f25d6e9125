"""What a resource declares of its records' members, against the sandbox, written from the same documents."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_finauth.hooks.luca import LucaHook
from airflow_provider_finauth.hooks.opcorporate import OPCorporateHook
from airflow_provider_finauth.hooks.talenom import TalenomHook
from airflow_provider_finauth.hooks.tradevest import TradevestHook
from tests.declared import RESOURCES, Declared

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_finauth.pulls.records import Records
    from tests.hooks.support import SandboxConnections

ORGANIZATION = 14222


def _of_customer(product: bool) -> Records:
    hook = TradevestHook()
    products = hook.customer_products(hook.settings.text("requestor_id"))
    return products if product else hook.orders(next(products)["customerProductId"])


PULLS: dict[str, Callable[[], Records]] = {
    "talenom.vouchers": lambda: TalenomHook().vouchers(ORGANIZATION, include_postings=True),
    "talenom.general_ledger_events": lambda: TalenomHook().general_ledger_events(ORGANIZATION),
    "talenom.account_balances": lambda: TalenomHook().account_balances(
        ORGANIZATION, date="2026-01-31", account_numbers=["1910"]
    ),
    "talenom.sales_invoices": lambda: TalenomHook().sales_invoices(ORGANIZATION),
    "opcorporate.accounts": lambda: OPCorporateHook().accounts(),
    "opcorporate.transactions": lambda: OPCorporateHook().transactions(
        next(OPCorporateHook().accounts())["surrogateId"]
    ),
    "tradevest.transactions": lambda: TradevestHook().transactions(),
    "tradevest.changelog": lambda: TradevestHook().changelog("roles"),
    "tradevest.customer_products": lambda: _of_customer(product=True),
    "tradevest.orders": lambda: _of_customer(product=False),
    "luca.companies": lambda: LucaHook().companies(),
}
WITH_FIELDS = [declared for declared in RESOURCES if declared.resource.fields]


def is_of(kind: str, value: Any) -> bool:
    """Say whether a value is of a declared type; money may come as a string."""
    match kind:
        case "string":
            return isinstance(value, str)
        case "integer":
            return type(value) is int
        case "decimal":
            return isinstance(value, Decimal | int | str) and Decimal(value).is_finite()
        case "boolean":
            return isinstance(value, bool)
        case "date":
            return isinstance(value, str) and str(date.fromisoformat(value)) == value
        case "timestamp":
            return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    return isinstance(value, dict | list)


def test_every_resource_with_members_is_looked_at() -> None:
    assert set(PULLS) == set(map(str, WITH_FIELDS))


@pytest.mark.parametrize("declared", WITH_FIELDS, ids=str)
def test_members_are_of_their_declared_types(connections: SandboxConnections, declared: Declared) -> None:
    records = list(PULLS[str(declared)]().limit(2000))
    sent = {name for record in records for name, value in record.items() if value is not None}
    for field in declared.resource.fields:
        values = [record[field.name] for record in records if record.get(field.name) is not None]
        wrong = next((value for value in values if not is_of(field.type, value)), None)
        assert wrong is None, f"{field.name} is declared as {field.type}"
    key = declared.resource.key
    assert key is not None
    assert {key} <= sent & {field.name for field in declared.resource.fields}
