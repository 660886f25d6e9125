"""A ``requests.Session`` that talks to known origins only.

What it changes, and why:

* ``netrc`` is never read: a matching entry replaces a bearer token silently. Proxies and the CA bundle of
  the environment are honoured, read once.
* Every request has time-outs.
* A redirect, or a request, to an origin that is not known raises before anything is sent. Other libraries
  drop ``Authorization`` there and still hand over a subscription key.
* A request other than GET and HEAD follows no redirect: it would be sent again as a GET, without its body.
* The client certificate is shown to known origins only.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin
from urllib.request import getproxies

import requests
from requests.adapters import HTTPAdapter
from requests.utils import select_proxy, should_bypass_proxies

from airflow_provider_finauth.exceptions import CrossOriginError
from airflow_provider_finauth.transport.origins import Origin, origin_of, require_secure
from airflow_provider_finauth.transport.tls import ClientCertificate, ssl_context

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable

_FOLLOWS_REDIRECTS = frozenset({"GET", "HEAD"})


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


class _ContextAdapter(HTTPAdapter):
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
                adapter: HTTPAdapter = _ContextAdapter(context, pool_maxsize=pool_size)
            else:
                adapter = HTTPAdapter(pool_maxsize=pool_size)
            self.mount(origin.prefix, adapter)

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> requests.Response:
        verb = method.decode() if isinstance(method, bytes) else method
        if verb.upper() not in _FOLLOWS_REDIRECTS:
            kwargs["allow_redirects"] = False
        return super().request(method, url, *args, **kwargs)

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        self.require_known(request.url or "")
        if kwargs.get("timeout") is None:
            kwargs["timeout"] = (self.settings.connect_timeout, self.settings.read_timeout)
        return super().send(request, **kwargs)

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
        target = super().get_redirect_target(resp)
        if target is not None:
            try:
                self.require_known(urljoin(resp.url, target))
            except CrossOriginError:
                # Nobody gets to hold the answer, so nobody else would give its connection back.
                resp.close()
                raise
        return target

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        settings = super().merge_environment_settings(url, proxies, stream, verify, cert)
        if self._environment_proxies and not settings["proxies"] and not self._bypasses_proxies(url):
            proxy = select_proxy(url, self._environment_proxies)
            if proxy:
                settings["proxies"] = {origin_of(url).scheme: proxy}
        return settings

    def _bypasses_proxies(self, url: str) -> bool:
        no_proxy = self._environment_proxies.get("no")
        return bool(should_bypass_proxies(url, no_proxy=no_proxy))


def _ca_bundle() -> str | None:
    return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
