"""Long pulls, one for each way to page, in one process that tells how much memory each has taken.

``python -m tests.scale.pulls <records> <folder> <sandbox's URL>``, with the sandbox's connections in the
environment. Each way is walked twice, for a tenth of the records and for all of them, so that what is loaded
once is not counted; what is printed is the most memory that a walk took over what the process held before it.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import ProxyHandler, Request, build_opener

from airflow_provider_finauth.hooks.landax import LandaxHook
from airflow_provider_finauth.hooks.luca import LucaHook
from airflow_provider_finauth.hooks.oauth2api import OAuth2ApiHook
from airflow_provider_finauth.hooks.opcorporate import OPCorporateHook
from airflow_provider_finauth.hooks.talenom import TalenomHook
from airflow_provider_finauth.hooks.tradevest import TradevestHook

if TYPE_CHECKING:
    from airflow_provider_finauth.pulls.records import Records

ORGANIZATION = 14222
INVOICES = """query Q($companyId: ID, $first: Int, $after: String) {
  saleInvoices(companyId: $companyId, first: $first, after: $after) {
    nodes { id totalCents } pageInfo { hasNextPage endCursor }
  }
}"""


def generic(path: str, paging: Any, *, query: dict[str, Any] | None = None, **options: Any) -> Any:
    def pull(limit: int) -> Records:
        found = OAuth2ApiHook().records(path, query=query, paging=paging, paging_options=options, key="id")
        return found.limit(limit)

    return pull


def op_transactions(limit: int) -> Records:
    hook = OPCorporateHook()
    return hook.transactions(next(hook.accounts())["surrogateId"]).limit(limit)


def landax_links(limit: int) -> Records:
    """Without ``$top`` the standard's endpoint links each page to the next."""
    found = LandaxHook().records("/odata/v32/Incidents", paging="next_link", records_path="value", key="Id")
    return found.limit(limit)


# The name of the way, the pull of so many, and the ending of the file.
WAYS: dict[str, tuple[Callable[[int], Records], str]] = {
    "talenom_index": (lambda limit: TalenomHook().vouchers(ORGANIZATION).limit(limit), "jsonl"),
    "talenom_limit": (
        lambda limit: (
            TalenomHook()
            .records(
                f"/fi/sales/v1/{ORGANIZATION}/invoices",
                paging="limit_offset",
                paging_options={"size": 1000},
                key="id",
            )
            .limit(limit)
        ),
        "jsonl.gz",
    ),
    "op_keyset": (op_transactions, "parquet"),
    "landax_skip": (lambda limit: LandaxHook().entities("Incidents").limit(limit), "jsonl.zst"),
    "landax_links": (landax_links, "csv"),
    "tradevest_cursor": (lambda limit: TradevestHook().transactions().limit(limit), "csv.gz"),
    "luca_relay": (lambda limit: LucaHook().nodes(INVOICES, "saleInvoices").limit(limit), "jsonl"),
    "generic_cursor": (generic("/items", "cursor", size_param="limit", size=1000), "jsonl"),
    "generic_offsets": (generic("/offsets", "limit_offset", size=1000), "parquet"),
    "generic_links": (generic("/links", "next_link", query={"limit": 1000}, keys=["next"]), "jsonl"),
    "generic_keyset": (
        generic("/keyset", "keyset", query={"limit": 1000}, param="since", field="updatedAt", size=1000),
        "jsonl",
    ),
    # Last: from here on the sandbox counts Talenom's pages by rows.
    "talenom_offset": (
        lambda limit: TalenomHook("talenom_offset").general_ledger_events(ORGANIZATION).limit(limit),
        "parquet",
    ),
}


def main() -> None:
    records, folder, url = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    for name in ("pyarrow.parquet", "zstandard"):
        # What a library takes is not what a pull takes.
        import_module(name)
    for name, (pull, ending) in WAYS.items():
        if name == "talenom_offset":
            _count_rows(url)
        found: dict[str, Any] = {"way": name}
        for part, limit in (("few", records // 10), ("all", records)):
            before = _reset_peak()
            began = time.monotonic()
            manifest = pull(limit).write_to(str(folder / part / f"{name}.{ending}"))
            found[part] = {
                "records": manifest["records"],
                "peak": _memory("VmHWM") - before,
                "seconds": round(time.monotonic() - began, 2),
                "manifest": manifest,
            }
        print(json.dumps(found), flush=True)


def _count_rows(url: str) -> None:
    body = json.dumps({"talenom": {"page_numbering": "offset"}}).encode()
    request = Request(f"{url}/_sandbox/settings", data=body)
    build_opener(ProxyHandler({})).open(request, timeout=30).close()


def _reset_peak() -> int:
    """Let the kernel forget how large this process has been, and give how large it is, in bytes."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    return _memory("VmRSS")


def _memory(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(name)


if __name__ == "__main__":
    main()
