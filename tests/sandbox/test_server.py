from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

import airflow_provider_finauth.sandbox as package
from airflow_provider_finauth.sandbox import SandboxUnavailableError, running_sandbox, serve
from airflow_provider_finauth.sandbox.server import running_sandbox as from_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_finauth.sandbox import RunningSandbox

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "airflow_provider_finauth.sandbox"]


@contextmanager
def _process(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline()
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_one_line_when_ready_nothing_more_and_a_clean_end(tmp_path: Path, number: signal.Signals) -> None:
    env_file = tmp_path / "connections.env"
    with _process("--port=0", "--tls-port=0", "--env-file", str(env_file)) as (process, line):
        url, tls_url = line.removeprefix("sandbox ready: ").split()[:2]
        assert line == f"sandbox ready: {url} {tls_url} (env file: {env_file})\n"
        assert url.startswith("http://127.0.0.1:")
        assert tls_url.startswith("https://localhost:")
        assert requests.get(f"{url}/_sandbox/stats", timeout=10).status_code == 200
        assert requests.get(f"{url}/talenom/nothing", timeout=10).status_code == 404
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
        assert (out, err, process.returncode) == ("", "", 0)
    assert env_file.exists()


def test_an_unanswered_request_does_not_keep_it_from_ending() -> None:
    with _process("--port=0", "--tls-port=0") as (process, line):
        url = line.split()[2]
        fault = {"api": "generic", "kind": "hang"}
        assert requests.post(f"{url}/_sandbox/faults", json=fault, timeout=10).ok
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as waiting:
            waiting.sendall(f"GET /generic/echo HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
            for _ in range(5000):
                if requests.get(f"{url}/_sandbox/stats", timeout=10).json()["generic"]["faults"]:
                    break
            else:
                pytest.fail("the request has not arrived")
            process.terminate()
            process.communicate(timeout=20)
        assert process.returncode == 0


def test_without_an_env_file_nothing_is_left_behind(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(
        [*COMMAND, "--port=0", "--tls-port=0"], stdout=subprocess.PIPE, text=True, env=environment
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("sandbox ready")
        assert list(tmp_path.iterdir())
        process.terminate()
        process.communicate(timeout=20)
    finally:
        process.kill()
        process.communicate()
    assert list(tmp_path.iterdir()) == []


def test_a_taken_port_is_said_in_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with _process(f"--port={port}", "--tls-port=0") as (process, line):
            _, err = process.communicate(timeout=20)
            assert line == ""
            assert f"Port {port} of 127.0.0.1 is not free" in err
            assert "Traceback" not in err
            assert process.returncode == 1


def test_it_ends_with_whoever_started_it() -> None:
    with _process("--port=0", "--tls-port=0", "--until-stdin-closes") as (process, line):
        assert line.startswith("sandbox ready")
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
        process.communicate(timeout=20)
        assert process.returncode == 0


def test_it_listens_on_loopback_only(sandbox_process: RunningSandbox) -> None:
    ports = [int(url.rpartition(":")[2]) for url in (sandbox_process.url, sandbox_process.tls_url)]
    wanted = {f"{port:04X}" for port in ports}
    listening = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        address, state = line.split()[1], line.split()[3]
        if state == "0A" and address.split(":")[1] in wanted:
            listening.add(address.split(":")[0])
    assert listening == {"0100007F"}


def test_the_env_file_can_be_sourced_and_is_for_its_owner(sandbox_process: RunningSandbox) -> None:
    assert stat.S_IMODE(sandbox_process.env_file.stat().st_mode) == 0o600
    for path in sandbox_process.folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    dump = "import json, os; print(json.dumps(dict(os.environ)))"
    script = f'. "{sandbox_process.env_file}"; exec "{sys.executable}" -c "{dump}"'
    found = json.loads(subprocess.check_output(["bash", "-c", script], env={"PATH": os.environ["PATH"]}))
    sourced = {name: json.loads(value) for name, value in found.items() if name.startswith("AIRFLOW_CONN_")}
    assert sourced == {
        f"AIRFLOW_CONN_{name.upper()}": value for name, value in sandbox_process.connections.items()
    }


def test_there_is_a_connection_of_each_type(sandbox_process: RunningSandbox) -> None:
    types = {connection["conn_type"] for connection in sandbox_process.connections.values()}
    assert types == {"talenom", "opcorporate", "landax", "tradevest", "luca", "oauth2api"}
    for conn_type in types:
        assert sandbox_process.connections[f"{conn_type}_default"]["conn_type"] == conn_type
    encrypted = sandbox_process.connections["opcorporate_encrypted"]["extra"]
    assert "ENCRYPTED" in encrypted["private_key"]
    assert Path(encrypted["tls_ca_file"]).read_text().startswith("-----BEGIN CERTIFICATE")


def test_the_same_data_on_each_start() -> None:
    script = (
        "import hashlib, msgspec\n"
        "from airflow_provider_finauth.sandbox import landax_data, luca_data, opcorporate_data,"
        " talenom_data, tradevest_data, generic\n"
        "tables = [talenom_data.VOUCHERS[14224], talenom_data.EVENTS[14224], talenom_data.INVOICES[14224],"
        " landax_data.MODELS['Customers'], tradevest_data.ENTITIES, tradevest_data.CHANGELOG_TABLES['roles'],"
        " luca_data.INVOICES[2], opcorporate_data.ACCOUNT_TABLE, generic.ITEMS]\n"
        "print(hashlib.sha256(b''.join(bytes(row) for table in tables for row in table.raw)).hexdigest())"
    )
    hashes = set()
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed}
        hashes.add(subprocess.check_output([sys.executable, "-c", script], env=environment))
    assert len(hashes) == 1


def test_importing_it_loads_no_server() -> None:
    script = (
        "import sys, airflow_provider_finauth.sandbox\n"
        "print([name for name in ('uvicorn', 'starlette', 'graphql', 'trustme', 'msgspec', 'airflow')"
        " if name in sys.modules])"
    )
    out = subprocess.check_output([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert out.strip() == b"[]"


def test_a_missing_extra_is_said_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "find_spec", lambda name: None if name == "graphql" else object())
    with pytest.raises(SandboxUnavailableError, match=r"needs graphql-core, .*finauth\[sandbox\]"):
        serve(port=0, tls_port=0)


def test_a_sandbox_that_does_not_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(RuntimeError, match="did not start"), running_sandbox():
        pass


def test_the_helper_is_at_both_places() -> None:
    assert from_server is running_sandbox
