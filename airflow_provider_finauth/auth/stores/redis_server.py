"""One Redis server: how it is reached, asked and judged.

All that is particular to the driver is here: its connections, its errors, and what a server must be set to
before tokens are entrusted to it.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from airflow_provider_finauth.auth.forks import renew_after_fork
from airflow_provider_finauth.exceptions import ConfigurationError, FinauthError, StoreUnavailableError
from airflow_provider_finauth.secret import Secret

Answer = TypeVar("Answer")

# The second attempt finds a server that was just restarted, and learns what became of a request whose answer
# was lost. Each question must stand being asked twice.
_ATTEMPTS = 2

# What of an error's class and text tells what is wrong, and what a person can do. The texts themselves are
# never shown: some carry a command's arguments.
_FAILURES: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("AuthenticationError", "AuthenticationWrongNumberOfArgsError", "AuthorizationError", "NOAUTH"),
        "refuses the login. Check the user name and the password of the store's connection.",
    ),
    (
        ("NoPermissionError", "NOPERM"),
        "does not allow its user what the store needs: EVAL, GET, SET, DEL, TYPE, HGET, HMGET, HSET, "
        "HSTRLEN, PEXPIRE, SCAN, TIME and INFO, on the keys of the store's prefix.",
    ),
    (("BusyLoadingError", "LOADING"), "has just been started and still reads its data. Try again."),
    (
        ("OutOfMemoryError", "OOM "),
        "has no memory left and refuses to write. Raise its 'maxmemory', or give the tokens a server of "
        "their own.",
    ),
    (
        ("ReadOnlyError", "READONLY", "MasterDownError", "MASTERDOWN"),
        "is a replica, which takes no writes. Name the primary in the store's connection.",
    ),
    (("MISCONF",), "cannot write to its disk and refuses to keep anything. Look at the server's log."),
    (("NOREPLICAS",), "refuses to write while it has fewer replicas than 'min-replicas-to-write' asks for."),
    (
        ("MovedError", "AskError", "ClusterDownError", "ClusterCrossSlotError", "CLUSTERDOWN", "MOVED "),
        "is part of a Redis Cluster. The store needs a single server, or a primary with replicas.",
    ),
    (
        ("CERTIFICATE_VERIFY_FAILED",),
        "shows a TLS certificate that is not trusted, or that is another host's. Name the file of its "
        "authority, and the host as the certificate does, in the store's connection.",
    ),
    (
        ("CERTIFICATE_REQUIRED", "BAD_CERTIFICATE", "UNKNOWN_CA", "HANDSHAKE_FAILURE"),
        "does not accept our TLS certificate. Check the client certificate of the store's connection.",
    ),
    (
        ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"),
        "does not speak TLS on this port. Check the port, or switch TLS off in the store's connection.",
    ),
)
_FOREIGN = "WRONGTYPE"


class ForeignValue(StoreUnavailableError):
    """Under a key of ours stands a value of another kind than we write."""


@dataclass(frozen=True)
class RedisAddress:
    """Where a Redis server is and how it lets us in.

    :param host: name or address
    :param port: its port
    :param database: its number
    :param username: of an ACL user; without it the default user is meant
    :param password: empty where the server asks for none
    :param tls: speak TLS
    :param ca_file: PEM file of the authorities to trust, instead of the system's
    :param cert_file: PEM file of a client certificate
    :param key_file: PEM file of its private key
    :param verify: false accepts any server certificate
    :param connect_timeout: seconds for a connection
    :param read_timeout: seconds for an answer
    :param conn_id: the Airflow connection that all this is from, for messages
    """

    host: str
    port: int = 6379
    database: int = 0
    username: str | None = None
    password: Secret = field(default=Secret(""), repr=False)
    tls: bool = False
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    verify: bool = True
    connect_timeout: float = 5.0
    read_timeout: float = 5.0
    conn_id: str | None = field(default=None, compare=False)


class RedisClient:
    """Asks one Redis server, through connections of this process's own.

    :param address: where it is
    """

    def __init__(self, address: RedisAddress) -> None:
        self.address = address
        self.where = f"Redis at {address.host}:{address.port}"
        if address.conn_id is not None:
            self.where += f" (connection '{address.conn_id}')"
        self._guard = threading.Lock()
        self._driver: Any = None
        self._client: Any = None
        renew_after_fork(self)

    def ask(self, question: Callable[[Any], Answer], *, attempts: int = _ATTEMPTS) -> Answer:
        """Give the answer to ``question``, which gets the driver's client.

        The question may be put twice, so that asking it again must do no harm.

        :raises StoreUnavailableError: no answer, or a refusal
        :raises ForeignValue: a key holds what its kind of question cannot be asked about
        :raises ConfigurationError: the driver or a certificate's file is missing
        """
        client = self._connected()
        while True:
            attempts -= 1
            try:
                return question(client)
            except (self._driver.exceptions.RedisError, OSError, UnicodeError) as error:
                failure, passing = self._failure(error)
            # Out of the handler, so that the driver's error, which may carry arguments, is no part of ours.
            if not passing or attempts < 1:
                raise failure

    def facts(self) -> dict[str, Any]:
        """Give what the server says of itself (``INFO``), with its ``appendfsync`` where it tells that."""

        def question(client: Any) -> dict[str, Any]:
            facts = dict(client.info())
            # Managed servers mostly do not let anybody look.
            with suppress(self._driver.exceptions.ResponseError):
                facts |= client.config_get("appendfsync")
            return facts

        return self.ask(question)

    def after_fork(self) -> None:
        """Leave the parent's connections to the parent."""
        self._guard = threading.Lock()
        self._client = None

    def _connected(self) -> Any:
        with self._guard:
            if self._client is None:
                self._client = self._connect()
            return self._client

    def _connect(self) -> Any:
        try:
            self._driver = importlib.import_module("redis")
            no_retry = importlib.import_module("redis.retry").Retry(
                importlib.import_module("redis.backoff").NoBackoff(), 0
            )
        except ImportError:
            raise ConfigurationError(
                "The token store 'redis' needs a driver: pip install 'airflow-provider-finauth[redis]'",
                field="token_store",
            ) from None
        address = self.address
        return self._driver.Redis(
            host=address.host,
            port=address.port,
            db=address.database,
            credential_provider=_Login(address) if address.password or address.username else None,
            socket_connect_timeout=address.connect_timeout,
            socket_timeout=address.read_timeout,
            socket_keepalive=True,
            # The driver would repeat what we do not want repeated, and wait as long as it likes.
            retry=no_retry,
            protocol=2,
            **self._tls(),
        )

    def _tls(self) -> dict[str, Any]:
        address = self.address
        if not address.tls:
            return {}
        for path in (address.ca_file, address.cert_file, address.key_file):
            if path:
                _check_readable(path)
        return {
            "ssl": True,
            "ssl_ca_certs": address.ca_file,
            "ssl_certfile": address.cert_file,
            "ssl_keyfile": address.key_file,
            "ssl_cert_reqs": "required" if address.verify else "none",
            "ssl_check_hostname": address.verify,
        }

    def _failure(self, error: Exception) -> tuple[FinauthError, bool]:
        """Say what a driver's error means, and whether asking again may help."""
        told = f"{type(error).__name__} {error}"
        if _FOREIGN in told:
            return ForeignValue(f"{self.where} holds a value that is not ours under a key of ours."), False
        for needles, meaning in _FAILURES:
            if any(needle in told for needle in needles):
                return StoreUnavailableError(f"{self.where} {meaning}"), False
        if isinstance(error, self._driver.exceptions.TimeoutError):
            # A server that speaks no TLS waits for the rest of what it takes for a command.
            hint = " If it never does, check whether it speaks TLS on this port." if self.address.tls else ""
            return StoreUnavailableError(
                f"{self.where} did not answer within {self.address.read_timeout:g} s. Try again.{hint}"
            ), True
        if isinstance(error, (self._driver.exceptions.ConnectionError, OSError, UnicodeError)):
            return StoreUnavailableError(
                f"{self.where} cannot be reached, or closed the connection. Check host and port of the "
                "store's connection, whether it wants TLS, and whether the server runs."
            ), True
        return StoreUnavailableError(
            f"{self.where} answered with an error that the store does not know ({type(error).__name__})."
        ), False


