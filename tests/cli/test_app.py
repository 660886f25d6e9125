from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import pytest
from typer.testing import CliRunner

import airflow_provider_finauth
from airflow_provider_finauth.cli.app import app
from airflow_provider_finauth.cli.screen import readable, say, warn
from airflow_provider_finauth.exceptions import ConfigurationError
from airflow_provider_finauth.sandbox.running import READY
from tests.cli.processes import PATIENCE, command

COMMANDS = ("authorize", "token", "tokens", "store", "pull", "sandbox")


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("COLUMNS", "200")
    return CliRunner()


def test_help_names_the_commands(runner: CliRunner) -> None:
    result = runner.invoke(app, ["--help"])
    assert result.exit_code == 0
    for name in COMMANDS:
        assert name in result.output


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help(runner: CliRunner, name: str) -> None:
    result = runner.invoke(app, [name, "--help"])
    assert result.exit_code == 0
    assert name in result.output


def test_options_of_authorize(runner: CliRunner) -> None:
    shown = runner.invoke(app, ["authorize", "--help"]).output
    for option in ("--paste", "--port", "--redirect-uri", "--timeout", "8790"):
        assert option in shown


def test_version(runner: CliRunner) -> None:
    result = runner.invoke(app, ["--version"])
    assert (result.exit_code, result.output) == (0, f"finauth {airflow_provider_finauth.__version__}\n")


def test_an_unknown_command(runner: CliRunner) -> None:
    result = runner.invoke(app, ["authorise"])
    assert result.exit_code == 2
    assert "authorise" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["authorize", "--help"],
        ["tokens", "--help"],
        ["store", "check", "--help"],
        ["pull", "--help"],
        ["--version"],
    ],
)
def test_help_needs_neither_airflow_nor_an_http_library(arguments: list[str]) -> None:
    program = f"""
import json, sys
sys.argv = ["finauth", *{arguments!r}]
from airflow_provider_finauth.cli import main
try:
    main()
except SystemExit as ended:
    print(json.dumps([ended.code, sorted({{name.partition(".")[0] for name in sys.modules}})]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=PATIENCE
    )
    code, loaded = json.loads(done.stdout.splitlines()[-1])
    assert code == 0
    assert "typer" in loaded
    assert not {"airflow", "requests", "urllib3", "cryptography", "sqlalchemy", "uvicorn"} & set(loaded)


def test_an_error_is_one_message_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    @readable
    def command() -> None:
        raise ConfigurationError("Connection 'x': field 'y' is empty. See [finauth] z.")

    with pytest.raises(Exception) as ended:  # noqa: PT011 - typer's own
        command()

    assert getattr(ended.value, "exit_code", None) == 1
    assert capsys.readouterr() == ("", "Error: Connection 'x': field 'y' is empty. See [finauth] z.\n")


def test_long_lines_stay_whole(capsys: pytest.CaptureFixture[str]) -> None:
    address = "https://vendor.example/authorize?" + "x" * 500
    say(address)
    assert capsys.readouterr().out == f"{address}\n"


def test_what_would_steer_the_terminal_is_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    warn("scope \x1b[31mred\x07\r :smile: [bold]")
    assert capsys.readouterr().err == "Warning: scope �[31mred�� :smile: [bold]\n"


class TestSandbox:
    def test_serves_until_it_is_ended(self, tmp_path: object) -> None:
        env_file = f"{tmp_path}/connections.env"
        process = subprocess.Popen(
            command("sandbox", "--port", "0", "--tls-port", "0", "--env-file", env_file),
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith(READY)
            with socket.create_connection(("127.0.0.1", int(line.split(":")[3].split()[0])), timeout=10):
                pass
            assert os.stat(env_file).st_mode & 0o077 == 0  # noqa: PTH116 - the path is a text here
            process.terminate()
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()
            process.communicate()

    def test_a_taken_port_is_one_sentence(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            done = subprocess.run(
                command("sandbox", "--port", str(port), "--tls-port", "0"),
                capture_output=True,
                text=True,
                timeout=PATIENCE,
            )
        assert done.returncode == 1
        assert done.stderr.startswith("Error: ")
        assert str(port) in done.stderr
        assert "Traceback" not in done.stderr

    def test_a_missing_extra_is_one_sentence(
        self, runner: CliRunner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("airflow_provider_finauth.sandbox.find_spec", lambda name: None)
        result = runner.invoke(app, ["sandbox", "--port", "0", "--tls-port", "0"])
        assert result.exit_code == 1
        assert "airflow-provider-finauth[sandbox]" in result.stderr
