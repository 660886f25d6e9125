"""Plausible made-up values, the same on each start."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import msgspec

TODAY = date(2026, 11, 1)

# Amounts are numbers with their two digits in the JSON, as a ledger prints them: 1234.50.
ENCODER = msgspec.json.Encoder(decimal_format="number")

FINNISH_COMPANIES = (
    "Järvisen Rakennus Oy", "Pohjolan Pultti Oy", "Kuusiston Kirjapaino Oy", "Saimaan Sähkö Oy",
    "Tähtilaiva Oy", "Lapin Lämpö Oy", "Merituuli Logistiikka Oy", "Kotipellon Leipomo Oy",
    "Hämeen Huolto Oy", "Vaasan Valaistus Ab", "Sinisen Talon Kahvila Oy", "Ounasvaara Matkailu Oy",
)  # fmt: skip
FINNISH_PEOPLE = (
    "Aino Virtanen", "Eero Mäkinen", "Helmi Korhonen", "Onni Nieminen", "Venla Hämäläinen", "Väinö Laine",
    "Siiri Heikkinen", "Oskari Koskinen", "Lumi Järvinen", "Toivo Lehtonen",
)  # fmt: skip
NORWEGIAN_PEOPLE = (
    "Ingrid Hansen", "Olav Johansen", "Solveig Olsen", "Håkon Larsen", "Åse Andersen", "Sindre Pedersen",
    "Ragnhild Nilsen", "Bjørn Kristiansen", "Tuva Jensen", "Øyvind Karlsen", "Marte Berg", "Eirik Haugen",
)  # fmt: skip
NORWEGIAN_COMPANIES = (
    "Fjordheim Bygg AS", "Nordlys Data AS", "Bølgen Sjømat AS", "Skogly Eiendom AS", "Havblikk Hotell AS",
    "Tindevegen Transport AS", "Elvebakken Barnehage SA", "Østlandet Regnskap AS", "Kvitfjell Sport AS",
)  # fmt: skip
GERMAN_PEOPLE = (
    "Anna Schneider", "Jürgen Müller", "Lena Weber", "Björn Fischer", "Käthe Wagner", "Moritz Becker",
    "Sophie Hoffmann", "Matthias Schäfer", "Greta Köhler", "Felix Groß", "Nele Brandt", "Paul Vogt",
)  # fmt: skip
GERMAN_COMPANIES = (
    "Rheingold Vermögensverwaltung GmbH", "Weserkontor AG", "Alpenblick Beteiligungs GmbH",
    "Spreebogen Handels KG", "Nordstern Consulting GmbH", "Köln-Süd Immobilien GmbH",
)  # fmt: skip


def seeded(name: str) -> random.Random:
    """A generator of its own for each data set, so that a change of one leaves the others."""
    return random.Random(f"sandbox/{name}")


def money(rng: random.Random, low: int, high: int) -> Decimal:
    """An amount with two digits, between so many cents."""
    return cents(rng.randint(low, high))


def cents(amount: int) -> Decimal:
    """Cents as an amount with two digits."""
    return Decimal(amount).scaleb(-2)


def day(start: date, days: int) -> str:
    """An ISO date so many days later."""
    return (start + timedelta(days=days)).isoformat()


def moment(start: datetime, seconds: float) -> str:
    """An ISO time in UTC, whole seconds, so much later."""
    return stamp(start + timedelta(seconds=int(seconds)))


def stamp(at: datetime) -> str:
    """A time in UTC as an ISO text, whole seconds."""
    # Less than half of what strftime takes, and lists hold many of them.
    return at.astimezone(UTC).isoformat()[:19] + "Z"


def milliseconds(at: datetime) -> str:
    """A time in UTC as an ISO text with milliseconds."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds")[:23] + "Z"


def month_starts(start: datetime, seconds: int, count: int) -> dict[int, datetime]:
    """The first moments of months, where so many rows are spread evenly over so many seconds.

    :param start: the first moment of a month
    :return: each by the place of the row whose share of the time it lies in
    """
    end = start + timedelta(seconds=seconds)
    found = {}
    at = start
    while at < end:
        found[int((at - start).total_seconds()) * count // seconds] = at
        at = (at + timedelta(days=31)).replace(day=1)
    return found


def utc(year: int, month: int = 1, day_of_month: int = 1) -> datetime:
    """Midnight, UTC."""
    return datetime(year, month, day_of_month, tzinfo=UTC)


def iban(country: str, digits: str) -> str:
    """An IBAN with the right check digits (ISO 13616) for a country's account digits."""
    number = digits + "".join(str(ord(letter) - 55) for letter in country) + "00"
    return f"{country}{98 - int(number) % 97:02d}{digits}"


def norwegian_number(rng: random.Random) -> int:
    """An organisation number with the right last digit (modulus 11)."""
    while True:
        digits = [9, *(rng.randrange(10) for _ in range(7))]
        rest = 11 - sum(a * b for a, b in zip(digits, (3, 2, 7, 6, 5, 4, 3, 2), strict=True)) % 11
        if rest != 10:
            return int("".join(map(str, [*digits, rest % 11])))


def identifier(rng: random.Random) -> str:
    """A UUID."""
    digits = f"{rng.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
