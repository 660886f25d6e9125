"""Landax's registers: incidents, coworkers and what belongs to them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow_provider_finauth.sandbox.table import Table
from airflow_provider_finauth.sandbox.values import (
    NORWEGIAN_COMPANIES,
    NORWEGIAN_PEOPLE,
    identifier,
    moment,
    month_starts,
    norwegian_number,
    seeded,
    stamp,
    utc,
)

INCIDENTS = 12_500
SUBJECTS = (
    "Sår på hånd", "Oljesøl ved tank 3", "Manglende rekkverk", "Fall fra stige", "Nestenulykke med truck",
    "Avvik i dokumentasjon", "Feil på løfteutstyr", "Glatt gulv i kantine", "Støy over grenseverdi",
)  # fmt: skip
START = utc(2023)
SPAN = int((utc(2026, 11, 1) - START).total_seconds())


def incidents() -> list[dict[str, Any]]:
    """Incidents by number; each was changed some time after it came in, some at the turn of a month."""
    rng = seeded("landax/incidents")
    turns = month_starts(START, SPAN, INCIDENTS)
    found = []
    for n in range(INCIDENTS):
        happened = n * SPAN // INCIDENTS
        changed = min(SPAN - 1, happened + 600 + int(rng.random() ** 3 * 9_000_000))
        # Of the last three before a month begins, two share its first second; one has the second before.
        for before in (1, 2, 3):
            if turn := turns.get(n + before):
                changed = int((turn - START).total_seconds()) - (before == 3)
        closed = rng.random() < 0.7
        row = {
            "Id": n + 1,
            "Guid": identifier(rng),
            "Number": f"{2023 + happened * 4 // SPAN}-{n + 1}",
            "Subject": SUBJECTS[rng.randrange(len(SUBJECTS))],
            "IncidentDateTime": moment(START, happened),
            "RegisteredDateTime": moment(START, happened + 600),
            "ChangedDateTime": moment(START, changed),
            "IsClosed": closed,
            "ClosedDate": moment(START, changed)[:10] if closed else None,
            "DepartmentId": rng.randint(1, 24),
            "ProjectId": rng.randint(1, 140) if n % 3 else None,
            "TypeId": rng.randint(1, 9),
            "IncidentStatusId": 4 if closed else rng.randint(1, 3),
            "ResponsibleCoworkerId": rng.randint(1, 1800),
            "Severity": rng.randint(1, 5),
            "Cost": rng.randrange(0, 80_000, 500),
        }
        row.update((f"Tag{tag}", None) for tag in range(1, 13))
        found.append(row)
    return found


def another_incident(row: dict[str, Any], n: int, count: int) -> dict[str, Any]:
    """What tells the n-th of so many incidents from the one that it is made of."""
    happened = n * SPAN // count
    changed = moment(START, min(SPAN - 1, happened + 600 + n * 104_729 % 2_000_000))
    return {
        "Id": n + 1,
        "Guid": f"{n:08x}{row['Guid'][8:]}",
        "Number": f"{2023 + happened * 4 // SPAN}-{n + 1}",
        "IncidentDateTime": moment(START, happened),
        "RegisteredDateTime": moment(START, happened + 600),
        "ChangedDateTime": changed,
        "ClosedDate": row["ClosedDate"] and changed[:10],
    }


def touched_incident(at: datetime, new: bool) -> dict[str, Any]:
    """What an incident tells about when it came in, or was changed."""
    changed = {"ChangedDateTime": stamp(at)}
    return {"IncidentDateTime": stamp(at), "RegisteredDateTime": stamp(at), **changed} if new else changed


def coworkers() -> list[dict[str, Any]]:
    """Coworkers by number."""
    rng = seeded("landax/coworkers")
    return [
        {
            "Id": n + 1,
            "Guid": identifier(rng),
            "Initials": f"A{n + 1:04d}",
            "Name": rng.choice(NORWEGIAN_PEOPLE),
            "Email": f"ansatt{n + 1}@bedrift.invalid",
            "DepartmentId": n % 24 + 1,
            "IsActive": n % 11 != 0,
            "ChangedDateTime": moment(START, rng.randrange(SPAN)),
        }
        for n in range(1800)
    ]


def departments() -> list[dict[str, Any]]:
    """Departments by number."""
    return [
        {"Id": n + 1, "Name": f"Avdeling {n + 1}", "ParentId": n // 4 or None, "IsActive": True}
        for n in range(24)
    ]


def projects() -> list[dict[str, Any]]:
    """Projects by number."""
    rng = seeded("landax/projects")
    return [
        {
            "Id": n + 1,
            "Number": f"P{1000 + n}",
            "Name": f"{rng.choice(NORWEGIAN_COMPANIES)} {n + 1}",
            "StartDate": moment(START, rng.randrange(SPAN))[:10],
            "IsActive": rng.random() < 0.6,
            "ChangedDateTime": moment(START, rng.randrange(SPAN)),
        }
        for n in range(140)
    ]


def customers() -> list[dict[str, Any]]:
    """Exactly as many customers as a page can hold."""
    rng = seeded("landax/customers")
    return [
        {
            "Id": n + 1,
            "Name": f"{rng.choice(NORWEGIAN_COMPANIES)} {n + 1}",
            "OrganizationNumber": norwegian_number(rng),
            "IsActive": True,
            "ChangedDateTime": moment(START, rng.randrange(SPAN)),
        }
        for n in range(1000)
    ]


def competencies() -> list[dict[str, Any]]:
    """Certificates that coworkers hold."""
    rng = seeded("landax/competencies")
    return [
        {
            "Id": n + 1,
            "CoworkerId": rng.randint(1, 1800),
            "Description": rng.choice(("Truckfører", "Kranfører", "Varme arbeider", "Førstehjelp")),
            "FromDate": moment(START, rng.randrange(SPAN // 2))[:10],
            "ToDate": moment(START, SPAN // 2 + rng.randrange(SPAN))[:10],
            "TypeId": rng.randint(1, 6),
            "IsActive": rng.random() < 0.9,
            "IsValid": rng.random() < 0.8,
            "ChangedDateTime": moment(START, rng.randrange(SPAN)),
        }
        for n in range(3200)
    ]


def documents() -> list[dict[str, Any]]:
    """Documents; their content comes from elsewhere."""
    rng = seeded("landax/documents")
    return [
        {
            "Id": n + 1,
            "Title": f"Prosedyre {n + 1}",
            "Revision": rng.randint(1, 9),
            "ChangedDateTime": moment(START, rng.randrange(SPAN)),
        }
        for n in range(60)
    ]


MODELS = {
    "Incidents": Table(incidents, vary=another_incident, touch=touched_incident),
    "Coworkers": Table(coworkers),
    "Departments": Table(departments),
    "Projects": Table(projects),
    "Customers": Table(customers),
    "Competencies": Table(competencies),
    "Documents": Table(documents),
}
# What $expand puts in: property, the field that holds the key, the model.
EXPANSIONS = {
    "Department": ("DepartmentId", "Departments"),
    "Project": ("ProjectId", "Projects"),
    "Responsible": ("ResponsibleCoworkerId", "Coworkers"),
    "Coworker": ("CoworkerId", "Coworkers"),
}
GROWING = {"Incidents": MODELS["Incidents"]}
