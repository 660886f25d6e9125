"""A certificate authority of the sandbox's own: OP Corporate's server and its one client."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from airflow_provider_finauth.sandbox.credentials import OP_PASSPHRASE

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Certificates:
    """Paths of the server's files, and the client's PEM texts."""

    ca_file: Path
    server_certificate: Path
    server_key: Path
    client_certificate: str
    client_key: str
    encrypted_client_key: str


def make_certificates(folder: Path) -> Certificates:
    """Make them anew, and leave all of them in a folder, the keys readable by their owner alone.

    Beside those in use lie ``stranger.pem`` and ``stranger.key``: a client that another authority vouches
    for.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    authority = trustme.CA(organization_name="Sandbox authority")
    server = authority.issue_cert("localhost", "127.0.0.1")
    # OP asks for RSA keys.
    client = authority.issue_cert("sandbox-client.invalid", key_type=trustme.KeyType.RSA)
    stranger = trustme.CA().issue_cert("stranger.invalid")
    key = client.private_key_pem.bytes()
    encrypted = load_pem_private_key(key, password=None).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(OP_PASSPHRASE.encode())
    )
    chain = b"".join(blob.bytes() for blob in client.cert_chain_pems)
    contents = {
        "ca.pem": authority.cert_pem.bytes(),
        "server.pem": b"".join(blob.bytes() for blob in server.cert_chain_pems),
        "server.key": server.private_key_pem.bytes(),
        "client.pem": chain,
        "client.key": key,
        "client-encrypted.key": encrypted,
        "stranger.pem": b"".join(blob.bytes() for blob in stranger.cert_chain_pems),
        "stranger.key": stranger.private_key_pem.bytes(),
    }
    for name, content in contents.items():
        path = folder / name
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_bytes(content)
    return Certificates(
        ca_file=(folder / "ca.pem").absolute(),
        server_certificate=folder / "server.pem",
        server_key=folder / "server.key",
        client_certificate=chain.decode(),
        client_key=key.decode(),
        encrypted_client_key=encrypted.decode(),
    )
