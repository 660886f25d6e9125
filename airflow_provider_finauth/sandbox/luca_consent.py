"""Consent at Luca: the person is always there, and agrees at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_finauth.sandbox import luca_data as data
from airflow_provider_finauth.sandbox.tokens import Grant

if TYPE_CHECKING:
    from airflow_provider_finauth.sandbox.call import Call
    from airflow_provider_finauth.sandbox.control import Settings
    from airflow_provider_finauth.sandbox.tokens import Office


class LucaConsent:
    """The person who signs in, and the companies ticked."""

    def __init__(self, office: Office, settings: Settings) -> None:
        self.office = office
        self.settings = settings

    def grant(self, scope: str, number: str | None, **details: Any) -> Grant:
        """Agree, for the companies that the settings say, or for one by its organisation number."""
        rows = data.COMPANIES.rows
        companies = self.settings["consent_companies"] or range(len(rows))
        if number is not None:
            companies = [place for place in companies if str(rows[place]["organisationNumber"]) == number]
        return Grant("a person", scope, {"companies": list(companies), **details})


def label(call: Call) -> str:
    """The content type: HTML, unless JSON is asked for."""
    wanted = "application/json" in call.headers.get("accept", "")
    return "application/json; charset=utf-8" if wanted else "text/html; charset=utf-8"
