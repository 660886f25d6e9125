"""The operators: thin, and light to import, since Airflow parses DAG files again and again."""
