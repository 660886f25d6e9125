"""The one judge of what went wrong with an HTTP exchange, for token requests and API requests alike.

Two questions decide what happens next. May the request have been processed? What certainly never left may be
repeated, whatever it does. And may the failure pass? A certificate that is not trusted is not trusted at the
next try either.

The libraries' own errors do not answer the first: a time-out, a reset or a TLS error may come while the
connection is made or while the answer is waited for, and a ``ProxyError`` is raised for both. So the
connections of :mod:`airflow_provider_finauth.transport.connecting` note it on the error.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import requests

from airflow_provider_finauth.transport.connecting import connecting_to
from airflow_provider_finauth.transport.reading import DeadlineExceeded, ResponseTooLarge, TransportFault

_E = TypeVar("_E", bound=BaseException)

# 501 and 505 say that the server cannot do it at all.
_TRANSIENT_STATUSES = frozenset({408, 425, *range(500, 600)} - {501, 505})

# What X509_verify_cert(3) says of a certificate.
_EXPIRED = 10
_NOT_YET_VALID = 9
_OTHER_NAME = frozenset({62, 64})
_UNKNOWN_AUTHORITY = frozenset({2, 18, 19, 20, 21, 27})

# What a server says of a client's certificate (RFC 8446 section 6.2), in OpenSSL's words. Before TLS 1.3 it
# calls a missing one a failed handshake.
_ALERT = re.compile(r"ALERT_(\w+)")
_CLIENT_CERTIFICATE_ALERTS = {
    "CERTIFICATE_REQUIRED": "the server expects a client certificate",
    "HANDSHAKE_FAILURE": "the server ended the handshake, as it does where it expects a client certificate",
    "CERTIFICATE_EXPIRED": "the server says that the client certificate has expired",
    "CERTIFICATE_REVOKED": "the server says that the client certificate is revoked",
    "BAD_CERTIFICATE": "the server refuses the client certificate",
    "UNSUPPORTED_CERTIFICATE": "the server refuses the client certificate",
    "CERTIFICATE_UNKNOWN": "the server refuses the client certificate",
    "UNKNOWN_CA": "the server does not know the authority of the client certificate",
    "ACCESS_DENIED": "the server refuses the client certificate",
}

_TUNNEL_REFUSED = re.compile(r"Tunnel connection failed: ([0-9]{3})\b")


@dataclass(frozen=True, kw_only=True)
class Remedies:
    """What the hints name, which differs between token requests and API requests.

    :param address: the field of the connection that holds the server's address
    :param slow: what helps where answers are slow
    :param large: what helps where answers are too large
    """

    address: str
    slow: str = ""
    large: str = ""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What a failed exchange means.

    :param what: what happened to the request; follows its name in a sentence
    :param hint: makes a hint of the remedies
    :param never_sent: whether no byte of the request can have reached the server; else it may have been
        processed
    :param transient: whether the failure may be gone at the next try
    """

    what: str
    hint: Callable[[Remedies], str]
    never_sent: bool = False
    transient: bool = True

    def told(self, remedies: Remedies) -> str:
        """Make sentences of it, whose subject is the request."""
        return f"{self.what}. {self.hint(remedies)}".rstrip()


def is_transient(status: int) -> bool:
    """Tell whether an answer's status may be another one at the next try."""
    return status in _TRANSIENT_STATUSES


def judge(error: requests.RequestException | TransportFault) -> Judgement:
    """Judge a failed exchange. Nothing of the error's own text is shown, which may hold a URL's query."""
    if isinstance(error, TransportFault):
        return _judge_reading(error)
    links = list(_links(error))
    peer = next(filter(None, map(connecting_to, links)), None)
    if peer is None and isinstance(error, requests.ConnectTimeout):
        peer = "server"
    return (
        _judge_certificate(error, links)
        or _judge_client_certificate(links, never_sent=peer is not None)
        or (_judge_connecting(error, links, peer) if peer else _judge_sent(error, links))
    )


def _judge_reading(fault: TransportFault) -> Judgement:
    if isinstance(fault, ResponseTooLarge):
        what = f"was answered with more than {fault.limit} bytes"
        return Judgement(what=what, hint=_large, transient=False)
    return _SLOW if isinstance(fault, DeadlineExceeded) else _BROKEN


def _judge_certificate(error: BaseException, links: Iterable[BaseException]) -> Judgement | None:
    distrust = _first(links, ssl.SSLCertVerificationError)
    if distrust is None:
        return None
    through_proxy = isinstance(error, requests.exceptions.ProxyError)
    whose = "the proxy's certificate" if through_proxy else "the server's certificate"
    code = getattr(distrust, "verify_code", None)
    if code == _EXPIRED:
        said, hint = "has expired", _renewal
    elif code == _NOT_YET_VALID:
        said, hint = "is not valid yet", _renewal
    elif code in _OTHER_NAME:
        said, hint = "is for another name", _proxy if through_proxy else _address
    elif code in _UNKNOWN_AUTHORITY:
        said, hint = "is of an authority that is not trusted here", _authority
    else:
        said, hint = "is not accepted", _authority
    where = _AT_PROXY if through_proxy else _IN_TLS
    return Judgement(what=f"{where}: {whose} {said}", hint=hint, never_sent=True, transient=False)


