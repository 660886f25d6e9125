"""What leaves a hook: permanent errors that Airflow does not retry.

Each permanent error has a subclass here that is an ``AirflowFailException`` too, so that a task, ``@task``
functions that use a hook included, ends at its first try. Code that catches the plain class catches both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_finauth import exceptions
from airflow_provider_finauth.exceptions import FinauthError

T = TypeVar("T")


class ConfigurationError(exceptions.ConfigurationError, AirflowFailException):
    """A connection or argument cannot be used as it stands."""


class InvalidClientError(exceptions.InvalidClientError, AirflowFailException):
    """The token endpoint refuses the client's id, secret, scope or login for good."""


class ReauthorizationRequiredError(exceptions.ReauthorizationRequiredError, AirflowFailException):
    """Only a person can begin this authorisation again."""


class SubscriptionKeyError(exceptions.SubscriptionKeyError, AirflowFailException):
    """The API gateway refuses the subscription key; the token is not at fault."""


class ForbiddenError(exceptions.ForbiddenError, AirflowFailException):
    """The API knows the caller and does not allow the request."""


class CrossOriginError(exceptions.CrossOriginError, AirflowFailException):
    """A link or redirect leads to an origin that must not get the credentials; nothing was sent."""


class ResultTooLargeError(exceptions.ResultTooLargeError, AirflowFailException):
    """The result is larger than its destination takes."""


class TokensNotRenewedError(exceptions.TokensNotRenewedError, AirflowFailException):
    """None of the connections that got no token will get one by another try."""

    permanent = True


_FINAL: dict[type[FinauthError], type[FinauthError]] = {
    exceptions.ConfigurationError: ConfigurationError,
    exceptions.InvalidClientError: InvalidClientError,
    exceptions.ReauthorizationRequiredError: ReauthorizationRequiredError,
    exceptions.SubscriptionKeyError: SubscriptionKeyError,
    exceptions.ForbiddenError: ForbiddenError,
    exceptions.CrossOriginError: CrossOriginError,
    exceptions.ResultTooLargeError: ResultTooLargeError,
}


def for_airflow(error: FinauthError) -> FinauthError:
    """Give the error that Airflow understands: a permanent one as an ``AirflowFailException``.

    Text, attributes and traceback stay. An error that another try may mend, or that is one of ours already,
    is given back as it is.
    """
    if not error.permanent or isinstance(error, AirflowFailException):
        return error
    final = next((_FINAL[base] for base in type(error).__mro__ if base in _FINAL), None)
    if final is None:
        return error
    # Not by the constructor: an error made elsewhere may have been given more than a message.
    converted = final.__new__(final, *error.args)
    converted.args = error.args
    converted.__dict__.update(error.__dict__)
    return converted.with_traceback(error.__traceback__)


@contextmanager
def airflow_errors() -> Iterator[None]:
    """Let permanent errors leave as subclasses of ``AirflowFailException``; usable as a decorator too.

    A generator function must not be decorated, since its body runs later: use :func:`guarded`.
    """
    try:
        yield
    except FinauthError as error:
        converted = for_airflow(error)
        if converted is error:
            raise
        raise converted from error.__cause__


def guarded(items: Iterable[T]) -> Iterator[T]:
    """Give the items; an error met while fetching one leaves as :func:`airflow_errors` makes it.

    Closing this iterator closes the one inside.
    """
    with airflow_errors():
        yield from items
