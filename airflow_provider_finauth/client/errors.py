"""Reading error answers, of whatever shape, into typed errors.

A text made here holds the status, the vendor's code, its own sentence (short and redacted: without it an
OData error cannot be used), the request's id and a hint; never a body, a secret or the query of a URL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_finauth.client.bodies import NotJson, decode_json
from airflow_provider_finauth.client.profile import Failure
from airflow_provider_finauth.exceptions import ApiError, FinauthError, ForbiddenError, RateLimitedError
from airflow_provider_finauth.transport.redaction import Redactor

if TYPE_CHECKING:
    import requests

    from airflow_provider_finauth.client.profile import Profile
    from airflow_provider_finauth.secret import Secret

# What vendors, and the products they run on, call the same thing.
_SENTENCES = (
    "error_description",
    "error_descriptions",
    "errors_descriptions",
    "message",
    "Message",
    "detail",
    "title",
    "error",
    "errors",
    "odata.error",
    "validationString",
    "value",
)
_CODES = ("code", "errorCode", "error_code")
_REQUEST_IDS = ("requestId", "request_id", "telemetryId", "traceId", "correlationId")
_REQUEST_ID_HEADERS = ("X-Request-ID", "Request-Id", "X-Correlation-ID", "apim-request-id")

_DEEPEST = 6
_MOST_LISTED = 5

FORBIDDEN_HINT = "The API knows the caller and does not allow this: ask the vendor to grant it."
_HINTS = {
    400: "Look at the request's parameters.",
    404: "Check the path, the ids in it, and the connection's host.",
    405: "Check the method and the path.",
    409: "It exists already, or has changed since it was read: read it again before writing.",
    501: "The server does not offer this.",
}


def read_failure(
    profile: Profile, response: requests.Response, *, redact: Redactor | None = None, about: Any = None
) -> Failure:
    """Read an error answer whose body has been read.

    :param redact: takes out what must not be shown; the profile's own secrets if not given
    :param about: the part of the body to describe; all of it if not given
    """
    redact = redact or redactor(profile)
    body = _body(response)
    code, sentence = describe(body if about is None else about)
    # The text of a good answer is data.
    if not sentence and not response.ok and _is_plain_text(response):
        sentence = response.content[:2000].decode("utf-8", "replace")
    request = response.request
    return Failure(
        status=response.status_code,
        headers=response.headers,
        body=body,
        text=redact.sentence(sentence),
        code=redact.sentence(code, 80) if code else None,
        method=request.method or "",
        path=redact(profile.path_of(request.url or "")),
        request_id=_request_id(profile, response, body, redact),
    )


def redactor(profile: Profile, *secrets: Secret) -> Redactor:
    """Give what takes a connection's secrets out of a text.

    :param secrets: further ones, such as the token in use
    """
    return Redactor([*profile.secrets, *profile.secret_headers.values(), *secrets])


def _body(response: requests.Response) -> Any:
    try:
        return decode_json(response.content, response.headers.get("Content-Type"))
    except NotJson:
        return None


def _is_plain_text(response: requests.Response) -> bool:
    # HTML is a page for people: its text is no sentence about the error.
    return response.headers.get("Content-Type", "").lower().startswith("text/plain")


def _request_id(
    profile: Profile, response: requests.Response, body: Any, redact: Callable[[str], str]
) -> str | None:
    found = _first_text(body, _REQUEST_IDS) if isinstance(body, Mapping) else None
    for name in _REQUEST_ID_HEADERS:
        found = found or response.headers.get(name)
    if not found and profile.request_id_header:
        found = response.request.headers.get(profile.request_id_header)
    return redact(str(found))[:80] if found else None


def describe(body: Any, *, depth: int = 0) -> tuple[str | None, str]:
    """Find the code and the sentence in a decoded error answer.

    Understood are OAuth's ``{error, error_description}``, ``{error, code, telemetryId}``, API gateways'
    ``{statusCode, message}``, OData's ``{error: {code, message}}``, problem details (RFC 9457),
    GraphQL's ``{errors: [{message, extensions}]}`` and lists of field errors.

    :param depth: how deep the body lies in the answer; at some depth nothing is looked for any more
    :return: code (or None) and sentence (or an empty text)
    """
    if depth > _DEEPEST:
        return None, ""
    if isinstance(body, str):
        return None, body
    if isinstance(body, list):
        parts = [describe(item, depth=depth + 1) for item in body[:_MOST_LISTED]]
        code = next((code for code, _ in parts if code), None)
        return code, "; ".join(sentence for _, sentence in parts if sentence)
    if not isinstance(body, Mapping):
        return None, ""
    code = _first_text(body, _CODES)
    extensions = body.get("extensions")
    if isinstance(extensions, Mapping):
        code = _first_text(extensions, _CODES) or code
    sentence = ""
    for name in _SENTENCES:
        inner_code, inner = describe(body.get(name), depth=depth + 1)
        code = code or inner_code
        if inner and not sentence:
            sentence = inner
    error = body.get("error")
    if code is None and isinstance(error, str) and error and " " not in error:
        code = error
    fields = ", ".join(_fields_at_fault(body, depth))
    return code, f"{sentence} ({fields})" if sentence and fields else sentence or fields


def _fields_at_fault(body: Mapping[str, Any], depth: int) -> list[str]:
    """List the fields at fault, where the answer names them, each with what is said of it."""
    extensions = body.get("extensions")
    details = extensions.get("details") if isinstance(extensions, Mapping) else None
    details = body.get("errorDetails") or details
    found: list[tuple[str | None, Any]] = []
    if isinstance(body.get("errors"), Mapping):
        found = list(body["errors"].items())
    elif isinstance(details, list):
        found = [
            (_first_text(detail, ("field", "parameter")), detail.get("errors") or detail)
            for detail in details
            if isinstance(detail, Mapping)
        ]
    told = ((name, describe(what, depth=depth + 1)[1]) for name, what in found[:_MOST_LISTED])
    return [": ".join(part for part in pair if part) for pair in told if any(pair)]


def _first_text(body: Mapping[str, Any], names: Iterable[str]) -> str | None:
    for name in names:
        value = body.get(name)
        if isinstance(value, str) and value.strip():
            return value.strip()
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
    return None


def tell(profile: Profile, failure: Failure, said: str, hint: str = "") -> str:
    """Put a failure into one text.

    :param said: what happened, such as ``"answered 404"``
    :param hint: what to do next
    """
    code = f" ({failure.code})" if failure.code else ""
    sentence = f": {failure.text.rstrip('.')}" if failure.text and failure.text != failure.code else ""
    request = f" Request id: {failure.request_id}." if failure.request_id else ""
    text = f"Connection {profile.conn_id!r}: {failure.method} {failure.path} {said}{code}{sentence}.{request}"
    return f"{text} {hint}".rstrip()


def error_for(profile: Profile, failure: Failure, *, retry_after: float | None = None) -> FinauthError:
    """Make the typed error of an error answer: the vendor's reading first, then the common one.

    :param retry_after: the wait that the server named
    """
    if profile.judge is not None and (judged := profile.judge(failure)) is not None:
        return judged
    said = f"answered {failure.status}"
    if failure.status == 429:
        text = tell(profile, failure, said, rate_hint(retry_after))
        return RateLimitedError(text, retry_after=retry_after)
    told: dict[str, Any] = {
        "status": failure.status,
        "code": failure.code,
        "request_id": failure.request_id,
    }
    if failure.status == 403:
        return ForbiddenError(tell(profile, failure, said, FORBIDDEN_HINT), **told)
    if failure.status == 401:
        return ApiError(tell(profile, failure, said, unauthorized_hint(profile)), **told)
    hint = _HINTS.get(failure.status, "")
    if 300 <= failure.status < 400:
        hint = "A redirect of such a request is not followed: use the address that the API documents."
    elif failure.status >= 500 and not hint:
        hint = "The server is at fault; try again later."
    return ApiError(tell(profile, failure, said, hint), **told)


def rate_hint(wait: float | None) -> str:
    """Say what to do about a limit that stays."""
    when = "Try again later." if wait is None else f"It asks to wait {wait:.0f} s."
    return f"{when} If this happens often, set requests_per_second or max_concurrency in the connection."


def unauthorized_hint(profile: Profile) -> str:
    """Say what to do about a 401 that stays."""
    if profile.has_fixed_key:
        return "A fixed key cannot be refreshed: renew it with the vendor, then put it into the connection."
    return (
        "A new token did not help, or none could be had so soon after the last: check that the client may "
        "use this API, and that the connection's host and token endpoint belong to the same environment."
    )
