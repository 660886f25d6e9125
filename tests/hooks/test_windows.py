"""``[since, until)`` of every resource with times: adjoining windows bring each record once, and all of them.

The sandbox counts the ends of a time as each vendor does: some count the last moment or day in, others do
not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_finauth.client.paging.changes import moment_of
from airflow_provider_finauth.exceptions import ConfigurationError
from airflow_provider_finauth.hooks.landax import LandaxHook
from airflow_provider_finauth.hooks.opcorporate import OPCorporateHook
from airflow_provider_finauth.hooks.talenom import TalenomHook
from airflow_provider_finauth.hooks.tradevest import TradevestHook
from tests.declared import RESOURCES, Declared

if TYPE_CHECKING:
    from airflow_provider_finauth.pulls.records import Records
    from airflow_provider_finauth.sandbox import RunningSandbox
    from tests.hooks.support import SandboxConnections

ORGANIZATION = 14222
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Windowed:
    """How a resource is asked for a time in the sandbox.

    :param begin: begins the pull of a window
    :param key: the member that names a record
    :param time: the member that the window speaks of
    :param by: what lies between two moments that the API tells apart
    """

    begin: Callable[..., Records]
    key: str
    time: str
    by: timedelta = _MICROSECOND


@cache
def _account() -> str:
    """The sandbox's last account, which has the same name each time."""
    name: str = list(OPCorporateHook().accounts())[-1]["surrogateId"]
    return name


@cache
def _wallet() -> str:
    """The wallet of the sandbox's requestor, which has the same name each time."""
    hook = TradevestHook()
    customer = hook.settings.text("requestor_id")
    name: str = next(hook.customer_products(customer))["customerProductId"]
    return name


DAY = timedelta(days=1)
WINDOWED: dict[str, Windowed] = {
    "talenom.vouchers": Windowed(
        lambda **window: TalenomHook().vouchers(ORGANIZATION, **window), "id", "voucherDate", DAY
    ),
    "talenom.general_ledger_events": Windowed(
        lambda **window: TalenomHook().general_ledger_events(ORGANIZATION, **window), "id", "voucherDate", DAY
    ),
    "talenom.sales_invoices": Windowed(
        lambda **window: TalenomHook().sales_invoices(ORGANIZATION, date_type="dueDate", **window),
        "id",
        "dueDate",
        DAY,
    ),
    "opcorporate.transactions": Windowed(
        lambda **window: OPCorporateHook().transactions(_account(), **window), "objectId", "timestamp"
    ),
    "landax.entities": Windowed(
        lambda **window: LandaxHook().entities("Incidents", **window), "Id", "ChangedDateTime"
    ),
    "tradevest.changelog": Windowed(
        lambda **window: TradevestHook().changelog("roles", page_size=500, **window), "entryId", "createdOn"
    ),
    "tradevest.orders": Windowed(
        lambda **window: TradevestHook().orders(_wallet(), **window), "orderId", "createdOn"
    ),
    # The same method everywhere; this API counts the end in, which nobody tells the package.
    **{
        f"{api}.records": Windowed(
            lambda **window: TradevestHook().records(
                "/products-changelog",
                paging="cursor",
                paging_options={"cursor_path": "pagination.cursor", "size_param": "limit", "size": 500},
                records_path="data",
                key="entryId",
                changed_field="createdOn",
                since_param="startDate",
                until_param="endDate",
                **window,
            ),
            "entryId",
            "createdOn",
        )
        for api in ("talenom", "opcorporate", "landax", "tradevest", "luca", "oauth2api")
    },
}
_ALIKE = {f"{api}.records" for api in ("talenom", "opcorporate", "landax", "tradevest", "luca")}
WITH_TIMES = [declared for declared in RESOURCES if declared.resource.has_window]


def moment(record: dict[str, Any], windowed: Windowed) -> datetime:
    found = moment_of(record[windowed.time])
    assert found is not None
    return found


def test_every_resource_with_times_is_looked_at() -> None:
    assert set(WINDOWED) == set(map(str, WITH_TIMES))


