"""The operators of connections of type ``luca``."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_finauth.operators.base import PullOperator, RequestOperator, for_xcom

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_finauth.hooks.luca import LucaHook
    from airflow_provider_finauth.hooks.records import Records


class _Luca:
    """Finds the hook."""

    luca_conn_id: str

    @cached_property
    def hook(self) -> LucaHook:
        """The hook that does the work."""
        from airflow_provider_finauth.hooks.luca import LucaHook

        return LucaHook(self.luca_conn_id)


class LucaGraphQLOperator(_Luca, BaseOperator):
    """Runs one GraphQL document and returns its ``data``; see :meth:`.LucaHook.graphql`.

    :param query: a GraphQL document, or the name of a ``.graphql`` file
    :param variables: of the document
    :param idempotent: whether it may be repeated when an answer is lost; None repeats queries only
    :param allow_partial: return ``{"data": …, "errors": […]}`` where some fields failed, instead of failing
    :param luca_conn_id: a connection of type ``luca``
    """

    template_fields: Sequence[str] = ("luca_conn_id", "query", "variables", "idempotent", "allow_partial")
    template_ext: Sequence[str] = (".graphql",)
    template_fields_renderers: ClassVar[dict[str, str]] = {"query": "graphql", "variables": "json"}

    def __init__(
        self,
        *,
        query: str,
        variables: dict[str, Any] | None = None,
        idempotent: bool | str | None = None,
        allow_partial: bool | str = False,
        luca_conn_id: str = "luca_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.query = query
        self.variables = variables
        self.idempotent = idempotent
        self.allow_partial = allow_partial
        self.luca_conn_id = luca_conn_id

    def execute(self, context: Context) -> Any:
        answer = self.hook.graphql(
            self.query, self.variables, idempotent=self.idempotent, allow_partial=self.allow_partial
        )
        return for_xcom(answer)


class LucaNodesOperator(_Luca, PullOperator):
    """Walks a Relay connection, for one or several companies; see :meth:`.LucaHook.nodes`.

    :param query: a GraphQL document, or the name of a ``.graphql`` file
    :param connection_path: where the connection lies in ``data``, for example ``saleInvoices``
    :param variables: of the document
    :param company_ids: ids or organisation numbers; see the hook's method
    :param page_size: nodes a page, at most 100
    :param verify: walk the ids a second time
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
        company_ids: Sequence[str] | str | None = None,
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
        return self.hook.nodes(
            self.query,
            self.connection_path,
            variables=self.variables,
            company_ids=self.company_ids,
            page_size=self.page_size,
            verify=self.verify,
            limit=self.limit,
        )


class LucaRequestOperator(_Luca, RequestOperator):
    """Makes one request to Luca's API, of any path; see :class:`.RequestOperator`.

    :param luca_conn_id: a connection of type ``luca``
    """

    template_fields: Sequence[str] = ("luca_conn_id", *RequestOperator.template_fields)

    def __init__(self, *, luca_conn_id: str = "luca_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.luca_conn_id = luca_conn_id
