"""The token stores on a server, made of the Airflow connection that says where the server is.

Its fields are those of Airflow's own providers for Redis and PostgreSQL, so that a connection that serves
their hooks serves here as well; the providers themselves need not be installed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from airflow_provider_finauth import values
from airflow_provider_finauth.auth.sealer import Sealer
from airflow_provider_finauth.exceptions import ConfigurationError, ConnectionNotFoundError
from airflow_provider_finauth.runtime import door
from airflow_provider_finauth.secret import Secret

if TYPE_CHECKING:
    from airflow_provider_finauth.auth.stores.base import Store
    from airflow_provider_finauth.runtime.config import Config
    from airflow_provider_finauth.runtime.door import AirflowConnection

_P = ParamSpec("_P")
_T = TypeVar("_T")

# No server has as many databases.
_LARGEST = 999_999_999
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_TABLE = "finauth_entries"
_MEANINGS = {"schema": "; it is the database's name", "login": "; it is the database's user"}

# Members of ``extra`` that we read, or that Airflow's own hooks do, with what libpq would take from a URI.
_KNOWN: Mapping[str, frozenset[str]] = {
    "redis": frozenset(
        (
            "db",
            "ssl",
            "ssl_ca_certs",
            "ssl_cert_file",
            "ssl_cert_reqs",
            "ssl_certfile",
            "ssl_check_hostname",
            "ssl_keyfile",
        )
    ),
    "sql": frozenset(
        (
            "application_name",
            "aws_conn_id",
            "azure_conn_id",
            "client_encoding",
            "cluster-identifier",
            "connect_timeout",
            "cursor",
            "gssencmode",
            "iam",
            "keepalives",
            "keepalives_count",
            "keepalives_idle",
            "keepalives_interval",
            "options",
            "port",
            "redshift",
            "redshift-serverless",
            "region_name",
            "sqlalchemy_query",
            "sqlalchemy_scheme",
            "sslcert",
            "sslcrl",
            "sslkey",
            "sslmode",
            "sslpassword",
            "sslrootcert",
            "table",
            "table_schema",
            "target_session_attrs",
            "tcp_user_timeout",
            "workgroup-name",
        )
    ),
}
_log = logging.getLogger(__name__)
_warned: set[tuple[str, ...]] = set()

# The connection type that fits each store.
CONN_TYPES = {"redis": "redis", "sql": "postgres"}


def server_store(config: Config) -> Store:
    """Make the store ``redis`` or ``sql``. Nobody is asked yet but Airflow, for the connection.

    :raises ConfigurationError: names the option of ``[finauth]``, or the connection's field, to be mended
    :raises FinauthError: Airflow does not find the connection, or cannot be asked
    """
    name = config.token_store
    if config.token_store_conn_id is None:
        raise ConfigurationError(
            f"The token store '{name}' needs to know where it is: set [finauth] token_store_conn_id to the "
            f"id of an Airflow connection of type '{CONN_TYPES[name]}'.",
            field="token_store_conn_id",
        )
    if config.store_key is None:
        raise ConfigurationError(
            f"The token store '{name}' needs a key to encrypt with: set [finauth] store_key, the same for "
            "all workers.",
            field="store_key",
        )
    try:
        found = door.get_connection(config.token_store_conn_id)
    except ConnectionNotFoundError as error:
        raise ConnectionNotFoundError(
            f"{error} It is the token store's ([finauth] token_store_conn_id).",
            conn_id=config.token_store_conn_id,
        ) from None
    # Without the provider of that database Airflow's command calls each new connection generic.
    if found.conn_type not in (CONN_TYPES[name], "generic"):
        raise ConfigurationError(
            f"Connection '{found.conn_id}' is of type '{found.conn_type}', and the token store '{name}' "
            f"wants one of type '{CONN_TYPES[name]}'. Mend the connection, or [finauth] token_store_conn_id.",
            conn_id=found.conn_id,
            field="conn_type",
        )
    _mask(found)
    _warn_of_unknown(found, name)
    return _STORES[name](_Fields(found), Sealer(config.store_key.reveal()))


def _mask(found: AirflowConnection) -> None:
    if found.password:
        door.mask(Secret(found.password))


def _warn_of_unknown(found: AirflowConnection, store: str) -> None:
    """Name, once in a process, members of ``extra`` that nobody knows: one may be mistyped."""
    unknown = sorted(set(found.extra) - _KNOWN[store])
    if unknown and (found.conn_id, *unknown) not in _warned:
        _warned.add((found.conn_id, *unknown))
        _log.warning(
            "Connection '%s' (of the token store): nothing reads these members of its extra: %s. Are they "
            "mistyped?",
            found.conn_id,
            ", ".join(repr(name) for name in unknown),
        )


class _Fields:
    """A connection's fields, read with errors that name them.

    :param found: the connection
    """

    def __init__(self, found: AirflowConnection) -> None:
        self._found = found

    @property
    def conn_id(self) -> str:
        """The connection's id."""
        return self._found.conn_id

    def error(self, field: str, message: str) -> ConfigurationError:
        """Make an error about a field."""
        return ConfigurationError(
            f"Connection '{self.conn_id}' (of the token store): field '{field}' {message}.",
            conn_id=self.conn_id,
            field=field,
        )

    def required(self, name: str) -> str:
        """Give one of Airflow's own fields.

        :raises ConfigurationError: it is empty
        """
        value = self.standard(name)
        if value is None:
            raise self.error(name, f"is empty{_MEANINGS.get(name, '')}")
        return value

    def port(self, default: int) -> int:
        """Give the port."""
        return self._found.port or default

    def standard(self, name: str) -> str | None:
        """Give one of Airflow's own fields; None if it is empty."""
        value = getattr(self._found, name)
        return str(value) if value else None

    def text(self, *names: str) -> str | None:
        """Read the first of some members of ``extra`` that is set.

        :raises ConfigurationError: it is no string
        """
        for name in names:
            value = self._member(name)
            if value is not None:
                return self._read(name, values.string, value)
        return None

    def choice(self, name: str, choices: tuple[str, ...]) -> str | None:
        """Read a member of ``extra`` that is one of some words.

        :raises ConfigurationError: it is another one
        """
        value = self._member(name)
        return None if value is None else self._read(name, values.choice, value, choices)

    def flag(self, name: str) -> bool:
        """Read a truth value of ``extra``; false if it is not set.

        :raises ConfigurationError: it is none
        """
        value = self._member(name)
        return value is not None and self._read(name, values.flag, value)

    def integer(self, name: str, otherwise: str | None = None) -> int:
        """Read a whole number of ``extra``; 0 if it is not set.

        :param otherwise: what counts if it is not set
        :raises ConfigurationError: it is none
        """
        value = self._member(name)
        if value is None:
            value = otherwise or 0
        return self._read(name, values.integer, value, minimum=0, maximum=_LARGEST)

    def _member(self, name: str) -> Any:
        """Look up a member of ``extra``; a form saves what is not set as an empty string."""
        value = self._found.extra.get(name)
        return None if isinstance(value, str) and not value.strip() else value

    def _read(
        self,
        name: str,
        read: Callable[Concatenate[Any, _P], _T],
        value: Any,
        *args: _P.args,
        **kwargs: _P.kwargs,
    ) -> _T:
        try:
            return read(value, *args, **kwargs)
        except values.Unreadable as error:
            expected = error.expected
        raise self.error(name, f"must be {expected}")


