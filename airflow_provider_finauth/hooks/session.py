"""The session that a hook hands out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_finauth.client.session import AuthenticatedSession
from airflow_provider_finauth.runtime.errors import airflow_errors

if TYPE_CHECKING:
    import requests


class HookSession(AuthenticatedSession):
    """A session whose permanent errors end a task, as those of the hook's own methods do."""

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        with airflow_errors():
            return super().prepare_request(request)

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        with airflow_errors():
            return super().send(request, **kwargs)
