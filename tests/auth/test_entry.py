from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_finauth.auth.credentials import secret_hash
from airflow_provider_finauth.auth.entry import Intent, Record, Unanswered
from airflow_provider_finauth.auth.tokens import TokenSet
from airflow_provider_finauth.secret import Secret

secrets = st.none() | st.text(min_size=1).map(Secret)
times = st.floats(0, 4e9)
token_sets = st.builds(
    TokenSet,
    access_token=secrets,
    refresh_token=secrets,
    scope=st.none() | st.text(),
    token_type=st.none() | st.text(),
    issued_at=times,
    expires_at=times,
    lifetime=times,
    generation=st.integers(1, 10**6),
    lineage=st.text(),
)
records = st.builds(
    Record,
    conn_id=st.text(),
    api=st.text(),
    token_origin=st.text(),
    fingerprint=st.text(),
    tokens=token_sets,
    spent=st.frozensets(st.text(), max_size=3),
    minted_at=times,
    rest_until=times,
    rotates=st.booleans(),
    intent=st.none()
    | st.builds(Intent, owner=st.text(), attempt=st.text(), sent=st.text(), begun=times, deadline=times),
    unanswered=st.none()
    | st.builds(Unanswered, sent=st.text(), count=st.integers(1, 9), since=times, retry_at=times),
    others=st.dictionaries(st.sampled_from(["claim", "slot", "leeway"]), st.integers() | st.text()),
)


@given(records)
def test_what_was_written_is_read(record: Record) -> None:
    assert Record.from_json(record.to_json()) == record


def test_members_of_a_newer_version_are_kept() -> None:
    record = Record.from_json(_payload(claim={"owner": "host", "deadline": 5}))
    assert json.loads(record.to_json())["claim"] == {"owner": "host", "deadline": 5}


@given(
    st.binary()
    | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(lambda v: json.dumps(v).encode())
)
def test_anything_else_is_damaged(payload: bytes) -> None:
    with pytest.raises(ValueError, match="not a token record"):
        Record.from_json(payload)


@pytest.mark.parametrize(
    "changes",
    [
        {"tokens": None},
        {"tokens": []},
        {"tokens": {}},
        {"spent": 5},
        {"minted_at": "soon"},
        {"minted_at": None},
    ],
)
def test_a_damaged_member_is_noticed(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not a token record"):
        Record.from_json(_payload(**changes))


@pytest.mark.parametrize("token", [5, ["a"], True])
def test_a_token_is_a_string(token: Any) -> None:
    members = json.loads(_payload())
    members["tokens"]["access_token"] = token
    with pytest.raises(ValueError, match="not a token record"):
        Record.from_json(json.dumps(members).encode())


def test_seeds_of_the_past_are_known() -> None:
    record = Record.from_json(_payload(spent=[secret_hash(Secret("old"))]))
    assert record.knows_seed(None)
    assert record.knows_seed(secret_hash(Secret("old")))
    assert record.knows_seed(secret_hash(Secret("standing")))
    assert not record.knows_seed(secret_hash(Secret("new")))


def test_the_repr_shows_no_token() -> None:
    shown = repr(Record.from_json(_payload()))
    assert "standing" not in shown
    assert "an-access-token" not in shown


def _payload(**changes: Any) -> bytes:
    tokens = TokenSet(
        access_token=Secret("an-access-token"),
        refresh_token=Secret("standing"),
        issued_at=1.0,
        expires_at=2.0,
        lifetime=1.0,
        generation=1,
        lineage="l",
    )
    record = Record(conn_id="c", api="a", token_origin="o", fingerprint="f", tokens=tokens, minted_at=1.0)
    return json.dumps({**json.loads(record.to_json()), **changes}).encode()
