"""The ``[finauth]`` options, read from Airflow's configuration and checked."""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from airflow_provider_finauth import values
from airflow_provider_finauth.configuration import CONFIG_OPTIONS, SECTION
from airflow_provider_finauth.exceptions import ConfigurationError
from airflow_provider_finauth.runtime import door
from airflow_provider_finauth.secret import Secret

STORES = ("variable", "sql", "redis", "file:///path/to/folder", "memory")
# The stores on a server, and the words by which their addresses begin.
SERVER_STORES = ("sql", "redis")
_ADDRESSES = {"redis": "redis", "rediss": "redis", "unix": "redis", "postgres": "sql", "postgresql": "sql"}


_A_DAY = 86_400
# How long a token request may take; whoever waits for one must have more patience than that.
_DEADLINE = 60
# A shorter key could be found by trying.
_KEY_LENGTH = 16


@dataclass(frozen=True)
class Config:
    """What ``[finauth]`` says.

    :param token_store: ``variable``, ``sql``, ``redis``, ``file`` or ``memory``
    :param token_folder: the folder of ``file``
    :param token_store_conn_id: the connection that says where ``sql`` or ``redis`` is
    :param lock_dir: the folder of lock files that is configured; None for the default one
    """

    token_store: str
    token_folder: Path | None
    token_store_conn_id: str | None
    store_key: Secret | None = field(repr=False)
    max_xcom_records: int
    max_xcom_bytes: int
    max_response_bytes: int
    lock_dir: Path | None
    lock_timeout: float


def read_config() -> Config:
    """Read the options.

    :raises ConfigurationError: names the option that is to be mended
    """
    token_store, token_folder = _token_store()
    lock_dir = _text("lock_dir")
    return Config(
        token_store=token_store,
        token_folder=token_folder,
        token_store_conn_id=_text("token_store_conn_id"),
        store_key=_store_key(),
        max_xcom_records=_whole("max_xcom_records"),
        max_xcom_bytes=_whole("max_xcom_bytes"),
        max_response_bytes=_whole("max_response_bytes"),
        lock_dir=Path(lock_dir) if lock_dir else None,
        lock_timeout=_lock_timeout(),
    )


def lock_folder(config: Config) -> Path:
    """Give the folder of lock files, made if it is missing.

    The default one lies where everybody may write, so it must be ours alone: whoever owns it could hold or
    remove our locks.

    :raises ConfigurationError: it cannot be made, or belongs to somebody else
    """
    if config.lock_dir is not None:
        folder = config.lock_dir
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise _wrong("lock_dir", f"the folder '{folder}' cannot be made ({error.strerror})") from None
        if not os.access(folder, os.W_OK | os.X_OK):
            raise _wrong("lock_dir", f"this process may not write to the folder '{folder}'")
        return folder
    folder = Path(tempfile.gettempdir()) / f"finauth-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise _wrong("lock_dir", f"the folder '{folder}' cannot be made ({error.strerror})") from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise _wrong(
            "lock_dir",
            f"the folder '{folder}' is not this user's alone (mode 0700); remove it or set another",
        )
    return folder


def _wrong(option: str, message: str) -> ConfigurationError:
    return ConfigurationError(f"Airflow configuration [{SECTION}] {option}: {message}.", field=option)


def _text(option: str) -> str | None:
    return door.config_value(SECTION, option, str(CONFIG_OPTIONS[option]["default"])).strip() or None


def _whole(option: str) -> int:
    text = _text(option) or ""
    try:
        return values.integer(text, minimum=1)
    except values.Unreadable as error:
        raise _wrong(option, f"must be {error.expected}, not '{text}'") from None


def _lock_timeout() -> float:
    text = _text("lock_timeout") or ""
    with suppress(values.Unreadable):
        seconds = values.number(text)
        if _DEADLINE < seconds <= _A_DAY:
            return seconds
    raise _wrong(
        "lock_timeout",
        f"must be a number of seconds above {_DEADLINE}, the longest that a token request may take, and a "
        f"day at most, not '{text}'",
    )


def _store_key() -> Secret | None:
    text = _text("store_key")
    if text is not None and len(text) < _KEY_LENGTH:
        raise _wrong(
            "store_key",
            f"a key shorter than {_KEY_LENGTH} characters protects nothing; make one by "
            "`python -c 'import secrets; print(secrets.token_urlsafe(32))'`",
        )
    return Secret(text) if text else None


def _token_store() -> tuple[str, Path | None]:
    text = _text("token_store") or ""
    if text in ("variable", "memory", *SERVER_STORES):
        return text, None
    parts = urlsplit(text)
    if parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path.strip("/"):
        return "file", Path(unquote(parts.path))
    # Only the scheme is repeated: an address of a store may hold a password.
    meant = _ADDRESSES.get(parts.scheme.partition("+")[0])
    if meant is not None:
        raise _wrong(
            "token_store",
            f"an address does not belong here; set it to '{meant}', put the address into an Airflow "
            "connection, and that connection's id into token_store_conn_id",
        )
    raise _wrong("token_store", f"'{parts.scheme or text}' is unknown; use one of: {', '.join(STORES)}")
