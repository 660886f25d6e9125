"""No secret shows: in no log, error text, traceback with its locals, or repr, in whatever encoding.

Airflow's masker is not asked: what it would hide must not be there in the first place.
"""

from __future__ import annotations

import base64
import json
import logging
import traceback
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

import pytest
from rich.traceback import Traceback

from airflow_provider_finauth.auth.authorizer import make_authorizer
from airflow_provider_finauth.auth.credentials import FixedCredentials
from airflow_provider_finauth.exceptions import FinauthError
from airflow_provider_finauth.hooks.landax import LandaxHook
from airflow_provider_finauth.hooks.luca import LucaHook
from airflow_provider_finauth.hooks.oauth2api import OAuth2ApiHook
from airflow_provider_finauth.hooks.opcorporate import OPCorporateHook
from airflow_provider_finauth.hooks.talenom import TalenomHook
from airflow_provider_finauth.hooks.tradevest import TradevestHook
from airflow_provider_finauth.runtime.brokers import broker
from airflow_provider_finauth.sandbox import credentials as known
from tests.hooks.pulls import CUSTOMERS
from tests.hooks.support import authorise

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_finauth.hooks.base import FinauthHook
    from airflow_provider_finauth.sandbox import RunningSandbox
    from tests.hooks.support import SandboxConnections
    from tests.passing_time import PassingTime

TESTS = str(Path(__file__).parents[1])
PASSWORD_GRANT = {
    "grant": "password",
    "username": known.GENERIC_USER,
    "user_password": known.GENERIC_PASSWORD,
    "secret_headers": {"X-Api-Key": "a-secret&header/value+1"},
    "client_auth": "basic",
}

# Connection, hook, how to pull, changes of the connection's extra.
CASES: dict[str, tuple[type[FinauthHook[Any]], Callable[[Any], Any], dict[str, Any]]] = {
    "talenom_default": (TalenomHook, lambda hook: hook.accounting_periods(14222, page_size=2), {}),
    "opcorporate_encrypted": (OPCorporateHook, lambda hook: hook.accounts(), {}),
    "landax_default": (LandaxHook, lambda hook: hook.entities("Projects", page_size=50), {}),
    "landax_basic": (LandaxHook, lambda hook: hook.entities("Projects", page_size=50), {}),
    "tradevest_connect": (TradevestHook, lambda hook: hook.transactions(page_size=5).limit(9), {}),
    "luca_default": (LucaHook, lambda hook: hook.nodes(CUSTOMERS, "saleCustomers"), {}),
    "luca_oauth": (LucaHook, lambda hook: hook.companies(), {}),
    "luca_oauth21": (LucaHook, lambda hook: hook.companies(), {}),
    "oauth2api_default": (
        OAuth2ApiHook,
        lambda hook: hook.records("/items", paging="cursor").limit(150),
        PASSWORD_GRANT,
    ),
}


