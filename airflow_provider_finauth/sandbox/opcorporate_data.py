"""OP Corporate Banking's accounts and their transactions, by time."""

from __future__ import annotations

import base64
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache, partial
from operator import itemgetter
from typing import Any

from airflow_provider_finauth.sandbox.table import Table, View
from airflow_provider_finauth.sandbox.values import (
    FINNISH_COMPANIES,
    TODAY,
    cents,
    iban,
    month_starts,
    seeded,
    utc,
)

# Name, transactions. The first account's rows fill many pages of either version.
ACCOUNTS = (("Käyttötili", 16_000), ("Verotili", 8_000), ("Valuuttatili", 4_500), ("Talletustili", 1_500))
FIRST_DAY = date(2024, 1, 1)
START = utc(2024)
FIRST = int(START.timestamp()) * 1_000_000
SPAN = (TODAY - FIRST_DAY).days * 86_400 * 1_000_000
OPENING_BALANCE = 25_000_000
by_time = itemgetter("timestamp")


def _accounts() -> list[dict[str, Any]]:
    rng = seeded("op/accounts")
    found = []
    for number, (name, _) in enumerate(ACCOUNTS):
        # The bytes are chosen so that the text holds "+" and "/": it must be escaped in a path.
        surrogate = base64.b64encode(b"\xfb\xff\xbe" + rng.randbytes(20) + bytes([number])).decode()
        found.append(
            {
                "bic": "OKOYFIHH",
                "iban": iban("FI", f"5{rng.randrange(10**13):013d}"),
                "name": name,
                "balance": str(cents(rng.randint(10_000, 90_000_000))),
                "currency": "EUR",
                "surrogateId": surrogate,
                "productNames": {"fi": name, "sv": "Konto", "en": "Account"},
                "accountTypeCode": "110",
            }
        )
    return found


ACCOUNT_TABLE = Table(_accounts)


