"""OP Corporate Banking's hook, over real sockets and mutual TLS."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_finauth.exceptions import ApiError, ConfigurationError, PaginationError
from airflow_provider_finauth.hooks.opcorporate import OPCorporateHook
from tests.hooks.support import ids

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_finauth.sandbox import RunningSandbox
    from tests.hooks.support import SandboxConnections

# The last of the four has 1,500 transactions, enough for two pages of v3 and eleven of v2.
COUNT = 1500


@pytest.fixture
def hook(connections: SandboxConnections) -> OPCorporateHook:
    return OPCorporateHook()


def smallest(hook: OPCorporateHook) -> str:
    account: str = list(hook.accounts())[-1]["surrogateId"]
    return account


def versioned(connections: SandboxConnections, version: str) -> OPCorporateHook:
    connections.change("opcorporate_default", extra={"transactions_version": version})
    return OPCorporateHook()


def test_accounts(hook: OPCorporateHook, sandbox: RunningSandbox) -> None:
    accounts = list(hook.accounts())
    assert len(accounts) == 4 == sandbox.stats("op")["unique_records_served"]
    assert len(list(hook.accounts().limit(2))) == 2
    for account in accounts:
        # A slash and a plus sign in it are part of the name.
        assert set("/+") < set(account["surrogateId"])
        one = hook.account(account["surrogateId"])
        assert (one["iban"], one["netBalance"]) == (account["iban"], account["balance"])
    assert sandbox.stats("op")["token_requests"] == 1


@pytest.mark.parametrize(("version", "pages"), [("v2", 11), ("v3", 2)])
@pytest.mark.parametrize("together", [0, 120])
def test_transactions_are_those_that_were_served(
    connections: SandboxConnections, sandbox: RunningSandbox, version: str, pages: int, together: int
) -> None:
    """Many share a microsecond, and some of those lie across the end of a page."""
    sandbox.settings("op", equal_timestamps=together)
    hook = versioned(connections, version)
    account = smallest(hook)
    transactions = list(hook.transactions(account))
    stats = sandbox.stats("op")
    template = f"GET /corporate-account-data/{version}/accounts/{{surrogate}}/transactions"
    assert len(set(ids(transactions, "objectId"))) == len(transactions) == COUNT
    assert stats["unique_records_by_endpoint"][template] == COUNT
    # The pages overlap by the rows of one time, whatever the number of them.
    assert stats["records_by_endpoint"][template] > COUNT
    assert pages <= stats["endpoints"][template] <= pages * 6
    assert stats["token_requests"] == 1
    moments = [transaction["timestamp"] for transaction in transactions]
    assert moments == sorted(moments)
    assert len(set(moments)) < COUNT - together
    edge = 150 if version == "v2" else 1000
    assert together or moments[edge - 1] == moments[edge], "nothing lies across the end of a page"
    # A number longer than a float can hold.
    assert all(isinstance(transaction["archiveId"], str) for transaction in transactions)


def test_a_page_full_of_one_timestamp_is_not_passed_over_in_silence(
    connections: SandboxConnections, sandbox: RunningSandbox
) -> None:
    sandbox.settings("op", equal_timestamps=400)
    hook = versioned(connections, "v2")
    with pytest.raises(PaginationError, match="timestamp"):
        list(hook.transactions(smallest(hook)))


@pytest.mark.parametrize("version", ["v2", "v3"])
def test_since_and_until(connections: SandboxConnections, version: str) -> None:
    hook = versioned(connections, version)
    account = smallest(hook)
    everything = list(hook.transactions(account))
    # From the time of one transaction, inclusive, up to that of another, exclusive.
    since, until = everything[301]["timestamp"], everything[1003]["timestamp"]
    wanted = [row["objectId"] for row in everything if since <= row["timestamp"] < until]
    assert 600 < len(wanted) < 800
    moment = datetime.fromtimestamp(since / 1e6, UTC)
    found = hook.transactions(
        account, since=moment, until=datetime.fromtimestamp(until / 1e6, UTC).isoformat()
    )
    assert ids(found, "objectId") == wanted
    rest = hook.transactions(account, since=moment)
    assert ids(rest, "objectId") == [row["objectId"] for row in everything if row["timestamp"] >= since]
    assert list(hook.transactions(account, since="2030-01-01")) == []


def test_pages_come_when_they_are_read_and_one_ahead(hook: OPCorporateHook, sandbox: RunningSandbox) -> None:
    account = smallest(hook)
    asked = sandbox.stats("op")["api_requests"]
    (only,) = hook.transactions(account).limit(1)
    assert sandbox.stats("op")["api_requests"] == asked + 1
    transactions = hook.transactions(account)
    assert sandbox.stats("op")["api_requests"] == asked + 1
    assert next(transactions) == only
    assert asked + 2 <= sandbox.stats("op")["api_requests"] <= asked + 3


def test_each_request_has_an_id_of_its_own(hook: OPCorporateHook, sandbox: RunningSandbox) -> None:
    list(hook.transactions(smallest(hook)))
    sent = [entry["headers"]["x-request-id"] for entry in sandbox.log("op", "api")]
    assert len(set(sent)) == len(sent) > 2


def test_an_encrypted_key(connections: SandboxConnections, sandbox: RunningSandbox) -> None:
    assert len(list(OPCorporateHook("opcorporate_encrypted").accounts())) == 4
    connections.change("opcorporate_encrypted", extra={"private_key_passphrase": "another"})
    with pytest.raises(ConfigurationError, match="private_key_passphrase"):
        OPCorporateHook("opcorporate_encrypted").accounts()
    connections.change("opcorporate_encrypted", extra={"private_key_passphrase": None})
    with pytest.raises(ConfigurationError, match="private_key_passphrase") as caught:
        OPCorporateHook("opcorporate_encrypted").accounts()
    assert isinstance(caught.value, AirflowFailException)
    assert sandbox.stats("op")["token_requests"] == 1


def mangled(pem: str, how: str) -> str:
    return {
        "escaped": pem.replace("\n", "\\n"),
        "one line": pem.replace("\n", " "),
        "as it is": pem,
    }[how]


@pytest.mark.parametrize("how", ["escaped", "one line", "as it is"])
def test_a_pem_as_forms_and_environments_leave_it(
    connections: SandboxConnections, sandbox: RunningSandbox, how: str
) -> None:
    extra = sandbox.connections["opcorporate_default"]["extra"]
    changed = {name: mangled(extra[name], how) for name in ("tls_certificate", "private_key")}
    connections.change("opcorporate_default", extra=changed)
    assert len(list(OPCorporateHook().accounts())) == 4


def test_certificate_and_key_from_files(connections: SandboxConnections, sandbox: RunningSandbox) -> None:
    folder = sandbox.folder
    connections.change(
        "opcorporate_default",
        extra={
            "tls_certificate": None,
            "private_key": None,
            "tls_certificate_file": str(folder / "client.pem"),
            "tls_key_file": str(folder / "client.key"),
        },
    )
    assert len(list(OPCorporateHook().accounts())) == 4


def test_broken_certificates_are_named(
    connections: SandboxConnections, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    stranger = (sandbox.folder / "stranger.key").read_text()
    for changes, field in (
        ({"private_key": stranger}, "private_key"),
        ({"private_key": "no key"}, "private_key"),
        ({"private_key": None}, "private_key"),
        ({"tls_certificate": "no certificate"}, "tls_certificate"),
        ({"tls_certificate": None, "private_key": None}, "tls_certificate"),
        ({"tls_ca_file": str(tmp_path / "nowhere.pem")}, "tls_ca_file"),
    ):
        connections.change("opcorporate_default", extra=changes)
        with pytest.raises(ConfigurationError, match=f"'{field}'") as caught:
            OPCorporateHook().accounts()
        assert "opcorporate_default" in str(caught.value)
    assert sandbox.stats("op")["token_requests"] == 0


def test_a_certificate_that_op_does_not_know(
    connections: SandboxConnections, sandbox: RunningSandbox, passing_time: Any
) -> None:
    folder = sandbox.folder
    connections.change(
        "opcorporate_default",
        extra={
            "tls_certificate": (folder / "stranger.pem").read_text(),
            "private_key": (folder / "stranger.key").read_text(),
        },
    )
    with pytest.raises(Exception, match="opcorporate_default") as caught:
        list(OPCorporateHook().accounts())
    assert not isinstance(caught.value, AirflowFailException)
    assert sandbox.stats("op")["token_requests"] == 0


def test_an_unknown_account(hook: OPCorporateHook) -> None:
    with pytest.raises(ApiError, match="404") as caught:
        hook.account("unknown")
    assert caught.value.status == 404
    for empty in ("", "  ", None):
        with pytest.raises(ConfigurationError, match="surrogate_id"):
            hook.transactions(empty)  # type: ignore[arg-type]
