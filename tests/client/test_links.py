from __future__ import annotations

import pytest

from airflow_provider_finauth.client.links import resolve_link
from airflow_provider_finauth.exceptions import CrossOriginError
from airflow_provider_finauth.transport.origins import origin_of

CURRENT = "https://company.landax.no/api/v32/Incidents?top=5"
KNOWN = [origin_of("https://company.landax.no"), origin_of("https://apim.other.example:8443")]


@pytest.mark.parametrize(
    ("link", "followed"),
    [
        ("https://company.landax.no/x?$skip=5", "https://company.landax.no/x?$skip=5"),
        # A gateway that ends TLS: the server behind it sees http and a port of its own.
        ("http://company.landax.no/x", "https://company.landax.no/x"),
        ("http://company.landax.no:8080/x", "https://company.landax.no/x"),
        ("HTTPS://COMPANY.landax.no./x", "https://company.landax.no/x"),
        ("/api/x?a=b", "https://company.landax.no/api/x?a=b"),
        ("Incidents?skip=5", "https://company.landax.no/api/v32/Incidents?skip=5"),
        ("?skip=5", "https://company.landax.no/api/v32/Incidents?skip=5"),
        ("//company.landax.no/x", "https://company.landax.no/x"),
        ("http://apim.other.example/y", "https://apim.other.example:8443/y"),
        # Opaque: nothing in it is decoded, encoded or put in order.
        (
            "https://company.landax.no/a%2Fb;v=1?t=%2b%20+&t=&u=ø#part",
            "https://company.landax.no/a%2Fb;v=1?t=%2b%20+&t=&u=ø",
        ),
        ("https://user:pass@company.landax.no/x", "https://company.landax.no/x"),
    ],
)
def test_our_host_keeps_our_scheme_and_port(link: str, followed: str) -> None:
    assert resolve_link(link, current=CURRENT, known=KNOWN) == followed


def test_the_host_that_answered_comes_first() -> None:
    known = [origin_of("http://127.0.0.1:1000"), origin_of("http://127.0.0.1:2000/landax")]

    followed = resolve_link(
        "http://127.0.0.1/landax/x", current="http://127.0.0.1:2000/landax/y", known=known
    )

    assert followed == "http://127.0.0.1:2000/landax/x"


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/x",
        "https://company.landax.no.evil.example/x",
        "https://evilcompany.landax.no/x",
        "https://company.landax.no@evil.example/x",
        "https://company.landax.no:pw@evil.example/x",
        "//evil.example/x",
        "ftp://company.landax.no/x",
        "javascript:alert(1)",
        "https://[::1/x",
    ],
)
def test_another_host_is_refused(link: str) -> None:
    with pytest.raises(CrossOriginError, match="next page was not asked for"):
        resolve_link(link, current=CURRENT, known=KNOWN)


def test_the_error_names_hosts_and_no_path_or_query() -> None:
    with pytest.raises(CrossOriginError) as caught:
        resolve_link("https://evil.example/path?token=abc", current=CURRENT, known=KNOWN)
    text = str(caught.value)
    assert "evil.example" in text
    assert "company.landax.no" in text
    assert "token" not in text
    assert "path" not in text
