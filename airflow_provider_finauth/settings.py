"""What a connection says, read once and checked."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from airflow_provider_finauth import values
from airflow_provider_finauth.connections import CONNECTION_TYPES, Field, Kind
from airflow_provider_finauth.exceptions import ConfigurationError
from airflow_provider_finauth.secret import Secret
from airflow_provider_finauth.values import Unreadable

# Control and format characters, such as a zero-width space that came along with a copy.
_INVISIBLE = frozenset({"Cc", "Cf"})


@dataclass(frozen=True, repr=False)
class Settings:
    """What a connection says, checked: numbers are numbers, choices are allowed, defaults are filled in."""

    conn_id: str
    conn_type: str
    _values: Mapping[str, Any] = field(hash=False)

    def __repr__(self) -> str:
        return f"Settings(conn_id={self.conn_id!r}, conn_type={self.conn_type!r})"

    def error(self, name: str, message: str) -> ConfigurationError:
        """Make an error that names this connection and the field, as its form calls it.

        :param message: goes on after the field's name, for example "is empty"
        """
        label = CONNECTION_TYPES[self.conn_type][name].label
        return ConfigurationError(
            f"Connection '{self.conn_id}' ({self.conn_type}): field '{name}' ({label}) {message}.",
            conn_id=self.conn_id,
            field=name,
        )

    def __contains__(self, name: str) -> bool:
        return self._values.get(name) is not None

    def get(self, name: str) -> Any:
        """Give a value as it was read, or None."""
        return self._values.get(name)

    def _require(self, name: str) -> Any:
        value = self._values.get(name)
        if value is None:
            raise self.error(name, "is empty")
        return value

    def text(self, name: str) -> str:
        """Give a text.

        :raises ConfigurationError: the field is empty
        """
        return str(self._require(name))

    def optional(self, name: str) -> str | None:
        """Give a text, or None."""
        value = self._values.get(name)
        return None if value is None else str(value)

    def secret(self, name: str) -> Secret:
        """Give a secret.

        :raises ConfigurationError: the field is empty
        """
        value = self._require(name)
        assert isinstance(value, Secret)
        return value

    def optional_secret(self, name: str) -> Secret | None:
        """Give a secret, or None."""
        return None if self._values.get(name) is None else self.secret(name)

    def integer(self, name: str) -> int:
        """Give an integer.

        :raises ConfigurationError: the field is empty
        """
        return int(self._require(name))

    def number(self, name: str) -> float | None:
        """Give a number, or None."""
        value = self._values.get(name)
        return None if value is None else float(value)

    def flag(self, name: str) -> bool:
        """Give true or false."""
        return bool(self._values.get(name))

    def strings(self, name: str) -> tuple[str, ...]:
        """Give the items of a list; none if it is empty."""
        return tuple(self._values.get(name) or ())

    def mapping(self, name: str) -> dict[str, str]:
        """Give the members of an object; none if it is empty."""
        return dict(self._values.get(name) or {})

    def secret_mapping(self, name: str) -> dict[str, Secret]:
        """Give the members of a secret object; none if it is empty."""
        return dict(self._values.get(name) or {})

    def secrets(self) -> tuple[Secret, ...]:
        """Give every value that must show nowhere."""
        found: list[Secret] = []
        for item in CONNECTION_TYPES[self.conn_type]:
            value = self._values.get(item.name)
            if isinstance(value, Secret):
                found.append(value)
            elif item.kind is Kind.SECRET_MAPPING and value:
                found.extend(value.values())
            elif item.sensitive and value:
                found.append(Secret(value))
        return tuple(found)


def parse(
    conn_type: str,
    conn_id: str,
    *,
    host: str | None = None,
    login: str | None = None,
    password: str | None = None,
    port: int | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Settings:
    """Read a connection of one of our types.

    Empty strings and nulls count as unset, since a form saves both. Strings that hold a number or a truth
    value are accepted for one. Unknown members of ``extra`` are ignored.

    :raises ConfigurationError: names the connection and the field to correct
    """
    # Airflow's older forms stored an extra under this longer name.
    prefix = f"extra__{conn_type}__"
    given = {name.removeprefix(prefix): value for name, value in (extra or {}).items()}
    given |= {"host": host, "login": login, "password": password}
    outcome = _parsed(conn_type, conn_id, given, port)
    if isinstance(outcome, ConfigurationError):
        del given, login, password, extra  # no traceback from here on shows them
        raise outcome
    return outcome


def _parsed(
    conn_type: str, conn_id: str, given: Mapping[str, Any], port: int | None
) -> Settings | ConfigurationError:
    """Read the fields, or give the error to raise, so that no traceback shows a frame that holds them."""
    found: dict[str, Any] = {}
    settings = Settings(conn_id, conn_type, found)
    try:
        _read_fields(settings, given, found)
    except ConfigurationError as error:
        return error.with_traceback(None)
    if port and "host" in found:
        found["host"] = _with_port(found["host"], port)
    return settings


def _read_fields(settings: Settings, given: Mapping[str, Any], found: dict[str, Any]) -> None:
    for item in CONNECTION_TYPES[settings.conn_type]:
        raw = given.get(item.name)
        if isinstance(raw, str):
            # A secret may begin or end with a blank; a line break comes from the file that it was read from.
            raw = raw.strip() if item.kind is not Kind.SECRET else raw.strip("\r\n")
        if raw is None or raw in ("", {}, []):
            raw = item.default
        if raw is None:
            if item.required:
                raise settings.error(item.name, "is empty")
            continue
        found[item.name] = _read(settings, item, raw)


def _read(settings: Settings, item: Field, raw: Any) -> Any:
    try:
        value = _READERS[item.kind](raw)
        _check(item, value)
    except Unreadable as error:
        expected = error.expected
    else:
        if item.kind is Kind.SECRET and any(
            unicodedata.category(character) in _INVISIBLE for character in value.reveal()
        ):
            raise settings.error(
                item.name,
                "holds a line break or another character that cannot be seen; copy it again, without it",
            )
        return value
    # Outside of the handler, since what it handles leads to frames that hold the value.
    raise settings.error(item.name, f"must be {expected}")


def _check(item: Field, value: Any) -> None:
    if item.choices:
        values.choice(value, item.choices)
    if item.kind in (Kind.INTEGER, Kind.NUMBER):
        if item.minimum is not None and value < item.minimum:
            raise Unreadable(f"at least {item.minimum:g}")
        if item.maximum is not None and value > item.maximum:
            raise Unreadable(f"at most {item.maximum:g}")


def _string(raw: Any) -> str:
    if isinstance(raw, bool) or not isinstance(raw, str | int):
        raise Unreadable("a string")
    return str(raw)


def _url(raw: Any) -> str:
    # Whether credentials may travel there is judged where origins are known, in ``apis``.
    return _string(raw).rstrip("/")


def _secret(raw: Any) -> Secret:
    return Secret(_string(raw))


def _integer(raw: Any) -> int:
    values.number(raw)
    return values.integer(raw)


def _mapping(raw: Any) -> dict[str, str]:
    try:
        found = values.mapping(raw)
        if not any(isinstance(value, dict | list) for value in found.values()):
            return {name: str(value) for name, value in found.items() if value is not None}
    except Unreadable:
        pass
    raise Unreadable('a JSON object of strings, for example {"Name": "value"}')


def _secret_mapping(raw: Any) -> dict[str, Secret]:
    return {name: Secret(value) for name, value in _mapping(raw).items()}


def _with_port(address: str, port: int) -> str:
    """Add a connection's own port to its address, unless the address names one."""
    parts = urlsplit(address)
    if not parts.netloc or parts.netloc.rpartition("]")[2].count(":"):
        return address
    return urlunsplit(parts._replace(netloc=f"{parts.netloc}:{port}"))


_READERS: dict[Kind, Callable[[Any], Any]] = {
    Kind.TEXT: _string,
    Kind.URL: _url,
    Kind.SECRET: _secret,
    Kind.PEM: _string,
    Kind.SECRET_PEM: _secret,
    Kind.INTEGER: _integer,
    Kind.NUMBER: values.number,
    Kind.FLAG: values.flag,
    Kind.LIST: values.strings,
    Kind.MAPPING: _mapping,
    Kind.SECRET_MAPPING: _secret_mapping,
}