def _judge_client_certificate(links: Iterable[BaseException], *, never_sent: bool) -> Judgement | None:
    # With TLS 1.3 a client learns of it when its request is already on its way.
    alert = _ALERT.search(getattr(_first(links, ssl.SSLError), "reason", None) or "")
    said = _CLIENT_CERTIFICATE_ALERTS.get(alert.group(1)) if alert else None
    if said is None:
        return None
    return Judgement(what=f"{_IN_TLS}: {said}", hint=_certificate, never_sent=never_sent, transient=False)


def _judge_connecting(error: BaseException, links: Iterable[BaseException], peer: str) -> Judgement:
    tls = _first(links, ssl.SSLError)
    if tls is not None and not isinstance(error, requests.exceptions.ProxyError):
        # Of the server, also where a proxy stands between.
        return Judgement(what=_IN_TLS, hint=_tls, never_sent=True)
    where, hint = (_AT_PROXY, _proxy) if peer == "proxy" else ("did not reach the server", _network)
    if _first(links, socket.gaierror):
        said = "its name does not resolve"
    elif _first(links, ConnectionRefusedError):
        said = "the connection was refused"
    elif _first(links, TimeoutError) or isinstance(error, requests.Timeout):
        said = "no connection came about in time"
    elif refused := _tunnel_refused(links):
        said = f"it answered {refused}"
    else:
        said = "the connection was broken off"
    return Judgement(what=f"{where}: {said}", hint=hint, never_sent=True)


def _judge_sent(error: BaseException, links: Iterable[BaseException]) -> Judgement:
    if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):
        # The server's address has been looked at before.
        what = f"{_AT_PROXY}: its address cannot be used"
        return Judgement(what=what, hint=_proxy, never_sent=True, transient=False)
    if isinstance(error, requests.Timeout):
        return _SLOW
    if isinstance(error, requests.TooManyRedirects):
        return Judgement(what="was redirected too often", hint=_address, transient=False)
    if isinstance(error, requests.exceptions.SSLError) and not _first(links, ssl.SSLEOFError):
        return Judgement(what=_IN_TLS, hint=_tls)
    if isinstance(
        error,
        requests.exceptions.ConnectionError
        | requests.exceptions.ChunkedEncodingError
        | requests.exceptions.ContentDecodingError,
    ):
        return _BROKEN
    return Judgement(what=_BROKEN.what, hint=_nothing, transient=False)


def _tunnel_refused(links: Iterable[BaseException]) -> str | None:
    """Find the status with which a proxy refuses to lead to a server."""
    for error in links:
        if isinstance(error, OSError) and (found := _TUNNEL_REFUSED.search(str(error))):
            return found.group(1)
    return None


def _links(error: BaseException) -> Iterator[BaseException]:
    """Walk an error and those that it was made of.

    Never by ``__context__``: that may be another exchange's error, which the caller was about to handle.
    """
    seen: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        link = waiting.pop(0)
        if not isinstance(link, BaseException) or any(link is each for each in seen):
            continue
        seen.append(link)
        yield link
        members = (link.__cause__, getattr(link, "reason", None), getattr(link, "original_error", None))
        waiting += [*members, *link.args]


def _first(links: Iterable[BaseException], kind: type[_E]) -> _E | None:
    return next((link for link in links if isinstance(link, kind)), None)


def _nothing(remedies: Remedies) -> str:
    return ""


def _slow(remedies: Remedies) -> str:
    return remedies.slow


def _large(remedies: Remedies) -> str:
    return remedies.large


def _address(remedies: Remedies) -> str:
    return f"Check the connection's {remedies.address}."


def _network(remedies: Remedies) -> str:
    return f"Check the connection's {remedies.address}, and that it can be reached from here."


def _proxy(remedies: Remedies) -> str:
    return "Check HTTPS_PROXY and NO_PROXY."


def _renewal(remedies: Remedies) -> str:
    return "Check this machine's clock; if it is right, the certificate's owner has to renew it."


def _authority(remedies: Remedies) -> str:
    return "If it is right, name its authority's PEM file in tls_ca_file, or in REQUESTS_CA_BUNDLE."


def _certificate(remedies: Remedies) -> str:
    return "Check the connection's certificate fields."


def _tls(remedies: Remedies) -> str:
    return f"Check the connection's {remedies.address} and certificate fields, and tls_ca_file."


_AT_PROXY = "did not get through the proxy"
_IN_TLS = "failed in TLS"
_SLOW = Judgement(what="was not answered in time", hint=_slow)
_BROKEN = Judgement(what="lost its connection before the answer was whole", hint=_nothing)
