"""Model servers for paginators: they answer a request from a list of records, without HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_finauth.client.paging.base import Page, PagingStyle, Pull, Request
from airflow_provider_finauth.client.paging.tally import Tally
from airflow_provider_finauth.client.paging.walk import walk_pages

if TYPE_CHECKING:
    from collections.abc import Callable


def records(count: int) -> list[dict[str, Any]]:
    return [{"id": number, "name": f"record {number}"} for number in range(count)]


def pull(paging: PagingStyle, **changes: Any) -> Pull:
    given: dict[str, Any] = {"request": Request("GET", "/things"), "resource": "things", "key": "id"}
    return Pull(paging=paging, **{**given, **changes})


class Model:
    """Notes the requests that a server gets.

    :param serve: makes an answer of a request's parameters
    """

    def __init__(self, serve: Callable[[dict[str, Any]], Any]) -> None:
        self._serve = serve
        self.asked: list[dict[str, Any]] = []

    def __call__(self, request: Request) -> Any:
        params = dict(request.params or {})
        self.asked.append(params)
        return self._serve(params)


class Script:
    """Gives answers in turn, and notes the requests."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)
        self.requests: list[Request] = []

    def __call__(self, request: Request) -> Any:
        self.requests.append(request)
        return self._answers.pop(0)


def walk(pull: Pull, fetch: Callable[[Request], Any], **options: Any) -> list[Page]:
    return list(walk_pages(pull, fetch, **options))


def lenient(pull: Pull, fetch: Callable[[Request], Any]) -> tuple[list[Page], Tally]:
    """Walk on where a guard would raise."""
    tally = Tally()
    return walk(pull, fetch, tally=tally, on_mismatch="warn"), tally


def ids(pages: list[Page]) -> list[Any]:
    return [record["id"] for page in pages for record in page.records]
