"""The only door to Airflow: connections, Variables, configuration, masking and metrics.

Where a task's supervisor is at hand (tasks, triggers, the DAG processor of Airflow 3) the Task SDK is asked;
everywhere else (commands, the API server, plain scripts, Airflow 2) ``airflow.models`` is, since there the
SDK finds no connection, gives None for every Variable and cannot set one.

One process-wide lock stands around each call: Airflow's look-ups fail when several threads make them at once
(in ``airflow dags test`` most of them say that the connection is not defined).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from airflow_provider_finauth.exceptions import (
    ConfigurationError,
    ConnectionNotFoundError,
    FinauthError,
    StoreUnavailableError,
)

if TYPE_CHECKING:
    from airflow_provider_finauth.secret import Secret

T = TypeVar("T")

# Airflow's own limit, below which it warns instead of masking.
_SHORTEST_MASKED = 5
_TOKEN_END = 32

_lock = threading.Lock()
_registered: set[bytes] = set()


def _renew_after_fork() -> None:
    """Give a forked child a free lock, and an empty memory: its new supervisor knows no mask yet."""
    global _lock
    _lock = threading.Lock()
    _registered.clear()


os.register_at_fork(after_in_child=_renew_after_fork)


@dataclass(frozen=True)
class AirflowConnection:
    """What an Airflow connection says, read at once, with its extra decoded. The repr shows its name only."""

    conn_id: str
    conn_type: str
    host: str | None = field(repr=False)
    login: str | None = field(repr=False)
    password: str | None = field(repr=False)
    port: int | None = field(repr=False)
    schema: str | None = field(repr=False)
    extra: Mapping[str, Any] = field(repr=False)


@contextmanager
def hold(lock: threading.Lock) -> Iterator[None]:
    """Hold a lock, waiting for it unless this thread runs an event loop, all of which would stand still.

    :raises StoreUnavailableError: such a thread found the lock held
    """
    if not lock.acquire(blocking=not _runs_event_loop()):
        raise StoreUnavailableError(
            "Another thread is asking Airflow, and an event loop must not wait for it. "
            "Call the hook in a thread: await asgiref.sync.sync_to_async(function, thread_sensitive=False)()."
        )
    try:
        yield
    finally:
        lock.release()


def exclusive() -> AbstractContextManager[None]:
    """Hold the door: for calls into Airflow that look up connections by themselves.

    :raises StoreUnavailableError: this thread runs an event loop and found the door held
    """
    return hold(_lock)


def _runs_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def supervised() -> bool:
    """Tell whether a task's supervisor is at hand; the same question that ``airflow.models`` asks itself."""
    task_runner = sys.modules.get("airflow.sdk.execution_time.task_runner")
    return getattr(task_runner, "SUPERVISOR_COMMS", None) is not None


def _ask(what: str, question: Callable[[], T]) -> T:
    """Call into Airflow, alone, and translate what goes wrong."""
    with exclusive():
        try:
            return question()
        except FinauthError:
            raise
        except BaseException as error:
            # The SDK tells an event loop about to deadlock by an error that is no Exception.
            if not isinstance(error, Exception) and type(error).__name__ != "DeadlockImminentError":
                raise
            # Not chained: a database's error text holds the values of the statement.
            raise StoreUnavailableError(
                f"Airflow could not be asked for {what} ({type(error).__name__}). "
                "Is its API server or database up, and is this process allowed to use it?"
            ) from None


def get_connection(conn_id: str) -> AirflowConnection:
    """Read a connection.

    :param conn_id: the connection
    :raises ConnectionNotFoundError: Airflow does not find it; not permanent, since a failed look-up reads
        the same
    :raises ConfigurationError: its extra is no JSON object
    :raises StoreUnavailableError: Airflow could not be asked
    """
    return _ask(f"the connection '{conn_id}'", lambda: _connection(conn_id))


def _connection(conn_id: str) -> AirflowConnection:
    from airflow.providers.common.compat.sdk import AirflowNotFoundException

    try:
        if supervised():
            from airflow.sdk import Connection

            found: Any = Connection.get(conn_id)
        else:
            from airflow.models import Connection as Model

            found = Model.get_connection_from_secrets(conn_id)
    except AirflowNotFoundException:
        if not supervised():
            # A database that is down reads like an absence, so ask it something that cannot.
            _select_connection(conn_id)
        raise ConnectionNotFoundError(
            f"Airflow does not find the connection '{conn_id}'. Create it under Admin > Connections or with "
            "'airflow connections add'. If it exists, Airflow's API server or database may be out of reach: "
            "then try again.",
            conn_id=conn_id,
        ) from None
    return AirflowConnection(
        conn_id=conn_id,
        conn_type=found.conn_type or "",
        host=found.host,
        login=found.login,
        password=found.password,
        port=found.port,
        schema=found.schema,
        extra=_decoded(conn_id, found.extra),
    )


def _decoded(conn_id: str, extra: str | None) -> dict[str, Any]:
    # Not by extra_dejson, which registers every member with the masker, one call to the supervisor each.
    if not extra:
        return {}
    try:
        decoded = json.loads(extra)
    except ValueError:
        decoded = None
    if not isinstance(decoded, dict):
        del extra, decoded  # no traceback from here on shows them
        raise ConfigurationError(
            f"Connection '{conn_id}': field 'extra' is not a JSON object.", conn_id=conn_id, field="extra"
        )
    return decoded


def _select_connection(conn_id: str) -> None:
    from airflow.models import Connection
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        session.scalar(select(Connection.id).where(Connection.conn_id == conn_id))


