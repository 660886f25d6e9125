"""The demo: ``python -m demo.run`` runs the example DAGs against the sandbox, in an Airflow of their own."""
