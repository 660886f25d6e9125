"""What arrives at a statsd server of one process's tokens, over a real socket."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.airflow_environment import environment_of, outer_environment
from tests.airflow_harness import ROOT, AirflowHome

if TYPE_CHECKING:
    from airflow_provider_finauth.sandbox import RunningSandbox

pytestmark = pytest.mark.airflow
pytest.importorskip("statsd", reason="Airflow reports to statsd by this package")

PROGRAM = """
from contextlib import suppress
from airflow_provider_finauth.exceptions import InvalidClientError
from airflow_provider_finauth.hooks.landax import LandaxHook
from airflow_provider_finauth.hooks.talenom import TalenomHook

hook = TalenomHook()
token = hook.get_token()
assert hook.refresh_token().is_new
print(hook.get_token().access_token.reveal(), token.access_token.reveal())
for _ in range(3):
    with suppress(InvalidClientError):
        LandaxHook("wrong").get_token()
"""

# A name, tags as Telegraf has them, a value and its kind.
_METRIC = re.compile(
    r"airflow\.(?P<name>finauth[\w.]*)(?P<tags>(,[\w]+=[\w.-]+)*):(?P<value>[\d.]+)\|(?P<kind>c|ms)"
)


def received(listener: socket.socket) -> list[str]:
    """Give all packets that have arrived; none is under way any more on loopback."""
    found = []
    listener.setblocking(False)
    while True:
        try:
            found += listener.recv(65536).decode().splitlines()
        except BlockingIOError:
            return found


def test_names_tags_and_values(sandbox: RunningSandbox, tmp_path: Path) -> None:
    wrong = json.loads(sandbox.environment["AIRFLOW_CONN_LANDAX_DEFAULT"])
    wrong["password"] = "wrong-password-52"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        # Nothing here needs a database.
        home = AirflowHome(
            tmp_path,
            {
                **outer_environment(),
                **environment_of(tmp_path),
                **sandbox.environment,
                "PYTHONPATH": str(ROOT),
                "TMPDIR": str(tmp_path),
                "AIRFLOW_CONN_WRONG": json.dumps(wrong),
                "AIRFLOW__FINAUTH__TOKEN_STORE": "memory",
                "AIRFLOW__METRICS__STATSD_ON": "True",
                "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
                "AIRFLOW__METRICS__STATSD_PORT": str(listener.getsockname()[1]),
                "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
            },
        )
        printed = home.python(PROGRAM).stdout.split()
        lines = [line for line in received(listener) if "finauth" in line]

    metrics = [found for line in lines if (found := _METRIC.fullmatch(line))]
    assert len(metrics) == len(lines), lines
    tags = {
        (found["name"], found["kind"]): dict(tag.split("=") for tag in found["tags"].split(",")[1:])
        for found in metrics
    }
    counted: dict[tuple[str, str], float] = {}
    for found in metrics:
        labels = dict(tag.split("=") for tag in found["tags"].split(",")[1:])
        if found["kind"] == "c":
            key = (found["name"], "/".join(labels.get(name, "-") for name in ("api", "reason", "outcome")))
            counted[key] = counted.get(key, 0) + float(found["value"])
    assert counted == {
        ("finauth.token.mint", "talenom/absent/ok"): 1,
        ("finauth.token.mint", "talenom/kept/ok"): 1,
        ("finauth.token.mint", "landax/absent/refused"): 1,
        ("finauth.token.refusal_served", "landax/-/-"): 2,
    }
    assert {name for name, kind in tags if kind == "ms"} == {
        "finauth.token.mint.duration",
        "finauth.token.lock_wait",
        "finauth.token.age_at_use",
    }
    assert set(tags["finauth.token.lock_wait", "ms"]) == {"api"}
    assert set(tags["finauth.token.mint.duration", "ms"]) == {"api", "reason", "outcome"}

    everything = "\n".join(lines)
    assert "http" not in everything
    assert "127.0.0.1" not in everything
    secrets = [
        value for made in sandbox.connections.values() for value in (made.get("login"), made["password"])
    ]
    for secret in [*printed[-2:], *filter(None, secrets), "wrong-password-52"]:
        assert secret not in everything
