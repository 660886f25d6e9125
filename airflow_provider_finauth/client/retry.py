"""When a request is sent again.

A failure is repeated only where that cannot do the work twice: for every request where the failure came
before anything was sent, or the server says that it did nothing (429); for safe ones (GET, HEAD, GraphQL
queries, or what the caller calls idempotent) also after a 5xx, a time-out or a broken answer.
"""

from __future__ import annotations

import ssl

import requests
import urllib3

from airflow_provider_finauth.transport.reading import ResponseTooLarge, TransportFault

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# 501 and 505 say that the server cannot do it at all.
_PASSING_STATUSES = frozenset({408, 425, *range(500, 600)} - {501, 505})


def is_passing(status: int) -> bool:
    """Tell whether a status is one that a safe request is repeated after."""
    return status in _PASSING_STATUSES


def before_sending(error: BaseException) -> bool:
    """Tell whether a transport error came before a byte of the request was sent."""
    if isinstance(error, requests.exceptions.ConnectTimeout | requests.exceptions.ProxyError):
        return True
    if not isinstance(error, requests.exceptions.ConnectionError) or not error.args:
        return False
    reason = getattr(error.args[0], "reason", error.args[0])
    # A name that does not resolve is a NewConnectionError too.
    return isinstance(reason, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError)


def passes_by(error: BaseException) -> bool:
    """Tell whether a transport error may be gone at the next try."""
    if isinstance(error, TransportFault):
        return not isinstance(error, ResponseTooLarge)
    if isinstance(error, requests.exceptions.SSLError):
        return not _is_distrust(error)
    return isinstance(
        error,
        requests.exceptions.ConnectionError
        | requests.exceptions.Timeout
        | requests.exceptions.ChunkedEncodingError
        | requests.exceptions.ContentDecodingError,
    )


def _is_distrust(error: BaseException) -> bool:
    reason = getattr(error.args[0], "reason", error.args[0]) if error.args else None
    causes = (reason, *getattr(reason, "args", ()))
    return any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes)
