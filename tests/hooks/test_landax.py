"""Landax's hook, over real sockets, in each dialect that tenants speak."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_finauth.exceptions import ApiError, ConfigurationError, PaginationError
from airflow_provider_finauth.hooks.landax import LandaxHook
from tests.hooks.support import AT_ONCE, ids

if TYPE_CHECKING:
    from airflow_provider_finauth.sandbox import RunningSandbox
    from tests.hooks.support import SandboxConnections
    from tests.passing_time import PassingTime

DIALECTS: dict[str, dict[str, str]] = {
    "v20": {"api_version": "20"},
    "v25": {"api_version": "v25"},
    "v28": {"api_version": "28"},
    "v32": {"api_version": "32"},
    "v32 by from and count": {"api_version": "32", "query_names": "from_count"},
    "odata": {"api_version": "32", "protocol": "odata"},
}


@pytest.fixture
def hook(connections: SandboxConnections) -> LandaxHook:
    return LandaxHook()


@pytest.fixture(params=DIALECTS)
def dialect(request: pytest.FixtureRequest, connections: SandboxConnections) -> LandaxHook:
    connections.change("landax_default", extra=DIALECTS[request.param])
    return LandaxHook()


def test_incidents_are_those_that_were_served(hook: LandaxHook, sandbox: RunningSandbox) -> None:
    incidents = list(hook.entities("Incidents"))
    stats = sandbox.stats("landax")
    assert len(set(ids(incidents, "Id"))) == len(incidents) == 12_500 == stats["unique_records_served"]
    assert stats["records_served"] == 12_500
    assert stats["token_requests"] == 1


def test_each_dialect_gives_all_rows(dialect: LandaxHook, sandbox: RunningSandbox) -> None:
    competencies = list(dialect.entities("Competencies"))
    assert len(set(ids(competencies, "Id"))) == len(competencies) == 3200
    assert sandbox.stats("landax")["unique_records_served"] == 3200
    small = list(dialect.entities("Projects", page_size=50))
    assert ids(small, "Id") == list(range(1, 141))


def test_each_dialect_gives_exactly_the_cap(dialect: LandaxHook, sandbox: RunningSandbox) -> None:
    """A full page and no link: one look beyond it."""
    assert len(set(ids(dialect.entities("Customers"), "Id"))) == 1000
    assert sandbox.stats("landax")["api_requests"] == 2


def test_each_dialect_understands_choices(dialect: LandaxHook) -> None:
    """A name of the other dialect is overlooked by the server, and everything would come."""
    rows = list(
        dialect.entities(
            "Coworkers",
            select=["Id", "Name", "DepartmentId"],
            filter="IsActive eq true and DepartmentId le 3",
            orderby="Name desc,Id",
            expand="Department",
        )
    )
    assert 100 < len(rows) < 300
    assert {frozenset(row) for row in rows} == {frozenset({"Id", "Name", "DepartmentId", "Department"})}
    assert {row["Department"]["Id"] for row in rows} == {1, 2, 3}
    names = [row["Name"] for row in rows]
    assert names == sorted(names, reverse=True)
    assert rows == list(
        dialect.entities(
            "Coworkers",
            select="Id,Name,DepartmentId",
            filter="IsActive eq true and DepartmentId le 3",
            orderby=["Name desc", "Id"],
            expand=["Department"],
            page_size=40,
        )
    )


def test_each_dialect_reads_one_entity(dialect: LandaxHook) -> None:
    assert dialect.entity("Departments", 7)["Name"] == "Avdeling 7"
    with pytest.raises(ApiError, match="404") as caught:
        dialect.entity("Departments", 4711)
    assert caught.value.status == 404


def test_since_and_until(dialect: LandaxHook) -> None:
    everything = list(dialect.entities("Incidents", filter="Severity eq 5 or Severity eq 4"))
    since, until = "2024-05-01T00:00:00Z", "2024-09-01T12:00:00Z"
    wanted = [row["Id"] for row in everything if since <= row["ChangedDateTime"] < until]
    assert 100 < len(wanted) < len(everything)
    # A filter of one's own is not torn apart by the dates.
    found = dialect.entities(
        "Incidents",
        filter="Severity eq 5 or Severity eq 4",
        since="2024-05-01",
        until="2024-09-01T14:00:00+02:00",
    )
    assert ids(found, "Id") == wanted
    assert ids(dialect.entities("Incidents", since=since, until=until).limit(3), "Id")


def test_nothing_is_asked_before_it_is_read(hook: LandaxHook, sandbox: RunningSandbox) -> None:
    incidents = hook.entities("Incidents", page_size=10)
    assert sandbox.stats("landax")["token_requests"] == 0
    next(incidents)
    # One, and no more ahead of the reader than may be under way at once.
    assert 1 <= sandbox.stats("landax")["api_requests"] <= 1 + AT_ONCE


def test_limit(hook: LandaxHook, sandbox: RunningSandbox) -> None:
    assert len(list(hook.entities("Incidents", page_size=10).limit(25))) == 25
    assert 3 <= sandbox.stats("landax")["api_requests"] <= 3 + AT_ONCE


def test_skip_that_is_not_honoured_is_noticed(dialect: LandaxHook, sandbox: RunningSandbox) -> None:
    sandbox.settings("landax", honour_skip=False)
    with pytest.raises(PaginationError):
        list(dialect.entities("Customers"))


def test_basic_needs_no_token(connections: SandboxConnections, sandbox: RunningSandbox) -> None:
    assert len(list(LandaxHook("landax_basic").entities("Departments"))) == 24
    assert sandbox.stats("landax")["token_requests"] == 0
    (first, *_) = sandbox.log("landax", "api")
    assert first["headers"]["authorization"].startswith("Basic ")


def test_a_token_that_ends_is_refreshed(
    hook: LandaxHook, sandbox: RunningSandbox, passing_time: PassingTime
) -> None:
    incidents = hook.entities("Incidents")
    next(incidents)
    passing_time.go_on(86_400)
    assert len(list(incidents)) == 12_499
    asked = [dict(entry["query"])["grant_type"] for entry in sandbox.log("landax", "token")]
    assert asked == ["password", "refresh_token"]


def test_a_refused_refresh_logs_in_again(
    hook: LandaxHook, sandbox: RunningSandbox, passing_time: PassingTime
) -> None:
    sandbox.settings("landax", refuse_refresh=True)
    hook.get_token()
    passing_time.go_on(86_400)
    assert len(list(hook.entities("Departments"))) == 24
    asked = [dict(entry["query"])["grant_type"] for entry in sandbox.log("landax", "token")]
    assert asked == ["password", "refresh_token", "password"]


def test_a_wrong_password_is_tried_twice_only(
    connections: SandboxConnections, sandbox: RunningSandbox, passing_time: PassingTime
) -> None:
    """A server locks an account that goes on."""
    connections.change("landax_default", password="a-wrong-password")
    for _ in range(10):
        with pytest.raises(AirflowFailException) as caught:
            list(LandaxHook().entities("Departments"))
        assert "a-wrong-password" not in str(caught.value)
        passing_time.go_on(3600)
    assert sandbox.stats("landax")["token_requests"] == 2
    # Another password is another try.
    connections.change("landax_default")
    assert len(list(LandaxHook().entities("Departments"))) == 24


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"entity_set": "Incidents?x=1"}, "entity_set"),
        ({"entity_set": "../authenticate/token"}, "entity_set"),
        ({"entity_set": ""}, "entity_set"),
        ({"entity_set": "Incidents", "page_size": 1001}, "page_size"),
        ({"entity_set": "Incidents", "since": "soon"}, "since"),
        ({"entity_set": "Incidents", "until": 5}, "until"),
    ],
)
def test_arguments_are_named(
    hook: LandaxHook, sandbox: RunningSandbox, arguments: dict[str, Any], name: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"'{name}'") as caught:
        hook.entities(**arguments)
    assert isinstance(caught.value, AirflowFailException)
    assert sandbox.stats("landax")["api_requests"] == 0


def test_an_odata_error_keeps_its_sentence(hook: LandaxHook) -> None:
    with pytest.raises(ApiError, match="there is no property Colour") as caught:
        list(hook.entities("Incidents", filter="Colour eq 'red'"))
    assert (caught.value.status, caught.value.code) == (400, "BadRequest")
