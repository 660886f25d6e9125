"""Tradevest's books: transactions, persons, orders and what changed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache, partial
from operator import itemgetter
from typing import Any

from airflow_provider_finauth.sandbox.credentials import TRADEVEST_REQUESTOR
from airflow_provider_finauth.sandbox.table import Table
from airflow_provider_finauth.sandbox.values import (
    GERMAN_COMPANIES,
    GERMAN_PEOPLE,
    TODAY,
    cents,
    day,
    iban,
    identifier,
    milliseconds,
    moment,
    money,
    month_starts,
    seeded,
    utc,
)

START = utc(2025)
FIRST_DAY = date(2025, 1, 1)
DAYS = (TODAY - FIRST_DAY).days
SPAN = DAYS * 86_400
_LAST = START + timedelta(seconds=SPAN, milliseconds=-1)
ASSETS = ("BTC", "ETH", "SOL", "ADA", "DOT")
ORDER_STATES = (
    "FILLED",
    "FILLED",
    "SETTLED",
    "SETTLED",
    "CANCELED",
    "PENDING",
    "REJECTED",
    "PARTIALLY_FILLED",
)
CHANGELOGS = {"entities": 12_000, "digital": 6_000, "roles": 1_500, "products": 2_000, "customers": 500}


@lru_cache(maxsize=64)
def _turns(count: int) -> dict[int, datetime]:
    """The turns of months that rows are put at; where there are few rows, of some months only."""
    found: dict[int, datetime] = {}
    for n, at in month_starts(START, SPAN, count).items():
        if not found or n - max(found) >= 8:
            found[n] = at
    return found


def _time(n: int, count: int) -> datetime:
    """When the n-th of so many comes: at the turn of a month two of them in one moment, and one before it."""
    turns = _turns(count)
    if n in turns or n - 1 in turns:
        return turns.get(n) or turns[n - 1]
    if n + 1 in turns:
        return turns[n + 1] - timedelta(milliseconds=1)
    # Each third is of a whole second.
    return START + timedelta(seconds=n * SPAN // count, milliseconds=n % 3 and n * 7919 % 1000)


def _history(n: int, count: int, status: str) -> dict[str, str]:
    """The dates of the n-th of so many transactions."""
    created = _time(n, count)
    modified = created
    if status == "MODIFIED":
        modified += timedelta(seconds=60 + n * 104_729 % (20 * 86_400))
        # Some of them together, as a month begins.
        if n % 4 == 0:
            modified = (created.replace(day=1) + timedelta(days=31)).replace(
                day=1, hour=0, minute=0, second=0, microsecond=0
            )
    return {
        "createdOn": milliseconds(created),
        "modifiedOn": milliseconds(min(modified, _LAST)),
        "bookingDate": created.date().isoformat(),
        "valueDate": day(created.date(), 2),
    }


def transactions() -> list[dict[str, Any]]:
    """Transactions by their creation; some were modified later."""
    rng = seeded("tradevest/transactions")
    people = [row["id"] for row in ENTITIES.rows]
    found = []
    for n in range(20_000):
        kind = ("digitalTradingTransaction", "traditionalTradingTransaction", "cashTransaction")[n % 3]
        details: dict[str, Any] = {"amount": money(rng, 100, 5_000_000), "currency": "EUR"}
        product = PRODUCT_IDS[n % len(PRODUCT_IDS)]
        if n % 3 == 0:
            details["walletCustomerProductId"] = product
            details["cryptoSymbol"] = rng.choice(ASSETS)
            details["quantity"] = cents(rng.randint(1, 90_000)).scaleb(-6)
        elif n % 3 == 1:
            details["depositoryCustomerProductId"] = product
            details["isin"] = f"DE{rng.randrange(10**9):09d}{rng.randrange(10)}"
            details["quantity"] = rng.randint(1, 500)
        else:
            details["customerProductId"] = product
        transaction = identifier(rng)
        status = "MODIFIED" if rng.random() < 0.03 else "COMPLETED"
        found.append(
            {
                "transactionId": transaction,
                "customerId": people[n % len(PRODUCT_IDS)],
                "transactionType": ("TRADE", "TRADE", "CASH")[n % 3],
                "transactionStatus": status,
                **_history(n, 20_000, status),
                "digitalTradingTransaction": None,
                "traditionalTradingTransaction": None,
                "cashTransaction": None,
                kind: details,
            }
        )
    return found


def entities() -> list[dict[str, Any]]:
    """Natural persons and legal entities; the first is the one that commands are sent for."""
    rng = seeded("tradevest/entities")
    found = []
    for n in range(900):
        person = n % 6 != 5
        name = rng.choice(GERMAN_PEOPLE if person else GERMAN_COMPANIES)
        found.append(
            {
                "id": TRADEVEST_REQUESTOR if n == 0 else identifier(rng),
                "entityType": "NATURAL_PERSON" if person else "LEGAL_ENTITY",
                "entityStatus": rng.choice(("ACTIVE", "ACTIVE", "ACTIVE", "PENDING", "CLOSED")),
                "name": name,
                "email": f"kunde{n}@beispiel.invalid",
                "roles": ["CUSTOMER"] if n % 4 else ["CUSTOMER", "LEGAL_REPRESENTATIVE"],
                "createdOn": moment(START, n * SPAN // 900),
            }
        )
    return found


def customer_products(customer: int) -> list[dict[str, Any]]:
    """The products of one customer, as a bare array."""
    rng = seeded(f"tradevest/products/{customer}")
    product = PRODUCT_IDS[customer % len(PRODUCT_IDS)]
    account = iban("DE", f"10010010{rng.randrange(10**10):010d}")
    return [
        {
            "customerProductId": product,
            "productCode": "WALLET",
            "productType": "DIGITAL",
            "accountData": None,
            "cryptoAssets": [
                {"assetCode": asset, "quantity": cents(rng.randint(1, 9_000)).scaleb(-6)}
                for asset in rng.sample(ASSETS, 3)
            ],
            "traditionalAssets": [],
            "status": "ACTIVE",
        },
        {
            "customerProductId": f"{product[:-4]}ba1a",
            "productCode": "BALANCE_ACCOUNT",
            "productType": "CASH",
            "accountData": {
                "iban": account,
                "bic": "PBNKDEFF",
                "availableBalance": money(rng, 0, 4_000_000),
                "withdrawableBalance": money(rng, 0, 3_000_000),
            },
            "cryptoAssets": [],
            "traditionalAssets": [],
            "status": "ACTIVE",
        },
    ]


def orders(product: str) -> list[dict[str, Any]]:
    """Digital orders of one customer product, by time."""
    rng = seeded(f"tradevest/orders/{product}")
    count = 40 + rng.randrange(200)
    times = [_time(n, count) for n in range(count)]
    return [
        {
            "orderId": identifier(rng),
            "externalId": f"order-{product[:8]}-{n}",
            "customerProductId": product,
            "assetCode": rng.choice(ASSETS),
            "side": rng.choice(("BUY", "SELL")),
            "amount": money(rng, 1_000, 900_000),
            "currency": "EUR",
            "status": rng.choice(ORDER_STATES),
            "createdOn": milliseconds(created),
            "modifiedOn": milliseconds(created + timedelta(seconds=rng.randrange(60, 86_400))),
        }
        for n, created in enumerate(times)
    ]


def changelog(kind: str) -> list[dict[str, Any]]:
    """What changed, by time; always two in the same moment."""
    rng = seeded(f"tradevest/changelog/{kind}")
    count = CHANGELOGS[kind]
    return [
        {
            "itemType": kind.upper(),
            "entryId": f"{kind}-{n + 1:06d}",
            "itemId": identifier(rng),
            "createdOn": milliseconds(_time(n // 2, count // 2)),
            "changes": [{"type": rng.choice(("ADD", "REPLACE", "REPLACE", "REMOVE")), "path": "/status"}],
            "source": "PARTNER_SYSTEM",
        }
        for n in range(count)
    ]


def another_transaction(row: dict[str, Any], n: int, count: int) -> dict[str, Any]:
    """What tells the n-th of so many transactions from the one that it is made of."""
    return {
        "transactionId": f"{n:08x}{row['transactionId'][8:]}",
        **_history(n, count, row["transactionStatus"]),
    }


def touched_transaction(at: datetime, new: bool) -> dict[str, Any]:
    """What a transaction tells about when it came in, or was modified."""
    if not new:
        return {"transactionStatus": "MODIFIED", "modifiedOn": milliseconds(at)}
    booked = at.astimezone(UTC).date().isoformat()
    return {
        "transactionStatus": "COMPLETED",
        "createdOn": milliseconds(at),
        "modifiedOn": milliseconds(at),
        "bookingDate": booked,
        "valueDate": booked,
    }


def another_change(row: dict[str, Any], n: int, count: int) -> dict[str, Any]:
    """What tells the n-th of so many changes from the one that it is made of."""
    kind, _, _ = row["entryId"].partition("-")
    return {
        "entryId": f"{kind}-{n + 1:06d}",
        "itemId": f"{n:08x}{row['itemId'][8:]}",
        "createdOn": milliseconds(_time(n // 2, count // 2 + 1)),
    }


def touched_change(at: datetime, new: bool) -> dict[str, Any]:
    """When something changed."""
    return {"createdOn": milliseconds(at)}


def _make_product_ids() -> list[str]:
    rng = seeded("tradevest/product-ids")
    return [identifier(rng) for _ in range(600)]


PRODUCT_IDS = _make_product_ids()
TRANSACTIONS = Table(transactions, vary=another_transaction, touch=touched_transaction)
ENTITIES = Table(entities)
CHANGELOG_TABLES = {
    kind: Table(
        partial(changelog, kind), vary=another_change, touch=touched_change, order=itemgetter("createdOn")
    )
    for kind in CHANGELOGS
}
GROWING = {
    "transactions": TRANSACTIONS,
    **{f"{kind}-changelog": table for kind, table in CHANGELOG_TABLES.items()},
}
PRODUCTS = [
    {"productCode": code, "productType": kind, "name": name}
    for code, kind, name in (
        ("WALLET", "DIGITAL", "Krypto-Wallet"),
        ("BALANCE_ACCOUNT", "CASH", "Verrechnungskonto"),
        ("DEPOSITORY_ACCOUNT", "TRADITIONAL", "Depot"),
        ("CURRENCY_WALLET", "CASH", "Währungskonto"),
    )
]
PRICES = [
    {"assetCode": asset, "currency": "EUR", "price": cents(price), "pricedOn": "2026-11-01T00:00:00Z"}
    for asset, price in zip(ASSETS, (9_412_350, 314_507, 16_290, 71, 602), strict=True)
]
