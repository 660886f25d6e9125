"""The benchmarks of ``benchmarks.speed`` with tiny numbers: that they run, not how fast."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from benchmarks.speed import report
from benchmarks.speed.cases import CASES, Case
from benchmarks.speed.runner import Measured, Results, measure, run_cases, running_server
from benchmarks.speed.subjects import KEYS, make_subject
from benchmarks.speed.subjects.base import Order
from benchmarks.speed.targets import verdicts


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with running_server(pages=3, records=10) as found:
        yield found


def test_ours_pulls_and_calls(address: str) -> None:
    # One process for the import's sake: a pull to a file walks all of ours.
    pull = replace(CASES["cursor-50"].quick(), pages=3, records=10)
    found = measure(pull, "finauth-guarded", address)

    assert found["seconds"] > 0
    assert found["memory"] > 0
    assert found["written"] > 3 * 10 * 100
    assert "airflow-provider-finauth" in found["versions"]


@pytest.mark.parametrize("style", ["index", "cursor"])
def test_the_server_gives_what_was_asked_for(
    style: str, address: str, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    order = Order(address, 3, 10, 1, 1, style, str(tmp_path))  # type: ignore[arg-type]

    for key in ("requests-json", "requests-msgspec"):
        subject = make_subject(key)
        subject.load()
        assert subject.pull(order) == 30


def test_the_servers_records_are_all_different(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import requests

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    url, pages = f"{address}/3/0/0/links", []
    while url:
        pages.append(requests.get(url, timeout=10).json())
        url = pages[-1].get("@odata.nextLink", "")

    rows = [row for page in pages for row in page["value"]]
    assert len({row["id"] for row in rows}) == len(rows) == pages[0]["total"] == 30
    assert requests.get(f"{address}/3/0/0/index?page=4", timeout=10).json()["value"] == []
    assert requests.get(f"{address}/nothing", timeout=10).status_code == 404


def test_a_run_ends_in_a_page() -> None:
    case = replace(CASES["small"].quick(), subjects=("requests-json", "drain"))
    results, told = Results(), list[str]()
    run_cases([case], results, tell=told.append)

    assert len(told) == 2
    page = report.page([case], results, seconds=1)
    assert "| requests + json |" in page
    assert "a bare socket" in page


def test_a_subject_that_cannot_be_measured_says_why() -> None:
    case = Case("small", "", "", ("requests-json",), pages=1, records=1)
    results = Results()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmarks.speed.runner._python", lambda environment: "/bin/false")
        run_cases([case], results, tell=lambda text: None)

    assert "not measured: it said nothing" in report.page([case], results, seconds=1)


def measured(*seconds: float) -> Measured:
    return Measured([*seconds], [*seconds], [1e6 for _ in seconds])


def test_missed_targets_are_shown_as_missed() -> None:
    results = Results(
        cases={
            "loopback": {
                "finauth-lines": measured(1.0, 1.0, 1.0),
                "finauth-guarded": measured(1.0, 2.0, 1.0),
                "http-operator": measured(4.0, 4.1, 2.9),
            },
            "cursor-50": {"finauth-guarded": measured(5.3, 5.2, 5.5)},
            "calls": {"requests-json": measured(1.0), "finauth-session": measured(1.1)},
        }
    )

    held = {verdict.title.split(",")[0]: verdict.held for verdict in verdicts(results, CASES)}

    assert held == {
        "JSON Lines without looking into records": True,
        "JSON Lines with all guards": False,
        "JSON Lines with all guards by cursor": True,
        "time of a call with our session": False,
    }
    assert "**missed**" in report.page([*CASES.values()], results, seconds=1)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_every_case_names_known_subjects(case: Case) -> None:
    assert set(case.subjects) <= set(KEYS)
    for key in case.subjects:
        assert make_subject(key).key == key
