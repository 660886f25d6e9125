"""The rows of the matrix, in groups that each make a part of the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.matrix.rows import answers, conversation, failures, secrets, sharing

if TYPE_CHECKING:
    from benchmarks.matrix.cells import Row

GROUPS: dict[str, tuple[Row, ...]] = {
    "One token for many": sharing.ROWS,
    "Refusals and lost answers": failures.ROWS,
    "The conversation with the API": conversation.ROWS,
    "Odd token answers": answers.ROWS,
    "Secrets": secrets.ROWS,
}

ROWS: dict[str, Row] = {row.key: row for rows in GROUPS.values() for row in rows}
