"""A list that comes in one answer."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_finauth.client.paging.base import Pull, Walk


@dataclass(frozen=True, kw_only=True)
class Single:
    """No paging."""

    def begin(self, pull: Pull) -> Walk:
        """Begin a walk."""
        return Walk(pull)
