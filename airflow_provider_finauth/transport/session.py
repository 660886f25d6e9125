"""A ``requests.Session`` that talks to known origins only.

What it changes, and why:

* ``netrc`` is never read: a matching entry replaces a bearer token silently. Proxies and the CA bundle of
  the environment are honoured, read once.
* Every request has time-outs.
* A redirect, or a request, to an origin that is not known raises before anything is sent. Other libraries
  drop ``Authorization`` there and still hand over a subscription key.
* A request other than GET and HEAD follows no redirect: it would be sent again as a GET, without its body.
* The client certificate is shown to known origins only.
* A process that was forked takes connections of its own: over one that it shares with its parent, each would
  read the other's answers.
* What HTTP cannot carry, such as a header with a line break, is refused before anything is sent.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies

import requests
from requests.adapters import HTTPAdapter
from requests.utils import select_proxy, should_bypass_proxies

from airflow_provider_finauth.exceptions import ConfigurationError, CrossOriginError
from airflow_provider_finauth.transport.connecting import note_connecting
from airflow_provider_finauth.transport.headers import is_method, unsendable_header
from airflow_provider_finauth.transport.origins import Origin, beginning_of, origin_of, require_secure
from airflow_provider_finauth.transport.preparing import is_plain, merged_headers, prepare
from airflow_provider_finauth.transport.reading import TransportFault, read_bounded
from airflow_provider_finauth.transport.tls import ClientCertificate, ssl_context

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Iterator, Mapping

    from requests.adapters import BaseAdapter

FOLLOWS_REDIRECTS = frozenset({"GET", "HEAD"})
# The body of a redirect is a link for people. A longer one costs the connection.
_LARGEST_REDIRECT = 64 * 1024


@dataclass(frozen=True)
class TransportSettings:
    """How to reach a server.

    :param connect_timeout: seconds
    :param read_timeout: seconds without a byte
    :param verify: whether the server's certificate is checked
    :param ca_file: PEM file of the authorities to trust instead of the usual ones
    :param client_certificate: shown to the server (mutual TLS)
    """

    connect_timeout: float = 10.0
    read_timeout: float = 30.0
    verify: bool = True
    ca_file: str | None = None
    client_certificate: ClientCertificate | None = field(default=None, repr=False)

    def ssl_context(self) -> ssl.SSLContext | None:
        """Give a context where the defaults do not do.

        :raises CertificateError: a certificate cannot be used
        """
        if self.client_certificate is None and self.ca_file is None and self.verify:
            return None
        return ssl_context(self.client_certificate, ca_file=self.ca_file or _ca_bundle(), verify=self.verify)


class _Adapter(HTTPAdapter):
    """An adapter whose connections tell whether a request was sent.

    It works out once for each origin, not for each URL, which connections can serve it.
    """

    def __init__(self, **kwargs: Any) -> None:
        self._attributes: dict[Any, Any] = {}
        super().__init__(**kwargs)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        note_connecting(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        is_new = proxy not in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **proxy_kwargs)
        if is_new:
            note_connecting(manager)
        return manager

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> Any:
        key = (beginning_of(request.url or ""), verify, cert)
        if key not in self._attributes:
            self._attributes[key] = super().build_connection_pool_key_attributes(request, verify, cert)
        return self._attributes[key]


class _ContextAdapter(_Adapter):
    """An adapter that uses one TLS context, also through a proxy."""

    def __init__(self, context: ssl.SSLContext, **kwargs: Any) -> None:
        self._context = context
        super().__init__(**kwargs)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._context, **kwargs)

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        return super().proxy_manager_for(proxy, ssl_context=self._context, **proxy_kwargs)


class OriginSession(requests.Session):
    """A session for known origins.

    :param settings: time-outs and TLS
    :param origins: the origins it may talk to
    :param pool_size: connections kept alive for each origin
    :raises CertificateError: a certificate cannot be used
    """

    def __init__(
        self, settings: TransportSettings, origins: Iterable[Origin], *, pool_size: int = 10
    ) -> None:
        super().__init__()
        self.trust_env = False
        self.settings = settings
        self.origins = frozenset(origins)
        self.headers["User-Agent"] = "airflow-provider-finauth"
        self._environment_proxies: dict[str, str] = dict(getproxies())
        context = settings.ssl_context()
        self.verify = settings.verify if context is not None else (_ca_bundle() or True)
        for origin in self.origins:
            if context is not None and origin.scheme == "https":
                adapter: _Adapter = _ContextAdapter(context, pool_maxsize=pool_size)
            else:
                adapter = _Adapter(pool_maxsize=pool_size)
            self.mount(origin.prefix, adapter)
        self._process = os.getpid()

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> requests.Response:
        verb = method.decode() if isinstance(method, bytes) else method
        if verb.upper() not in FOLLOWS_REDIRECTS:
            kwargs["allow_redirects"] = False
        return super().request(method, url, *args, **kwargs)

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        headers = merged_headers(request, self)
        # Before requests does it, whose error shows the value.
        require_sendable(request.method, headers)
        if is_plain(request, self):
            return prepare(request, self, headers)
        return super().prepare_request(request)

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        self.require_known(request.url or "")
        # Whoever prepares a request without this session is not spared.
        require_sendable(request.method, request.headers)
        if kwargs.get("timeout") is None:
            kwargs["timeout"] = (self.settings.connect_timeout, self.settings.read_timeout)
        return super().send(request, **kwargs)

    def get_adapter(self, url: str | bytes) -> BaseAdapter:
        """Give the adapter of the URL's origin, in whatever way the URL writes it."""
        if self._process != os.getpid():
            self._renew_connections()
        text = url.decode() if isinstance(url, bytes) else url
        path = urlsplit(text).path.removeprefix("/")
        return super().get_adapter(f"{self.require_known(text).prefix}{path}")

    def _renew_connections(self) -> None:
        for adapter in self.adapters.values():
            if isinstance(adapter, HTTPAdapter):
                # As an adapter that was unpickled: with its settings, and no connections.
                adapter.__setstate__(adapter.__getstate__())  # type: ignore[attr-defined]
        self._process = os.getpid()

    def require_known(self, url: str) -> Origin:
        """Give the URL's origin, if it is a known one.

        :raises CrossOriginError: it is not; nothing was sent
        """
        try:
            origin = require_secure(url)
        except ValueError as error:
            raise CrossOriginError(f"A request was not sent: {error}.") from None
        if origin not in self.origins:
            known = ", ".join(sorted(map(str, self.origins)))
            raise CrossOriginError(
                f"A request to {origin} was not sent, since the credentials are for {known} only. "
                "If that address is right, set it as the connection's host."
            )
        return origin

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        target = self.known_target(resp)
        if target is not None:
            self._drop_body(resp)
        return target

    def known_target(self, resp: requests.Response) -> str | None:
        """Say where a redirect leads.

        :raises CrossOriginError: to an origin that is not known, or to no address
        """
        target: str | None = None
        url: str | None = None
        try:
            target = super().get_redirect_target(resp)
            url = None if target is None else urljoin(resp.url, target)
        except ValueError:
            # No UTF-8, or half an IPv6 address. Raised below, without the address in its context.
            target = ""
        if target is None:
            return None
        try:
            if url is None:
                raise CrossOriginError("A redirect was not followed: its Location is not a valid address.")
            self.require_known(url)
        except CrossOriginError:
            # Nobody gets to hold the answer, so nobody else would give its connection back.
            resp.close()
            raise
        return target

    def resolve_redirects(
        self, resp: requests.Response, req: requests.PreparedRequest, *args: Any, **kwargs: Any
    ) -> Iterator[requests.Response]:
        if kwargs.get("yield_requests"):
            # For ``response.next``, requests would read the whole body of a redirect that is not followed.
            return iter(())
        answers: Iterator[requests.Response] = super().resolve_redirects(resp, req, *args, **kwargs)
        return answers

    def _drop_body(self, resp: requests.Response) -> None:
        """Get a redirect's body out of the way, which requests would read however long it is."""
        if resp._content_consumed:  # type: ignore[attr-defined]
            return
        try:
            read_bounded(resp, _LARGEST_REDIRECT, deadline=time.monotonic() + self.settings.read_timeout)
        except TransportFault:
            # Its connection was closed, and where it leads to is known.
            resp._content = b""
            resp._content_consumed = True  # type: ignore[attr-defined]

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        settings: Any
        if proxies or self.proxies or self.trust_env or verify is not None or cert is not None:
            settings = super().merge_environment_settings(url, proxies, stream, verify, cert)
        else:
            # The same, without requests' checks of each value's type, which are felt in small requests.
            stream = self.stream if stream is None else stream
            settings = {"proxies": {}, "stream": stream, "verify": self.verify, "cert": self.cert}
        if self._environment_proxies and not settings["proxies"] and not self._bypasses_proxies(url):
            proxy = select_proxy(url, self._environment_proxies)
            if proxy:
                settings["proxies"] = {origin_of(url).scheme: proxy}
        return settings

    def _bypasses_proxies(self, url: str) -> bool:
        no_proxy = self._environment_proxies.get("no")
        return bool(should_bypass_proxies(url, no_proxy=no_proxy))


def require_sendable(method: object, headers: Mapping[str, Any] | None) -> None:
    """Refuse what HTTP cannot carry.

    :raises ConfigurationError: names the header, never its value
    """
    if not is_method(method):
        raise ConfigurationError(
            f"Argument 'method' must be a method of HTTP such as GET, not {method!r}.", field="method"
        )
    bad = unsendable_header(headers or {})
    if bad is not None:
        raise ConfigurationError(
            f"The header {bad!r} cannot be sent: its name must be letters, digits and hyphens, and its value "
            "one line of Latin letters, digits and signs, with no blank in front.",
            field=bad,
        )


def _ca_bundle() -> str | None:
    return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
