"""What a pull is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_finauth.exceptions import PaginationError

if TYPE_CHECKING:
    from airflow_provider_finauth.client.paging.rows import Rows

# Where lists lie in the answers of most APIs.
_USUAL_PLACES = ("results", "value", "data", "items", "records")
_MISSING = object()


@dataclass(frozen=True)
class Request:
    """One request of a pull.

    :param method: the HTTP method
    :param path: below the connection's base URL, or an absolute URL of a known origin
    :param params: of the query; None leaves one out
    :param json: the body
    :param headers: the caller's own
    :param idempotent: whether it may be repeated when an answer is lost; None goes by the method
    :param link: ``path`` is a link that the last answer gave, followed unchanged
    :param graphql: the body is a GraphQL document with its variables, the answer its ``data``
    """

    method: str = "GET"
    path: str = "/"
    params: Mapping[str, Any] | None = None
    json: Any = None
    headers: Mapping[str, str] | None = None
    idempotent: bool | None = None
    link: bool = False
    graphql: bool = False

    def with_params(self, params: Mapping[str, Any]) -> Request:
        """Give the same request with further parameters."""
        return replace(self, params={**(self.params or {}), **params})


@dataclass(frozen=True)
class Page:
    """One answer of a list endpoint.

    :param rows: its records, without those dropped as seen before
    :param number: from 1
    :param total: how many records the API says there are, if it says so
    :param duplicates: records whose key came before, where the style does not overlap by design
    :param raw: the decoded answer
    """

    rows: Rows = field(repr=False)
    number: int
    total: int | None = None
    duplicates: int = 0
    raw: Any = field(default=None, repr=False)

    @property
    def records(self) -> list[Any]:
        """The decoded records; numbers with a fraction are ``Decimal``."""
        return self.rows.records


@dataclass(frozen=True)
class Turn:
    """What a walk is told about the answer it decides upon.

    :param request: that was answered
    :param answer: the decoded body
    :param rows: the answer's records, those seen before among them
    :param fresh: how many of them had not been seen
    :param received: how many different records the walk has had so far
    :param total: how many the API says there are
    """

    request: Request
    answer: Any
    rows: list[Any]
    fresh: int
    received: int
    total: int | None

    @property
    def has_all(self) -> bool:
        """Whether the promised total is there; a total that was surpassed is not to be trusted."""
        return self.total is not None and self.received == self.total


class Walk:
    """One walk over a pull's pages; the base of all, and by itself the walk of a single answer.

    :param pull: what is walked
    """

    # Whether a record whose key was seen is dropped whatever it holds.
    drops_repeats = False
    # Whether all keys are remembered, not only the last ones.
    exact = False
    # Whether records that come again are worth reporting; where a walk overlaps by design they are not.
    counts_repeats = True
    # What to look at if fewer records came than were promised.
    doubt = ""

    def __init__(self, pull: Pull) -> None:
        self.pull = pull

    def first(self) -> Request:
        """Give the first request."""
        return self.pull.request

    def rows(self, answer: Any) -> list[Any]:
        """Find the records in an answer.

        :raises PaginationError: there is no list where it should be
        """
        return find_rows(self.pull, answer)

    def next(self, turn: Turn) -> Request | None:
        """Give the request for the next page; None after the last.

        :raises PaginationError: a guard's rule is broken
        """
        return None

    def error(self, text: str) -> PaginationError:
        """Make an error that names the pull."""
        return PaginationError(f"The pull of {self.pull.name} was stopped: {text}")


class PagingStyle(Protocol):
    """How an API divides a list into pages."""

    def begin(self, pull: Pull) -> Walk:
        """Begin a walk."""
        ...


@dataclass(frozen=True, kw_only=True)
class Pull:
    """All pages of one request.

    :param request: the first, without the parameters of paging
    :param paging: the style
    :param records_path: where the list lies in the answer, with dots; None looks in the usual places
    :param key: the member that names a record
    :param total: where the answer tells the number of all records, with dots
    :param resource: what is pulled, for the manifest and error texts
    :param exact: look for duplicates among all keys instead of the last 10,000
    """

    request: Request
    paging: PagingStyle
    records_path: str | None = None
    key: str | None = None
    total: str | None = None
    resource: str = ""
    exact: bool = False

    @property
    def name(self) -> str:
        """The pull in words."""
        return repr(self.resource or self.request.path.split("?", 1)[0])


def dig(value: Any, path: str, default: Any = None) -> Any:
    """Give what lies at a dotted path; a member whose own name has dots (``@odata.count``) is found too."""
    if isinstance(value, Mapping):
        if path in value:
            return value[path]
        name, dot, rest = path.partition(".")
        if dot and name in value:
            return dig(value[name], rest, default)
    return default


def find_rows(pull: Pull, answer: Any) -> list[Any]:
    """Find the list of records in an answer; no content, or a null in its place, is an empty list.

    :raises PaginationError: there is no list
    """
    if answer is None:
        return []
    found: Any = _MISSING
    if pull.records_path is not None:
        found = dig(answer, pull.records_path, _MISSING)
    elif isinstance(answer, list):
        found = answer
    elif isinstance(answer, Mapping):
        found = next((answer[name] for name in _USUAL_PLACES if isinstance(answer.get(name), list)), _MISSING)
        if found is _MISSING:
            found = next((None for name in _USUAL_PLACES if answer.get(name, _MISSING) is None), _MISSING)
    if found is None:
        return []
    if isinstance(found, list):
        return found
    place = f"at {pull.records_path!r}" if pull.records_path else "as the answer, or in its usual places"
    raise PaginationError(
        f"The pull of {pull.name} was stopped: there is no list of records {place}. Name its place with "
        "records_path."
    )
