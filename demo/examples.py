"""What is known of the example DAGs: whom they ask, and which of their tasks bring records."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

# The sandbox's data end on this day.
LOGICAL_DATE = "2026-11-01T00:00:00+00:00"


@dataclass(frozen=True)
class Example:
    """An example DAG.

    :param dag_id: also the name of its file
    :param api: whom it asks, as the sandbox calls them
    :param pulls: the tasks that return what they pulled, or its manifest; none pull nothing
    :param started_by: the DAG whose asset it is scheduled on. It asks no API, but takes on what that one has
        pulled
    """

    dag_id: str
    api: str
    pulls: tuple[str, ...]
    started_by: str | None = None


EXAMPLES = (
    Example("talenom_ledger", "talenom", ("periods", "ledger")),
    Example("op_transactions", "opcorporate", ("accounts", "transactions")),
    Example("landax_incidents", "landax", ("incidents",)),
    Example("landax_incidents_to_sql", "landax", ("load",), started_by="landax_incidents"),
    Example("tradevest_changelog", "tradevest", ("changes",)),
    Example("luca_open_invoices", "luca", ("companies", "invoices")),
    Example("talenom_vouchers_to_duckdb", "talenom", ("vouchers",)),
    Example("custom_operator", "talenom", ("balances",)),
    Example("plain_requests", "generic", ("items",)),
    Example("keep_tokens_fresh", "landax", ()),
)


@dataclass(frozen=True)
class Pulled:
    """What one task has pulled.

    :param records: how many records it says there are
    :param files: where they lie; none for XCom
    """

    records: int
    files: tuple[Path, ...] = ()

    @classmethod
    def of(cls, result: Any) -> Pulled:
        """Read what a task returned: records, a manifest, or a mapping that tells their number."""
        if isinstance(result, Mapping):
            listed = [file["uri"] for file in result.get("files") or [result] if "uri" in file]
            return cls(result["records"], tuple(Path(unquote(urlsplit(uri).path)) for uri in listed))
        return cls(len(result))

    def written(self) -> int:
        """Count the records that are really there."""
        return sum(map(_records_in, self.files)) if self.files else self.records


def connections(folder: Path) -> dict[str, str]:
    """Give what the examples need besides the vendors' connections, as environment variables."""
    folder.mkdir(parents=True, exist_ok=True)
    warehouse = {"conn_type": "sqlite", "host": str(folder / "warehouse.db")}
    return {
        "AIRFLOW_CONN_WAREHOUSE": json.dumps(warehouse),
        # dlt tells its makers that it was used, unless asked not to.
        "RUNTIME__DLTHUB_TELEMETRY": "false",
    }


def _records_in(file: Path) -> int:
    if file.suffix == ".parquet":
        from pyarrow.parquet import read_metadata

        return int(read_metadata(file).num_rows)
    with (gzip.open if file.suffix == ".gz" else open)(file, "rb") as lines:
        return sum(1 for line in lines if line.strip())
