"""msal with msal-extensions."""

from __future__ import annotations

from typing import Any

import requests

from benchmarks.matrix.peers.base import Caller, Peer, Setup
from benchmarks.matrix.server import CLIENT_ID, SEED

_SCOPES = ["items"]


class NoTokenError(Exception):
    """What a program makes of the error that msal gives in place of a token."""


class Msal(Peer):
    key = "msal"
    title = "msal"
    distributions = ("msal", "msal-extensions")
    packages = ("msal", "msal_extensions", "benchmarks.matrix.peers.msal")
    does = frozenset({"mints", "reads", "early", "refreshes", "cache"})
    used = (
        "`ConfidentialClientApplication` with `oidc_authority`, asked before each request made by requests; "
        "`PersistedTokenCache` with `FilePersistence` where processes share"
    )
    window = 300.0

    def load(self) -> None:
        import msal  # noqa: F401
        import msal_extensions  # noqa: F401

    def open(self, setup: Setup) -> Caller:
        import msal
        from msal_extensions import FilePersistence, PersistedTokenCache

        cache = None
        if setup.shared:
            cache = PersistedTokenCache(FilePersistence(str(setup.folder / "msal" / "cache.bin")))
        application = msal.ConfidentialClientApplication(
            CLIENT_ID,
            client_credential=setup.client_secret,
            oidc_authority=setup.token_url.replace("http:", "https:").replace("/token", "/tenant"),
            http_client=_Loopback(setup.timeout),
            token_cache=cache,
        )
        session = requests.Session()

        def ask() -> Any:
            if setup.grant == "client_credentials":
                return application.acquire_token_for_client(_SCOPES)
            accounts = application.get_accounts()
            if accounts:
                return application.acquire_token_silent_with_error(_SCOPES, accounts[0])
            return application.acquire_token_by_refresh_token(SEED, _SCOPES)

        def send(method: str, path: str) -> Any:
            answer = ask() or {}
            if "access_token" not in answer:
                raise NoTokenError(answer.get("error"), answer.get("error_description"))
            headers = {"Authorization": "Bearer " + answer["access_token"], "X-Api-Key": setup.key}
            return session.request(method, setup.api_url + path, headers=headers)

        return Caller(send, (application, application.token_cache, application.client))


class _Loopback(requests.Session):
    """msal insists on https; the server of the matrix speaks plain HTTP."""

    def __init__(self, timeout: float | None) -> None:
        super().__init__()
        self._timeout = timeout

    def request(self, method: str, url: str, **kwargs: Any) -> Any:  # type: ignore[override]
        if self._timeout is not None:
            kwargs.setdefault("timeout", self._timeout)
        return super().request(method, url.replace("https://127.0.0.1", "http://127.0.0.1", 1), **kwargs)
