"""Making requests ready to be sent.

``requests`` merges everything that a request and its session may hold, which takes several times as long as
what is done here. Most requests hold none of it.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import requests
from requests.cookies import RequestsCookieJar, merge_cookies
from requests.structures import CaseInsensitiveDict


def is_plain(request: requests.Request, session: requests.Session) -> bool:
    """Tell whether there is nothing to merge but headers and the session's cookies."""
    hooks = (*request.hooks.values(), *session.hooks.values())
    return not (request.auth or session.auth or request.cookies or session.params or any(hooks))


def prepare(
    request: requests.Request, session: requests.Session, headers: CaseInsensitiveDict[Any]
) -> requests.PreparedRequest:
    """Prepare a plain request, to the same as the session's own way would give.

    :param headers: merged, and found to be sendable
    :raises requests.RequestException: the address is none
    """
    prepared = requests.PreparedRequest()
    prepared.prepare_method(request.method)
    prepared.prepare_url(request.url, _query(request.params))
    prepared.headers = headers
    cookies = merge_cookies(RequestsCookieJar(), session.cookies)  # type: ignore[no-untyped-call]
    prepared.prepare_cookies(cookies)
    prepared.prepare_body(request.data, request.files, request.json)
    return prepared


def merged_headers(request: requests.Request, session: requests.Session) -> CaseInsensitiveDict[Any]:
    """Give a request's headers with those of the session that it does not replace, or remove by None."""
    headers: CaseInsensitiveDict[Any] = CaseInsensitiveDict(session.headers)
    for name, value in request.headers.items():
        headers[name.decode("latin-1") if isinstance(name, bytes) else name] = value
    for name in [name for name, value in headers.items() if value is None]:
        del headers[name]
    return headers


def _query(params: Any) -> Any:
    """Encode pairs of texts; anything else is left to requests, which takes several times as long."""
    if isinstance(params, list) and all(isinstance(text, str) for pair in params for text in pair):
        return urlencode(params)
    return params
