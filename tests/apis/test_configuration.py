"""What a connection of each type is told when it cannot be used, before any request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from airflow_provider_finauth.apis.landax import Landax
from airflow_provider_finauth.apis.luca import Luca
from airflow_provider_finauth.apis.oauth2api import OAuth2Api
from airflow_provider_finauth.apis.opcorporate import OPCorporate
from airflow_provider_finauth.apis.talenom import Talenom
from airflow_provider_finauth.apis.tradevest import Tradevest
from airflow_provider_finauth.auth.credentials import FixedCredentials
from airflow_provider_finauth.exceptions import ConfigurationError
from airflow_provider_finauth.secret import Secret
from airflow_provider_finauth.settings import parse
from tests.connections import connection, op_certificate

CLASSES = {
    "talenom": Talenom,
    "opcorporate": OPCorporate,
    "landax": Landax,
    "tradevest": Tradevest,
    "luca": Luca,
    "oauth2api": OAuth2Api,
}


def made(conn_type: str, **changes: Any) -> Any:
    given = connection(conn_type, **changes)
    given.pop("conn_type")
    return CLASSES[conn_type](parse(conn_type, "my_conn", **given))


@pytest.mark.parametrize("conn_type", CLASSES)
def test_a_complete_connection_can_be_used(conn_type: str) -> None:
    assert made(conn_type).profile.conn_id == "my_conn"


@pytest.mark.parametrize("conn_type", CLASSES)
@pytest.mark.parametrize(
    ("host", "says"),
    [
        ("api.example.com", "must begin with https://"),
        ("http://api.example.com", "plain http"),
        ("ftp://api.example.com", "must begin with https://"),
        ("https://", "has no host"),
        ("https://u:pw@api.example.com", "must not carry"),
    ],
)
def test_an_address_that_cannot_be_used(conn_type: str, host: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as caught:
        made(conn_type, host=host)
    assert caught.value.field == "host"
    assert "my_conn" in str(caught.value)
    assert "pw@" not in str(caught.value)


@pytest.mark.parametrize("conn_type", ["talenom", "opcorporate", "tradevest", "oauth2api"])
def test_a_token_endpoint_that_cannot_be_used(conn_type: str) -> None:
    with pytest.raises(ConfigurationError, match="plain http") as caught:
        made(conn_type, extra={"oauth_endpoint": "http://auth.example.com/token"})
    assert caught.value.field == "oauth_endpoint"


def test_plain_http_is_for_loopback() -> None:
    assert (
        made("landax", host="http://127.0.0.1:8765/landax/").profile.base_url
        == "http://127.0.0.1:8765/landax"
    )


def test_talenom_has_its_apis_at_two_documented_origins() -> None:
    api = made("talenom", extra={"region": "se"})
    assert api.accounting_periods(1).request.path == "/organization/v2/accounting-periods/1"
    assert api.vouchers(1).request.path == "https://apim.talenom.com/se/general-ledger/v2/vouchers/1"
    assert {str(origin) for origin in api.profile.origins} == {
        "https://apim.talenom.fi",
        "https://apim.talenom.com",
    }
    own = made("talenom", host="https://gateway.example.com/talenom")
    assert own.sales_invoices(1).request.path == "https://gateway.example.com/talenom/fi/sales/v1/1/invoices"
    assert {str(origin) for origin in own.profile.origins} == {"https://gateway.example.com"}


@pytest.mark.parametrize("number", ["FI12345", "1.5", "", "-3", 0, True, None])
def test_an_organisation_number_is_a_whole_number(number: object) -> None:
    with pytest.raises(ConfigurationError, match="'organization_number' must be a whole number") as caught:
        made("talenom").accounting_periods(number)
    assert caught.value.field == "organization_number"


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"page_size": 0}, "page_size"),
        ({"page_size": 10_001}, "page_size"),
        ({"page_size": "many"}, "page_size"),
        ({"states": ["Open"]}, "states"),
        ({"since": "yesterday"}, "since"),
        ({"include_postings": "perhaps"}, "include_postings"),
    ],
)
def test_arguments_are_named(arguments: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        made("talenom").vouchers(14222, **arguments)
    assert caught.value.field == field


def test_templates_give_texts() -> None:
    params = made("talenom").vouchers("14222", include_postings="True", page_size="50").request.params
    assert params["includePostings"] is True


@pytest.mark.parametrize(
    "mangle",
    [
        lambda pem: pem.replace("\n", "\\n"),
        lambda pem: pem.replace("\n", " "),
        lambda pem: pem.replace("\n", ""),
    ],
)
def test_op_takes_pem_that_lost_its_line_breaks(mangle) -> None:
    certificate, key = op_certificate()
    api = made("opcorporate", extra={"tls_certificate": mangle(certificate), "private_key": mangle(key)})
    assert api.profile.transport.client_certificate.certificate == certificate


def test_op_takes_an_encrypted_key_and_names_a_wrong_passphrase() -> None:
    _, key = op_certificate()
    locked = serialization.load_pem_private_key(key.encode(), None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"open sesame"),
    )
    extra = {"private_key": locked.decode(), "private_key_passphrase": "open sesame"}
    assert made("opcorporate", extra=extra).profile.transport.client_certificate
    for passphrase, says in (("wrong", "does not open"), ("", "is needed")):
        with pytest.raises(ConfigurationError, match=says) as caught:
            made("opcorporate", extra={**extra, "private_key_passphrase": passphrase})
        assert caught.value.field == "private_key_passphrase"


@pytest.mark.parametrize(
    ("extra", "field"),
    [
        ({"tls_certificate": "", "private_key": ""}, "tls_certificate"),
        ({"tls_certificate": ""}, "tls_certificate"),
        ({"private_key": ""}, "private_key"),
        (
            {"tls_certificate": "-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----"},
            "tls_certificate",
        ),
        ({"private_key": "not a key"}, "private_key"),
        ({"tls_ca_file": "/absent/ca.pem"}, "tls_ca_file"),
        (
            {"tls_certificate": "", "private_key": "", "tls_key_file": "/absent/key.pem"},
            "tls_certificate_file",
        ),
    ],
)
def test_op_names_the_broken_part(extra: dict[str, str], field: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        made("opcorporate", extra=extra)
    assert caught.value.field == field


def test_op_names_a_key_of_another_certificate() -> None:
    op_certificate.cache_clear()
    _, other_key = op_certificate()
    op_certificate.cache_clear()
    with pytest.raises(ConfigurationError, match="does not belong to the certificate") as caught:
        made("opcorporate", extra={"private_key": other_key})
    assert caught.value.field == "private_key"


def test_op_reads_files(tmp_path: Path) -> None:
    certificate, key = op_certificate()
    (tmp_path / "client.pem").write_text(certificate)
    (tmp_path / "client.key").write_text(key)
    extra = {
        "tls_certificate": "",
        "private_key": "",
        "tls_certificate_file": str(tmp_path / "client.pem"),
        "tls_key_file": str(tmp_path / "client.key"),
    }
    assert made("opcorporate", extra=extra).profile.transport.client_certificate.certificate == certificate


def test_op_environments() -> None:
    assert made("opcorporate", extra={"environment": "production"}).profile.base_url == (
        "https://api.corporate-api.op.fi"
    )
    assert "v3/accounts/a%2Fb%2B/transactions" in (
        made("opcorporate", extra={"transactions_version": "v3"}).transactions("a/b+").request.path
    )


@pytest.mark.parametrize(("version", "says"), [("latest", "must be a number"), ("", "is empty")])
def test_landax_wants_a_version(version: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as caught:
        made("landax", extra={"api_version": version})
    assert caught.value.field == "api_version"


@pytest.mark.parametrize(
    ("extra", "filter_name"),
    [
        ({"api_version": "20"}, "$filter"),
        ({"api_version": "v32"}, "filter"),
        ({"api_version": "32", "protocol": "odata"}, "$filter"),
        ({"api_version": "32", "query_names": "dollar"}, "$filter"),
    ],
)
def test_landax_names_of_query_options(extra: dict[str, str], filter_name: str) -> None:
    request = made("landax", extra=extra).entities("Incidents", filter="IsClosed eq false").request
    assert request.params[filter_name] == "IsClosed eq false"


def test_landax_window_joins_the_filter() -> None:
    request = (
        made("landax")
        .entities(
            "Incidents",
            filter="A eq 1 or B eq 2",
            since="2026-01-01",
            until="2026-02-01",
            select=["Id", "Number"],
        )
        .request
    )
    assert request.params["filter"] == (
        "(A eq 1 or B eq 2) and ChangedDateTime ge 2026-01-01T00:00:00Z"
        " and ChangedDateTime lt 2026-02-01T00:00:00Z"
    )
    assert request.params["select"] == "Id,Number"


@pytest.mark.parametrize("name", ["", "Incidents?x=1", "../Users", "Incidents(1)", "a b"])
def test_landax_names_of_entity_sets(name: str) -> None:
    with pytest.raises(ConfigurationError, match="entity_set"):
        made("landax").entities(name)


def test_landax_without_its_client_key() -> None:
    with pytest.raises(ConfigurationError) as caught:
        made("landax", extra={"client_secret": ""})
    assert caught.value.field == "client_secret"
    basic = made("landax", extra={"client_secret": "", "client_id": "", "auth_method": "basic"})
    assert isinstance(basic.profile.credentials, FixedCredentials)


@pytest.mark.parametrize(
    ("method", "path", "headers", "sent"),
    [
        ("GET", "/transactions", {}, "person-1"),
        ("GET", "/transactions", {"Requestor-ID": ""}, None),
        ("GET", "/transactions", {"Requestor-ID": "other"}, "other"),
        ("POST", "/orders", {}, "person-1"),
        ("POST", "/entities/natural-persons", {}, None),
        ("POST", "/entities/legal-entities/prepare", {}, None),
    ],
)
def test_tradevest_requestor(method: str, path: str, headers: dict[str, str], sent: str | None) -> None:
    headers = dict(headers)
    made("tradevest").profile.prepare(method, path, headers)
    assert headers.get("Requestor-ID") == sent


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("headers", [{}, {"Requestor-ID": ""}])
def test_tradevest_command_without_requestor_is_not_sent(method: str, headers: dict[str, str]) -> None:
    api = made("tradevest", extra={"requestor_id": ""})
    with pytest.raises(ConfigurationError, match="was not sent") as caught:
        api.profile.prepare(method, "/orders", dict(headers))
    assert caught.value.field == "requestor_id"


def test_tradevest_reaches_both_documented_endpoints() -> None:
    usual = made("tradevest").profile.credentials
    assert (usual.token_endpoint, usual.scope) == (
        "https://b2b.auth.platform-test.tradevest.ai/oauth2/token",
        None,
    )
    endpoint = "https://b2b.auth.platform-test.tradevest.ai/connect/token"
    other = made(
        "tradevest", extra={"oauth_endpoint": endpoint, "scope": "tradevest.api"}
    ).profile.credentials
    assert (other.token_endpoint, other.scope) == (endpoint, "tradevest.api")


def test_luca_flows() -> None:
    client = {"login": "client", "password": "secret"}
    legacy = made("luca", **client, extra={"auth_method": "oauth2", "organisation_number": "912345678"})
    flow = legacy.authorization_flow("https://me.example.com/back")
    assert flow.start().url == (
        "https://go.lucaregnskap.no/api/v1/oauth2/authorize?client_id=client&response_type=code"
        "&redirect_uri=https%3A%2F%2Fme.example.com%2Fback&scope=accounting&organisation_number=912345678"
    )
    assert not flow.send_redirect_uri
    modern = made("luca", **client, extra={"auth_method": "oauth21", "locale": "nb"})
    started = modern.authorization_flow("https://me.example.com/back").start()
    for part in (
        "/oauth/authorize?",
        "state=",
        "code_challenge_method=S256",
        "scope=accounting.read",
        "locale=nb",
    ):
        assert part in started.url
    assert modern.profile.credentials.rotates
    assert not legacy.profile.credentials.rotates
    with pytest.raises(ConfigurationError, match="api_key"):
        made("luca").authorization_flow("https://me.example.com/back")


def test_luca_without_a_client_id() -> None:
    with pytest.raises(ConfigurationError) as caught:
        made("luca", extra={"auth_method": "oauth2"})
    assert caught.value.field == "login"


@pytest.mark.parametrize(
    ("query", "arguments", "field"),
    [
        ("{ saleInvoices { nodes { id } } }", {}, "query"),
        ("query($first: Int, $after: String) { x }", {"company_ids": ["c"]}, "query"),
        ("query($first: Int, $after: String) { x }", {"page_size": 101}, "page_size"),
    ],
)
def test_luca_walks(query: str, arguments: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        made("luca").nodes(query, "x", **arguments)
    assert caught.value.field == field


@pytest.mark.parametrize("header", ["Authorization", "X-Api-Key", "x_api_key", "Cookie", "X-Auth-Token"])
def test_generic_credential_headers_are_secret(header: str) -> None:
    with pytest.raises(ConfigurationError, match="secret_headers") as caught:
        made("oauth2api", extra={"api_headers": {header: "value"}})
    assert caught.value.field == "api_headers"
    assert "value'" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"extra": {"oauth_endpoint": ""}}, "oauth_endpoint"),
        ({"login": ""}, "login"),
        ({"password": ""}, "password"),
        ({"extra": {"grant": "password"}}, "username"),
        ({"extra": {"grant": "password", "username": "u"}}, "user_password"),
        ({"password": "", "extra": {"grant": "api_key"}}, "password"),
        ({"password": "", "extra": {"grant": "basic"}}, "password"),
        ({"extra": {"grant": "implicit"}}, "grant"),
    ],
)
def test_generic_grants_name_what_they_need(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        made("oauth2api", **changes)
    assert caught.value.field == field


def test_generic_keys() -> None:
    key = made("oauth2api", extra={"grant": "api_key"}).profile
    assert key.credentials.header == Secret("Bearer app-client-secret")
    only_header = made(
        "oauth2api", password="", extra={"grant": "api_key", "secret_headers": {"X-Key": "k"}}
    ).profile
    assert only_header.credentials.header == Secret("")
    assert only_header.secret_headers == {"X-Key": Secret("k")}


@pytest.mark.parametrize("name", [".", "..", "", "  "])
def test_an_id_leads_to_no_other_resource(name: str) -> None:
    for ask in (
        made("tradevest").customer_products,
        made("tradevest").orders,
        made("opcorporate").account_path,
        made("opcorporate").transactions,
    ):
        with pytest.raises(ConfigurationError):
            ask(name)


def test_a_number_beyond_all_numbers() -> None:
    with pytest.raises(ConfigurationError, match="organization_number"):
        made("talenom").vouchers("9" * 5000)


@pytest.mark.parametrize(
    ("extra", "rotates", "leeway"),
    [
        ({}, True, 0.0),
        ({"rotates": False}, False, 0.0),
        ({"rotates": "no", "refresh_leeway": "30"}, False, 30.0),
        ({"rotates": "yes", "refresh_leeway": 2.5}, True, 2.5),
    ],
)
def test_how_refresh_tokens_behave(extra: dict[str, Any], rotates: bool, leeway: float) -> None:
    authorised = made("oauth2api", extra={"grant": "authorization_code", **extra}).profile.credentials
    assert (authorised.rotates, authorised.refresh_leeway) == (rotates, leeway)
    # A grant that logs in again by itself needs neither.
    user = {"grant": "password", "username": "u", "user_password": "the-users-password"}
    alone = made("oauth2api", extra={**user, **extra}).profile.credentials
    assert (alone.rotates, alone.refresh_leeway) == (True, 0.0)


@pytest.mark.parametrize("value", [-1, 3601, "soon"])
def test_a_leeway_that_is_none_is_named(value: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        made("oauth2api", extra={"grant": "authorization_code", "refresh_leeway": value})
    assert caught.value.field == "refresh_leeway"


@pytest.mark.parametrize(("method", "rotates"), [("oauth2", False), ("oauth21", True)])
def test_lucas_refresh_tokens(method: str, rotates: bool) -> None:
    credentials = made("luca", login="app", extra={"auth_method": method}).profile.credentials
    assert (credentials.rotates, credentials.refresh_leeway) == (rotates, 0.0)
