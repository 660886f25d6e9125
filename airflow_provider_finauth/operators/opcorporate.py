"""The operators of connections of type ``opcorporate``.

Written by ``make operators`` from ``apis/opcorporate.py``, where they are to be changed.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_finauth.operators.base import PullOperator, RequestOperator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_finauth.hooks.opcorporate import OPCorporateHook
    from airflow_provider_finauth.pulls.records import Records
    from airflow_provider_finauth.values import When


class _OPCorporate:
    """Finds the hook where the task runs: importing it costs time."""

    opcorporate_conn_id: str

    @cached_property
    def hook(self) -> OPCorporateHook:
        """The hook that does the work."""
        from airflow_provider_finauth.hooks.opcorporate import OPCorporateHook

        return OPCorporateHook(self.opcorporate_conn_id)


class OPCorporateAccountsOperator(_OPCorporate, PullOperator):
    """Pull the accounts that the contract covers.

    Further arguments are those of :class:`.PullOperator`.

    :param opcorporate_conn_id: a connection of type ``opcorporate``
    """

    template_fields: Sequence[str] = ("opcorporate_conn_id", *PullOperator.template_fields)

    def __init__(self, *, opcorporate_conn_id: str = "opcorporate_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.opcorporate_conn_id = opcorporate_conn_id

    def records(self) -> Records:
        # It reads the strings that templates give.
        hook: Any = self.hook
        return hook.accounts()


class OPCorporateTransactionsOperator(_OPCorporate, PullOperator):
    """Pull an account's transactions, oldest first.

    They are walked by their timestamp in microseconds. Many may share one, so each page begins with the last
    one's timestamp again, and what was seen before is dropped.

    Further arguments are those of :class:`.PullOperator`.

    :param surrogate_id: the account, as in the list of accounts
    :param since: the first moment wanted, by timestamp
    :param until: the first moment no longer wanted, by timestamp
    :param opcorporate_conn_id: a connection of type ``opcorporate``
    """

    template_fields: Sequence[str] = (
        "opcorporate_conn_id",
        "surrogate_id",
        "since",
        "until",
        *PullOperator.template_fields,
    )

    def __init__(
        self,
        *,
        surrogate_id: str,
        since: When | None = None,
        until: When | None = None,
        opcorporate_conn_id: str = "opcorporate_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.surrogate_id = surrogate_id
        self.since = since
        self.until = until
        self.opcorporate_conn_id = opcorporate_conn_id

    def records(self) -> Records:
        # It reads the strings that templates give.
        hook: Any = self.hook
        return hook.transactions(self.surrogate_id, since=self.since, until=self.until)


class OPCorporateRecordsOperator(_OPCorporate, PullOperator):
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
    :param opcorporate_conn_id: a connection of type ``opcorporate``
    """

    template_fields: Sequence[str] = (
        "opcorporate_conn_id",
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
        opcorporate_conn_id: str = "opcorporate_default",
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
        self.opcorporate_conn_id = opcorporate_conn_id

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


class OPCorporateRequestOperator(_OPCorporate, RequestOperator):
    """Make one request of any path to OP Corporate Banking.

    Further arguments are those of :class:`.RequestOperator`.

    :param opcorporate_conn_id: a connection of type ``opcorporate``
    """

    template_fields: Sequence[str] = ("opcorporate_conn_id", *RequestOperator.template_fields)

    def __init__(self, *, opcorporate_conn_id: str = "opcorporate_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.opcorporate_conn_id = opcorporate_conn_id
