"""From a connection's fields to the parts that a profile is made of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypedDict
from urllib.parse import quote

from airflow_provider_finauth import values
from airflow_provider_finauth.auth.credentials import Credentials
from airflow_provider_finauth.exceptions import ConfigurationError
from airflow_provider_finauth.secret import Secret
from airflow_provider_finauth.transport.origins import require_secure
from airflow_provider_finauth.transport.session import TransportSettings
from airflow_provider_finauth.transport.tls import CertificateError, ClientCertificate, client_certificate

if TYPE_CHECKING:
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


def client_credentials(
    settings: Settings, token_endpoint: str, made: TransportSettings | None = None
) -> Credentials:
    """Read the credentials of a connection whose login and password are a client's id and secret.

    :param made: the transport, where the caller has read it already
    :raises ConfigurationError: one of the two is empty
    """
    return Credentials(
        conn_id=settings.conn_id,
        api=settings.conn_type,
        grant="client_credentials",
        token_endpoint=token_endpoint,
        client_id=settings.text("login"),
        client_secret=settings.secret("password"),
        scope=settings.optional("scope"),
        default_lifetime=settings.integer("default_lifetime"),
        transport=made or transport(settings),
    )


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
    """Write an id as one segment of a path.

    :raises ConfigurationError: it is empty, or a dot segment, which would lead to another resource
    """
    if values.argument(argument, values.string, value).strip(".") == "":
        raise ConfigurationError(f"Argument '{argument}' must be an id, not {value!r}.", field=argument)
    return quote(value, safe="")
