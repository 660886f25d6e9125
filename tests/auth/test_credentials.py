from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_finauth.auth.credentials import RequestStyle, secret_hash
from airflow_provider_finauth.auth.sealer import Sealer, Undecryptable, random_key
from airflow_provider_finauth.exceptions import ConfigurationError
from airflow_provider_finauth.secret import Secret
from airflow_provider_finauth.transport.session import TransportSettings
from airflow_provider_finauth.transport.tls import ClientCertificate
from tests.auth.support import authorised_credentials, client_credentials, password_credentials

digest = Sealer("a key").digest


def certificate(fingerprint: str) -> TransportSettings:
    made = ClientCertificate("pem", Secret("key"), datetime(2030, 1, 1, tzinfo=UTC), fingerprint)
    return TransportSettings(client_certificate=made)


CHANGES: list[dict[str, Any]] = [
    {"grant": "client_credentials"},
    {"token_endpoint": "https://id.example.com/other"},
    {"client_id": "other"},
    {"client_secret": Secret("other")},
    {"client_secret": None},
    {"scope": "other"},
    {"username": "other"},
    {"password": Secret("other")},
    {"parameters": {"audience": "other"}},
    {"style": RequestStyle(body="json")},
    {"style": RequestStyle(grant_type_in="query")},
    {"style": RequestStyle(client_auth="basic")},
    {"style": RequestStyle(headers={"X": "other"})},
    {"transport": certificate("one")},
    {"transport": certificate("two")},
]


def test_every_field_that_reaches_the_endpoint_is_in_the_key() -> None:
    variants = [password_credentials(), *(replace(password_credentials(), **change) for change in CHANGES)]
    assert len({variant.lineage_key(digest) for variant in variants}) == len(variants)
    assert len({variant.fingerprint(digest) for variant in variants}) == len(variants)


@pytest.mark.parametrize(
    "change",
    [{"conn_id": "other"}, {"default_lifetime": 5}, {"transport": TransportSettings(read_timeout=1)}],
)
def test_what_does_not_reach_the_endpoint_is_not(change: dict[str, Any]) -> None:
    assert client_credentials(**change).lineage_key(digest) == client_credentials().lineage_key(digest)


def test_the_key_of_an_authorised_grant_is_connection_and_endpoint() -> None:
    key = authorised_credentials().lineage_key(digest)
    for change in (
        {"client_secret": Secret("x")},
        {"client_id": "x"},
        {"scope": "x"},
        {"refresh_token": None},
    ):
        assert replace(authorised_credentials(), **change).lineage_key(digest) == key
    assert authorised_credentials(conn_id="x").lineage_key(digest) != key
    assert authorised_credentials(token_endpoint="https://x.example/t").lineage_key(digest) != key
    # It survives a new encryption key, or the consent could not be found any more.
    assert authorised_credentials().lineage_key(Sealer("another key").digest) == key


@pytest.mark.parametrize(
    "spelling",
    [
        "https://ID.example.COM/token",
        "HTTPS://id.example.com/token",
        "https://id.example.com:443/token",
        "https://id.example.com./token",
        "https://id.example.com/token?",
        "https://id.example.com/token#here",
    ],
)
def test_another_spelling_of_the_endpoint_is_the_same_place(spelling: str) -> None:
    key = authorised_credentials().lineage_key(digest)
    assert authorised_credentials(token_endpoint=spelling).lineage_key(digest) == key


@pytest.mark.parametrize(
    "other",
    [
        "https://id.example.com:444/token",
        "https://id.example.com/Token",
        "https://id.example.com/token/",
        "https://id.example.com/token?tenant=x",
    ],
)
def test_another_endpoint_is_another_place(other: str) -> None:
    key = authorised_credentials().lineage_key(digest)
    assert authorised_credentials(token_endpoint=other).lineage_key(digest) != key


def test_a_changed_seed_changes_the_fingerprint() -> None:
    one, two = authorised_credentials("one"), authorised_credentials("two")
    assert one.fingerprint(digest) != two.fingerprint(digest)


def test_keys_hang_on_the_stores_key_and_show_nothing() -> None:
    key = client_credentials().lineage_key(digest)
    assert key != client_credentials().lineage_key(Sealer("another key").digest)
    assert "the-client" not in key
    assert "luca_default" not in authorised_credentials().lineage_key(digest)


def test_a_refresh_tokens_hash_outlives_the_stores_key() -> None:
    assert secret_hash(Secret("seed")) == secret_hash(Secret("seed")) != secret_hash(Secret("other"))


@pytest.mark.parametrize(
    "url", ["http://id.example.com/token", "id.example.com/token", "ftp://id.example.com", ""]
)
def test_an_endpoint_that_no_credentials_may_be_sent_to(url: str) -> None:
    with pytest.raises(ConfigurationError, match="'talenom_default'.*'oauth_endpoint'") as caught:
        client_credentials(token_endpoint=url)
    assert (caught.value.conn_id, caught.value.field) == ("talenom_default", "oauth_endpoint")


def test_plain_http_is_for_loopback() -> None:
    assert client_credentials(token_endpoint="http://127.0.0.1:8080/token").token_origin.port == 8080


@pytest.mark.parametrize(("part", "field"), [("username", "username"), ("password", "user_password")])
def test_a_login_needs_user_and_password(part: str, field: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        password_credentials(**{part: None})
    assert caught.value.field == field


def test_the_repr_shows_connection_grant_and_origin_only() -> None:
    shown = repr(authorised_credentials())
    assert "luca_default" in shown
    assert "authorization_code" in shown
    assert "https://id.example.com" in shown
    for hidden in ("/token", "the-client", "seed-1"):
        assert hidden not in shown


def test_credentials_can_be_forgotten() -> None:
    credentials = client_credentials()
    reference = weakref.ref(credentials)
    del credentials
    gc.collect()
    assert reference() is None


def test_a_sealed_value_is_opened_by_its_key_only() -> None:
    sealed = Sealer("one").seal(b"value")
    assert Sealer("one").open(sealed) == b"value"
    assert Sealer(b"one").open(sealed) == b"value"
    assert Sealer("new", older=["one"]).open(sealed) == b"value"
    assert "value" not in sealed
    for broken in (sealed[:-4], "", "é", sealed.swapcase()):
        with pytest.raises(Undecryptable):
            Sealer("one").open(broken)
    with pytest.raises(Undecryptable):
        Sealer("two").open(sealed)


def test_a_sealer_needs_a_key_and_shows_none() -> None:
    with pytest.raises(ValueError, match="empty"):
        Sealer("")
    assert repr(Sealer("very-secret")) == "Sealer()"
    assert random_key() != random_key()
