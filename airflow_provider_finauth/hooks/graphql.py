"""The hook of an API that speaks GraphQL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_finauth import values
from airflow_provider_finauth.hooks.base import A_co, FinauthHook
from airflow_provider_finauth.runtime.errors import airflow_errors


class GraphQLHook(FinauthHook[A_co]):
    """Talks to an API whose ``graphql_path`` takes GraphQL documents.

    :param conn_id: the connection
    """

    @airflow_errors()
    def graphql(
        self,
        query: str,
        variables: Mapping[str, Any] | None = None,
        *,
        idempotent: bool | str | None = None,
        allow_partial: bool | str = False,
    ) -> dict[str, Any]:
        """Run one document and return its ``data``.

        :param query: a GraphQL document
        :param variables: of the document
        :param idempotent: whether it may be repeated when a response is lost; None repeats queries only
        :param allow_partial: return ``{"data": …, "errors": […]}`` where some fields failed, instead of
            raising
        :raises FinauthError: the response has errors
        """
        response: dict[str, Any] = self.client.graphql(
            values.argument("query", values.string, query),
            values.optional("variables", values.mapping, variables),
            path=str(self.api.graphql_path),
            idempotent=values.optional("idempotent", values.flag, idempotent),
            allow_partial=values.argument("allow_partial", values.flag, allow_partial),
        )
        return response
