from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_finauth.client.params import encode_params


@pytest.mark.parametrize(
    ("given", "encoded"),
    [
        (None, []),
        ({}, []),
        ({"a": True, "b": False}, [("a", "true"), ("b", "false")]),
        ({"a": None, "b": 0, "c": ""}, [("b", "0"), ("c", "")]),
        ({"a": [1, None, True]}, [("a", "1"), ("a", "true")]),
        ([("a", 1), ("a", 2)], [("a", "1"), ("a", "2")]),
        ({"$top": Decimal("1.50")}, [("$top", "1.50")]),
        ({"d": date(2025, 1, 31)}, [("d", "2025-01-31")]),
        ({"d": datetime(2025, 1, 31, 9, tzinfo=UTC)}, [("d", "2025-01-31T09:00:00+00:00")]),
    ],
)
def test_params(given: Any, encoded: list[tuple[str, str]]) -> None:
    assert encode_params(given) == encoded
