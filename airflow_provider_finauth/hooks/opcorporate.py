"""The hook of connections of type ``opcorporate``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_finauth.apis.opcorporate import OPCorporate
from airflow_provider_finauth.hooks.base import FinauthHook
from airflow_provider_finauth.runtime.errors import airflow_errors

if TYPE_CHECKING:
    from airflow_provider_finauth.apis.dates import When
    from airflow_provider_finauth.client.paging.base import Pull
    from airflow_provider_finauth.hooks.records import Records


class OPCorporateHook(FinauthHook[OPCorporate]):
    """Talks to OP's Corporate Banking APIs over mutual TLS.

    :param opcorporate_conn_id: a connection of type ``opcorporate``
    """

    conn_name_attr = "opcorporate_conn_id"
    default_conn_name = "opcorporate_default"
    conn_type = "opcorporate"
    hook_name = "OP Corporate Banking"
    api_class = OPCorporate

    def __init__(self, opcorporate_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(opcorporate_conn_id, **kwargs)

    def accounts(self, *, limit: int | str | None = None) -> Records:
        """Pull the accounts that the contract covers.

        :param limit: stop after so many
        """
        return self._records(lambda since, until: self.api.accounts(), limit=limit)

    def account(self, surrogate_id: str) -> dict[str, Any]:
        """Read one account.

        :param surrogate_id: as in the list of accounts
        """
        with airflow_errors():
            account: dict[str, Any] = self.client.get_json(self.api.account_path(surrogate_id))
            return account

    def transactions(
        self,
        surrogate_id: str,
        *,
        since: When | None = None,
        until: When | None = None,
        limit: int | str | None = None,
    ) -> Records:
        """Pull an account's transactions, oldest first.

        See :meth:`.apis.opcorporate.OPCorporate.transactions`.

        :param limit: stop after so many
        """

        def describe(since: When | None, until: When | None) -> Pull:
            return self.api.transactions(surrogate_id, since=since, until=until)

        return self._records(describe, since=since, until=until, limit=limit)
