"""Every API's pulls come to the same when pages are fetched ahead."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_finauth.client.paging.ahead import Ahead
from airflow_provider_finauth.exceptions import ResultTooLargeError
from airflow_provider_finauth.hooks.talenom import TalenomHook
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


@pytest.mark.usefixtures("always_early")
def test_what_cannot_land_is_not_fetched_any_more(
    connections: SandboxConnections, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = []
    close = Ahead.close
    monkeypatch.setattr(Ahead, "close", lambda source: (closed.append(source), close(source)))
    monkeypatch.setenv("AIRFLOW__FINAUTH__MAX_XCOM_RECORDS", "5")
    with pytest.raises(ResultTooLargeError) as caught:
        TalenomHook().vouchers(14222, page_size=10).collect()
    # While the error is there, and with it the frames that hold the pull.
    assert caught.value is not None
    assert closed
