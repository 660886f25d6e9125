"""Every API's pulls come to the same when pages are fetched ahead."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.hooks.pulls import PULLS

if TYPE_CHECKING:
    from tests.hooks.support import SandboxConnections


@pytest.mark.usefixtures("always_early")
@pytest.mark.parametrize("name", PULLS)
def test_the_same_records_come_in_the_same_order(
    name: str, connections: SandboxConnections, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = PULLS[name]
    early = list(case.begin(case.hook_class()))
    monkeypatch.setattr("airflow_provider_finauth.client.paging.ahead._WORTH_IT", float("inf"))
    assert early == list(case.begin(case.hook_class()))
    assert len(early) == case.records
