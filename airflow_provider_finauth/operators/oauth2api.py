"""The operators of connections of type ``oauth2api``."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_finauth.operators.base import PullOperator, RequestOperator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_finauth.apis.dates import When
    from airflow_provider_finauth.hooks.oauth2api import OAuth2ApiHook
    from airflow_provider_finauth.hooks.records import Records


class _OAuth2Api:
    """Finds the hook."""

    oauth2api_conn_id: str

    @cached_property
    def hook(self) -> OAuth2ApiHook:
        """The hook that does the work."""
        from airflow_provider_finauth.hooks.oauth2api import OAuth2ApiHook

        return OAuth2ApiHook(self.oauth2api_conn_id)


class OAuth2ApiRecordsOperator(_OAuth2Api, PullOperator):
    """Pulls any list; see :meth:`.FinauthHook.records`.

    :param path: below the connection's address, or the whole address of one of its origins
    :param query_params: of the query
    :param paging: none, page_index, limit_offset, skip_top, next_link, cursor, relay or keyset
    :param paging_options: what that style takes; see the documentation of paging
    :param since: the first moment; goes out as ``since_param``
    :param until: the last moment; goes out as ``until_param``
    :param since_param: the parameter by which the API filters by the time of change
    :param until_param: the parameter for that time's end
    :param changed_field: the member that tells when a record changed, for incremental pulls
    :param records_path: where the list lies in the answer, for example ``result.items``
    :param key: the member that names a record, for the guards against lost rows
    :param total: where the answer tells the number of all records
    :param method: the HTTP method
    :param json: the body
    :param headers: further headers
    :param idempotent: whether a request other than a GET may be repeated when its answer is lost
    :param oauth2api_conn_id: a connection of type ``oauth2api``
    """

    template_fields: Sequence[str] = (
        "oauth2api_conn_id",
        "path",
        "query_params",
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
        query_params: dict[str, Any] | None = None,
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
        headers: dict[str, str] | None = None,
        idempotent: bool | None = None,
        oauth2api_conn_id: str = "oauth2api_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.path = path
        self.query_params = query_params
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
        self.oauth2api_conn_id = oauth2api_conn_id

    def records(self) -> Records:
        return self.hook.records(
            self.path,
            params=self.query_params,
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
            limit=self.limit,
        )


class OAuth2ApiRequestOperator(_OAuth2Api, RequestOperator):
    """Makes one request to an API, of any path; see :class:`.RequestOperator`.

    :param oauth2api_conn_id: a connection of type ``oauth2api``
    """

    template_fields: Sequence[str] = ("oauth2api_conn_id", *RequestOperator.template_fields)

    def __init__(self, *, oauth2api_conn_id: str = "oauth2api_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.oauth2api_conn_id = oauth2api_conn_id
