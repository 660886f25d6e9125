"""The operators of connections of type ``opcorporate``."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_finauth.operators.base import PullOperator, RequestOperator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_finauth.apis.dates import When
    from airflow_provider_finauth.hooks.opcorporate import OPCorporateHook
    from airflow_provider_finauth.hooks.records import Records


class _OPCorporate:
    """Finds the hook."""

    opcorporate_conn_id: str

    @cached_property
    def hook(self) -> OPCorporateHook:
        """The hook that does the work."""
        from airflow_provider_finauth.hooks.opcorporate import OPCorporateHook

        return OPCorporateHook(self.opcorporate_conn_id)


class OPAccountsOperator(_OPCorporate, PullOperator):
    """Pulls the accounts that the contract covers; see :meth:`.OPCorporateHook.accounts`.

    :param opcorporate_conn_id: a connection of type ``opcorporate``
    """

    template_fields: Sequence[str] = (
        "opcorporate_conn_id",
        *PullOperator.template_fields,
    )

    def __init__(
        self,
        *,
        opcorporate_conn_id: str = "opcorporate_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.opcorporate_conn_id = opcorporate_conn_id

    def records(self) -> Records:
        return self.hook.accounts(limit=self.limit)


class OPTransactionsOperator(_OPCorporate, PullOperator):
    """Pulls an account's transactions; see :meth:`.OPCorporateHook.transactions`.

    :param surrogate_id: the account, as in the list of accounts
    :param since: the first moment
    :param until: the first moment no longer wanted
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
        return self.hook.transactions(
            self.surrogate_id,
            since=self.since,
            until=self.until,
            limit=self.limit,
        )


class OPCorporateRequestOperator(_OPCorporate, RequestOperator):
    """Makes one request to OP's Corporate Banking APIs, of any path; see :class:`.RequestOperator`.

    :param opcorporate_conn_id: a connection of type ``opcorporate``
    """

    template_fields: Sequence[str] = ("opcorporate_conn_id", *RequestOperator.template_fields)

    def __init__(self, *, opcorporate_conn_id: str = "opcorporate_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.opcorporate_conn_id = opcorporate_conn_id
