"""The hook of connections of type ``opcorporate``."""

from __future__ import annotations

from typing import Any

from airflow_provider_finauth.apis.opcorporate import OPCorporate
from airflow_provider_finauth.hooks.base import FinauthHook
from airflow_provider_finauth.hooks.listing import listing
from airflow_provider_finauth.runtime.errors import airflow_errors


class OPCorporateHook(FinauthHook[OPCorporate]):
    """Talks to OP's Corporate Banking APIs over mutual TLS.

    :param opcorporate_conn_id: a connection of type ``opcorporate``
    """

    conn_type = "opcorporate"

    accounts = listing(OPCorporate.accounts)
    transactions = listing(OPCorporate.transactions)

    def __init__(self, opcorporate_conn_id: str = "opcorporate_default", **kwargs: Any) -> None:
        super().__init__(opcorporate_conn_id, **kwargs)

    @airflow_errors()
    def account(self, surrogate_id: str) -> dict[str, Any]:
        """Read one account.

        :param surrogate_id: as in the list of accounts
        """
        account: dict[str, Any] = self.client.get_json(self.api.account_path(surrogate_id))
        return account
