"""Taking secrets out of texts, in every form in which they may turn up.

A masker that knows only the value itself misses it URL-encoded in a body, inside ``Basic …``, as the
``repr`` of a PEM with its line breaks escaped, or as a PEM without its last line break.
"""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

from airflow_provider_finauth.secret import HIDDEN, Secret

if TYPE_CHECKING:
    from collections.abc import Iterable

# Below this length a replacement destroys the text and protects nothing (Airflow draws the same line).
_SHORTEST = 5
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u0085\u2028\u2029]+")
# What looks like a bearer token, a JWT or a long random key, whoever issued it.
_LOOKS_SECRET = re.compile(
    r"(?i:\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}|\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)+"
)


def derived_forms(value: str) -> frozenset[str]:
    """Give the forms in which a secret may appear: plain, URL-encoded, base64, escaped, PEM lines.

    :param value: the secret; one of fewer than 5 characters gives nothing
    """
    if len(value) < _SHORTEST:
        return frozenset()
    raw = value.encode("utf-8", "surrogatepass")
    forms = {
        value,
        value.strip(),
        quote(raw, safe=""),
        quote(raw),
        quote_plus(raw),
        base64.b64encode(raw).decode(),
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
        repr(value)[1:-1],
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
    }
    if "-----BEGIN" in value:
        # Each line of a key is as secret as the whole; the first and last lines are common to all keys.
        forms.update(
            line for line in map(str.strip, value.splitlines()) if len(line) > 20 and "-----" not in line
        )
    return frozenset(form for form in forms if len(form) >= _SHORTEST)


class Redactor:
    """Replaces known secrets, and what looks like one, in a text.

    :param secrets: the secrets to take out
    """

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        forms: set[str] = set()
        for secret in secrets:
            forms |= derived_forms(secret.reveal())
        # Longest first, so that a form is not left standing in part where it contains another.
        ordered = sorted(forms, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def __call__(self, text: str) -> str:
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        return _LOOKS_SECRET.sub(HIDDEN, text)

    def sentence(self, text: str, limit: int = 300) -> str:
        """Give a server's own words in one line of at most ``limit`` characters, redacted."""
        # Redacted before it is cut: half a secret is not recognised any more.
        line = _CONTROL.sub(" ", self(text)).strip()
        return line if len(line) <= limit else line[: limit - 1] + "…"
