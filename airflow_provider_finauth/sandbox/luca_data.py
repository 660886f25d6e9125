"""Luca's companies and their books. Money is in øre, as whole numbers."""

from __future__ import annotations

import string
from datetime import date, datetime
from functools import partial
from typing import Any

from airflow_provider_finauth.sandbox.table import Table
from airflow_provider_finauth.sandbox.values import (
    NORWEGIAN_COMPANIES,
    NORWEGIAN_PEOPLE,
    TODAY,
    day,
    norwegian_number,
    seeded,
    stamp,
)

FIRST_DAY = date(2023, 1, 1)
DAYS = (TODAY - FIRST_DAY).days
# Name and number of sale invoices.
_COMPANIES = (("Fjellbekken Snekkeri AS", 3000), ("Kystlyset Kafé AS", 2000), ("Granly Konsulent ENK", 1000))
_LETTERS = string.ascii_letters + string.digits


def short_id(rng: Any) -> str:
    """A short opaque id."""
    return "".join(rng.choice(_LETTERS) for _ in range(6))


def companies() -> list[dict[str, Any]]:
    """The companies."""
    rng = seeded("luca/companies")
    return [
        {"id": short_id(rng), "name": name, "organisationNumber": norwegian_number(rng)}
        for name, _ in _COMPANIES
    ]


def customers(company: int) -> list[dict[str, Any]]:
    """Whom the company sells to."""
    rng = seeded(f"luca/customers/{company}")
    return [
        {
            "id": short_id(rng),
            "name": rng.choice(NORWEGIAN_COMPANIES if n % 3 else NORWEGIAN_PEOPLE),
            "email": f"kunde{n + 1}@eksempel.invalid",
            "comment": None,
            "active": n % 9 != 0,
            "organisationNumber": norwegian_number(rng) if n % 3 else None,
        }
        for n in range(160)
    ]


def products(company: int) -> list[dict[str, Any]]:
    """What the company sells."""
    rng = seeded(f"luca/products/{company}")
    return [
        {
            "id": short_id(rng),
            "name": f"{rng.choice(('Time', 'Bord', 'Hylle', 'Frokost', 'Rådgivning', 'Frakt'))} {n + 1}",
            "active": True,
            "unitPriceCents": rng.randrange(5_000, 250_000, 50),
        }
        for n in range(45)
    ]


def invoices(company: int) -> list[dict[str, Any]]:
    """Sale invoices, newest first."""
    rng = seeded(f"luca/invoices/{company}")
    count = _COMPANIES[company][1]
    buyers, goods = CUSTOMERS[company].rows, PRODUCTS[company].rows
    found = []
    for n in range(count):
        lines = []
        for _ in range(rng.randint(1, 3)):
            product = rng.choice(goods)
            lines.append(
                {
                    "id": short_id(rng),
                    "name": product["name"],
                    "quantity": rng.randint(1, 9),
                    "unit": "stk",
                    "unitPriceCents": product["unitPriceCents"],
                    "saleProduct": product,
                }
            )
        sent = day(FIRST_DAY, n * DAYS // count)
        draft = n >= count - 5
        total = sum(line["quantity"] * line["unitPriceCents"] for line in lines)
        found.append(
            {
                # The number makes it unique, the letters make it opaque.
                "id": f"{short_id(rng)}{n:x}",
                "invoiceNumber": None if draft else 1001 + n,
                "draft": draft,
                "finalized": not draft,
                "invoiceDate": sent,
                "dueDate": day(FIRST_DAY, n * DAYS // count + 14),
                "paymentDays": 14,
                "sentAt": None if draft else f"{sent}T09:00:00Z",
                "paid": not draft and rng.random() < 0.85,
                "totalCents": total,
                "saleCustomer": rng.choice(buyers),
                "saleInvoiceLineItems": lines,
                "bookkeepingJournal": None if draft else _journal(rng, company, n, sent, total),
            }
        )
    return found[::-1]


def _account(code: int, name: str) -> dict[str, Any]:
    return {"id": f"acc{code}", "code": code, "subCode": None, "name": name}


_RECEIVABLES = _account(1500, "Kundefordringer")
_SALES = _account(3000, "Salgsinntekt, avgiftspliktig")


def _journal(rng: Any, company: int, number: int, booked: str, total: int) -> dict[str, Any]:
    line = {
        "id": short_id(rng),
        "amountCents": total,
        "debitAccount": _RECEIVABLES,
        "creditAccount": _SALES,
    }
    return {
        "id": f"J{company}{number:x}{short_id(rng)}",
        "journalDate": booked,
        "description": f"Faktura {1001 + number}",
        "postings": [{"id": short_id(rng), "postingLines": [line]}],
    }


def journals(company: int) -> list[dict[str, Any]]:
    """Journals of the invoices, newest first."""
    return [row["bookkeepingJournal"] for row in INVOICES[company].kept if row["bookkeepingJournal"]]


def another_invoice(row: dict[str, Any], n: int, count: int) -> dict[str, Any]:
    """What tells the n-th of so many sale invoices, newest first, from the one that it is made of."""
    days = (count - 1 - n) * DAYS // count
    sent = day(FIRST_DAY, days)
    return {
        "id": f"{row['id']}{n:x}",
        "invoiceNumber": None if row["draft"] else 1000 + count - n,
        "invoiceDate": sent,
        "dueDate": day(FIRST_DAY, days + 14),
        "sentAt": None if row["draft"] else f"{sent}T09:00:00Z",
    }


def touched_invoice(at: datetime, new: bool) -> dict[str, Any]:
    """What a sale invoice tells about when it was written; it does not tell when it was changed."""
    return {"invoiceDate": stamp(at)[:10], "sentAt": stamp(at)} if new else {"paid": True}


def _tables(make: Any, **more: Any) -> list[Table]:
    return [Table(partial(make, number), **more) for number in range(len(_COMPANIES))]


COMPANIES = Table(companies)
CUSTOMERS = _tables(customers)
PRODUCTS = _tables(products)
INVOICES = _tables(invoices, vary=another_invoice, touch=touched_invoice, newest_first=True)
JOURNALS = _tables(journals)
GROWING = {f"saleInvoices/{number}": table for number, table in enumerate(INVOICES)}
