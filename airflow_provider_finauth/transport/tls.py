"""Client certificates and TLS contexts.

A certificate and its key come as PEM, from a connection's fields or from files. OpenSSL reads them from a
path only; on Linux that path is an anonymous memory file, so that a decrypted key never touches a disk.
"""

from __future__ import annotations

import contextlib
import os
import re
import ssl
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.hashes import SHA256

from airflow_provider_finauth.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

_PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)
_HEADER = re.compile(r"^[A-Za-z0-9-]+: .*$", re.MULTILINE)


class CertificateError(ValueError):
    """A certificate or key cannot be used.

    :param part: ``"certificate"``, ``"private_key"`` or ``"passphrase"``: what is to be mended
    """

    def __init__(self, part: str, message: str) -> None:
        super().__init__(message)
        self.part = part


@dataclass(frozen=True)
class ClientCertificate:
    """A client certificate (with its chain) and the key that belongs to it, both as PEM.

    :param certificate: the certificate, then its intermediates
    :param private_key: the key, no longer encrypted
    :param not_after: when the certificate ends
    :param fingerprint: SHA-256 of the certificate, to tell one from another
    """

    certificate: str
    private_key: Secret = field(repr=False)
    not_after: datetime
    fingerprint: str


def normalise_pem(text: str) -> str:
    r"""Give PEM text its line breaks back.

    Fields of a web form, environment variables and JSON lose them or hold them as ``\n``.
    """
    text = text.replace("\\r", "").replace("\\n", "\n").replace("\r", "").strip()
    blocks = []
    for label, body in _PEM.findall(text):
        if _HEADER.search(body.strip()):
            # The old encrypted form carries headers (RFC 1421); its line breaks are part of its meaning.
            blocks.append(f"-----BEGIN {label}-----\n{body.strip()}\n-----END {label}-----\n")
            continue
        content = "".join(body.split())
        lines = "\n".join(content[i : i + 64] for i in range(0, len(content), 64))
        blocks.append(f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n")
    return "".join(blocks)


def client_certificate(certificate: str, private_key: Secret, passphrase: Secret | None) -> ClientCertificate:
    """Check a certificate and its key, and make one pair of them.

    :param certificate: PEM; may be followed by its chain
    :param private_key: PEM; may be encrypted
    :param passphrase: of the key, if it is encrypted
    :raises CertificateError: one of them cannot be read, or the key belongs to another certificate
    """
    pem = normalise_pem(certificate)
    try:
        leaf = x509.load_pem_x509_certificates(pem.encode())[0]
    except (ValueError, IndexError):
        raise CertificateError("certificate", "is not a PEM certificate") from None
    key = _load_key(private_key, passphrase)
    public = serialization.PublicFormat.SubjectPublicKeyInfo
    der = serialization.Encoding.DER
    if key.public_key().public_bytes(der, public) != leaf.public_key().public_bytes(der, public):
        raise CertificateError("private_key", "does not belong to the certificate")
    plain = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return ClientCertificate(
        certificate=pem,
        private_key=Secret(plain.decode()),
        not_after=leaf.not_valid_after_utc,
        fingerprint=leaf.fingerprint(SHA256()).hex(),
    )


def _load_key(private_key: Secret, passphrase: Secret | None) -> PrivateKeyTypes:
    if not normalise_pem(private_key.reveal()):
        raise CertificateError("private_key", "is not a PEM private key")
    try:
        return _read_key(private_key, passphrase)
    except TypeError:
        if not passphrase:
            raise CertificateError("passphrase", "is needed, the private key is encrypted") from None
        # A passphrase for a key that has none is harmless, and left over after a key was replaced.
        return _read_key(private_key, None)
    except ValueError:
        if passphrase:
            raise CertificateError("passphrase", "does not open the private key") from None
        raise CertificateError("private_key", "is not a PEM private key") from None


def _read_key(private_key: Secret, passphrase: Secret | None) -> PrivateKeyTypes:
    # In a function of its own, so that the traceback of the errors above shows no frame that holds the key.
    password = passphrase.reveal().encode() if passphrase else None
    return serialization.load_pem_private_key(normalise_pem(private_key.reveal()).encode(), password)


def ssl_context(
    certificate: ClientCertificate | None, *, ca_file: str | None, verify: bool
) -> ssl.SSLContext:
    """Make a TLS context that trusts ``ca_file`` (or the usual authorities) and shows the certificate.

    :param ca_file: PEM file of the authorities to trust
    :param verify: false accepts any server certificate
    :raises CertificateError: the authorities' file cannot be read
    """
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError):
        raise CertificateError("ca_file", "cannot be read as PEM certificates") from None
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if certificate is not None:
        chain = Secret(certificate.certificate + certificate.private_key.reveal())
        try:
            with _as_path(chain) as path:
                context.load_cert_chain(path)
        except ssl.SSLError:
            raise CertificateError("certificate", "is not accepted by the TLS library") from None
    return context


@contextlib.contextmanager
def _as_path(secret: Secret) -> Iterator[str]:
    """Give a text a path for as long as the block runs."""
    content = secret.reveal().encode()
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("client-certificate", os.MFD_CLOEXEC)
        try:
            os.write(descriptor, content)
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
        return
    # Elsewhere a file is unavoidable; the key in it is encrypted by nothing, so it lives in a private
    # folder and only while it is read.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "certificate.pem"
        path.touch(mode=0o600)
        path.write_bytes(content)
        yield str(path)
