"""``python -m airflow_provider_finauth.cli``: the command ``finauth``."""

from __future__ import annotations

from airflow_provider_finauth.cli import main

main()
