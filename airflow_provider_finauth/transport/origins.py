"""Origins (RFC 6454): who may see credentials.

A prefix comparison is not enough, ``https://api.example.com.evil`` begins with ``https://api.example.com``;
so scheme, host and port are compared, each normalised.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}
# What of a URL tells its origin (RFC 3986 section 3.2), where the scheme is one of ours.
_BEGINNING = re.compile(r"https?://[^/?#]*", re.IGNORECASE)


class Origin(NamedTuple):
    """Scheme, host and port in their normal form: lower case, the default port spelt out."""

    scheme: str
    host: str
    port: int

    @property
    def prefix(self) -> str:
        """The origin as the beginning of a URL, ending in a slash so that no longer host matches it."""
        return f"{self}/"

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _DEFAULT_PORTS.get(self.scheme) else f":{self.port}"
        return f"{self.scheme}://{host}{port}"


def origin_of(url: str) -> Origin:
    """Read the origin of an absolute http or https URL.

    :raises ValueError: the URL has no scheme, another scheme, no host, or a port that is none
    """
    return _read(beginning_of(url))


def beginning_of(url: str) -> str:
    """Give a URL as far as it tells the origin, which is the same for all pages of a pull."""
    found = _BEGINNING.match(url)
    return url if found is None else found[0]


# Asked several times for each request. Errors are not kept, so no user name or password is.
@lru_cache(maxsize=256)
def _read(url: str) -> Origin:
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    if scheme not in _DEFAULT_PORTS:
        raise ValueError("the address must begin with https://")
    host = (parts.hostname or "").rstrip(".")
    if not host:
        raise ValueError("the address has no host")
    if parts.username is not None or parts.password is not None:
        raise ValueError("the address must not carry a user name or password")
    try:
        port = parts.port
    except ValueError:
        raise ValueError("the address has a port that is no number up to 65535") from None
    return Origin(scheme, host, port or _DEFAULT_PORTS[scheme])


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Tell whether a host name or address is this machine itself."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def require_secure(url: str) -> Origin:
    """Give the URL's origin, if credentials may travel there.

    :raises ValueError: not an absolute URL, or plain ``http://`` to a host other than loopback
    """
    origin = origin_of(url)
    if origin.scheme == "http" and not is_loopback(origin.host):
        raise ValueError("plain http:// is for loopback hosts only, use https://")
    return origin
