"""Talenom's ledgers: three organisations with several accounting periods each."""

from __future__ import annotations

from datetime import date, timedelta
from functools import partial
from itertools import pairwise
from typing import Any

from airflow_provider_finauth.sandbox.values import (
    FINNISH_COMPANIES,
    FINNISH_PEOPLE,
    TODAY,
    Table,
    cents,
    day,
    moment,
    money,
    seeded,
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


def vouchers(organization: int) -> list[dict[str, Any]]:
    """Vouchers with their postings, by date."""
    rng = seeded(f"talenom/vouchers/{organization}")
    count = ORGANIZATIONS[organization][0]
    start = utc(2022)
    found = []
    for n in range(count):
        days = n * DAYS // count
        booked = day(FIRST_DAY, days)
        seconds = days * 86400 + rng.randrange(25_000, 70_000)
        state = rng.choice(STATES)
        created = moment(start, seconds)
        later = rng.randrange(60, 20 * 86400)
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
                "updatedDateUtc": moment(start, seconds + rng.randrange(60, 500_000)),
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


def without_postings(organization: int) -> list[dict[str, Any]]:
    """The vouchers as a list shows them by default."""
    return [
        {name: value for name, value in voucher.items() if name != "postings"}
        for voucher in VOUCHERS[organization].rows
    ]


def without_months(organization: int) -> list[dict[str, Any]]:
    """The accounting periods as a list shows them by default."""
    return [{**period, "bookkeepingPeriods": None} for period in PERIODS[organization].rows]


def _tables(make: Any) -> dict[int, Table]:
    return {number: Table(partial(make, number)) for number in ORGANIZATIONS}


PERIODS = _tables(periods)
PLAIN_PERIODS = _tables(without_months)
VOUCHERS = _tables(vouchers)
PLAIN_VOUCHERS = _tables(without_postings)
EVENTS = _tables(events)
INVOICES = _tables(invoices)
CONTACTS = _tables(contacts)