def _redis(fields: _Fields, sealer: Sealer) -> Store:
    from airflow_provider_finauth.auth.stores.redis import RedisAddress, RedisStore

    address = RedisAddress(
        host=fields.required("host"),
        port=fields.port(6379),
        # Airflow's Redis hook looks into `db` only; an address in an environment variable has it as its path.
        database=fields.integer("db", fields.standard("schema")),
        username=fields.standard("login"),
        password=Secret(fields.standard("password") or ""),
        tls=fields.flag("ssl"),
        ca_file=fields.text("ssl_ca_certs"),
        # The one is the name in the hook, the other in its older form.
        cert_file=fields.text("ssl_certfile", "ssl_cert_file"),
        key_file=fields.text("ssl_keyfile"),
        verify=fields.choice("ssl_cert_reqs", ("required", "optional", "none")) != "none",
        conn_id=fields.conn_id,
    )
    return RedisStore(address, sealer)


def _sql(fields: _Fields, sealer: Sealer) -> Store:
    from airflow_provider_finauth.auth.stores.sql import SqlAddress, SqlStore

    address = SqlAddress(
        host=fields.required("host"),
        port=fields.port(5432),
        database=fields.required("schema"),
        user=fields.required("login"),
        password=Secret(fields.standard("password") or ""),
        sslmode=fields.choice("sslmode", _SSL_MODES) or "prefer",
        sslrootcert=fields.text("sslrootcert"),
        sslcert=fields.text("sslcert"),
        sslkey=fields.text("sslkey"),
        # These two are ours: Airflow's own field "schema" is the database's name.
        schema=fields.text("table_schema"),
        table=fields.text("table") or _TABLE,
        conn_id=fields.conn_id,
    )
    return SqlStore(address, sealer)


_STORES: Mapping[str, Callable[[_Fields, Sealer], Store]] = {"redis": _redis, "sql": _sql}
