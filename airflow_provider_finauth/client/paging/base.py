"""What a pull is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from airflow_provider_finauth.client.paging.answer import opening
from airflow_provider_finauth.exceptions import ConfigurationError, PaginationError

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_finauth.client.paging.answer import Answer, Opening
    from airflow_provider_finauth.client.paging.changes import Changes, Cut
    from airflow_provider_finauth.client.paging.rows import Rows

# Gives the records of another pull.
Read = Callable[["Pull"], Iterator[Any]]
# Given what reads, a moment (None for the beginning) and the notes of former pulls, which it may change:
# they are kept when the records are where they were wanted.
Reread = Callable[[Read, "datetime | None", dict[str, Any]], "Iterable[Pull]"]

# Where lists lie in the answers of most APIs.
_USUAL_PLACES = ("results", "value", "data", "items", "records")


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
    :param base: what answered with the link, which may be relative to it
    :param graphql: the body is a GraphQL document with its variables, the answer its ``data``
    """

    method: str = "GET"
    path: str = "/"
    params: Mapping[str, Any] | None = None
    json: Any = None
    headers: Mapping[str, str] | None = None
    idempotent: bool | None = None
    link: bool = False
    base: str = ""
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
    :param answer: what they came in
    :param bookmark: where a walk goes on after it; None after the last page, where the style cannot tell, or
        where none was asked for. It is small, made of JSON's types, and holds no link
    """

    rows: Rows = field(repr=False)
    number: int
    total: int | None = None
    duplicates: int = 0
    answer: Answer | None = field(default=None, repr=False)
    bookmark: Mapping[str, Any] | None = field(default=None, repr=False)

    @property
    def records(self) -> list[Any]:
        """The decoded records; numbers with a fraction are ``Decimal``."""
        return self.rows.records

    @property
    def body(self) -> Any:
        """The decoded answer."""
        return None if self.answer is None else self.answer.value


@runtime_checkable
class Source(Protocol):
    """Where a walk gets its answers from."""

    def get(self, request: Request) -> Answer:
        """Give the answer to a request.

        :raises FinauthError: there is none
        """
        ...

    def expect(self, requests: Iterator[Request]) -> None:
        """Hear what will be asked for next, in this order: the first surely, the others likely.

        The requests are lazy, and may be many. What was heard before and not asked for does not count any
        more.
        """
        ...

    def close(self) -> None:
        """Stop: nothing more will be asked for."""
        ...


class Mismatch(PaginationError):
    """A guard's rule is broken: the pull may not be whole.

    :param check: the guard, as a tally names it
    :param amount: what is counted there
    :param repeated: the page that broke it is one that came before
    """

    def __init__(self, message: str, *, check: str, amount: int = 1, repeated: bool = False) -> None:
        super().__init__(message)
        self.check = check
        self.amount = amount
        self.repeated = repeated


@dataclass(frozen=True)
class Turn:
    """What a walk is told about the answer it decides upon.

    :param request: that was answered
    :param answer: what it decides by
    :param rows: the answer's records, those seen before among them
    :param fresh: how many of them had not been seen
    :param received: how many different records the walk has had so far
    :param total: how many the API says there are
    """

    request: Request
    answer: Answer
    rows: Rows
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
    # Members of the records that the walk looks at, besides their key.
    members: tuple[str, ...] = ()

    def __init__(self, pull: Pull) -> None:
        self.pull = pull
        # Requests that only look whether there is more, or whether the API counts as it should.
        self.probes = 0
        # Keys, with their versions, of records that a resumed walk will meet again.
        self.met: dict[Any, Any] = {}

    def first(self) -> Request:
        """Give the first request."""
        return self.pull.request

    def columns(self) -> tuple[str, ...]:
        """Name the members of the records that are looked at; without any, no record is opened."""
        own = (self.pull.key, self.pull.version) if self.pull.key is not None else ()
        return (*(member for member in own if member is not None), *self.members)

    def rows(self, answer: Answer) -> Rows:
        """Find the records in an answer.

        :raises PaginationError: there is no list where it should be
        """
        return find_rows(self.pull, answer)

    def next(self, turn: Turn) -> Request | None:
        """Give the request for the next page; None after the last.

        :raises Mismatch: a guard's rule is broken
        :raises PaginationError: the answer cannot be walked
        """
        return None

    def foresee(self, turn: Turn) -> Iterator[Request]:
        """Give requests that are likely to follow the next one, as far as they can be told already."""
        return iter(())

    def bookmark(self) -> dict[str, Any] | None:
        """Say where the request that :meth:`next` gave last begins; None where that cannot be told.

        Called after each :meth:`next` or never.
        """
        return None

    def resume(self, bookmark: Mapping[str, Any]) -> Request:
        """Give the first request of a walk that goes on from a bookmark.

        :raises ConfigurationError: the style gives none
        """
        raise ConfigurationError(
            f"The pull of {self.pull.name} cannot be resumed: its paging has no place to go on from."
        )

    def broken(self, check: str, text: str, *, amount: int = 1, repeated: bool = False) -> Mismatch:
        """Make the error of a guard; see :class:`Mismatch`."""
        return Mismatch(self._sentence(text), check=check, amount=amount, repeated=repeated)

    def error(self, text: str) -> PaginationError:
        """Make the error of an answer that cannot be walked, as the pull is described."""
        return PaginationError(self._sentence(text))

    def _sentence(self, text: str) -> str:
        return f"The pull of {self.pull.name} was stopped: {text}"


class PagingStyle(Protocol):
    """How an API divides a list into pages."""

    def begin(self, pull: Pull) -> Walk:
        """Begin a walk."""
        ...

    def members(self) -> tuple[str, ...]:
        """Name the members of an answer that a walk looks at, with dots."""
        return ()

    def lists(self) -> tuple[str, ...]:
        """Name the places where the records may lie, if the style knows them better than the pull."""
        return ()


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
    :param version: the member that tells which of two states of a record is the newer: of a key that comes
        again, an equal version is a duplicate, a newer one is delivered, an older one is dropped
    :param changes: what tells when a record changed; None where that is not known
    :param cut: the time that the records are held to, where the API's filter takes in more
    :param parts: which pulls this one is made of, where it is several, each walked to its end
    :param reread: which pulls bring what has changed since a moment, where the API does not filter by changes
    :param relabel: makes what is delivered of a page's records
    """

    request: Request
    paging: PagingStyle
    records_path: str | None = None
    key: str | None = None
    total: str | None = None
    resource: str = ""
    exact: bool = False
    version: str | None = None
    changes: Changes | None = None
    cut: Cut | None = None
    parts: Callable[[Read], Iterable[Pull]] | None = None
    reread: Reread | None = None
    relabel: Callable[[Rows], Rows] | None = None

    def opening(self, root: str = "") -> Opening:
        """Say what a walk looks for in an answer, so that it is found in one pass.

        :param root: where the answer lies in the body
        """
        own = (self.records_path,) if self.records_path is not None else _USUAL_PLACES
        lists = self.paging.lists() or own
        members = (*([self.total] if self.total is not None else []), *self.paging.members())
        if not root:
            return opening(lists, members)
        return opening(
            tuple(f"{root}.{path}" for path in lists),
            (root, "errors", *(f"{root}.{path}" for path in members)),
        )

    @property
    def name(self) -> str:
        """The pull in words."""
        return repr(self.resource or self.request.path.split("?", 1)[0])


def find_rows(pull: Pull, answer: Answer) -> Rows:
    """Find the records in an answer; no content, or a null in their place, is an empty list.

    :raises PaginationError: there is no list
    """
    rows: Rows | None
    if answer.parts is None or (pull.records_path is None and isinstance(answer.parts, list)):
        rows = answer.rows()
    elif pull.records_path is not None:
        rows = answer.rows(pull.records_path)
    else:
        found = [(place, rows) for place in _USUAL_PLACES if (rows := answer.rows(place)) is not None]
        # A list comes before a null.
        found.sort(key=lambda pair: answer.part(pair[0]) is None)
        rows = found[0][1] if found else None
    if rows is not None:
        return rows
    place = f"at {pull.records_path!r}" if pull.records_path else "as the answer, or in its usual places"
    raise PaginationError(
        f"The pull of {pull.name} was stopped: there is no list of records {place}. Name its place with "
        "records_path."
    )
