"""What is known of the example DAGs: whom they ask, and which of their tasks bring records."""

from __future__ import annotations

import gzip
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
    """

    dag_id: str
    api: str
    pulls: tuple[str, ...]


EXAMPLES = (
    Example("talenom_ledger", "talenom", ("periods", "ledger")),
    Example("op_transactions", "opcorporate", ("accounts", "transactions")),
    Example("landax_incidents", "landax", ("incidents",)),
    Example("tradevest_changelog", "tradevest", ("changes",)),
    Example("luca_open_invoices", "luca", ("companies", "invoices")),
    Example("custom_operator", "talenom", ("balances",)),
    Example("plain_requests", "generic", ("items",)),
    Example("keep_tokens_fresh", "landax", ()),
)


@dataclass(frozen=True)
class Pulled:
    """What one task has pulled.

    :param records: how many records it says there are
    :param file: where they lie; None for XCom
    """

    records: int
    file: Path | None = None

    @classmethod
    def of(cls, result: Any) -> Pulled:
        """Read what a task returned: records, a manifest, or a mapping that tells their number."""
        if isinstance(result, Mapping):
            uri = result.get("uri")
            return cls(result["records"], Path(unquote(urlsplit(uri).path)) if uri else None)
        return cls(len(result))

    def written(self) -> int:
        """Count the records that are really there."""
        if self.file is None:
            return self.records
        with (gzip.open if self.file.suffix == ".gz" else open)(self.file, "rb") as lines:
            return sum(1 for line in lines if line.strip())
