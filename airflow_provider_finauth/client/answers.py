"""Reading good answers: JSON, and GraphQL's that say 200 and fail all the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_finauth.client import errors, graphql
from airflow_provider_finauth.client.bodies import NotJson, decode_json, is_json, json_text
from airflow_provider_finauth.client.exchange import Exchange, Refused
from airflow_provider_finauth.client.paging.answer import MISSING, Answer
from airflow_provider_finauth.exceptions import ApiError, FinauthError, ForbiddenError, RateLimitedError
from airflow_provider_finauth.transport.retry import Again
from airflow_provider_finauth.transport.retry_after import parse_retry_after

if TYPE_CHECKING:
    import requests

    from airflow_provider_finauth.client.paging.answer import Opening
    from airflow_provider_finauth.client.profile import Failure

_T = TypeVar("_T")


def decoded(exchange: Exchange[Any], response: requests.Response) -> Any:
    """Decode a JSON answer; None where there is no content.

    :raises ApiError: it is none
    :raises Again: it is labelled as JSON and broken, as an answer that was cut short is
    """
    if response.status_code in (204, 205):
        return None
    return _read(exchange, response, lambda text: decode_json(text, None))


def any_body(exchange: Exchange[Any], response: requests.Response) -> Any:
    """Decode a body of any kind, JSON as :func:`decoded` does: else a string, or None where there is none."""
    if not response.content:
        return None
    return decoded(exchange, response) if is_json(response.headers.get("Content-Type")) else response.text


def opened(exchange: Exchange[Any], response: requests.Response, how: Opening) -> Answer:
    """Open a JSON answer without decoding it; errors as those of :func:`decoded`."""
    url, date = response.url, response.headers.get("Date")
    if response.status_code in (204, 205):
        return Answer(b"null", None, url=url, date=date)
    return _read(exchange, response, lambda text: Answer.read(text, how, url=url, date=date))


def _read(exchange: Exchange[Any], response: requests.Response, read: Callable[[bytes], _T]) -> _T:
    kind = response.headers.get("Content-Type")
    try:
        return read(json_text(response.content, kind))
    except NotJson as fault:
        problem = exchange.redactor().sentence(str(fault), 120)
    failure = exchange.failure(response)
    error = ApiError(
        errors.tell(
            exchange.profile,
            failure,
            f"answered {failure.status}, but not with JSON: {problem}",
            "Check the connection's host and the path: they may lead to a page for people.",
        ),
        status=failure.status,
        request_id=failure.request_id,
    )
    if exchange.safe and is_json(kind):
        raise Again(error)
    raise error


def without_errors(
    exchange: Exchange[Any], response: requests.Response, *, allow_partial: bool
) -> Mapping[str, Any]:
    """Decode a GraphQL answer, and do what its errors ask for.

    :param allow_partial: some fields may have failed, as long as there is data
    :raises FinauthError: an error that stands
    """
    answer = decoded(exchange, response)
    whole: Mapping[str, Any] = answer if isinstance(answer, Mapping) else {}
    _heed_errors(
        exchange,
        response,
        whole.get("errors"),
        answered="data" in whole,
        has_data=whole.get("data") is not None,
        allow_partial=allow_partial,
    )
    return whole


def data_of(exchange: Exchange[Any], response: requests.Response, how: Opening) -> Answer:
    """Open the ``data`` of a GraphQL answer, and do what its errors ask for.

    :raises FinauthError: an error that stands
    """
    answer = opened(exchange, response, how)
    _heed_errors(
        exchange,
        response,
        answer.dig("errors"),
        answered=answer.part("data") is not MISSING,
        has_data=answer.has("data"),
        allow_partial=False,
    )
    return answer.below("data")


def _heed_errors(
    exchange: Exchange[Any],
    response: requests.Response,
    found: Any,
    *,
    answered: bool,
    has_data: bool,
    allow_partial: bool,
) -> None:
    """Do what a GraphQL answer's errors ask for.

    A request that the server stopped before it was run may be sent again, whatever it was. Only an answer
    without ``data`` says so: a null there may be a mutation that was run (GraphQL specification, section
    "Response Format").
    """
    if not found and answered:
        return
    listed = found if isinstance(found, list) and found else [found]
    action, deciding = graphql.decide(listed, exchange.profile.graphql_codes)
    if allow_partial and has_data and action in ("fail", "forbidden"):
        return
    said = "answered with errors" if found else "answered without data"
    failure = exchange.failure(response, about=[deciding, *(each for each in listed if each is not deciding)])
    wait = None
    if action == "wait":
        named = parse_retry_after(graphql.retry_after_of(deciding), now=exchange.clock.wall())
        wait = exchange.named_wait(response) if named is None else named
        if wait is not None:
            exchange.session.cooling.note(wait)
    error = _typed(exchange, failure, said, action, wait)
    untouched = exchange.safe or not answered
    if action == "authenticate" and untouched:
        raise Refused(error)
    if (action == "wait" and untouched) or (action == "retry" and exchange.safe):
        raise Again(error, retry_after=wait, limited=action == "wait")
    raise error


def _typed(
    exchange: Exchange[Any], failure: Failure, said: str, action: graphql.Action, wait: float | None
) -> FinauthError:
    profile = exchange.profile
    if profile.judge is not None and (judged := profile.judge(failure)) is not None:
        return judged
    told: dict[str, Any] = {
        "status": failure.status,
        "code": failure.code,
        "request_id": failure.request_id,
    }
    if action == "wait":
        hint = errors.rate_hint(wait)
        return RateLimitedError(errors.tell(profile, failure, said, hint), retry_after=wait)
    if action == "forbidden":
        return ForbiddenError(errors.tell(profile, failure, said, errors.FORBIDDEN_HINT), **told)
    hint = errors.unauthorized_hint(profile) if action == "authenticate" else ""
    return ApiError(errors.tell(profile, failure, said, hint), **told)
