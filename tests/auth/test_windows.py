from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_finauth.auth.answer import LONGEST_LIFETIME, SHORTEST_LIFETIME
from airflow_provider_finauth.auth.windows import advisory, draw_jitter, mandatory


@pytest.mark.parametrize(
    ("lifetime", "nobody_uses", "one_renews"),
    [(3600, 60, 300), (900, 60, 300), (240, 60, 120), (100, 25, 50), (1, 0.25, 0.5)],
)
def test_windows(lifetime: float, nobody_uses: float, one_renews: float) -> None:
    assert mandatory(lifetime) == nobody_uses
    assert advisory(lifetime, 0.0) == one_renews


@given(lifetime=st.floats(SHORTEST_LIFETIME, LONGEST_LIFETIME), jitter=st.floats(0, 1, exclude_max=True))
def test_a_token_is_renewed_before_nobody_uses_it_and_not_at_once(lifetime: float, jitter: float) -> None:
    assert 0 < mandatory(lifetime) < advisory(lifetime, jitter) < lifetime


def test_processes_differ() -> None:
    drawn = {draw_jitter() for _ in range(20)}
    assert len(drawn) > 1
    assert all(0 <= jitter < 1 for jitter in drawn)
    assert len({advisory(3600, jitter) for jitter in drawn}) > 1
