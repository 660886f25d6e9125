"""What the operators have in common. Whatever costs time to import is imported where a task runs."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_finauth.client.paging.walk import OnMismatch
    from airflow_provider_finauth.hooks.base import FinauthHook
    from airflow_provider_finauth.hooks.records import Records
    from airflow_provider_finauth.sinks.writing import Nested


def for_xcom(value: Any) -> Any:
    """Make a decoded answer ready for XCom, which keeps no number with a fraction exactly.

    :raises ResultTooLargeError: it is larger than ``[finauth] max_xcom_bytes``
    """
    from airflow_provider_finauth.runtime.config import read_config
    from airflow_provider_finauth.runtime.errors import airflow_errors
    from airflow_provider_finauth.sinks.xcom import collect

    with airflow_errors():
        config = read_config()
        return collect([value], max_records=1, max_bytes=config.max_xcom_bytes)[0]


class PullOperator(BaseOperator):
    """Pulls records, to XCom or to files.

    :param output: None returns the records; else a path or any ``ObjectStoragePath``, for example
        ``s3://bucket/{{ run_id }}.jsonl.gz``, and the manifest is returned. One that ends in ``/`` gets
        ``{dag_id}/{task_id}/{run_id}/{map_index}.jsonl``
    :param output_format: ``jsonl``, ``csv`` or ``parquet``, and the first two with ``.gz`` or ``.zst``; where
        the suffix does not tell
    :param max_records_per_file: begin another file after so many records
    :param partition_by: a member that holds a date: a folder for each
    :param nested: how CSV and Parquet hold lists and objects: ``json``, or in Parquet ``struct``
    :param on_mismatch: ``raise``, or ``warn`` to keep what came where a check of the pull is broken
    :param incremental: pull what has changed since the last pull of this name, which a Variable keeps for
        each connection and resource
    :param overlap: how much of the time before is pulled again, for what came in late: seconds, a timedelta,
        or a text like ``36h``; 24 hours without it
    :param resumable: go on from the last part that is complete where a try before was cut off
    :param limit: stop after so many records
    """

    # Airflow's operators have a property `output` of their own, so the argument is kept under another name.
    template_fields: Sequence[str] = (
        "destination",
        "output_format",
        "max_records_per_file",
        "partition_by",
        "nested",
        "on_mismatch",
        "incremental",
        "overlap",
        "resumable",
        "limit",
    )

    def __init__(
        self,
        *,
        output: str | None = None,
        output_format: str | None = None,
        max_records_per_file: int | str | None = None,
        partition_by: str | None = None,
        nested: Nested = "json",
        on_mismatch: OnMismatch = "raise",
        incremental: str | None = None,
        overlap: timedelta | float | str | None = None,
        resumable: bool | str = False,
        limit: int | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.destination = output
        self.output_format = output_format
        self.max_records_per_file = max_records_per_file
        self.partition_by = partition_by
        self.nested = nested
        self.on_mismatch = on_mismatch
        self.incremental = incremental
        self.overlap = overlap
        self.resumable = resumable
        self.limit = limit

    @abstractmethod
    def records(self) -> Records:
        """Begin the pull."""

    def execute(self, context: Context) -> Any:
        landed = self.records().land(
            output=self.destination,
            output_format=self.output_format,
            max_records_per_file=self.max_records_per_file,
            partition_by=self.partition_by,
            nested=self.nested,
            on_mismatch=self.on_mismatch,
            incremental=self.incremental,
            overlap=self.overlap,
            resumable=self.resumable,
            context=context,
        )
        if isinstance(landed, dict):
            from airflow_provider_finauth.runtime.assets import announce

            announce(context, self.outlets, landed)
        return landed


class RequestOperator(BaseOperator):
    """Makes one request of any path, and returns its answer: decoded JSON, else the text, else None.

    Numbers with a fraction are returned as texts, since XCom would not keep them exactly.

    :param path: below the connection's address, or the whole address of one of its origins
    :param method: the HTTP method
    :param query_params: of the query
    :param json: the body, as JSON
    :param data: the body, as it is, or as a form
    :param headers: further headers
    :param idempotent: whether a request other than a GET may be repeated when its answer is lost
    """

    template_fields: Sequence[str] = (
        "path",
        "method",
        "query_params",
        "json",
        "data",
        "headers",
        "idempotent",
    )

    def __init__(
        self,
        *,
        path: str,
        method: str = "GET",
        query_params: dict[str, Any] | None = None,
        json: Any = None,
        data: Any = None,
        headers: dict[str, str] | None = None,
        idempotent: bool | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.path = path
        self.method = method
        self.query_params = query_params
        self.json = json
        self.data = data
        self.headers = headers
        self.idempotent = idempotent

    @cached_property
    @abstractmethod
    def hook(self) -> FinauthHook[Any]:
        """The hook that does the work."""

    def arguments(self) -> dict[str, Any]:
        """Give what the hook's ``request`` takes besides method and path."""
        return {
            "params": self.query_params,
            "json": self.json,
            "data": self.data,
            "headers": self.headers,
            "idempotent": self.idempotent,
        }

    def execute(self, context: Context) -> Any:
        return for_xcom(self.hook.answer(self.method, self.path, **self.arguments()))
