"""Goes through the door in whatever process it is called, and tells what it found.

``probe()`` is called by a task, by threads of a task, by the API server, by ``dags test`` and by a plain
program; ``check()`` holds what it told against what must be everywhere.
"""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from airflow_provider_finauth.exceptions import FinauthError
from airflow_provider_finauth.runtime import door
from airflow_provider_finauth.secret import Secret

THREADS = 8
LOOK_UPS = 10

CONNECTION = {
    "conn_type": "talenom",
    "host": "https://apim.example.test",
    "login": "the-client",
    "password": "the-client-secret",
    "extra": {"scope": "a/.default", "nested": {"number": 7}},
}


def probe(place: str) -> dict[str, Any]:
    """Go through the door.

    :param place: makes the names of the Variables this place's own
    """
    task_runner = sys.modules.get("airflow.sdk.execution_time.task_runner")
    found: dict[str, Any] = {
        "connection": _connection(),
        "missing": _missing(),
        "variables": _variables(f"finauth_probe_{place}"),
        "option": door.config_value("finauth", "max_xcom_records", "10000"),
        "supervised": getattr(task_runner, "SUPERVISOR_COMMS", None) is not None,
    }
    door.mask(Secret(f"a-secret-of-{place}"))
    door.count("finauth.token.mint", {"api": "probe"})
    # All at once, so that they really meet.
    barrier = threading.Barrier(THREADS)

    def look_up(number: int) -> int:
        barrier.wait()
        right = 0
        for turn in range(LOOK_UPS):
            right += door.get_connection("probe").password == CONNECTION["password"]
            name = f"finauth_probe_{place}_{number}"
            door.variable_set(name, str(turn), description="probe")
            right += door.variable_get(name) == str(turn)
        return right

    with ThreadPoolExecutor(THREADS) as pool:
        found["in_threads"] = sum(pool.map(look_up, range(THREADS)))
    return found


def _connection() -> dict[str, Any]:
    read = door.get_connection("probe")
    return {
        "conn_type": read.conn_type,
        "host": read.host,
        "login": read.login,
        "password": read.password,
        "extra": dict(read.extra),
    }


def _missing() -> dict[str, Any]:
    try:
        door.get_connection("there_is_no_such_connection")
    except FinauthError as error:
        return {"type": type(error).__name__, "permanent": error.permanent, "text": str(error)}
    return {}


def _variables(name: str) -> list[Any]:
    seen: list[Any] = [door.variable_get(name)]
    door.variable_set(name, "first", description="probe")
    door.variable_set(name, "second", description="probe")
    seen += [door.variable_get(name), door.variable_keys(name)]
    door.variable_delete(name)
    return [*seen, door.variable_get(name), door.variable_keys(name)]


def check(found: dict[str, Any], place: str) -> None:
    """Hold what :func:`probe` told against what must be everywhere."""
    name = f"finauth_probe_{place}"
    assert found["connection"] == CONNECTION
    assert found["missing"]["type"] == "ConnectionNotFoundError"
    assert found["missing"]["permanent"] is False
    assert "there_is_no_such_connection" in found["missing"]["text"]
    assert found["variables"] == [None, "second", [name], None, []]
    assert found["option"] == "10000"
    assert found["in_threads"] == THREADS * LOOK_UPS * 2
