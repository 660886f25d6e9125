"""From a connection's fields to the parts that a profile is made of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypedDict
from urllib.parse import quote

from airflow_provider_finauth import values
from airflow_provider_finauth.exceptions import ConfigurationError
from airflow_provider_finauth.secret import Secret
from airflow_provider_finauth.transport.origins import require_secure
from airflow_provider_finauth.transport.session import TransportSettings
from airflow_provider_finauth.transport.tls import CertificateError, ClientCertificate, client_certificate

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_finauth.settings import Settings

# Which field a fault in a certificate is mended in.
_CERTIFICATE_FIELDS = {
    "certificate": "tls_certificate",
    "private_key": "private_key",
    "passphrase": "private_key_passphrase",
    "ca_file": "tls_ca_file",
}
_CERTIFICATE_FILE_FIELDS = _CERTIFICATE_FIELDS | {
    "certificate": "tls_certificate_file",
    "private_key": "tls_key_file",
}


class Conversation(TypedDict):
    """The parts that every profile reads from the same fields."""

    transport: TransportSettings
    secrets: tuple[Secret, ...]
    requests_per_second: float | None
    max_concurrency: int


def address(settings: Settings, field: str, default: str | None = None) -> str:
    """Give an address that credentials may be sent to.

    :param default: what holds if the field is empty
    :raises ConfigurationError: empty, no absolute URL, or plain http:// to a host other than loopback
    """
    url = settings.optional(field) or default
    if url is None:
        raise settings.error(field, "is empty")
    try:
        require_secure(url)
    except ValueError as error:
        raise settings.error(field, f"cannot be used: {error}") from None
    return url


def transport(settings: Settings, *, with_certificate: bool = False) -> TransportSettings:
    """Read time-outs and TLS.

    :param with_certificate: the connection type has fields for a client certificate
    :raises ConfigurationError: a certificate, key, passphrase or file cannot be used
    """
    made = TransportSettings(
        read_timeout=settings.number("request_timeout") or 60.0,
        verify=settings.flag("tls_verify"),
        ca_file=settings.optional("tls_ca_file") if with_certificate else None,
        client_certificate=certificate(settings) if with_certificate else None,
    )
    try:
        made.ssl_context()
    except CertificateError as error:
        raise settings.error(_CERTIFICATE_FIELDS[error.part], str(error)) from None
    return made


def certificate(settings: Settings) -> ClientCertificate | None:
    """Read the client certificate: from PEM text, else from files, else there is none.

    :raises ConfigurationError: half of the pair is missing, or the two do not fit
    """
    text, key = settings.optional("tls_certificate"), settings.optional_secret("private_key")
    fields = _CERTIFICATE_FIELDS
    if text is None and key is None:
        if "tls_certificate_file" not in settings and "tls_key_file" not in settings:
            return None
        fields = _CERTIFICATE_FILE_FIELDS
        text = _file(settings, "tls_certificate_file")
        key = Secret(_file(settings, "tls_key_file"))
    if text is None or key is None:
        missing = "tls_certificate" if text is None else "private_key"
        raise settings.error(missing, "is empty, and the other half of the pair is not")
    try:
        return client_certificate(text, key, settings.optional_secret("private_key_passphrase"))
    except CertificateError as error:
        raise settings.error(fields[error.part], str(error)) from None


def _file(settings: Settings, field: str) -> str:
    try:
        return Path(settings.text(field)).read_text()
    except (OSError, UnicodeDecodeError):
        raise settings.error(field, "names a file that cannot be read on this machine") from None


def integer(argument: str, value: int | str, *, minimum: int = 0) -> int:
    """Read an argument as a whole number; see :func:`.values.integer`.

    :raises ConfigurationError: names the argument
    """
    return values.argument(argument, values.integer, value, minimum=minimum)


def flag(argument: str, value: bool | str) -> bool:
    """Read an argument as true or false; see :func:`.values.flag`.

    :raises ConfigurationError: names the argument
    """
    return values.argument(argument, values.flag, value)


def optional_flag(argument: str, value: bool | str | None) -> bool | None:
    """Read an argument as true, false or left open; a template leaves one open by an empty string.

    :raises ConfigurationError: names the argument
    """
    return None if value is None or value == "" else flag(argument, value)


def choice(argument: str, value: str, choices: tuple[str, ...]) -> str:
    """Read an argument as one of the words allowed; see :func:`.values.choice`.

    :raises ConfigurationError: names the argument
    """
    return values.argument(argument, values.choice, value, choices)


def text(argument: str, value: str) -> str:
    """Refuse an argument that is no string, or blank: an empty id in a path asks for something else.

    :raises ConfigurationError: names the argument
    """
    return values.argument(argument, values.string, value)


def several(given: Iterable[str] | str | None) -> tuple[str, ...] | str:
    """Make strings that may be gone through more than once; a single one, as a template gives it, stays.

    A template that leaves native values gives None where there are none.
    """
    return given if isinstance(given, str) else tuple(given or ())


def conversation(settings: Settings, made: TransportSettings | None = None) -> Conversation:
    """Read what all profiles have in common.

    :param made: the transport, where the caller has read it already
    """
    return Conversation(
        transport=made or transport(settings),
        secrets=settings.secrets(),
        requests_per_second=settings.number("requests_per_second"),
        max_concurrency=settings.integer("max_concurrency"),
    )


def path_segment(argument: str, value: str) -> str:
    """Give an id as one segment of a path.

    :raises ConfigurationError: it is empty, or a dot segment, which would lead to another resource
    """
    if text(argument, value).strip(".") == "":
        raise ConfigurationError(f"Argument '{argument}' must be an id, not {value!r}.", field=argument)
    return quote(value, safe="")