@cache
def encodings(secret: str) -> frozenset[str]:
    """The forms in which a secret may turn up; written here once more, so that no mistake is shared."""
    raw = secret.encode()
    forms = {
        secret,
        quote(secret, safe=""),
        quote(secret),
        quote_plus(secret),
        raw.hex(),
        json.dumps(secret)[1:-1],
        repr(secret)[1:-1],
        repr(raw)[2:-1],
    }
    for before in range(3):
        # As part of something longer, such as user:password, at each of the three places that it may have.
        padded = base64.b64encode(b"\0" * before + raw).decode()
        inner = padded[4 if before else 0 : (len(raw) + before) // 3 * 4]
        if len(inner) >= 12:
            forms |= {inner, inner.replace("+", "-").replace("/", "_")}
    if "-----BEGIN" in secret:
        forms.update(line for line in secret.splitlines() if len(line) > 20 and "-----" not in line)
    return frozenset(forms)


class Watch:
    """Everything that was said, and what must not be in it."""

    def __init__(self, hook: FinauthHook[Any]) -> None:
        self.hook = hook
        self.secrets: set[str] = {secret.reveal() for secret in hook.settings.secrets()}
        certificate = hook.api.profile.transport.client_certificate
        if certificate is not None:
            self.secrets.add(certificate.private_key.reveal())

    def sent(self, *, to_token_endpoint: bool) -> str:
        """All that a server was sent, and may repeat."""
        profile = self.hook.api.profile
        if isinstance(profile.credentials, FixedCredentials):
            return profile.credentials.header.reveal()
        tokens = broker().stored(profile.credentials)
        assert tokens is not None
        secrets = [tokens.access_token, *profile.secret_headers.values()]
        if to_token_endpoint:
            credentials = profile.credentials
            secrets = [credentials.client_secret, credentials.password]
            if not credentials.starts_over_alone:
                # Others log in again, without it, before they fail.
                secrets.append(tokens.refresh_token)
        return " ".join(secret.reveal() for secret in secrets if secret)

    def learn(self) -> None:
        """Take in the tokens of the moment."""
        credentials = self.hook.api.profile.credentials
        if isinstance(credentials, FixedCredentials):
            self.secrets.add(credentials.header.reveal().partition(" ")[2])
            return
        tokens = broker().stored(credentials)
        for token in (tokens.access_token, tokens.refresh_token) if tokens else ():
            if token is not None:
                self.secrets.add(token.reveal())

    def check(self, said: str, where: str) -> None:
        assert self.secrets
        for secret in self.secrets:
            for form in encodings(secret):
                place = said.find(form)
                assert place < 0, f"{where} shows a secret: …{said[max(0, place - 400) : place + 9]}…"

    def check_error(self, error: BaseException) -> None:
        lines: set[str] = set()
        chain: list[BaseException | None] = [error]
        while chain:
            one = chain.pop()
            if one is None:
                continue
            chain += [one.__cause__, None if one.__suppress_context__ else one.__context__]
            lines.add(f"the error: {one} {one!r} {vars(one)!r}")
            whole = traceback.TracebackException.from_exception(one, capture_locals=True)
            for frame in whole.stack:
                if not frame.filename.startswith(TESTS):
                    place = f"{frame.filename}:{frame.lineno} {frame.name}"
                    lines |= {f"{place}: {name} = {value}" for name, value in (frame.locals or {}).items()}
        self.check("\n".join(lines), "a traceback")
        self.check(_rich(error), "rich's traceback")


def _rich(error: BaseException) -> str:
    """What rich shows of local variables: it looks into containers and data classes by itself."""
    extracted = Traceback.extract(
        type(error), error, error.__traceback__, show_locals=True, locals_max_string=None
    )
    return "\n".join(
        f"{frame.filename}:{frame.lineno} {frame.name}: {name} = {value}"
        for stack in extracted.stacks
        for frame in stack.frames
        if not frame.filename.startswith(TESTS)
        for name, value in (frame.locals or {}).items()
    )


@pytest.fixture(params=CASES)
def conn_id(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def watch(conn_id: str, connections: SandboxConnections, passing_time: PassingTime) -> Watch:
    hook_class, _, extra = CASES[conn_id]
    connections.change(conn_id, extra=extra)
    hook = hook_class(conn_id)
    if conn_id in ("luca_oauth", "luca_oauth21"):
        authorise(hook)
    return Watch(hook)


@pytest.fixture
def spoken(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """What all loggers said at their most talkative, with everything that hung on a record."""
    for name in (None, "urllib3", "requests", "airflow", "airflow_provider_finauth"):
        caplog.set_level(logging.DEBUG, logger=name)

    def everything() -> str:
        printed = capsys.readouterr()
        records = "\n".join(f"{record.getMessage()} {vars(record)!r}" for record in caplog.records)
        return f"{caplog.text}\n{records}\n{printed.out}\n{printed.err}"

    return everything


def pull(hook: FinauthHook[Any]) -> list[Any]:
    return list(CASES[hook.conn_id][1](hook))


def api_of(hook: FinauthHook[Any]) -> str:
    return {"oauth2api": "generic"}.get(hook.conn_type, hook.conn_type)


def test_a_good_day(
    watch: Watch, spoken: Callable[[], str], passing_time: PassingTime, tmp_path: Path
) -> None:
    hook = watch.hook
    assert pull(hook)
    watch.learn()
    passing_time.go_on(90_000)
    assert pull(hook)
    watch.learn()
    hook.get_conn().get(hook.client.url("/nothing"))
    watch.check(hook.test_connection()[1], "the connection test")
    said = spoken()
    # It was listened to.
    assert "urllib3.connectionpool" in said
    watch.check(said, "a log")


def test_reprs(watch: Watch) -> None:
    hook = watch.hook
    records = CASES[hook.conn_id][1](hook)
    next(records)
    page = next(CASES[hook.conn_id][1](hook).pages())
    watch.learn()
    profile = hook.api.profile
    tokens = broker()
    shown = [
        hook,
        hook.client,
        hook.get_conn(),
        hook.settings,
        hook.api,
        profile,
        profile.credentials,
        profile.transport,
        profile.transport.client_certificate,
        profile.secret_headers,
        make_authorizer(tokens, profile.credentials),
        tokens,
        tokens.store,
        tokens.store.sealer,
        records,
        page,
        page.records,
    ]
    if not isinstance(profile.credentials, FixedCredentials):
        shown.append(tokens.stored(profile.credentials))
        shown.append(tokens.store.read(profile.credentials.lineage_key(tokens.store.sealer.digest)))
    for thing in shown:
        watch.check(f"{thing!r} {thing} {[thing]}", type(thing).__name__)
    for thing in (hook, hook.client, hook.get_conn(), tokens):
        watch.check(repr(vars(thing)), f"the members of {type(thing).__name__}")


FAULTS: dict[str, dict[str, Any]] = {
    "the API repeats what it was sent": {"kind": "status", "status": 400},
    "the API refuses the token": {"kind": "status", "status": 401},
    "the API forbids": {"kind": "status", "status": 403},
    "the API limits": {"kind": "status", "status": 429},
    "the API is out of order": {"kind": "status", "status": 500},
    "the API resets": {"kind": "reset"},
    "the API stops in the middle": {"kind": "truncate"},
    "the API breaks its JSON": {"kind": "invalid_json"},
    "the API answers with HTML": {"kind": "html"},
    "the API redirects": {"kind": "redirect"},
    "the token endpoint repeats what it was sent": {"kind": "status", "status": 400, "where": "token"},
    "the token endpoint is out of order": {"kind": "status", "status": 500, "where": "token"},
    "the token endpoint resets": {"kind": "reset", "where": "token"},
    "the token endpoint stops in the middle": {"kind": "truncate", "where": "token"},
    "the token endpoint answers with HTML": {"kind": "html", "where": "token"},
    "the token endpoint gives no token": {"kind": "no_token", "where": "token"},
    "the token endpoint redirects": {"kind": "redirect", "where": "token"},
    "the token endpoint gives an odd token": {
        "kind": "token_answer",
        "where": "token",
        "members": {"token_type": "mac"},
    },
}


FIXED_KEYS = ("landax_basic", "luca_default")


@pytest.mark.parametrize(
    ("conn_id", "fault"),
    [
        (conn_id, fault)
        for conn_id in CASES
        for fault, options in FAULTS.items()
        if "where" not in options or conn_id not in FIXED_KEYS
    ],
)
def test_failures(
    watch: Watch,
    sandbox: RunningSandbox,
    spoken: Callable[[], str],
    passing_time: PassingTime,
    fault: str,
) -> None:
    hook, options = watch.hook, dict(FAULTS[fault])
    pull(hook)
    watch.learn()
    if options["kind"] == "status":
        # A server that says all that it knows, as some do.
        words = f"I was sent {watch.sent(to_token_endpoint=options.get('where') == 'token')}"
        options["body"] = {"error": "invalid_grant", "error_description": words, "message": words}
    if options.get("where") == "token":
        passing_time.go_on(90_000)
    sandbox.faults(api_of(hook), count=None, **options)
    ways: dict[str, Callable[[], Any]] = {
        "records": lambda: pull(hook),
        "request": lambda: hook.request("GET", "/somewhere"),
        "session": lambda: hook.get_conn().get(hook.client.url("/somewhere")),
    }
    failed = 0
    for way in ways.values():
        try:
            way()
        except Exception as error:
            failed += 1
            watch.learn()
            watch.check_error(error)
    assert failed, "nothing went wrong"
    watch.check(spoken(), "a log")


@pytest.mark.parametrize(
    ("conn_id", "extra"),
    [
        ("talenom_default", {"page_numbering": "pages"}),
        ("talenom_default", {"oauth_endpoint": "http://id.example.com/token"}),
        ("opcorporate_encrypted", {"private_key_passphrase": "a-wrong-passphrase"}),
        ("opcorporate_default", {"private_key": "not a key: c2VjcmV0LWtleS1tYXRlcmlhbA"}),
        ("opcorporate_default", {"tls_certificate": "not a certificate"}),
        ("landax_default", {"api_version": "latest"}),
        ("tradevest_default", {"max_concurrency": "many"}),
        ("luca_oauth21", {"oauth_endpoint": "elsewhere"}),
        ("oauth2api_default", {**PASSWORD_GRANT, "secret_headers": "{broken: a-secret-in-broken-json"}),
        ("oauth2api_default", {**PASSWORD_GRANT, "api_headers": {"X-Token": "a-secret-in-the-wrong-place"}}),
    ],
)
def test_configuration_errors(
    connections: SandboxConnections,
    sandbox: RunningSandbox,
    spoken: Callable[[], str],
    conn_id: str,
    extra: dict[str, Any],
) -> None:
    hook_class = next(case[0] for name, case in CASES.items() if name.split("_")[0] == conn_id.split("_")[0])
    watch = Watch(hook_class(connections.change("unchanged", of=conn_id)))
    watch.secrets |= {"a-secret-in-broken-json", "a-secret-in-the-wrong-place", "a-wrong-passphrase"}
    watch.secrets |= {"c2VjcmV0LWtleS1tYXRlcmlhbA"}
    connections.change(conn_id, extra=extra)
    with pytest.raises(FinauthError, match=conn_id) as caught:
        hook_class(conn_id).get_conn()
    watch.check_error(caught.value)
    watch.check(spoken(), "a log")
