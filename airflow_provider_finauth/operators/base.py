"""What the operators have in common. Whatever costs time to import is imported where a task runs.

The operators of each API are written by ``make operators`` from what ``apis/`` declares.
"""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import BaseOperator

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_finauth.client.paging.walk import OnMismatch
    from airflow_provider_finauth.hooks.base import FinauthHook
    from airflow_provider_finauth.hooks.graphql import GraphQLHook
    from airflow_provider_finauth.pulls.records import Records
    from airflow_provider_finauth.sinks.writing import Nested


class PullOperator(BaseOperator):
    """Pulls records, to XCom or to a destination.

    :param destination: None returns the records; else a path or any ``ObjectStoragePath``, for example
        ``s3://bucket/{{ run_id }}.jsonl.gz``, and the manifest is returned. One that ends in ``/`` gets
        ``{dag_id}/{task_id}/{run_id}/{map_index}.jsonl``
    :param format: ``jsonl``, ``csv`` or ``parquet``, and the first two with ``.gz`` or ``.zst``; where the
        suffix does not tell
    :param max_records_per_file: begin another file after so many records
    :param partition_by: a member that holds a date: a folder for each
    :param nested: how CSV and Parquet hold lists and objects: ``json``, or in Parquet ``struct``
    :param on_mismatch: ``raise``, or ``warn`` to keep what came where a check of the pull is broken
    :param incremental: pull what has changed since the last pull of this name, which a Variable keeps for
        each connection and resource
    :param overlap: how much of the time before is pulled again, for what came in late: seconds, a timedelta,
        or a string like ``36h``; 24 hours without it
    :param resumable: go on from the last part that is complete where a try before was cut off
    :param limit: stop after so many records
    """

    template_fields: Sequence[str] = (
        "destination",
        "format",
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
        destination: str | None = None,
        format: str | None = None,
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
        self.destination = destination
        self.format = format
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
        from airflow_provider_finauth.pulls.task import pull

        options = {name: getattr(self, name) for name in PullOperator.template_fields}
        return pull(self.records(), context=context, outlets=self.outlets, **options)


class RequestOperator(BaseOperator):
    """Makes one request of any path, and returns its response: decoded JSON, else the string, else None.

    Numbers with a fraction are returned as strings, since XCom would not keep them exactly.

    :param path: below the connection's address, or the whole address of one of its origins
    :param method: the HTTP method
    :param query: parameters of the query
    :param json: the body, as JSON
    :param data: the body, as it is, or as a form
    :param headers: further headers
    :param idempotent: whether a request other than a GET may be repeated when its response is lost
    """

    template_fields: Sequence[str] = ("path", "method", "query", "json", "data", "headers", "idempotent")

    def __init__(
        self,
        *,
        path: str,
        method: str = "GET",
        query: dict[str, Any] | None = None,
        json: Any = None,
        data: Any = None,
        headers: dict[str, str] | None = None,
        idempotent: bool | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.path = path
        self.method = method
        self.query = query
        self.json = json
        self.data = data
        self.headers = headers
        self.idempotent = idempotent

    @cached_property
    @abstractmethod
    def hook(self) -> FinauthHook[Any]:
        """The hook that does the work."""

    def execute(self, context: Context) -> Any:
        from airflow_provider_finauth.pulls.task import for_xcom

        return for_xcom(
            self.hook.request_json(
                self.method,
                self.path,
                query=self.query,
                json=self.json,
                data=self.data,
                headers=self.headers,
                idempotent=self.idempotent,
            )
        )


class GraphQLOperator(BaseOperator):
    """Runs one GraphQL document and returns its ``data``.

    :param query: a GraphQL document, or the name of a ``.graphql`` file
    :param variables: of the document
    :param idempotent: whether it may be repeated when a response is lost; None repeats queries only
    :param allow_partial: return ``{"data": …, "errors": […]}`` where some fields failed, instead of failing
    """

    template_fields: Sequence[str] = ("query", "variables", "idempotent", "allow_partial")
    template_ext: Sequence[str] = (".graphql",)
    template_fields_renderers: ClassVar[dict[str, str]] = {"query": "graphql", "variables": "json"}

    def __init__(
        self,
        *,
        query: str,
        variables: dict[str, Any] | None = None,
        idempotent: bool | str | None = None,
        allow_partial: bool | str = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.query = query
        self.variables = variables
        self.idempotent = idempotent
        self.allow_partial = allow_partial

    @cached_property
    @abstractmethod
    def hook(self) -> GraphQLHook[Any]:
        """The hook that does the work."""

    def execute(self, context: Context) -> Any:
        from airflow_provider_finauth.pulls.task import for_xcom

        return for_xcom(
            self.hook.graphql(
                self.query, self.variables, idempotent=self.idempotent, allow_partial=self.allow_partial
            )
        )
