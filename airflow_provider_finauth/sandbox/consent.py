"""Sending a person back from a consent page."""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit

from airflow_provider_finauth.sandbox.answer import Answer


def is_loopback(redirect_uri: str | None) -> bool:
    """Whether a redirect stays on this machine: the sandbox sends nobody elsewhere."""
    parts = urlsplit(redirect_uri or "")
    return parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")


def redirect(redirect_uri: str, **parameters: str | None) -> Answer:
    """Send the person back."""
    query = urlencode({name: value for name, value in parameters.items() if value is not None})
    return Answer(302, headers={"Location": f"{redirect_uri}{'&' if '?' in redirect_uri else '?'}{query}"})
