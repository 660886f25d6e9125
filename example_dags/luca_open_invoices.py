"""Luca: the sales invoices of all companies, and what is still open of them.

Files go to the Airflow Variable ``finauth_output``: a folder, or an address such as ``s3://bucket/finauth``.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_finauth.operators.luca import LucaNodesOperator


@dag(schedule="@daily", start_date=datetime(2026, 1, 1), catchup=False, tags=["finauth", "luca"])
def luca_open_invoices():
    @task
    def companies() -> list[str]:
        """List the companies that the connection covers."""
        from airflow_provider_finauth.hooks.luca import LucaHook

        return [company["id"] for company in LucaHook().companies()]

    @task
    def open_invoices(manifest: dict[str, Any]) -> dict[str, int]:
        """Count and sum what has been sent and is not paid; Luca's API cannot filter."""
        from airflow_provider_finauth.runtime import read_records

        amounts = [
            invoice["totalCents"]
            for invoice in read_records(manifest)
            if invoice["finalized"] and not invoice["paid"]
        ]
        return {"invoices": len(amounts), "cents": sum(amounts)}

    invoices = LucaNodesOperator.partial(
        task_id="invoices",
        query="luca_open_invoices.graphql",
        connection_path="saleInvoices",
        # The slash lets each task complete it: {dag_id}/{task_id}/{run_id}/{map_index}.jsonl
        destination="{{ var.value.get('finauth_output', '/tmp/finauth') }}/",
    ).expand(company_ids=companies())
    open_invoices.expand(manifest=invoices.output)


luca_open_invoices()
