"""Talenom's ledgers: three organisations with several accounting periods each."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any

from airflow_provider_finauth.sandbox.table import Table, View
from airflow_provider_finauth.sandbox.values import (
    FINNISH_COMPANIES,
    FINNISH_PEOPLE,
    TODAY,
    cents,
    day,
    moment,
    money,
    month_starts,
    seeded,
    stamp,
    utc,
)

# Organisation: vouchers, ledger events, sales invoices, first month of its financial year.
ORGANIZATIONS = {
    14222: (15_000, 18_000, 2_600, 1),
    14223: (10_000, 14_000, 1_600, 7),
    14224: (5_500, 9_000, 800, 4),
}
FORBIDDEN_ORGANIZATION = 14299
FIRST_DAY = date(2022, 1, 1)
DAYS = (TODAY - FIRST_DAY).days
STATES = ("Accepted", "Accepted", "Accepted", "Locked", "Locked", "Draft", "Deleted")
CATEGORIES = ("PurchaseInvoice", "SalesInvoice", "Bank", "Payroll", "Memo")
ACCOUNTS = {
    "1701": "Myyntisaamiset",
    "1910": "Pankkitili",
    "2871": "Ostovelat",
    "2939": "Arvonlisäverovelka",
    "3000": "Myynti 25,5 %",
    "3010": "Myynti 14 %",
    "4000": "Ostot",
    "5000": "Palkat",
    "7230": "Toimitilavuokrat",
    "8470": "Puhelinkulut",
    "8680": "Kirjanpitopalvelut",
}
NUMBERS = tuple(ACCOUNTS)


def periods(organization: int) -> list[dict[str, Any]]:
    """Accounting periods, newest first."""
    month = ORGANIZATIONS[organization][3]
    found = []
    for year in range(2026, 2020, -1):
        start = date(year, month, 1)
        end = date(year + 1, month, 1) - timedelta(days=1)
        months = [date(year + (month + n - 1) // 12, (month + n - 1) % 12 + 1, 1) for n in range(13)]
        found.append(
            {
                "id": organization * 100 + year - 2000,
                "organizationNumber": organization,
                "startDate": start.isoformat(),
                "endDate": end.isoformat(),
                "locked": year < 2025,
                "bookkeepingPeriods": [
                    {
                        "id": (organization * 100 + year - 2000) * 100 + n,
                        "startDate": first.isoformat(),
                        "endDate": (following - timedelta(days=1)).isoformat(),
                        "locked": following <= date(2026, 9, 1),
                    }
                    for n, (first, following) in enumerate(pairwise(months), start=1)
                ],
            }
        )
    return found


def _updated_at_turns(count: int, before: int) -> dict[int, int]:
    """The seconds after which some of so many rows are updated: two as a month begins, one a second before.

    :param before: how many rows earlier those stand
    """
    found: dict[int, int] = {}
    for n, at in month_starts(utc(2022), DAYS * 86_400, count).items():
        turn = int((at - utc(2022)).total_seconds())
        found |= {n - before: turn, n - before - 1: turn, n - before - 2: turn - 1}
    return found


def vouchers(organization: int) -> list[dict[str, Any]]:
    """Vouchers with their postings, by date."""
    rng = seeded(f"talenom/vouchers/{organization}")
    count = ORGANIZATIONS[organization][0]
    start = utc(2022)
    # So many rows before a month begins it is still another day.
    turns = _updated_at_turns(count, 10)
    found = []
    for n in range(count):
        days = n * DAYS // count
        booked = day(FIRST_DAY, days)
        seconds = days * 86400 + rng.randrange(25_000, 70_000)
        state = rng.choice(STATES)
        created = moment(start, seconds)
        later = rng.randrange(60, 20 * 86400)
        if n in turns:
            later = turns[n] - seconds
        amount = rng.randint(500, 900_000)
        tax = amount * 255 // 1255
        voucher = organization * 100_000 + n + 1
        found.append(
            {
                "id": voucher,
                "organizationNumber": organization,
                "number": n + 1,
                "category": CATEGORIES[n % 5],
                "voucherDate": booked,
                "voucherState": state,
                "description": rng.choice(FINNISH_COMPANIES),
                "createdDateUtc": created,
                "updatedDateUtc": moment(start, seconds + later),
                "approvedDateUtc": moment(start, seconds + later // 2) if state != "Draft" else None,
                "lockedDateUtc": moment(start, seconds + later) if state == "Locked" else None,
                "deletedDateUtc": moment(start, seconds + later) if state == "Deleted" else None,
                "rowVersion": f"AAAAAAAA{voucher:08X}",
                "postings": [
                    _posting(voucher, 1, "4000", amount - tax, 0),
                    _posting(voucher, 2, "2939", tax, 0),
                    _posting(voucher, 3, "2871", 0, amount),
                ],
            }
        )
    return found


def _posting(voucher: int, line: int, account: str, debit: int, credit: int) -> dict[str, Any]:
    return {
        "id": voucher * 10 + line,
        "accountNumber": account,
        "debet": cents(debit),
        "credit": cents(credit),
        "vatCode": "OM255" if account == "4000" else None,
        "costCenter": None,
    }


def events(organization: int) -> list[dict[str, Any]]:
    """Ledger events, by date."""
    rng = seeded(f"talenom/events/{organization}")
    count = ORGANIZATIONS[organization][1]
    vouchers_count = ORGANIZATIONS[organization][0]
    found = []
    for n in range(count):
        number = NUMBERS[rng.randrange(len(NUMBERS))]
        amount = money(rng, 100, 800_000)
        debit = rng.random() < 0.5
        found.append(
            {
                "id": organization * 1_000_000 + n + 1,
                "accountNumber": number,
                "accountName": ACCOUNTS[number],
                "voucherId": organization * 100_000 + n * vouchers_count // count + 1,
                "voucherDate": day(FIRST_DAY, n * DAYS // count),
                "category": CATEGORIES[n % 5],
                "description": FINNISH_COMPANIES[n % len(FINNISH_COMPANIES)],
                "debet": amount if debit else cents(0),
                "credit": cents(0) if debit else amount,
                "vatCode": "OM255" if number in ("3000", "4000") else None,
                "costCenter": f"KP{n % 7}" if n % 3 == 0 else None,
                "voucherState": STATES[n % 5],
            }
        )
    return found


def invoices(organization: int) -> list[dict[str, Any]]:
    """Sales invoices, by number."""
    rng = seeded(f"talenom/invoices/{organization}")
    count = ORGANIZATIONS[organization][2]
    start = utc(2022)
    turns = _updated_at_turns(count, 2)
    found = []
    for n in range(count):
        days = n * DAYS // count
        seconds = days * 86400 + rng.randrange(20_000, 60_000)
        number = 1000 + n
        body = f"{organization}{number:06d}"
        check = -sum(int(digit) * (7, 3, 1)[i % 3] for i, digit in enumerate(reversed(body))) % 10
        found.append(
            {
                "id": organization * 10_000 + n + 1,
                "rowVersion": f"AAAAAAAB{n:08X}",
                "organizationNumber": organization,
                "number": number,
                "status": rng.choice(("Draft", "Approved", "Sent", "Sent", "Paid", "Paid", "Paid")),
                "type": "CreditNote" if n % 40 == 39 else "Invoice",
                "contactId": organization * 1000 + rng.randrange(120),
                "voucherNumber": n + 1,
                "date": day(FIRST_DAY, days),
                "dueDate": day(FIRST_DAY, days + 14),
                "referenceNumber": f"{body}{check}",
                "totalAmount": money(rng, 1_000, 2_500_000),
                "currency": "EUR",
                "createdDateUtc": moment(start, seconds),
                "updatedDateUtc": moment(start, turns.get(n, seconds + rng.randrange(60, 500_000))),
                "approvedDate": day(FIRST_DAY, days),
                "sentDate": day(FIRST_DAY, days + 1),
            }
        )
    return found


def contacts(organization: int) -> list[dict[str, Any]]:
    """Customers of an organisation."""
    rng = seeded(f"talenom/contacts/{organization}")
    return [
        {
            "id": organization * 1000 + n,
            "rowVersion": f"AAAAAAAC{n:08X}",
            "name": f"{rng.choice(FINNISH_COMPANIES)} {n + 1}",
            "contactPerson": rng.choice(FINNISH_PEOPLE),
            "businessId": f"{rng.randint(1_000_000, 3_200_000)}-{rng.randrange(10)}",
            "email": f"laskut{n + 1}@asiakas.invalid",
        }
        for n in range(120)
    ]


def another_voucher(row: dict[str, Any], n: int, count: int) -> dict[str, Any]:
    """What tells the n-th of so many vouchers from the one that it is made of."""
    organization = row["organizationNumber"]
    days = n * DAYS // count
    start, seconds = utc(2022), days * 86400 + 25_000 + n * 7919 % 45_000
    later = 60 + n * 104_729 % (20 * 86400)
    voucher = organization * 100_000_000 + n + 1
    updated = moment(start, seconds + later)
    return {
        "id": voucher,
        "number": n + 1,
        "voucherDate": day(FIRST_DAY, days),
        "createdDateUtc": moment(start, seconds),
        "updatedDateUtc": updated,
        "approvedDateUtc": row["approvedDateUtc"] and moment(start, seconds + later // 2),
        "lockedDateUtc": row["lockedDateUtc"] and updated,
        "deletedDateUtc": row["deletedDateUtc"] and updated,
        "rowVersion": f"AAAAAAAA{voucher:08X}",
        "postings": [{**each, "id": voucher * 10 + line} for line, each in enumerate(row["postings"], 1)],
    }


def touched_voucher(at: datetime, new: bool) -> dict[str, Any]:
    """What a voucher tells about when it came in, or was changed."""
    if not new:
        return {"updatedDateUtc": stamp(at)}
    return {
        "voucherDate": stamp(at)[:10],
        "voucherState": "Accepted",
        "createdDateUtc": stamp(at),
        "updatedDateUtc": stamp(at),
        "approvedDateUtc": stamp(at),
        "lockedDateUtc": None,
        "deletedDateUtc": None,
    }


def another_event(row: dict[str, Any], n: int, count: int) -> dict[str, Any]:
    """What tells the n-th of so many ledger events from the one that it is made of."""
    organization, _ = divmod(row["id"], 1_000_000)
    return {
        "id": organization * 100_000_000 + n + 1,
        "voucherId": organization * 100_000_000 + n // 2 + 1,
        "voucherDate": day(FIRST_DAY, n * DAYS // count),
    }


def touched_event(at: datetime, new: bool) -> dict[str, Any]:
    """What a ledger event tells about when it was booked."""
    return {"voucherDate": stamp(at)[:10]} if new else {}


def another_invoice(row: dict[str, Any], n: int, count: int) -> dict[str, Any]:
    """What tells the n-th of so many sales invoices from the one that it is made of."""
    organization = row["organizationNumber"]
    days = n * DAYS // count
    start, seconds = utc(2022), days * 86400 + 20_000 + n * 7919 % 40_000
    booked = day(FIRST_DAY, days)
    return {
        "id": organization * 100_000_000 + n + 1,
        "rowVersion": f"AAAAAAAB{n:08X}",
        "number": 1000 + n,
        "voucherNumber": n + 1,
        "date": booked,
        "dueDate": day(FIRST_DAY, days + 14),
        "createdDateUtc": moment(start, seconds),
        "updatedDateUtc": moment(start, seconds + 60 + n * 104_729 % 500_000),
        "approvedDate": booked,
        "sentDate": day(FIRST_DAY, days + 1),
    }


def touched_invoice(at: datetime, new: bool) -> dict[str, Any]:
    """What a sales invoice tells about when it came in, or was changed."""
    if not new:
        return {"updatedDateUtc": stamp(at)}
    written = stamp(at)[:10]
    return {"date": written, "createdDateUtc": stamp(at), "updatedDateUtc": stamp(at), "sentDate": written}


def _without_postings(_: int, voucher: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in voucher.items() if name != "postings"}


def _without_months(_: int, period: dict[str, Any]) -> dict[str, Any]:
    return {**period, "bookkeepingPeriods": None}


def _tables(make: Any, **more: Any) -> dict[int, Table]:
    return {number: Table(partial(make, number), **more) for number in ORGANIZATIONS}


PERIODS = _tables(periods)
VOUCHERS = _tables(vouchers, vary=another_voucher, touch=touched_voucher)
# As a list shows them by default.
PLAIN_PERIODS: dict[int, Table] = {n: View(table, _without_months) for n, table in PERIODS.items()}
PLAIN_VOUCHERS: dict[int, Table] = {n: View(table, _without_postings) for n, table in VOUCHERS.items()}
EVENTS = _tables(events, vary=another_event, touch=touched_event)
INVOICES = _tables(invoices, vary=another_invoice, touch=touched_invoice)
CONTACTS = _tables(contacts)
GROWING = {
    f"{name}/{number}": table
    for name, tables in (("vouchers", VOUCHERS), ("general-ledger-events", EVENTS), ("invoices", INVOICES))
    for number, table in tables.items()
}
