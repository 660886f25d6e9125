"""``finauth pull`` against the sandbox, with a token store of the test's own."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import re
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from airflow_provider_finauth.apis.luca import Luca
from airflow_provider_finauth.apis.resource import resources_of
from airflow_provider_finauth.apis.talenom import Talenom
from airflow_provider_finauth.cli.app import app
from airflow_provider_finauth.cli.resources import read
from airflow_provider_finauth.hooks.chosen import hook_of
from airflow_provider_finauth.hooks.talenom import TalenomHook
from airflow_provider_finauth.pulls.records import Records
from airflow_provider_finauth.runtime import brokers
from tests.cli.processes import PATIENCE, command, on_terminal
from tests.hooks.support import SandboxConnections

if TYPE_CHECKING:
    from airflow_provider_finauth.sandbox import RunningSandbox
    from tests.passing_time import PassingTime

Command = Callable[..., Any]

# Five pages of 500, whose end and total the API tells.
ITEMS = """oauth2api_default records /pages --paging page_index --key id --total rowCount --paging-options
    '{"index_param": "pageIndex", "size_param": "pageSize", "size": 500}'"""


@pytest.fixture(autouse=True)
def connections(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> SandboxConnections:
    monkeypatch.setenv("AIRFLOW__FINAUTH__TOKEN_STORE", f"file://{tmp_path}/tokens")
    monkeypatch.setenv("AIRFLOW__FINAUTH__STORE_KEY", "a key of these tests")
    # What a server has asked to wait is no other test's affair.
    monkeypatch.setenv("AIRFLOW__FINAUTH__LOCK_DIR", f"{tmp_path}/locks")
    monkeypatch.setattr(brokers, "_brokers", {})
    return SandboxConnections(sandbox, monkeypatch)


@pytest.fixture
def pull(monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run the command; its words are given as one text."""
    monkeypatch.setenv("COLUMNS", "200")
    # What Airflow logs the first time it reads a connection is not the command's: that silences it.
    hook_of("talenom_default")

    def run(words: str) -> Any:
        result = CliRunner().invoke(app, ["pull", *shlex.split(words)])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return run


def lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


