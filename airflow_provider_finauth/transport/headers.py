"""What of a request HTTP can carry (RFC 9110 sections 5.1, 5.5 and 9.1).

The HTTP libraries' own errors show the value that they refuse, or their frames show all headers.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# No blank in front, which would not arrive.
_VALUE = re.compile(r"(?:[\x21-\x7e\xa1-\xff][\t\x20-\x7e\xa0-\xff]*)?")


def is_method(method: object) -> bool:
    """Tell whether this can be a request's method."""
    return TOKEN.fullmatch(_text(method)) is not None


def unsendable_header(headers: Mapping[str, str | bytes | None]) -> str | None:
    """Give the name of a header that cannot be sent, if there is one; a value of None is not sent.

    It does not raise: the frame of an error would show the value.
    """
    for name, value in headers.items():
        if value is not None and not (_is_name(name) and _is_value(value)):
            return _text(name)
    return None


# The same few with each request. Values are looked at each time: they may be secrets, which are not kept.
@lru_cache(maxsize=256)
def _is_name(name: str | bytes) -> bool:
    return TOKEN.fullmatch(_text(name)) is not None


def _is_value(value: object) -> bool:
    return isinstance(value, (str, bytes)) and _VALUE.fullmatch(_text(value)) is not None


def _text(value: object) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
