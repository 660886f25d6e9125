"""Every error a user can meet.

``permanent`` tells whether trying again can help. The hooks raise permanent errors as subclasses of
Airflow's ``AirflowFailException`` too, so that a task ends without burning its retries.
No error carries a response body, a secret or the query of a URL.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar


class FinauthError(Exception):
    """The base of all errors of this package."""

    permanent: ClassVar[bool] = False


class ConfigurationError(FinauthError):
    """A connection or argument cannot be used as it stands.

    :param conn_id: the connection
    :param field: the connection's field, or the argument, that is to be mended
    """

    permanent = True

    def __init__(self, message: str, *, conn_id: str | None = None, field: str | None = None) -> None:
        super().__init__(message)
        self.conn_id = conn_id
        self.field = field


class ConnectionNotFoundError(FinauthError):
    """Airflow says it has no such connection; it says the same when it could not look.

    Not permanent for that reason: a task tries again.

    :param conn_id: the connection
    """

    def __init__(self, message: str, *, conn_id: str | None = None) -> None:
        super().__init__(message)
        self.conn_id = conn_id


class _AnsweredError(FinauthError):
    """An error told by a server's answer.

    :param status: the HTTP status
    :param code: the server's own error code
    :param request_id: the server's name for the request, for its support
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.request_id = request_id


class InvalidClientError(_AnsweredError):
    """The token endpoint refuses the client's id, secret, scope or login for good."""

    permanent = True


class ReauthorizationRequiredError(FinauthError):
    """Only a person can begin this authorisation again."""

    permanent = True


class SubscriptionKeyError(_AnsweredError):
    """The API gateway refuses the subscription key; the token is not at fault."""

    permanent = True


class ForbiddenError(_AnsweredError):
    """The API knows the caller and does not allow the request."""

    permanent = True


class CrossOriginError(FinauthError):
    """A link or redirect leads to an origin that must not get the credentials; nothing was sent."""

    permanent = True


class ResultTooLargeError(FinauthError):
    """The result is larger than its destination takes."""

    permanent = True


class TokenEndpointError(_AnsweredError):
    """The token endpoint did not answer, or not with a token; another try may help."""


class RateLimitedError(FinauthError):
    """The server asks to wait.

    :param retry_after: seconds to wait, if the server said so
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ApiError(_AnsweredError):
    """The API answered with an error, or not at all."""


class PaginationError(FinauthError):
    """A pull is not whole: a page repeats, a total is not reached, or the walk does not end."""


class StoreUnavailableError(FinauthError):
    """The token store, or Airflow itself, could not be asked."""


class StorageError(FinauthError):
    """A file or an object could not be written or read as things stand; another try may help."""


class LockTimeoutError(StoreUnavailableError):
    """Another task held a token's lock for longer than ``lock_timeout``."""


class TokensNotRenewedError(FinauthError):
    """Some of several connections got no token; the others did.

    :param failures: why, by connection
    """

    def __init__(self, message: str, *, failures: Mapping[str, FinauthError] | None = None) -> None:
        super().__init__(message)
        self.failures = dict(failures or {})