@pytest.mark.parametrize("name", [name for name in WINDOWED if name not in _ALIKE])
def test_adjoining_windows_bring_each_record_once(connections: SandboxConnections, name: str) -> None:
    windowed = WINDOWED[name]
    everything = list(windowed.begin())
    times = sorted({moment(record, windowed) for record in everything})
    first, last = times[len(times) // 4], times[3 * len(times) // 4]
    # Where many records meet: the edge cuts between those of one moment and those of the next.
    met = Counter(moment(record, windowed) for record in everything)
    crowded = max(times, key=lambda time: (first < time < last, met[time]))
    edges = sorted({first, crowded, min(crowded + windowed.by, last), last})
    pulled = [
        record
        for since, until in zip([None, *edges], [*edges, None], strict=True)
        for record in windowed.begin(since=since, until=until)
    ]
    names = [record[windowed.key] for record in pulled]
    assert len(names) == len(set(names))
    assert set(names) == {record[windowed.key] for record in everything}
    for since, until in pairwise(edges):
        inside = list(windowed.begin(since=since, until=until))
        assert {record[windowed.key] for record in inside} == {
            record[windowed.key] for record in everything if since <= moment(record, windowed) < until
        }


@pytest.mark.parametrize("name", WINDOWED)
def test_an_empty_window_is_refused_and_nothing_is_asked(
    connections: SandboxConnections, sandbox: RunningSandbox, name: str
) -> None:
    """No records would look like no data. In Airflow 3 a cron schedule has an interval without a length."""
    for since, until in (("2026-10-02", "2026-10-01"), ("2026-10-01", datetime(2026, 10, 1, tzinfo=UTC))):
        with pytest.raises(ConfigurationError, match="'since'") as caught:
            WINDOWED[name].begin(since=since, until=until)
        assert isinstance(caught.value, AirflowFailException)
    # What names an account or a product is asked for first.
    asked = {f"{api}.{each}" for api, each in (("opcorporate", "transactions"), ("tradevest", "orders"))}
    if name not in asked:
        assert not any(counts["token_requests"] for counts in sandbox.stats().values())


@pytest.mark.parametrize("declared", WITH_TIMES, ids=str)
def test_which_time_is_meant_is_declared(declared: Declared) -> None:
    resource = declared.resource
    assert resource.window or resource.name == "records"
    for argument in resource.arguments:
        if argument.name in ("since", "until"):
            assert (resource.window or "changed_field") in (
                argument.description if resource.window else resource.notes + argument.description
            )
    documented = {field.name for field in resource.fields}
    for member in (resource.key, resource.version, *(resource.changes.fields if resource.changes else ())):
        assert not documented or member is None or member in documented


@pytest.mark.parametrize(
    "moment_of_day", ["2026-10-01T09:00:00Z", "2026-10-01T00:00:01", datetime(2026, 10, 1, 12, tzinfo=UTC)]
)
@pytest.mark.parametrize("argument", ["since", "until"])
def test_an_api_that_knows_only_days_is_asked_for_days(
    connections: SandboxConnections, sandbox: RunningSandbox, argument: str, moment_of_day: Any
) -> None:
    for declared in WITH_TIMES:
        if declared.resource.whole_days:
            with pytest.raises(ConfigurationError, match=f"'{argument}' must be a midnight") as caught:
                WINDOWED[str(declared)].begin(**{argument: moment_of_day})
            assert caught.value.field == argument
    assert not any(counts["token_requests"] for counts in sandbox.stats().values())


def test_midnights_of_finland_are_days_too(connections: SandboxConnections, sandbox: RunningSandbox) -> None:
    """As Airflow hands over the interval of a timetable of Helsinki."""
    plain = list(TalenomHook().vouchers(ORGANIZATION, since=date(2026, 3, 1), until="2026-04-01"))
    there = list(
        TalenomHook().vouchers(
            ORGANIZATION, since="2026-02-28T22:00:00+00:00", until=datetime(2026, 3, 31, 21, tzinfo=UTC)
        )
    )
    assert there == plain != []
    asked = [dict(each["query"]) for each in sandbox.log("talenom", "api")]
    assert {(each["dateFrom"], each["dateTo"]) for each in asked} == {("2026-03-01", "2026-03-31")}


def test_what_lies_outside_is_counted(connections: SandboxConnections, tmp_path: Any) -> None:
    """Tradevest counts the last moment in: what bears it belongs to the next window."""
    entries = list(TradevestHook().changelog("roles"))
    until = entries[700]["createdOn"]
    before = [row for row in entries if moment_of(row["createdOn"]) < moment_of(until)]  # type: ignore[operator]
    manifest = TradevestHook().changelog("roles", until=until).write_to(str(tmp_path / "x.jsonl"))
    assert manifest["records"] == len(before)
    assert manifest["checks"]["outside_window"] == sum(row["createdOn"] == until for row in entries) > 0
    assert len(list(TradevestHook().changelog("roles", until=until).limit(len(before) + 5))) == len(before)