def _microseconds(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _day(stamp: int) -> str:
    return (FIRST_DAY + timedelta(microseconds=stamp - FIRST)).isoformat()


def _dated(stamp: int) -> dict[str, Any]:
    booked = _day(stamp)
    return {"timestamp": stamp, "bookingDate": booked, "valueDate": booked, "paymentDate": booked}


def _make_transactions(account: int) -> list[dict[str, Any]]:
    rng = seeded(f"op/transactions/{account}")
    count = ACCOUNTS[account][1]
    own = ACCOUNT_TABLE.rows[account]["iban"]
    partners = [iban("FI", f"1{rng.randrange(10**13):013d}") for _ in FINNISH_COMPANIES]
    balance = OPENING_BALANCE
    found = []
    stamp = FIRST
    turns = {n: _microseconds(at) for n, at in month_starts(START, SPAN // 1_000_000, count).items()}
    for n in range(count):
        drawn = FIRST + n * SPAN // count + rng.randrange(SPAN // count)
        # Two share the first microsecond of a month, and one has the last of the month before.
        if n in turns or n - 1 in turns:
            drawn = turns.get(n) or turns[n - 1]
        elif n + 1 in turns:
            drawn = turns[n + 1] - 1
        # Batches are booked within one microsecond, and some of them lie across the end of a page.
        if n % 50 in (48, 49, 0, 1):
            drawn = stamp if n else drawn
        stamp = drawn
        amount = rng.randint(-2_500_000, 2_600_000) or 1
        partner = rng.randrange(len(partners))
        name = FINNISH_COMPANIES[partner]
        booked = _day(stamp)
        reference = None
        if n % 3 == 0:
            digits = f"{100_000 + n}"
            check = -sum(int(d) * (7, 3, 1)[i % 3] for i, d in enumerate(reversed(digits))) % 10
            reference = f"{digits}{check}"
        row: dict[str, Any] = {
            "amount": str(cents(amount)),
            "balanceBefore": str(cents(balance)),
            "balanceAfter": str(cents(balance + amount)),
            "currency": "EUR",
            "objectId": f"{account + 1}{n:07d}{rng.getrandbits(48):012x}",
            # Longer than a float can hold.
            "archiveId": f"{booked.replace('-', '')}5{rng.randrange(10**11):011d}",
            "bookingDate": booked,
            "valueDate": booked,
            "paymentDate": booked,
            "timestamp": stamp,
            "reference": reference,
            "rfReference": None,
            "message": None if reference else f"Lasku {n + 1}",
            "debtorName": name if amount > 0 else "Esimerkki Oy",
            "debtorAccount": partners[partner] if amount > 0 else own,
            "debtorBic": "NDEAFIHH" if amount > 0 else "OKOYFIHH",
            "creditorName": "Esimerkki Oy" if amount > 0 else name,
            "creditorAccount": own if amount > 0 else partners[partner],
            "creditorBic": "OKOYFIHH" if amount > 0 else "NDEAFIHH",
            "endToEndId": f"E2E{n:08d}" if n % 4 == 0 else None,
            "uetr": None,
            "transactionTypeCode": "710" if amount > 0 else "720",
        }
        balance += amount
        found.append(row)
    return found


def _another_transaction(row: dict[str, Any], n: int, count: int) -> dict[str, Any]:
    """What tells the n-th of so many transactions from the one that it is made of."""
    account = int(row["objectId"][0])
    kept = TRANSACTIONS[account - 1].kept
    # Those of a batch share the first one's microsecond.
    first = max(0, n - (n + 2) % 50) if (n + 2) % 50 < 4 else n
    stamp = FIRST + first * SPAN // count + first * 7919 % (SPAN // count)
    earlier = n // len(kept) * (Decimal(kept[-1]["balanceAfter"]) - cents(OPENING_BALANCE))
    return {
        "balanceBefore": str(Decimal(row["balanceBefore"]) + earlier),
        "balanceAfter": str(Decimal(row["balanceAfter"]) + earlier),
        "objectId": f"{account}{n:07d}{n * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFF:012x}",
        "archiveId": f"{_day(stamp).replace('-', '')}5{n * 104_729 % 10**11:011d}",
        **_dated(stamp),
    }


def _touched_transaction(at: datetime, new: bool) -> dict[str, Any]:
    """When a transaction came in; what is booked does not change."""
    if not new:
        raise ValueError("What a bank has booked does not change: add rows.")
    return _dated(_microseconds(at))


ACCOUNT_TABLE = Table(_accounts)
TRANSACTIONS = [
    Table(
        partial(_make_transactions, number),
        vary=_another_transaction,
        touch=_touched_transaction,
        order=by_time,
    )
    for number in range(len(ACCOUNTS))
]
GROWING = {f"transactions/{number}": table for number, table in enumerate(TRANSACTIONS)}


@lru_cache(maxsize=64)
def transactions(account: int, version: str, together: int) -> Table:
    """An account's transactions as a version shows them.

    :param together: so many of the first share one timestamp
    """
    table = TRANSACTIONS[account]

    def shape(place: int, row: dict[str, Any]) -> dict[str, Any]:
        kind = "Viitesiirto" if row["reference"] else "Tilisiirto"
        described = (
            {"transactionTypeDescription": kind}
            if version == "v2"
            else {"bookingCode": "PMNT", "bookingCodeDescription": kind}
        )
        dated = _dated(table.row(0)["timestamp"]) if place < together else {}
        return {**row, **described, **dated}

    return View(table, shape)


def place_of(account: int, object_id: str) -> int | None:
    """Where a transaction stands among those of its account."""
    table = TRANSACTIONS[account]
    if not (object_id[1:8].isascii() and object_id[1:8].isdigit()):
        return None
    try:
        place = table.place(int(object_id[1:8]))
    except ValueError:
        return None
    return place if table.row(place)["objectId"] == object_id else None
