"""The client of one connection."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import requests

from airflow_provider_finauth.client.answers import any_body, data_of, decoded, opened, without_errors
from airflow_provider_finauth.client.bodies import encode_request
from airflow_provider_finauth.client.exchange import Exchange
from airflow_provider_finauth.client.graphql import operation_kind
from airflow_provider_finauth.client.links import resolve_link
from airflow_provider_finauth.client.paging.ahead import Ahead
from airflow_provider_finauth.client.paging.walk import walk_pages
from airflow_provider_finauth.client.params import encode_params
from airflow_provider_finauth.client.session import AuthenticatedSession
from airflow_provider_finauth.client.stopping import UNSTOPPABLE, Stop
from airflow_provider_finauth.exceptions import ConfigurationError
from airflow_provider_finauth.transport.clock import SYSTEM_CLOCK

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_finauth.auth.authorizer import Authorizer
    from airflow_provider_finauth.auth.cooldown import CoolDowns
    from airflow_provider_finauth.client.paging.answer import Answer
    from airflow_provider_finauth.client.paging.base import Page, Pull, Request
    from airflow_provider_finauth.client.paging.tally import Tally
    from airflow_provider_finauth.client.paging.walk import OnMismatch
    from airflow_provider_finauth.client.params import Params
    from airflow_provider_finauth.client.profile import Profile
    from airflow_provider_finauth.transport.clock import Clock

_T = TypeVar("_T")

# Those that may be sent again although they may have been processed.
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class ApiClient:
    """One authenticated conversation with an API; may be used by several threads.

    :param profile: what is particular to the connection
    :param authorizer: gives the ``Authorization`` header of each request
    :param clock: what tells the time and waits
    :param session_class: what :attr:`session` is one of
    :param cooldowns: what servers have asked for; None where nothing is shared
    :raises ConfigurationError: a certificate cannot be used
    """

    def __init__(
        self,
        profile: Profile,
        authorizer: Authorizer,
        *,
        clock: Clock = SYSTEM_CLOCK,
        session_class: type[AuthenticatedSession] = AuthenticatedSession,
        cooldowns: CoolDowns | None = None,
    ) -> None:
        self._profile = profile
        self._authorizer = authorizer
        self._clock = clock
        self._session = session_class(profile, authorizer, clock=clock, cooldowns=cooldowns)

    @property
    def session(self) -> AuthenticatedSession:
        """The session, for whoever wants plain ``requests``."""
        return self._session

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        json: Any = None,
        data: Mapping[str, Any] | bytes | str | None = None,
        headers: Mapping[str, str | None] | None = None,
        idempotent: bool | None = None,
        accept_status: Collection[int] = (),
    ) -> requests.Response:
        """Send a request and give its checked answer, whose body has been read.

        :param path: below the connection's base URL, or an absolute URL of a known origin
        :param params: of the query: booleans go out as ``true`` and ``false``, None is left out
        :param json: a body; a ``Decimal`` goes out as a number
        :param data: a body, or the fields of a form
        :param headers: None as a value removes a header of the connection
        :param idempotent: whether it may be repeated when an answer is lost; None goes by the method: GET and
            HEAD may
        :param accept_status: statuses besides 2xx that are no errors
        :raises FinauthError: of a kind that tells what to do
        """
        return self._exchange(
            method,
            self.url(path),
            lambda _, response: response,
            params=params,
            json=json,
            data=data,
            headers=headers,
            idempotent=idempotent,
            accept_status=accept_status,
        )

    def get_json(
        self,
        path: str,
        *,
        params: Params | None = None,
        headers: Mapping[str, str | None] | None = None,
    ) -> Any:
        """Get a JSON answer: numbers with a fraction as ``Decimal``; None where the server has no content.

        :raises FinauthError: of a kind that tells what to do
        """
        return self._exchange("GET", self.url(path), decoded, params=params, headers=headers)

    def request_json(self, method: str, path: str, **kwargs: Any) -> Any:
        """Send a request and decode its response: JSON with exact numbers, else a string; None if it is
        empty.

        :param kwargs: as for :meth:`request`
        :raises FinauthError: of a kind that tells what to do
        """
        return self._exchange(method, self.url(path), any_body, **kwargs)

    def graphql(
        self,
        query: str,
        variables: Mapping[str, Any] | None = None,
        *,
        path: str,
        operation_name: str | None = None,
        idempotent: bool | None = None,
        allow_partial: bool = False,
    ) -> Any:
        """Run a GraphQL document and give its ``data``.

        :param operation_name: which operation, where the document has several
        :param idempotent: whether it may be repeated when an answer is lost; None repeats queries only
        :param allow_partial: give ``{"data": …, "errors": […]}`` and do not raise where some fields failed
        :raises FinauthError: the answer has errors
        """
        body: dict[str, Any] = {"query": query}
        if variables:
            body["variables"] = dict(variables)
        if operation_name is not None:
            body["operationName"] = operation_name
        answer = self._graphql(self.url(path), body, None, idempotent, allow_partial)
        if allow_partial:
            return {"data": answer.get("data"), "errors": answer.get("errors") or []}
        return answer.get("data")

    def pages(
        self,
        pull: Pull,
        *,
        limit: int | None = None,
        tally: Tally | None = None,
        on_mismatch: OnMismatch = "raise",
        bookmarks: bool = False,
        resume: Mapping[str, Any] | None = None,
    ) -> Iterator[Page]:
        """Walk a pull page by page; where that gains time, the next ones are fetched meanwhile.

        :param limit: stop after so many records, without asking for more
        :param tally: counts what the guards meet
        :param on_mismatch: what to do when a guard's rule is broken: ``raise``, or ``warn`` and end the pull
            there as if it were whole
        :param bookmarks: let each page carry a bookmark, where the paging has one
        :param resume: the bookmark of the last page that needs not come again
        :raises FinauthError: a request failed, or a guard of the paging was broken
        """
        if pull.parts is not None:
            parts = pull.parts(self.records)
            return self._pages_of_parts(parts, limit=limit, tally=tally, on_mismatch=on_mismatch)
        source = Ahead(
            lambda request, stop: self._answer(request, pull, stop),
            max_concurrency=self._profile.max_concurrency,
            may_be_early=_is_safe,
        )
        return walk_pages(
            pull,
            source,
            limit=limit,
            tally=tally,
            on_mismatch=on_mismatch,
            bookmarks=bookmarks,
            resume=resume,
        )

    def _pages_of_parts(
        self, parts: Iterable[Pull], *, limit: int | None, tally: Tally | None, on_mismatch: OnMismatch
    ) -> Iterator[Page]:
        for part in parts:
            if limit is not None and limit <= 0:
                return
            for page in self.pages(part, limit=limit, tally=tally, on_mismatch=on_mismatch):
                if limit is not None:
                    limit -= len(page.rows)
                yield page

    def records(self, pull: Pull, *, limit: int | None = None) -> Iterator[Any]:
        """Walk a pull record by record; see :meth:`pages`."""
        for page in self.pages(pull, limit=limit):
            yield from page.records

    def url(self, path: str) -> str:
        """Return the absolute URL of a path below the base URL; an absolute URL is left as it is.

        :raises ConfigurationError: it is no string
        """
        if not isinstance(path, str):
            raise ConfigurationError(
                f"Argument 'path' must be a string, not a {type(path).__name__}.", field="path"
            )
        if path.lower().startswith(("http://", "https://")):
            return path
        return f"{self._profile.base_url}/{path.removeprefix('/')}"

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _answer(self, request: Request, pull: Pull, stop: Stop) -> Answer:
        """Fetch one answer of a pull."""
        if request.link:
            base = request.base or self._profile.base_url
            url = resolve_link(request.path, current=base, known=self._profile.known_origins)
        else:
            url = self.url(request.path)
        if request.graphql:
            how, read = pull.opening("data"), data_of
        else:
            how, read = pull.opening(), opened
        return self._exchange(
            "POST" if request.graphql else request.method,
            url,
            lambda exchange, response: read(exchange, response, how),
            params=None if request.graphql else request.params,
            json=request.json,
            headers=request.headers,
            idempotent=_is_safe(request),
            stop=stop,
        )

    def _graphql(
        self,
        url: str,
        body: Mapping[str, Any],
        headers: Mapping[str, str | None] | None,
        idempotent: bool | None,
        allow_partial: bool,
    ) -> Any:
        if idempotent is None:
            idempotent = _repeatable(body)

        def read(exchange: Exchange[Any], response: requests.Response) -> Any:
            return without_errors(exchange, response, allow_partial=allow_partial)

        return self._exchange("POST", url, read, json=body, headers=headers, idempotent=idempotent)

    def _exchange(
        self,
        method: str,
        url: str,
        read: Callable[[Exchange[_T], requests.Response], _T],
        *,
        params: Params | None = None,
        json: Any = None,
        data: Mapping[str, Any] | bytes | str | None = None,
        headers: Mapping[str, str | None] | None = None,
        idempotent: bool | None = None,
        accept_status: Collection[int] = (),
        stop: Stop = UNSTOPPABLE,
    ) -> _T:
        # Anything but a text is refused with the methods that HTTP does not know.
        method = str(method).upper()
        sent: dict[str, Any] = dict(headers or {})
        names = {name.lower() for name in sent}
        if json is not None:
            data = encode_request(json)
            if "content-type" not in names:
                sent["Content-Type"] = "application/json"
        elif isinstance(data, Mapping) and "content-type" not in names:
            # Said here: a Content-Type among the connection's headers would keep requests from saying it.
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        request = requests.Request(method, url, params=encode_params(params), data=data, headers=sent)
        exchange = Exchange(
            profile=self._profile,
            session=self._session,
            authorizer=self._authorizer,
            clock=self._clock,
            request=request,
            safe=method in _SAFE_METHODS if idempotent is None else idempotent,
            accept_status=accept_status,
            read=read,
            stop=stop,
        )
        return exchange.perform()


def _is_safe(request: Request) -> bool:
    """Tell whether a request may be sent again, or without being needed."""
    if request.idempotent is not None:
        return request.idempotent
    return _repeatable(request.json) if request.graphql else request.method.upper() in _SAFE_METHODS


def _repeatable(body: Mapping[str, Any]) -> bool:
    # What cannot be told apart from a mutation is treated as one.
    return operation_kind(body["query"], body.get("operationName")) == "query"
