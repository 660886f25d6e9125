"""The vendors' requests as their pages document them, by plain requests."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    import requests

    from airflow_provider_finauth.sandbox import RunningSandbox

REDIRECT = "http://127.0.0.1:8790/callback"
VERIFIER = "a-verifier-of-at-least-forty-three-characters-long"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


def location(response: requests.Response) -> dict[str, str]:
    """The parameters that a redirect gives back."""
    assert response.status_code == 302
    return dict(parse_qsl(urlsplit(response.headers["Location"]).query))


class Vendors:
    """Everything that is needed to be let in."""

    def __init__(self, sandbox: RunningSandbox, http: requests.Session) -> None:
        self.sandbox = sandbox
        self.http = http

    def connection(self, conn_id: str) -> tuple[dict[str, Any], dict[str, str]]:
        connection = self.sandbox.connections[conn_id]
        return connection, connection["extra"]

    def client_credentials(self, conn_id: str, **changes: str | None) -> requests.Response:
        """A token request of Talenom, Tradevest, OP or the generic API."""
        connection, extra = self.connection(conn_id)
        members: dict[str, str | None] = {
            "grant_type": "client_credentials",
            "client_id": connection["login"],
            "client_secret": connection["password"],
        }
        if "scope" in extra:
            members["scope"] = extra["scope"]
        members.update(changes)
        body = {name: value for name, value in members.items() if value is not None}
        return self.http.post(extra["oauth_endpoint"], data=body, **self.tls(conn_id))

    def tls(self, conn_id: str) -> dict[str, Any]:
        if not conn_id.startswith("opcorporate"):
            return {}
        folder = self.sandbox.folder
        return {
            "cert": (str(folder / "client.pem"), str(folder / "client.key")),
            "verify": self.sandbox.ca_file,
        }

    def headers(self, conn_id: str) -> dict[str, str]:
        """The headers of a data call, with a fresh token."""
        answer = self.landax_login() if conn_id == "landax_default" else self.client_credentials(conn_id)
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        if conn_id == "talenom_default":
            headers["Ocp-Apim-Subscription-Key"] = self.connection(conn_id)[1]["subscription_api_key"]
        return headers

    def get(self, conn_id: str, path: str, headers: dict[str, str], **params: Any) -> requests.Response:
        url = self.connection(conn_id)[0]["host"] + path
        return self.http.get(
            url, params=params, headers=headers, allow_redirects=False, timeout=20, **self.tls(conn_id)
        )

    # Landax

    def landax_login(self, **changes: str) -> requests.Response:
        connection, extra = self.connection("landax_default")
        body = {
            "client_id": extra["client_id"],
            "client_secret": extra["client_secret"],
            "username": connection["login"],
            "password": connection["password"],
            **changes,
        }
        return self.http.post(f"{connection['host']}/authenticate/token?grant_type=password", json=body)

    def landax_refresh(self, refresh_token: str) -> requests.Response:
        connection, extra = self.connection("landax_default")
        body = {
            "client_id": extra["client_id"],
            "client_secret": extra["client_secret"],
            "refresh_token": refresh_token,
        }
        return self.http.post(f"{connection['host']}/authenticate/token?grant_type=refresh_token", json=body)

    # Luca

    def authorize(self, conn_id: str, **changes: str | None) -> requests.Response:
        connection, extra = self.connection(conn_id)
        query: dict[str, str | None] = {
            "client_id": connection["login"],
            "response_type": "code",
            "redirect_uri": REDIRECT,
        }
        if conn_id == "luca_oauth":
            query["scope"] = "accounting"
        else:
            query |= {"code_challenge": CHALLENGE, "code_challenge_method": "S256", "state": "st-1"}
        query.update(changes)
        return self.http.get(extra["authorize_endpoint"], params=query, allow_redirects=False)

    def exchange(self, conn_id: str, code: str, **changes: str | None) -> requests.Response:
        members: dict[str, str | None] = {"grant_type": "authorization_code", "code": code}
        if conn_id != "luca_oauth":
            members |= {"redirect_uri": REDIRECT, "code_verifier": VERIFIER}
        return self.token(conn_id, **{**members, **changes})

    def refresh(self, conn_id: str, refresh_token: str, **changes: str | None) -> requests.Response:
        return self.token(
            conn_id, **{"grant_type": "refresh_token", "refresh_token": refresh_token, **changes}
        )

    def token(self, conn_id: str, **members: str | None) -> requests.Response:
        connection, extra = self.connection(conn_id)
        body = {"client_id": connection["login"], "client_secret": connection["password"], **members}
        kept = {name: value for name, value in body.items() if value is not None}
        return self.http.post(extra["oauth_endpoint"], data=kept, headers={"Accept": "application/json"})

    def tokens(self, conn_id: str, **authorize: str | None) -> dict[str, Any]:
        """Go through the whole consent."""
        answer = self.exchange(conn_id, location(self.authorize(conn_id, **authorize))["code"])
        found: dict[str, Any] = answer.json()
        return found

    def graphql(self, query: str, key: str | None = None, **more: Any) -> requests.Response:
        connection, _ = self.connection("luca_default")
        headers = {"Authorization": f"Bearer {key or connection['password']}", "Accept": "application/json"}
        headers |= more.pop("headers", {})
        return self.http.post(
            f"{connection['host']}/api/v1/graphql", json={"query": query, **more}, headers=headers, timeout=20
        )
