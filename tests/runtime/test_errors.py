from __future__ import annotations

import inspect
import pickle
from collections.abc import Iterator

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_provider_finauth import exceptions
from airflow_provider_finauth.exceptions import FinauthError
from airflow_provider_finauth.runtime import errors
from airflow_provider_finauth.runtime.errors import airflow_errors, for_airflow, guarded

PERMANENT = [
    value
    for value in vars(exceptions).values()
    if inspect.isclass(value) and issubclass(value, FinauthError) and value.permanent
]
PASSING = [
    value
    for value in vars(exceptions).values()
    if inspect.isclass(value)
    and issubclass(value, FinauthError)
    and not value.permanent
    and not value.__name__.startswith("_")
]


def test_there_are_some() -> None:
    assert len(PERMANENT) >= 7
    assert len(PASSING) >= 6


@pytest.mark.parametrize("kind", PERMANENT)
def test_permanent_errors_end_the_task(kind: type[FinauthError]) -> None:
    with pytest.raises(kind) as caught, airflow_errors():
        raise kind("what to do next")
    assert isinstance(caught.value, AirflowFailException)
    assert type(caught.value).__name__ == kind.__name__
    assert str(caught.value) == "what to do next"


@pytest.mark.parametrize("kind", PASSING)
def test_other_errors_stay_themselves(kind: type[FinauthError]) -> None:
    error = kind("try again")
    with pytest.raises(kind) as caught, airflow_errors():
        raise error
    assert caught.value is error
    assert not isinstance(caught.value, AirflowException)


@pytest.mark.parametrize("kind", PERMANENT)
def test_final_errors_are_pickled(kind: type[FinauthError]) -> None:
    converted = for_airflow(kind("text"))
    again = pickle.loads(pickle.dumps(converted))
    assert type(again) is type(converted)
    assert again.args == ("text",)
    assert vars(again) == vars(converted)


def test_attributes_stay() -> None:
    converted = for_airflow(exceptions.ConfigurationError("text", conn_id="c", field="host"))
    assert isinstance(converted, exceptions.ConfigurationError)
    assert (converted.conn_id, converted.field) == ("c", "host")
    refused = pickle.loads(pickle.dumps(for_airflow(exceptions.ForbiddenError("t", status=403, code="x"))))
    assert (refused.status, refused.code, refused.request_id) == (403, "x", None)


def test_an_error_of_a_later_layer_finds_its_permanent_base() -> None:
    class Particular(exceptions.ForbiddenError):
        def __init__(self, region: str) -> None:
            super().__init__(f"not in {region}", status=403)
            self.region = region

    converted = for_airflow(Particular("fi"))
    assert type(converted) is errors.ForbiddenError
    assert str(converted) == "not in fi"
    assert vars(converted)["region"] == "fi"


def test_converted_once() -> None:
    once = for_airflow(exceptions.ConfigurationError("text"))
    assert for_airflow(once) is once


def test_cause_and_traceback_stay_and_the_original_is_not_shown_twice() -> None:
    def deep() -> None:
        raise exceptions.ConfigurationError("text") from KeyError("cause")

    with pytest.raises(errors.ConfigurationError) as caught, airflow_errors():
        deep()
    assert isinstance(caught.value.__cause__, KeyError)
    assert caught.value.__suppress_context__
    assert "deep" in [entry.name for entry in caught.traceback]


def test_other_exceptions_pass() -> None:
    with pytest.raises(KeyError), airflow_errors():
        raise KeyError("x")


def test_as_a_decorator() -> None:
    @airflow_errors()
    def asks() -> None:
        raise exceptions.SubscriptionKeyError("wrong key", status=401)

    with pytest.raises(AirflowFailException, match="wrong key"):
        asks()
    with pytest.raises(AirflowFailException, match="wrong key"):
        asks()


def test_guarded_iterators_convert_late_errors() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise exceptions.CrossOriginError("another host")

    iterator = guarded(items())
    assert next(iterator) == 1
    with pytest.raises(AirflowFailException, match="another host"):
        next(iterator)


def test_guarded_iterators_close_what_they_guard() -> None:
    closed = []

    def items() -> Iterator[int]:
        try:
            yield from range(10)
        finally:
            closed.append(True)

    iterator = guarded(items())
    next(iterator)
    iterator.close()  # type: ignore[attr-defined]
    assert closed


def test_a_connection_that_is_not_found_is_tried_again() -> None:
    error = exceptions.ConnectionNotFoundError("not found", conn_id="x")
    assert not error.permanent
    assert for_airflow(error) is error
    assert pickle.loads(pickle.dumps(error)).conn_id == "x"