def variable_get(key: str) -> str | None:
    """Read a Variable; None where there is none.

    An absence is checked by listing, where this Airflow can list: reading alone gives None as well when the
    API server or the database does not answer.

    :raises StoreUnavailableError: Airflow could not be asked
    """

    def question() -> str | None:
        value = _value(key)
        if value is None and key in (_keys(key) or ()):
            # Mostly another task has written it in between.
            value = _value(key)
            if value is None:
                raise StoreUnavailableError(f"The Variable '{key}' exists, but Airflow could not read it.")
        return value

    return _ask(f"the Variable '{key}'", question)


def _value(key: str) -> str | None:
    if supervised():
        from airflow.sdk import Variable

        value = Variable.get(key, default=None)
    else:
        from airflow.models import Variable as Model

        value = Model.get(key, default_var=None)
    return None if value is None else str(value)


def variable_set(key: str, value: str, *, description: str) -> None:
    """Write a Variable.

    :param description: what the Variable is for; Airflow forgets a description that is not given each time
    :raises StoreUnavailableError: Airflow could not be asked
    """

    def question() -> None:
        if supervised():
            from airflow.sdk import Variable

            Variable.set(key, value, description=description)
            return
        from airflow.models import Variable as Model
        from sqlalchemy.exc import IntegrityError

        try:
            Model.set(key, value, description=description)
        except IntegrityError:
            # Airflow 2 deletes and inserts: two writers at once, and the other one won.
            Model.set(key, value, description=description)

    _ask(f"a place to write the Variable '{key}'", question)


def variable_delete(key: str) -> None:
    """Delete a Variable, if there is one.

    :raises StoreUnavailableError: Airflow could not be asked
    """

    def question() -> None:
        if supervised():
            from airflow.sdk import Variable

            Variable.delete(key)
            return
        from airflow.models import Variable as Model

        Model.delete(key)

    _ask(f"the deletion of the Variable '{key}'", question)


def variable_keys(prefix: str) -> list[str] | None:
    """List the Variables whose names begin with ``prefix``; None where this Airflow cannot list.

    :raises StoreUnavailableError: Airflow could not be asked
    """
    return _ask(f"the Variables '{prefix}…'", lambda: _keys(prefix))


def _keys(prefix: str) -> list[str] | None:
    if supervised():
        from airflow.sdk import Variable

        # Tasks can list since Airflow 3.3.
        keys = getattr(Variable, "keys", None)
        return None if keys is None else [str(key) for key in keys(prefix=prefix)]
    from airflow.models import Variable as Model
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        names = session.scalars(select(Model.key).where(Model.key.startswith(prefix, autoescape=True)))
        return [str(name) for name in names]


def config_value(section: str, option: str, default: str) -> str:
    """Read an option of Airflow's configuration.

    :param default: the value where nothing is configured
    """
    from airflow.providers.common.compat.sdk import conf

    # Under the lock: an option may come from a secrets backend.
    return _ask(
        f"the option [{section}] {option}",
        lambda: str(conf.get(section, option, fallback=default) or default),
    )


def mask(*secrets: Secret) -> None:
    """Register secrets with Airflow's masker, in the forms in which they may turn up in a log.

    A secret registered before costs nothing; values that Airflow would not mask for their shortness are
    passed over in silence.
    """
    from airflow_provider_finauth.transport.redaction import derived_forms

    _mask(secrets, derived_forms)


def mask_token(token: Secret) -> None:
    """Register the end of a minted token with Airflow's masker.

    Only its last 32 characters, without which it is of no use to anybody: the masker's cost grows with all
    that it knows, and a long-lived process mints many tokens.
    """
    _mask((token,), _ends)


def _ends(token: str) -> set[str]:
    return {token[-_TOKEN_END:], quote(token, safe="")[-_TOKEN_END:]}


def _mask(secrets: Iterable[Secret], forms: Callable[[str], Iterable[str]]) -> None:
    fresh: set[str] = set()
    known: list[bytes] = []
    for secret in secrets:
        value = secret.reveal()
        name = hashlib.sha256(value.encode("utf-8", "surrogatepass")).digest()
        if name not in _registered:
            known.append(name)
            fresh.update(form for form in forms(value) if len(form) >= _SHORTEST_MASKED)
    if fresh:
        # In one call: in a task each is a question to the supervisor. Short ones first: the masker compiles
        # all that it knows anew for each, and a private key's long forms would be compiled with each line.
        _ask("masking", lambda: _register(sorted(fresh, key=len)))
    _registered.update(known)


def _register(values: list[Any]) -> None:
    from airflow.providers.common.compat.sdk import mask_secret

    mask_secret(values)
    if not supervised():
        # The API server and the commands of Airflow 3 filter their logs by a masker of their own.
        core = sys.modules.get("airflow._shared.secrets_masker")
        if core is not None:
            core.mask_secret(values)


def count(name: str, tags: Mapping[str, str] | None = None) -> None:
    """Add one to a counter of Airflow's metrics.

    :param name: for example ``finauth.token.mint``
    :param tags: for backends that take tags
    """
    from airflow.providers.common.compat.sdk import Stats

    Stats.incr(name, tags=dict(tags or {}))


def timing(name: str, seconds: float, tags: Mapping[str, str] | None = None) -> None:
    """Report a duration to Airflow's metrics.

    :param name: for example ``finauth.token.mint.duration``
    :param tags: for backends that take tags
    """
    from airflow.providers.common.compat.sdk import Stats

    Stats.timing(name, timedelta(seconds=seconds), tags=dict(tags or {}))
