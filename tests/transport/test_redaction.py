from __future__ import annotations

import base64
import json
import logging
import pickle
import traceback
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_finauth.secret import Secret
from airflow_provider_finauth.transport.redaction import Redactor, derived_forms

secrets = st.text(
    alphabet=st.characters(codec="utf-8", exclude_characters="*"), min_size=5, max_size=60
).filter(lambda text: len(text.strip()) >= 5)


@given(secrets)
def test_no_form_of_a_secret_is_left(value: str) -> None:
    raw = value.encode()
    for form in (
        value,
        quote(raw, safe=""),
        quote_plus(raw),
        base64.b64encode(raw).decode(),
        repr(value)[1:-1],
        json.dumps(value)[1:-1],
    ):
        assert form not in Redactor([Secret(value)])(f"before {form} after")


def test_lines_of_a_key_are_secret_each() -> None:
    body = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj"
    pem = f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n"
    assert body not in Redactor([Secret(pem)])(f"could not parse {body}")


def test_short_values_are_left_alone() -> None:
    assert derived_forms("abcd") == frozenset()
    assert Redactor([Secret("a")])("a b c") == "a b c"


@pytest.mark.parametrize(
    "text", ["Bearer abcdefghijkl", "basic dXNlcjpwYXNz", "eyJhbGciOiJub25lIn0.eyJ4Ijoi.sig"]
)
def test_what_looks_like_a_token_goes_too(text: str) -> None:
    assert Redactor()(f"refused: {text}") == "refused: ***"


def test_sentence_is_redacted_before_it_is_cut() -> None:
    secret = "s3cret-" * 10
    text = "x" * 280 + secret
    sentence = Redactor([Secret(secret)]).sentence(text, 300)
    assert "s3cret" not in sentence
    assert len(Redactor().sentence("a\r\nb" + "c" * 400)) == 300
    assert Redactor().sentence("a\r\nb") == "a b"


@given(secrets)
def test_a_secret_shows_nowhere(value: str) -> None:
    secret = Secret(value)
    assert secret.reveal() == value
    record = logging.LogRecord("x", logging.INFO, "f", 1, "%s %r", (secret, secret), None)
    shown = [repr(secret), str(secret), f"{secret}", f"{secret:>10}", f"{[secret]}", record.getMessage()]
    assert all(text.replace("*", "").strip(" []") == "" for text in shown)
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    try:
        raise ValueError(secret)
    except ValueError:
        # The lines before are this file's own, and hypothesis likes to try their words.
        assert traceback.format_exc().splitlines()[-1] == "ValueError: ***"


def test_secrets_compare_by_value() -> None:
    assert Secret("same-value") == Secret("same-value")
    assert Secret("same-value") != Secret("other-value")
    assert Secret("same-value") != "same-value"
    assert len({Secret("same-value"), Secret("same-value")}) == 1
    assert not Secret("")