@contextlib.contextmanager
def running(words: str, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run the command in a process of its own."""
    process = subprocess.Popen(
        command("pull", *shlex.split(words)),
        stderr=subprocess.PIPE,
        start_new_session=True,
        # Where the tests run in a shell's background, interrupts are ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        **options,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def plain(shown: str) -> str:
    """Take out what steers the terminal."""
    return re.sub(r"\x1b\[[\d;?]*[A-Za-z]|\r", "", shown)


def on_this_terminal(words: str, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    """Run the command in this process, on a terminal; give its exit code and what was shown."""
    master, slave = os.openpty()
    shown: list[bytes] = []

    def read() -> None:
        with contextlib.suppress(OSError):
            while piece := os.read(master, 65536):
                shown.append(piece)

    reading = threading.Thread(target=read)
    reading.start()
    with monkeypatch.context() as patch, open(slave, "w") as screen:  # noqa: PTH123 - no path
        patch.setenv("TERM", "xterm")
        patch.setattr("sys.stdout", screen)
        patch.setattr("sys.stderr", screen)
        with pytest.raises(SystemExit) as ended:
            app(["pull", *shlex.split(words)], prog_name="finauth")
    reading.join()
    os.close(master)
    return int(ended.value.code or 0), plain(b"".join(shown).decode())


def asked(sandbox: RunningSandbox, name: str, value: str) -> bool:
    """Tell whether a request with such a parameter has come."""
    return any([name, value] in request["query"] for request in sandbox.log("generic", "api"))


def until(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    """Wait for something to be so while a process runs."""
    ends = time.monotonic() + PATIENCE
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < ends
        time.sleep(0.02)


class TestToTheStandardOutput:
    def test_what_the_hook_gives_in_the_vendors_own_bytes(self, pull: Command) -> None:
        result = pull("talenom_default vouchers 14222 --page-size 50 --limit 120")
        assert (result.exit_code, result.stderr) == (0, "")
        pages = TalenomHook().vouchers(14222).limit(120).pages()
        assert result.stdout_bytes == b"".join(
            bytes(line) + b"\n" for page in pages for line in page.rows.lines
        )
        assert len(lines(result.stdout)) == 120

    def test_a_hyphen_says_the_same(self, pull: Command) -> None:
        words = "talenom_default accounting-periods 14222"
        assert pull(f"{words} --destination -").stdout == pull(words).stdout

    def test_a_name_may_have_underscores(self, pull: Command) -> None:
        by_dashes = pull("talenom_default accounting-periods 14222 --page-size 2")
        by_underscores = pull("talenom_default accounting_periods 14222 --page_size 2")
        assert by_dashes.exit_code == 0
        assert by_underscores.stdout == by_dashes.stdout != ""

    def test_a_limit(self, pull: Command, sandbox: RunningSandbox) -> None:
        assert [row["id"] for row in lines(pull(f"{ITEMS} --limit 3").stdout)] == [1, 2, 3]

    def test_nothing(self, pull: Command) -> None:
        result = pull("talenom_default vouchers 14222 --since 2099-01-01")
        assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")

    def test_any_path(self, pull: Command) -> None:
        found = lines(pull(ITEMS).stdout)
        assert [row["id"] for row in found] == list(range(1, 2501))

    def test_what_came_is_there_when_it_fails_and_the_exit_code_tells(
        self, pull: Command, sandbox: RunningSandbox
    ) -> None:
        sandbox.faults("generic", "status", path_contains="pageIndex=3", status=400, count=None)
        result = pull(ITEMS)
        assert result.exit_code == 1
        assert len(lines(result.stdout)) % 500 == 0
        assert result.stderr.startswith("Error: Connection 'oauth2api_default'")
        assert "Traceback" not in result.stderr

    @pytest.mark.parametrize(
        "option", ["--format csv", "--max-records-per-file 5", "--partition-by x", "--incremental x"]
    )
    def test_what_needs_a_file_is_refused(self, pull: Command, sandbox: RunningSandbox, option: str) -> None:
        result = pull(f"{ITEMS} {option}")
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.startswith(f"{option.split()[0]} is for files")
        assert sandbox.log("generic") == []


class TestToAFile:
    def test_the_records_and_their_manifest(self, pull: Command, tmp_path: Path) -> None:
        target = tmp_path / "new" / "items.jsonl"
        result = pull(f"{ITEMS} --destination {target}")
        assert result.exit_code == 0
        manifest = json.loads(result.stdout)
        assert (manifest["uri"], manifest["records"], manifest["bytes"]) == (
            target.as_uri(),
            2500,
            target.stat().st_size,
        )
        assert manifest["checks"]["total"] == 2500
        assert result.stderr == f"Pulled 2500 records of pages to {target.as_uri()}\n"
        assert target.read_text() == pull(ITEMS).stdout

    def test_another_format(self, pull: Command, tmp_path: Path) -> None:
        target = tmp_path / "items"
        assert pull(f"{ITEMS} --destination {target} --format jsonl.gz").exit_code == 0
        assert gzip.decompress(target.read_bytes()).decode() == pull(ITEMS).stdout

    def test_several_files(self, pull: Command, tmp_path: Path) -> None:
        result = pull(f"{ITEMS} --destination {tmp_path}/set/items.jsonl --max-records-per-file 1000")
        assert result.exit_code == 0, result.stderr
        assert sorted(path.name for path in (tmp_path / "set").iterdir()) == [
            "items-00001.jsonl",
            "items-00002.jsonl",
            "items-00003.jsonl",
            "items.manifest.json",
        ]
        assert [file["records"] for file in json.loads(result.stdout)["files"]] == [1000, 1000, 500]

    def test_a_folder_for_each_date(self, pull: Command, tmp_path: Path) -> None:
        result = pull(
            f"{ITEMS} --limit 500 --destination {tmp_path}/set/items.csv.gz --partition-by updatedAt"
        )
        assert result.exit_code == 0, result.stderr
        assert {path.parent.name for path in tmp_path.glob("set/*/items*.csv.gz")} == {
            "updatedAt=2026-01-01",
            "updatedAt=2026-01-02",
        }

    def test_parquet_with_nested_values(self, pull: Command, tmp_path: Path) -> None:
        parquet = pytest.importorskip("pyarrow.parquet")
        words = "talenom_default vouchers 14222 --include-postings --limit 20"
        assert pull(f"{words} --destination {tmp_path}/text.parquet").exit_code == 0
        assert pull(f"{words} --destination {tmp_path}/struct.parquet --nested struct").exit_code == 0
        as_text = parquet.read_table(f"{tmp_path}/text.parquet").column("postings").to_pylist()
        as_struct = parquet.read_table(f"{tmp_path}/struct.parquet").column("postings").to_pylist()
        assert as_text[0] is not None
        assert json.loads(as_text[0])[0].keys() == as_struct[0][0].keys()

    def test_what_else_there_is_to_say_about_the_files(
        self, pull: Command, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: dict[str, Any] = {}

        def write_to(records: Records, destination: str, **options: Any) -> dict[str, Any]:
            asked.update(options, destination=destination)
            return {}

        monkeypatch.setattr(Records, "write_to", write_to)
        assert (
            pull(f"{ITEMS} --destination x.csv --incremental nightly --overlap 36h --nested json").exit_code
            == 0
        )
        # What was not said is left to the hook.
        assert asked == {"destination": "x.csv", "incremental": "nightly", "overlap": "36h", "nested": "json"}

    def test_a_check_that_is_broken(self, pull: Command, tmp_path: Path, sandbox: RunningSandbox) -> None:
        target = tmp_path / "items.jsonl"
        sandbox.faults("generic", "drop_rows", path_contains="pageIndex=4", rows=3, count=None)
        refused = pull(f"{ITEMS} --destination {target}")
        assert refused.exit_code == 1
        assert refused.stderr.startswith("Error: ")
        assert not target.exists()
        kept = pull(f"{ITEMS} --destination {target} --on-mismatch warn")
        assert kept.exit_code == 0, kept.stderr
        manifest = json.loads(kept.stdout)
        assert (manifest["records"], manifest["checks"]["missing"]) == (2497, 3)
        assert kept.stderr.startswith("Warning: ")

    @pytest.mark.parametrize("option", ["--nested flat", "--on-mismatch ignore", "--incremental nightly"])
    def test_a_value_that_does_not_do(self, pull: Command, tmp_path: Path, option: str) -> None:
        result = pull(f"{ITEMS} --destination {tmp_path}/x.parquet {option}")
        assert result.exit_code == 1
        name = option.split()[0].removeprefix("--").replace("-", "_")
        assert result.stderr.startswith("Error: ")
        assert name in result.stderr
        assert list(tmp_path.glob("x*")) == []

    @pytest.mark.parametrize(
        ("target", "problem"),
        [
            ("items", "names no format"),
            ("folder/", "only a running task can complete"),
            ("/dev/null/items.jsonl", "no file can be made"),
            ("nowhere://bucket/items.jsonl", "nowhere"),
        ],
    )
    def test_a_target_that_cannot_be_used(self, pull: Command, target: str, problem: str) -> None:
        result = pull(f"{ITEMS} --destination {target}")
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.startswith("Error: Argument 'destination'")
        assert problem in result.stderr

    def test_a_full_disk(self, pull: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def fails(descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", fails)
        result = pull(f"{ITEMS} --destination {tmp_path}/items.jsonl")
        assert result.exit_code == 1
        assert "items.jsonl' could not be written: No space left on device." in result.stderr
        assert not (tmp_path / "items.jsonl").exists()

    def test_an_interrupt_leaves_nothing(self, tmp_path: Path, sandbox: RunningSandbox) -> None:
        sandbox.faults("generic", "hang", path_contains="pageIndex=4", count=None)
        target = tmp_path / "out"
        with running(f"{ITEMS} --destination {target}/items.jsonl") as process:
            until(lambda: asked(sandbox, "pageIndex", "4"), process)
            process.send_signal(signal.SIGINT)
            assert process.stderr is not None
            assert process.stderr.read() == b"Interrupted. No unfinished file is left.\n"
            assert process.wait(PATIENCE) == 130
        assert list(target.glob("*")) == []


class TestWords:
    """What the command line may say."""

    @pytest.mark.parametrize(
        ("words", "arguments"),
        [
            ("vouchers 14222", {"organization_number": 14222}),
            ("vouchers --organization-number 14222", {"organization_number": 14222}),
            ("vouchers --since=2026-10-01 14222", {"organization_number": 14222, "since": "2026-10-01"}),
            ("vouchers 1 --include-postings", {"organization_number": 1, "include_postings": True}),
            ("vouchers --include-postings 1", {"organization_number": 1, "include_postings": True}),
            ("vouchers --include-postings false 1", {"organization_number": 1, "include_postings": False}),
            ("vouchers --include-postings=no 1", {"organization_number": 1, "include_postings": False}),
            ("vouchers 1 --states Draft,Locked", {"organization_number": 1, "states": ["Draft", "Locked"]}),
            (
                "vouchers 1 --states Draft --states Locked",
                {"organization_number": 1, "states": ["Draft", "Locked"]},
            ),
            ("general-ledger-events 1 --category=--x", {"organization_number": 1, "category": "--x"}),
            (
                """records /x --query '{"a": 1.10}' --json '[true]' --json '[false]'""",
                {"path": "/x", "query": {"a": "1.10"}, "json": [False]},
            ),
        ],
    )
    def test_become_the_methods_arguments(self, words: str, arguments: dict[str, Any]) -> None:
        name, *rest = shlex.split(words)
        found = read(resources_of(Talenom)[name.replace("-", "_")], rest, "finauth pull")
        # A Decimal is compared as its string.
        assert json.loads(json.dumps(found, default=str)) == arguments

    def test_name_a_positional_argument_whose_place_the_next_one_takes(self) -> None:
        found = read(resources_of(Luca)["nodes"], ["companies", "--query", "{ x }"], "finauth pull")
        assert found == {"query": "{ x }", "connection_path": "companies"}

    @pytest.mark.parametrize(
        ("words", "problem"),
        [
            ("talenom_default voucher 14222", "'talenom_default' has no resource 'voucher'. It has "),
            ("talenom_default vouchers", "Missing argument 'ORGANIZATION_NUMBER'."),
            ("talenom_default account-balances 14222", "Missing option '--date'."),
            ("talenom_default account-balances 14222 --date x", "Missing option '--account-numbers'."),
            ("talenom_default vouchers 14222 1002", "Got unexpected extra argument (1002)"),
            ("talenom_default vouchers 14222 --sinse 2026", "--since"),
            ("talenom_default vouchers 14222 --since", "Option '--since' requires an argument."),
            ("talenom_default vouchers 14222 --since --until x", "Option '--since' requires an argument."),
            ("talenom_default vouchers all", "'ORGANIZATION_NUMBER': 'all' is not a valid integer."),
            (
                "talenom_default vouchers 14222 --page-size 0",
                "'--page-size': 0 is not in the range 1<=x<=10000",
            ),
            ("talenom_default vouchers 14222 --include-postings=x", "The value must be true or false."),
            (
                "talenom_default records /x --paging nix",
                "'--paging': 'nix' is not one of 'none', 'page_index'",
            ),
            ("talenom_default records /x --query [1]", "'--query': The value must be a JSON object."),
            ("talenom_default records /x --json {", "'--json': The value must be JSON."),
            ("--since 2026 talenom_default vouchers 14222", "The connection comes first, then the resource"),
            ("--limit 3", "Name a connection: finauth pull CONN_ID"),
            ("talenom_default vouchers 14222 --limit some", "--limit"),
        ],
    )
    def test_that_cannot_be_used(
        self, pull: Command, sandbox: RunningSandbox, words: str, problem: str
    ) -> None:
        result = pull(words)
        assert (result.exit_code, result.stdout) == (2, "")
        assert problem in result.stderr
        assert sandbox.log("talenom") == []

    @pytest.mark.parametrize(
        ("words", "problem"),
        [
            ("of_others vouchers 14222", "Connection 'of_others' is of type 'http', and not one of talenom"),
            ("talenom_default vouchers 14222 --since soon", "Argument 'since' must be a"),
            (
                "talenom_default vouchers 14222 --states Lost",
                "Argument 'states' must be one of Draft, Accepted",
            ),
            ("talenom_default records ' '", "Argument 'path' must be a string that is not blank"),
        ],
    )
    def test_that_the_hook_refuses(
        self, pull: Command, monkeypatch: pytest.MonkeyPatch, words: str, problem: str
    ) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_OF_OTHERS", '{"conn_type": "http"}')
        result = pull(words)
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.startswith(f"Error: {problem}")

    def test_a_value_that_cannot_be_read_is_not_shown(self, pull: Command) -> None:
        result = pull("oauth2api_default records /x --headers 'X-Key: very-secret-value'")
        assert result.exit_code == 2
        assert "very-secret" not in result.output


class TestHelp:
    def test_of_all(self, pull: Command) -> None:
        result = pull("--help")
        assert result.exit_code == 0
        for option in ("--destination", "--partition-by", "--incremental", "--on-mismatch", "--limit"):
            assert option in result.stdout

    @pytest.mark.parametrize("words", ["talenom_default", "talenom_default --help"])
    def test_of_a_connection(self, pull: Command, words: str) -> None:
        result = pull(words)
        assert (result.exit_code, result.stderr) == (0, "")
        names = re.findall(r"^  ([a-z-]+)", result.stdout, re.MULTILINE)
        assert names == [
            "accounting-periods",
            "vouchers",
            "general-ledger-events",
            "account-balances",
            "sales-invoices",
            "records",
        ]
        assert "  account-balances ORGANIZATION_NUMBER --date --account-numbers\n" in result.stdout
        assert "      Pull an organisation's vouchers.\n" in result.stdout

    def test_of_a_resource(self, pull: Command) -> None:
        result = pull("talenom_default vouchers --help")
        assert (result.exit_code, result.stderr) == (0, "")
        shown = " ".join(result.stdout.split())
        assert shown.startswith(
            "Usage: finauth pull talenom_default vouchers [OPTIONS] ORGANIZATION_NUMBER "
            "Pull an organisation's vouchers. "
        )
        for line in (
            "ORGANIZATION_NUMBER INTEGER Talenom's integer customer number, not the business id "
            "[x>=1; required]",
            "--since TIME the first moment wanted, by voucherDate; a midnight",
            "--states [Draft|Accepted|Locked|Deleted] their states; none means all",
            "--include-postings [true|false] with the postings of each [default: false]",
            "--page-size INTEGER records a page [default: 1000; 1<=x<=10000]",
        ):
            assert line in shown


class TestProgress:
    def test_lines_where_there_is_no_terminal(
        self, pull: Command, sandbox: RunningSandbox, passing_time: PassingTime
    ) -> None:
        sandbox.faults(
            "generic", "status", path_contains="pageIndex=2", status=503, headers={"Retry-After": "45"}
        )
        result = pull(ITEMS)
        assert result.exit_code == 0
        told = re.findall(r"^Pulling pages: .*$", result.stderr, re.MULTILINE)
        assert len(told) == 1
        assert re.fullmatch(
            r"Pulling pages: \d+ pages, \d+ of 2500 records, \d+ a second, about [\d:]+ left", told[0]
        )

    def test_a_bar_on_a_terminal(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        code, shown = on_this_terminal(f"{ITEMS} --destination {tmp_path}/items.jsonl", monkeypatch)
        assert code == 0
        assert "━" in shown
        assert "2,500 of 2,500 records" in shown
        assert json.loads(shown[shown.index("{\n") :])["records"] == 2500

    def test_no_bar_among_records(self, monkeypatch: pytest.MonkeyPatch) -> None:
        code, shown = on_this_terminal(f"{ITEMS} --limit 3", monkeypatch)
        assert code == 0
        assert [row["id"] for row in lines(shown)] == [1, 2, 3]

    def test_a_bar_beside_a_pipe_whose_reader_has_enough(self) -> None:
        reader, writer = os.pipe()
        environment = {**os.environ, "TERM": "xterm"}
        with (
            open(reader, "rb", buffering=0) as out,  # noqa: PTH123 - no path
            on_terminal("pull", *shlex.split(ITEMS), environment=environment, stdout=writer) as terminal,
        ):
            os.close(writer)
            assert out.read(8) == b'{"id":1,'
            out.close()
            assert terminal.end() == 141
        shown = plain(terminal.shown)
        assert "records" in shown
        assert "Traceback" not in shown
        assert "Error" not in shown


def test_nothing_printed_is_a_secret(
    pull: Command, sandbox: RunningSandbox, connections: SandboxConnections, tmp_path: Path
) -> None:
    secrets = {
        value
        for connection in sandbox.connections.values()
        for value in (connection.get("password"), connection["extra"].get("subscription_api_key"))
        if value
    }
    token = TalenomHook().get_token().access_token
    assert token is not None
    sandbox.faults("talenom", "status", status=500, body="{}", count=None, skip=1)
    shown = [
        pull("talenom_default --help"),
        pull("talenom_default vouchers --help"),
        pull("talenom_default vouchers 14222 --page-size 10 --limit 5"),
        pull(f"talenom_default accounting-periods 14222 --destination {tmp_path}/x.jsonl"),
    ]
    assert [result.exit_code for result in shown] == [0, 0, 0, 1]
    for result in shown:
        for secret in (*secrets, token.reveal()):
            assert secret not in result.output


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is full")
@pytest.mark.parametrize("output", ["", "--destination {folder}/x.jsonl"])
def test_a_full_disk_behind_the_standard_output_is_said(tmp_path: Path, output: str) -> None:
    words = f"oauth2api_default records /pages --limit 2 {output.format(folder=tmp_path)}"
    with Path("/dev/full").open("wb") as full, running(words, stdout=full) as process:
        said = process.communicate(timeout=PATIENCE)[1].decode()
    assert process.returncode == 1
    assert "The standard output could not be written: No space left on device." in said
    assert "Traceback" not in said
