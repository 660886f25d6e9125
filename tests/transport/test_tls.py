from __future__ import annotations

import http.server
import ssl
import threading
from collections.abc import Iterator

import pytest
import requests
import trustme
from cryptography.hazmat.primitives import serialization
from urllib3.exceptions import InsecureRequestWarning

from airflow_provider_finauth.exceptions import CrossOriginError
from airflow_provider_finauth.secret import Secret
from airflow_provider_finauth.transport.origins import origin_of
from airflow_provider_finauth.transport.session import OriginSession, TransportSettings
from airflow_provider_finauth.transport.tls import (
    CertificateError,
    client_certificate,
    normalise_pem,
    ssl_context,
)

AUTHORITY = trustme.CA()
ISSUED = AUTHORITY.issue_cert("client@example.com")
CERTIFICATE = ISSUED.cert_chain_pems[0].bytes().decode()
KEY = ISSUED.private_key_pem.bytes().decode()


def encrypted(key: str, passphrase: str, form: serialization.PrivateFormat) -> str:
    loaded = serialization.load_pem_private_key(key.encode(), None)
    return loaded.private_bytes(
        serialization.Encoding.PEM, form, serialization.BestAvailableEncryption(passphrase.encode())
    ).decode()


@pytest.mark.parametrize(
    "mangle",
    [
        lambda pem: pem,
        lambda pem: pem.replace("\n", "\\n"),
        lambda pem: pem.replace("\n", "\r\n"),
        lambda pem: pem.replace("\n", " "),
        lambda pem: pem.replace("\n", ""),
        lambda pem: "  " + pem + "\n\n",
    ],
    ids=["as it is", "escaped", "crlf", "spaces", "no breaks", "padded"],
)
def test_pem_that_lost_its_line_breaks(mangle) -> None:
    pair = client_certificate(mangle(CERTIFICATE), Secret(mangle(KEY)), None)
    assert pair.certificate == normalise_pem(CERTIFICATE)
    assert ssl_context(pair, ca_file=None, verify=True)


@pytest.mark.parametrize(
    "form", [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL]
)
def test_encrypted_key(form: serialization.PrivateFormat) -> None:
    locked = Secret(encrypted(KEY, "open sesame", form))
    assert client_certificate(CERTIFICATE, locked, Secret("open sesame"))
    with pytest.raises(CertificateError, match="does not open") as wrong:
        client_certificate(CERTIFICATE, locked, Secret("wrong"))
    assert wrong.value.part == "passphrase"
    with pytest.raises(CertificateError, match="is needed") as missing:
        client_certificate(CERTIFICATE, locked, None)
    assert missing.value.part == "passphrase"


def test_left_over_passphrase_is_harmless() -> None:
    assert client_certificate(CERTIFICATE, Secret(KEY), Secret("left over"))


@pytest.mark.parametrize(
    ("certificate", "key", "part"),
    [
        ("nonsense", KEY, "certificate"),
        (CERTIFICATE[:200], KEY, "certificate"),
        (CERTIFICATE, "nonsense", "private_key"),
        (CERTIFICATE, KEY.replace("A", "B", 40), "private_key"),
        (CERTIFICATE, AUTHORITY.issue_cert("x@example.com").private_key_pem.bytes().decode(), "private_key"),
    ],
    ids=["no certificate", "half a certificate", "no key", "broken key", "key of another certificate"],
)
def test_what_is_named(certificate: str, key: str, part: str) -> None:
    with pytest.raises(CertificateError) as caught:
        client_certificate(certificate, Secret(key), None)
    assert caught.value.part == part
    assert key not in str(caught.value)


def test_repr_shows_no_key() -> None:
    assert "PRIVATE" not in repr(client_certificate(CERTIFICATE, Secret(KEY), None))


@pytest.fixture
def server(tmp_path) -> Iterator[tuple[str, str]]:
    """A server that demands a client certificate, and the file of the authority that signed its own."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *args: object) -> None:
            pass

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    AUTHORITY.issue_cert("localhost").configure_cert(context)
    AUTHORITY.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    ca_file = tmp_path / "ca.pem"
    AUTHORITY.cert_pem.write_to_path(str(ca_file))
    yield f"https://localhost:{httpd.server_address[1]}", str(ca_file)
    httpd.shutdown()
    httpd.server_close()


def test_mutual_tls(server: tuple[str, str]) -> None:
    url, ca_file = server
    pair = client_certificate(CERTIFICATE, Secret(KEY), None)
    with OriginSession(
        TransportSettings(ca_file=ca_file, client_certificate=pair), [origin_of(url)]
    ) as session:
        assert session.get(url).text == "ok"


def test_without_a_certificate_the_server_refuses(server: tuple[str, str]) -> None:
    url, ca_file = server
    with (
        OriginSession(TransportSettings(ca_file=ca_file), [origin_of(url)]) as session,
        pytest.raises(requests.ConnectionError),
    ):
        session.get(url)


def test_an_unknown_authority_is_refused(server: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    url, _ = server
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    pair = client_certificate(CERTIFICATE, Secret(KEY), None)
    with (
        OriginSession(TransportSettings(client_certificate=pair), [origin_of(url)]) as session,
        pytest.raises(requests.exceptions.SSLError),
    ):
        session.get(url)
    with (
        OriginSession(TransportSettings(client_certificate=pair, verify=False), [origin_of(url)]) as session,
        pytest.warns(InsecureRequestWarning),
    ):
        assert session.get(url).text == "ok"


def test_certificate_goes_to_known_origins_only(server: tuple[str, str]) -> None:
    url, ca_file = server
    pair = client_certificate(CERTIFICATE, Secret(KEY), None)
    known = origin_of("https://api.example.com")
    with (
        OriginSession(TransportSettings(ca_file=ca_file, client_certificate=pair), [known]) as session,
        pytest.raises(CrossOriginError, match="was not sent"),
    ):
        session.get(url)


def test_a_file_of_authorities_that_is_none(tmp_path) -> None:
    broken = tmp_path / "ca.pem"
    broken.write_text("nonsense")
    for path in (broken, tmp_path / "absent.pem"):
        with pytest.raises(CertificateError) as caught:
            ssl_context(None, ca_file=str(path), verify=True)
        assert caught.value.part == "ca_file"
