"""One pull of several pages by each API's hook."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_finauth.hooks.landax import LandaxHook
from airflow_provider_finauth.hooks.luca import LucaHook
from airflow_provider_finauth.hooks.oauth2api import OAuth2ApiHook
from airflow_provider_finauth.hooks.opcorporate import OPCorporateHook
from airflow_provider_finauth.hooks.talenom import TalenomHook
from airflow_provider_finauth.hooks.tradevest import TradevestHook

if TYPE_CHECKING:
    from airflow_provider_finauth.hooks.base import FinauthHook
    from airflow_provider_finauth.pulls.records import Records

CUSTOMERS = """
query Customers($first: Int, $after: String) {
  saleCustomers(first: $first, after: $after) {
    nodes { id name }
    pageInfo { hasNextPage endCursor }
  }
}
"""
# The sandbox's last account, whose name it makes the same way each time.
_OP_ACCOUNT: list[str] = []


def _op_account(hook: OPCorporateHook) -> str:
    if not _OP_ACCOUNT:
        _OP_ACCOUNT.append(list(hook.accounts())[-1]["surrogateId"])
    return _OP_ACCOUNT[0]


@dataclass(frozen=True)
class Pulled:
    """A pull.

    :param sandbox_name: what the sandbox calls the API
    :param hook_class: the hook
    :param begin: begins the pull
    :param records: how many there are
    :param pages: how many requests that takes
    """

    sandbox_name: str
    hook_class: type[FinauthHook[Any]]
    begin: Callable[[Any], Records]
    records: int
    pages: int


PULLS = {
    "talenom": Pulled("talenom", TalenomHook, lambda hook: hook.accounting_periods(14222, page_size=2), 6, 3),
    "opcorporate": Pulled(
        "opcorporate",
        OPCorporateHook,
        lambda hook: hook.transactions(_op_account(hook), since="2026-04-01"),
        311,
        4,
    ),
    "landax": Pulled("landax", LandaxHook, lambda hook: hook.entities("Projects", page_size=50), 140, 4),
    "tradevest": Pulled(
        "tradevest", TradevestHook, lambda hook: hook.changelog("roles", page_size=600), 1500, 3
    ),
    "luca": Pulled("luca", LucaHook, lambda hook: hook.nodes(CUSTOMERS, "saleCustomers"), 160, 2),
    "oauth2api": Pulled(
        "generic",
        OAuth2ApiHook,
        lambda hook: hook.records(
            "/links", paging="next_link", paging_options={"keys": "next"}, query={"limit": 1000}, key="id"
        ),
        2500,
        3,
    ),
}