class _Login:
    """The user name and password, told to the driver when it logs in and not kept by it.

    :param address: holds them
    """

    def __init__(self, address: RedisAddress) -> None:
        self._address = address

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        password = self._address.password.reveal()
        return (self._address.username, password) if self._address.username else (password,)


def _check_readable(path: str) -> None:
    try:
        with Path(path).open("rb"):
            pass
    except OSError as error:
        raise ConfigurationError(
            f"The file '{path}', named in the token store's connection, cannot be read: {error.strerror}."
        ) from None


def faults(facts: dict[str, Any], where: str) -> list[str]:
    """Say, a sentence each, which settings keep a server from keeping what it is told.

    :param facts: of :meth:`RedisClient.facts`
    :param where: the server, for the sentences
    """
    found = []
    if facts.get("redis_mode") == "cluster":
        found.append(
            f"{where} is part of a Redis Cluster: the store needs a single server, or a primary with "
            "replicas."
        )
    if facts.get("aof_enabled") != 1:
        found.append(
            f"{where} forgets what it was told when it ends: set 'appendonly yes' (in redis.conf, and at "
            "once by CONFIG SET appendonly yes)."
        )
    if facts.get("appendfsync") == "no":
        found.append(f"{where} leaves it to chance when it writes to its disk: set 'appendfsync everysec'.")
    policy = facts.get("maxmemory_policy")
    if policy != "noeviction":
        found.append(
            f"{where} may drop tokens when its memory is full (maxmemory-policy is "
            f"{policy or 'not told'}): set 'maxmemory-policy noeviction'."
        )
    return found


def troubles(facts: dict[str, Any], where: str) -> list[str]:
    """Say, a sentence each, what at this moment keeps a server from keeping what it is told.

    :param facts: of :meth:`RedisClient.facts`
    :param where: the server, for the sentences
    """
    found = []
    if facts.get("role") == "slave":
        found.append(f"{where} is a replica, which takes no writes: name the primary.")
    if facts.get("aof_last_write_status", "ok") != "ok":
        found.append(f"{where} could not write to its disk the last time: look at the server's log.")
    return found
