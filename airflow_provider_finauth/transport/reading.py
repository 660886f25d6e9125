"""Reading an answer's body: bounded, whole, and in time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import urllib3

if TYPE_CHECKING:
    import requests

_CHUNK = 64 * 1024
# How long past the deadline what has arrived is still taken: a process that was stopped meanwhile finds an
# answer that may have cost a refresh token.
_GRACE_SECONDS = 1.0


class TransportFault(OSError):
    """An answer could not be read to its end."""


class ResponseTooLarge(TransportFault):
    """The body is larger than the limit.

    :param limit: in bytes
    """

    def __init__(self, limit: int) -> None:
        super().__init__(f"the answer has more than {limit} bytes")
        self.limit = limit


class TruncatedResponse(TransportFault):
    """The connection ended before the body did."""


class DeadlineExceeded(TransportFault):
    """The body did not arrive in time."""


def read_bounded(response: requests.Response, limit: int, *, deadline: float | None = None) -> bytes:
    """Read the body of a response that was asked for with ``stream=True``, and keep it in the response.

    A body that compresses well is bounded by its size after decompression.

    :param limit: the most bytes to accept
    :param deadline: a value of ``time.monotonic()`` after which to give up; what is there then is still read
    :raises ResponseTooLarge: there are more bytes
    :raises TruncatedResponse: fewer bytes came than the server promised
    :raises DeadlineExceeded: the deadline has passed
    """
    chunks: list[bytes] = []
    size = 0
    noticed: float | None = None
    try:
        # Read as it comes: a server that sends a byte now and then must meet the deadline too.
        while chunk := response.raw.read1(_CHUNK, decode_content=True):
            size += len(chunk)
            if size > limit:
                raise ResponseTooLarge(limit)
            if deadline is not None and (now := time.monotonic()) > deadline:
                noticed = noticed or now
                if now > noticed + _GRACE_SECONDS:
                    raise DeadlineExceeded("the answer did not arrive in time")
            chunks.append(chunk)
    except TransportFault:
        response.close()
        raise
    except urllib3.exceptions.ReadTimeoutError:
        response.close()
        raise DeadlineExceeded("the answer did not arrive in time") from None
    except (urllib3.exceptions.HTTPError, OSError):
        # The library's own text may name the URL with its query.
        response.close()
        raise TruncatedResponse("the connection ended before the answer was whole") from None
    body = b"".join(chunks)
    response._content = body
    response._content_consumed = True  # type: ignore[attr-defined]
    response.close()
    return body
