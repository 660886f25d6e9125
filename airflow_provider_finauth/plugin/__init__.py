"""The plugin that Airflow loads; it shows no page yet."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import AirflowPlugin


class FinauthPlugin(AirflowPlugin):
    """Reserves the name, so that pages can come without a change of entry points."""

    name = "finauth"
