"""What tests of hooks against the sandbox need besides the hooks."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import requests

from airflow_provider_finauth.auth.endpoint import TokenEndpoint
from airflow_provider_finauth.runtime.brokers import broker

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest

    from airflow_provider_finauth.auth.authorize import Consent
    from airflow_provider_finauth.hooks.base import FinauthHook
    from airflow_provider_finauth.sandbox import RunningSandbox

# The requests under way at once, where a connection does not say.
AT_ONCE = 8
REDIRECT_URI = "http://127.0.0.1:8790/callback"


class SandboxConnections:
    """The sandbox's connections, as Airflow finds them in its environment.

    :param sandbox: whose
    :param monkeypatch: takes them out again
    """

    def __init__(self, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        self._sandbox = sandbox
        self._monkeypatch = monkeypatch
        for name, value in sandbox.environment.items():
            monkeypatch.setenv(name, value)

    def change(self, conn_id: str, *, of: str | None = None, **changes: Any) -> str:
        """Change a connection, or make another like it, and give its id.

        :param of: the sandbox's connection that it is like
        :param changes: fields; ``extra`` is merged into its own, and None takes a member out
        """
        made = copy.deepcopy(self._sandbox.connections[of or conn_id])
        made["extra"] = {**made["extra"], **changes.pop("extra", {})}
        made["extra"] = {name: value for name, value in made["extra"].items() if value is not None}
        self._monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps({**made, **changes}))
        return conn_id


def consent(hook: FinauthHook[Any], **asked: str) -> Consent:
    """Let the sandbox's person consent, and exchange the code."""
    flow = hook.api.authorization_flow(REDIRECT_URI).discover()
    started = flow.start()
    answer = requests.get(
        started.url, params=asked, allow_redirects=False, timeout=20, proxies={"http": "", "https": ""}
    )
    assert answer.status_code == 302
    found: Consent = flow.finish(started, answer.headers["Location"], TokenEndpoint())
    return found


def authorise(hook: FinauthHook[Any], **asked: str) -> None:
    """Let the sandbox's person consent, and keep the tokens."""
    broker().begin(hook.api.profile.credentials, consent(hook, **asked).answer)


def ids(records: Iterable[dict[str, Any]], key: str = "id") -> list[Any]:
    """Take what names each record."""
    return [record[key] for record in records]
