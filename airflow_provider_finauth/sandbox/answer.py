"""What an endpoint gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from airflow_provider_finauth.sandbox.values import ENCODER


@dataclass
class Answer:
    """What goes back.

    :param body: an object to encode as JSON, bytes or text as they are, or None
    :param rows: the list of records within ``body``, to count them and to let some be missing
    :param keys: what tells those records apart, if they are made anew for each answer
    """

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    rows: list[Any] | None = None
    keys: list[Any] | None = None

    def encoded(self) -> bytes:
        """The body as bytes."""
        if self.body is None:
            return b""
        if isinstance(self.body, bytes):
            return self.body
        return self.body.encode() if isinstance(self.body, str) else ENCODER.encode(self.body)


class Refusal(Exception):
    """Ends a handler with an answer."""

    def __init__(self, status: int, body: Any = None, **more: Any) -> None:
        super().__init__(status)
        self.answer = Answer(status, body, **more)
