"""The operators of connections of type ``luca``.

Written by ``make operators`` from ``apis/luca.py``, where they are to be changed.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_finauth.operators.base import GraphQLOperator, PullOperator, RequestOperator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_finauth.hooks.luca import LucaHook
    from airflow_provider_finauth.pulls.records import Records
    from airflow_provider_finauth.values import When


class _Luca:
    """Finds the hook where the task runs: importing it costs time."""

    luca_conn_id: str

    @cached_property
    def hook(self) -> LucaHook:
        """The hook that does the work."""
        from airflow_provider_finauth.hooks.luca import LucaHook

        return LucaHook(self.luca_conn_id)


class LucaCompaniesOperator(_Luca, PullOperator):
    """Pull the companies that the consent, or the key, covers.

    Further arguments are those of :class:`.PullOperator`.

    :param luca_conn_id: a connection of type ``luca``
    """

    template_fields: Sequence[str] = ("luca_conn_id", *PullOperator.template_fields)

    def __init__(self, *, luca_conn_id: str = "luca_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.luca_conn_id = luca_conn_id

    def records(self) -> Records:
        # It reads the strings that templates give.
        hook: Any = self.hook
        return hook.companies()


class LucaNodesOperator(_Luca, PullOperator):
    """Walk a Relay connection, for one or several companies.

    A node of a walk over several companies gets the member ``companyId``, unless the query asks for one.

    Further arguments are those of :class:`.PullOperator`.

    :param query: a GraphQL document that declares $first: Int and $after: String, hands them to the
        connection and asks for its pageInfo { hasNextPage endCursor }; and that declares $companyId where a
        company is named
    :param connection_path: where the connection lies in data, for example saleInvoices
    :param variables: further variables
    :param company_ids: ids or organisation numbers; without them the connection's field, and if that is empty
        all companies that the consent covers. A personal API key needs none, it is bound to one
    :param page_size: nodes a page
    :param verify: walk the ids a second time: Luca's cursors are positions, so a row that comes in during the
        walk shifts the pages behind it
    :param luca_conn_id: a connection of type ``luca``
    """

    template_fields: Sequence[str] = (
        "luca_conn_id",
        "query",
        "connection_path",
        "variables",
        "company_ids",
        "page_size",
        "verify",
        *PullOperator.template_fields,
    )
    template_ext: Sequence[str] = (".graphql",)
    template_fields_renderers: ClassVar[dict[str, str]] = {"query": "graphql", "variables": "json"}

    def __init__(
        self,
        *,
        query: str,
        connection_path: str,
        variables: dict[str, Any] | None = None,
        company_ids: Sequence[str | int] | str | None = None,
        page_size: int | str = 100,
        verify: bool | str = False,
        luca_conn_id: str = "luca_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.query = query
        self.connection_path = connection_path
        self.variables = variables
        self.company_ids = company_ids
        self.page_size = page_size
        self.verify = verify
        self.luca_conn_id = luca_conn_id

    def records(self) -> Records:
        # It reads the strings that templates give.
        hook: Any = self.hook
        return hook.nodes(
            self.query,
            self.connection_path,
            self.variables,
            company_ids=self.company_ids,
            page_size=self.page_size,
            verify=self.verify,
        )


class LucaRecordsOperator(_Luca, PullOperator):
    """Pull a list of any path.

    Without ``since_param`` an incremental pull reads all of the list and keeps what is new. How the API
    counts the moment ``until_param`` names is not known, so ``until`` needs ``changed_field``.

    Further arguments are those of :class:`.PullOperator`.

    :param path: below the connection's address, or the whole address of one of its origins
    :param query: parameters of the query
    :param paging: how the API divides the list into pages
    :param paging_options: what that paging takes; see docs/pulling.md
    :param since: the first moment wanted, by the time of change; goes out as since_param
    :param until: the first moment no longer wanted; goes out as until_param, and the records' own
        changed_field decides
    :param since_param: the parameter by which the API filters by the time of change
    :param until_param: the parameter for that time's end
    :param changed_field: the member that tells when a record changed, with dots, as ISO 8601 or as seconds,
        milliseconds or microseconds since 1970: the list can be pulled incrementally then
    :param records_path: where the list lies in the response, such as result.items
    :param key: the member that names a record, for the guards against lost rows
    :param total: where the response tells the number of all records
    :param method: the HTTP method
    :param json: the body, as JSON
    :param headers: further headers
    :param idempotent: whether a request other than a GET may be repeated when its response is lost
    :param luca_conn_id: a connection of type ``luca``
    """

    template_fields: Sequence[str] = (
        "luca_conn_id",
        "path",
        "query",
        "paging",
        "paging_options",
        "since",
        "until",
        "since_param",
        "until_param",
        "changed_field",
        "records_path",
        "key",
        "total",
        "method",
        "json",
        "headers",
        "idempotent",
        *PullOperator.template_fields,
    )

    def __init__(
        self,
        *,
        path: str,
        query: dict[str, Any] | None = None,
        paging: str = "none",
        paging_options: dict[str, Any] | None = None,
        since: When | None = None,
        until: When | None = None,
        since_param: str | None = None,
        until_param: str | None = None,
        changed_field: str | None = None,
        records_path: str | None = None,
        key: str | None = None,
        total: str | None = None,
        method: str = "GET",
        json: Any = None,
        headers: dict[str, Any] | None = None,
        idempotent: bool | str | None = None,
        luca_conn_id: str = "luca_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.path = path
        self.query = query
        self.paging = paging
        self.paging_options = paging_options
        self.since = since
        self.until = until
        self.since_param = since_param
        self.until_param = until_param
        self.changed_field = changed_field
        self.records_path = records_path
        self.key = key
        self.total = total
        self.method = method
        self.json = json
        self.headers = headers
        self.idempotent = idempotent
        self.luca_conn_id = luca_conn_id

    def records(self) -> Records:
        # It reads the strings that templates give.
        hook: Any = self.hook
        return hook.records(
            self.path,
            query=self.query,
            paging=self.paging,
            paging_options=self.paging_options,
            since=self.since,
            until=self.until,
            since_param=self.since_param,
            until_param=self.until_param,
            changed_field=self.changed_field,
            records_path=self.records_path,
            key=self.key,
            total=self.total,
            method=self.method,
            json=self.json,
            headers=self.headers,
            idempotent=self.idempotent,
        )


class LucaGraphQLOperator(_Luca, GraphQLOperator):
    """Run one GraphQL document against Luca Regnskap and return its ``data``.

    Further arguments are those of :class:`.GraphQLOperator`.

    :param luca_conn_id: a connection of type ``luca``
    """

    template_fields: Sequence[str] = ("luca_conn_id", *GraphQLOperator.template_fields)

    def __init__(self, *, luca_conn_id: str = "luca_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.luca_conn_id = luca_conn_id


class LucaRequestOperator(_Luca, RequestOperator):
    """Make one request of any path to Luca Regnskap.

    Further arguments are those of :class:`.RequestOperator`.

    :param luca_conn_id: a connection of type ``luca``
    """

    template_fields: Sequence[str] = ("luca_conn_id", *RequestOperator.template_fields)

    def __init__(self, *, luca_conn_id: str = "luca_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.luca_conn_id = luca_conn_id
