"""Airflow connection types, hooks and operators for APIs that want OAuth 2.0."""

__version__ = "0.1.0"
