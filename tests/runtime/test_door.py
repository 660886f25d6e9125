"""The door inside one process. What Airflow itself does in each place is in ``test_door_places.py``."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_finauth.exceptions import (
    ConfigurationError,
    ConnectionNotFoundError,
    StoreUnavailableError,
)
from airflow_provider_finauth.runtime import door
from airflow_provider_finauth.secret import Secret
from airflow_provider_finauth.transport.redaction import derived_forms
from tests.airflow_harness import needs_airflow_3, until


@pytest.fixture(autouse=True)
def _database(metadata_database: Path) -> None:
    pass


@pytest.fixture
def masked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Give what is handed to Airflow's masker, call by call."""
    from airflow.providers.common.compat import sdk

    calls: list[list[str]] = []
    monkeypatch.setattr(sdk, "mask_secret", calls.append, raising=False)
    monkeypatch.setattr(door, "_registered", set())
    return calls


class TestConnection:
    def test_is_read_whole(self, monkeypatch: pytest.MonkeyPatch) -> None:
        said = {
            "conn_type": "landax",
            "host": "https://x.landax.test",
            "login": "l",
            "password": "pass-word",
            "port": 8443,
            "extra": {"client_secret": "client-secret", "n": 1},
        }
        monkeypatch.setenv("AIRFLOW_CONN_READ_WHOLE", json.dumps(said))
        found = door.get_connection("read_whole")
        assert {
            name: getattr(found, name) for name in ("conn_type", "host", "login", "password", "port", "extra")
        } == said
        assert repr(found) == "AirflowConnection(conn_id='read_whole', conn_type='landax')"

    def test_without_extra(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_NO_EXTRA", json.dumps({"conn_type": "landax"}))
        found = door.get_connection("no_extra")
        assert (found.extra, found.host, found.port) == ({}, None, None)

    @pytest.mark.parametrize("extra", ["{broken", "[1]", '"text"'])
    def test_a_broken_extra_is_named(self, monkeypatch: pytest.MonkeyPatch, extra: str) -> None:
        from airflow.models import Connection

        found = SimpleNamespace(
            conn_type="landax", host=None, login=None, password=None, port=None, schema=None, extra=extra
        )
        monkeypatch.setattr(Connection, "get_connection_from_secrets", lambda conn_id: found)
        with pytest.raises(ConfigurationError, match="'broken'.*'extra'") as caught:
            door.get_connection("broken")
        assert (caught.value.conn_id, caught.value.field) == ("broken", "extra")
        assert extra not in str(caught.value)

    def test_an_absence_is_not_permanent(self) -> None:
        with pytest.raises(ConnectionNotFoundError, match="'absent'.*airflow connections add") as caught:
            door.get_connection("absent")
        assert not caught.value.permanent
        assert caught.value.conn_id == "absent"


class TestVariables:
    def test_come_and_go(self) -> None:
        assert door.variable_get("finauth_t_1") is None
        door.variable_set("finauth_t_1", "a", description="what for")
        door.variable_set("finauth_t_1", "b", description="what for")
        door.variable_set("finauthXt_1", "c", description="what for")
        assert door.variable_get("finauth_t_1") == "b"
        # The underscore of a prefix is no wildcard.
        assert door.variable_keys("finauth_t_") == ["finauth_t_1"]
        door.variable_delete("finauth_t_1")
        door.variable_delete("finauth_t_1")
        assert door.variable_get("finauth_t_1") is None

    def test_keep_their_description(self) -> None:
        from airflow.models import Variable
        from airflow.utils.session import create_session

        for value in ("a", "b"):
            door.variable_set("finauth_described", value, description="what for")
        with create_session() as session:
            row = session.query(Variable).filter(Variable.key == "finauth_described").one()
            assert row.description == "what for"

    def test_an_unreadable_one_is_no_absence(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from airflow.models import Variable

        door.variable_set("finauth_unreadable", "a", description="x")
        monkeypatch.setattr(Variable, "get_variable_from_secrets", lambda key, **_: None)
        with pytest.raises(StoreUnavailableError, match="'finauth_unreadable' exists"):
            door.variable_get("finauth_unreadable")

    def test_one_that_is_written_during_the_look_up_is_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from airflow.models import Variable

        real, looks = Variable.get_variable_from_secrets, []

        def late(key: str, **options: Any) -> str | None:
            looks.append(key)
            return None if len(looks) == 1 else real(key, **options)

        door.variable_set("finauth_late", "a", description="x")
        monkeypatch.setattr(Variable, "get_variable_from_secrets", late)
        assert door.variable_get("finauth_late") == "a"
        assert len(looks) == 2

    def test_two_writers_at_once_in_airflow_2(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from airflow.models import Variable
        from sqlalchemy.exc import IntegrityError

        written: list[str] = []

        def set_second_time(key: str, value: str, description: str) -> None:
            written.append(value)
            if len(written) == 1:
                raise IntegrityError("INSERT", {}, Exception())

        monkeypatch.setattr(Variable, "set", set_second_time)
        door.variable_set("x", "a", description="x")
        assert written == ["a", "a"]

    def test_an_error_text_shows_no_value(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from airflow.models import Variable

        def breaks(key: str, value: str, description: str) -> None:
            raise RuntimeError(f"parameters: {value}")

        monkeypatch.setattr(Variable, "set", breaks)
        with pytest.raises(StoreUnavailableError) as caught:
            door.variable_set("x", "the-value", description="x")
        assert "the-value" not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__


@needs_airflow_3
class TestSupervised:
    """With a supervisor at hand, whose API server may be out of reach."""

    @pytest.fixture
    def answers(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
        from airflow.sdk.execution_time import task_runner

        answers: dict[str, Any] = {}

        def send(message: Any) -> Any:
            answer = answers.get(type(message).__name__)
            if isinstance(answer, BaseException):
                raise answer
            return answer

        monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", SimpleNamespace(send=send), raising=False)
        return answers

    @pytest.fixture
    def down(self) -> Any:
        from airflow.sdk.exceptions import ErrorType
        from airflow.sdk.execution_time.comms import ErrorResponse

        return ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={})

    def test_a_blip_is_no_absence(self, answers: dict[str, Any], down: Any) -> None:
        answers |= {"GetVariable": down, "GetVariableKeys": down}
        with pytest.raises(StoreUnavailableError, match="'x'"):
            door.variable_get("x")

    def test_an_absence_that_the_list_confirms(self, answers: dict[str, Any], down: Any) -> None:
        from airflow.sdk.execution_time.comms import VariableKeysResult

        answers |= {"GetVariable": down, "GetVariableKeys": VariableKeysResult(keys=["xy"], total_entries=1)}
        assert door.variable_get("x") is None

    def test_an_airflow_that_cannot_list(
        self, answers: dict[str, Any], down: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from airflow.sdk import Variable

        monkeypatch.delattr(Variable, "keys")
        answers |= {"GetVariable": down}
        assert door.variable_get("x") is None
        assert door.variable_keys("x") is None

    def test_a_connection_that_cannot_be_looked_up_is_not_permanent(
        self, answers: dict[str, Any], down: Any
    ) -> None:
        answers |= {"GetConnection": down}
        with pytest.raises(ConnectionNotFoundError):
            door.get_connection("x")

    def test_refused_access(self, answers: dict[str, Any]) -> None:
        from airflow.sdk.exceptions import ErrorType
        from airflow.sdk.execution_time.comms import ErrorResponse

        answers |= {"GetConnection": ErrorResponse(error=ErrorType.PERMISSION_DENIED, detail={})}
        with pytest.raises(StoreUnavailableError, match="allowed"):
            door.get_connection("x")

    def test_a_deadlock_of_the_event_loop_is_told_as_an_error(self, answers: dict[str, Any]) -> None:
        from airflow.sdk.execution_time.comms import DeadlockImminentError

        answers |= {"PutVariable": DeadlockImminentError("x")}
        with pytest.raises(StoreUnavailableError, match="DeadlockImminentError"):
            door.variable_set("x", "y", description="z")

    def test_an_interrupt_passes(self, answers: dict[str, Any]) -> None:
        answers |= {"PutVariable": KeyboardInterrupt()}
        with pytest.raises(KeyboardInterrupt):
            door.variable_set("x", "y", description="z")


class TestMask:
    def test_all_forms_in_one_call(self, masked: list[list[str]]) -> None:
        door.mask(Secret("pass/word+1"), Secret("other-secret"))
        assert len(masked) == 1
        assert set(masked[0]) == derived_forms("pass/word+1") | derived_forms("other-secret")
        assert {"pass%2Fword%2B1", "pass/word+1"} <= set(masked[0])

    def test_once_only(self, masked: list[list[str]]) -> None:
        door.mask(Secret("the-secret"))
        door.mask(Secret("the-secret"))
        door.mask(Secret("the-secret"), Secret("another-one"))
        assert len(masked) == 2
        assert "the-secret" not in masked[1]

    def test_of_a_token_the_end_only(self, masked: list[list[str]]) -> None:
        token = "".join(f"{number:04x}" for number in range(500))
        door.mask_token(Secret(token))
        door.mask_token(Secret(token))
        assert masked == [[token[-32:]]]

    def test_of_a_token_that_urls_escape_both_ends(self, masked: list[list[str]]) -> None:
        door.mask_token(Secret("x" * 40 + "+/="))
        assert [set(call) for call in masked] == [{"x" * 23 + "%2B%2F%3D", "x" * 29 + "+/="}]

    def test_a_short_token_is_masked_whole(self, masked: list[list[str]]) -> None:
        door.mask_token(Secret("opaque-token"))
        door.mask_token(Secret("abcd"))
        assert masked == [["opaque-token"]]

    def test_of_a_key_in_pem_every_line(self, masked: list[list[str]]) -> None:
        lines = ["-----BEGIN PRIVATE KEY-----", "A" * 64, "B" * 64, "-----END PRIVATE KEY-----"]
        door.mask(Secret("\n".join(lines)))
        assert {"A" * 64, "B" * 64} <= set(masked[0])
        assert not [form for form in masked[0] if form.endswith("-----") and len(form) == 32]

    def test_short_values_in_silence(self, masked: list[list[str]], caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.DEBUG):
            door.mask(Secret("abcd"), Secret(""))
        assert masked == []
        assert caplog.text == ""

    def test_reaches_airflow(self) -> None:
        from airflow.providers.common.compat.sdk import redact

        door.mask(Secret("a-very-particular-secret"))
        assert redact("x a-very-particular-secret y") == "x *** y"

    @needs_airflow_3
    def test_reaches_the_masker_of_airflows_own_processes(self) -> None:
        from airflow._shared.secrets_masker import redact

        door.mask(Secret("a-secret-in-the-api-server"))
        assert redact("x a-secret-in-the-api-server y") == "x *** y"


class TestLock:
    @pytest.fixture
    def overlaps(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """Count the calls that are in Airflow at once."""
        from airflow.models import Variable

        inside: list[int] = []
        seen: list[int] = []

        def get(key: str, default_var: Any = None) -> str:
            inside.append(1)
            seen.append(len(inside))
            # Gives other threads the chance to come in.
            threading.Event().wait(0.001)
            inside.pop()
            return "value"

        monkeypatch.setattr(Variable, "get", get)
        return seen

    def test_one_call_at_a_time(self, overlaps: list[int]) -> None:
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(door.variable_get, ["x"] * 64))
        assert overlaps == [1] * 64

    @pytest.fixture
    def held(self) -> Iterator[None]:
        """Let another thread hold the door."""
        holds, release = threading.Event(), threading.Event()

        def hold() -> None:
            with door.exclusive():
                holds.set()
                release.wait()

        holder = threading.Thread(target=hold)
        holder.start()
        holds.wait()
        yield
        release.set()
        holder.join()

    def test_an_event_loop_does_not_wait(self, held: None) -> None:
        async def ask() -> None:
            door.variable_get("x")

        with pytest.raises(StoreUnavailableError, match="in a thread"):
            asyncio.run(ask())

    def test_an_event_loop_may_ask_while_the_door_is_free(self) -> None:
        async def ask() -> str | None:
            return door.variable_get("finauth_absent")

        assert asyncio.run(ask()) is None

    def test_the_lock_is_free_after_an_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(ConnectionNotFoundError):
            door.get_connection("absent")
        with door.exclusive():
            pass

    def test_a_forked_child_is_not_locked_out(self, held: None) -> None:
        child = os.fork()
        if child == 0:
            # Nothing of pytest may run here.
            free = door._lock.acquire(blocking=False)
            os._exit(0 if free and not door._registered else 1)
        _, status = until(lambda: _ended(child), "the child ends", patience=30)
        assert os.waitstatus_to_exitcode(status) == 0


def _ended(child: int) -> tuple[int, int] | None:
    pid, status = os.waitpid(child, os.WNOHANG)
    return (pid, status) if pid else None


def test_options_have_defaults() -> None:
    assert door.config_value("finauth", "no_such_option", "the default") == "the default"


def test_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.providers.common.compat import sdk

    seen: list[Any] = []
    stats = SimpleNamespace(
        incr=lambda name, tags: seen.append((name, tags)),
        timing=lambda name, time, tags: seen.append((name, time.total_seconds(), tags)),
    )
    monkeypatch.setattr(sdk, "Stats", stats, raising=False)
    door.count("finauth.token.mint", {"api": "luca"})
    door.timing("finauth.token.mint.duration", 1.5)
    assert seen == [("finauth.token.mint", {"api": "luca"}), ("finauth.token.mint.duration", 1.5, {})]
