from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_finauth.transport.retry_after import LONGEST_WAIT, parse_retry_after

NOW = 1_700_000_000.0


class TestRetryAfter:
    @pytest.mark.parametrize(
        ("value", "seconds"),
        [
            ("0", 0),
            ("120", 120),
            (" 3 ", 3),
            ("1.5", 1.5),
            (7, 7),
            ("9999999999", LONGEST_WAIT),
            ("9" * 5000, LONGEST_WAIT),
            ("Tue, 14 Nov 2023 22:14:20 GMT", 60),
            ("Tuesday, 14-Nov-23 22:14:20 GMT", 60),
            ("Tue Nov 14 22:14:20 2023", 60),
            ("Tue, 14 Nov 2023 22:12:00 GMT", 0),
            ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_WAIT),
        ],
    )
    def test_seconds_and_dates(self, value: Any, seconds: float) -> None:
        assert parse_retry_after(value, now=NOW) == seconds

    @pytest.mark.parametrize(
        "value",
        [
            None,
            "",
            "soon",
            "nan",
            "inf",
            "-inf",
            "-1",
            "1e3",
            "0x10",
            "1,5",
            "٣",
            True,
            [],
            "Tue, 99 Nov 2023",
        ],
    )
    def test_what_says_nothing(self, value: Any) -> None:
        assert parse_retry_after(value, now=NOW) is None

    @given(st.one_of(st.text(), st.floats(), st.integers(), st.none(), st.booleans(), st.binary()))
    def test_anything_is_survived_and_clamped(self, value: Any) -> None:
        seconds = parse_retry_after(value, now=NOW)
        assert seconds is None or 0 <= seconds <= LONGEST_WAIT

    @given(st.integers(-(10**6), 10**6))
    def test_dates_count_from_now(self, offset: int) -> None:
        date = datetime.fromtimestamp(NOW, UTC) + timedelta(seconds=offset)

        text = format_datetime(date, usegmt=True)

        assert parse_retry_after(text, now=NOW) == min(max(0, offset), LONGEST_WAIT)
