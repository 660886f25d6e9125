"""The ``finauth`` command. Each subcommand is a module of its own and imports what is slow when it runs."""

from __future__ import annotations


def main() -> None:
    """Run the command."""
    import os
    import sys
    import warnings

    from airflow_provider_finauth.cli.app import app

    # Airflow logs to the standard output, with tracebacks; what a person needs to know we say ourselves.
    os.environ.setdefault("AIRFLOW__LOGGING__LOGGING_LEVEL", "CRITICAL")
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
        # Airflow makes filters of its own where it believes that nobody has asked for any.
        sys.warnoptions.append("ignore")
    app()
