"""Reading good answers: JSON, and GraphQL's that say 200 and fail all the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_finauth.client import errors, graphql
from airflow_provider_finauth.client.bodies import NotJson, decode_json, is_json
from airflow_provider_finauth.client.exchange import Exchange, Refused
from airflow_provider_finauth.client.retry import Again, parse_retry_after
from airflow_provider_finauth.exceptions import ApiError, FinauthError, ForbiddenError, RateLimitedError

if TYPE_CHECKING:
    import requests

    from airflow_provider_finauth.client.profile import Failure


def decoded(exchange: Exchange[Any], response: requests.Response) -> Any:
    """Decode a JSON answer; None where there is no content.

    :raises ApiError: it is none
    :raises Again: it is labelled as JSON and broken, as an answer that was cut short is
    """
    if response.status_code in (204, 205):
        return None
    kind = response.headers.get("Content-Type")
    try:
        return decode_json(response.content, kind)
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
    """Read a GraphQL answer, and do what its errors ask for.

    A request that the server stopped before it was run may be sent again, whatever it was. Only an answer
    without ``data`` says so: a null there may be a mutation that was run (GraphQL specification, section
    "Response Format").

    :param allow_partial: some fields may have failed, as long as there is data
    :raises FinauthError: an error that stands
    """
    answer = decoded(exchange, response)
    whole: Mapping[str, Any] = answer if isinstance(answer, Mapping) else {}
    found = whole.get("errors")
    if not found and "data" in whole:
        return whole
    listed = found if isinstance(found, list) and found else [found]
    action, deciding = graphql.decide(listed, exchange.profile.graphql_codes)
    has_data = whole.get("data") is not None
    if allow_partial and has_data and action in ("fail", "forbidden"):
        return whole
    said = "answered with errors" if found else "answered without data"
    failure = exchange.failure(response, about=[deciding, *(each for each in listed if each is not deciding)])
    wait = None
    if action == "wait":
        named = parse_retry_after(graphql.retry_after_of(deciding), now=exchange.clock.wall())
        wait = exchange.named_wait(response) if named is None else named
        if wait is not None:
            exchange.session.cooling.note(wait)
    error = _typed(exchange, failure, said, action, wait)
    untouched = exchange.safe or "data" not in whole
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
